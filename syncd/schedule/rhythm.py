"""Owns when a sync is due: from a period or a cron line, the same on every replica at any time.

A period's moments are a fixed grid, shifted by a hash of whom and what they are for. So a thousand
organizations are spread over the period, a restart changes no moment, and what was missed while
nothing ran counts once: the next moment is always the first one to come.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from syncd.schedule.cron import fire_time

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# A cron line names a minute; within it organizations are spread.
CRON_SPREAD = timedelta(minutes=1)
# Over how long the very first syncs of many organizations are spread: so much for each of them.
FIRST_SPREAD_EACH, LONGEST_FIRST_SPREAD = timedelta(seconds=0.1), timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often: a period in seconds, or a cron line (UTC), which wins."""

    period: float
    cron: str | None = None


def share(organization: str, mode: str) -> float:
    """Return a steady number from 0 up to 1 for an organization's mode."""
    key = f"{organization}\0{mode}".encode()
    return int.from_bytes(blake2b(key, digest_size=6).digest(), "big") / 2**48


def next_due(rhythm: Rhythm, organization: str, mode: str, after: datetime) -> datetime:
    """Return the first moment of a rhythm after ``after``.

    A cron line without any further moment, which the check at start refuses, is never due: that
    is told as the end of time.
    """
    part = share(organization, mode)
    if rhythm.cron is not None:
        shift = CRON_SPREAD * part
        found = fire_time(rhythm.cron, after - shift + MICROSECOND)
        return datetime.max.replace(tzinfo=UTC) if found is None else found + shift
    # Whole microseconds: a float would not hold them at this distance from 1970.
    period = max(1, round(rhythm.period * 1_000_000))
    offset = int(part * period)
    passed = (after - EPOCH) // MICROSECOND
    return EPOCH + MICROSECOND * (((passed - offset) // period + 1) * period + offset)


def first_due(organization: str, mode: str, now: datetime, *, organizations: int) -> datetime:
    """Return when something is due that never ran: soon, but not all organizations at once."""
    spread = min(FIRST_SPREAD_EACH * organizations, LONGEST_FIRST_SPREAD)
    return now + spread * share(organization, mode)
