"""The book of runs: beginning, progress, plans that wait, and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, func, insert, or_, select, union, update

from syncd.errors import PlanNotApprovable
from syncd.store import schedules, schema, waiting
from syncd.store.leases import clock
from syncd.store.sides import SIDES
from syncd.store.staging import allocate

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from syncd.store.database import Database

RUNS, P = schema.runs, schema.plan_people
# Modes that are planned anew from what is stored when a process ended in their middle.
PLANNED_ANEW = ("switch", "rekey")


def run_name(run_id: int) -> str:
    """Return the id by which people call a run."""
    return f"r-{run_id:06d}"


def run_number(name: str) -> int | None:
    """Return the number in a run's name; None when it is none."""
    digits = name.removeprefix("r-")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 18 else None


def begin(database: Database, organization_id: str, mode: str, *, dry: bool) -> int:
    """Write a new run down; runs that were killed while collecting are marked as interrupted.

    Plans that have waited too long end here, too.
    """
    with database.write() as connection:
        now = clock(connection)
        expired = waiting.expire(connection, organization_id, now)
        half = and_(RUNS.c.status == "applying", RUNS.c.mode.in_(PLANNED_ANEW))
        stopped = or_(RUNS.c.status == "running", half)
        connection.execute(
            update(RUNS)
            .where(RUNS.c.organization_id == organization_id, stopped)
            .values(status="interrupted", finished_at=now)
        )
        run_id = allocate(connection, "runs", 1)
        connection.execute(
            insert(RUNS).values(
                id=run_id,
                organization_id=organization_id,
                mode=mode,
                status="running",
                started_at=now,
                dry=dry,
            )
        )
        if not dry and mode in schedules.MODES:
            schedules.attempted(connection, organization_id, (mode,), now)
    waiting.forget_plans(database, expired)
    return run_id


def require_applicable(connection: Connection, run_id: int) -> None:
    """Make sure that a plan may still be applied, and lock it until the transaction's end."""
    query = select(RUNS.c.status).where(RUNS.c.id == run_id).with_for_update()
    status = connection.scalar(query)
    if status not in {"running", "blocked"}:
        message = (
            f"run {run_name(run_id)} is {status} by now, and nothing of it was applied; see "
            "`syncd status` for the plans that wait"
        )
        raise PlanNotApprovable(message)


def set_status(connection: Connection, run_id: int, status: str, **values: object) -> None:
    """Move a run on."""
    connection.execute(update(RUNS).where(RUNS.c.id == run_id).values(status=status, **values))


def begin_change_set(
    connection: Connection, organization_id: str, run_id: int, actor: str, why: str | None
) -> int:
    """Open the change set under which a run's journal rows are written."""
    change_set_id = allocate(connection, "change_sets", 1)
    connection.execute(
        insert(schema.change_sets).values(
            id=change_set_id,
            organization_id=organization_id,
            run_id=run_id,
            actor=actor,
            why=why,
            at=clock(connection),
        )
    )
    return change_set_id


def mode_of(connection: Connection, run_id: int) -> str:
    """Return whether a run is a full one, of what changed, or of one person."""
    mode: str = connection.execute(select(RUNS.c.mode).where(RUNS.c.id == run_id)).scalar_one()
    return mode


def last_number(connection: Connection, run_id: int) -> int:
    """Return the number of a plan's last row."""
    query = select(func.coalesce(func.max(P.c.number), 0)).where(P.c.run_id == run_id)
    return int(connection.execute(query).scalar_one())


def planned_mappers(connection: Connection, run_id: int) -> list[str]:
    """Return the mappers whose roles or groups a plan gives or takes."""
    query = union(
        *(select(side.planned.c.mapper).where(side.planned.c.run_id == run_id) for side in SIDES)
    )
    return sorted(connection.scalars(query))


def movers(connection: Connection, run_id: int) -> int:
    """Return how many rows at the plan's beginning belong into one transaction."""
    marks = schema.stage_marks
    query = (
        select(func.coalesce(func.max(P.c.number), 0))
        .join(marks, and_(marks.c.run_id == P.c.run_id, marks.c.user_id == P.c.user_id))
        .where(P.c.run_id == run_id, P.c.state == "planned", marks.c.mark == "mover")
    )
    return int(connection.execute(query).scalar_one())
