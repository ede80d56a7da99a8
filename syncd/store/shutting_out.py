"""Ends sessions whose time is over, or whose people are shut out, and tells how long that took.

They hold no more from the first moment (see ``sessions``): this writes it down, each by one
process alone. Where nothing was changed since the last look nothing is looked at.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, delete, exists, func, not_, or_, select

from syncd.store import schema, waiting
from syncd.store.attempts import REMEMBERED
from syncd.store.ending import AT_ONCE, end_those, ended
from syncd.store.leases import clock
from syncd.store.sessions import lets_in

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from syncd.store.database import Database

S, U, X, ORG = schema.sessions, schema.users, schema.restrictions, schema.organizations
J, COMMITS, HEADS = schema.journal, schema.commits, schema.feed_heads
SHUT_OUT, EXPIRED = "shut_out", "expired"
# Everything is looked at so often although nothing seems to be changed.
WHOLE = timedelta(seconds=60)
# By what it shows that something was changed: the feed's position, provider, deletion.
State = tuple[Any, ...]


class ShutOut(NamedTuple):
    """A session that has ended because its person is shut out."""

    organization_id: str
    session_id: int
    # Since he was.
    seconds: float


class _Out(NamedTuple):
    """A session that holds no more."""

    id: int
    organization_id: str
    user_id: int
    started_at: datetime
    since: datetime | None
    deleted_at: datetime | None
    person: int | None


class Sweep:
    """What one process has looked at."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._seen: dict[str, State] = {}
        self._looked_at: datetime | None = None
        self._whole_at: datetime | None = None

    def shut_out(self) -> list[ShutOut]:
        """End the sessions of all who are shut out; return those that this process has ended."""
        with self.database.read() as connection:
            now = clock(connection)
            states = self._states(connection, now)
            which = self._changed(states, now)
        ended_now: list[ShutOut] = []
        if which is None or which:
            while (some := self._end(which)) is not None:
                ended_now += some
        if which is None:
            self._whole_at = now
        self._seen = {name: state[:-1] for name, state in states.items()}
        self._looked_at = now
        return ended_now

    def expired(self) -> int:
        """End the sessions that were idle for too long or are too old; return how many."""
        with self.database.read() as connection:
            now = clock(connection)
        over = and_(S.c.ended_at.is_(None), S.c.idle_until <= now)
        return end_those(self.database, over, EXPIRED)

    def tidy(self) -> int:
        """Delete what is of no use any more but sessions; return how many rows that were."""
        with self.database.read() as connection:
            now = clock(connection)
        return tidy(self.database, now)

    def _states(self, connection: Connection, now: datetime) -> dict[str, State]:
        """Return by organization its state, and whether somebody's time to be shut out has come."""
        since = self._looked_at or now
        due = exists().where(
            X.c.organization_id == ORG.c.id, X.c.waiting, X.c.since > since, X.c.since <= now
        )
        query = select(
            ORG.c.id, HEADS.c.position, ORG.c.provider, ORG.c.deleted_at, due.label("due")
        ).outerjoin(HEADS, HEADS.c.organization_id == ORG.c.id)
        return {row[0]: tuple(row[1:]) for row in connection.execute(query)}

    def _changed(self, states: dict[str, State], now: datetime) -> list[str] | None:
        """Return where something was changed; None is everywhere."""
        if self._whole_at is None or now >= self._whole_at + WHOLE:
            return None
        return [
            name
            for name, (*state, due) in states.items()
            if due or self._seen.get(name) != tuple(state)
        ]

    def _end(self, which: Collection[str] | None) -> list[ShutOut] | None:
        """End some of the sessions that hold no more; None if there are none."""
        with self.database.read_by_key() as connection:
            now = clock(connection)
            rows = self._out(connection, now, which)
            since = self._since(connection, rows)
        if not rows:
            return None
        gone = [row.id for row in rows if row.person is None]
        with self.database.write() as connection:
            ids = [row.id for row in rows]
            connection.execute(
                select(S.c.id).where(S.c.id.in_(ids)).order_by(S.c.id).with_for_update()
            )
            mine = set(ended(connection, ids, SHUT_OUT))
            now = clock(connection)
            # Nothing stays of somebody who was purged.
            connection.execute(delete(S).where(S.c.id.in_(gone)))
        return [
            ShutOut(row.organization_id, row.id, _seconds(since[row.id], now))
            for row in rows
            if row.id in mine
        ]

    def _out(
        self, connection: Connection, now: datetime, which: Collection[str] | None
    ) -> list[_Out]:
        active = and_(
            X.c.user_id == S.c.user_id, X.c.since <= now, or_(X.c.until.is_(None), X.c.until > now)
        )
        since = select(func.min(X.c.since)).where(active).scalar_subquery()
        query = (
            select(
                S.c.id,
                S.c.organization_id,
                S.c.user_id,
                S.c.started_at,
                since,
                ORG.c.deleted_at,
                U.c.id,
            )
            .select_from(S)
            .outerjoin(U, and_(U.c.id == S.c.user_id, U.c.organization_id == S.c.organization_id))
            .outerjoin(ORG, ORG.c.id == S.c.organization_id)
            .where(S.c.ended_at.is_(None), S.c.idle_until > now)
            .where(or_(U.c.id.is_(None), ORG.c.id.is_(None), not_(and_(*lets_in(now)))))
            .order_by(S.c.id)
            .limit(AT_ONCE)
        )
        if which is not None:
            query = query.where(S.c.organization_id.in_(which))
        return [_Out(*row) for row in connection.execute(query)]

    @staticmethod
    def _since(connection: Connection, rows: Sequence[_Out]) -> dict[int, datetime | None]:
        """Return by session when its person was shut out, as far as that can be told."""
        known = {row.id: row.deleted_at or row.since for row in rows}
        # By what holds since longer than they are signed in: it was written down later.
        later = [
            row
            for row in rows
            if row.deleted_at is None and (row.since is None or row.since <= row.started_at)
        ]
        newest = (
            select(J.c.user_id, func.max(J.c.change_set_id).label("change_set_id"))
            .where(
                J.c.organization_id.in_({row.organization_id for row in later}),
                J.c.user_id.in_({row.user_id for row in later}),
            )
            .group_by(J.c.user_id)
        )
        change_sets = {row[0]: row[1] for row in connection.execute(newest)} if later else {}
        query = (
            select(COMMITS.c.change_set_id, func.max(COMMITS.c.at))
            .where(
                COMMITS.c.organization_id.in_({row.organization_id for row in later}),
                COMMITS.c.change_set_id.in_(set(change_sets.values())),
            )
            .group_by(COMMITS.c.change_set_id)
        )
        written = {row[0]: row[1] for row in connection.execute(query)} if change_sets else {}
        return known | {row.id: written.get(change_sets.get(row.user_id, 0)) for row in later}


def _seconds(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max((now - since).total_seconds(), 0.0)


def tidy(database: Database, now: datetime) -> int:
    """Delete sign-ins, codes, counters and used logout tokens whose time is over."""
    B, T = schema.sign_ins, schema.used_logout_tokens
    H, A = schema.handoffs, schema.sign_in_attempts
    holds = exists().where(S.c.id == H.c.session_id, S.c.ended_at.is_(None))
    over = (
        (B.c.expires_at, B.c.expires_at < now),
        (T.c.expires_at, T.c.expires_at < now),
        # One that was full is known the next time.
        (A.c.until, A.c.until < now - REMEMBERED),
        # By a used one a portal may ask for its session.
        (H.c.expires_at, and_(H.c.expires_at < now, or_(H.c.used_at.is_(None), ~holds))),
    )
    return sum(waiting.drop_rows(database, column, rows) for column, rows in over)
