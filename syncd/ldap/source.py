"""Owns one organization's directory as the sync sees it: what to list, and on which ground.

It composes connection, listings and lookups and keeps no state but its idle connections. Each
listing in progress has a connection of its own, because two paged searches on one connection
disturb each other (RFC 2696 section 3 ties a cookie to its connection). Idle connections are tried
before they are used again, so a server that went away between two listings costs a new connection
and nothing else.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from syncd.errors import (
    ChangesUnavailable,
    DirectoryError,
    NotFound,
    SearchRejected,
    UsageError,
)
from syncd.ldap import filters
from syncd.ldap.absence import Absence, locate, unreadable, why_absent
from syncd.ldap.changes import syncrepl
from syncd.ldap.changes.detection import AUTO, Detection, check_setting, choose
from syncd.ldap.changes.modify_timestamp import StampChanges
from syncd.ldap.changes.standing import beginning, resumed, sync_searches
from syncd.ldap.changes.syncrepl import SyncChanges
from syncd.ldap.clock import read_time
from syncd.ldap.connection import Connection
from syncd.ldap.ground import ground
from syncd.ldap.listings import (
    ChainedListing,
    ContainerSearch,
    UserSearch,
    distinct_bases,
    in_scope,
)
from syncd.ldap.lookup import Lookup
from syncd.ldap.results import NO_SUCH_OBJECT
from syncd.ldap.traffic import Traffic
from syncd.ldap.vendors import detect
from syncd.records import Scope, Verdict, Watermark, batched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from syncd.ldap.changes.feed import Changes
    from syncd.ldap.connection import ConnectionOptions
    from syncd.ldap.search import SearchRequest
    from syncd.records import Entry, Located

__all__ = ["ChainedListing", "ContainerSearch", "LdapSource", "UserSearch"]

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
        self._log_searches = log_searches
        self._change_detection = change_detection
        self._searches = sync_searches(users, self._containers)
        self._detection: Detection | None = None
        self._idle: list[Connection] = []
        self.url = ""
        # What was asked of the directory through this source.
        self.traffic = Traffic()

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

        """
        self.give_back(self.take(), healthy=True)

    def close(self) -> None:
        """Close the idle connections; a listing in progress closes its own."""
        while self._idle:
            self._idle.pop().close()

    def take(self) -> Connection:
        """Return a bound connection that nobody else uses."""
        while self._idle:
            connection = self._idle.pop()
            try:
                connection.root_dse()
            except DirectoryError:
                connection.close()
            else:
                return connection
        connection = Connection.open(
            self._options,
            on_search=_log_search if self._log_searches else None,
            traffic=self.traffic,
        )
        self.url = connection.url
        return connection

    def give_back(self, connection: Connection, *, healthy: bool) -> None:
        """Keep a connection for the next search, or close it when it is not healthy."""
        if healthy:
            self._idle.append(connection)
        else:
            connection.close()

    def users(self) -> ChainedListing:
        """List the people: all users DNs as one listing."""
        return self._listing("users", self._users.requests(), self._users.sentinels)

    def containers(self, mapper: str) -> ChainedListing:
        """List the roles (or groups) that a mapper imports.

        Raises:
            NotFound: No such mapper.

        """
        return self._listing(mapper, (self._container(mapper).request(),))

    def ground(self) -> str:
        """Return a hash of everything that a watermark silently relies on (see ``ground``)."""
        with self._borrowed() as connection:
            return self._ground(connection, connection.root_dse())

    def detection(self) -> Detection:
        """Return how changes are found here and why; asked once in the life of a source.

        Raises:
            UsageError: What the configuration demands cannot be used.

        """
        if self._detection is None:
            # What needs no directory is told without one.
            check_setting(self._change_detection, self._users.uuid_attribute)
            with self._borrowed() as connection:
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

        Its kind is that of ``detection``. By ``modify_timestamp`` the value is the directory's own
        time, as GeneralizedTime in whole seconds of UTC that a filter can take: ``currentTime``
        (Active Directory), else the newest ``contextCSN`` of the users' naming context (OpenLDAP
        with syncprov), else empty. By ``syncrepl`` it is a cookie for each search.
        """
        kind = self.detection().kind
        with self._borrowed() as connection:
            root_dse = connection.root_dse()
            return Watermark(
                kind=kind,
                value=beginning(connection, root_dse, self._searches).text
                if kind == syncrepl.KIND
                else read_time(connection, root_dse, self._bases),
                ground=self._ground(connection, root_dse),
            )

    def changes(self, since: Watermark) -> Changes:
        """Return what changed since a watermark; the new one is read before anything is asked.

        Raises:
            ChangesUnavailable: A full sync is needed; also while a listing is read.

        """
        kind = self.detection().kind
        if since.kind != kind:
            raise ChangesUnavailable(
                "detection", f"changes were told by {since.kind} and are now told by {kind}"
            )
        with self._borrowed() as connection:
            root_dse = connection.root_dse()
            ground = self._ground(connection, root_dse)
            if kind == syncrepl.KIND:
                return SyncChanges(
                    connections=self,
                    searches=self._searches,
                    standing=resumed(connection, root_dse, self._searches, since.value),
                    ground=ground,
                    trust_absence=detect(root_dse) == "openldap",
                )
            return StampChanges(
                connections=self,
                users=self._users,
                container=self._container,
                since=since.value,
                now=Watermark(kind, read_time(connection, root_dse, self._bases), ground),
            )

    def members_of(self, mapper: str, dns: Sequence[str]) -> ChainedListing:
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
            with self._borrowed() as connection:
                return locate(Lookup(connection, self._users), persons)
        except DirectoryError as error:
            return unreadable(persons, error)

    def find(self, username: str) -> list[bytes]:
        """Return the entries of this username that the users listing would contain.

        Raises:
            DirectoryError: The directory did not answer in full.

        """
        with self._borrowed() as connection:
            lookup = Lookup(connection, self._users)
            return lookup.found(lookup.username_filter(username))

    def find_anywhere(
        self, username: str, dn: str | None = None, external_id: str | None = None
    ) -> Absence | list[bytes]:
        """Return the entries of a person, or why the users listing has none."""
        with self._borrowed() as connection:
            return why_absent(Lookup(connection, self._users), username, dn, external_id)

    def read_containers(self, mapper: str, dns: Sequence[str]) -> list[bytes]:
        """Return the named containers as a listing would, without those that it would not have.

        Raises:
            NotFound: No such mapper.
            DirectoryError: The directory did not answer in full.

        """
        return self._named(self._container(mapper).request(), dns, mapper)

    def read_people(self, dns: Sequence[str]) -> list[bytes]:
        """Return the named people as a listing would, without those that it would not have.

        Raises:
            DirectoryError: The directory did not answer in full.

        """
        reached = [name for name in dns if self._reaches(name)]
        return self._named(self._users.requests()[0], reached, "users")

    def _reaches(self, name: str) -> bool:
        try:
            return any(in_scope(name, base_dn, self._users.scope) for base_dn in self._bases)
        except ValueError:
            return False

    def _named(self, search: SearchRequest, dns: Sequence[str], source: str) -> list[bytes]:
        found: list[bytes] = []
        with self._borrowed() as connection:
            for base_dn in dns:
                request = replace(search, base_dn=base_dn, scope=Scope.BASE, page_size=None)
                listing = connection.listing(request, source)
                try:
                    found.extend(raw for page in listing for raw in page)
                except SearchRejected as error:
                    if error.result_code != NO_SUCH_OBJECT:
                        raise
                    continue
                if listing.outcome.verdict is not Verdict.COMPLETE:
                    message = f"{base_dn} could not be read: {listing.outcome.because}"
                    raise DirectoryError(message)
        return found

    @contextmanager
    def _borrowed(self) -> Iterator[Connection]:
        connection = self.take()
        healthy = False
        try:
            yield connection
            healthy = True
        except SearchRejected:
            healthy = True
            raise
        finally:
            self.give_back(connection, healthy=healthy)

    def _listing(
        self, source: str, requests: Sequence[SearchRequest], sentinels: Sequence[str] = ()
    ) -> ChainedListing:
        return ChainedListing(
            source=source,
            connections=self,
            requests=requests,
            sentinels=sentinels,
        )

    def _container(self, mapper: str) -> ContainerSearch:
        try:
            return self._containers[mapper]
        except KeyError:
            known = ", ".join(sorted(self._containers)) or "none"
            raise NotFound(f"no mapper {mapper!r} imports roles; there are: {known}") from None

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
