"""Where groups stand: the names from the outermost group down, for people to read."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import select

from syncd.naming import joined_path
from syncd.store import schema
from syncd.store.among import among

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

GROUPS, GP, GA = schema.groups, schema.group_parents, schema.group_ancestors


def group_paths(connection: Connection, group_ids: Iterable[int]) -> dict[int, str]:
    """Return the path of each of these groups, such as ``/Directory/Staff``.

    Of a group with several parents it is the shortest one, and of equally short ones the first.
    """
    wanted = set(group_ids)
    if not wanted:
        return {}
    ancestors = select(GA.c.ancestor_id).where(among(GA.c.group_id, wanted))
    concerned = wanted | set(connection.scalars(ancestors).all())
    named = select(GROUPS.c.id, GROUPS.c.name).where(among(GROUPS.c.id, concerned))
    names = {row.id: row.name for row in connection.execute(named).all()}
    above: dict[int, set[int]] = defaultdict(set)
    parents = select(GP.c.group_id, GP.c.parent_id).where(among(GP.c.group_id, concerned))
    for group_id, parent_id in connection.execute(parents).all():
        above[group_id].add(parent_id)
    known: dict[int, tuple[str, ...]] = {}
    return {
        group: joined_path(_path(group, names, above, known)) for group in wanted & names.keys()
    }


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
