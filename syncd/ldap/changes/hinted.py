"""Changes that are searched for by a clause beside the filter, and hints of whoever may have left.

Both of Active Directory's ways know which entries changed anywhere in the domain. Those among them
that the searches list are sent, and all of them are hints: who was listed before, changed, and is
not listed now has left the base or the filter.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from syncd.ldap import filters
from syncd.ldap.changes.feed import USERS
from syncd.ldap.changes.sentinels import WatchedListing
from syncd.records import Signals, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from syncd.ldap.listings import Connections, ContainerSearch, UserSearch
    from syncd.ldap.search import SearchRequest
    from syncd.records import Watermark


class HintedChanges:
    """What changed: each search is narrowed down by each of the clauses.

    ``hints`` are the external ids of whatever changed or was deleted.
    """

    def __init__(
        self,
        *,
        connections: Connections,
        users: UserSearch,
        container: Callable[[str], ContainerSearch],
        clauses: Sequence[str],
        hints: Sequence[str],
        watermark: Watermark,
    ) -> None:
        self._connections = connections
        self._users = users
        self._container = container
        self._clauses = tuple(clauses)
        self._signals = Signals(deleted=tuple(hints))
        self._watermark = watermark
        self._listings: dict[str, WatchedListing] = {}

    def users(self) -> WatchedListing:
        """List the people who are new or changed."""
        users = self._users
        return self._listing(USERS, *users.requests(), sentinels=users.sentinels)

    def containers(self, mapper: str) -> WatchedListing:
        """List the containers of a mapper that are new or changed."""
        return self._listing(mapper, self._container(mapper).request())

    def signals(self, source: str) -> Signals:
        """Return who may have left, once the listing of a source has ended."""
        outcome = self._listings[source].outcome
        return self._signals if outcome.verdict is Verdict.COMPLETE else Signals()

    @property
    def watermark(self) -> Watermark:
        """How far the directory was before anything was searched for."""
        return self._watermark

    def _listing(
        self, source: str, *requests: SearchRequest, sentinels: tuple[str, ...] = ()
    ) -> WatchedListing:
        listing = WatchedListing(
            source=source,
            connections=self._connections,
            requests=[
                replace(request, filter=filters.and_(request.filter, clause))
                for request in requests
                for clause in self._clauses
            ],
            whole=requests[0],
            sentinels=sentinels,
        )
        self._listings[source] = listing
        return listing
