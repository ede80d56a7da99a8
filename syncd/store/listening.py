"""Waiting for an organization's next commit: LISTEN on PostgreSQL, a look now and then on SQLite.

A process has one connection that listens, in a thread of its own, for all who wait. It comes with
the first of them and goes soon after the last. Should it break, whoever waits looks by himself.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from sqlalchemy import select

from syncd.store import schema
from syncd.store.feed import CHANNEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from syncd.store.database import Database

HEADS = schema.feed_heads
# How often a store is asked that cannot call.
LOOK_SECONDS = 0.25
# Nobody relies on being called alone: a connection may break without a word.
SLICE_SECONDS = 5.0
CONNECT_SECONDS = 5.0
# How long a connection goes on listening for nobody.
IDLE_SECONDS = 2.0
TURN_SECONDS = 0.5


class Watch(Protocol):
    """Somebody who waits for an organization's commits."""

    def seen(self) -> object:
        """Return what to compare with; before the feed is read."""

    def wait(self, seen: object, seconds: float) -> None:
        """Return when there may be something new since ``seen``, or after so many seconds."""


@contextmanager
def watching(database: Database, organization_id: str) -> Iterator[Watch]:
    """Yield what waits for the organization's commits."""
    if database.dialect == "sqlite":
        yield _Looking(database, organization_id)
        return
    with _listener(database.engine) as listener:
        yield _Listening(listener, organization_id)


class _Looking:
    """Asks the store."""

    def __init__(self, database: Database, organization_id: str) -> None:
        self._database = database
        self._query = select(HEADS.c.position).where(HEADS.c.organization_id == organization_id)

    def seen(self) -> object:
        with self._database.read() as connection:
            return connection.scalar(self._query)

    def wait(self, seen: object, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_SECONDS))
            if self.seen() != seen:
                return


class _Listening:
    """Is called."""

    def __init__(self, listener: _Listener, organization_id: str) -> None:
        self._listener = listener
        self._organization_id = organization_id

    def seen(self) -> object:
        return self._listener.count(self._organization_id)

    def wait(self, seen: object, seconds: float) -> None:
        self._listener.wait(self._organization_id, seen, min(seconds, SLICE_SECONDS))


class _Listener:
    """One connection that listens for all organizations of a store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._changed = threading.Condition()
        self._counts: dict[str, int] = {}
        self._waiting = 0
        self._idle_since = time.monotonic()
        # None before it listens; then whether it still does.
        self._listens: bool | None = None
        self.over = False
        self._thread = threading.Thread(target=self._run, name="change listener", daemon=True)

    def begin(self) -> None:
        """Start to listen."""
        self._thread.start()

    def join(self) -> None:
        """Count somebody who waits; return when commits from now on will be told, or never will."""
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: self._listens is not None, CONNECT_SECONDS)

    def leave(self) -> None:
        """Count somebody who waits no more."""
        with self._changed:
            self._waiting -= 1
            self._idle_since = time.monotonic()

    def count(self, organization_id: str) -> int:
        """Return how many commits of an organization were told."""
        with self._changed:
            return self._counts.get(organization_id, 0)

    def wait(self, organization_id: str, seen: object, seconds: float) -> None:
        """Return when another commit is told, or after so many seconds."""
        with self._changed:
            if not self._listens:
                seconds = min(seconds, LOOK_SECONDS)
            self._changed.wait_for(lambda: self._counts.get(organization_id, 0) != seen, seconds)

    def _idle(self) -> bool:
        with self._changed:
            idle = not self._waiting and time.monotonic() - self._idle_since > IDLE_SECONDS
            self.over = self.over or idle
            return idle

    def _run(self) -> None:
        connection: Any = None
        try:
            pooled = self._engine.raw_connection()
            connection = pooled.driver_connection
            # Its own from here on, not the pool's.
            pooled.detach()
            connection.execute(f"LISTEN {CHANNEL}")
            self._tell(listens=True)
            while not self._idle():
                for told in connection.notifies(timeout=TURN_SECONDS):
                    self._tell(told.payload)
        except Exception:  # noqa: BLE001 - whoever waits looks by himself then
            self.over = True
        finally:
            self.over = True
            self._tell(listens=False)
            if connection is not None:
                connection.close()

    def _tell(self, organization_id: str | None = None, *, listens: bool | None = None) -> None:
        with self._changed:
            if listens is not None:
                self._listens = listens
            if organization_id is not None:
                self._counts[organization_id] = self._counts.get(organization_id, 0) + 1
            self._changed.notify_all()


_listeners: WeakKeyDictionary[Engine, _Listener] = WeakKeyDictionary()
_lock = threading.Lock()


@contextmanager
def _listener(engine: Engine) -> Iterator[_Listener]:
    with _lock:
        found = _listeners.get(engine)
        if found is None or found.over:
            found = _listeners[engine] = _Listener(engine)
            found.begin()
    found.join()
    try:
        yield found
    finally:
        found.leave()
