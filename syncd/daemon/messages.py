"""Owns what supervisor and workers say to each other; all of it is pickled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from syncd.logging import Format
    from syncd.settings import Settings

FULL, CHANGED, PRUNE = "full", "changed", "prune"
# Applies the plans of an organization that somebody approved from elsewhere.
APPROVE = "approve"
# The organization under which the schedule keeps what is nobody's: no id looks like it.
EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class Start:
    """What a worker is made of: a snapshot of the settings, secrets included."""

    settings: Settings
    log_format: Format
    log_level: str
    log_searches: bool


@dataclass(frozen=True, slots=True)
class Job:
    """One run; the number tells it from others."""

    number: int
    organization: str
    mode: str


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Stop the run of this number in order."""

    number: int


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has done its imports and waits."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run gave no report, as the error tree tells it."""

    code: str
    message: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """A run has ended: with a report, with an error, or with an error that has a report."""

    number: int
    report: dict[str, Any] | None
    failure: Failure | None
    seconds: float
    rss_bytes: int
