"""Entries that a listing brings only in part, completed by further searches beside it.

Owns the place where that happens: every listing of a source and every listing of changes passes
through here, so nothing behind the room of directories knows of it. What completes an entry is a
``Completer``: ``ranges`` and ``in_chain``.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from syncd.errors import DecodeError, DirectoryError, DirectoryUnavailable
from syncd.ldap.ber import decode_entry
from syncd.ldap.decode import decode_external_id
from syncd.records import Signals, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from syncd.ldap.changes.feed import ChangeListing, Changes
    from syncd.ldap.connection import Connection
    from syncd.ldap.listings import Connections
    from syncd.records import ListingOutcome, Watermark

# A directory that cannot be reached any more is not asked again for each of many entries.
LOSSES: Final = 2


class Completer(Protocol):
    """Completes entries of one listing; ``close`` gives its connection back."""

    def completed(self, page: list[bytes]) -> list[bytes]:
        """Return the page with what its entries lacked; one that it cannot complete says so."""

    def close(self) -> None:
        """End with what it used; a further page starts anew."""


class Aside:
    """A connection beside that of a listing, taken when it is first needed.

    Two searches with pages on one connection would disturb each other, and a listing has its own.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._connection: Connection | None = None
        self._lost = 0

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Give the connection for a few searches.

        Raises:
            DirectoryError: There is none, or it failed in use.

        """
        if self._lost >= LOSSES:
            raise DirectoryUnavailable("the directory was lost before, while entries were read on")
        connection, self._connection = self._connection, None
        healthy = False
        try:
            if connection is None:
                connection = self._connections.take()
            yield connection
            healthy = not connection.closed
        except DirectoryUnavailable:
            self._lost += 1
            raise
        except DirectoryError:
            # The answer was no good; the connection may be.
            healthy = connection is not None and not connection.closed
            raise
        finally:
            if healthy:
                self._lost = 0
                self._connection = connection
            elif connection is not None:
                self._connections.give_back(connection, healthy=False)

    def close(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        self._lost = 0
        if connection is not None:
            self._connections.give_back(connection, healthy=not connection.closed)


class Seen:
    """Takes down the external ids of entries that pass."""

    def __init__(self, uuid_attribute: str) -> None:
        self._attribute = uuid_attribute
        self._decode = decode_external_id(uuid_attribute)
        self._ids: set[str] = set()
        self._all = True

    @property
    def ids(self) -> frozenset[str] | None:
        """Return them; None when one could not be read."""
        return frozenset(self._ids) if self._all else None

    def completed(self, page: list[bytes]) -> list[bytes]:
        """Return the page as it is."""
        for raw in page:
            try:
                values = decode_entry(raw).values(self._attribute)
                self._all = self._all and len(values) == 1
                self._ids.update(map(self._decode, values))
            except DecodeError:
                self._all = False
        return page

    def close(self) -> None:
        """Keep what was seen."""


class CompletedListing:
    """A listing whose entries are whole; iterate it once, as the one that it stands for."""

    def __init__(self, listing: ChangeListing, completers: Sequence[Completer]) -> None:
        self._listing = listing
        self._completers = completers

    @property
    def outcome(self) -> ListingOutcome:
        """Return how the listing ended; only after it was read to its end."""
        return self._listing.outcome

    def __iter__(self) -> Iterator[list[bytes]]:
        try:
            for page in self._listing:
                yield _each(page, self._completers)
        finally:
            for completer in self._completers:
                completer.close()


class CompletedChanges:
    """Changes whose listings are whole.

    ``always`` may give a full listing of a mapper's containers in place of that of the changes.
    """

    def __init__(
        self,
        changes: Changes,
        *,
        completers: Callable[[str | None], Sequence[Completer]],
        always: Callable[[str, Seen], ChangeListing | None],
        uuid_attribute: str,
    ) -> None:
        self._changes = changes
        self._completers = completers
        self._always = always
        self._uuid_attribute = uuid_attribute
        self._whole: dict[str, tuple[ChangeListing, Seen]] = {}

    def users(self) -> ChangeListing:
        """List the people who are new or changed."""
        return CompletedListing(self._changes.users(), self._completers(None))

    def containers(self, mapper: str) -> ChangeListing:
        """List the containers of a mapper that are new or changed, or all of them."""
        seen = Seen(self._uuid_attribute)
        whole = self._always(mapper, seen)
        if whole is not None:
            self._whole[mapper] = whole, seen
            return whole
        return CompletedListing(self._changes.containers(mapper), self._completers(mapper))

    def signals(self, source: str) -> Signals:
        """Return what a listing said of entries that it did not send; after its end."""
        if source not in self._whole:
            return self._changes.signals(source)
        listing, seen = self._whole[source]
        if listing.outcome.verdict is not Verdict.COMPLETE:
            return Signals()
        return Signals(present=seen.ids)

    @property
    def watermark(self) -> Watermark:
        """Where to ask from next time."""
        return self._changes.watermark


def completed(page: list[bytes], completers: Sequence[Completer]) -> list[bytes]:
    """Return single entries after each of the completers, which then are done."""
    try:
        return _each(page, completers)
    finally:
        for completer in completers:
            completer.close()


def _each(page: list[bytes], completers: Sequence[Completer]) -> list[bytes]:
    for completer in completers:
        page = completer.completed(page)
    return page
