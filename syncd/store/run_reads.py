"""Reading the books for whoever asks: runs and their reports, the state, the quarantine.

Writes nothing. The shapes are the contract's.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select

from syncd.records import Verdict, fold
from syncd.store import plan_changes, runs, schema
from syncd.store.leases import clock, is_held
from syncd.store.restricting import newly_shut
from syncd.store.schedules import MODES
from syncd.store.waiting import is_waiting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from syncd.store.database import Database

U, Q, RUNS, T = schema.users, schema.quarantine, schema.runs, schema.schedules
L = schema.listings


def iso(value: datetime | None) -> str | None:
    """Return a time as the contract has it."""
    if value is None:
        return None
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


class RunReads:
    """The part of ``People`` that reads an organization's books."""

    database: Database
    organization_id: str

    def quarantine(self) -> list[dict[str, Any]]:
        """Return the entries that could not be taken."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(Q)
                .where(Q.c.organization_id == self.organization_id)
                .order_by(Q.c.source, Q.c.dn)
            ).all()
        return [
            {
                "source": row.source,
                "dn": row.dn,
                "external_id": row.external_id,
                "reason": row.reason,
                "attribute": row.attribute,
                "detail": row.detail,
                "first_seen": iso(row.first_seen),
                "last_seen": iso(row.last_seen),
                "attempts": row.attempts,
                "next_retry": iso(row.next_retry),
            }
            for row in rows
        ]

    def quarantined(self, username: str, dn: str | None, external_id: str | None) -> Any:  # noqa: ANN401
        """Return the quarantine row that a username, DN or id has, if any."""
        wanted = [Q.c.username_key == fold(username)]
        if dn:
            wanted.append(Q.c.dn == dn)
        if external_id:
            wanted.append(Q.c.external_id == external_id)
        with self.database.read() as connection:
            return connection.execute(
                select(Q).where(Q.c.organization_id == self.organization_id, or_(*wanted)).limit(1)
            ).one_or_none()

    def incomplete_listings(self, sources: Sequence[str]) -> list[tuple[str, str, str | None, str]]:
        """Return (source, verdict, why, run) of those whose last listing was not complete."""
        newest = (
            select(L.c.source, func.max(L.c.run_id).label("run_id"))
            .join(RUNS, RUNS.c.id == L.c.run_id)
            .where(
                RUNS.c.organization_id == self.organization_id,
                ~RUNS.c.dry,
                L.c.source.in_(sources),
            )
            .group_by(L.c.source)
            .subquery()
        )
        query = (
            select(L.c.source, L.c.verdict, L.c.because, L.c.run_id)
            .join(newest, and_(newest.c.source == L.c.source, newest.c.run_id == L.c.run_id))
            .where(L.c.verdict != Verdict.COMPLETE.value)
            .order_by(L.c.source)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        return [
            (source, verdict, because, runs.run_name(run_id))
            for source, verdict, because, run_id in rows
        ]

    def planned_change(self, username: str) -> str | None:
        """Return the blocked run that holds a change of this person."""
        P = schema.plan_people
        with self.database.read() as connection:
            run_id = connection.execute(
                select(func.max(RUNS.c.id))
                .join(P, P.c.run_id == RUNS.c.id)
                .where(
                    RUNS.c.organization_id == self.organization_id,
                    RUNS.c.status == "blocked",
                    or_(P.c.username_key == fold(username), P.c.username == username),
                )
            ).scalar_one()
        return runs.run_name(run_id) if run_id else None

    def runs(self, limit: int = 50) -> list[dict[str, Any]]:
        """Return the newest runs, newest first."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(RUNS)
                .where(RUNS.c.organization_id == self.organization_id)
                .order_by(RUNS.c.id.desc())
                .limit(limit)
            ).all()
        return [run_shape(row) for row in rows]

    def status(self) -> dict[str, Any]:
        """Return counts, last and next runs, blocked plans, the lease and the quarantine."""
        LEASES = schema.leases
        with self.database.read() as connection:
            users: dict[bool, int] = {
                bool(enabled): count
                for enabled, count in connection.execute(
                    select(U.c.enabled, func.count())
                    .where(U.c.organization_id == self.organization_id)
                    .group_by(U.c.enabled)
                )
            }
            reasons = (
                select(Q.c.reason, func.count())
                .where(Q.c.organization_id == self.organization_id)
                .group_by(Q.c.reason)
                .order_by(Q.c.reason)
            )
            quarantine = {row[0]: row[1] for row in connection.execute(reasons)}
            last = connection.execute(
                select(RUNS)
                .where(RUNS.c.organization_id == self.organization_id, ~RUNS.c.dry)
                .order_by(RUNS.c.id.desc())
                .limit(1)
            ).one_or_none()
            now = clock(connection)
            shut = newly_shut(connection, [self.organization_id], now).get(self.organization_id, 0)
            blocked = connection.execute(
                select(RUNS)
                .where(RUNS.c.organization_id == self.organization_id, is_waiting(now))
                .order_by(RUNS.c.id)
            ).all()
            modes = connection.execute(
                select(T)
                .where(T.c.organization_id == self.organization_id, T.c.mode.in_(MODES))
                .order_by(T.c.mode)
            ).all()
            lease = connection.execute(
                select(LEASES).where(LEASES.c.organization_id == self.organization_id)
            ).one_or_none()
            if lease is not None and not is_held(connection, lease, now):
                lease = None
        return {
            "last_run": run_shape(last) if last else None,
            "next": {row.mode: iso(row.next_due) for row in modes if row.next_due} or None,
            "last_attempt": {row.mode: iso(row.last_attempt_at) for row in modes},
            "last_success": {row.mode: iso(row.last_success_at) for row in modes},
            "failures": {row.mode: row.failures for row in modes},
            "blocked_plans": [
                {
                    "run": runs.run_name(row.id),
                    "since": iso(row.finished_at),
                    "expires": iso(row.expires_at),
                    "reasons": json.loads(row.reasons or "[]"),
                }
                for row in blocked
            ],
            "lease": {
                "holder": lease.holder,
                "since": iso(lease.acquired_at),
                "expires": iso(lease.expires_at),
            }
            if lease is not None
            else None,
            "quarantine": quarantine,
            "users": {
                "enabled": users.get(True, 0) - shut,
                "disabled": users.get(False, 0) + shut,
            },
            "lag_seconds": None,
        }


def run_shape(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row
    """Return a run as its report, or as much of one as there is."""
    report: dict[str, Any] = json.loads(row.report) if row.report else {}
    status = {"applying": "interrupted"}.get(row.status, row.status)
    return {
        **report,
        "run": runs.run_name(row.id),
        "organization": row.organization_id,
        "mode": row.mode,
        "status": status,
        "started_at": iso(row.started_at),
        "finished_at": iso(row.finished_at),
        "dry": bool(row.dry),
    }


def find_run(database: Database, name: str) -> Any:  # noqa: ANN401 - a row or None
    """Return a run's row by its name."""
    number = runs.run_number(name)
    if number is None:
        return None
    with database.read() as connection:
        return connection.execute(select(RUNS).where(RUNS.c.id == number)).one_or_none()


def run_changes(database: Database, run_id: int, limit: int | None = None) -> list[dict[str, Any]]:
    """Return what a run planned or did, most dangerous first."""
    with database.read() as connection:
        return list(plan_changes.changes(connection, run_id, limit))
