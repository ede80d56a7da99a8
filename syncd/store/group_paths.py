"""Where groups stand: the names from the outermost group down, for people to read."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import select

from syncd.naming import joined_path
from syncd.records import batched
from syncd.store import schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

GROUPS, GP, GA = schema.groups, schema.group_parents, schema.group_ancestors
IN_LIST = 500


def group_paths(connection: Connection, group_ids: Iterable[int]) -> dict[int, str]:
    """Return the path of each of these groups, such as ``/Directory/Staff``.

    Of a group with several parents it is the shortest one, and of equally short ones the first.
    """
    wanted = set(group_ids)
    concerned = set(wanted)
    for part in batched(sorted(wanted), IN_LIST):
        concerned |= set(
            connection.scalars(select(GA.c.ancestor_id).where(GA.c.group_id.in_(part)))
        )
    names: dict[int, str] = {}
    above: dict[int, set[int]] = defaultdict(set)
    for part in batched(sorted(concerned), IN_LIST):
        rows = connection.execute(select(GROUPS.c.id, GROUPS.c.name).where(GROUPS.c.id.in_(part)))
        names |= {row.id: row.name for row in rows}
        for group_id, parent_id in connection.execute(
            select(GP.c.group_id, GP.c.parent_id).where(GP.c.group_id.in_(part))
        ):
            above[group_id].add(parent_id)
    return {group: joined_path(_path(group, names, above)) for group in wanted if group in names}


def _path(group: int, names: Mapping[int, str], above: Mapping[int, set[int]]) -> tuple[str, ...]:
    """Walk up level by level, each group once, to the nearest that has nothing above it."""
    level: dict[int, tuple[str, ...]] = {group: (names[group],)}
    seen = {group}
    while level:
        outermost = [path for each, path in level.items() if not above.get(each)]
        if outermost:
            return min(outermost)
        higher: dict[int, tuple[str, ...]] = {}
        for each, path in sorted(level.items(), key=lambda item: (item[1], item[0])):
            for parent in above[each] - seen:
                if parent in names:
                    longer = (names[parent], *path)
                    higher[parent] = min(longer, higher.get(parent, longer))
        seen |= higher.keys()
        level = higher
    return (names[group],)
