"""Where groups stand: the names from the outermost group down, for people to read."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from syncd.naming import joined_path
from syncd.store import schema
from syncd.store.among import among_given

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection, Select

IDS = "ids"
GROUPS, GP, GA = schema.groups, schema.group_parents, schema.group_ancestors


def group_paths(connection: Connection, group_ids: Iterable[int]) -> dict[int, str]:
    """Return the path of each of these groups, such as ``/Directory/Staff``.

    Of a group with several parents it is the shortest one, and of equally short ones the first.
    """
    wanted = set(group_ids)
    if not wanted:
        return {}
    names: dict[int, str] = {}
    above: dict[int, set[int]] = defaultdict(set)
    ancestors, named = _statements()
    concerned = wanted | set(connection.scalars(ancestors, {IDS: sorted(wanted)}).all())
    for group_id, name, parent_id in connection.execute(named, {IDS: sorted(concerned)}).all():
        names[group_id] = name
        if parent_id is not None:
            above[group_id].add(parent_id)
    known: dict[int, tuple[str, ...]] = {}
    return {
        group: joined_path(_path(group, names, above, known)) for group in wanted & names.keys()
    }


@cache
def _statements() -> tuple[Select[Any], Select[Any]]:
    """Return what finds ancestors, and names with parents; asked too often to be made anew."""
    return (
        select(GA.c.ancestor_id).where(among_given(GA.c.group_id, IDS)),
        select(GROUPS.c.id, GROUPS.c.name, GP.c.parent_id)
        .outerjoin(GP, GP.c.group_id == GROUPS.c.id)
        .where(among_given(GROUPS.c.id, IDS)),
    )


def _path(
    group: int,
    names: Mapping[int, str],
    above: Mapping[int, set[int]],
    known: dict[int, tuple[str, ...]],
) -> tuple[str, ...]:
    """Return the names down to a group; ``known`` gets those of all groups on the way."""
    if group not in known:
        # Should they ever stand in a circle, it ends where it began.
        known[group] = (names[group],)
        longer = [
            _path(parent, names, above, known) for parent in above.get(group, ()) if parent in names
        ]
        if longer:
            known[group] = (*min(longer, key=lambda path: (len(path), path)), names[group])
    return known[group]
