"""Plans that wait for somebody to approve them: which are the same, which are over.

A plan is known by what it would change. A newer run that finds the same gives way to the older, so
that the id under which somebody looks at a plan stands as long as the plan does.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, exists, func, or_, select, true, update

from syncd.store import schema
from syncd.store.leases import clock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Column, ColumnElement, Connection, Select

    from syncd.store.database import Database

RUNS, P, PG, PR = schema.runs, schema.plan_people, schema.plan_grants, schema.plan_roles
C, ROLES = schema.stage_containers, schema.roles

# A transaction's worth: SQLite has one writer at a time, who must not keep a sign-in waiting.
ROWS_PER_TRANSACTION = 2_000
# By what the rows of a plan are dropped in parts.
PARTS = (
    schema.plan_keys.c.user_id,
    schema.plan_refs.c.user_id,
    PG.c.user_id,
    PR.c.role_id,
    P.c.number,
)


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
    role = func.coalesce(PR.c.name_key, ROLES.c.name_key)
    _add(
        digest,
        connection,
        "grants",
        select(who, role, PG.c.mapper, PG.c.granted)
        .select_from(PG)
        .join(P, and_(P.c.run_id == PG.c.run_id, P.c.user_id == PG.c.user_id))
        .outerjoin(PR, and_(PR.c.run_id == PG.c.run_id, PR.c.role_id == PG.c.role_id))
        .outerjoin(ROLES, ROLES.c.id == PG.c.role_id)
        .where(left)
        .order_by(who, role, PG.c.mapper, PG.c.granted),
    )
    there = exists().where(ROLES.c.id == PR.c.role_id)
    _add(
        digest,
        connection,
        "roles",
        select(PR.c.action, PR.c.name_key, PR.c.mapper)
        .where(PR.c.run_id == run_id, ~there)
        .order_by(PR.c.name_key, PR.c.action),
    )
    if not applied:
        bearing = select(PG.c.mapper).where(PG.c.run_id == run_id)
        _add(
            digest,
            connection,
            "entries",
            select(C.c.mapper, C.c.container_key, C.c.digest)
            .where(C.c.run_id == run_id, C.c.mapper.in_(bearing))
            .order_by(C.c.mapper, C.c.container_key),
        )
    return digest.digest()


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
