"""Owns the runs under way: what each of them was claimed for, and what its end means."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from syncd import logging
from syncd.daemon.books import NEVER, Settlement
from syncd.daemon.messages import APPROVE, CHANGED, FULL, PRUNE, Ended, Job
from syncd.errors import (
    Interrupted,
    LeaseHeld,
    LeaseLost,
    OrganizationDeleted,
    OrganizationPaused,
    OrganizationPending,
    cut,
)
from syncd.schedule import Ending, after

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from syncd.daemon.books import Key
    from syncd.metrics import Metrics
    from syncd.schedule import Timetable
    from syncd.store.schedules import Due

ENDINGS = {
    Interrupted.code: Ending.GIVEN_BACK,
    LeaseHeld.code: Ending.BUSY,
    LeaseLost.code: Ending.BUSY,
    OrganizationPaused.code: Ending.STOPPED,
    OrganizationPending.code: Ending.STOPPED,
    OrganizationDeleted.code: Ending.STOPPED,
}


@dataclass(slots=True)
class Run:
    """One run under way."""

    job: Job
    failures: int
    began: float
    # Another replica has it now; its schedule is no longer ours to settle.
    lost: bool = False


class Runs:
    """The runs that this replica has claimed."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._runs: dict[int, Run] = {}
        self._numbers = itertools.count(1)
        # The last state told of an organization, so that it is told when it changes only.
        self._told: dict[str, str] = {}
        self.done = self.interrupted = 0

    @property
    def keys(self) -> frozenset[Key]:
        """Organization and mode of those that are still ours."""
        ours = (run.job for run in self._runs.values() if not run.lost)
        return frozenset((job.organization, job.mode) for job in ours)

    @property
    def jobs(self) -> list[Job]:
        """What is under way."""
        return [run.job for run in self._runs.values()]

    def __len__(self) -> int:
        return len(self._runs)

    def begin(self, due: Due) -> Job:
        """Note a claim as a run under way."""
        job = Job(next(self._numbers), due.organization_id, due.mode)
        self._runs[job.number] = Run(job, due.failures, time.monotonic())
        logging.get_logger().debug(
            f"{_called(job)} begins",
            action="run_claimed",
            organization=job.organization,
            mode=job.mode,
            failures=due.failures,
        )
        return job

    def give_back(self, job: Job, now: datetime) -> Settlement:
        """Return how a claim is given back that nobody here has time for."""
        run = self._runs.pop(job.number)
        return Settlement(job.organization, job.mode, now, run.failures)

    def lose(self, keys: set[Key]) -> None:
        """Note that other replicas have taken these over; the lease stops our runs of them."""
        for run in self._runs.values():
            if (run.job.organization, run.job.mode) in keys and not run.lost:
                run.lost = True
                logging.get_logger().warning(
                    f"{_called(run.job)} was taken over by another replica, "
                    "because this one was not heard of for too long",
                    action="claim_lost",
                    organization=run.job.organization,
                    mode=run.job.mode,
                )

    def end(
        self, ended: Ended, timetables: Mapping[str, Timetable], now: datetime
    ) -> Settlement | None:
        """Tell what came of a run; return how its claim is given back, if it is still ours.

        Args:
            ended: What the worker, or its death, says.
            timetables: The rhythms by organization.
            now: The time by the store's clock.

        """
        run = self._runs.pop(ended.number)
        job = run.job
        ending = ending_of(ended)
        timetable = timetables.get(job.organization)
        rhythm = timetable.rhythms.get(job.mode, NEVER) if timetable else NEVER
        due, failures = after(
            ending,
            rhythm,
            job.organization,
            job.mode,
            now=now,
            failures=run.failures,
            took_seconds=ended.seconds,
        )
        self._count(job, ended, ending)
        if run.lost:
            logging.get_logger().debug("a run that was taken over ended", action="run_ended")
            return None
        self._tell(job, ended, ending, due, failures)
        full = job.mode == FULL and ending is Ending.DONE
        return Settlement(job.organization, job.mode, due, failures, CHANGED if full else None)

    def _count(self, job: Job, ended: Ended, ending: Ending) -> None:
        self.done += 1
        if ending is Ending.GIVEN_BACK:
            self.interrupted += 1
        if job.mode == PRUNE:
            return
        if ended.report is not None:
            self._metrics.record_run(ended.report)
        elif ending in {Ending.FAILED, Ending.REFUSED}:
            self._metrics.record_failure(job.organization, job.mode, "failed")
        elif ending is Ending.GIVEN_BACK:
            self._metrics.record_failure(job.organization, job.mode, "interrupted")

    def _tell(self, job: Job, ended: Ended, ending: Ending, due: datetime, failures: int) -> None:
        """Write what an operator wants to know, and what he knows already at level debug."""
        log = logging.get_logger(
            organization=job.organization,
            mode=job.mode,
            next_due=due.isoformat(timespec="seconds"),
            seconds=round(ended.seconds, 3),
        )
        failure, report = ended.failure, ended.report
        state = failure.code if ending is Ending.STOPPED and failure else ending.value
        before = self._told.get(job.organization)
        if ending is not Ending.BUSY:
            self._told[job.organization] = state
        if ending is Ending.STOPPED and failure is not None:
            level = log.debug if before == state else log.warning
            level(failure.message, action="organization_stopped", because=failure.code)
        elif ending is Ending.BUSY and failure is not None:
            log.debug(failure.message, action="organization_busy", because=failure.code)
        elif ending is Ending.GIVEN_BACK:
            log.info("a run was interrupted, and goes on later", action="run_interrupted")
        elif ending is Ending.DONE:
            self._tell_done(job, report, log)
        else:
            because = failure.message if failure is not None else _because(report)
            message = f"{_called(job)} failed: {because}"
            log.warning(
                message,
                action="run_failed",
                because=failure.code if failure is not None else "listing_truncated",
                failures=failures,
                retryable=ending is Ending.FAILED,
            )

    def _tell_done(self, job: Job, report: Mapping[str, Any] | None, log: Any) -> None:  # noqa: ANN401 - a logger
        # Its canonical line is written where it ran.
        log.debug("a run ended", action="run_ended")
        if job.mode != PRUNE and report is not None and report["status"] == "blocked":
            run, told = str(report["run"]), f"blocked {report['run']}"
            if self._told.get(f"{job.organization} plan") != told:
                self._told[f"{job.organization} plan"] = told
                message = (
                    f"the guard holds the plan {run} of {job.organization}, and nothing of it is "
                    f"written: look at it with `syncd runs show {run}`, then let it through with "
                    f"`syncd approve {run}`, or mend the directory"
                )
                reasons = report.get("reasons", [])
                log.warning(message, action="plan_blocked", run=run, reasons=reasons)


def ending_of(ended: Ended) -> Ending:
    """Tell how a run ended, as far as the schedule is concerned."""
    failure, report = ended.failure, ended.report
    if failure is not None:
        again = Ending.FAILED if failure.retryable else Ending.REFUSED
        return ENDINGS.get(failure.code, again)
    if report is not None:
        if report.get("status") == "interrupted":
            return Ending.GIVEN_BACK
        if report.get("status") == "failed" or report.get("listing") == "truncated":
            return Ending.FAILED
    return Ending.DONE


def _called(job: Job) -> str:
    if job.mode == PRUNE:
        return "the pruning"
    if job.mode == APPROVE:
        return f"the approval in {job.organization}"
    return f"the {'full' if job.mode == FULL else 'changed-user'} sync of {job.organization}"


def _because(report: Mapping[str, Any] | None) -> str:
    for listing in (report or {}).get("listings") or ():
        if listing.get("verdict") == "truncated":
            return f"the listing of {listing.get('source')} was cut short: " + cut(
                listing.get("because") or f"result code {listing.get('result_code')}"
            )
    return cut("; ".join((report or {}).get("reasons") or ()) or "see its report")
