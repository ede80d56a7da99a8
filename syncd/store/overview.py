"""What all replicas share of every organization's state, in a handful of grouped queries.

Read at each scrape of the metrics, so nothing here walks people one by one: the living are counted
on the index of their names, the others by their restrictions, of whom there are few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from syncd.store import schema
from syncd.store.leases import clock, is_held
from syncd.store.plan_scope import MISSING
from syncd.store.restricting import newly_shut
from syncd.store.schedules import MODES
from syncd.store.waiting import is_waiting

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from sqlalchemy import Connection

    from syncd.store.database import Database

T, RUNS, Q = schema.schedules, schema.runs, schema.quarantine
U, X, L = schema.users, schema.restrictions, schema.leases
# Fewer than a statement of any database takes.
IN_LIST = 1_000


def overview(database: Database, organization_ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the state of each of these organizations, also of those the store has not seen.

    Times are aware UTC. ``disabled`` counts living people only, ``missing`` those who are gone.
    ``blocked`` counts plans that may still be approved; ``blocked_run`` is the newest one's number,
    ``blocked_since`` when the oldest began to wait.
    """
    found = {each: _nothing() for each in organization_ids}
    ids = sorted(found)
    with database.read() as connection:
        for start in range(0, len(ids), IN_LIST):
            _read(connection, found, ids[start : start + IN_LIST])
    return found


def _nothing() -> dict[str, Any]:
    return {
        "last_attempt": dict.fromkeys(MODES),
        "last_success": dict.fromkeys(MODES),
        "next": dict.fromkeys(MODES),
        "failures": dict.fromkeys(MODES, 0),
        "blocked": 0,
        "blocked_run": None,
        "blocked_since": None,
        "quarantine": {},
        "users": {"enabled": 0, "disabled": 0, "missing": 0},
        "lease_held": False,
    }


def _read(connection: Connection, found: dict[str, dict[str, Any]], ids: list[str]) -> None:
    now = clock(connection)
    for row in connection.execute(
        select(T).where(T.c.organization_id.in_(ids), T.c.mode.in_(MODES))
    ):
        state = found[row.organization_id]
        state["last_attempt"][row.mode] = row.last_attempt_at
        state["last_success"][row.mode] = row.last_success_at
        state["next"][row.mode] = row.next_due
        state["failures"][row.mode] = row.failures
    for organization_id, count, newest, since in connection.execute(
        select(
            RUNS.c.organization_id, func.count(), func.max(RUNS.c.id), func.min(RUNS.c.finished_at)
        )
        .where(RUNS.c.organization_id.in_(ids), is_waiting(now))
        .group_by(RUNS.c.organization_id)
    ):
        found[organization_id] |= {
            "blocked": count,
            "blocked_run": newest,
            "blocked_since": since,
        }
    for organization_id, reason, count in connection.execute(
        select(Q.c.organization_id, Q.c.reason, func.count())
        .where(Q.c.organization_id.in_(ids))
        .group_by(Q.c.organization_id, Q.c.reason)
        .order_by(Q.c.reason)
    ):
        found[organization_id]["quarantine"][reason] = count
    for organization_id, name, count in _people(connection, ids, now):
        found[organization_id]["users"][name] += count
    for lease in connection.execute(select(L).where(L.c.organization_id.in_(ids))):
        found[lease.organization_id]["lease_held"] = is_held(connection, lease, now)


def _people(
    connection: Connection, ids: list[str], now: datetime
) -> Iterator[tuple[str, str, int]]:
    """Yield (organization, state, how many to add to it)."""
    living = (
        select(U.c.organization_id, func.count())
        .where(U.c.organization_id.in_(ids), U.c.living)
        .group_by(U.c.organization_id)
    )
    for organization_id, count in connection.execute(living):
        yield organization_id, "enabled", count
    missing = (
        select(X.c.organization_id, func.count())
        .where(X.c.organization_id.in_(ids), X.c.reason == MISSING)
        .group_by(X.c.organization_id)
    )
    for organization_id, count in connection.execute(missing):
        yield organization_id, "missing", count
    disabled = (
        select(X.c.organization_id, func.count(U.c.id.distinct()))
        .join(U, U.c.id == X.c.user_id)
        .where(X.c.organization_id.in_(ids), X.c.reason != MISSING, U.c.living, ~U.c.enabled)
        .group_by(X.c.organization_id)
    )
    for organization_id, count in connection.execute(disabled):
        yield organization_id, "disabled", count
        yield organization_id, "enabled", -count
    for organization_id, count in newly_shut(connection, ids, now).items():
        yield organization_id, "disabled", count
        yield organization_id, "enabled", -count
