"""Approvals that somebody asked for from where no plan is applied: noted here, done by a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, select, update

from syncd.errors import NotFound, PlanNotApprovable, Refused
from syncd.store import schema
from syncd.store.leases import clock
from syncd.store.runs import run_name, run_number
from syncd.store.waiting import is_waiting

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from syncd.store.database import Database

RUNS = schema.runs
# What only operators begin, and what may make owners: more than editing the organization.
OF_OWNERS = ("undo", "switch", "rekey")


def ask(database: Database, organization_id: str, run: str, actor: str, *, owner: bool) -> None:
    """Note that somebody approves a plan that waits.

    Raises:
        NotFound: The organization has no such run.
        PlanNotApprovable: It does not wait, or not any more.
        Refused: ``owner_only``.

    """
    number = run_number(run)
    mine = and_(RUNS.c.id == number, RUNS.c.organization_id == organization_id)
    with database.write() as connection:
        found = connection.execute(select(RUNS.c.status, RUNS.c.mode).where(mine)).one_or_none()
        if number is None or found is None:
            raise NotFound(f"there is no run {run} in {organization_id}")
        status, mode = found
        if mode in OF_OWNERS and not owner:
            raise Refused(
                f"run {run} is of the kind {mode}; an owner has to approve it", "owner_only"
            )
        waits = and_(mine, is_waiting(clock(connection)))
        asked = update(RUNS).where(waits).values(approval_asked_by=actor)
        if connection.execute(asked).rowcount != 1:
            raise PlanNotApprovable(
                f"run {run} is {status} and waits for nobody any more; only a blocked run whose "
                "time is not over is approved"
            )


def asked_for(database: Database) -> list[str]:
    """Return the organizations in which a plan has been approved that is not applied yet."""
    query = select(RUNS.c.organization_id).where(_is_asked()).distinct()
    with database.read() as connection:
        return sorted(connection.scalars(query))


def asked_of(database: Database, organization_id: str) -> list[tuple[str, str]]:
    """Return (run, who approved it) of one organization, the oldest first."""
    query = (
        select(RUNS.c.id, RUNS.c.approval_asked_by)
        .where(RUNS.c.organization_id == organization_id, _is_asked())
        .order_by(RUNS.c.id)
    )
    with database.read() as connection:
        return [(run_name(number), actor) for number, actor in connection.execute(query)]


def forget(database: Database, run: str) -> None:
    """Drop an approval that cannot be carried out: the plan waits as before."""
    with database.write() as connection:
        statement = update(RUNS).where(RUNS.c.id == run_number(run))
        connection.execute(statement.values(approval_asked_by=None))


def _is_asked() -> ColumnElement[bool]:
    return and_(RUNS.c.status == "blocked", RUNS.c.approval_asked_by.is_not(None))
