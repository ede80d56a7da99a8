"""Whether a retro changelog tells enough to be relied on.

Its plug-in can be told to leave parts of the tree out (nsslapd-include-suffix), and FreeIPA leaves
out everything but DNS. Nobody else may read that setting, so what was modified is looked for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from syncd.errors import DecodeError, DirectoryError, DirectoryUnavailable, SearchRejected
from syncd.ldap import filters
from syncd.ldap.ber import entry_dn
from syncd.ldap.changes.changelog import concerns, reach, recent
from syncd.ldap.clock import GENERALIZED_TIME, OVERLAP
from syncd.ldap.decode import decode_generalized_time
from syncd.ldap.vendors import vendor_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.ldap.changes.changelog import Change
    from syncd.ldap.changes.standing import SyncSearch
    from syncd.ldap.connection import Connection
    from syncd.records import Entry

RIGHTS = (
    'give it the right to read there all but "changes", which may hold password hashes: '
    '(targetattr!="changes")'
)


def refusal(connection: Connection, root_dse: Entry, searches: Sequence[SyncSearch]) -> str | None:
    """Return why the changelog cannot be relied on, with the next step; None when it can.

    Raises:
        DirectoryUnavailable: The directory cannot be asked at the moment.

    """
    there = reach(root_dse)
    if there is None:
        return "the server has no retro changelog; enable its plug-in to have one"
    try:
        newest = recent(connection, there)
    except DirectoryUnavailable:
        raise
    except DirectoryError as error:
        return f"{error}; if the account may not read it, {RIGHTS}"
    if not there.last:
        return f"{there.name} is empty so far, so that nobody can tell whether it may be read"
    if not newest:
        return f"the account may not read {there.name}: {RIGHTS}"
    for search in searches:
        name = _passed_over(connection, root_dse, search, newest)
        if name is not None:
            return (
                f"{there.name} says nothing of {name}, who was modified lately: add the suffix to "
                "nsslapd-include-suffix of the retro changelog plug-in"
            )
    return None


def _passed_over(
    connection: Connection, root_dse: Entry, search: SyncSearch, newest: Sequence[Change]
) -> str | None:
    """Return the DN of an entry that was modified without a word in the changelog."""
    request = search.request
    if any(concerns(change, request) for change in newest):
        return None
    try:
        begin, end = (
            decode_generalized_time(each.moment.encode()) for each in (newest[0], newest[-1])
        )
    except DecodeError:
        return None
    # Away from both ends by what clocks may differ and changes may be late.
    begin, end = begin + OVERLAP, end - OVERLAP
    if begin > end:
        return None
    stamp = vendor_of(root_dse).modified_attribute
    span = filters.and_(
        filters.greater_or_equal(stamp, begin.strftime(GENERALIZED_TIME)),
        f"({stamp}<={end.strftime(GENERALIZED_TIME)})",
    )
    one = replace(
        request,
        filter=filters.and_(request.filter, span),
        attributes=("1.1",),
        page_size=None,
        size_limit=1,
    )
    # That none of the newest changes is of this base is known already.
    try:
        found = [raw for page in connection.listing(one, "probe") for raw in page]
    except SearchRejected:
        # A base that is not there is told by the listing of it.
        return None
    return entry_dn(found[0]) if found else None
