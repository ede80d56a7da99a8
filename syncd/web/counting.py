"""What the web process counts, told to its supervisor now and then: only that one has metrics."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

TOLD_SECONDS = 1.0
MOST_OBSERVED = 100_000


class Counts:
    """Sums by what is counted, the organization, the outcome and the reason; and what is measured.

    ``send`` is called in a thread of its own with ``{"counted": [[…, number]]}`` and
    ``{"observed": [[what, organization, value]]}``. What is still to be told when the process ends
    is lost: nobody could scrape it.
    """

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        self._sums: Counter[tuple[str, str, str, str]] = Counter()
        self._observed: list[tuple[str, str, float]] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._teller = threading.Thread(target=self._tell, name="web-counts", daemon=True)
        self._teller.start()

    def add(self, counted: str, organization: str, outcome: str, reason: str) -> None:
        """Count one."""
        with self._lock:
            self._sums[counted, organization, outcome, reason] += 1

    def observe(self, observed: str, organization: str, value: float) -> None:
        """Note one value."""
        with self._lock:
            # Whoever does not listen must not make this grow.
            if len(self._observed) < MOST_OBSERVED:
                self._observed.append((observed, organization, value))

    def close(self) -> None:
        """Tell no more."""
        self._ended.set()

    def _tell(self) -> None:
        while not self._ended.wait(TOLD_SECONDS):
            with self._lock:
                sums, self._sums = self._sums, Counter()
                observed, self._observed = self._observed, []
            told: dict[str, Any] = {}
            if sums:
                told["counted"] = [[*labels, number] for labels, number in sums.items()]
            if observed:
                told["observed"] = [list(each) for each in observed]
            if told:
                self._send(told)
