"""The ways of asking what changed, by their kinds: how far a directory is, and what changed since.

Which kind fits a directory is decided in ``detection``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from syncd.ldap.changes import (
    changelog_sync,
    dirsync,
    retro_changelog,
    standing,
    syncrepl,
    usn_changed,
)
from syncd.ldap.changes.changelog import beginning
from syncd.ldap.changes.hinted import HintedChanges
from syncd.ldap.changes.modify_timestamp import StampChanges
from syncd.ldap.changes.syncrepl import SyncChanges
from syncd.ldap.clock import read_time
from syncd.ldap.vendors import vendor_of
from syncd.records import Watermark

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from syncd.ldap.changes.feed import Changes
    from syncd.ldap.changes.standing import SyncSearch
    from syncd.ldap.connection import Connection
    from syncd.ldap.listings import Connections, ContainerSearch, UserSearch
    from syncd.records import Entry

# Their numbers are one server's, so that a run must not go on with another.
PINNED = frozenset({usn_changed.KIND, retro_changelog.KIND})


class _Text(Protocol):
    @property
    def text(self) -> str: ...


class _Changed(Protocol):
    @property
    def clauses(self) -> tuple[str, ...]: ...
    @property
    def hints(self) -> tuple[str, ...]: ...
    @property
    def now(self) -> _Text: ...


# Ways that say whose entries changed, and no more.
HINTING: Final[Mapping[str, Callable[[Connection, Entry, Sequence[SyncSearch], str], _Changed]]] = {
    usn_changed.KIND: usn_changed.changed,
    dirsync.KIND: dirsync.changed,
    retro_changelog.KIND: retro_changelog.changed,
    syncrepl.KIND: changelog_sync.changed,
}


def value_now(
    kind: str,
    connection: Connection,
    root_dse: Entry,
    users: UserSearch,
    searches: Sequence[SyncSearch],
) -> str:
    """Return the value of a watermark: how far the directory is at this moment.

    By ``modify_timestamp`` it is the directory's own time, as GeneralizedTime in whole seconds of
    UTC that a filter can take, or empty where the directory tells none; by the other ways it is a
    text that only they understand.
    """
    if kind == syncrepl.KIND and vendor_of(root_dse).sync_by_changelog:
        return changelog_sync.beginning(connection, searches).text
    if kind == syncrepl.KIND:
        return standing.beginning(connection, root_dse, searches).text
    if kind == retro_changelog.KIND:
        return beginning(connection, root_dse).text
    if kind == usn_changed.KIND:
        return usn_changed.beginning(connection, root_dse, searches).text
    if kind == dirsync.KIND:
        return dirsync.beginning(connection, root_dse, searches).text
    return read_time(connection, root_dse, users.base_dns)


def changes_since(
    since: Watermark,
    connection: Connection,
    root_dse: Entry,
    *,
    connections: Connections,
    users: UserSearch,
    container: Callable[[str], ContainerSearch],
    searches: Sequence[SyncSearch],
    ground: str,
) -> Changes:
    """Return what changed since a watermark, by the way that made it.

    Raises:
        ChangesUnavailable: A full sync is needed; also while a listing is read.

    """
    if since.kind == syncrepl.KIND and not vendor_of(root_dse).sync_by_changelog:
        return SyncChanges(
            connections=connections,
            searches=searches,
            standing=standing.resumed(connection, root_dse, searches, since.value),
            ground=ground,
            trust_absence=vendor_of(root_dse).absence_trusted,
        )
    way = HINTING.get(since.kind)
    if way is not None:
        found = way(connection, root_dse, searches, since.value)
        return HintedChanges(
            connections=connections,
            users=users,
            container=container,
            clauses=found.clauses,
            hints=found.hints,
            watermark=Watermark(since.kind, found.now.text, ground),
        )
    now = read_time(connection, root_dse, users.base_dns)
    return StampChanges(
        connections=connections,
        users=users,
        container=container,
        since=since.value,
        now=Watermark(since.kind, now, ground),
    )
