"""Units that were renamed with all that is below them.

The retro changelog names the upper one alone, so whoever went with it is for a full sync to find.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.errors import ChangesUnavailable, SearchRejected
from syncd.ldap import dn, filters
from syncd.ldap.changes.changelog import NS_UNIQUE_ID, any_of
from syncd.ldap.clock import contexts
from syncd.ldap.decode import decode_external_id
from syncd.ldap.search import SearchRequest
from syncd.records import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from syncd.ldap.changes.changelog import Change
    from syncd.ldap.changes.standing import SyncSearch
    from syncd.ldap.connection import Connection
    from syncd.records import Entry


def check_units(
    connection: Connection,
    root_dse: Entry,
    searches: Sequence[SyncSearch],
    changes: Sequence[Change],
) -> None:
    """Make sure that no entry was renamed together with entries below it.

    One that was emptied and deleted since is told by what happened below its new name.

    Raises:
        ChangesUnavailable: One was, or that cannot be told.

    """
    renamed = [
        change
        for change in changes
        if change.new_name is not None
        and any(_bears_on(change, search.request) for search in searches)
    ]
    if not renamed:
        return
    parents = uppers(connection, root_dse, searches, [each.external_id for each in renamed])
    above = set(_ancestors(change.name for change in changes))
    for change in renamed:
        if change.external_id in parents or _normal(change.new_name or "") in above:
            raise ChangesUnavailable(
                "renamed_unit",
                f"{change.name} was renamed to {change.new_name}, and all that is below it with it",
            )


def uppers(
    connection: Connection,
    root_dse: Entry,
    searches: Sequence[SyncSearch],
    ids: Iterable[str],
    more: str = "",
) -> dict[str, str]:
    """Return those of these entries that have entries below them: their DNs by their ids.

    ``more`` is a further filter for them.

    Raises:
        ChangesUnavailable: That cannot be told.

    """
    decode = decode_external_id(NS_UNIQUE_ID)
    found: dict[str, str] = {}
    clauses = list(any_of(sorted(set(ids))))
    for context in contexts(root_dse, [search.request.base_dn for search in searches]):
        for clause in clauses:
            request = SearchRequest(
                base_dn=context,
                scope=Scope.SUBTREE,
                filter=filters.and_("(numSubordinates>=1)", clause, *([more] if more else ())),
                attributes=(NS_UNIQUE_ID,),
                page_size=None,
            )
            try:
                entries = connection.search(request)
            except SearchRejected as error:
                raise ChangesUnavailable(
                    "unreadable",
                    f"whether there is something below a renamed entry cannot be told: {error}",
                ) from error
            for entry in entries:
                found.update((decode(each), entry.dn) for each in entry.values(NS_UNIQUE_ID))
    return found


def _bears_on(change: Change, request: SearchRequest) -> bool:
    """Return whether an entry is or was above, at or below a search's base; in doubt it is."""
    try:
        base = dn.normalize(request.base_dn)
        return any(
            dn.normalize(name) == base or dn.is_below(base, name) or dn.is_below(name, base)
            for name in change.names
        )
    except ValueError:
        return True


def _ancestors(names: Iterable[str]) -> Iterator[str]:
    """Yield the comparison text of everything above these names, and of what cannot be read."""
    seen: set[str] = set()
    for name in names:
        try:
            upper = dn.parent(name)
            while upper and upper not in seen:
                seen.add(upper)
                yield dn.normalize(upper)
                upper = dn.parent(upper)
        except ValueError:
            # Whatever it is, it may be above something.
            yield name


def _normal(name: str) -> str:
    try:
        return dn.normalize(name)
    except ValueError:
        return name
