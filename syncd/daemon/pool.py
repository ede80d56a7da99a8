"""Owns the sync workers: spawns them, hands them runs, and replaces those that are spent or dead.

Used by the main loop alone. A worker is replaced after so many runs, above so much memory, when it
was made of settings that are no longer those, and when it ended by itself; a run that it had then
counts as failed.
"""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from syncd import logging
from syncd.daemon.messages import Ended, Failure, Interrupt, Ready
from syncd.daemon.worker import IGNORED, work

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from syncd.daemon.messages import Job, Start

MOST_RUNS = 50
MOST_RSS_BYTES = 512 * 2**20
# How long after a worker that died before it was ready the next one is tried; doubled each time.
FIRST_RESPAWN_SECONDS, LONGEST_RESPAWN_SECONDS = 1.0, 30.0
LEAVE_SECONDS = 5.0
# The code of a failure whose worker died.
WORKER_ENDED = "worker_ended"
SPAWN = get_context("spawn")


@dataclass(slots=True, eq=False)
class Worker:
    """One worker, as the supervisor sees it."""

    process: SpawnProcess
    channel: Connection
    start: Start
    ready: bool = False
    runs: int = 0
    job: Job | None = None
    began: float = 0.0


class Pool:
    """As many workers as wanted."""

    def __init__(self, start: Start, count: int) -> None:
        self._start, self._count = start, count
        self._workers: list[Worker] = []
        # They were told to end, or killed; nobody waits for their answers.
        self._leaving: list[SpawnProcess] = []
        self._deaths = 0
        self._respawn_at = 0.0
        self._closed = False

    @property
    def free(self) -> int:
        """How many workers wait for a run."""
        return sum(worker.ready and worker.job is None for worker in self._workers)

    @property
    def live(self) -> int:
        """How many workers have come up."""
        return sum(worker.ready for worker in self._workers)

    @property
    def running(self) -> int:
        """How many runs are under way."""
        return sum(worker.job is not None for worker in self._workers)

    @property
    def process_ids(self) -> list[int]:
        """The workers' process ids."""
        return [worker.process.pid for worker in self._workers if worker.process.pid is not None]

    def waitables(self) -> list[Any]:
        """Return what becomes ready when there is something to poll."""
        sentinels = [worker.process.sentinel for worker in self._workers]
        return [*(worker.channel for worker in self._workers), *sentinels]

    def change(self, start: Start, count: int) -> None:
        """Go on with workers made of other settings; runs under way are let end first."""
        self._start, self._count = start, count
        self._deaths, self._respawn_at = 0, 0.0
        for worker in list(self._workers):
            if worker.job is None:
                self._dismiss(worker)
        self.fill()

    def fill(self) -> None:
        """Spawn what is missing."""
        for process in list(self._leaving):
            if process.exitcode is not None:
                process.close()
                self._leaving.remove(process)
        if self._closed or time.monotonic() < self._respawn_at:
            return
        while len(self._workers) < self._count:
            try:
                self._workers.append(self._spawn())
            except OSError as error:
                logging.get_logger().error(
                    "a sync worker cannot be started", action="worker_not_started", error=str(error)
                )
                self._put_off()
                return

    def give(self, job: Job) -> None:
        """Hand a run to a free worker; there has to be one."""
        worker = next(each for each in self._workers if each.ready and each.job is None)
        worker.job, worker.began = job, time.monotonic()
        # One that died this moment is found dead, with the run, by the next poll.
        with suppress(OSError):
            worker.channel.send(job)

    def poll(self) -> Iterator[Ended]:
        """Yield the runs that have ended, and see to the workers."""
        for worker in list(self._workers):
            # In this order: what a worker sent before it ended is still in the channel.
            alive = worker.process.is_alive()
            hung_up = yield from self._received(worker)
            if hung_up or not alive:
                yield from self._died(worker)
            elif worker.job is None and self._is_spent(worker):
                self._dismiss(worker)
        self.fill()

    def _received(self, worker: Worker) -> Generator[Ended, None, bool]:
        """Yield what a worker has to say; return whether it has hung up."""
        try:
            while worker.channel.poll():
                message = worker.channel.recv()
                if isinstance(message, Ready):
                    worker.ready, self._deaths = True, 0
                elif worker.job is not None and message.number == worker.job.number:
                    worker.job = None
                    worker.runs += 1
                    if message.rss_bytes > MOST_RSS_BYTES:
                        worker.runs = MOST_RUNS
                    yield message
        except (EOFError, OSError):
            return True
        return False

    def _is_spent(self, worker: Worker) -> bool:
        return (
            worker.runs >= MOST_RUNS
            or worker.start is not self._start
            or len(self._workers) > self._count
        )

    def _died(self, worker: Worker) -> Iterator[Ended]:
        worker.process.join(1)
        if worker.process.exitcode is None:
            worker.process.kill()
            worker.process.join()
        how = _how(worker.process.exitcode)
        self._workers.remove(worker)
        worker.channel.close()
        worker.process.close()
        if not worker.ready:
            self._put_off()
        if not self._closed:
            logging.get_logger().error(
                f"a sync worker ended by itself ({how}) and is replaced",
                action="worker_replaced",
                because=how,
                organization=worker.job.organization if worker.job else None,
            )
        if worker.job is not None:
            failure = Failure(WORKER_ENDED, f"its worker process ended ({how})", True)
            seconds = time.monotonic() - worker.began
            yield Ended(worker.job.number, None, failure, seconds, 0)

    def _put_off(self) -> None:
        delay = min(FIRST_RESPAWN_SECONDS * 2.0**self._deaths, LONGEST_RESPAWN_SECONDS)
        self._deaths = min(self._deaths + 1, 10)
        self._respawn_at = time.monotonic() + delay

    def _dismiss(self, worker: Worker) -> None:
        """Let a worker without a run end: it does when its channel closes."""
        self._workers.remove(worker)
        worker.channel.close()
        self._leaving.append(worker.process)

    def interrupt(self) -> None:
        """Ask all runs to stop in order."""
        for worker in self._workers:
            if worker.job is not None:
                with suppress(OSError):
                    worker.channel.send(Interrupt(worker.job.number))

    def kill(self) -> None:
        """End all workers at once; what their runs had in a transaction is rolled back."""
        self._closed = True
        for process in [*(worker.process for worker in self._workers), *self._leaving]:
            process.kill()

    def close(self) -> None:
        """Let all workers end, and wait for that; one that does not is killed."""
        self._closed = True
        for worker in list(self._workers):
            self._dismiss(worker)
        until = time.monotonic() + LEAVE_SECONDS
        for process in self._leaving:
            process.join(max(0.0, until - time.monotonic()))
            if process.exitcode is None:
                process.kill()
                process.join()
            process.close()
        self._leaving.clear()

    def _spawn(self) -> Worker:
        ours, theirs = SPAWN.Pipe()
        process = SPAWN.Process(
            target=work, args=(theirs, self._start), name="syncd sync worker", daemon=True
        )
        # Until it can ignore them, a signal to the whole group must not end it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, IGNORED)
        try:
            process.start()
        except OSError:
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        return Worker(process, ours, self._start)


def _how(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    memory = "; perhaps the machine had no memory left" if -code == signal.SIGKILL else ""
    return f"signal {name}{memory}"
