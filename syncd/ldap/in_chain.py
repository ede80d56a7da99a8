"""Members of nested groups, told by Active Directory itself (MS-ADTS 3.1.1.3.4.4.3).

The matching rule ``1.2.840.113556.1.4.1941`` follows ``memberOf`` to its end. One search a
container, never one a person, replaces the members that the entry names by the people of the users
listing who are in it by whatever path. Primary groups are no memberships to this rule.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from syncd.errors import DecodeError, DirectoryError, UsageError, cut
from syncd.ldap import filters
from syncd.ldap.ber import entry_dn
from syncd.ldap.completion import Aside
from syncd.ldap.decode import range_of
from syncd.ldap.raw_entry import RawEntry
from syncd.ldap.search import SearchRequest
from syncd.ldap.vendors import vendor_of
from syncd.records import Scope, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.ldap.connection import Connection
    from syncd.ldap.listings import Connections, ContainerSearch, UserSearch
    from syncd.records import Entry

_log = logging.getLogger(__name__)

IN_CHAIN: Final = "1.2.840.113556.1.4.1941"


class ChainCompleter:
    """Puts the people of nested groups in the place of a container's own members."""

    def __init__(
        self, connections: Connections, users: UserSearch, search: ContainerSearch
    ) -> None:
        self._aside = Aside(connections)
        self._requests = [replace(each, attributes=("1.1",)) for each in users.requests()]
        self._member_attribute = search.member_attribute

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
        rule = f"(memberOf:{IN_CHAIN}:={filters.escape(name)})"
        for request in self._requests:
            listing = connection.listing(
                replace(request, filter=filters.and_(request.filter, rule)), "members"
            )
            for page in listing:
                found += [entry_dn(raw).encode() for raw in page]
            if listing.outcome.verdict is not Verdict.COMPLETE:
                raise DirectoryError(listing.outcome.because or "the answer was not complete")
        if not found and not _is_there(connection, name):
            raise DirectoryError("it was renamed or deleted meanwhile")

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
