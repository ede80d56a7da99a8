"""Owns the clock: APScheduler wakes whoever looks, at each moment that is due and in between.

It decides only when to look. What is run is for the store to say, whose compare-and-set lets one
of several replicas have it.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers import SchedulerNotRunningError
from apscheduler.schedulers.background import BackgroundScheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LOOK = "look"


class Alarm:
    """Calls ``wake`` from a thread of its own; ``wake`` returns at once."""

    def __init__(self, wake: Callable[[], None], *, look_seconds: float) -> None:
        self._wake = wake
        self._moments: dict[str, datetime] = {}
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(1)},
            # A moment that was slept through is still one to look at.
            job_defaults={"misfire_grace_time": None, "coalesce": True},
        )
        # What other replicas changed is seen by looking.
        self._scheduler.add_job(wake, "interval", seconds=look_seconds, id=LOOK)

    def start(self) -> None:
        """Begin to look."""
        self._scheduler.start()

    def stop(self) -> None:
        """Wake nobody any more; it may never have begun."""
        with suppress(SchedulerNotRunningError):
            self._scheduler.shutdown(wait=False)

    def pause(self) -> None:
        """Wake nobody until ``stop``."""
        self._scheduler.pause()

    def set(self, moments: Mapping[str, datetime]) -> None:
        """Wake at these moments, each under its name, and at no others."""
        for name in self._moments.keys() - moments.keys():
            # One that has rung is gone already.
            with suppress(JobLookupError):
                self._scheduler.remove_job(name)
        for name, moment in moments.items():
            if self._moments.get(name) != moment:
                self._scheduler.add_job(
                    self._wake, "date", run_date=moment, id=name, replace_existing=True
                )
        self._moments = dict(moments)
