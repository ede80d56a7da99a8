"""Says where a person's fields, roles and groups come from, or why there is no such person.

Asked live, it reads and maps the person's entry anew and says where the store differs; asked of the
store, it answers from what the last runs wrote.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from syncd.errors import MappingError
from syncd.explain.lacking import Lacking
from syncd.ldap.absence import Absence
from syncd.ldap.ber import decode_entry
from syncd.records import fold
from syncd.store.run_reads import iso
from syncd.store.runs import run_name
from syncd.store.sides import GROUPS, ROLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from syncd.compose import DirectoryParts
    from syncd.ldap.source import LdapSource
    from syncd.mappers.origins import FieldOrigin
    from syncd.mappers.pipeline import UserMapping
    from syncd.records import Entry, UserRecord
    from syncd.store.people import People
    from syncd.store.sides import Side

RECORD_FIELDS = ("username", "email", "email_verified", "first_name", "last_name", "dn")


class Explainer:
    """Answers about one organization's people."""

    def __init__(
        self, people: People, parts: DirectoryParts | None, directory: LdapSource | None
    ) -> None:
        self._people = people
        self._parts = parts
        self._directory = directory

    def explain(
        self, username: str, *, role: str | None = None, group: str | None = None
    ) -> dict[str, Any]:
        """Explain one person, and why he has or lacks a role or a group."""
        user = self._people.user(username)
        if self._directory is None or self._parts is None:
            answer, record = self._from_store(username, user), None
        else:
            answer, user, record = self._live(username, user, self._directory, self._parts)
        if user is None:
            return answer
        for side, name in ((ROLES, role), (GROUPS, group)):
            if name is not None:
                answer[side.kind] = self._asked(side, name, user, record)
        return answer

    def _live(
        self,
        username: str,
        user: dict[str, Any] | None,
        directory: LdapSource,
        parts: DirectoryParts,
    ) -> tuple[dict[str, Any], dict[str, Any] | None, UserRecord | None]:
        """Return the answer by the directory's entry, the stored person and what the entry is."""
        dn = user["dn"] if user else None
        external_id = user["external_id"] if user else None
        found = directory.find_anywhere(username, dn, external_id)
        if isinstance(found, Absence):
            return self._absent(username, user, found), user, None
        try:
            entry = _theirs(found, external_id, parts.user_mapping)
            record = parts.user_mapping(entry)
        except MappingError as error:
            return _absence(username, "quarantined", f"{error.reason}: {error.detail}"), user, None
        if user is None:
            user = self._people.user_by_external_id(record.external_id)
        if user is None:
            return self._not_stored(username, record), None, record
        if any(each["reason"] == "missing" for each in user["disabled_because"]):
            absence = _absence(
                username,
                "disabled",
                "the last complete listing did not have this person; the directory has him now, "
                "so the next sync lets him in again",
            )
            return absence, user, record
        run = self._people.written_by(user["id"])
        fields = field_rows(parts.user_mapping.explain(entry), run_name(run) if run else None)
        differs = _differences(user, record)
        return self._present(user, live=True, fields=fields, differs=differs), user, record

    def _present(
        self,
        user: dict[str, Any],
        *,
        live: bool,
        fields: list[dict[str, Any]],
        differs: list[dict[str, Any]],
    ) -> dict[str, Any]:
        return {
            "username": user["username"],
            "present": True,
            "user": user,
            "live": live,
            "fields": fields,
            "roles": self._people.role_sources(user["id"]),
            "groups": self._people.group_sources(user["id"]),
            "differs": differs,
        }

    def _asked(
        self, side: Side, name: str, user: dict[str, Any], record: UserRecord | None
    ) -> dict[str, Any]:
        """Say where one role or group comes from, or why the person lacks it."""
        people = self._people
        all_held = (
            people.role_sources(user["id"]) if side is ROLES else people.group_sources(user["id"])
        )
        called = [each for each in all_held if fold(each["name"]) == fold(name)]
        called = called or [each for each in all_held if each.get("path") == name]
        if called:
            sources = [source for each in called for source in each["sources"]]
            return {"name": called[0]["name"], "held": True, "sources": sources}
        lacking = Lacking(people, self._parts, side=side, user=user, name=name, record=record)
        return lacking.answer()

    def _from_store(self, username: str, user: dict[str, Any] | None) -> dict[str, Any]:
        if user is None:
            since = self._people.excluded_since(username, None)
            if since is not None:
                return _excluded(username, since)
            row = self._people.quarantined(username, None, None)
            if row is not None:
                return _absence(
                    username, "quarantined", f"{row.reason}: {row.detail}", run=run_name(row.run_id)
                )
            held = self._people.planned_change(username)
            if held is not None:
                return _held(username, held)
            return _absence(username, "no_entry", "no run has brought a person of this name")
        run = self._people.written_by(user["id"])
        fields = [
            {
                "field": name,
                "value": user[name],
                "mapper": None,
                "attribute": None,
                "raw": [],
                "run": run_name(run) if run else None,
            }
            for name in RECORD_FIELDS
        ]
        if any(each["reason"] == "missing" for each in user["disabled_because"]):
            return _absence(
                username, "disabled", "the last complete listing did not have this person"
            )
        return self._present(user, live=False, fields=fields, differs=[])

    def _absent(
        self, username: str, user: dict[str, Any] | None, absence: Absence
    ) -> dict[str, Any]:
        """Say why the directory's listing has nobody, and what became of him here."""
        detail = absence.detail
        if user is not None:
            missing = any(each["reason"] == "missing" for each in user["disabled_because"])
            held = self._people.planned_change(username)
            if held is not None and not missing:
                answer = _held(username, held, f"{absence.detail}; ")
                return answer | {"clause": absence.clause, "stored": True}
            detail += (
                "; he is kept here as missing and cannot sign in"
                if missing
                else "; he is still known here until the next complete full sync"
            )
        row = self._people.quarantined(username, absence.dn, None)
        if row is not None and absence.reason.value in {"no_entry", "unreadable"}:
            return _absence(
                username, "quarantined", f"{row.reason}: {row.detail}", run=run_name(row.run_id)
            )
        return _absence(
            username,
            absence.reason.value,
            detail,
            clause=absence.clause,
            known=user is not None,
        ) | {"stored": user is not None}

    def _not_stored(self, username: str, record: UserRecord) -> dict[str, Any]:
        """Say why somebody whom the directory has is not here."""
        since = self._people.excluded_since(username, record.external_id)
        if since is not None:
            return _excluded(username, since)
        row = self._people.quarantined(username, record.dn, record.external_id)
        if row is not None:
            return _absence(
                username, "quarantined", f"{row.reason}: {row.detail}", run=run_name(row.run_id)
            )
        held = self._people.planned_change(username)
        if held is not None:
            return _held(username, held)
        return _absence(
            username,
            "not_synced",
            f"the directory has him as {record.dn}; no sync has run since he came",
        )


def _theirs(found: Sequence[bytes], external_id: str | None, mapping: UserMapping) -> Entry:
    """Return the known person's own entry: his username may be another one's by now."""
    entries = [decode_entry(raw) for raw in found]
    return next((each for each in entries if mapping.identify(each)[0] == external_id), entries[0])


def _excluded(username: str, since: datetime) -> dict[str, Any]:
    detail = (
        f"somebody deleted this person for good at {iso(since)}, so syncs pass over the entry; "
        "`syncd exclusions remove` lets the next full sync bring him back as somebody new"
    )
    return _absence(username, "excluded", detail)


def _held(username: str, run: str, why: str = "") -> dict[str, Any]:
    detail = f"{why}the plan {run} would change him and waits for somebody: `syncd approve {run}`"
    return _absence(username, "held_by_plan", detail, run=run)


def _absence(
    username: str,
    reason: str,
    detail: str,
    *,
    clause: str | None = None,
    run: str | None = None,
    known: bool = False,
) -> dict[str, Any]:
    return {
        "username": username,
        "present": False,
        # Whether the store or the directory knows such a person at all.
        "known": known or reason != "no_entry",
        "reason": reason,
        "detail": detail,
        "clause": clause,
        "run": run,
    }


def record_shape(record: UserRecord) -> dict[str, Any]:
    """Return a mapped record for people to read."""
    return {
        "external_id": record.external_id,
        "dn": record.dn,
        "username": record.username,
        "email": record.email,
        "email_verified": record.email_verified,
        "first_name": record.first_name,
        "last_name": record.last_name,
        "attributes": json.loads(record.attributes),
        "account": None
        if record.account is None
        else record.account._asdict() | {"absent": list(record.account.absent)},
        "source_created_at": record.source_created_at,
        "source_modified_at": record.source_modified_at,
        "memberships": [
            {"mapper": each.mapper, "container": each.value} for each in record.memberships
        ],
    }


def mapped(parts: DirectoryParts, entry: Entry) -> dict[str, Any]:
    """Return what the mappers make of an entry, and where each field comes from."""
    return {
        "dn": entry.dn,
        "record": record_shape(parts.user_mapping(entry)),
        "fields": field_rows(parts.user_mapping.explain(entry), None),
    }


def field_rows(origins: Iterable[FieldOrigin], run: str | None) -> list[dict[str, Any]]:
    """Return where each field comes from."""
    return [
        {
            "field": origin.field,
            "value": origin.value,
            "mapper": origin.mapper,
            "attribute": origin.attribute,
            "raw": list(origin.raw),
            "run": run,
        }
        for origin in origins
    ]


def _differences(user: dict[str, Any], record: UserRecord) -> list[dict[str, Any]]:
    """Return where the directory has moved on since the store was written."""
    live = record_shape(record)
    names = ("username", "email", "first_name", "last_name", "dn", "attributes")
    return [
        {"field": name, "stored": user[name], "live": live[name]}
        for name in names
        if user[name] != live[name]
    ]
