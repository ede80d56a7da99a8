"""When each organization's syncs are due, shared by all replicas through the store.

What is due is taken by a compare-and-set, so that of any number of replicas exactly one runs it.
Whether something is due, or a claim has run out, is for the database's clock to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from syncd.records import Verdict
from syncd.store import schema
from syncd.store.leases import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from syncd.records import ListingOutcome
    from syncd.store.database import Database

T, RUNS = schema.schedules, schema.runs
FULL, CHANGED = "full", "changed"
MODES = (FULL, CHANGED)


@dataclass(frozen=True, slots=True)
class Due:
    """One organization's syncs of one mode, as the store has them."""

    organization_id: str
    mode: str
    # None: nobody schedules it.
    next_due: datetime | None
    failures: int
    last_attempt_at: datetime | None
    last_success_at: datetime | None
    claimed_by: str | None
    claimed_until: datetime | None


class Schedules:
    """All organizations' schedules. ``by`` names a claimer and must be its alone."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def now(self) -> datetime:
        """Return the time by which the store judges what is due."""
        with self.database.read() as connection:
            return clock(connection)

    def read(self) -> list[Due]:
        """Return all schedules, by organization and mode."""
        query = select(
            T.c.organization_id,
            T.c.mode,
            T.c.next_due,
            T.c.failures,
            T.c.last_attempt_at,
            T.c.last_success_at,
            T.c.claimed_by,
            T.c.claimed_until,
        ).order_by(T.c.organization_id, T.c.mode)
        with self.database.read() as connection:
            return [Due(*row) for row in connection.execute(query)]

    def ensure(self, organization_id: str, mode: str, next_due: datetime) -> None:
        """Schedule it if nobody has yet; one that is scheduled already stays as it is."""
        with self.database.read() as connection:
            query = select(T.c.next_due).where(_row(organization_id, mode))
            if connection.scalar(query) is not None:
                return
        with self.database.write() as connection:
            key = {"organization_id": organization_id, "mode": mode}
            statement = _insert(connection).values(**key, next_due=next_due)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=list(key),
                    set_={"next_due": statement.excluded.next_due},
                    where=T.c.next_due.is_(None),
                )
            )

    def unschedule(self, organization_id: str, mode: str) -> bool:
        """Let it not be due any more, unless somebody runs it now; tell whether it is."""
        return self._update(organization_id, mode, _free, next_due=None, failures=0)

    def claim(self, due: Due, *, by: str, until: datetime) -> bool:
        """Take what is due; True for exactly one caller.

        It counts as due again at ``until``, so that a claimer who dies is followed by another.
        """
        if due.next_due is None:
            return False
        with self.database.write() as connection:
            statement = (
                update(T)
                .where(
                    _row(due.organization_id, due.mode),
                    T.c.next_due == due.next_due,
                    T.c.next_due <= clock(connection),
                    T.c.claimed_until.is_not_distinct_from(due.claimed_until),
                )
                .values(next_due=until, claimed_by=by, claimed_until=until)
            )
            return connection.execute(statement).rowcount == 1

    def extend(self, organization_id: str, mode: str, *, by: str, until: datetime) -> bool:
        """Keep a claim; False when somebody else has taken it."""
        return self._update(
            organization_id,
            mode,
            lambda _now: T.c.claimed_by == by,
            next_due=until,
            claimed_until=until,
        )

    def settle(
        self, organization_id: str, mode: str, *, by: str, next_due: datetime, failures: int
    ) -> bool:
        """Give a claim back and say when it is due next; False when it is somebody else's."""
        return self._update(
            organization_id,
            mode,
            lambda _now: T.c.claimed_by == by,
            next_due=next_due,
            failures=failures,
            claimed_by=None,
            claimed_until=None,
        )

    def bring_forward(self, organization_id: str, mode: str, to: datetime) -> bool:
        """Make it due at ``to`` if that is sooner and nobody runs it; tell whether it is."""
        return self._update(
            organization_id, mode, lambda now: and_(T.c.next_due > to, _free(now)), next_due=to
        )

    def _update(
        self,
        organization_id: str,
        mode: str,
        when: Callable[[datetime], ColumnElement[bool]],
        **values: object,
    ) -> bool:
        with self.database.write() as connection:
            statement = (
                update(T)
                .where(_row(organization_id, mode), when(clock(connection)))
                .values(**values)
            )
            return connection.execute(statement).rowcount == 1


def ended(
    connection: Connection,
    run_id: int,
    status: str,
    *,
    promoted: bool,
    outcomes: Sequence[ListingOutcome],
    now: datetime,
) -> None:
    """Write down that a run ended; part of the transaction that ends it.

    It succeeded when it is done and all its listings were complete. A run of the changed entries
    that had to become a full one counts as both.
    """
    organization_id, mode, dry, began = connection.execute(
        select(RUNS.c.organization_id, RUNS.c.mode, RUNS.c.dry, RUNS.c.started_at).where(
            RUNS.c.id == run_id
        )
    ).one()
    if dry or mode not in MODES:
        return
    modes = {mode}
    if promoted:
        modes = set(MODES)
        attempted(connection, organization_id, modes - {mode}, began)
    complete = all(outcome.verdict is Verdict.COMPLETE for outcome in outcomes)
    # An approval, or the rest of a run that was killed, lists nothing and proves nothing.
    if outcomes and complete and status == "done":
        succeeded(connection, organization_id, modes, now)


def attempted(
    connection: Connection, organization_id: str, modes: Iterable[str], at: datetime
) -> None:
    """Write down that syncs of these modes began; part of the caller's transaction."""
    _note(connection, organization_id, modes, last_attempt_at=at)


def succeeded(
    connection: Connection, organization_id: str, modes: Iterable[str], at: datetime
) -> None:
    """Write down that syncs of these modes succeeded; part of the caller's transaction."""
    _note(connection, organization_id, modes, last_success_at=at)


def _note(
    connection: Connection, organization_id: str, modes: Iterable[str], **times: datetime
) -> None:
    # In one order, so that two writers never wait for each other.
    for mode in sorted(modes):
        key = {"organization_id": organization_id, "mode": mode}
        statement = _insert(connection).values(**key, **times)
        connection.execute(
            statement.on_conflict_do_update(index_elements=list(key), set_=dict(times))
        )


def _insert(connection: Connection) -> postgresql.Insert | sqlite.Insert:
    # The one thing here that plain SQL has no word for; both databases say it alike.
    if connection.dialect.name == "postgresql":
        return postgresql.insert(T)
    return sqlite.insert(T)


def _row(organization_id: str, mode: str) -> ColumnElement[bool]:
    return and_(T.c.organization_id == organization_id, T.c.mode == mode)


def _free(now: datetime) -> ColumnElement[bool]:
    return or_(T.c.claimed_until.is_(None), T.c.claimed_until <= now)
