"""Containers in containers: who is in which, whatever is between them, and without end.

The edges are few (one for each container that is a member of another), so they are followed in
memory, breadth first, each container once: a cycle is no trouble and a deep nest costs its depth.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, delete, exists, func, insert, literal, select, union

from syncd.records import Remark
from syncd.store import schema
from syncd.store.hierarchy import plan_hierarchy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy import ColumnElement, Connection, Select, Table

    from syncd.store.plan_scope import PlanScope

C, A, R = schema.stage_containers, schema.stage_absent, schema.stage_refs
CT, MR, CA = schema.containers, schema.membership_refs, schema.container_ancestors
SA = schema.stage_ancestors

# Groups in groups this deep are a mistake of somebody's, not an organization.
MOST_DEPTH = 100
PARENT = "parent"


class Node(NamedTuple):
    """A container as it will be when the run is through."""

    target_id: int
    kind: str
    dn: str


def plan_nesting(connection: Connection, scope: PlanScope) -> list[Remark]:
    """Stage the closure of nested containers, and the child groups of hierarchical mappers."""
    shapes = scope.shapes
    remarks: list[Remark] = []
    grouping = shapes.groups | shapes.removed
    for mapper in sorted((shapes.nested | grouping) & set(scope.mappers)):
        if not _touched(connection, scope, mapper):
            if mapper in shapes.nested:
                _copy(connection, scope, mapper)
            continue
        nodes = _nodes(connection, scope, mapper)
        parents = _parents(connection, scope, mapper, nodes)
        if mapper in shapes.nested:
            remarks += _stage(connection, scope, mapper, nodes, parents)
        if mapper in grouping:
            remarks += plan_hierarchy(connection, scope, mapper, nodes, parents)
    return remarks


def _touched(connection: Connection, scope: PlanScope, mapper: str) -> bool:
    return any(
        connection.execute(
            select(table.c.run_id)
            .where(table.c.run_id == scope.run_id, table.c.mapper == mapper)
            .limit(1)
        ).first()
        for table in (C, A)
    )


def _copy(connection: Connection, scope: PlanScope, mapper: str) -> None:
    """Take the closure that is stored: nothing about these containers changed."""
    target = func.coalesce(CT.c.group_id, CT.c.role_id)
    query = (
        select(literal(scope.run_id), CA.c.mapper, CA.c.container_key, CA.c.ancestor_key, target)
        .join(
            CT,
            and_(
                CT.c.organization_id == CA.c.organization_id,
                CT.c.mapper == CA.c.mapper,
                CT.c.container_key == CA.c.ancestor_key,
            ),
        )
        .where(CA.c.organization_id == scope.organization_id, CA.c.mapper == mapper, target != 0)
    )
    connection.execute(insert(SA).from_select(SA.columns.keys(), query))


def _nodes(connection: Connection, scope: PlanScope, mapper: str) -> dict[bytes, Node]:
    restaged = exists().where(
        C.c.run_id == scope.run_id, C.c.mapper == mapper, C.c.container_key == CT.c.container_key
    )
    vanished = exists().where(
        A.c.run_id == scope.run_id, A.c.mapper == mapper, A.c.container_key == CT.c.container_key
    )
    nodes: dict[bytes, Node] = {}
    stored = select(CT.c.container_key, CT.c.role_id, CT.c.group_id, CT.c.outside, CT.c.dn).where(
        CT.c.organization_id == scope.organization_id, CT.c.mapper == mapper, ~restaged, ~vanished
    )
    for key, role_id, group_id, outside, dn in connection.execute(stored):
        kind = "outside" if outside else "role" if group_id is None else "group"
        nodes[bytes(key)] = Node(group_id or role_id, kind, dn)
    staged = select(C.c.container_key, C.c.target_id, C.c.kind, C.c.dn).where(
        C.c.run_id == scope.run_id, C.c.mapper == mapper
    )
    for key, target_id, kind, dn in connection.execute(staged):
        nodes[bytes(key)] = Node(target_id or 0, kind, dn)
    return nodes


def _parents(
    connection: Connection, scope: PlanScope, mapper: str, nodes: Mapping[bytes, Node]
) -> dict[bytes, set[bytes]]:
    """Return the containers in which each container is, by what either side says."""
    # A container that was read whole anew says all that there is to say of its members.
    again = {
        bytes(key)
        for key in connection.scalars(
            select(C.c.container_key).where(
                C.c.run_id == scope.run_id, C.c.mapper == mapper, C.c.whole
            )
        )
    }
    parents: dict[bytes, set[bytes]] = defaultdict(set)
    edges = _staged_edges(connection, scope, mapper)
    edges += [edge for says, edge in _stored_edges(connection, scope, mapper) if says not in again]
    for parent, child in edges:
        if parent in nodes and child in nodes:
            parents[child].add(parent)
    return parents


def _stored_edges(
    connection: Connection, scope: PlanScope, mapper: str
) -> Iterator[tuple[bytes, tuple[bytes, bytes]]]:
    """Yield (who says so, (parent, child)) of what containers were last read to say."""
    # The organization by way of an expression, so that SQLite goes by the index of the keys, which
    # are few, and not through all references of a mapper.
    said = and_(MR.c.organization_id.concat("") == scope.organization_id, MR.c.mapper == mapper)
    for table, known in _known(scope, mapper):
        child = and_(known, table.c.dn_key == MR.c.member_key)
        query = select(MR.c.container_key, table.c.container_key).join(table, child)
        for parent, key in connection.execute(query.where(said, MR.c.kind == "dn")):
            yield bytes(parent), (bytes(parent), bytes(key))
        # What containers say themselves of where they are: the child's own words.
        above = and_(known, table.c.container_key == MR.c.member_key)
        query = select(MR.c.container_key, MR.c.member_key).join(table, above)
        for key, parent in connection.execute(query.where(said, MR.c.kind == PARENT)):
            yield bytes(key), (bytes(parent), bytes(key))


def _staged_edges(
    connection: Connection, scope: PlanScope, mapper: str
) -> list[tuple[bytes, bytes]]:
    """Return (parent, child) of what containers say in this run."""
    here = and_(R.c.run_id == scope.run_id, R.c.mapper == mapper)
    said = select(R.c.member_key, R.c.container_key).where(here, R.c.kind == PARENT)
    edges = [(bytes(parent), bytes(child)) for parent, child in connection.execute(said)]
    # Members that are containers. No index tells the stage's members apart, and a join would walk
    # through all of them for each container.
    dns = union(*(select(table.c.dn_key).where(known) for table, known in _known(scope, mapper)))
    query = select(R.c.container_key, R.c.member_key).where(
        here, R.c.kind == "dn", R.c.member_key.in_(dns)
    )
    members = connection.execute(query).all()
    children: dict[bytes, list[bytes]] = defaultdict(list)
    for table, known in _known(scope, mapper) if members else ():
        query = select(table.c.dn_key, table.c.container_key).where(known)
        for dn_key, key in connection.execute(query.where(table.c.dn_key.is_not(None))):
            children[bytes(dn_key)].append(bytes(key))
    edges += [
        (bytes(parent), child) for parent, member in members for child in children[bytes(member)]
    ]
    return edges


def _known(scope: PlanScope, mapper: str) -> tuple[tuple[Table, ColumnElement[bool]], ...]:
    """Return where a mapper's containers are, stored and staged."""
    return (
        (CT, and_(CT.c.organization_id == scope.organization_id, CT.c.mapper == mapper)),
        (C, and_(C.c.run_id == scope.run_id, C.c.mapper == mapper)),
    )


def ancestors_of(key: bytes, parents: Mapping[bytes, set[bytes]]) -> tuple[set[bytes], bool]:
    """Return everything above a container, itself left out, and whether that is all.

    Breadth first and each once: in a cycle each is above each of the others.
    """
    found: set[bytes] = set()
    level = {key}
    for _ in range(MOST_DEPTH):
        level = {above for each in level for above in parents.get(each, ())} - found - {key}
        if not level:
            return found, True
        found |= level
    return found, False


def _stage(
    connection: Connection,
    scope: PlanScope,
    mapper: str,
    nodes: Mapping[bytes, Node],
    parents: Mapping[bytes, set[bytes]],
) -> list[Remark]:
    remarks: list[Remark] = []
    rows = []
    for key in parents:
        above, all_of_it = ancestors_of(key, parents)
        if not all_of_it:
            detail = (
                f"it is in groups in groups, more than {MOST_DEPTH} deep; nobody loses anything"
            )
            remarks.append(Remark("too_deep", mapper, nodes[key].dn, detail))
        rows += [
            {
                "run_id": scope.run_id,
                "mapper": mapper,
                "container_key": key,
                "ancestor_key": each,
                "target_id": nodes[each].target_id,
            }
            for each in sorted(above)
            if nodes[each].target_id
        ]
    if rows:
        connection.execute(insert(SA), rows)
    return remarks


def settle_ancestors(
    connection: Connection, organization_id: str, run_id: int, mappers: Iterable[str]
) -> None:
    """Store the closure of these mappers' containers as the run found it."""
    for mapper in mappers:
        own = and_(CA.c.organization_id == organization_id, CA.c.mapper == mapper)
        stored = _pairs(connection, select(CA.c.container_key, CA.c.ancestor_key).where(own))
        staged = select(SA.c.container_key, SA.c.ancestor_key)
        now = _pairs(connection, staged.where(SA.c.run_id == run_id, SA.c.mapper == mapper))
        for key, ancestor in sorted(stored - now):
            connection.execute(
                delete(CA).where(own, CA.c.container_key == key, CA.c.ancestor_key == ancestor)
            )
        rows = [
            {
                "organization_id": organization_id,
                "mapper": mapper,
                "container_key": key,
                "ancestor_key": ancestor,
            }
            for key, ancestor in sorted(now - stored)
        ]
        if rows:
            connection.execute(insert(CA), rows)


def forget_strays(connection: Connection, organization_id: str, mappers: Iterable[str]) -> None:
    """Forget the containers outside of a mapper's base that none of the others names any more."""
    named = exists().where(
        MR.c.organization_id == organization_id,
        MR.c.kind == "dn",
        MR.c.member_key == CT.c.dn_key,
        MR.c.mapper == CT.c.mapper,
        MR.c.container_key != CT.c.container_key,
    )
    for mapper in mappers:
        own = and_(CT.c.organization_id == organization_id, CT.c.mapper == mapper, CT.c.outside)
        # What only such a one named follows.
        while keys := list(connection.scalars(select(CT.c.container_key).where(own, ~named))):
            for key in keys:
                for table in (MR, CT):
                    connection.execute(
                        delete(table).where(
                            table.c.organization_id == organization_id,
                            table.c.mapper == mapper,
                            table.c.container_key == key,
                        )
                    )


def _pairs(connection: Connection, query: Select[Any]) -> set[tuple[bytes, bytes]]:
    return {(bytes(row[0]), bytes(row[1])) for row in connection.execute(query)}
