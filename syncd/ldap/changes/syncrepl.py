"""Changes by content synchronization (RFC 4533), polled with refreshOnly, on OpenLDAP.

The server sends what is new or changed and says who is deleted, or in place of that who is present.
Each search is one answer without pages, and only its success makes anything of what it said.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from syncd.errors import ChangesUnavailable, DecodeError, SearchRejected
from syncd.ldap import results
from syncd.ldap.ber import decode_entry
from syncd.ldap.changes import cookies
from syncd.ldap.changes.feed import USERS
from syncd.ldap.changes.refresh import Refresh
from syncd.ldap.changes.sentinels import unseen
from syncd.ldap.changes.standing import Standing, SyncSearch
from syncd.ldap.changes.sync_messages import sync_request
from syncd.ldap.decode import decode_external_id
from syncd.ldap.listings import merged
from syncd.records import Signals, Verdict, Watermark

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from syncd.ldap.connection import Connection
    from syncd.ldap.listings import Connections
    from syncd.records import ListingOutcome

KIND: Final = "syncrepl"
ENTRY_UUID: Final = "entryUUID"
# Answers to a cookie from which the server will not go on, now or later.
REFUSED: Final = frozenset(
    {
        results.PROTOCOL_ERROR,
        results.UNAVAILABLE_CRITICAL_EXTENSION,
        results.UNWILLING_TO_PERFORM,
        results.SYNC_REFRESH_REQUIRED,
    }
)


class SyncChanges:
    """What a server says has changed since a standing.

    ``trust_absence`` tells whether this server's present phases mean what RFC 4533 says; of others
    only explicit deletions are taken.
    """

    def __init__(
        self,
        *,
        connections: Connections,
        searches: Sequence[SyncSearch],
        standing: Standing,
        ground: str,
        trust_absence: bool,
    ) -> None:
        self._connections = connections
        self._searches = tuple(searches)
        self._standing = standing
        self._ground = ground
        self._trust_absence = trust_absence
        self._listings: dict[str, SyncListing] = {}

    def users(self) -> SyncListing:
        """List the people who are new or changed."""
        return self._listing(USERS)

    def containers(self, mapper: str) -> SyncListing:
        """List the containers of a mapper that are new or changed."""
        return self._listing(mapper)

    def signals(self, source: str) -> Signals:
        """Return who is said to be deleted, or present, once the listing of a source has ended."""
        return self._listings[source].signals

    @property
    def watermark(self) -> Watermark:
        """The newest cookies of the listings that ended complete; the old ones of all others."""
        found = dict(self._standing.cookies)
        empty = set(self._standing.empty)
        for listing in self._listings.values():
            found |= listing.cookies
            empty -= listing.inhabited
        return Watermark(KIND, Standing(found, frozenset(empty)).text, self._ground)

    def _listing(self, source: str) -> SyncListing:
        listing = SyncListing(
            source=source,
            connections=self._connections,
            searches=[search for search in self._searches if search.source == source],
            standing=self._standing,
            trust_absence=self._trust_absence,
        )
        self._listings[source] = listing
        return listing


class SyncListing:
    """The changes of one source, of all its bases; iterate it once.

    ``outcome`` and ``signals`` are there after exhaustion.
    """

    def __init__(
        self,
        *,
        source: str,
        connections: Connections,
        searches: Sequence[SyncSearch],
        standing: Standing,
        trust_absence: bool,
    ) -> None:
        self._source = source
        self._connections = connections
        self._searches = searches
        self._standing = standing
        self._trust_absence = trust_absence
        self._outcome: ListingOutcome | None = None
        self._signals = Signals()
        # By search: where to go on from next time, and which of them have entries.
        self.cookies: dict[str, str] = {}
        self.inhabited: frozenset[str] = frozenset()

    @property
    def outcome(self) -> ListingOutcome:
        """Return how the listing ended; only after it was read to its end."""
        if self._outcome is None:
            message = "a listing has no outcome before it was read to its end"
            raise RuntimeError(message)
        return self._outcome

    @property
    def signals(self) -> Signals:
        """Return what was said of entries that were not sent; nothing of an incomplete listing.

        The ids said to be present may contain those of entries that were sent, and need not.
        """
        return self._signals if self.outcome.verdict is Verdict.COMPLETE else Signals()

    def __iter__(self) -> Iterator[list[bytes]]:
        outcomes: list[ListingOutcome] = []
        refreshes: list[Refresh] = []
        connection = self._connections.take()
        healthy = False
        try:
            for search in self._searches:
                refresh = Refresh()
                outcomes.append((yield from self._refreshed(connection, search, refresh)))
                refreshes.append(refresh)
                if connection.closed:
                    break
            lacking: tuple[str, ...] = ()
            # They are those of the source, whichever of its bases they are below.
            for search in self._searches[:1]:
                if not connection.closed:
                    lacking = unseen(connection, search.request, search.sentinels)
            outcome = merged(
                self._source, [each.request.base_dn for each in self._searches], outcomes, lacking
            )
            if outcome.verdict is Verdict.COMPLETE:
                self._conclude(connection, refreshes)
            healthy = not connection.closed
        except (ChangesUnavailable, SearchRejected):
            healthy = not connection.closed
            raise
        finally:
            self._connections.give_back(connection, healthy=healthy)
        self._outcome = outcome

    def _refreshed(
        self, connection: Connection, search: SyncSearch, refresh: Refresh
    ) -> Generator[list[bytes], None, ListingOutcome]:
        cookie = self._standing.cookies[search.key]
        request = replace(search.request, page_size=None, controls=(sync_request(cookie.encode()),))
        listing = connection.listing(
            request,
            self._source,
            on_intermediate=refresh.intermediate,
            on_result=refresh.result,
        )
        try:
            for page in listing:
                entries = refresh.page(page)
                if entries:
                    yield entries
        except SearchRejected as error:
            _check_refused(error.result_code, str(error))
            raise
        outcome = refresh.end(listing.outcome)
        _check_refused(outcome.result_code, str(outcome.because))
        return outcome

    def _conclude(self, connection: Connection, refreshes: Sequence[Refresh]) -> None:
        """Draw from a complete answer what it says of entries that it did not send."""
        there: set[str] = set()
        for refresh in refreshes:
            there |= refresh.sent | refresh.named_present
        # Who was moved from one base to another is deleted in the one and there in the other.
        deleted = [each for refresh in refreshes for each in refresh.deleted if each not in there]
        present = self._present(connection, refreshes) if self._trust_absence else None
        self._signals = Signals(deleted=tuple(dict.fromkeys(deleted)), present=present)
        for search, refresh in zip(self._searches, refreshes, strict=True):
            self.cookies[search.key] = (
                _canonical(refresh.cookie) or (self._standing.cookies[search.key])
            )
        self.inhabited = frozenset(
            search.key
            for search, refresh in zip(self._searches, refreshes, strict=True)
            if refresh.sent or refresh.named_present
        )

    def _present(
        self, connection: Connection, refreshes: Sequence[Refresh]
    ) -> frozenset[str] | None:
        """Return everybody who is there, when a present phase says so of one base at least."""
        if all(refresh.present is None for refresh in refreshes):
            return None
        found: set[str] = set()
        for search, refresh in zip(self._searches, refreshes, strict=True):
            if refresh.present is None:
                # Here the deleted are named one by one, or nothing changed.
                found |= self._ids(connection, search)
            elif refresh.present:
                found |= refresh.present
            elif refresh.sent or search.key not in self._standing.empty:
                raise ChangesUnavailable(
                    "history_gap",
                    f"the directory cannot tell what changed below {search.request.base_dn} since "
                    "the last run: its history does not reach back that far",
                )
        return frozenset(found) or None

    def _ids(self, connection: Connection, search: SyncSearch) -> set[str]:
        """Return the ids of a base by an ordinary listing."""
        decode = decode_external_id(ENTRY_UUID)
        request = replace(search.request, attributes=(ENTRY_UUID,))
        listing = connection.listing(request, self._source)
        found: set[str] = set()
        for page in listing:
            for raw in page:
                try:
                    found.update(map(decode, decode_entry(raw).values(ENTRY_UUID)))
                except DecodeError:
                    # Whoever is missed for this is looked up by id.
                    continue
        if listing.outcome.verdict is not Verdict.COMPLETE:
            raise ChangesUnavailable(
                "history_gap",
                f"who is below {search.request.base_dn} could not be listed in full: "
                f"{listing.outcome.because}",
            )
        return found


def _check_refused(code: int | None, said: str) -> None:
    if code in REFUSED:
        raise ChangesUnavailable(
            "cookie_refused", f"the directory does not go on from the last run's cookie: {said}"
        )


def _canonical(cookie: str | None) -> str | None:
    if cookie is None:
        return None
    try:
        return cookies.compose(cookies.parse(cookie))
    except ValueError as error:
        raise ChangesUnavailable(
            "cookie_refused", f"the directory gave a cookie that cannot be used: {error}"
        ) from error
