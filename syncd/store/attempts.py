"""Counts what is tried: before it is tried, so that guesses beside each other do not pass.

A counter is full at its limit and then lets nobody try until its time is over; each time in a row
that takes twice as long. The counters are in the store: a restart forgets nothing, and all
processes count together.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from sqlalchemy import and_, case, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from syncd.store import schema
from syncd.store.leases import clock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from syncd.store.database import Database

A = schema.sign_in_attempts
FEWER = case((A.c.count > 0, A.c.count - 1), else_=0)
# Who has had success, kept as a counter of its own kind.
KNOWN = "known"
# A full counter takes up to so many times its window; that it was full is known for a day.
LONGEST = 4
REMEMBERED = timedelta(days=1)


class Limit(Protocol):
    """A counter, and how much of what is tried it stands."""

    @property
    def kind(self) -> str:
        """What is counted by."""

    @property
    def key(self) -> bytes:
        """Of whom or what, hashed."""

    @property
    def most(self) -> int:
        """How much is stood."""

    @property
    def window(self) -> timedelta:
        """In which time."""

    @property
    def renewed(self) -> bool:
        """Whether the time begins anew with each attempt, and success empties the counter."""

    @property
    def strangers(self) -> bool:
        """Whether it holds nobody up who is known."""


class Counter(NamedTuple):
    """A counter as it is stored."""

    tries: int
    blocks: int
    since: datetime
    until: datetime

    def row(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return {
            "count": self.tries,
            "blocks": self.blocks,
            "since": self.since,
            "until": self.until,
        }

    def full(self, limit: Limit, now: datetime) -> bool:
        """Return whether nothing may be tried at a time."""
        return self.tries >= limit.most and self.until > now

    def counted(self, limit: Limit, now: datetime) -> Counter:
        """Return it with one attempt more."""
        tries, blocks, since, until = self
        if until <= now:
            again = tries >= limit.most and now < until + REMEMBERED
            tries, blocks, since = 0, blocks + 1 if again else 0, now
            until = now + limit.window
        elif limit.renewed:
            until = now + limit.window
        tries += 1
        if tries >= limit.most:
            begin = now if limit.renewed else since
            until = max(until, begin + limit.window * min(2**blocks, LONGEST))
        return Counter(tries, min(blocks, LONGEST), since, until)


class Attempts:
    """The counters of an organization, or of all that do not exist."""

    def __init__(self, database: Database, organization_id: str | None) -> None:
        self.database = database if organization_id is None else database.of(organization_id)
        self.organization_id = organization_id or ""

    def count(self, limits: Sequence[Limit], known: bytes) -> tuple[str, float] | None:
        """Count an attempt by all limits; None if it may be made.

        Else (what is full, for how many seconds), and nothing was counted. Whoever is ``known`` is
        held up by those limits alone that hold everybody up.
        """
        with self.database.read_by_key() as connection:
            # Whoever goes on guessing keeps no writer waiting.
            full = self._full(connection, self._stored(connection, limits), limits, known)
        if full is not None:
            return full
        with self.database.write_ahead() as connection:
            now = clock(connection)
            rows = [self._row(each.kind, each.key, now) for each in _in_order(limits)]
            connection.execute(self._insert(connection).values(rows).on_conflict_do_nothing())
            there = self._stored(connection, limits, locked=True)
            full = self._full(connection, there, limits, known)
            if full is not None:
                return full
            for limit in limits:
                # One whose time is long over may have been tidied away at this moment.
                counter = there.get(limit.kind, Counter(0, 0, now, now)).counted(limit, now)
                connection.execute(
                    update(A).where(self._is(limit.kind, limit.key)).values(counter.row())
                )
        return None

    def _full(
        self,
        connection: Connection,
        there: Mapping[str, Counter],
        limits: Sequence[Limit],
        known: bytes,
    ) -> tuple[str, float] | None:
        """Return what holds an attempt up for the longest time, and for how many seconds."""
        now = clock(connection)
        full = [each for each in limits if each.kind in there and there[each.kind].full(each, now)]
        if any(each.strangers for each in full):
            query = select(A.c.until).where(self._is(KNOWN, known), A.c.until > now)
            if connection.execute(query).first() is not None:
                full = [each for each in full if not each.strangers]
        waits = [(each.kind, (there[each.kind].until - now).total_seconds()) for each in full]
        return max(waits, key=lambda each: each[1], default=None)

    def succeeded(self, limits: Sequence[Limit], known: bytes, lasts: timedelta) -> None:
        """Give an attempt that had success back, and know who it was for a time."""
        with self.database.write_ahead() as connection:
            now = clock(connection)
            # Locked in the same order as by whoever counts, else the two wait for each other.
            for each in _in_order(limits):
                mine = update(A).where(self._is(each.kind, each.key))
                empty = {"count": 0, "blocks": 0, "since": now, "until": now}
                connection.execute(mine.values(empty if each.renewed else {"count": FEWER}))
            row = self._row(KNOWN, known, now) | {"until": now + lasts}
            written = self._insert(connection).values(row)
            renewed = written.on_conflict_do_update(
                index_elements=[*A.primary_key.columns], set_={"until": row["until"]}
            )
            connection.execute(renewed)

    def forgive(self, limits: Sequence[Limit]) -> None:
        """Give an attempt back that was none."""
        with self.database.write_ahead() as connection:
            self._give_back(connection, limits)

    def _give_back(self, connection: Connection, limits: Sequence[Limit]) -> None:
        for limit in _in_order(limits):
            connection.execute(update(A).where(self._is(limit.kind, limit.key)).values(count=FEWER))

    def _stored(
        self, connection: Connection, limits: Sequence[Limit], *, locked: bool = False
    ) -> dict[str, Counter]:
        """Return the counters that there are by kind, for this transaction alone if asked."""
        keys = [(self.organization_id, each.kind, each.key) for each in limits]
        columns = (A.c.kind, A.c.count, A.c.blocks, A.c.since, A.c.until)
        query = (
            select(*columns)
            .where(tuple_(A.c.organization_id, A.c.kind, A.c.key).in_(keys))
            .order_by(A.c.kind, A.c.key)
        )
        rows = connection.execute(query.with_for_update() if locked else query)
        return {kind: Counter(*rest) for kind, *rest in rows}

    def _row(self, kind: str, key: bytes, now: datetime) -> dict[str, Any]:
        return {
            "organization_id": self.organization_id,
            "kind": kind,
            "key": key,
            "count": 0,
            "blocks": 0,
            "since": now,
            "until": now,
        }

    def _is(self, kind: str, key: bytes) -> ColumnElement[bool]:
        return and_(A.c.organization_id == self.organization_id, A.c.kind == kind, A.c.key == key)

    @staticmethod
    def _insert(connection: Connection) -> Any:  # noqa: ANN401 - either database's
        kind = postgresql if connection.dialect.name == "postgresql" else sqlite
        return kind.insert(A)


def _in_order(limits: Sequence[Limit]) -> list[Limit]:
    """Return limits in the order in which their counters are locked."""
    return sorted(limits, key=lambda each: (each.kind, each.key))
