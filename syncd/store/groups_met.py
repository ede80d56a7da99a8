"""The groups that people are in and all above them: what they are called, where they stand, roles.

Read as they are met, each once. Where a group stands follows from the stored closure alone as long
as no group on the way has two parents; where one has, the parents are looked up.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Integer, Text, cast, literal_column, null, select, union_all

from syncd.naming import joined_path
from syncd.store import schema
from syncd.store.among import among_given
from syncd.store.group_paths import group_paths

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import CompoundSelect, Connection, Select

IDS = "ids"
GROUPS, GA = schema.groups, schema.group_ancestors
GR, ROLES = schema.group_roles, schema.roles
ABOVE, NAMED, GIVEN = 0, 1, 2

# A role's id, its name, and the source that somebody has it from.
RoleOfGroup = tuple[int, str, str]


class GroupsMet:
    """Groups, as far as they were met."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        # By group: what it is called, from the outermost down.
        self.paths: dict[int, str] = {}
        # What somebody has by being in a group: its own roles and those of all above it.
        self.roles: dict[int, list[RoleOfGroup]] = {}

    def meet(self, connection: Connection, group_ids: Iterable[int]) -> None:
        """Read those of these groups that were not met before."""
        new = {group_id for group_id in group_ids if group_id not in self.roles}
        if not new:
            return
        above: dict[int, list[tuple[int, int]]] = defaultdict(list)
        given: dict[int, dict[int, str]] = defaultdict(dict)
        rows = connection.execute(_statement(), {IDS: sorted(new)}).all()
        for kind, group_id, other, depth, name in rows:
            if kind == ABOVE:
                above[group_id].append((depth, other))
            elif kind == NAMED:
                self.names[group_id] = name
            else:
                given[group_id][other] = name
        forked: set[int] = set()
        for group_id in new:
            if not self._stand(group_id, sorted(above[group_id], reverse=True)):
                forked |= {group_id, *(ancestor for _, ancestor in above[group_id])}
        if forked:
            self.paths |= group_paths(connection, forked)
            # Also of a group that the closure does not know yet.
            self.names |= {
                row.id: row.name for row in connection.execute(_names(), {IDS: sorted(forked)})
            }
        for group_id in new:
            self.roles[group_id] = [
                (role_id, name, f"group:{self.paths[ancestor]}")
                for _, ancestor in above[group_id]
                if ancestor in given and ancestor in self.paths
                for role_id, name in given[ancestor].items()
            ]

    def _stand(self, group_id: int, chain: list[tuple[int, int]]) -> bool:
        """Note the paths of a group and those above it, unless these are no simple chain."""
        if not chain or chain[-1] != (0, group_id):
            return False
        if [depth for depth, _ in chain] != list(range(len(chain) - 1, -1, -1)):
            return False
        path = ""
        for _, ancestor in chain:
            if ancestor not in self.paths:
                if ancestor not in self.names:
                    return False
                self.paths[ancestor] = path + joined_path((self.names[ancestor],))
            path = self.paths[ancestor]
        return True


@cache
def _names() -> Select[tuple[int, str]]:
    return select(GROUPS.c.id, GROUPS.c.name).where(among_given(GROUPS.c.id, IDS))


@cache
def _statement() -> CompoundSelect[Any]:
    """Return (kind, group, other group or role, depth, name); asked too often to be made anew."""
    above = (
        select(GA.c.group_id, GA.c.ancestor_id, GA.c.depth)
        .where(among_given(GA.c.group_id, IDS))
        .cte("above")
    )
    met = select(above.c.ancestor_id).distinct().cte("met")
    no_id, no_depth = cast(null(), BigInteger), cast(null(), Integer)
    kinds = [literal_column(str(kind), Integer) for kind in (ABOVE, NAMED, GIVEN)]
    return union_all(
        select(
            kinds[ABOVE], above.c.group_id, above.c.ancestor_id, above.c.depth, cast(null(), Text)
        ),
        select(kinds[NAMED], GROUPS.c.id, no_id, no_depth, GROUPS.c.name).join_from(
            met, GROUPS, GROUPS.c.id == met.c.ancestor_id
        ),
        select(kinds[GIVEN], GR.c.group_id, GR.c.role_id, no_depth, ROLES.c.name)
        .join_from(met, GR, GR.c.group_id == met.c.ancestor_id)
        .join(ROLES, ROLES.c.id == GR.c.role_id),
    )
