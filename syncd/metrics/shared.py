"""What all replicas share: read from the store when somebody scrapes, and kept for a while.

Scrapes must not load the store, and a store that fails or hangs must not take the other metrics
with it: one read at a time, in a thread of its own, that is waited for only so long.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from syncd.errors import cut
from syncd.logging import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Overview = Mapping[str, Mapping[str, Any]]

KEPT_SECONDS: Final = 10.0
# Prometheus gives up a scrape after 10 seconds unless it is told otherwise.
WAIT_SECONDS: Final = 4.0


class SharedValues:
    """The last read of what replicas share."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._read: Callable[[], Overview] | None = None
        self._values: Overview | None = None
        self._fresh_until = -1.0
        self._reading: threading.Event | None = None
        self.errors = 0

    def read_with(self, read: Callable[[], Overview]) -> None:
        """Read with this from now on; what was kept is forgotten."""
        with self._lock:
            self._read, self._values, self._fresh_until = read, None, -1.0

    def values(self) -> Overview | None:
        """Return what the store says, at most a few seconds old; None when it says nothing."""
        with self._lock:
            read = self._read
            if read is None:
                return None
            if self._clock() < self._fresh_until:
                return self._values
            done = self._reading
            if done is None:
                done = self._reading = threading.Event()
                threading.Thread(
                    target=self._fetch, args=(read, done), name="metrics-store", daemon=True
                ).start()
        if not done.wait(self._wait_seconds):
            with self._lock:
                self.errors += 1
            return None
        with self._lock:
            return self._values

    def _fetch(self, read: Callable[[], Overview], done: threading.Event) -> None:
        values: Overview | None = None
        try:
            values = read()
        except Exception as error:  # noqa: BLE001 - whatever it is, the other metrics are told
            get_logger().warning(
                "the store could not be read for the metrics",
                action="metrics_store_unreadable",
                error=cut(error),
            )
        with self._lock:
            if values is None:
                self.errors += 1
            if read is self._read:
                self._values = values
                self._fresh_until = self._clock() + KEPT_SECONDS
            self._reading = None
        done.set()
