"""Shows on a terminal's standard error how far a sync has come: phase, count, rate, elapsed."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from syncd.cli import layout
from syncd.cli.words import number

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# Phase: what is done, and what is counted.
PHASES = {
    "users": ("reading people", "people"),
    "roles": ("reading roles", "roles"),
    "plan": ("planning", "people"),
    "apply": ("applying", "people"),
}
ROOM_FOR_BAR = 76
REDRAWS_PER_SECOND = 4


class Report(Protocol):
    """What a sync calls as it goes on."""

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        """Say that ``done`` of ``total`` are through in ``phase``."""


class Phases:
    """One line a phase; the last of them is the one at work."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._phase = ""
        self._task: TaskID | None = None
        self._started = 0.0

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        """Say that ``done`` of ``total`` are through in ``phase``."""
        if self._task is None or phase != self._phase:
            self._next(phase, total)
        if self._task is not None:
            elapsed = time.monotonic() - self._started
            amount, rate = describe(phase, done, total, elapsed)
            self._progress.update(self._task, completed=done, total=total, count=amount, rate=rate)

    def _next(self, phase: str, total: int | None) -> None:
        if self._task is not None:
            completed = self._progress.tasks[-1].completed
            self._progress.update(self._task, total=completed or 1, completed=completed or 1)
            self._progress.stop_task(self._task)
        verb = PHASES.get(phase, (phase, ""))[0]
        self._phase, self._started = phase, time.monotonic()
        self._task = self._progress.add_task(verb, total=total, count="", rate="")


def describe(phase: str, done: int, total: int | None, elapsed: float) -> tuple[str, str]:
    """Return the words for a count and its rate."""
    noun = f" {PHASES[phase][1]}" if phase in PHASES else ""
    of = f" of {number(total)}" if total else ""
    # Less than a tenth of a second says nothing about the rate.
    rate = f"{number(round(done / elapsed))}{noun}/s" if elapsed >= 0.1 and done else ""
    return (number(done) + of if done else "", rate)


@contextmanager
def shown(*, color: bool) -> Iterator[Report | None]:
    """Show progress while the block runs; yields nothing where nobody would see it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn

    width = layout.terminal_width(sys.stderr)
    console = Console(
        stderr=True, width=width, highlight=False, color_system="auto" if color else None
    )
    columns: list[ProgressColumn] = [TextColumn("{task.description}")]
    if width >= ROOM_FOR_BAR:
        columns.append(BarColumn(bar_width=20))
    columns += [
        TextColumn("{task.fields[count]}", justify="right"),
        TextColumn("{task.fields[rate]}", style="dim", justify="right"),
        TimeElapsedColumn(),
    ]
    with Progress(
        *columns, console=console, transient=True, refresh_per_second=REDRAWS_PER_SECOND
    ) as progress:
        yield Phases(progress)
