"""Owns the steps of the end: let runs go on for a while, interrupt them, kill what is left."""

from __future__ import annotations

from enum import StrEnum

# How long runs have to stop in order once they are interrupted.
INTERRUPT_SECONDS = 10.0
# How long the store has to take the claims back, which run out by themselves otherwise.
SETTLE_SECONDS = 5.0


class Step(StrEnum):
    """What is to be done now."""

    WAIT = "wait"
    INTERRUPT = "interrupt"
    KILL = "kill"
    FINISH = "finish"


class Drain:
    """The end of a daemon; all times are monotonic seconds."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._deadline = 0.0
        self._interrupted = self._killed = False
        self._idle_since: float | None = None
        self.forced = False

    @property
    def begun(self) -> bool:
        """Tell whether nothing new is begun any more."""
        return self._began is not None

    def begin(self, now: float, seconds: float) -> None:
        """Begin; runs have ``seconds`` to end by themselves. A second call ends at once."""
        if self._began is None:
            self._began, self._deadline = now, now + seconds
        else:
            self.forced = True

    def step(self, now: float, *, running: int, unsettled: bool) -> Step:
        """Return the next step; ``interrupt`` and ``kill`` are returned once."""
        if self._began is None:
            return Step.WAIT
        if self.forced:
            return Step.FINISH
        if not running:
            self._idle_since = now if self._idle_since is None else self._idle_since
            late = now - self._idle_since > SETTLE_SECONDS
            return Step.FINISH if late or not unsettled else Step.WAIT
        if now >= self._deadline and not self._interrupted:
            self._interrupted = True
            return Step.INTERRUPT
        if now >= self._deadline + INTERRUPT_SECONDS and not self._killed:
            self._killed = True
            return Step.KILL
        return Step.WAIT
