"""Plans that wait for somebody to approve them: which are the same, which are over.

A plan is known by what it would change. A newer run that finds the same gives way to the older, so
that the id under which somebody looks at a plan stands as long as the plan does.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, exists, func, or_, select, true, union, update

from syncd.store import schema
from syncd.store.leases import clock
from syncd.store.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Column, ColumnElement, Connection, Select

    from syncd.store.database import Database
    from syncd.store.sides import Side

RUNS, P, C = schema.runs, schema.plan_people, schema.stage_containers

# A transaction's worth: SQLite has one writer at a time, who must not keep a sign-in waiting.
ROWS_PER_TRANSACTION = 2_000
# By what the rows of a plan are dropped in parts.
PARTS = (
    schema.plan_keys.c.user_id,
    schema.plan_refs.c.user_id,
    schema.plan_restrictions.c.user_id,
    schema.plan_objects.c.number,
    *(side.planned.c.user_id for side in SIDES),
    *(side.of(side.planned_targets) for side in SIDES),
    P.c.number,
)


class WaitingReads:
    """The part of ``SyncStore`` that knows the plan which waits."""

    database: Database
    organization_id: str

    def waiting_run(self) -> int | None:
        """Return the run whose plan waits for somebody to approve it."""
        blocked = select(func.max(RUNS.c.id)).where(
            RUNS.c.organization_id == self.organization_id, RUNS.c.status == "blocked", ~RUNS.c.dry
        )
        with self.database.read() as connection:
            found: int | None = connection.scalar(blocked)
        return found

    def waiting_doubts(self, run_id: int | None) -> list[str]:
        """Return the doubts under which a run's plan waits that no later run can see again."""
        with self.database.read() as connection:
            report = connection.scalar(select(RUNS.c.report).where(RUNS.c.id == run_id))
        return list(json.loads(report).get("doubts", ())) if report else []


def plan_digest(connection: Connection, run_id: int) -> bytes:
    """Return a hash of what a run's plan would still change; equal for equal changes.

    Ids that a plan hands out are not part of it, nor are causes. Of the role entries that its role
    changes rest on the content is: an approval would leave those changes out.
    """
    digest = blake2b(digest_size=32)
    applied = connection.scalar(select(RUNS.c.applied_number).where(RUNS.c.id == run_id)) or 0
    # Of a plan that was let through in part, what was held back.
    left = and_(
        P.c.run_id == run_id,
        or_(P.c.state == "held", and_(P.c.state == "planned", P.c.number > applied)),
    )
    who = func.coalesce(P.c.external_id, P.c.username)
    _add(
        digest,
        connection,
        "people",
        select(who, P.c.kinds, P.c.version, P.c.fingerprint)
        .where(left)
        .order_by(who, P.c.kinds, P.c.version),
    )
    for side in SIDES:
        _add_side(digest, connection, side, left, run_id)
    _add_undo(digest, connection, run_id)
    if not applied:
        bearing = union(
            *(
                select(side.planned.c.mapper).where(side.planned.c.run_id == run_id)
                for side in SIDES
            )
        )
        _add(
            digest,
            connection,
            "entries",
            select(C.c.mapper, C.c.container_key, C.c.digest)
            .where(C.c.run_id == run_id, C.c.mapper.in_(bearing))
            .order_by(C.c.mapper, C.c.container_key),
        )
    return digest.digest()


def _add_undo(digest: blake2b, connection: Connection, run_id: int) -> None:
    """Add what only an undo brings."""
    PX, PO = schema.plan_restrictions, schema.plan_objects
    _add(
        digest,
        connection,
        "restrictions",
        select(PX.c.user_id, PX.c.source, PX.c.reason, PX.c.holds)
        .where(PX.c.run_id == run_id)
        .order_by(PX.c.user_id, PX.c.source, PX.c.reason),
    )
    _add(
        digest,
        connection,
        "objects",
        select(PO.c.object, PO.c.object_id, PO.c.before, PO.c.after)
        .where(PO.c.run_id == run_id)
        .order_by(PO.c.number),
    )
    # Two undos are not one, whatever they come to.
    undoes = select(RUNS.c.undoes).where(RUNS.c.id == run_id, RUNS.c.undoes.is_not(None))
    _add(digest, connection, "undoes", undoes)


def _add_side(
    digest: blake2b, connection: Connection, side: Side, left: ColumnElement[bool], run_id: int
) -> None:
    """Add who is given what, and which roles or groups come, change or go."""
    planned, new, targets = side.planned, side.planned_targets, side.targets
    who = func.coalesce(P.c.external_id, P.c.username)
    # A group has no name of its own; what the directory knows it by is the same in every plan.
    known_by = "name_key" if side.kind == "role" else "external_id"
    what = func.coalesce(new.c[known_by], targets.c[known_by])
    _add(
        digest,
        connection,
        side.journal_kind,
        select(who, what, planned.c.mapper, planned.c.granted)
        .select_from(planned)
        .join(P, and_(P.c.run_id == planned.c.run_id, P.c.user_id == planned.c.user_id))
        .outerjoin(new, and_(new.c.run_id == planned.c.run_id, side.of(new) == side.of(planned)))
        .outerjoin(targets, targets.c.id == side.of(planned))
        .where(left)
        .order_by(who, what, planned.c.mapper, planned.c.granted),
    )
    # One that an earlier, partial application has made already is not to come any more.
    there = and_(exists().where(targets.c.id == side.of(new)), new.c.action == "create")
    shown = [new.c.attributes] if side.kind == "group" else []
    _add(
        digest,
        connection,
        side.field,
        select(new.c.action, new.c[known_by], new.c.name_key, new.c.mapper, *shown)
        .where(new.c.run_id == run_id, ~there)
        .order_by(new.c[known_by], new.c.mapper, new.c.action),
    )


def _add(digest: blake2b, connection: Connection, part: str, query: Select[Any]) -> None:
    options = {"stream_results": True, "max_row_buffer": 5_000}
    with connection.execute(query, execution_options=options) as rows:
        for row in rows:
            digest.update(repr((part, *row)).encode())


def same_plan(
    connection: Connection, run_id: int, digest: bytes, watermark: str | None, now: datetime
) -> int | None:
    """Return the older run that waits with the same plan, if its evidence is as good.

    ``watermark`` is what is stored with the newer one. A plan of another ground is another plan:
    its approval would settle that ground.
    """
    own = RUNS.alias("own")
    query = (
        select(RUNS.c.id, RUNS.c.watermark)
        .join(own, and_(own.c.organization_id == RUNS.c.organization_id, own.c.mode == RUNS.c.mode))
        .where(
            own.c.id == run_id,
            RUNS.c.id < run_id,
            is_waiting(now),
            RUNS.c.plan_digest == digest,
        )
        .order_by(RUNS.c.id)
    )
    for older, stored in connection.execute(query):
        if watermark is None or (stored is not None and _ground(stored) == _ground(watermark)):
            return int(older)
    return None


def given_way(report: Mapping[str, Any], older: str) -> tuple[str, dict[str, Any]]:
    """Return the status and report of a run whose plan is that of an older one."""
    because = f"its plan is that of {older}, which still waits; look at that one"
    reasons = [because, *report.get("reasons", ())]
    return "superseded", {**report, "status": "superseded", "reasons": reasons}


def _ground(watermark: str) -> tuple[str, str]:
    kind, _, ground = json.loads(watermark)
    return kind, ground


def supersede(connection: Connection, organization_id: str, but: int, now: datetime) -> list[int]:
    """End the blocked plans that a newer run has made out of date."""
    return _end(connection, organization_id, RUNS.c.id != but, "superseded", now)


def expire(connection: Connection, organization_id: str, now: datetime) -> list[int]:
    """End the blocked plans that have waited too long; return their runs."""
    return _end(connection, organization_id, RUNS.c.expires_at <= now, "expired", now)


def _end(
    connection: Connection,
    organization_id: str,
    which: ColumnElement[bool],
    status: str,
    now: datetime,
) -> list[int]:
    blocked = and_(RUNS.c.organization_id == organization_id, RUNS.c.status == "blocked", which)
    # Locked first: whoever approves one of them at this moment is waited for, and then wins.
    old = list(
        connection.scalars(select(RUNS.c.id).where(blocked).order_by(RUNS.c.id).with_for_update())
    )
    if old:
        connection.execute(
            update(RUNS).where(RUNS.c.id.in_(old)).values(status=status, finished_at=now)
        )
    return old


def is_waiting(now: datetime) -> ColumnElement[bool]:
    """Return what tells the runs whose plans wait and may still be approved."""
    return and_(
        RUNS.c.status == "blocked", or_(RUNS.c.expires_at.is_(None), RUNS.c.expires_at > now)
    )


def end_overdue(database: Database, organization_id: str) -> list[int]:
    """End an organization's plans that have waited too long, and drop their rows."""
    with database.write() as connection:
        expired = expire(connection, organization_id, clock(connection))
    forget_plans(database, expired)
    return expired


def forget_plans(database: Database, run_ids: Sequence[int]) -> int:
    """Drop the rows of plans that nobody can apply any more; return how many there were.

    What such a run did write stays on record: of a plan that was let through in part only the rest
    is dropped.
    """
    if not run_ids:
        return 0
    with database.read() as connection:
        query = select(RUNS.c.id, RUNS.c.applied_number).where(RUNS.c.id.in_(run_ids))
        applied = {run_id: number for run_id, number in connection.execute(query) if number}
    dropped = sum(
        drop_rows(database, P.c.number, and_(P.c.run_id == run_id, P.c.number > number))
        for run_id, number in applied.items()
    )
    return dropped + drop_plans(database, [each for each in run_ids if each not in applied])


def drop_plans(database: Database, run_ids: Sequence[int]) -> int:
    """Drop whole plans; return how many rows they had."""
    dropped = 0
    for column in PARTS:
        table = column.table
        # Most runs have no plan.
        with database.read() as connection:
            query = select(table.c.run_id).where(table.c.run_id.in_(run_ids)).distinct()
            found = list(connection.scalars(query))
        for run_id in found:
            dropped += drop_rows(database, column, table.c.run_id == run_id)
    return dropped


def drop_rows(database: Database, column: Column[Any], rows: ColumnElement[bool]) -> int:
    """Delete rows in transactions of bounded size, in the order of a column; return how many.

    The column is the next of an index behind what ``rows`` compares, so that no part is looked for
    among the rows that stay.
    """
    dropped = 0
    behind: ColumnElement[bool] = true()
    while True:
        with database.read() as connection:
            part = select(column).where(rows, behind).order_by(column).limit(ROWS_PER_TRANSACTION)
            values = part.subquery().c[0]
            first, last = connection.execute(select(func.min(values), func.max(values))).one()
        if last is None:
            return dropped
        with database.write() as connection:
            statement = delete(column.table).where(rows, column.between(first, last))
            dropped += connection.execute(statement).rowcount
        behind = column > last
