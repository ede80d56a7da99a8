"""Permission sets as they are read, changed by hand and taken back.

The preconfigured ones belong to every organization and are only read here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, or_, select, update

from syncd.permissions import SECTIONS, Level
from syncd.records import fold
from syncd.store import schema
from syncd.store.editing import roles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.store.editing.change import Change
    from syncd.store.editing.opening import Scope

PS, PSS, RPS, ROLES = (
    schema.permission_sets,
    schema.permission_set_sections,
    schema.role_permission_sets,
    schema.roles,
)


def shape(at: Scope, set_id: int) -> dict[str, Any] | None:
    """Return a permission set as it is shown; None if the organization has no such one."""
    query = select(PS).where(
        PS.c.id == set_id,
        or_(PS.c.organization_id == at.organization_id, PS.c.organization_id.is_(None)),
    )
    row = at.connection.execute(query).one_or_none()
    if row is None:
        return None
    sections = _sections(at, set_id)
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "description": row.description,
        "sections": {name: sections.get(name, Level.NONE.word) for name in SECTIONS},
        "roles": [{"id": number, "name": name} for number, name in roles_with(at, set_id)],
    }


def roles_with(at: Scope, set_id: int) -> list[tuple[int, str]]:
    """Return the roles that have a permission set, by name."""
    query = (
        select(ROLES.c.id, ROLES.c.name)
        .join(RPS, RPS.c.role_id == ROLES.c.id)
        .where(
            RPS.c.permission_set_id == set_id,
            or_(ROLES.c.organization_id == at.organization_id, ROLES.c.organization_id.is_(None)),
        )
        .order_by(ROLES.c.name, ROLES.c.id)
    )
    return [(row.id, row.name) for row in at.connection.execute(query)]


def named(at: Scope, name: str) -> int | None:
    """Return the permission set of a name, the organization's own or a preconfigured one."""
    found: int | None = at.connection.execute(
        select(PS.c.id).where(
            PS.c.name_key == fold(name),
            or_(PS.c.organization_id == at.organization_id, PS.c.organization_id.is_(None)),
        )
    ).scalar_one_or_none()
    return found


def all_ids(at: Scope) -> list[int]:
    """Return all permission sets of the organization, the preconfigured ones too, by name."""
    query = (
        select(PS.c.id)
        .where(or_(PS.c.organization_id == at.organization_id, PS.c.organization_id.is_(None)))
        .order_by(PS.c.name, PS.c.id)
    )
    return list(at.connection.scalars(query))


def snapshot(at: Scope, set_id: int) -> dict[str, Any] | None:
    """Return a permission set of the organization's own as the journal has it."""
    row = at.connection.execute(
        select(PS).where(PS.c.id == set_id, PS.c.organization_id == at.organization_id)
    ).one_or_none()
    if row is None:
        return None
    return {
        "name": row.name,
        "description": row.description,
        "sections": _sections(at, set_id),
    }


def _sections(at: Scope, set_id: int) -> dict[str, str]:
    query = (
        select(PSS.c.section, PSS.c.level)
        .where(PSS.c.permission_set_id == set_id)
        .order_by(PSS.c.section)
    )
    return {section: Level(level).word for section, level in at.connection.execute(query)}


def write(change: Change, set_id: int, after: Mapping[str, Any] | None) -> None:
    """Make a permission set what the snapshot says; with None delete it, from its roles too."""
    before = snapshot(change, set_id)
    after = None if after is None else {**after}
    if before == after:
        return
    if after is None:
        _delete(change, set_id)
    else:
        _put(change, set_id, after, new=before is None)
        _rate(change, set_id, after["sections"])
    named_so = after or before or {}
    change.of_object("permission_set", set_id, str(named_so["name"]), before=before, after=after)


def _put(change: Change, set_id: int, after: Mapping[str, Any], *, new: bool) -> None:
    values = {
        "name": after["name"],
        "name_key": fold(after["name"]),
        "description": after["description"],
    }
    if new:
        own = {"id": set_id, "organization_id": change.organization_id, "kind": "custom"}
        change.connection.execute(insert(PS).values(**own, **values))
    else:
        change.connection.execute(update(PS).where(PS.c.id == set_id).values(**values))


def _rate(change: Change, set_id: int, sections: Mapping[str, str]) -> None:
    change.connection.execute(delete(PSS).where(PSS.c.permission_set_id == set_id))
    rows = [
        {
            "permission_set_id": set_id,
            "section": section,
            "level": int(Level.of(word)),
            "organization_id": change.organization_id,
        }
        for section, word in sections.items()
        if Level.of(word) > Level.NONE
    ]
    if rows:
        change.connection.execute(insert(PSS), rows)


def _delete(change: Change, set_id: int) -> None:
    for role_id, _ in roles_with(change, set_id):
        role = roles.snapshot(change, role_id)
        if role is not None:
            sets = [each for each in role["permission_sets"] if each != set_id]
            roles.write(change, role_id, {**role, "permission_sets": sets})
    change.connection.execute(delete(PSS).where(PSS.c.permission_set_id == set_id))
    change.connection.execute(delete(PS).where(PS.c.id == set_id))
