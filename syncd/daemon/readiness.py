"""Owns whether the daemon is ready, and the sentences why it is not."""

from __future__ import annotations

import time
from dataclasses import dataclass

# A store that has not answered for so long counts as gone, whatever it may still say.
STORE_PATIENCE_SECONDS = 20.0


@dataclass(slots=True)
class Readiness:
    """What readiness hangs on; the main loop keeps it."""

    wants_workers: bool
    workers: int = 0
    # None before the store was reached for the first time.
    store_error: str | None = "the store was not reached yet"
    # When the question was put that the store has not answered; a monotonic time.
    asked_at: float | None = None
    draining: bool = False

    def because(self) -> list[str]:
        """Return why the daemon is not ready; empty when it is."""
        found = []
        if self.draining:
            found.append("syncd is stopping")
        if self.store_error is not None:
            found.append(self.store_error)
        elif self.asked_at is not None:
            waited = time.monotonic() - self.asked_at
            if waited > STORE_PATIENCE_SECONDS:
                found.append(f"the store has not answered for {waited:.0f} seconds")
        if self.wants_workers and not self.workers and not self.draining:
            found.append("no sync worker has come up yet")
        return found
