"""Owns what is run next: whatever is due, within the caps, a full sync before a changed one.

Rows come from the store, which all replicas share; so what another replica runs counts too.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from syncd.schedule.rhythm import Rhythm, next_due

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet
    from datetime import datetime

FULL, CHANGED = "full", "changed"


class Row(Protocol):
    """One row of the schedule."""

    @property
    def organization_id(self) -> str:
        """Whom it is about."""

    @property
    def mode(self) -> str:
        """What is due."""

    @property
    def next_due(self) -> datetime | None:
        """When it is due, None: never; while a claim holds, when the claim runs out."""

    @property
    def failures(self) -> int:
        """How many attempts have failed in a row."""

    @property
    def claimed_by(self) -> str | None:
        """Who runs it."""

    @property
    def claimed_until(self) -> datetime | None:
        """How long that is believed without a further word."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """What an organization wants: a rhythm by mode, and which servers its runs search."""

    organization: str
    rhythms: Mapping[str, Rhythm]
    # host:port of every connection URL.
    servers: frozenset[str] = frozenset()


RowT = TypeVar("RowT", bound=Row)


def is_claimed(row: Row, now: datetime) -> bool:
    """Tell whether somebody runs this at the moment."""
    return row.claimed_by is not None and row.claimed_until is not None and row.claimed_until > now


def moments(
    rows: Iterable[Row], timetables: Mapping[str, Timetable]
) -> dict[tuple[str, str], datetime]:
    """Return when each organization's modes are due, of those that somebody wants."""
    return {
        (row.organization_id, row.mode): row.next_due
        for row in rows
        if row.next_due is not None and row.mode in _modes(timetables, row)
    }


def choose(
    rows: Iterable[RowT],
    timetables: Mapping[str, Timetable],
    *,
    now: datetime,
    running: AbstractSet[str],
    free: int,
    per_directory: int,
) -> list[RowT]:
    """Return what to claim, the longest due first, at most ``free``.

    ``running`` are the organizations that this replica has under way. One organization is never
    chosen twice, and a server is not searched by more than ``per_directory`` runs.
    """
    known = [row for row in rows if row.mode in _modes(timetables, row)]
    busy = set(running) | {row.organization_id for row in known if is_claimed(row, now)}
    searched: Counter[str] = Counter()
    for organization in busy & set(timetables):
        searched.update(timetables[organization].servers)
    due = [
        (row.next_due, row.organization_id, row)
        for row in known
        if row.next_due is not None and row.next_due <= now and row.organization_id not in busy
    ]
    # A full sync sees what a changed one would, so it goes first whatever has waited longer.
    fulls = {row.organization_id for _, _, row in due if row.mode == FULL}
    due = [each for each in due if each[2].mode != CHANGED or each[1] not in fulls]
    chosen: list[RowT] = []
    for _, _, row in sorted(due, key=lambda each: each[:2]):
        servers = timetables[row.organization_id].servers
        if len(chosen) >= free:
            break
        if any(searched[server] >= per_directory for server in servers):
            continue
        searched.update(servers)
        chosen.append(row)
    return chosen


def forward(
    rows: Iterable[RowT], timetables: Mapping[str, Timetable], now: datetime
) -> list[tuple[RowT, datetime]]:
    """Return rows that are due later than their rhythm says, with the moment it says.

    That is what a shorter period or another cron line leaves behind. Rows that are backed off
    stay as they are.
    """
    found = []
    for row in rows:
        rhythm = _modes(timetables, row).get(row.mode)
        if rhythm is None or row.next_due is None or row.failures or is_claimed(row, now):
            continue
        regular = next_due(rhythm, row.organization_id, row.mode, now)
        if row.next_due > regular:
            found.append((row, regular))
    return found


def _modes(timetables: Mapping[str, Timetable], row: Row) -> Mapping[str, Rhythm]:
    timetable = timetables.get(row.organization_id)
    return {} if timetable is None else timetable.rhythms
