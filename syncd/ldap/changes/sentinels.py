"""Sentinels of a listing of changes: it brings them only by chance, so they are read by name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from syncd.errors import SearchRejected
from syncd.ldap.listings import ChainedListing, merged
from syncd.records import Scope, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from syncd.ldap.connection import Connection
    from syncd.ldap.listings import Connections
    from syncd.ldap.search import SearchRequest


def unseen(
    connection: Connection, request: SearchRequest, sentinels: Sequence[str]
) -> tuple[str, ...]:
    """Return the sentinels that a listing by this request would lack."""
    return tuple(name for name in sentinels if not _is_seen(connection, request, name))


def _is_seen(connection: Connection, request: SearchRequest, name: str) -> bool:
    one = replace(
        request,
        base_dn=name,
        scope=Scope.BASE,
        attributes=("1.1",),
        page_size=None,
        controls=(),
    )
    try:
        return bool(connection.search(one))
    except SearchRejected:
        return False


class WatchedListing(ChainedListing):
    """A listing of changes that is not complete while a sentinel cannot be seen."""

    def __init__(
        self,
        *,
        source: str,
        connections: Connections,
        requests: Sequence[SearchRequest],
        whole: SearchRequest,
        sentinels: Sequence[str],
    ) -> None:
        """``whole`` is the request without what narrows it down to changes."""
        super().__init__(source=source, connections=connections, requests=requests)
        self._whole = whole
        self._watched = tuple(sentinels)

    def __iter__(self) -> Iterator[list[bytes]]:
        yield from super().__iter__()
        outcome = self.outcome
        if not self._watched or outcome.verdict is not Verdict.COMPLETE:
            return
        connection = self._connections.take()
        healthy = False
        try:
            lacking = unseen(connection, self._whole, self._watched)
            healthy = True
        finally:
            self._connections.give_back(connection, healthy=healthy)
        self._outcome = merged(self._source, [self._whole.base_dn], [outcome], lacking)
