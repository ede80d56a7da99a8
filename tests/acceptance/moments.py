"""Stops the installed command's program at an exact moment: killed, interrupted, or held.

A moment is the number of a statement or commit that the command's main thread sends to the store.
That is the same in each run on the same store and directory, which seconds are not. As a program
(``python -m tests.acceptance.moments``) it is what the commands of ``preloaded`` are forked from;
those with a ``Stop`` in their environment stop.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.acceptance.preloaded import ROOT, command, serve

if TYPE_CHECKING:
    from types import FrameType

    from tests.acceptance.world import World

VARIABLE = "ACCEPTANCE_MOMENT"
PATIENCE_SECONDS = 60
# Where a statement comes from: the innermost of these functions that is on its way.
PHASES = {
    ("syncd.sync.readings", "read"): "collect",
    ("syncd.sync.changed", "read"): "collect",
    ("syncd.store.planning", "make_plan"): "plan",
    ("syncd.sync.run", "_apply"): "apply",
    ("syncd.sync.run", "_resume"): "resume",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """What happens at which moment; ``record`` names a file that all moments are written to."""

    at: int = 0
    # kill | interrupt | hold
    how: str = "kill"
    record: str = ""
    reached: str = ""
    go: str = ""

    def environment(self) -> dict[str, str]:
        """Return the variables that tell a command to stop then."""
        return {VARIABLE: json.dumps(asdict(self))}


@dataclass(frozen=True, slots=True)
class Moment:
    """One statement or commit of a run."""

    number: int
    phase: str
    statement: str


class Held:
    """A command that waits at a moment, in a process of its own; a context manager."""

    def __init__(self, world: World, *words: str, at: int) -> None:
        self._fifos = [world.folder / name for name in ("reached", "go")]
        for fifo in self._fifos:
            fifo.unlink(missing_ok=True)
            os.mkfifo(fifo)
        reached, go = map(str, self._fifos)
        stop = Stop(at=at, how="hold", reached=reached, go=go)
        request = {
            "words": world.command(*words)[1:],
            "folder": str(world.folder),
            "environment": stop.environment(),
            "in": os.devnull,
            "out": str(world.folder / "held-out"),
            "err": str(world.folder / "held-err"),
        }
        self._folder = world.folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.moments", json.dumps(request)], cwd=ROOT
        )

    def __enter__(self) -> Self:
        # Opening a pipe waits for the other side: until the command has come there.
        self._fifos[0].read_text()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def go(self) -> None:
        """Let the command go on."""
        self._fifos[1].write_text("go")

    def ended(self) -> tuple[int, str, str]:
        """Wait for the end; return exit code, standard output and standard error."""
        code = self.process.wait(PATIENCE_SECONDS)
        out, err = ((self._folder / f"held-{name}").read_text() for name in ("out", "err"))
        return code, out, err


def moments(record: Path) -> list[Moment]:
    """Return what a run recorded."""
    return [Moment(*json.loads(line)) for line in record.read_text().splitlines()]


def find(moments: list[Moment], phase: str, part: str, after: int = 0) -> int:
    """Return the number of the first moment of a phase whose statement has ``part`` in it."""
    return next(
        each.number
        for each in moments
        if each.phase == phase and part in each.statement and each.number > after
    )


class _Watch:
    """Counts the moments of this process and stops it at one of them."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._count = 0

    def install(self) -> None:
        from sqlalchemy import Engine, event  # noqa: PLC0415 - the plugin itself needs none of it

        event.listen(Engine, "before_cursor_execute", self._statement)
        event.listen(Engine, "commit", lambda _connection: self._note("COMMIT"))

    def _statement(self, *values: Any) -> None:
        self._note(str(values[2]))

    def _note(self, statement: str) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        self._count += 1
        stop = self._stop
        if stop.record:
            with Path(stop.record).open("a") as record:
                record.write(json.dumps((self._count, _phase(), statement[:2_000])) + "\n")
        if self._count != stop.at:
            return
        if stop.how == "hold":
            Path(stop.reached).write_text("reached")
            Path(stop.go).read_text()
        else:
            os.kill(os.getpid(), signal.SIGKILL if stop.how == "kill" else signal.SIGINT)


def _phase() -> str:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        found = PHASES.get((frame.f_globals.get("__name__", ""), frame.f_code.co_name))
        if found is not None:
            return found
        frame = frame.f_back
    return "around"


def _run(request: dict[str, Any]) -> int:
    if VARIABLE in request["environment"]:
        _Watch(Stop(**json.loads(request["environment"][VARIABLE]))).install()
    return command(request)


if __name__ == "__main__":
    sys.exit(_run(json.loads(sys.argv[1])) if sys.argv[1:] else serve(_run))
