"""Changes by the retro changelog of 389 Directory Server and FreeIPA.

It names whose entry was touched; what became of it is read from the entry itself. Its numbers have
no holes, so whatever it told is all there was, or a full sync has to look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from syncd.errors import ChangesUnavailable
from syncd.ldap.changes.changelog import (
    Change,
    Position,
    Reach,
    any_of,
    concerns,
    read,
    required_reach,
)
from syncd.ldap.changes.changelog_units import check_units
from syncd.ldap.vendors import server_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.ldap.changes.standing import SyncSearch
    from syncd.ldap.connection import Connection
    from syncd.records import Entry

KIND: Final = "retro_changelog"
# A full sync is quicker than reading so many entries one by one.
MOST_CHANGED: Final = 20_000
# Nor are more rows read: they are kept until it is known that none is missing.
MOST_READ: Final = 100_000


class Changed(NamedTuple):
    """What the changelog tells since a watermark."""

    # What narrows a search down to the entries that changed: some ids each.
    clauses: tuple[str, ...]
    hints: tuple[str, ...]
    now: Position


def changed(
    connection: Connection, root_dse: Entry, searches: Sequence[SyncSearch], value: str
) -> Changed:
    """Return what has changed since the stored watermark's value.

    Raises:
        ChangesUnavailable: The value is of another changelog, this one does not reach back to it,
            or a unit was renamed with all that is below it.

    """
    try:
        stored = Position.read(value)
    except ValueError as error:
        raise ChangesUnavailable(
            "cookie_refused", f"the stored watermark cannot be used: {error}"
        ) from error
    server = server_of(root_dse)
    if server != stored.server:
        raise ChangesUnavailable(
            "other_server",
            f"the changelog of {stored.server or 'another server'} was read last time, and the "
            f"numbers of {server or 'this server'} are others",
        )
    there = required_reach(root_dse)
    if there.last < stored.number:
        raise ChangesUnavailable(
            "clock_backwards",
            f"{there.name} ends at {there.last} and was read up to {stored.number} before; it was "
            "made anew, or the directory was restored",
        )
    if there.last - stored.number > MOST_READ:
        raise ChangesUnavailable(
            "too_many_changed",
            f"{there.name} has {there.last - stored.number} changes since the last run, more than "
            "a full sync costs",
        )
    changes = read(connection, there, max(stored.number, there.first))
    _check_unbroken(stored, there, changes)
    if changes and changes[0].number == stored.number:
        if changes[0].mark != stored.mark:
            raise ChangesUnavailable(
                "history_gap",
                f"another change has the number {stored.number} in {there.name} than before; it "
                "was made anew, or the directory was restored",
            )
        del changes[0]
    ids = dict.fromkeys(
        change.external_id
        for change in changes
        if any(concerns(change, search.request) for search in searches)
    )
    if len(ids) > MOST_CHANGED:
        raise ChangesUnavailable(
            "too_many_changed", f"{len(ids)} entries were changed since the last run"
        )
    check_units(connection, root_dse, searches, changes)
    last = changes[-1] if changes else None
    now = Position(last.number, server, last.mark) if last else stored
    return Changed(tuple(any_of(tuple(ids))), tuple(ids), now)


def _check_unbroken(stored: Position, there: Reach, changes: Sequence[Change]) -> None:
    """Make sure that nothing is missing behind what was read before."""
    if there.first > stored.number + 1:
        raise ChangesUnavailable(
            "history_gap",
            f"{there.name} begins at {there.first} and was read up to {stored.number}; keep it for "
            "longer than the longest pause between two syncs (nsslapd-changelogmaxage)",
        )
    expected = max(stored.number, there.first)
    for change in changes:
        if change.number != expected:
            break
        expected += 1
    else:
        # Of the last ones some may not be committed yet; the first one is there in any case.
        if changes or not there.last:
            return
    raise ChangesUnavailable(
        "history_gap", f"{there.name} has no number {expected}, or the account may not read it"
    )
