"""When organizations are synced: pure rules, and the clock that wakes the daemon for them."""

from syncd.schedule.alarm import Alarm
from syncd.schedule.choice import CHANGED, FULL, Row, Timetable, choose, forward, moments
from syncd.schedule.cron import require_moments
from syncd.schedule.endings import BUSY_SECONDS, LOOK_AGAIN_SECONDS, Ending, after
from syncd.schedule.rhythm import Rhythm, first_due, next_due

__all__ = [
    "BUSY_SECONDS",
    "CHANGED",
    "FULL",
    "LOOK_AGAIN_SECONDS",
    "Alarm",
    "Ending",
    "Rhythm",
    "Row",
    "Timetable",
    "after",
    "choose",
    "first_due",
    "forward",
    "moments",
    "next_due",
    "require_moments",
]
