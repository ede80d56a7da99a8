"""Reading which containers are in which: the ways from some of them up to all above.

By what the containers were last read to say, whether or not their mapper counts nested members.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import and_, select

from syncd.records import batched
from syncd.store import schema
from syncd.store.nesting import MOST_DEPTH, PARENT
from syncd.store.target_reads import CONTAINER_COLUMNS, Container, container_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

CT, MR = schema.containers, schema.membership_refs
IN_LIST = 300


class Nest:
    """The containers of one mapper above some of them, and which is in which."""

    def __init__(self, containers: Iterable[Container]) -> None:
        self.containers = {each.key: each for each in containers}
        self.parents: dict[bytes, set[bytes]] = defaultdict(set)

    def above(self, start: Container) -> list[tuple[Container, tuple[Container, ...]]]:
        """Return all above one, each with the shortest way there: that one and what is between."""
        ways: dict[bytes, tuple[Container, ...]] = {start.key: ()}
        level = [start.key]
        while level:
            higher: list[bytes] = []
            for key in level:
                through = (*ways[key], self.containers[key])
                for parent in sorted(self.parents[key], key=self._order):
                    if parent not in ways:
                        ways[parent] = through
                        higher.append(parent)
            level = higher
        del ways[start.key]
        return [(self.containers[key], through) for key, through in ways.items()]

    def _order(self, key: bytes) -> tuple[str, bytes]:
        return self.containers[key].dn or "", key


def read_nest(
    connection: Connection, organization_id: str, mapper: str, below: Iterable[Container]
) -> Nest:
    """Read what is above these containers, level by level and each once."""
    nest = Nest(below)
    level = set(nest.containers)
    for _ in range(MOST_DEPTH):
        higher: set[bytes] = set()
        for part in batched(sorted(level), IN_LIST):
            children = {key: nest.containers[key] for key in part}
            for child, parent in _parents(connection, organization_id, mapper, children):
                if parent.key not in nest.containers:
                    nest.containers[parent.key] = parent
                    higher.add(parent.key)
                nest.parents[child].add(parent.key)
        if not higher:
            break
        level = higher
    return nest


def _parents(
    connection: Connection,
    organization_id: str,
    mapper: str,
    children: Mapping[bytes, Container],
) -> list[tuple[bytes, Container]]:
    """Return (key, parent) of these containers, by what either side says."""
    by_dn = {each.dn_key: key for key, each in children.items() if each.dn_key is not None}
    of_mapper = and_(MR.c.organization_id == organization_id, MR.c.mapper == mapper)
    parent = and_(CT.c.organization_id == organization_id, CT.c.mapper == mapper)
    named = (
        select(*CONTAINER_COLUMNS, MR.c.member_key.label("child"))
        .select_from(MR)
        .join(CT, and_(parent, CT.c.container_key == MR.c.container_key))
        .where(of_mapper, MR.c.kind == "dn", MR.c.member_key.in_(list(by_dn)))
    )
    said = (
        select(*CONTAINER_COLUMNS, MR.c.container_key.label("child"))
        .select_from(MR)
        .join(CT, and_(parent, CT.c.container_key == MR.c.member_key))
        .where(of_mapper, MR.c.kind == PARENT, MR.c.container_key.in_(list(children)))
    )
    found = [(by_dn[bytes(row.child)], container_of(row)) for row in connection.execute(named)]
    found += [(bytes(row.child), container_of(row)) for row in connection.execute(said)]
    return found
