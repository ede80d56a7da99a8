"""Owns what the end of a run means for the next one: when it is due, and how failures add up.

A busy or unavailable directory is left alone for 15 s, then twice as long each time, up to 15
minutes, and never shorter than the failed attempt took. What another attempt cannot mend (a
rejected password, certificate or search) waits for the next regular moment, but at least 15
minutes, so that no account is locked out by trying, and at most an hour.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from syncd.schedule.rhythm import Rhythm, next_due, share

if TYPE_CHECKING:
    from datetime import datetime

FIRST_RETRY_SECONDS = 15
LONGEST_RETRY_SECONDS = 900
LONGEST_REFUSED_SECONDS = 3_600
# Another run holds the organization: look again soon.
BUSY_SECONDS = 10
# Paused, or waiting for a decision: look again, so that `syncd resume` needs no restart.
LOOK_AGAIN_SECONDS = 60
# How much of a delay is spread, so that organizations do not come back all at once.
SPREAD = 0.2


class Ending(StrEnum):
    """How a scheduled run ended."""

    # Done, or held by the guard: the directory was read, and that is what the schedule asks for.
    DONE = "done"
    # It failed, and trying again can help.
    FAILED = "failed"
    # It failed for a reason that only a person can mend.
    REFUSED = "refused"
    # Another run holds the organization.
    BUSY = "busy"
    # The organization is paused or pending.
    STOPPED = "stopped"
    # The daemon stopped it; whoever is there goes on at once.
    GIVEN_BACK = "given_back"


def after(
    ending: Ending,
    rhythm: Rhythm,
    organization: str,
    mode: str,
    *,
    now: datetime,
    failures: int,
    took_seconds: float = 0.0,
) -> tuple[datetime, int]:
    """Return when the next run is due, and how many attempts have failed in a row."""
    regular = next_due(rhythm, organization, mode, now)
    if ending is Ending.DONE:
        return regular, 0
    if ending is Ending.GIVEN_BACK:
        return now, failures
    part = 1 + SPREAD * share(organization, mode)
    if ending is Ending.BUSY:
        return now + timedelta(seconds=BUSY_SECONDS * part), failures
    if ending is Ending.STOPPED:
        again = now + timedelta(seconds=LOOK_AGAIN_SECONDS * part)
        return again, failures
    failures += 1
    if ending is Ending.FAILED:
        doubled = FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 16)
        delay = max(min(doubled * part, LONGEST_RETRY_SECONDS), took_seconds)
        return now + timedelta(seconds=delay), failures
    earliest = now + timedelta(seconds=LONGEST_RETRY_SECONDS)
    latest = now + timedelta(seconds=LONGEST_REFUSED_SECONDS)
    return min(max(regular, earliest), latest), failures
