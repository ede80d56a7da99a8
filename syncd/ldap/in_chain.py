"""Members of nested groups, told by Active Directory itself (MS-ADTS 3.1.1.3.4.4.3).

The matching rule ``1.2.840.113556.1.4.1941`` follows ``memberOf`` to its end. One search a
container, never one a person, replaces the members that the entry names by the people of the users
listing who are in it by whatever path. Primary groups are no memberships to this rule.

An account that may not read ``memberOf`` gets the answer that nobody is in any of them. So where
nobody of the listing shows the attribute, the containers' own members are looked at.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from syncd.errors import DecodeError, DirectoryError, UsageError, cut
from syncd.ldap import filters
from syncd.ldap.ber import decode_entry, entry_dn
from syncd.ldap.completion import Aside
from syncd.ldap.decode import range_of
from syncd.ldap.listings import in_scope
from syncd.ldap.raw_entry import RawEntry
from syncd.ldap.search import SearchRequest
from syncd.ldap.vendors import vendor_of
from syncd.records import Scope, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from syncd.ldap.connection import Connection
    from syncd.ldap.listings import Connections, ContainerSearch, UserSearch
    from syncd.records import Entry

_log = logging.getLogger(__name__)

IN_CHAIN: Final = "1.2.840.113556.1.4.1941"
MEMBER_OF: Final = "memberOf"
OWN_DN: Final = "distinguishedName"
# Members who are looked at to tell whether the account may read memberOf, and of one container.
MOST_TRIED: Final = 50
MOST_TRIED_OF_ONE: Final = 5


class ChainCompleter:
    """Puts the people of nested groups in the place of a container's own members."""

    def __init__(
        self, connections: Connections, users: UserSearch, search: ContainerSearch
    ) -> None:
        self._aside = Aside(connections)
        self._requests = [replace(each, attributes=("1.1",)) for each in users.requests()]
        self._member_attribute = search.member_attribute
        self._containers = replace(
            search.request(),
            filter=filters.and_(search.filter, f"({search.member_attribute}=*)"),
            attributes=(search.member_attribute,),
        )
        # Whether the account may not read memberOf; None while no answer was empty.
        self._blind: bool | None = None

    def completed(self, page: list[bytes]) -> list[bytes]:
        """Return the page's containers with their people."""
        return [self._container(raw) for raw in page]

    def close(self) -> None:
        """Give the connection back."""
        self._aside.close()

    def _container(self, raw: bytes) -> bytes:
        try:
            parts, name = RawEntry.cut(raw), entry_dn(raw)
        except DecodeError:
            # Whoever decodes it reports it.
            return raw
        found: list[bytes] = []
        description = self._member_attribute
        try:
            with self._aside.connection() as connection:
                self._people(connection, name, found)
        except (DirectoryError, DecodeError) as error:
            _log.warning(
                "the nested members of %s could not be read, and those it had are kept: %s",
                cut(name),
                error,
                extra={"action": "in_chain"},
            )
            # As a server says that there are more values than these.
            description += f";range=0-{len(found)}"
        # Sorted, since a server's order means nothing and digests would change with it.
        parts.replace(description, sorted(set(found)), stands_for=self._is_member_attribute)
        return parts.encode()

    def _people(self, connection: Connection, name: str, found: list[bytes]) -> None:
        rule = f"({MEMBER_OF}:{IN_CHAIN}:={filters.escape(name)})"
        for request in self._requests:
            listing = connection.listing(
                replace(request, filter=filters.and_(request.filter, rule)), "members"
            )
            for page in listing:
                found += [entry_dn(raw).encode() for raw in page]
            if listing.outcome.verdict is not Verdict.COMPLETE:
                raise DirectoryError(listing.outcome.because or "the answer was not complete")
        if found:
            return
        if not _is_there(connection, name):
            raise DirectoryError("it was renamed or deleted meanwhile")
        if self._is_blind(connection):
            raise DirectoryError(
                f"the bind account cannot read {MEMBER_OF} of the people below "
                f"{'; '.join(each.base_dn for each in self._requests)}, and a search by it finds "
                f"nobody; let it read that attribute, or set nested_membership to expand"
            )

    def _is_blind(self, connection: Connection) -> bool:
        """Return whether there are members in the listing of whom memberOf tells nothing."""
        if self._blind is None:
            self._blind = not self._shown(connection, f"({MEMBER_OF}=*)") and any(
                self._shown(connection, filters.equal(OWN_DN, name))
                for name in self._named(connection)
            )
        return self._blind

    def _shown(self, connection: Connection, clause: str) -> bool:
        """Return whether a clause finds somebody of the listing."""
        return any(
            _first(connection, replace(each, filter=filters.and_(each.filter, clause)), 1)
            for each in self._requests
        )

    def _named(self, connection: Connection) -> list[str]:
        """Return some of those whom containers name as their members."""
        raws = _first(connection, self._containers, MOST_TRIED)
        return [name for raw in raws for name in self._first_named(raw)][:MOST_TRIED]

    def _first_named(self, raw: bytes) -> Iterator[str]:
        for description, values in decode_entry(raw).attributes.items():
            if self._is_member_attribute(description):
                names = (value.decode("utf-8", "replace") for value in values)
                yield from islice(filter(self._reaches, names), MOST_TRIED_OF_ONE)

    def _reaches(self, name: str) -> bool:
        try:
            return any(in_scope(name, each.base_dn, each.scope) for each in self._requests)
        except ValueError:
            return False

    def _is_member_attribute(self, description: str) -> bool:
        wanted, ranged = self._member_attribute.lower(), range_of(description.lower())
        return description.lower() == wanted or (ranged is not None and ranged[0] == wanted)


def check_in_chain(root_dse: Entry, containers: Mapping[str, ContainerSearch]) -> None:
    """Raise UsageError where a mapper relies on the rule and the server does not have it.

    Other servers take the rule for a comparison that nothing matches: everybody would lose the
    role.
    """
    for mapper, search in containers.items():
        if search.in_chain and not vendor_of(root_dse).in_chain:
            raise UsageError(
                f"{mapper}: only Active Directory tells nested members by its in_chain rule, and "
                f"this is {vendor_of(root_dse).title}; set nested_membership to expand"
            )


def _first(connection: Connection, request: SearchRequest, most: int) -> list[bytes]:
    listing = connection.listing(replace(request, page_size=None, size_limit=most), "probe")
    return [raw for page in listing for raw in page]


def _is_there(connection: Connection, name: str) -> bool:
    request = SearchRequest(
        base_dn=name,
        scope=Scope.BASE,
        filter="(objectClass=*)",
        attributes=("1.1",),
        page_size=None,
        missing_ok=True,
    )
    return bool(connection.read(request))
