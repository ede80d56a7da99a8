"""Entries that are asked for by their DNs: as a listing would have them, or wherever they lie.

Members of a group may be groups that no mapper lists. Those are looked for anywhere, many in one
search; people, other entries and those that are on no or another server do not come back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from syncd.errors import DecodeError, DirectoryError, SearchRejected
from syncd.ldap import dn, filters, results
from syncd.ldap.ber import entry_dn
from syncd.ldap.lookup import people_contexts
from syncd.ldap.search import SearchRequest
from syncd.ldap.vendors import vendor_of
from syncd.records import Scope, Verdict, batched

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from syncd.ldap.connection import Connection
    from syncd.ldap.listings import ContainerSearch

DNS_PER_SEARCH: Final = 100
# Beyond that many DNs in one naming context it is listed instead: members that are nobody's may be
# thousands, and the containers among them are told by their classes.
MOST_NAMED: Final = 500
# What names an entry that this server does not have, or none at all: members' values are anything.
NOT_HERE: Final = frozenset({results.NO_SUCH_OBJECT, results.REFERRAL, results.INVALID_DN_SYNTAX})


def read_named(
    connection: Connection, search: SearchRequest, dns: Sequence[str], source: str
) -> list[bytes]:
    """Return the named entries that match a listing's filter; those that are gone do not come.

    Raises:
        DirectoryError: The directory did not answer in full.

    """
    found: list[bytes] = []
    for base_dn in dns:
        request = replace(search, base_dn=base_dn, scope=Scope.BASE, page_size=None)
        listing = connection.listing(request, source)
        try:
            found.extend(raw for page in listing for raw in page)
        except SearchRejected as error:
            if error.result_code != results.NO_SUCH_OBJECT:
                raise
            continue
        if listing.outcome.verdict is not Verdict.COMPLETE:
            message = f"{base_dn} could not be read: {listing.outcome.because}"
            raise DirectoryError(message)
    return found


def read_outside(
    connection: Connection, search: ContainerSearch, dns: Sequence[str]
) -> list[bytes]:
    """Return the named entries that are containers of this kind, undecoded.

    Raises:
        DirectoryError: The directory did not answer in full.

    """
    root_dse = connection.root_dse()
    attribute = vendor_of(root_dse).own_dn_attribute
    found: list[bytes] = []
    alone: list[str] = []
    for context, names in _by_context(people_contexts(root_dse), dns).items():
        if context is None or attribute is None:
            alone += names
            continue
        there = names if len(names) <= MOST_NAMED else _there(connection, search, context, names)
        for some in batched(there, DNS_PER_SEARCH):
            named = filters.or_(*(filters.equal(attribute, name) for name in some))
            found += _read(connection, search, context, Scope.SUBTREE, named)
    for name in alone:
        found += _read(connection, search, name, Scope.BASE, "")
    return found


def _there(
    connection: Connection, search: ContainerSearch, context: str, names: Iterable[str]
) -> list[str]:
    """Return those of these DNs that containers of this kind have."""
    wanted = {dn.dn_key(name): name for name in names}
    request = SearchRequest(
        base_dn=context,
        scope=Scope.SUBTREE,
        filter=search.class_filter or search.filter,
        attributes=("1.1",),
        page_size=search.page_size,
    )
    there: list[str] = []
    for raw in connection.read(request):
        try:
            key = dn.dn_key(entry_dn(raw))
        except (ValueError, DecodeError):
            # A DN that cannot be read is none of those asked for.
            continue
        if key in wanted:
            there.append(wanted[key])
    return there


def _read(
    connection: Connection, search: ContainerSearch, base_dn: str, scope: Scope, named: str
) -> Iterable[bytes]:
    # As a listing would ask for them, but for place and filter.
    request = SearchRequest(
        base_dn=base_dn,
        scope=scope,
        filter=filters.and_(search.class_filter or search.filter, named),
        attributes=search.request().attributes,
        page_size=search.page_size if named else None,
    )
    try:
        return connection.read(request)
    except SearchRejected as error:
        if scope is Scope.BASE and error.result_code in NOT_HERE:
            return ()
        raise


def _by_context(contexts: Sequence[str], dns: Iterable[str]) -> dict[str | None, list[str]]:
    """Return the DNs by the naming context that holds them; None for those outside of all."""
    # The innermost one first.
    inward = sorted(contexts, key=lambda context: -len(dn.normalize(context)))
    found: dict[str | None, list[str]] = {}
    for name in dict.fromkeys(dns):
        try:
            holding = next((each for each in inward if _holds(each, name)), None)
        except ValueError:
            # No DN names no entry.
            continue
        found.setdefault(holding, []).append(name)
    return found


def _holds(context: str, name: str) -> bool:
    return dn.normalize(name) == dn.normalize(context) or dn.is_below(name, context)
