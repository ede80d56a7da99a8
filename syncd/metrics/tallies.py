"""Sums and histograms of one organization.

prometheus_client's own counters are not used for these: what comes is already counted in buckets,
and all that is known of an organization has to go when the organization does.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING

from syncd.metrics.words import MOST_WORDS, OTHER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from syncd.metrics.families import Family

    Labels = tuple[str, ...]


class Histogram:
    """Numbers of observations by the smallest bound that holds them, and their sum."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._within = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one observation."""
        self._within[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def merge(self, within: Mapping[str, int], total: float) -> None:
        """Add observations that were counted by their upper bounds elsewhere."""
        for bound, number in within.items():
            self._within[bisect_left(self._bounds, float(bound))] += number
        self.sum += total

    def cumulative(self) -> list[tuple[float, int]]:
        """Return each bound, infinity last, with the observations up to it."""
        found, seen = [], 0
        for bound, number in zip((*self._bounds, math.inf), self._within, strict=True):
            seen += number
            found.append((bound, seen))
        return found


class Tallies:
    """What was counted for one organization."""

    def __init__(self) -> None:
        self._sums: dict[Family, dict[Labels, float]] = {}
        self._histograms: dict[Family, dict[Labels, Histogram]] = {}

    def add(self, family: Family, *labels: str, amount: float = 1) -> None:
        """Add to a sum; an amount of 0 makes it known."""
        sums = self._sums.setdefault(family, {})
        key = _bounded(sums, labels)
        sums[key] = sums.get(key, 0) + amount

    def put(self, family: Family, *labels: str, value: float) -> None:
        """Set a value."""
        self._sums.setdefault(family, {})[labels] = value

    def drop(self, family: Family, *labels: str) -> None:
        """Forget a value."""
        self._sums.get(family, {}).pop(labels, None)

    def histogram(self, family: Family, *labels: str) -> Histogram:
        """Return a histogram, made empty when it is new."""
        histograms = self._histograms.setdefault(family, {})
        return histograms.setdefault(_bounded(histograms, labels), Histogram(family.bounds))

    def sums(self, family: Family) -> Iterator[tuple[Labels, float]]:
        """Yield the labels and sums of a metric."""
        yield from sorted(self._sums.get(family, {}).items())

    def histograms(self, family: Family) -> Iterator[tuple[Labels, Histogram]]:
        """Yield the labels and histograms of a metric."""
        yield from sorted(self._histograms.get(family, {}).items(), key=lambda found: found[0])


def _bounded(known: Mapping[Labels, object], labels: Labels) -> Labels:
    if labels in known or len(known) < MOST_WORDS:
        return labels
    return (OTHER,) * len(labels)
