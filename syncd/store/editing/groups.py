"""Groups as they are read, changed by hand and taken back: their roles, and their place.

Who is in them is written with the people (``belonging``). What a directory says of a group, its
parents among it, has another source than "manual" and stays as it is unless a snapshot says
otherwise.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, exists, insert, or_, select, update

from syncd.records import fold
from syncd.store import schema
from syncd.store.editing.belonging import hold_no_more, plan_no_more
from syncd.store.editing.closure import (
    begin_closure,
    end_closure,
    linked,
    stands_above,
    unlinked,
)
from syncd.store.group_paths import group_paths
from syncd.store.sides import GROUPS as SIDE
from syncd.store.snapshots import group_snapshots

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from syncd.store.editing.change import Change
    from syncd.store.editing.opening import Scope

GROUPS, GP, GA = schema.groups, schema.group_parents, schema.group_ancestors
GR, ROLES, CT = schema.group_roles, schema.roles, schema.containers
Pairs = set[tuple[int, str]]


def shape(at: Scope, group_id: int) -> dict[str, Any] | None:
    """Return a group as it is shown; None if the organization has no such group."""
    row = at.connection.execute(_own(at, group_id)).one_or_none()
    if row is None:
        return None
    parents: dict[int, list[str]] = {}
    for parent, source in sorted(_parents(at, group_id)):
        parents.setdefault(parent, []).append(source)
    children = at.connection.execute(
        select(GP.c.group_id, GP.c.source).where(GP.c.parent_id == group_id)
    ).all()
    below: dict[int, list[str]] = {}
    for child, source in sorted((row.group_id, row.source) for row in children):
        below.setdefault(child, []).append(source)
    paths = group_paths(at.connection, {group_id, *parents, *below})
    names = _names(at, {*parents, *below})
    return {
        "id": row.id,
        "name": row.name,
        "path": paths[group_id],
        "kind": row.kind,
        "mapper": row.mapper,
        "external_id": row.external_id,
        "description": row.description,
        "attributes": json.loads(row.attributes),
        "parents": _related(parents, names, paths),
        "children": _related(below, names, paths),
        "roles": _role_shapes(at, group_id),
    }


def _names(at: Scope, group_ids: Collection[int]) -> dict[int, str]:
    query = select(GROUPS.c.id, GROUPS.c.name).where(GROUPS.c.id.in_(group_ids))
    return {row.id: row.name for row in at.connection.execute(query)}


def _related(
    several: Mapping[int, list[str]], names: Mapping[int, str], paths: Mapping[int, str]
) -> list[dict[str, Any]]:
    found = [
        {"id": each, "name": names[each], "path": paths[each], "sources": sources}
        for each, sources in several.items()
        if each in names
    ]
    return sorted(found, key=lambda each: (each["name"], each["path"], each["id"]))


def _role_shapes(at: Scope, group_id: int) -> list[dict[str, Any]]:
    query = (
        select(ROLES.c.id, ROLES.c.name, GR.c.source)
        .join(ROLES, ROLES.c.id == GR.c.role_id)
        .where(GR.c.group_id == group_id)
        .order_by(ROLES.c.name, ROLES.c.id, GR.c.source)
    )
    found: dict[int, dict[str, Any]] = {}
    for role_id, name, source in at.connection.execute(query):
        about = found.setdefault(role_id, {"id": role_id, "name": name, "sources": []})
        about["sources"].append(source)
    return list(found.values())


def named(at: Scope, name: str) -> list[tuple[int, str]]:
    """Return the groups of a name or a path, each with its path."""
    of_organization = GROUPS.c.organization_id == at.organization_id
    query = select(GROUPS.c.id).where(of_organization, GROUPS.c.name_key == fold(name))
    ids = set(at.connection.scalars(query))
    if not ids and name.startswith("/"):
        # Only the last name of the path can be looked up; escaped signs may be in it.
        last = fold(name.rpartition("/")[2])
        ends = select(GROUPS.c.id).where(of_organization, GROUPS.c.name_key == last)
        if "\\" in name:
            ends = select(GROUPS.c.id).where(of_organization)
        paths = group_paths(at.connection, at.connection.scalars(ends))
        return sorted((each, path) for each, path in paths.items() if fold(path) == fold(name))
    return sorted(group_paths(at.connection, ids).items())


def snapshot(at: Scope, group_id: int) -> dict[str, Any] | None:
    """Return a group as the journal has it."""
    own = select(GROUPS.c.id).where(
        GROUPS.c.id == group_id, GROUPS.c.organization_id == at.organization_id
    )
    return group_snapshots(at.connection, list(at.connection.scalars(own))).get(group_id)


def _own(at: Scope, group_id: int) -> Any:  # noqa: ANN401 - a select of all columns
    return select(GROUPS).where(
        GROUPS.c.id == group_id, GROUPS.c.organization_id == at.organization_id
    )


def _parents(at: Scope, group_id: int) -> Pairs:
    query = select(GP.c.parent_id, GP.c.source).where(GP.c.group_id == group_id)
    return {(row.parent_id, row.source) for row in at.connection.execute(query)}


def conferred(at: Scope, group_id: int) -> list[int]:
    """Return the roles that the members of a group have by it and the groups above it."""
    query = (
        select(GR.c.role_id)
        .join(GA, GA.c.ancestor_id == GR.c.group_id)
        .where(GA.c.group_id == group_id)
        .distinct()
    )
    return sorted(at.connection.scalars(query))


def would_circle(at: Scope, parent: int, child: int) -> bool:
    """Return whether a group cannot come below another, because it stands above it already."""
    return stands_above(at.connection, child, parent)


def held_by_directory(at: Scope, group_id: int) -> bool:
    """Return whether an entry of a directory, or a rule for everybody, stands for the group."""
    query = select(exists().where(CT.c.group_id == group_id))
    return bool(at.connection.execute(query).scalar_one())


def write(change: Change, group_id: int, after: Mapping[str, Any] | None) -> None:
    """Make a group what the snapshot says: create it, change it, or with None delete it.

    A parent that would close a circle is for the caller to refuse; here it is left out. With a
    group go its members' places in it, and its children stand on their own.
    """
    before = snapshot(change, group_id)
    after = None if after is None else {**after}
    if before == after:
        return
    if after is None:
        _delete(change, group_id)
    else:
        _put(change, group_id, after, new=before is None)
        _give(change, group_id, {(role, source) for role, source in after["roles"]})
        _move(change, group_id, {(parent, source) for parent, source in after["parents"]})
        after = snapshot(change, group_id) or after
    named_so = after or before or {}
    change.of_object("group", group_id, str(named_so["name"]), before=before, after=after)


def _put(change: Change, group_id: int, after: Mapping[str, Any], *, new: bool) -> None:
    values = {
        "name": after["name"],
        "name_key": fold(after["name"]),
        "description": after["description"],
        "attributes": json.dumps(after["attributes"], ensure_ascii=False, separators=(",", ":")),
    }
    if not new:
        # As they are written stays as it is: a sync compares the text.
        same = select(GROUPS.c.attributes).where(GROUPS.c.id == group_id)
        stored = str(change.connection.execute(same).scalar_one())
        if json.loads(stored) == after["attributes"]:
            values["attributes"] = stored
        change.connection.execute(update(GROUPS).where(GROUPS.c.id == group_id).values(**values))
        return
    change.connection.execute(
        insert(GROUPS).values(
            id=group_id,
            organization_id=change.organization_id,
            kind=after["kind"],
            mapper=after.get("mapper"),
            external_id=after.get("external_id"),
            **values,
        )
    )
    begin_closure(change.connection, change.organization_id, group_id)


def _give(change: Change, group_id: int, wanted: Pairs) -> None:
    of_group = GR.c.group_id == group_id
    rows = change.connection.execute(select(GR.c.role_id, GR.c.source).where(of_group))
    there = {(role_id, source) for role_id, source in rows}
    for role_id, source in sorted(there - wanted):
        change.connection.execute(
            delete(GR).where(of_group, GR.c.role_id == role_id, GR.c.source == source)
        )
    if new := sorted(wanted - there):
        change.connection.execute(
            insert(GR),
            [
                {
                    "group_id": group_id,
                    "role_id": role_id,
                    "source": source,
                    "organization_id": change.organization_id,
                }
                for role_id, source in new
            ],
        )


def _move(change: Change, group_id: int, wanted: Pairs) -> None:
    connection = change.connection
    there = _parents(change, group_id)
    gone = there - wanted
    for parent, source in sorted(gone):
        edge = and_(GP.c.parent_id == parent, GP.c.group_id == group_id, GP.c.source == source)
        connection.execute(delete(GP).where(edge))
    if gone:
        unlinked(connection, change.organization_id, group_id)
    for parent, source in sorted(wanted - there):
        if would_circle(change, parent, group_id):
            continue
        connection.execute(
            insert(GP).values(
                parent_id=parent,
                group_id=group_id,
                source=source,
                organization_id=change.organization_id,
            )
        )
        linked(connection, change.organization_id, parent, group_id)


def _delete(change: Change, group_id: int) -> None:
    connection = change.connection
    hold_no_more(change, SIDE, group_id)
    children = select(GP.c.group_id).where(GP.c.parent_id == group_id).distinct()
    for child in sorted(connection.scalars(children)):
        group = snapshot(change, child)
        if group is not None:
            parents = [pair for pair in group["parents"] if pair[0] != group_id]
            write(change, child, {**group, "parents": parents})
    connection.execute(delete(GP).where(or_(GP.c.group_id == group_id, GP.c.parent_id == group_id)))
    end_closure(connection, change.organization_id, group_id)
    connection.execute(delete(GR).where(GR.c.group_id == group_id))
    plan_no_more(change, SIDE, group_id)
    connection.execute(delete(GROUPS).where(GROUPS.c.id == group_id))
