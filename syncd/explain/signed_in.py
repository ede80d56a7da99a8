"""Says where a person's fields, roles and groups come from whom an identity provider's claims made.

Nobody is asked: what the claims were is nowhere kept. The journal knows the change set of each
value, and the configuration the mapper that it is of.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from syncd.explain.notes import Reason
from syncd.naming import group_names, joined_path
from syncd.records import fold
from syncd.store.origins import field_origin
from syncd.store.run_reads import iso
from syncd.store.sides import GROUPS, ROLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.store.people import People
    from syncd.store.sides import Side

RECORD_FIELDS = ("username", "email", "email_verified", "first_name", "last_name")


@dataclass(frozen=True, slots=True)
class Claimed:
    """What an organization's claim mappers are for, as they are configured."""

    # A field, or ``attributes.<name>``: the mapper, and the claim that it reads, if it does.
    fields: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    # ("role" or "group", name or path as it is written): the mappers that give it.
    givers: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)


class SignedIn:
    """Answers about the people of an organization whose provider is an identity provider."""

    def __init__(self, people: People, claimed: Claimed) -> None:
        self._people, self._claimed = people, claimed

    def explain(
        self, username: str, *, role: str | None = None, group: str | None = None
    ) -> dict[str, Any]:
        """Explain one person, and why he has or lacks a role or a group."""
        user = self._people.user(username)
        if user is None:
            return self._absent(username)
        answer = {
            "username": user["username"],
            "present": True,
            "user": user,
            "live": False,
            "fields": self._fields(user),
            "roles": self._people.role_sources(user["id"]),
            "groups": self._people.group_sources(user["id"]),
            "differs": [],
        }
        for side, name in ((ROLES, role), (GROUPS, group)):
            if name is not None:
                answer[side.kind] = self._asked(side, name, user, answer[f"{side.kind}s"])
        return answer

    def _fields(self, user: dict[str, Any]) -> list[dict[str, Any]]:
        known = self._people.origins(user["id"])
        values = {name: user[name] for name in RECORD_FIELDS}
        values |= {f"attributes.{name}": each for name, each in sorted(user["attributes"].items())}
        rows = []
        for name, value in values.items():
            mapper, claim = self._claimed.fields.get(name, (None, None))
            origin = field_origin(known, name)
            rows.append(
                {
                    "field": name,
                    "value": value,
                    "mapper": mapper if user["provider"] == "idp" else None,
                    "attribute": claim if user["provider"] == "idp" else None,
                    "raw": [],
                    "run": None if origin is None else origin.run,
                    "change_set": None if origin is None else origin.change_set,
                }
            )
        return rows

    def _absent(self, username: str) -> dict[str, Any]:
        people, org = self._people, self._people.organization_id
        since = people.excluded_since(username, None)
        row = people.quarantined(username, None, None)
        known = True
        if since is not None:
            reason = "excluded"
            detail = (
                f"somebody deleted this person for good at {iso(since)}, so he is not let in; "
                "`syncd exclusions remove` lets the next sign-in bring him back as somebody new"
            )
        elif row is not None:
            reason, detail = "refused", f"{row.reason}: {row.detail}"
        else:
            reason, known = "not_signed_in", False
            detail = f"nobody of this username has signed in to {org} yet"
        return {
            "username": username,
            "present": False,
            "known": known,
            "reason": reason,
            "detail": detail,
            "clause": None,
            "run": None,
        }

    def _asked(
        self, side: Side, name: str, user: dict[str, Any], held: list[dict[str, Any]]
    ) -> dict[str, Any]:
        called = [each for each in held if fold(each["name"]) == fold(name)]
        called = called or [each for each in held if fold(each.get("path") or "") == fold(name)]
        if called:
            sources = [source for each in called for source in each["sources"]]
            return {"name": called[0]["name"], "held": True, "sources": sources}
        targets = self._people.targets(side, name)
        found = self._lacking(side, name, there=bool(targets))
        given_by = self._groups_with([each.id for each in targets]) if side is ROLES else []
        return {
            "name": targets[0].name if targets else name,
            "held": False,
            **found._asdict(),
            "containers": [],
            "notes": [each._asdict() for each in (*given_by, *self._about(user))],
        }

    def _lacking(self, side: Side, name: str, *, there: bool) -> Reason:
        org, kind = self._people.organization_id, side.kind
        mappers = sorted(
            mapper
            for (of_kind, written), several in self._claimed.givers.items()
            if of_kind == kind and _named(kind, written, name)
            for mapper in several
        )
        if mappers:
            gives = f"mapper {mappers[0]} gives it"
            if len(mappers) > 1:
                gives = f"mappers {', '.join(mappers)} give it"
            missing = "" if there else f", though there is no such {kind} here"
            return Reason(
                "not_claimed",
                f"{gives}{missing}, and what the provider said at the last sign-in did not match, "
                "or nobody has signed in since it was configured",
                f"`syncd mappers try {org} --claims FILE` shows what claims come to",
            )
        if there:
            return Reason(
                "no_mapper",
                f"no claim mapper gives this {kind}",
                f"name it in a claim-to-{kind} mapper, or give it by hand",
            )
        return Reason(
            f"unknown_{kind}",
            f"there is no {kind} of this name, and no claim mapper gives it",
            f"`syncd {kind}s {org}` lists those that there are",
        )

    def _about(self, user: dict[str, Any]) -> list[Reason]:
        org = self._people.organization_id
        found = [
            Reason(
                "person_quarantined",
                f"the last sign-in was refused ({row['reason']}: {row['detail']}), so what the "
                "provider says by now is not taken",
                f"`syncd quarantine {org}`",
            )
            for row in self._people.quarantine()
            if row["external_id"] is not None and row["external_id"] == user["external_id"]
        ]
        if not user["enabled"]:
            found.append(
                Reason(
                    "restricted",
                    "the account is disabled; that takes nothing away, and gives nothing",
                    f"`syncd show {org} {user['username']}`",
                )
            )
        return found

    def _groups_with(self, role_ids: list[int]) -> list[Reason]:
        paths = self._people.groups_with(role_ids)
        if not paths:
            return []
        several = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
        return [
            Reason(
                "groups_give",
                f"the group {several} gives it to its members and those of the groups below it",
            )
        ]


def _named(kind: str, written: str, name: str) -> bool:
    """Return whether a mapper's role or group is the one that was asked for, by name or path."""
    if kind == "role" or fold(written) == fold(name):
        return fold(written) == fold(name)
    names = group_names(written)
    return fold(name) in {fold(names[-1]), fold(joined_path(names))}
