"""Says what the daemon will do and when: at the start, after a reload, and in the status line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd import logging
from syncd.daemon.messages import EVERYBODY, FULL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from syncd.daemon.books import Key
    from syncd.daemon.messages import Job
    from syncd.schedule import Rhythm, Timetable
    from syncd.settings import Settings

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def tell(
    settings: Settings, timetables: Mapping[str, Timetable], moments: Mapping[Key, datetime]
) -> None:
    """Log one line for each organization."""
    log = logging.get_logger()
    for name, organization in settings.organizations.items():
        timetable = timetables.get(name)
        if timetable is None:
            message = f"{name} is not synced: its provider is {organization.provider}"
            log.info(message, action="organization_not_synced", organization=name)
            continue
        parts = [
            f"{mode} sync {_often(rhythm)}, next at {_moment(moments.get((name, mode)))}"
            for mode, rhythm in sorted(timetable.rhythms.items(), key=lambda each: each[0] != FULL)
        ]
        message = f"{name}: {'; '.join(parts) or 'no sync is scheduled'}"
        log.info(message, action="organization_scheduled", organization=name)


def status(*, because: Sequence[str], jobs: Sequence[Job], moments: Mapping[Key, datetime]) -> str:
    """Return the service's status line."""
    doing = ", ".join(f"{job.organization} {job.mode}" for job in jobs[:3])
    if len(jobs) > 3:
        doing += f" and {len(jobs) - 3} more"
    now = f"syncing {doing}" if jobs else "idle"
    if because:
        return f"not ready: {'; '.join(because)} ({now})"
    waiting = [
        (moment, key)
        for key, moment in moments.items()
        if key[0] != EVERYBODY and key not in {(job.organization, job.mode) for job in jobs}
    ]
    if not waiting:
        return now
    moment, (organization, mode) = min(waiting)
    return f"{now}; next: {organization} {mode} at {_moment(moment)}"


def _often(rhythm: Rhythm) -> str:
    if rhythm.cron is not None:
        return f'at "{rhythm.cron}" UTC'
    seconds = rhythm.period
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m")):
        if seconds >= unit and seconds % unit == 0:
            return f"every {seconds / unit:g}{name}"
    return f"every {seconds:g}s"


def _moment(moment: datetime | None) -> str:
    return "no time" if moment is None else f"{moment:%Y-%m-%d %H:%M:%SZ}"
