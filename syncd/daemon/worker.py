"""A sync worker: a process of its own that does one run at a time and stays warm in between.

It has been spawned, so it shares no connection, lock or thread with the supervisor. Signals of the
terminal or of a service manager that reach the whole group are the supervisor's to answer; a worker
stops when the supervisor says so, or is gone.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from syncd import logging
from syncd.daemon.messages import APPROVE, CHANGED, PRUNE, Ended, Failure, Interrupt, Job, Ready
from syncd.errors import SyncdError, cut

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from types import FrameType

    from syncd.app import App
    from syncd.daemon.messages import Start

IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOP_RUN = signal.SIGUSR1
# How long a run of a worker without supervisor has to stop in order.
ORPHAN_SECONDS = 10


def work(channel: Connection, start: Start) -> None:
    """Do the runs that come through the channel until its other end is closed."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    worker = _Worker(channel)
    signal.signal(STOP_RUN, worker.stop_run)
    # The supervisor blocked them for as long as nothing here could have answered.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, IGNORED)
    logging.configure(format=start.log_format, level=start.log_level)
    from syncd.app import App  # noqa: PLC0415 - the log is set up first

    app = App(start.settings, log_searches=start.log_searches)
    try:
        worker.serve(app)
    finally:
        app.close()


class _Worker:
    def __init__(self, channel: Connection) -> None:
        self._channel = channel
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._running = 0
        self._stopped = 0
        self._orphaned = False

    def serve(self, app: App) -> None:
        """Announce readiness, then run job after job."""
        app.warm()
        threading.Thread(target=self._listen, name="supervisor's channel", daemon=True).start()
        self._send(Ready())
        while not self._orphaned and (job := self._jobs.get()) is not None:
            self._send(self._run(app, job))
            # Nobody waits for it now, and runs leave cycles behind.
            gc.collect()

    def stop_run(self, _number: int, _frame: FrameType | None) -> None:
        """Interrupt the run that is meant, and no other."""
        if self._running and (self._orphaned or self._running == self._stopped):
            # Only once: what the run does to end in order must not be interrupted.
            self._running = 0
            raise KeyboardInterrupt

    def _run(self, app: App, job: Job) -> Ended:
        started = time.monotonic()
        report, failure = None, None
        try:
            self._running = job.number
            # What came for it before it began.
            if self._orphaned or self._stopped == job.number:
                raise KeyboardInterrupt
            report = _perform(app, job)
            self._running = 0
        except KeyboardInterrupt:
            failure = Failure("interrupted", "the run was interrupted before it began", True)
        except SyncdError as error:
            report = error.report
            failure = Failure(error.code, str(error), error.retryable)
        except MemoryError:
            failure = Failure("out_of_memory", "the worker had no memory left for the run", True)
        except Exception as error:  # noqa: BLE001 - the supervisor tells it, and tries again
            logging.get_logger().exception("a run failed unexpectedly", action="internal_error")
            what = f"{type(error).__name__}: {cut(error)}"
            failure = Failure("internal_error", f"internal error ({what}); please report it", True)
        finally:
            self._running = 0
        return Ended(job.number, report, failure, time.monotonic() - started, rss_bytes())

    def _listen(self) -> None:
        while True:
            try:
                message = self._channel.recv()
            except (EOFError, OSError):
                break
            if isinstance(message, Interrupt):
                self._stopped = message.number
                os.kill(os.getpid(), STOP_RUN)
            else:
                self._jobs.put(message)
        self._orphaned = True
        self._jobs.put(None)
        os.kill(os.getpid(), STOP_RUN)
        time.sleep(ORPHAN_SECONDS)
        # Whatever still runs belongs to nobody. A run that ends so is resumed by the next one.
        os._exit(1)

    def _send(self, message: object) -> None:
        try:
            self._channel.send(message)
        except OSError:
            # The supervisor is gone, and _listen ends this process.
            self._orphaned = True


def _perform(app: App, job: Job) -> dict[str, object] | None:
    if job.mode == PRUNE:
        return app.db_prune()
    if job.mode == APPROVE:
        return _approve(app, job.organization)
    return app.sync(job.organization, changed=job.mode == CHANGED)


def _approve(app: App, organization: str) -> dict[str, object] | None:
    """Apply what was approved; return the report of the last one."""
    report = None
    for run, actor in app.asked_approvals_of(organization):
        try:
            report = app.approve(run, actor=actor)
        except SyncdError as error:
            if error.retryable:
                raise
            app.forget_approval(run)
            logging.get_logger().warning(
                f"the approval of {run} by {actor} was refused: {error}",
                action="approval_refused",
                organization=organization,
                run=run,
                because=error.code,
            )
    return report


def rss_bytes() -> int:
    """Return how much memory this process holds resident (VmRSS)."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
