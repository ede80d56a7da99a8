"""Owns one organization's directory as the sync sees it: what to list, and on which ground.

It composes connections (``pool``), listings, what completes their entries, and lookups. It keeps no
state but its idle connections.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from syncd.errors import (
    ChangesUnavailable,
    DirectoryError,
    NotFound,
    UsageError,
)
from syncd.ldap import filters
from syncd.ldap.absence import Absence, locate, unreadable, why_absent
from syncd.ldap.changes.detection import AUTO, Detection, check_setting, choose
from syncd.ldap.changes.standing import sync_searches
from syncd.ldap.changes.ways import PINNED, changes_since, value_now
from syncd.ldap.completion import CompletedChanges, CompletedListing, Completer, Seen, completed
from syncd.ldap.ground import ground
from syncd.ldap.in_chain import ChainCompleter, check_in_chain
from syncd.ldap.listings import (
    ChainedListing,
    ContainerSearch,
    UserSearch,
    distinct_bases,
    in_scope,
)
from syncd.ldap.lookup import Lookup
from syncd.ldap.named import read_named, read_outside
from syncd.ldap.pool import Pool
from syncd.ldap.ranges import RangeCompleter
from syncd.ldap.traffic import Traffic
from syncd.ldap.vendors import server_of
from syncd.records import Watermark, batched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from syncd.ldap.changes.feed import Changes
    from syncd.ldap.connection import Connection, ConnectionOptions
    from syncd.ldap.search import SearchRequest
    from syncd.records import Entry, Located

__all__ = ["ContainerSearch", "LdapSource", "UserSearch"]

logger = logging.getLogger(__name__)

# Containers named in one search for their members; each is a clause of the filter.
DNS_PER_SEARCH = 50


class LdapSource:
    """One organization's directory; a context manager."""

    def __init__(
        self,
        *,
        connection: ConnectionOptions,
        users: UserSearch,
        containers: Mapping[str, ContainerSearch],
        log_searches: bool = False,
        change_detection: str = AUTO,
    ) -> None:
        if not users.base_dns:
            raise UsageError("there is no users DN to search; set users_dn")
        self._options = connection
        self._users = users
        self._bases = distinct_bases(users.base_dns, users.scope)
        self._containers = dict(containers)
        self._change_detection = change_detection
        self._searches = sync_searches(users, self._containers)
        self._detection: Detection | None = None
        # What was asked of the directory through this source.
        self.traffic = Traffic()
        self._pool = Pool(
            connection, traffic=self.traffic, on_search=_log_search if log_searches else None
        )

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def open(self) -> None:
        """Connect and bind, so that a wrong address or password is told before anything starts.

        Raises:
            DirectoryError: No server answered, or the one that did refused.
            UsageError: The server lacks what a mapper relies on.

        """
        with self._pool.borrowed() as connection:
            if any(search.in_chain for search in self._containers.values()):
                check_in_chain(connection.root_dse(), self._containers)

    def close(self) -> None:
        """Close the idle connections; a listing in progress closes its own."""
        self._pool.close()

    @property
    def url(self) -> str:
        """The server that the last connection was opened to."""
        return self._pool.url

    def users(self) -> CompletedListing:
        """List the people: all users DNs as one listing."""
        return self._listing("users", self._users.requests(), self._users.sentinels)

    def containers(self, mapper: str) -> CompletedListing:
        """List the roles (or groups) that a mapper imports.

        Raises:
            NotFound: No such mapper.

        """
        return self._containers_of(mapper)

    def ground(self) -> str:
        """Return a hash of everything that a watermark silently relies on (see ``ground``)."""
        with self._pool.borrowed() as connection:
            return self._ground(connection, connection.root_dse())

    def detection(self) -> Detection:
        """Return how changes are found here and why; asked once in the life of a source.

        Raises:
            UsageError: What the configuration demands cannot be used.

        """
        if self._detection is None:
            # What needs no directory is told without one.
            check_setting(self._change_detection, self._users.uuid_attribute)
            with self._pool.borrowed() as connection:
                self._detection = choose(
                    self._change_detection,
                    connection,
                    connection.root_dse(),
                    self._users,
                    self._searches,
                )
        return self._detection

    def watermark(self) -> Watermark:
        """Read how far the directory has come; call it before the search.

        Its kind is that of ``detection``, its value what ``value_now`` says.
        """
        kind = self.detection().kind
        with self._pool.borrowed() as connection:
            root_dse = self._pinned(connection, kind)
            return Watermark(
                kind,
                value_now(kind, connection, root_dse, self._users, self._searches),
                self._ground(connection, root_dse),
            )

    def changes(self, since: Watermark) -> Changes:
        """Return what changed since a watermark; the new one is read before anything is asked.

        Raises:
            ChangesUnavailable: A full sync is needed; also while a listing is read.

        """
        return CompletedChanges(
            self._changes(since),
            completers=self._completers,
            always=self._always,
            uuid_attribute=self._users.uuid_attribute,
        )

    def _always(self, mapper: str, seen: Seen) -> CompletedListing | None:
        # Who joins or leaves a nested group leaves no trace on the group above.
        if self._container(mapper).in_chain:
            return self._containers_of(mapper, seen)
        return None

    def _changes(self, since: Watermark) -> Changes:
        kind = self.detection().kind
        if since.kind != kind:
            raise ChangesUnavailable(
                "detection", f"changes were told by {since.kind} and are now told by {kind}"
            )
        with self._pool.borrowed() as connection:
            root_dse = self._pinned(connection, kind)
            return changes_since(
                since,
                connection,
                root_dse,
                connections=self._pool,
                users=self._users,
                container=self._container,
                searches=self._searches,
                ground=self._ground(connection, root_dse),
            )

    def members_of(self, mapper: str, dns: Sequence[str]) -> CompletedListing:
        """List the people whose own entries name one of these containers of a mapper.

        Somebody who is in many of them may come more than once.

        Raises:
            NotFound: No such mapper.
            UsageError: The mapper is not told by the people's own entries.

        """
        attribute = self._container(mapper).member_of_attribute
        if attribute is None:
            raise UsageError(f"{mapper} takes members from its own entries, not from the people's")
        named = [
            filters.or_(*(filters.equal(attribute, name) for name in names))
            for names in batched(dns, DNS_PER_SEARCH)
        ]
        return self._listing(
            "users",
            [
                replace(request, filter=filters.and_(request.filter, any_of_them))
                for any_of_them in named
                for request in self._users.requests()
            ],
        )

    def locate(self, persons: Sequence[tuple[str, str]]) -> dict[str, Located]:
        """Tell where each ``(external id, last known DN)`` went.

        Whom the directory cannot be asked about is unreadable; a lost directory raises nothing.
        """
        try:
            with self._pool.borrowed() as connection:
                located = locate(Lookup(connection, self._users), persons)
            return {
                external_id: found
                if found.entry is None
                else found._replace(entry=self._completed([found.entry])[0])
                for external_id, found in located.items()
            }
        except DirectoryError as error:
            return unreadable(persons, error)

    def find(self, username: str) -> list[bytes]:
        """Return the entries of this username that the users listing would contain.

        Raises:
            DirectoryError: The directory did not answer in full.

        """
        with self._pool.borrowed() as connection:
            lookup = Lookup(connection, self._users)
            found = lookup.found(lookup.username_filter(username))
        return self._completed(found)

    def find_anywhere(
        self, username: str, dn: str | None = None, external_id: str | None = None
    ) -> Absence | list[bytes]:
        """Return the entries of a person, or why the users listing has none."""
        with self._pool.borrowed() as connection:
            found = why_absent(Lookup(connection, self._users), username, dn, external_id)
        return found if isinstance(found, Absence) else self._completed(found)

    def read_containers(self, mapper: str, dns: Sequence[str]) -> list[bytes]:
        """Return the named containers as a listing would, without those that it would not have.

        Raises:
            NotFound: No such mapper.
            DirectoryError: The directory did not answer in full.

        """
        with self._pool.borrowed() as connection:
            found = read_named(connection, self._container(mapper).request(), dns, mapper)
        return self._completed(found, mapper)

    def naming(self, mapper: str, dns: Sequence[str]) -> CompletedListing:
        """List the containers of a mapper whose members' attribute names one of these DNs.

        One that names several of them may come more than once.

        Raises:
            NotFound: No such mapper.

        """
        search = self._container(mapper)
        named = (
            filters.or_(*(filters.equal(search.member_attribute, name) for name in names))
            for names in batched(dns, DNS_PER_SEARCH)
        )
        return self._containers_of(
            mapper,
            requests=[
                replace(search.request(), filter=filters.and_(search.filter, any_of_them))
                for any_of_them in named
            ],
        )

    def read_outside(self, mapper: str, dns: Sequence[str]) -> list[bytes]:
        """Return those of the named entries that are containers of a mapper's kind, anywhere.

        Those that are not there, or on another server, and entries of other kinds are left out.

        Raises:
            NotFound: No such mapper.
            DirectoryError: The directory did not answer in full.

        """
        with self._pool.borrowed() as connection:
            found = read_outside(connection, self._container(mapper), dns)
        return self._completed(found, mapper)

    def read_people(self, dns: Sequence[str]) -> list[bytes]:
        """Return the named people as a listing would, without those that it would not have.

        Raises:
            DirectoryError: The directory did not answer in full.

        """
        reached = [name for name in dns if self._reaches(name)]
        with self._pool.borrowed() as connection:
            found = read_named(connection, self._users.requests()[0], reached, "users")
        return self._completed(found)

    def _reaches(self, name: str) -> bool:
        try:
            return any(in_scope(name, base_dn, self._users.scope) for base_dn in self._bases)
        except ValueError:
            return False

    def _listing(
        self, source: str, requests: Sequence[SearchRequest], sentinels: Sequence[str] = ()
    ) -> CompletedListing:
        listing = ChainedListing(
            source=source,
            connections=self._pool,
            requests=requests,
            sentinels=sentinels,
        )
        return CompletedListing(listing, self._completers(None))

    def _containers_of(
        self, mapper: str, *first: Completer, requests: Sequence[SearchRequest] | None = None
    ) -> CompletedListing:
        if requests is None:
            requests = (self._container(mapper).request(),)
        listing = ChainedListing(source=mapper, connections=self._pool, requests=requests)
        return CompletedListing(listing, (*first, *self._completers(mapper)))

    def _completers(self, mapper: str | None) -> list[Completer]:
        """Return what completes the entries of a mapper, or of people."""
        completers: list[Completer] = [RangeCompleter(self._pool)]
        if mapper is not None and self._container(mapper).in_chain:
            completers.append(ChainCompleter(self._pool, self._users, self._container(mapper)))
        return completers

    def _completed(self, raws: list[bytes], mapper: str | None = None) -> list[bytes]:
        """Return single entries as a listing would bring them."""
        return completed(raws, self._completers(mapper))

    def _container(self, mapper: str) -> ContainerSearch:
        try:
            return self._containers[mapper]
        except KeyError:
            known = ", ".join(sorted(self._containers)) or "none"
            raise NotFound(f"no mapper {mapper!r} imports roles; there are: {known}") from None

    def _pinned(self, connection: Connection, kind: str) -> Entry:
        """Return what the server says about itself; where a run must not change it, it stays."""
        root_dse = connection.root_dse()
        if kind in PINNED:
            self._pool.pin(server_of, server_of(root_dse))
        return root_dse

    def _ground(self, connection: Connection, root_dse: Entry) -> str:
        return ground(
            connection,
            root_dse,
            bind_dn=self._options.bind_dn,
            users=self._users,
            containers=self._containers,
        )


def _log_search(command: str) -> None:
    logger.info("%s", command, extra={"action": "search"})
