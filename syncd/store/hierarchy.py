"""Which group is a child of which: from the directory's containers to the store's tree.

A group may have several parents. What would close a circle is left out and remarked upon, one by
one, and the rest is kept; so the closure (``group_ancestors``) never has a group above itself.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, exists, insert, select, union

from syncd.records import Remark
from syncd.store import schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Column, ColumnElement, Connection

    from syncd.store.nesting import Node
    from syncd.store.plan_scope import PlanScope

C, A, E = schema.stage_containers, schema.stage_absent, schema.stage_edges
GP, GA, GROUPS = schema.group_parents, schema.group_ancestors, schema.groups
PGR = schema.plan_groups

MOST_REMARKS = 100
Edge = tuple[int, int]


def plan_hierarchy(
    connection: Connection,
    scope: PlanScope,
    mapper: str,
    nodes: Mapping[bytes, Node],
    parents: Mapping[bytes, set[bytes]],
) -> list[Remark]:
    """Stage the parents of a mapper's groups; return what could not be taken as it is.

    A mapper that does not preserve inheritance has none but those of its path.
    """
    dns = {node.target_id: node.dn for node in nodes.values() if node.kind == "group"}
    wanted = _edges(nodes, parents)
    if mapper not in scope.shapes.hierarchical:
        wanted = {edge for edge in wanted if not dns[edge[0]] and not dns[edge[1]]}
    edges, remarks = without_circles(
        sorted(wanted, key=lambda edge: (dns[edge[0]], dns[edge[1]], edge)),
        fixed=_edges_of_others(connection, scope.organization_id, mapper),
        mapper=mapper,
        dns=dns,
    )
    above: dict[int, list[int]] = defaultdict(list)
    for parent, child in edges:
        above[child].append(parent)
    for child, several in sorted(above.items()):
        if len(several) > 1:
            named = ", ".join(sorted(dns[each] for each in several))
            detail = f"it is a member of {len(several)} groups, and a child of each: {named}"
            remarks.append(Remark("several_parents", mapper, dns[child], detail))
    root = nodes.get(scope.shapes.roots.get(mapper, b""))
    if root is not None:
        # Those of groups_path stand above each other by their own words.
        path = {root.target_id, *_all_above(root.target_id, above)}
        edges += [
            (root.target_id, group) for group in dns if group not in above and group not in path
        ]
    rows = [
        {"run_id": scope.run_id, "mapper": mapper, "parent_id": parent, "group_id": child}
        for parent, child in sorted(set(edges))
    ]
    if rows:
        connection.execute(insert(E), rows)
    _plan_moves(connection, scope, mapper, set(edges))
    return remarks[:MOST_REMARKS]


def _edges(nodes: Mapping[bytes, Node], parents: Mapping[bytes, set[bytes]]) -> set[Edge]:
    """Return (parent, child) of groups; a container that is none is looked through."""
    found: set[Edge] = set()
    for child in parents:
        if nodes[child].kind != "group":
            continue
        seen: set[bytes] = set()
        level = set(parents[child])
        while level:
            seen |= level
            through: set[bytes] = set()
            for parent in level:
                if nodes[parent].kind == "group":
                    found.add((nodes[parent].target_id, nodes[child].target_id))
                else:
                    through |= parents.get(parent, set())
            level = through - seen
    return found


def _edges_of_others(connection: Connection, organization_id: str, mapper: str) -> set[Edge]:
    others = and_(GP.c.organization_id == organization_id, GP.c.source != mapper)
    return _pairs(connection, GP.c.parent_id, GP.c.group_id, others)


def without_circles(
    wanted: Iterable[Edge], *, fixed: Iterable[Edge], mapper: str, dns: Mapping[int, str]
) -> tuple[list[Edge], list[Remark]]:
    """Return the edges that can be had together, in their order, and a remark on each other one."""
    above: dict[int, list[int]] = defaultdict(list)
    for parent, child in fixed:
        above[child].append(parent)
    edges: list[Edge] = []
    remarks: list[Remark] = []
    for parent, child in wanted:
        if parent == child or child in _all_above(parent, above):
            what = "itself" if parent == child else dns[parent]
            detail = f"it cannot be a child of {what}, above which it stands itself"
            remarks.append(Remark("cycle", mapper, dns[child], detail))
            continue
        above[child].append(parent)
        edges.append((parent, child))
    return edges, remarks


def _all_above(group: int, above: Mapping[int, list[int]]) -> set[int]:
    found: set[int] = set()
    level = {group}
    while level:
        level = {each for one in level for each in above.get(one, ())} - found
        found |= level
    return found


def _plan_moves(connection: Connection, scope: PlanScope, mapper: str, edges: set[Edge]) -> None:
    """Count a group whose parents change among those that change."""
    own = and_(GP.c.organization_id == scope.organization_id, GP.c.source == mapper)
    stored = _pairs(connection, GP.c.parent_id, GP.c.group_id, own)
    moved = {child for _, child in stored ^ edges}
    planned = exists().where(PGR.c.run_id == scope.run_id, PGR.c.group_id == GROUPS.c.id)
    for group_id in sorted(moved):
        row = connection.execute(
            select(GROUPS).where(GROUPS.c.id == group_id, ~planned)
        ).one_or_none()
        if row is not None:
            connection.execute(
                insert(PGR).values(
                    run_id=scope.run_id,
                    group_id=row.id,
                    action="update",
                    name=row.name,
                    name_key=row.name_key,
                    mapper=mapper,
                    external_id=row.external_id,
                    description=row.description,
                    attributes=row.attributes,
                )
            )


def touched_mappers(connection: Connection, run_id: int) -> list[str]:
    """Return the mappers of which a run read or missed containers."""
    return sorted(
        connection.scalars(
            union(
                select(C.c.mapper).where(C.c.run_id == run_id),
                select(A.c.mapper).where(A.c.run_id == run_id, A.c.mapper.is_not(None)),
            )
        )
    )


def parent_changes(
    connection: Connection, organization_id: str, run_id: int, mappers: Iterable[str]
) -> dict[str, tuple[set[Edge], set[Edge]]]:
    """Return by mapper the parents that go and those that come, as the run found them.

    What would close a circle with what was done by hand since the plan is left out; the next sync
    that reads the group finds the circle and says so.
    """
    found = {}
    for mapper in mappers:
        own = and_(GP.c.organization_id == organization_id, GP.c.source == mapper)
        stored = _pairs(connection, GP.c.parent_id, GP.c.group_id, own)
        now = _pairs(
            connection,
            E.c.parent_id,
            E.c.group_id,
            and_(E.c.run_id == run_id, E.c.mapper == mapper),
        )
        if now - stored:
            now = _open(now, stored, _edges_of_others(connection, organization_id, mapper))
        if stored != now:
            found[mapper] = stored - now, now - stored
    return found


def _open(now: set[Edge], stored: set[Edge], fixed: set[Edge]) -> set[Edge]:
    """Return the edges that close no circle, those that are stored already first."""
    above: dict[int, list[int]] = defaultdict(list)
    for parent, child in fixed | (now & stored):
        above[child].append(parent)
    found = now & stored
    for parent, child in sorted(now - stored):
        if parent != child and child not in _all_above(parent, above):
            above[child].append(parent)
            found.add((parent, child))
    return found


def settle_parents(
    connection: Connection,
    organization_id: str,
    changes: Mapping[str, tuple[set[Edge], set[Edge]]],
) -> None:
    """Store the parents of groups as a run found them."""
    for mapper, (gone, new) in changes.items():
        own = and_(GP.c.organization_id == organization_id, GP.c.source == mapper)
        for parent, child in sorted(gone):
            connection.execute(
                delete(GP).where(own, GP.c.parent_id == parent, GP.c.group_id == child)
            )
        rows = [
            {
                "parent_id": parent,
                "group_id": child,
                "source": mapper,
                "organization_id": organization_id,
            }
            for parent, child in sorted(new)
        ]
        if rows:
            connection.execute(insert(GP), rows)


def settle_closure(connection: Connection, organization_id: str) -> None:
    """Bring ``group_ancestors`` up to the organization's groups and their parents."""
    above: dict[int, list[int]] = defaultdict(list)
    for parent, child in _pairs(
        connection, GP.c.parent_id, GP.c.group_id, GP.c.organization_id == organization_id
    ):
        above[child].append(parent)
    groups = connection.scalars(
        select(GROUPS.c.id).where(GROUPS.c.organization_id == organization_id)
    )
    now: dict[Edge, int] = {}
    for group in groups:
        level, depth = {group}, 0
        seen: set[int] = set()
        while level:
            now |= {(group, each): depth for each in level}
            seen |= level
            level = {each for one in level for each in above.get(one, ())} - seen
            depth += 1
    stored = {
        (group, ancestor): depth
        for group, ancestor, depth in connection.execute(
            select(GA.c.group_id, GA.c.ancestor_id, GA.c.depth).where(
                GA.c.organization_id == organization_id
            )
        )
    }
    for group, ancestor in sorted(pair for pair, depth in stored.items() if now.get(pair) != depth):
        connection.execute(delete(GA).where(GA.c.group_id == group, GA.c.ancestor_id == ancestor))
    rows = [
        {
            "group_id": group,
            "ancestor_id": ancestor,
            "depth": depth,
            "organization_id": organization_id,
        }
        for (group, ancestor), depth in sorted(now.items())
        if stored.get((group, ancestor)) != depth
    ]
    if rows:
        connection.execute(insert(GA), rows)


def _pairs(
    connection: Connection, first: Column[int], second: Column[int], where: ColumnElement[bool]
) -> set[Edge]:
    return {(one, other) for one, other in connection.execute(select(first, second).where(where))}
