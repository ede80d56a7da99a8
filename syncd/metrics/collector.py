"""Keeps what was counted and puts it into prometheus_client's families when somebody scrapes."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from syncd.metrics import families, reports, words
from syncd.metrics.listener import Listener
from syncd.metrics.shared import WAIT_SECONDS, SharedValues
from syncd.metrics.tallies import Tallies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from syncd.metrics.families import Family
    from syncd.metrics.shared import Overview

    Samples = Iterable[tuple[tuple[str, ...], float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """What the metrics know of an organization before anything has happened."""

    id: str
    # The modes of sync that it can have; none without a directory.
    modes: tuple[str, ...] = words.SCHEDULED
    # Why its identity provider's tokens may be refused, and its keys not be had; none where none
    # are.
    token_reasons: tuple[str, ...] = ()
    fetch_reasons: tuple[str, ...] = ()
    # Why people may be refused at sign-in; none where nobody signs in.
    sign_in_reasons: tuple[str, ...] = ()
    # When the first of the certificates ends that it trusts.
    trust_not_after: datetime | None = None


class Metrics(Collector):
    """All metrics of one process; safe to use from several threads."""

    def __init__(
        self,
        *,
        version: str,
        clock: Callable[[], float] = time.monotonic,
        store_wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._version = version
        self._lock = threading.Lock()
        self._configured: dict[str, Configured] = {}
        self._tallies: dict[str, Tallies] = {}
        self._reloaded = 0.0
        self._shared = SharedValues(clock=clock, wait_seconds=store_wait_seconds)
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    # --- what is told to it -----------------------------------------------------------------

    def organizations(self, configured: Iterable[Configured]) -> None:
        """Tell of exactly these organizations from now on.

        Counts of those that were known go on; those that are not named any more vanish.
        """
        wanted = {each.id: each for each in configured}
        with self._lock:
            self._configured = wanted
            self._tallies = {name: self._tallies.get(name) or Tallies() for name in wanted}
            for name, each in wanted.items():
                tallies = self._tallies[name]
                reports.prepare(tallies, each.modes)
                reports.prepare_provider(tallies, each.token_reasons, each.fetch_reasons)
                reports.prepare_sign_ins(tallies, each.sign_in_reasons)
                if each.trust_not_after is None:
                    tallies.drop(families.CERTIFICATES, "trust")
                else:
                    ends = each.trust_not_after.timestamp()
                    tallies.put(families.CERTIFICATES, "trust", value=ends)

    def record_run(self, report: Mapping[str, Any]) -> None:
        """Count a run by its report; one of an organization that is not configured is ignored."""
        with self._lock:
            tallies = self._tallies.get(str(report.get("organization")))
            if tallies is not None:
                reports.count(tallies, report)

    def record_failure(self, organization: str, mode: str, status: str) -> None:
        """Count a run that has no report, because it ended before it began or its process died."""
        self.record_run({"organization": organization, "mode": mode, "status": status})

    def record_counted(self, counted: Iterable[tuple[str, str, str, str, int]]) -> None:
        """Add what the web process has counted: what, organization, outcome, reason, number."""
        with self._lock:
            for what, organization, outcome, reason, number in counted:
                tallies = self._tallies.get(organization)
                if tallies is not None:
                    reports.count_one(tallies, what, outcome, reason, number)

    def record_observed(self, observed: Iterable[tuple[str, str, float]]) -> None:
        """Add what the web process has measured: what, organization, value."""
        with self._lock:
            for what, organization, value in observed:
                tallies = self._tallies.get(organization)
                if tallies is not None:
                    reports.observe_one(tallies, what, value)

    def reloaded(self, at: float) -> None:
        """Note when the configuration in use was read, in seconds since 1970."""
        with self._lock:
            self._reloaded = at

    def share(self, read: Callable[[], Overview]) -> None:
        """Read what all replicas share with this callable, when somebody scrapes.

        It returns, for each organization, last_attempt, last_success and next (a time by mode),
        blocked (a number), quarantine (numbers by reason), users (numbers by state), sessions (a
        number) and lease_held.
        It is called in a thread of its own, one call at a time, and its answer is kept for a while.
        """
        self._shared.read_with(read)

    # --- what it tells ----------------------------------------------------------------------

    def listen(self, host: str, port: int) -> Listener:
        """Answer scrapes at this address; port 0 takes a free one.

        Raises:
            UsageError: Nobody can listen there.

        """
        return Listener(self.registry, host, port)

    def text(self) -> str:
        """Return what a scrape gets."""
        return generate_latest(self.registry).decode()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; prometheus_client calls it for each scrape."""
        overview = self._shared.values()
        with self._lock:
            counted = list(self._counted())
            configured, reloaded = list(self._configured.values()), self._reloaded
        yield from counted
        if overview is not None:
            yield from _told_by_all(configured, overview)
        yield _counter(families.STORE_ERRORS, (), [((), self._shared.errors)])
        yield _gauge(families.BUILD, (), [((self._version,), 1)])
        yield _gauge(families.RELOADED, (), [((), reloaded)])

    def _counted(self) -> Iterator[Metric]:
        for family in families.COUNTERS:
            yield _counter(family, (families.ORGANIZATION,), self._sums(family))
        yield _gauge(
            families.CERTIFICATES, (families.ORGANIZATION,), self._sums(families.CERTIFICATES)
        )
        for family in families.HISTOGRAMS:
            metric = HistogramMetricFamily(
                family.name, family.help, labels=(families.ORGANIZATION, *family.labels)
            )
            for name, tallies in sorted(self._tallies.items()):
                for labels, histogram in tallies.histograms(family):
                    buckets = [(_bound(bound), number) for bound, number in histogram.cumulative()]
                    metric.add_metric((name, *labels), buckets, histogram.sum)
            yield metric

    def _sums(self, family: Family) -> Samples:
        for name, tallies in sorted(self._tallies.items()):
            for labels, value in tallies.sums(family):
                yield (name, *labels), value


def _told_by_all(configured: Iterable[Configured], overview: Overview) -> Iterator[Metric]:
    """Yield what every replica tells the same of each organization."""
    found: dict[Family, list[tuple[tuple[str, ...], float]]] = {
        family: []
        for family in (
            families.LAST_ATTEMPT,
            families.LAST_SUCCESS,
            families.NEXT,
            families.BLOCKED,
            families.QUARANTINE,
            families.USERS,
            families.SESSIONS,
            families.LEASE,
        )
    }
    for each in sorted(configured, key=lambda each: each.id):
        told = overview.get(each.id, {})
        for family, key in (
            (families.LAST_ATTEMPT, "last_attempt"),
            (families.LAST_SUCCESS, "last_success"),
        ):
            times = told.get(key) or {}
            found[family] += [((each.id, mode), _seconds(times.get(mode))) for mode in each.modes]
        following = told.get("next") or {}
        found[families.NEXT] += [
            ((each.id, mode), _seconds(following[mode]))
            for mode in each.modes
            if following.get(mode) is not None
        ]
        found[families.BLOCKED].append(((each.id,), told.get("blocked", 0)))
        found[families.QUARANTINE] += [
            ((each.id, reason), number)
            for reason, number in _by_word(told.get("quarantine") or {}).items()
        ]
        states = told.get("users") or {}
        found[families.USERS] += [
            ((each.id, state), states.get(state, 0)) for state in words.STATES
        ]
        found[families.SESSIONS].append(((each.id,), told.get("sessions", 0)))
        found[families.LEASE].append(((each.id,), int(bool(told.get("lease_held")))))
    for family, samples in found.items():
        yield _gauge(family, (families.ORGANIZATION,), samples)


def _by_word(numbers: Mapping[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for number, reason in enumerate(sorted(numbers)):
        name = words.word(reason) if number < words.MOST_WORDS else words.OTHER
        found[name] = found.get(name, 0) + numbers[reason]
    return found


def _counter(family: Family, first: tuple[str, ...], samples: Samples) -> Metric:
    metric = CounterMetricFamily(family.name, family.help, labels=(*first, *family.labels))
    for labels, value in samples:
        metric.add_metric(labels, value)
    return metric


def _gauge(family: Family, first: tuple[str, ...], samples: Samples) -> Metric:
    metric = GaugeMetricFamily(family.name, family.help, labels=(*first, *family.labels))
    for labels, value in samples:
        metric.add_metric(labels, value)
    return metric


def _bound(bound: float) -> str:
    return "+Inf" if math.isinf(bound) else str(float(bound))


def _seconds(moment: datetime | None) -> float:
    """Return a time as seconds since 1970; 0 is never."""
    if moment is None:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
