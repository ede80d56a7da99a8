"""Holding some kinds of a plan back while the others are applied.

The rows of people who would be changed in a held kind go to the plan's end under the state "held".
What stands before them is applied; an approval releases them and goes on where that stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, exists, false, func, insert, literal, or_, select, update

from syncd.records import batched
from syncd.store import schema
from syncd.store.kinds import Kind
from syncd.store.plan_scope import WITHHELD
from syncd.store.runs import last_number, movers
from syncd.store.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement, Connection

    from syncd.store.sides import Side

P, M = schema.plan_people, schema.stage_marks
HELD = "held"
IN_LIST = 500
# Of a role or group: it would be removed, and is not until somebody approves.
REMOVAL, HELD_REMOVAL = "delete", "delete held"
ALL_CHANGES = Kind.UPDATE | Kind.RENAME | Kind.EMAIL | Kind.MOVE

# The bits of a row that each limit is about; grants and revocations stand in rows of their own.
BITS = {
    "create": Kind.CREATE,
    "update": ALL_CHANGES,
    "rename": Kind.RENAME,
    "email_change": Kind.EMAIL,
    "missing": Kind.MISSING,
    "disable": Kind.DISABLE,
    "enable": Kind.ENABLE | Kind.RETURN,
    "delete": Kind.DELETE,
}


def hold(
    connection: Connection, run_id: int, kinds: Iterable[str], people: Sequence[int] = ()
) -> tuple[int, int]:
    """Hold everybody whom these kinds concern, and these people whatever concerns them.

    Return (rows left to apply up to, rows held).
    """
    kinds = set(kinds)
    last = last_number(connection, run_id)
    bits = Kind(0)
    for kind in kinds & BITS.keys():
        bits |= BITS[kind]
    concerned: list[ColumnElement[bool]] = []
    if bits & ~Kind.CREATE:
        known = bits & ~Kind.CREATE
        concerned.append(and_(P.c.kinds.op("&")(int(known)) != 0, P.c.version > 0))
    if bits & Kind.CREATE:
        concerned.append(P.c.kinds.op("&")(int(Kind.CREATE)) != 0)
    for kind, granted in (("grant", True), ("revoke", False)):
        if kind in kinds:
            theirs = or_(
                *(
                    exists().where(
                        side.planned.c.run_id == run_id,
                        side.planned.c.user_id == P.c.user_id,
                        side.planned.c.granted if granted else ~side.planned.c.granted,
                    )
                    for side in SIDES
                )
            )
            concerned.append(and_(theirs, P.c.version > 0) if granted else theirs)
    concerned += [P.c.user_id.in_(part) for part in batched(people, IN_LIST)]
    if "remove" in kinds:
        concerned += [_loses_removed(run_id, side) for side in SIDES]
    mine = and_(P.c.run_id == run_id, P.c.state == "planned")
    held = and_(mine, or_(false(), *concerned))
    together = movers(connection, run_id)
    first_held = connection.execute(select(func.min(P.c.number)).where(held)).scalar_one()
    if first_held is None:
        _hold_removals(connection, run_id, kinds)
        return last, 0
    if first_held <= together:
        # Names change hands among all of these or among none.
        held = or_(held, and_(mine, P.c.number <= together))
    # Not by the statement's row count, which PostgreSQL's driver does not always know.
    count = connection.execute(select(func.count()).where(held)).scalar_one()
    marked = exists().where(M.c.run_id == run_id, M.c.user_id == P.c.user_id, M.c.mark == WITHHELD)
    connection.execute(
        insert(M).from_select(
            ["run_id", "user_id", "mark"],
            select(P.c.run_id, P.c.user_id, literal(WITHHELD)).where(held, ~marked).distinct(),
        )
    )
    connection.execute(update(P).where(held).values(state=HELD, number=P.c.number + literal(last)))
    _hold_removals(connection, run_id, kinds)
    return last, int(count)


def _loses_removed(run_id: int, side: Side) -> ColumnElement[bool]:
    """Return what tells people who would lose a role or group because it is removed."""
    table, planned = side.planned_targets, side.planned
    removed = select(side.of(table)).where(table.c.run_id == run_id, table.c.action == REMOVAL)
    return exists().where(
        planned.c.run_id == run_id,
        planned.c.user_id == P.c.user_id,
        ~planned.c.granted,
        side.of(planned).in_(removed),
    )


def _hold_removals(connection: Connection, run_id: int, kinds: Iterable[str]) -> None:
    if "remove" in kinds:
        _act(connection, run_id, REMOVAL, HELD_REMOVAL)


def _act(connection: Connection, run_id: int, old: str, new: str) -> None:
    for side in SIDES:
        table = side.planned_targets
        mine = and_(table.c.run_id == run_id, table.c.action == old)
        connection.execute(update(table).where(mine).values(action=new))


def release(connection: Connection, run_id: int) -> None:
    """Let the held rows be applied after all."""
    connection.execute(
        update(P).where(P.c.run_id == run_id, P.c.state == HELD).values(state="planned")
    )
    _act(connection, run_id, HELD_REMOVAL, REMOVAL)
