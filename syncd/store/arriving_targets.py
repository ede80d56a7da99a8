"""Which roles and groups the mappers mean that give something to somebody who signs in.

Roles are meant by name, groups by the path that they stand for, whichever mapper made them; what is
missing is to be made.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import bindparam, or_, select

from syncd.naming import group_names, is_preconfigured_role, joined_path, path_key
from syncd.records import Remark, fold
from syncd.store import schema
from syncd.store.among import among_given
from syncd.store.editing import groups, roles
from syncd.store.editing.closure import stands_above
from syncd.store.sides import GROUPS, ROLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection, Select

    from syncd.records import Arrival, Granted
    from syncd.store.editing.change import Change
    from syncd.store.sides import Side

R, GRP, GP = schema.roles, schema.groups, schema.group_parents
IMPORTED = "imported"
# The names of a group and of those above it, outermost first.
Path: TypeAlias = tuple[str, ...]
# A role or group: by its id, or while it is not there by its name's key or its path.
Target: TypeAlias = int | str | Path
# By source.
Several: TypeAlias = dict[str, set[Target]]


@dataclass(slots=True)
class Targets:
    """What mappers mean, and what of it has to be made."""

    # By side what each mapper gives.
    wanted: dict[Side, Several] = field(default_factory=dict)
    # Roles to make by their names' keys: name, and the mapper that does.
    roles: dict[str, tuple[str, str]] = field(default_factory=dict)
    # Groups to make, outermost first, with the mapper that does.
    groups: dict[Path, str] = field(default_factory=dict)
    # Groups that come below the one above them in their path, with the mappers that say so.
    edges: dict[Path, list[str]] = field(default_factory=dict)
    # The ids of the groups that are there.
    there: dict[Target, int] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    # What mappers give, for people to read.
    role_names: set[str] = field(default_factory=set)
    group_paths: set[str] = field(default_factory=set)

    @property
    def idle(self) -> bool:
        """Whether nothing is to be made."""
        return not (self.roles or self.groups or self.edges)


def targets(connection: Connection, organization_id: str, arrival: Arrival) -> Targets:
    """Return what the mappers of an arrival mean."""
    found = Targets()
    found.wanted[ROLES] = _wanted_roles(connection, organization_id, arrival, found)
    found.wanted[GROUPS] = _wanted_groups(connection, organization_id, arrival, found)
    return found


@cache
def _roles_called() -> Select[Any]:
    return select(R.c.id, R.c.name, R.c.name_key).where(
        R.c.name_key.in_(bindparam("keys", expanding=True)),
        or_(R.c.organization_id == bindparam("organization_id"), R.c.organization_id.is_(None)),
    )


@cache
def _groups_known_as() -> Select[Any]:
    return (
        select(GRP.c.external_id, GRP.c.id)
        .where(
            GRP.c.organization_id == bindparam("organization_id"),
            GRP.c.kind == IMPORTED,
            GRP.c.external_id.in_(bindparam("ids", expanding=True)),
        )
        .order_by(GRP.c.id.desc())
    )


@cache
def _parents_of() -> Select[Any]:
    return select(GP.c.parent_id, GP.c.group_id, GP.c.source).where(
        among_given(GP.c.group_id, "groups")
    )


# --- roles ------------------------------------------------------------------------------------


def _of_kind(arrival: Arrival, kind: str) -> list[Granted]:
    return [each for each in arrival.granted if each.kind == kind]


def _wanted_roles(
    connection: Connection, organization_id: str, arrival: Arrival, found: Targets
) -> Several:
    wanted: Several = defaultdict(set)
    granted = _of_kind(arrival, "role")
    if not granted:
        return wanted
    given = {
        "organization_id": organization_id,
        "keys": sorted({fold(each.name) for each in granted}),
    }
    known = {
        name_key: (role_id, name)
        for role_id, name, name_key in connection.execute(_roles_called(), given)
    }
    for each in granted:
        key, mapper = fold(each.name), each.mapper
        reserved = is_preconfigured_role(each.name)
        if reserved and mapper not in arrival.privileged:
            detail = (
                f"{each.name} is the name of a preconfigured role, and nobody is given it without "
                "may_grant_privileged"
            )
            found.remarks.append(Remark("role_name_reserved", mapper, "", detail))
        elif key in known:
            role_id, name = known[key]
            wanted[mapper].add(role_id)
            found.role_names.add(name)
        elif each.create and not reserved:
            found.roles.setdefault(key, (each.name, mapper))
            wanted[mapper].add(key)
            found.role_names.add(found.roles[key][0])
        else:
            detail = f"there is no role {each.name!r}, and nobody is given it"
            found.remarks.append(Remark("unknown_role", mapper, "", detail))
    return wanted


# --- groups -----------------------------------------------------------------------------------


def _wanted_groups(
    connection: Connection, organization_id: str, arrival: Arrival, found: Targets
) -> Several:
    wanted: Several = defaultdict(set)
    granted = {(each.mapper, group_names(each.name)): None for each in _of_kind(arrival, "group")}
    if not granted:
        return wanted
    every = {names[:depth] for _, names in granted for depth in range(1, len(names) + 1)}
    found.there = _groups_of(connection, organization_id, every)
    said = _edges_of(connection, set(found.there.values()))
    for mapper, names in granted:
        for depth in range(1, len(names) + 1):
            child = names[:depth]
            if child not in found.there:
                found.groups.setdefault(child, mapper)
            if depth > 1:
                _want_edge(connection, child, mapper, said, found)
        wanted[mapper].add(found.there.get(names, names))
        found.group_paths.add(joined_path(names))
    return wanted


def _groups_of(
    connection: Connection, organization_id: str, paths: Iterable[Path]
) -> dict[Target, int]:
    """Return the groups that stand for these paths, whichever mapper made them."""
    by_id = {path_key(path).hex(): path for path in paths}
    given = {"organization_id": organization_id, "ids": sorted(by_id)}
    rows = connection.execute(_groups_known_as(), given)
    return {by_id[external_id]: group_id for external_id, group_id in rows}


def _edges_of(connection: Connection, group_ids: set[int]) -> set[tuple[int, int, str]]:
    rows = connection.execute(_parents_of(), {"groups": sorted(group_ids)})
    return {(parent, child, source) for parent, child, source in rows}


def _want_edge(
    connection: Connection,
    child: Path,
    mapper: str,
    said: set[tuple[int, int, str]],
    found: Targets,
) -> None:
    parent = child[:-1]
    above, below = found.there.get(parent), found.there.get(child)
    if above is not None and below is not None:
        if (above, below, mapper) in said:
            return
        if stands_above(connection, below, above):
            detail = (
                f"{joined_path(child)} cannot be a child of {joined_path(parent)}, above which it "
                "stands itself"
            )
            found.remarks.append(Remark("cycle", mapper, "", detail))
            return
    mappers = found.edges.setdefault(child, [])
    if mapper not in mappers:
        mappers.append(mapper)


# --- making -----------------------------------------------------------------------------------


def make(change: Change, found: Targets, new_id: Callable[[], int]) -> dict[Target, int]:
    """Make what is missing; return the ids of what had none."""
    made = dict(found.there)
    for key, (name, mapper) in found.roles.items():
        made[key] = new_id()
        after = {"name": name, "description": "", "kind": IMPORTED, "mapper": mapper}
        roles.write(change, made[key], {**after, "permission_sets": []})
    for path, mapper in found.groups.items():
        made[path] = new_id()
        groups.write(
            change,
            made[path],
            {
                "name": path[-1],
                "description": "",
                "kind": IMPORTED,
                "attributes": {},
                "mapper": mapper,
                "external_id": path_key(path).hex(),
                "roles": [],
                "parents": [[made[path[:-1]], each] for each in found.edges.get(path, ())],
            },
        )
    for path, mappers in found.edges.items():
        group = None if path in found.groups else groups.snapshot(change, made[path])
        if group is not None:
            more = [[made[path[:-1]], mapper] for mapper in mappers]
            groups.write(change, made[path], {**group, "parents": [*group["parents"], *more]})
    return made
