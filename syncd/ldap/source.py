"""Owns one organization's directory as the sync sees it: what to list, and on which ground.

It composes connection, listings and lookups and keeps no state but its idle connections. Each
listing in progress has a connection of its own, because two paged searches on one connection
disturb each other (RFC 2696 section 3 ties a cookie to its connection). Idle connections are tried
before they are used again, so a server that went away between two listings costs a new connection
and nothing else.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from datetime import UTC
from hashlib import blake2b
from typing import TYPE_CHECKING, Self

from syncd.errors import DecodeError, DirectoryError, NotFound, SearchRejected, UsageError
from syncd.ldap import dn
from syncd.ldap.absence import Absence, locate, unreadable, why_absent
from syncd.ldap.connection import Connection
from syncd.ldap.decode import decode_generalized_time
from syncd.ldap.listings import (
    ChainedListing,
    ContainerSearch,
    UserSearch,
    distinct_bases,
    normalized,
)
from syncd.ldap.lookup import Lookup
from syncd.ldap.results import NO_SUCH_OBJECT
from syncd.ldap.search import SearchRequest
from syncd.records import Scope, Verdict, Watermark

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from syncd.ldap.connection import ConnectionOptions
    from syncd.records import Entry, Located

__all__ = ["ChainedListing", "ContainerSearch", "LdapSource", "UserSearch"]

logger = logging.getLogger(__name__)

EVERYTHING = "(objectClass=*)"
# What survives a restart, an upgrade and a change of address, but not a rebuilt directory.
BIRTH_ATTRIBUTES = ("entryUUID", "objectGUID", "nsUniqueId", "createTimestamp")
# A change sequence number starts with the directory's time: 20260131120000.123456Z#…
CSN_TIME = re.compile(rb"[0-9]{14}(?:\.[0-9]+)?Z")
GENERALIZED_TIME = "%Y%m%d%H%M%SZ"


class LdapSource:
    """One organization's directory; a context manager."""

    def __init__(
        self,
        *,
        connection: ConnectionOptions,
        users: UserSearch,
        containers: Mapping[str, ContainerSearch],
        log_searches: bool = False,
    ) -> None:
        if not users.base_dns:
            raise UsageError("there is no users DN to search; set users_dn")
        self._options = connection
        self._users = users
        self._bases = distinct_bases(users.base_dns, users.scope)
        self._containers = dict(containers)
        self._log_searches = log_searches
        self._idle: list[Connection] = []
        self.url = ""

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
            self._options, on_search=_log_search if self._log_searches else None
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
        """Return a hash of everything that a watermark silently relies on.

        It differs when another directory answers or the same one was rebuilt, when one of Active
        Directory's domain controllers stands in for another (its stamps are its own) or was
        restored, and when base, scope, filter, bind DN or attributes were changed. It is the same
        after a restart, an upgrade, a new address and for every replica of a directory.

        A directory is told by the entry at the root of the users' naming context: its unique id
        and creation time are replicated and come anew with a rebuilt tree. An account that may not
        read that entry is served by the users DN's own.
        """
        with self._borrowed() as connection:
            return self._ground(connection, connection.root_dse())

    def watermark(self) -> Watermark:
        """Read how far the directory has come; call it before the search.

        The time is the directory's own, as GeneralizedTime in whole seconds of UTC that a filter
        can take: ``currentTime`` (Active Directory), else the newest ``contextCSN`` of the users'
        naming context (OpenLDAP with syncprov). Where a server has neither the value is empty, and
        the newest modification stamp that the listing brings is all that is known.
        """
        with self._borrowed() as connection:
            root_dse = connection.root_dse()
            return Watermark(
                kind="modify_timestamp",
                value=self._clock(connection, root_dse),
                ground=self._ground(connection, root_dse),
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
        search = self._container(mapper)
        found: list[bytes] = []
        with self._borrowed() as connection:
            for base_dn in dns:
                request = SearchRequest(
                    base_dn=base_dn,
                    scope=Scope.BASE,
                    filter=search.filter,
                    attributes=search.attributes,
                    page_size=None,
                )
                listing = connection.listing(request, mapper)
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
        users = self._users
        parts: list[object] = [
            *self._births(connection, root_dse),
            *self._domain_controller(connection, root_dse),
            normalized(self._options.bind_dn or ""),
            sorted(normalized(base_dn) for base_dn in self._bases),
            (users.scope, users.filter, users.uuid_attribute.lower()),
            sorted({attribute.lower() for attribute in users.attributes}),
        ]
        for mapper, search in sorted(self._containers.items()):
            names = sorted({attribute.lower() for attribute in search.attributes})
            parts.append((mapper, normalized(search.base_dn), search.scope, search.filter, names))
        return blake2b(repr(parts).encode(), digest_size=16).hexdigest()

    def _births(self, connection: Connection, root_dse: Entry) -> Iterator[object]:
        """Yield what identifies the directory that holds each users DN."""
        for base_dn in self._bases:
            for name in (naming_context(root_dse, base_dn), base_dn):
                entry = _read(connection, name, BIRTH_ATTRIBUTES)
                births = (
                    [entry.values(attribute) for attribute in BIRTH_ATTRIBUTES] if entry else []
                )
                if any(births):
                    yield births
                    break

    def _domain_controller(self, connection: Connection, root_dse: Entry) -> Iterator[object]:
        """Yield which of Active Directory's domain controllers answers, and its incarnation."""
        for value in root_dse.values("dsServiceName"):
            name = value.decode("utf-8", "replace")
            settings = _read(connection, name, ("invocationId",))
            yield normalized(name), settings.values("invocationId") if settings else []

    def _clock(self, connection: Connection, root_dse: Entry) -> str:
        stamps = root_dse.values("currentTime")
        if not stamps:
            contexts = {naming_context(root_dse, base_dn) for base_dn in self._bases}
            entries = [_read(connection, name, ("contextCSN",)) for name in sorted(contexts)]
            sequence_numbers = [
                csn for entry in entries if entry for csn in entry.values("contextCSN")
            ]
            stamps = [found[0] for csn in sequence_numbers if (found := CSN_TIME.match(csn))]
        try:
            newest = max(decode_generalized_time(stamp) for stamp in stamps)
        except (ValueError, DecodeError):
            return ""
        return newest.astimezone(UTC).strftime(GENERALIZED_TIME)


def _log_search(command: str) -> None:
    logger.info("%s", command, extra={"action": "search"})


def naming_context(root_dse: Entry, base_dn: str) -> str:
    """Return the naming context that holds a base; the base itself when the server names none."""
    names = [value.decode("utf-8", "replace") for value in root_dse.values("namingContexts")]
    wanted = dn.normalize(base_dn)
    around = [
        name
        for name in names
        if name and (dn.normalize(name) == wanted or dn.is_below(base_dn, name))
    ]
    return max(around, key=len, default=base_dn)


def _read(connection: Connection, name: str, attributes: tuple[str, ...]) -> Entry | None:
    """Return an entry if the account may read it."""
    request = SearchRequest(
        base_dn=name,
        scope=Scope.BASE,
        filter=EVERYTHING,
        attributes=attributes,
        page_size=None,
    )
    try:
        entries = connection.search(request)
    except SearchRejected:
        return None
    return entries[0] if entries else None
