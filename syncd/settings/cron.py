"""Owns the light check of cron lines: five fields of numbers, ranges, lists and steps."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from syncd.settings.values import Kind, Text

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
_PART = re.compile(r"(?:\*|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:/([0-9]{1,2}))?\Z")


def check_cron(text: str) -> str:
    """Return the line with single blanks; ``ValueError`` names the field that is wrong."""
    fields = text.lower().split()
    if len(fields) != len(_FIELDS):
        raise ValueError(
            "must be a cron line of five fields (minute hour day month weekday), such as 30 2 * * *"
        )
    for value, (name, low, high, names) in zip(fields, _FIELDS, strict=True):
        numbers = {word: low + at for at, word in enumerate(names)}
        for part in value.split(","):
            match = _PART.match(part)
            if match is None or not _fits(match, low, high, numbers):
                raise ValueError(f"must have {low} to {high} (or *) as its {name}")
    return " ".join(fields)


def _fits(match: re.Match[str], low: int, high: int, names: dict[str, int]) -> bool:
    bounds = [
        int(word) if word.isdigit() else names.get(word, -1)
        for word in match.groups()[:2]
        if word is not None
    ]
    step = match.group(3)
    ordered = bounds == sorted(bounds)
    return ordered and all(low <= at <= high for at in bounds) and (step is None or int(step) > 0)


CronLine = Annotated[Text, AfterValidator(check_cron), Kind("cron line")]
