"""The supervisor: one loop that hears signals, hands due runs to workers, and tells how it goes.

The loop itself never waits for the store, a directory or a file: rounds with the store and reading
of configuration run beside it, so that it answers a signal at once and feeds the watchdog as long
as it turns.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from syncd import __version__, logging
from syncd.daemon import outline
from syncd.daemon.books import Answer, Books, Orders, Question
from syncd.daemon.ending import Drain, Step
from syncd.daemon.endpoints import MetricsEndpoint, WebEndpoint
from syncd.daemon.pool import WORKER_ENDED, Pool
from syncd.daemon.readiness import Readiness
from syncd.daemon.reload import Reader
from syncd.daemon.runs import Runs
from syncd.daemon.signals import STOP, Signals
from syncd.daemon.tasks import Task
from syncd.daemon.timetables import changed_organizations
from syncd.errors import (
    ConfigurationError,
    Interrupted,
    SchemaMismatch,
    StoreError,
    SyncdError,
)
from syncd.metrics import Metrics
from syncd.schedule import FULL, Alarm
from syncd.telemetry import configured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from syncd.app import App
    from syncd.daemon.books import Key
    from syncd.daemon.messages import Ended, Start
    from syncd.daemon.notify import Notifier
    from syncd.daemon.reload import Checked

# How often what other replicas did is looked at, and our claims are kept.
LOOK_SECONDS = 10.0
FIRST_STORE_RETRY_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 1.0


class Supervisor:
    """One `syncd run`; ``run`` serves until a signal ends it.

    ``reread`` loads and checks the configuration anew; ``start_of`` says what workers are made of.
    """

    def __init__(
        self,
        checked: Checked,
        *,
        only: str | None,
        notifier: Notifier,
        reread: Callable[[App], Checked],
        start_of: Callable[[App], Start],
    ) -> None:
        self._app, self._timetables = checked.app, checked.timetables
        self._web_wanted, self._sync_wanted = only != "sync", only != "web"
        self._notifier, self._start_of = notifier, start_of
        self._signals, self._drain = Signals(), Drain()
        self._metrics = Metrics(version=__version__)
        self._scrapes, self._web = MetricsEndpoint(self._metrics), WebEndpoint()
        self._pool = Pool(start_of(checked.app), self._workers_wanted(checked.app))
        self._runs = Runs(self._metrics)
        self._by = f"{socket.gethostname()} process {os.getpid()} {uuid4().hex[:8]}"
        self._books = Books(checked.app, by=self._by)
        self._alarm = Alarm(self._wake_to_look, look_seconds=LOOK_SECONDS)
        self._reader = Reader(
            checked.app.settings, reread=lambda: reread(self._app), wake=self._signals.wake
        )
        self._orders = Orders(align=self._sync_wanted)
        self._readiness = Readiness(wants_workers=self._sync_wanted)
        self._round: Task[Answer] | None = None
        self._fresh: Checked | None = None
        self._moments: Mapping[Key, datetime] = {}
        self._ahead = timedelta()
        self._look, self._look_at, self._store_failures = True, 0.0, 0
        self._was_ready = self._reloading = self._outlined = False
        self._fatal: SyncdError | None = None

    def run(self) -> dict[str, Any]:
        """Serve until a signal ends it; return what is to be said of that.

        Raises:
            UsageError: Nobody can listen where the settings say.
            SchemaMismatch: The store is not this program's.

        """
        began = time.monotonic()
        with self._signals:
            try:
                self._open()
                while self._fatal is None and self._turn():
                    pass
            except BaseException:
                self._pool.kill()
                raise
            finally:
                self._close()
        if self._fatal is not None:
            raise self._fatal
        summary = {
            "runs": self._runs.done,
            "interrupted": self._runs.interrupted,
            "seconds": round(time.monotonic() - began, 3),
        }
        logging.get_logger().info("syncd has stopped", action="stopped", **summary)
        return {"status": "killed" if self._drain.forced else "stopped", **summary}

    def _open(self) -> None:
        # What can be told to be wrong at once is told before anything has begun.
        try:
            self._app.database()
        except SchemaMismatch:
            raise
        except StoreError as error:
            self._store_failed(error)
        settings = self._app.settings
        self._scrapes.open(settings)
        if self._web_wanted:
            self._web.open(self._start_of(self._app))
        self._describe()
        self._pool.fill()
        self._alarm.start()
        daemon = settings.daemon
        logging.get_logger().info(
            "syncd has started",
            action="daemon_started",
            version=__version__,
            workers=self._workers_wanted(self._app),
            organizations=len(settings.organizations),
            metrics=f"{daemon.metrics.host}:{daemon.metrics.port}",
            web=f"{daemon.http.host}:{daemon.http.port}" if self._web_wanted else None,
        )

    def _close(self) -> None:
        self._notifier.stopping()
        if self._drain.forced:
            self._pool.kill()
        self._alarm.stop()
        self._pool.close()
        self._web.close()
        self._scrapes.close()

    # --- the loop -----------------------------------------------------------------------------

    def _turn(self) -> bool:
        """Do once what there is to do; return whether it goes on."""
        pause = LONGEST_WAIT_SECONDS
        if self._notifier.watchdog_seconds is not None:
            pause = min(pause, self._notifier.watchdog_seconds / 4)
        web = [] if self._drain.begun else self._web.waitables()
        wait([self._signals.fileno(), *self._pool.waitables(), *web], pause)
        now = time.monotonic()
        for number in self._signals.taken():
            self._heard(number, now)
        free = self._pool.free
        for ended in self._pool.poll():
            self._ended(ended)
        # A worker that came up has the longest due of what is waiting.
        self._look = self._look or self._pool.free > free
        counted, observed = self._web.heard()
        self._metrics.record_counted(counted)
        self._metrics.record_observed(observed)
        self._web.poll(stopping=self._drain.begun)
        if self._round is not None and self._round.ended:
            task, self._round = self._round, None
            self._took(task)
        self._see_to_configuration(now)
        if self._round is None and self._is_time_to_look(now):
            self._begin_round(now)
        self._tell(now)
        return self._see_to_end(now)

    def _heard(self, number: int, now: float) -> None:
        log = logging.get_logger(signal=signal.Signals(number).name)
        if number == signal.SIGHUP:
            self._reader.ask()
        elif number in STOP and not self._drain.begun:
            seconds = float(self._app.settings.daemon.sync.drain)
            self._drain.begin(now, seconds)
            self._alarm.pause()
            self._look = True
            self._notifier.stopping()
            log.info(
                "no run is begun any more, and those under way may end by themselves for a while",
                action="draining",
                runs=len(self._runs),
                drain_seconds=seconds,
            )
        elif number in STOP:
            self._drain.begin(now, 0)
            log.warning("ending at once", action="killed", runs=len(self._runs))

    def _see_to_end(self, now: float) -> bool:
        unsettled = bool(self._orders.settlements) or self._round is not None
        step = self._drain.step(now, running=len(self._runs), unsettled=unsettled)
        if step is Step.INTERRUPT:
            logging.get_logger().warning(
                "the runs that are still under way are interrupted; the next ones go on from there",
                action="interrupting",
                runs=len(self._runs),
            )
            self._pool.interrupt()
        elif step is Step.KILL:
            self._pool.kill()
        return step is not Step.FINISH

    def _tell(self, now: float) -> None:
        """Tell whoever asks how it goes."""
        readiness = self._readiness
        readiness.workers = self._pool.live
        readiness.asked_at = None if self._round is None else self._round.began
        readiness.draining = self._drain.begun
        because = readiness.because()
        self._web.tell(ready=not because, because=because)
        if not because and not self._was_ready:
            self._was_ready = True
            self._notifier.ready()
        self._notifier.status(
            outline.status(because=because, jobs=self._runs.jobs, moments=self._moments)
        )
        self._notifier.alive(now)

    def _ended(self, ended: Ended) -> None:
        if self._drain.begun and ended.failure is not None and ended.failure.code == WORKER_ENDED:
            # It was killed because it did not stop in time: whoever is there goes on at once.
            ended = replace(ended, failure=replace(ended.failure, code=Interrupted.code))
        settlement = self._runs.end(ended, self._timetables, self._store_now())
        if settlement is not None:
            self._orders.settlements.append(settlement)
        self._look = True

    # --- the store ----------------------------------------------------------------------------

    def _wake_to_look(self) -> None:
        self._look = True
        self._signals.wake()

    def _store_now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def _is_time_to_look(self, now: float) -> bool:
        if self._fresh is not None or self._fatal is not None:
            return False
        # A store that fails is not asked more often because runs end.
        return now >= self._look_at or (self._look and not self._store_failures)

    def _begin_round(self, now: float) -> None:
        self._look, self._look_at = False, now + LOOK_SECONDS
        question = Question(
            timetables=self._timetables if self._sync_wanted else {},
            held=self._runs.keys,
            free=0 if self._drain.begun else self._pool.free,
            per_directory=int(self._app.settings.daemon.sync.searches_per_directory),
        )
        orders, self._orders = self._orders, Orders()
        call = partial(self._books.round, orders, question)
        self._round = Task("round with the store", call, self._signals.wake)

    def _took(self, task: Task[Answer]) -> None:
        """Take over what a round with the store brought."""
        try:
            answer = task.result()
        except SyncdError as error:
            self._fatal = error
            return
        self._orders.put_back(answer.undone)
        self._runs.lose(answer.lost)
        for due in answer.claimed:
            job = self._runs.begin(due)
            if self._drain.begun or not self._pool.free:
                self._orders.settlements.append(self._runs.give_back(job, self._store_now()))
                self._look = True
            else:
                self._pool.give(job)
        if answer.error is not None:
            self._store_failed(answer.error)
            return
        self._ahead, self._moments = answer.ahead, answer.moments
        # What was due already waits for a free worker, and that wakes the loop anyway.
        waiting = {
            " ".join(key): moment - answer.ahead
            for key, moment in answer.moments.items()
            if answer.now is not None and moment > answer.now
        }
        self._alarm.set(waiting)
        self._store_answered()

    def _store_answered(self) -> None:
        if self._store_failures:
            logging.get_logger().info("the store can be used again", action="store_available")
        self._store_failures, self._readiness.store_error = 0, None
        if self._sync_wanted and not self._outlined:
            self._outlined = True
            outline.tell(self._app.settings, self._timetables, self._moments)

    def _store_failed(self, error: StoreError) -> None:
        delay = FIRST_STORE_RETRY_SECONDS * 2.0 ** min(self._store_failures, 10)
        self._look_at = time.monotonic() + min(delay, LOOK_SECONDS)
        self._store_failures += 1
        if self._readiness.store_error != str(error):
            self._readiness.store_error = str(error)
            logging.get_logger().error(
                f"{error}; syncd tries again until it can", action="store_unavailable"
            )

    # --- configuration ------------------------------------------------------------------------

    def _see_to_configuration(self, now: float) -> None:
        if self._drain.begun:
            return
        if self._reader.begin(now):
            self._reloading = self._was_ready
            if self._reloading:
                self._notifier.reloading()
        try:
            self._fresh = self._reader.read() or self._fresh
            # A round belongs to the store that it was begun with.
            if self._fresh is not None and self._round is None:
                fresh, self._fresh = self._fresh, None
                self._use(fresh)
                self._reloaded()
        except SyncdError as error:
            self._refuse(error)
            self._reloaded()

    def _reloaded(self) -> None:
        if self._reloading:
            self._reloading = False
            self._notifier.ready()

    def _refuse(self, error: SyncdError) -> None:
        told = error.faults if isinstance(error, ConfigurationError) else [error]
        logging.get_logger().error(
            "the changed configuration cannot be used, and the old one stays: "
            + "; ".join(str(each) for each in told),
            action="config_refused",
            faults=[str(each) for each in told],
        )

    def _use(self, checked: Checked) -> None:
        """Go on with another configuration.

        Raises:
            UsageError: Nobody can listen where it says; nothing has changed then.

        """
        old, app = self._app, checked.app
        start = self._start_of(app)
        self._scrapes.open(app.settings)
        if self._web_wanted:
            self._web.open(start)
        self._app, self._timetables = app, checked.timetables
        self._books = Books(app, by=self._by)
        logging.configure(format=start.log_format, level=start.log_level)
        self._pool.change(start, self._workers_wanted(app))
        others = changed_organizations(old.settings, app.settings)
        self._orders.retry |= set(others)
        # A full sync looks at everybody anew.
        self._orders.forward |= {(name, FULL) for name, differ in others.items() if differ}
        self._orders.align = self._sync_wanted
        self._look, self._look_at, self._outlined = True, 0.0, False
        self._describe()
        old.give_way(app)
        logging.get_logger().info(
            "the changed configuration is in use",
            action="config_reloaded",
            organizations=len(app.settings.organizations),
            changed=sorted(others),
        )

    def _describe(self) -> None:
        """Let the metrics speak of the settings in use."""
        self._metrics.organizations(configured(self._app.settings))
        self._metrics.share(self._app.overview)
        self._metrics.reloaded(time.time())

    def _workers_wanted(self, app: App) -> int:
        return int(app.settings.daemon.sync.workers) if self._sync_wanted else 0
