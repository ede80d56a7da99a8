"""How people stand now, and how they stood before a row of their journal was written."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from syncd.store import schema
from syncd.store.account_journal import OPEN, account_of, iso
from syncd.store.accounts import DISABLED, END, LOCKED
from syncd.store.identifying import is_shown
from syncd.store.plan_scope import ACCOUNT_STATE, DIRECTORY, MISSING
from syncd.store.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

U, I, X = schema.users, schema.identities, schema.restrictions
FIELDS = ("username", "email", "email_verified", "first_name", "last_name", "attributes")
# The id of a role or group, and by whom it was given.
Pair = tuple[int, str | None]
# Whose restriction it is, and which.
Reason = tuple[str, str]


@dataclass
class Standing:
    """A person as he stands: fields, what keeps him out, and what he holds."""

    user_id: int
    version: int
    provider: str
    living: bool
    external_id: str | None
    # Those of FIELDS, attributes parsed, and the DN.
    fields: dict[str, Any]
    # The attributes as they are stored.
    stored_attributes: str = "{}"
    missing: bool = False
    account: dict[str, Any] = field(default_factory=lambda: dict(OPEN))
    # Neither absence nor account state, with since when as far as that is known.
    others: dict[Reason, datetime | None] = field(default_factory=dict)
    # By the journal's kinds.
    held: dict[str, set[Pair]] = field(
        default_factory=lambda: {side.journal_kind: set() for side in SIDES}
    )

    def back(self, kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Stand as before a row of the journal."""
        if kind == "update":
            for name, value in before.items():
                if name in self.fields:
                    self.fields[name] = field_value(name, value)
        elif kind in self.held:
            held = self.held[kind]
            held -= pairs(after.get("granted"))
            held |= pairs(after.get("revoked"))
        elif kind == "restrictions":
            self._unrestrict(before)

    def _unrestrict(self, before: Mapping[str, Any]) -> None:
        if "account" in before:
            self.account = dict(before["account"])
        for name, was in before.items():
            if name == MISSING:
                self.missing = bool(was)
            elif name in {DISABLED, LOCKED}:
                if "account" not in before:
                    self.account = {**self.account, **account_change(name, held=bool(was))}
            elif ":" in name:
                source, _, reason = name.partition(":")
                self.others.pop((source, reason), None)
                if was:
                    self.others[source, reason] = None

    def same_as(self, other: Standing) -> bool:
        """Return whether both stand alike; versions and ids apart."""
        return (
            {**self.fields, "dn": None} == {**other.fields, "dn": None}
            and self.missing == other.missing
            and self.account == other.account
            and self.others.keys() == other.others.keys()
            and self.held == other.held
        )

    def copy(self) -> Standing:
        """Return another one that stands alike."""
        return Standing(
            self.user_id,
            self.version,
            self.provider,
            self.living,
            self.external_id,
            dict(self.fields),
            self.stored_attributes,
            self.missing,
            dict(self.account),
            dict(self.others),
            {kind: set(held) for kind, held in self.held.items()},
        )


def pairs(listed: Any) -> set[Pair]:  # noqa: ANN401 - a journal's JSON
    """Return the (role or group, source) of a list."""
    return {(int(number), source) for number, source in listed or ()}


def field_value(name: str, value: Any) -> Any:  # noqa: ANN401 - a journal's JSON
    """Return a field's value as it is compared: attributes parsed, flags as such."""
    if name == "attributes":
        return json.loads(value) if isinstance(value, str) else value or {}
    return bool(value) if name == "email_verified" else value


def account_change(name: str, *, held: bool) -> dict[str, Any]:
    """Return what a bare reason of the journal says of the account."""
    if name == DISABLED:
        return {"disabled": held}
    return {"locked_until": iso(END) if held else None}


def standings(connection: Connection, user_ids: Sequence[int]) -> dict[int, Standing]:
    """Return how these people stand now; whoever is not there is left out."""
    found: dict[int, Standing] = {}
    query = (
        select(
            U.c.id,
            U.c.version,
            U.c.provider,
            U.c.living,
            I.c.external_id,
            I.c.dn,
            *(U.c[name] for name in FIELDS),
        )
        .outerjoin(I, is_shown())
        .where(U.c.id.in_(user_ids))
    )
    for user_id, version, provider, living, external_id, dn, *values in connection.execute(query):
        fields = {
            name: field_value(name, value) for name, value in zip(FIELDS, values, strict=True)
        }
        found[user_id] = Standing(
            user_id,
            version,
            provider,
            bool(living),
            external_id,
            {**fields, "dn": dn},
            values[FIELDS.index("attributes")],
        )
    accounts: dict[int, list[tuple[str, datetime, datetime | None]]] = {}
    restrictions = select(X.c.user_id, X.c.source, X.c.reason, X.c.since, X.c.until).where(
        X.c.user_id.in_(user_ids)
    )
    for user_id, source, reason, since, until in connection.execute(restrictions):
        if user_id not in found:
            continue
        if source == ACCOUNT_STATE:
            accounts.setdefault(user_id, []).append((reason, since, until))
        elif (source, reason) == (DIRECTORY, MISSING):
            found[user_id].missing = True
        else:
            found[user_id].others[source, reason] = since
    for user_id, rows in accounts.items():
        found[user_id].account = account_of(rows)
    for side in SIDES:
        held = side.held
        given = select(held.c.user_id, side.of(held), held.c.source).where(
            held.c.user_id.in_(user_ids)
        )
        for user_id, target_id, source in connection.execute(given):
            if user_id in found:
                found[user_id].held[side.journal_kind].add((target_id, source))
    return found
