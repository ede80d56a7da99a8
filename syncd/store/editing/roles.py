"""Roles as they are read, changed by hand and taken back: one writer for all three.

Preconfigured roles belong to every organization and are only read here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, exists, insert, or_, select, update

from syncd.records import fold
from syncd.store import schema
from syncd.store.editing import groups
from syncd.store.editing.belonging import hold_no_more, plan_no_more
from syncd.store.sides import ROLES as SIDE
from syncd.store.snapshots import role_snapshots

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.store.editing.change import Change
    from syncd.store.editing.opening import Scope

ROLES, RPS, PS = schema.roles, schema.role_permission_sets, schema.permission_sets
G, GR, CT = schema.grants, schema.group_roles, schema.containers


class Use(NamedTuple):
    """What hangs on a role."""

    people: bool
    groups: bool
    # An entry of a directory, or a rule for everybody, stands for it.
    containers: bool


def shape(at: Scope, role_id: int) -> dict[str, Any] | None:
    """Return a role as it is shown; None if the organization has no such role."""
    query = select(ROLES).where(
        ROLES.c.id == role_id,
        or_(ROLES.c.organization_id == at.organization_id, ROLES.c.organization_id.is_(None)),
    )
    row = at.connection.execute(query).one_or_none()
    if row is None:
        return None
    sets = at.connection.execute(
        select(PS.c.id, PS.c.name)
        .join(RPS, RPS.c.permission_set_id == PS.c.id)
        .where(RPS.c.role_id == role_id)
        .order_by(PS.c.name, PS.c.id)
    )
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "mapper": row.mapper,
        "description": row.description,
        "permission_sets": [{"id": number, "name": name} for number, name in sets],
    }


def named(at: Scope, name: str) -> int | None:
    """Return the role of a name, the organization's own or a preconfigured one."""
    found: int | None = at.connection.execute(
        select(ROLES.c.id).where(
            ROLES.c.name_key == fold(name),
            or_(ROLES.c.organization_id == at.organization_id, ROLES.c.organization_id.is_(None)),
        )
    ).scalar_one_or_none()
    return found


def all_ids(at: Scope) -> list[int]:
    """Return all roles of the organization, the preconfigured ones too, by name."""
    query = (
        select(ROLES.c.id)
        .where(
            or_(ROLES.c.organization_id == at.organization_id, ROLES.c.organization_id.is_(None))
        )
        .order_by(ROLES.c.name, ROLES.c.id)
    )
    return list(at.connection.scalars(query))


def snapshot(at: Scope, role_id: int) -> dict[str, Any] | None:
    """Return a role of the organization's own as the journal has it."""
    own = select(ROLES.c.id).where(
        ROLES.c.id == role_id, ROLES.c.organization_id == at.organization_id
    )
    return role_snapshots(at.connection, list(at.connection.scalars(own))).get(role_id)


def use(at: Scope, role_id: int) -> Use:
    """Return what hangs on a role."""
    held = (
        exists().where(G.c.role_id == role_id),
        exists().where(GR.c.role_id == role_id),
        exists().where(CT.c.role_id == role_id, CT.c.organization_id == at.organization_id),
    )
    return Use(*map(bool, at.connection.execute(select(*held)).one()))


def write(change: Change, role_id: int, after: Mapping[str, Any] | None) -> None:
    """Make a role what the snapshot says: create it, change it, or with None delete it.

    Whoever has a role that is deleted loses it, people and groups.
    """
    before = snapshot(change, role_id)
    after = None if after is None else {**after}
    if before == after:
        return
    if after is None:
        _delete(change, role_id)
    else:
        _put(change, role_id, before, after)
        _assign(change, role_id, set(after["permission_sets"]))
    named_so = after or before or {}
    change.of_object("role", role_id, str(named_so["name"]), before=before, after=after)


def _put(
    change: Change, role_id: int, before: Mapping[str, Any] | None, after: Mapping[str, Any]
) -> None:
    values = {
        "name": after["name"],
        "name_key": fold(after["name"]),
        "description": after["description"],
    }
    if before is None:
        change.connection.execute(
            insert(ROLES).values(
                id=role_id,
                organization_id=change.organization_id,
                kind=after["kind"],
                mapper=after.get("mapper"),
                **values,
            )
        )
        return
    change.connection.execute(update(ROLES).where(ROLES.c.id == role_id).values(**values))
    if before["name"] != after["name"]:
        # Mappers find roles by name: what stood for it is read anew, and finds out now.
        change.connection.execute(update(CT).where(*_standing(change, role_id)).values(digest=None))


def _assign(change: Change, role_id: int, wanted: set[int]) -> None:
    of_role = RPS.c.role_id == role_id
    there = set(change.connection.scalars(select(RPS.c.permission_set_id).where(of_role)))
    if gone := there - wanted:
        change.connection.execute(delete(RPS).where(of_role, RPS.c.permission_set_id.in_(gone)))
    if new := sorted(wanted - there):
        change.connection.execute(
            insert(RPS),
            [
                {
                    "role_id": role_id,
                    "permission_set_id": each,
                    "organization_id": change.organization_id,
                }
                for each in new
            ],
        )


def _delete(change: Change, role_id: int) -> None:
    connection = change.connection
    hold_no_more(change, SIDE, role_id)
    of_groups = select(GR.c.group_id).where(GR.c.role_id == role_id).distinct()
    for group_id in sorted(connection.scalars(of_groups)):
        group = groups.snapshot(change, group_id)
        if group is not None:
            roles = [pair for pair in group["roles"] if pair[0] != role_id]
            groups.write(change, group_id, {**group, "roles": roles})
    plan_no_more(change, SIDE, role_id)
    # What stands for it is read anew, and finds another one or none.
    connection.execute(update(CT).where(*_standing(change, role_id)).values(role_id=0, digest=None))
    connection.execute(delete(RPS).where(RPS.c.role_id == role_id))
    connection.execute(delete(ROLES).where(ROLES.c.id == role_id))


def _standing(change: Change, role_id: int) -> tuple[Any, ...]:
    return CT.c.role_id == role_id, CT.c.organization_id == change.organization_id
