"""How far each content synchronization search has come: the value of a syncrepl watermark.

A cookie belongs to one search (RFC 4533 section 3.1), so there is one for each users DN and each
mapper. The value is JSON in one canonical form: equal standings are equal text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from syncd.errors import ChangesUnavailable, DirectoryError, SearchRejected, cut
from syncd.ldap.changes import cookies
from syncd.ldap.changes.feed import USERS
from syncd.ldap.clock import naming_context, read_context_csn
from syncd.ldap.listings import normalized
from syncd.records import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from syncd.ldap.changes.cookies import Position
    from syncd.ldap.connection import Connection
    from syncd.ldap.listings import ContainerSearch, UserSearch
    from syncd.ldap.search import SearchRequest
    from syncd.records import Entry


class SyncSearch(NamedTuple):
    """One search that has a cookie of its own."""

    source: str
    request: SearchRequest
    # DNs that a healthy listing must contain.
    sentinels: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name of the cookie."""
        return f"{self.source} {normalized(self.request.base_dn)}"


@dataclass(frozen=True, slots=True)
class Standing:
    """The cookie of each search, and which searches had no entries at all."""

    cookies: Mapping[str, str]
    # An empty present phase says nothing, unless there was nobody before either.
    empty: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """The value of the watermark."""
        value = {"cookies": dict(self.cookies), "empty": sorted(self.empty)}
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Standing:
        """Return what a watermark says; ValueError when it says nothing."""
        match json.loads(text):
            case {"cookies": dict() as found, "empty": list() as empty} if all(
                isinstance(each, str) for each in (*found.values(), *empty)
            ):
                return cls(found, frozenset(empty))
        raise ValueError(f"{cut(text)!r} is no standing")


def sync_searches(
    users: UserSearch, containers: Mapping[str, ContainerSearch]
) -> tuple[SyncSearch, ...]:
    """Return every search of an organization."""
    return (
        *(SyncSearch(USERS, request, users.sentinels) for request in users.requests()),
        *(SyncSearch(mapper, each.request()) for mapper, each in sorted(containers.items())),
    )


def positions(
    connection: Connection, root_dse: Entry, searches: Sequence[SyncSearch]
) -> dict[str, Position]:
    """Return how far the directory has come, by each search's key.

    Raises:
        DirectoryError: contextCSN cannot be read; the sentence says of which naming context.

    """
    by_context: dict[str, Position] = {}
    for context in dict.fromkeys(_contexts(root_dse, searches)):
        values = read_context_csn(connection, context)
        try:
            by_context[context] = cookies.position(
                value.decode("utf-8", "replace") for value in values
            )
        except ValueError as error:
            raise DirectoryError(f"contextCSN of {context}: {error}") from error
        if not values:
            raise DirectoryError(
                f"contextCSN of {context} cannot be read: load the syncprov overlay on that "
                "database, or let the bind account read contextCSN"
            )
    return {
        search.key: by_context[context]
        for search, context in zip(searches, _contexts(root_dse, searches), strict=True)
    }


def beginning(connection: Connection, root_dse: Entry, searches: Sequence[SyncSearch]) -> Standing:
    """Return the standing before a full listing: how far the directory is now.

    Raises:
        DirectoryError: contextCSN cannot be read any more.

    """
    now = positions(connection, root_dse, searches)
    return Standing(
        {key: cookies.compose(position) for key, position in now.items()},
        frozenset(search.key for search in searches if _is_empty(connection, search.request)),
    )


def resumed(
    connection: Connection, root_dse: Entry, searches: Sequence[SyncSearch], value: str
) -> Standing:
    """Return the standing from which to ask for changes, given the stored watermark's value.

    Raises:
        ChangesUnavailable: The value cannot be used, or the directory has gone backwards.

    """
    try:
        stored = Standing.read(value)
        known = {key: cookies.parse(cookie) for key, cookie in stored.cookies.items()}
    except ValueError as error:
        raise ChangesUnavailable(
            "cookie_refused", f"the stored cookies cannot be used: {error}"
        ) from error
    missing = [search.key for search in searches if search.key not in known]
    if missing:
        raise ChangesUnavailable("no_watermark", f"there is no cookie for {'; '.join(missing)}")
    try:
        now = positions(connection, root_dse, searches)
    except DirectoryError as error:
        if error.retryable:
            raise
        raise ChangesUnavailable("no_clock", str(error)) from error
    return Standing(
        {key: cookies.compose(cookies.resumed(known[key], now[key])) for key in now},
        stored.empty & now.keys(),
    )


def _contexts(root_dse: Entry, searches: Sequence[SyncSearch]) -> Iterator[str]:
    return (naming_context(root_dse, search.request.base_dn) for search in searches)


def _is_empty(connection: Connection, request: SearchRequest) -> bool:
    one = replace(request, attributes=("1.1",), page_size=None, size_limit=1)
    listing = connection.listing(one, "probe")
    try:
        found = [raw for page in listing for raw in page]
    except SearchRejected:
        # Reading it will tell why.
        return False
    return not found and listing.outcome.verdict is Verdict.COMPLETE
