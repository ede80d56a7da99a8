"""Owns what a cron line means: five fields in UTC, as cron itself reads them.

APScheduler counts weekdays from Monday, wants both day fields to fit at once, and refuses steps
that are wider than their field. Cron counts from Sunday, takes either day field when both are
given, and lets a wide step name the first value alone. So each field is written out as a list.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

from syncd.errors import ConfigurationError, Fault

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MINUTES, HOURS, DAYS_OF_MONTH, MONTH_NUMBERS, WEEKDAYS = (0, 59), (0, 23), (1, 31), (1, 12), (0, 7)
# A leap year's 29 February on a certain weekday comes within 40 years, whatever the century does.
SAMPLE = datetime(2024, 1, 1, tzinfo=UTC)


def fire_time(line: str, at: datetime) -> datetime | None:
    """Return the first moment of a cron line that is not before ``at``; None when there is none."""
    found: datetime | None = _trigger(line).get_next_fire_time(None, at.astimezone(UTC))
    return found


def require_moments(line: str, *, file: str, key: str) -> None:
    """Refuse a line that is right as a line but names no day of any year, as 31 February."""
    if fire_time(line, SAMPLE) is None:
        message = f'is "{line}", and there is no such day; a sync would never run'
        raise ConfigurationError([Fault(file, None, key, message)])


@lru_cache(maxsize=1024)
def _trigger(line: str) -> BaseTrigger:
    minute, hour, day, month, weekday = line.lower().split()
    common = {
        "minute": _numbers(minute, MINUTES),
        "hour": _numbers(hour, HOURS),
        "month": _numbers(month, MONTH_NUMBERS, MONTHS, first=1),
        "timezone": UTC,
    }
    days = {"day": _numbers(day, DAYS_OF_MONTH)}
    weekdays = {"day_of_week": _weekdays(weekday)}
    if day.startswith("*") or weekday.startswith("*"):
        return CronTrigger(**common, **days, **weekdays)
    return OrTrigger([CronTrigger(**common, **days), CronTrigger(**common, **weekdays)])


def _weekdays(field: str) -> str:
    numbers = _expanded(field, WEEKDAYS, DAYS, first=0)
    return ",".join(DAYS[number] for number in sorted({number % 7 for number in numbers}))


def _numbers(
    field: str, bounds: tuple[int, int], names: tuple[str, ...] = (), first: int = 0
) -> str:
    return ",".join(str(number) for number in sorted(_expanded(field, bounds, names, first=first)))


def _expanded(
    field: str, bounds: tuple[int, int], names: tuple[str, ...], *, first: int
) -> set[int]:
    """Return the numbers that a field names; the settings have checked how it is written."""
    low, high = bounds
    known = {name: first + at for at, name in enumerate(names)}
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            # "*/2" of the weekdays is Sunday, Tuesday…: the second Sunday (7) is not a day more.
            start, end = low, min(high, 6) if bounds is WEEKDAYS else high
        else:
            begin, _, until = span.partition("-")
            start = known[begin] if begin in known else int(begin)
            end = known.get(until, -1) if until in known else int(until) if until else start
            if step and not until:
                end = high
        found.update(range(start, end + 1, int(step or 1)))
    return found
