"""What a plan changes, one by one in the contract's shape, most dangerous first."""

from __future__ import annotations

import json
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select

from syncd.store import accounts, schema
from syncd.store.holding import HELD_REMOVAL, REMOVAL
from syncd.store.kinds import WRITES_ACCOUNT, Kind
from syncd.store.plan_counts import NAMES
from syncd.store.sides import MANUAL, SIDES
from syncd.store.undone_changes import undone_changes

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from sqlalchemy import Connection

P = schema.plan_people

# Most dangerous first, as plans and reports list them.
DANGER = (
    Kind.DELETE,
    Kind.MISSING,
    Kind.DISABLE,
    Kind.LEAVE,
    Kind.LOCK,
    Kind.REKEY,
    Kind.LINK,
    Kind.RENAME,
    Kind.EMAIL,
    Kind.RETURN,
    Kind.REJOIN,
    Kind.ENABLE,
    Kind.UNLOCK,
    Kind.UPDATE,
    Kind.MOVE,
    Kind.ACCOUNT,
    Kind.CREATE,
)
FIELDS = {
    Kind.RENAME: ("username",),
    Kind.EMAIL: ("email",),
    Kind.UPDATE: ("username", "email", "email_verified", "first_name", "last_name", "attributes"),
    Kind.MOVE: ("dn",),
    Kind.REKEY: ("external_id",),
}


def changes(
    connection: Connection, run_id: int, limit: int | None = None
) -> Iterator[dict[str, Any]]:
    """Yield a plan's changes in the contract's shape, the most dangerous kinds first."""
    # Closed at the limit, and the database's cursor with it.
    with closing(_every_change(connection, run_id)) as every:
        yield from islice(every, limit)


def _every_change(connection: Connection, run_id: int) -> Generator[dict[str, Any], None, None]:
    yield from _grant_changes(connection, run_id, granted=True, privileged=True)
    yield from undone_changes(connection, run_id)
    for kind in DANGER:
        if kind is Kind.RENAME:
            yield from _target_changes(connection, run_id)
            yield from _grant_changes(connection, run_id, granted=False)
        query = (
            select(P)
            .where(P.c.run_id == run_id, P.c.kinds.op("&")(int(kind)) != 0)
            .order_by(P.c.username_key, P.c.number)
        )
        options = {"stream_results": True, "max_row_buffer": 5_000}
        with connection.execute(query, execution_options=options) as result:
            for row in result.mappings():
                yield from _changes_of(kind, row)
    yield from _grant_changes(connection, run_id, granted=True, privileged=False)


def _changes_of(kind: Kind, row: Mapping[Any, Any]) -> Iterator[dict[str, Any]]:
    base = {
        "kind": NAMES[kind],
        "username": row["old_username"] if kind is Kind.RENAME else row["username"],
        "external_id": row["external_id"],
        "field": None,
        "old": None,
        "new": None,
        "cause": row["cause"],
    }
    if row["state"] == "held":
        base["cause"] = f"held for approval: {row['cause'] or 'over its limit'}"
    elif row["state"] != "planned":
        base["cause"] = "left out: the person changed since the plan was made"
    if kind not in FIELDS:
        if kind & WRITES_ACCOUNT:
            base["cause"] = base["cause"] or accounts.cause({**row, "kinds": kind})
        if kind is Kind.CREATE:
            base["new"] = row["dn"]
        yield base
        return
    for field in FIELDS[kind]:
        old, new = row[f"old_{field}"], row[field]
        if field == "attributes":
            yield from _attribute_changes(base, old, new)
            continue
        if kind is Kind.UPDATE and (
            (field == "username" and row["kinds"] & Kind.RENAME)
            or (field == "email" and row["kinds"] & Kind.EMAIL)
        ):
            continue
        if field == "email_verified":
            old, new = bool(old), bool(new)
        if old != new:
            yield base | {"field": field, "old": old, "new": new}


def _attribute_changes(
    base: dict[str, Any], old: str | None, new: str | None
) -> Iterator[dict[str, Any]]:
    was, now = json.loads(old or "{}"), json.loads(new or "{}")
    for name in sorted(was.keys() | now.keys()):
        if was.get(name) != now.get(name):
            yield base | {
                "field": f"attributes.{name}",
                "old": was.get(name),
                "new": now.get(name),
            }


def _target_changes(connection: Connection, run_id: int) -> Iterator[dict[str, Any]]:
    """Yield the roles and groups that go, of which nobody need be a member."""
    for side in SIDES:
        table = side.planned_targets
        query = (
            select(table.c.name, table.c.mapper)
            .where(table.c.run_id == run_id, table.c.action.in_((REMOVAL, HELD_REMOVAL)))
            .order_by(table.c.name)
        )
        for name, mapper in connection.execute(query):
            yield {
                "kind": f"delete_{side.kind}",
                "username": None,
                "external_id": None,
                "field": side.field,
                "old": name,
                "new": None,
                "cause": f"mapper {mapper} made it, and the directory has it no more",
            }


def _grant_changes(
    connection: Connection, run_id: int, *, granted: bool, privileged: bool | None = None
) -> Iterator[dict[str, Any]]:
    for side in SIDES:
        planned, new, targets = side.planned, side.planned_targets, side.targets
        name = func.coalesce(new.c.name, targets.c.name).label("target")
        query = (
            select(P.c.username, P.c.external_id, planned.c.mapper, name)
            .join(P, and_(P.c.run_id == planned.c.run_id, P.c.user_id == planned.c.user_id))
            .outerjoin(
                new, and_(new.c.run_id == planned.c.run_id, side.of(new) == side.of(planned))
            )
            .outerjoin(targets, targets.c.id == side.of(planned))
            .where(planned.c.run_id == run_id, planned.c.granted if granted else ~planned.c.granted)
            .order_by(P.c.username, name)
        )
        if privileged is not None:
            own = side.of(planned) < schema.FIRST_FREE_ROLE_ID
            query = query.where(own if privileged else ~own)
        options = {"stream_results": True, "max_row_buffer": 5_000}
        with connection.execute(query, execution_options=options) as result:
            for username, external_id, mapper, target in result:
                yield {
                    "kind": "grant" if granted else "revoke",
                    "username": username,
                    "external_id": external_id,
                    "field": side.field,
                    "old": None if granted else target,
                    "new": target if granted else None,
                    "cause": "by hand" if mapper == MANUAL else f"mapper {mapper}",
                }
