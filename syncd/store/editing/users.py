"""Writing people by hand: making them, their names, and what shuts them out.

Each function works on a change that its caller opened. The rules are the caller's: what may be done
to whom is not asked here.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, exists, insert, select, update

from syncd.records import batched, fold
from syncd.store import schema
from syncd.store.editing.owners import OWNER_ROLE, holders
from syncd.store.granting import put_in_order
from syncd.store.restricting import holds

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from syncd.records import NewPerson
    from syncd.store.editing.change import Change

U, I, X = schema.users, schema.identities, schema.restrictions
ADMIN = "admin"
# (source, reason) of what somebody's hand shuts people out by.
DISABLED, UNVERIFIED = (ADMIN, "disabled"), ("invitation", "unverified")
IN_LIST = 500


class Person(NamedTuple):
    """Somebody as the rules look at him."""

    id: int
    provider: str
    username: str
    email: str | None
    email_verified: bool
    first_name: str | None
    last_name: str | None
    living: bool
    # Has the role Owner, by whatever way.
    owner: bool
    # (source, reason) of all that is stored, whether it holds now or not.
    restrictions: frozenset[tuple[str, str]]


def find(change: Change, user_id: int) -> Person | None:
    """Return somebody, locked until the end of the change."""
    row = change.connection.execute(
        select(U)
        .where(U.c.id == user_id, U.c.organization_id == change.organization_id)
        .with_for_update()
    ).one_or_none()
    if row is None:
        return None
    owners = holders(OWNER_ROLE, change.organization_id)
    owns = select(U.c.id).where(U.c.id == user_id, U.c.id.in_(owners))
    shut = change.connection.execute(select(X.c.source, X.c.reason).where(X.c.user_id == user_id))
    return Person(
        row.id,
        row.provider,
        row.username,
        row.email,
        bool(row.email_verified),
        row.first_name,
        row.last_name,
        bool(row.living),
        change.connection.execute(owns).first() is not None,
        frozenset((source, reason) for source, reason in shut),
    )


def names_taken(change: Change, usernames: Collection[str]) -> dict[str, int]:
    """Return which of these usernames living people have, by comparison key, and who that is."""
    found: dict[str, int] = {}
    for part in batched(sorted({fold(name) for name in usernames}), IN_LIST):
        query = select(U.c.username_key, U.c.id).where(
            U.c.organization_id == change.organization_id, U.c.living, U.c.username_key.in_(part)
        )
        found |= {row[0]: row[1] for row in change.connection.execute(query)}
    return found


def addresses_taken(change: Change, emails: Collection[str]) -> dict[str, int]:
    """Return which of these addresses living people of the admin provider have, and who."""
    found: dict[str, int] = {}
    for part in batched(sorted({fold(email) for email in emails}), IN_LIST):
        query = select(U.c.email_key, U.c.id).where(
            U.c.organization_id == change.organization_id,
            U.c.living,
            U.c.provider == ADMIN,
            U.c.email_key.in_(part),
        )
        found |= {row[0]: row[1] for row in change.connection.execute(query)}
    return found


def create(change: Change, people: Sequence[NewPerson], *, first_id: int) -> list[int]:
    """Make people of the admin provider; return their ids.

    They have ids from ``first_id`` on, and cannot sign in before their address is verified. The
    usernames are free.
    """
    ids = list(range(first_id, first_id + len(people)))
    if not people:
        return ids
    organization_id, connection = change.organization_id, change.connection
    connection.execute(
        insert(U),
        [
            {
                "id": user_id,
                "organization_id": organization_id,
                "version": 1,
                "provider": ADMIN,
                "username": each.username,
                "username_key": fold(each.username),
                "email": each.email,
                "email_key": fold(each.email),
                "email_verified": False,
                "first_name": each.first_name,
                "last_name": each.last_name,
                "attributes": "{}",
                "living": True,
                "enabled": False,
            }
            for user_id, each in zip(ids, people, strict=True)
        ],
    )
    connection.execute(
        insert(I),
        [
            {
                "organization_id": organization_id,
                "source": ADMIN,
                "external_id": str(uuid.uuid4()),
                "user_id": user_id,
                "fingerprint": b"",
            }
            for user_id in ids
        ],
    )
    _insert_restrictions(change, ids, UNVERIFIED, None)
    for user_id in ids:
        change.of_person(user_id, "create")
        _journal_restriction(change, user_id, UNVERIFIED, held=True, because=None)
    return ids


def update_fields(change: Change, user_id: int, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Write fields of a person (username, email, email_verified, first_name, last_name).

    Return those that were other than wanted. The username is free.
    """
    row = change.connection.execute(select(U).where(U.c.id == user_id)).one()
    was = {name: getattr(row, name) for name in fields}
    now = {name: value for name, value in fields.items() if was[name] != value}
    if not now:
        return {}
    values = dict(now)
    for name in ("username", "email"):
        if name in now:
            values[f"{name}_key"] = None if now[name] is None else fold(now[name])
    change.connection.execute(
        update(U).where(U.c.id == user_id).values(version=U.c.version + 1, **values)
    )
    if "username_key" in values:
        put_in_order(change.connection, select(U.c.id).where(U.c.id == user_id))
    change.of_person(user_id, "update", {name: was[name] for name in now}, now)
    return now


def restrict(change: Change, user_id: int, by: tuple[str, str], because: str | None) -> bool:
    """Shut somebody out by (source, reason); return whether he was not by that already."""
    if _is_restricted(change, user_id, by):
        return False
    _insert_restrictions(change, [user_id], by, because)
    _keep_enabled(change, user_id)
    _journal_restriction(change, user_id, by, held=True, because=because)
    return True


def lift(change: Change, user_id: int, by: tuple[str, str], because: str | None = None) -> bool:
    """Let somebody in again as far as (source, reason) kept him out; return whether it did."""
    if not _is_restricted(change, user_id, by):
        return False
    source, reason = by
    change.connection.execute(
        delete(X).where(X.c.user_id == user_id, X.c.source == source, X.c.reason == reason)
    )
    _keep_enabled(change, user_id)
    _journal_restriction(change, user_id, by, held=False, because=because)
    return True


def _is_restricted(change: Change, user_id: int, by: tuple[str, str]) -> bool:
    source, reason = by
    query = select(X.c.user_id).where(
        X.c.user_id == user_id, X.c.source == source, X.c.reason == reason
    )
    return change.connection.execute(query).first() is not None


def _insert_restrictions(
    change: Change, user_ids: Sequence[int], by: tuple[str, str], because: str | None
) -> None:
    source, reason = by
    change.connection.execute(
        insert(X),
        [
            {
                "user_id": user_id,
                "source": source,
                "reason": reason,
                "organization_id": change.organization_id,
                "since": change.now,
                "detail": because,
            }
            for user_id in user_ids
        ],
    )


def _keep_enabled(change: Change, user_id: int) -> None:
    shut = exists().where(X.c.user_id == U.c.id, holds(change.now))
    change.connection.execute(
        update(U).where(U.c.id == user_id).values(version=U.c.version + 1, enabled=~shut)
    )


def _journal_restriction(
    change: Change, user_id: int, by: tuple[str, str], *, held: bool, because: str | None
) -> None:
    name = ":".join(by)
    after: dict[str, Any] = {name: held}
    if because:
        after["because"] = because
    change.of_person(user_id, "restrictions", {name: not held}, after)
