"""What the web process counts, told to its supervisor now and then: only that one has metrics."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

TOLD_SECONDS = 1.0


class Counts:
    """Sums by what is counted, the organization, the outcome and the reason.

    ``send`` is called in a thread of its own with ``{"counted": [[…, number]]}``. What is still to
    be told when the process ends is lost: nobody could scrape it.
    """

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        self._sums: Counter[tuple[str, str, str, str]] = Counter()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._teller = threading.Thread(target=self._tell, name="web-counts", daemon=True)
        self._teller.start()

    def add(self, counted: str, organization: str, outcome: str, reason: str) -> None:
        """Count one."""
        with self._lock:
            self._sums[counted, organization, outcome, reason] += 1

    def close(self) -> None:
        """Tell no more."""
        self._ended.set()

    def _tell(self) -> None:
        while not self._ended.wait(TOLD_SECONDS):
            with self._lock:
                sums, self._sums = self._sums, Counter()
            if sums:
                self._send({"counted": [[*labels, number] for labels, number in sums.items()]})
