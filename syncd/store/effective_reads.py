"""What people may do, as it is shown: of one person with all that it comes from, or of all.

Writes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from syncd.permissions import SECTIONS, Level, added
from syncd.records import fold
from syncd.store import schema
from syncd.store.effective import everybody, role_permissions, roles_held
from syncd.store.group_paths import group_paths

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy import Connection

    from syncd.permissions import Levels
    from syncd.store.database import Database
    from syncd.store.effective import HeldPermission, HeldRole

U, ROLES = schema.users, schema.roles


def words(levels: Levels) -> dict[str, str]:
    """Return levels as they are shown: each section with its word."""
    return {section: Level(levels.get(section, Level.NONE)).word for section in SECTIONS}


class EffectiveReads:
    """One organization's effective permissions, read only."""

    def __init__(self, database: Database, organization_id: str) -> None:
        self.database = database
        self.organization_id = organization_id

    def of(self, username: str) -> dict[str, Any] | None:
        """Return what somebody may do and by which roles; a living person before a missing one."""
        with self.database.read_by_key() as connection:
            query = (
                select(U.c.id, U.c.username, U.c.enabled)
                .where(
                    U.c.organization_id == self.organization_id, U.c.username_key == fold(username)
                )
                .order_by(U.c.living.desc(), U.c.id.desc())
                .limit(1)
            )
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            ways = list(roles_held(connection, [row.id]))
            role_ids = {way.role_id for way in ways}
            allowed = role_permissions(connection, role_ids)
            several = [each for theirs in allowed.values() for each in theirs]
            shapes = _role_shapes(connection, ways, role_ids)
            names = {shape["id"]: shape["name"] for shape in shapes}
            return {
                "id": row.id,
                "username": row.username,
                "enabled": bool(row.enabled),
                "permissions": words(added({each.section: each.level} for each in several)),
                "roles": shapes,
                "because": _because(several, names),
            }

    def of_all(self) -> Iterator[dict[str, Any]]:
        """Yield what everybody may do who is there, by username."""
        # One for each combination of roles, however many people have it.
        shown: dict[frozenset[int], dict[str, str]] = {}
        with self.database.read() as connection:
            for each in everybody(connection, self.organization_id):
                if each.role_ids not in shown:
                    shown[each.role_ids] = words(each.levels)
                yield {
                    "id": each.user_id,
                    "username": each.username,
                    "enabled": each.enabled,
                    "permissions": shown[each.role_ids],
                }


def _role_shapes(
    connection: Connection, ways: Collection[HeldRole], role_ids: Collection[int]
) -> list[dict[str, Any]]:
    """Return the roles that somebody holds, each with all ways by which he does."""
    rows = connection.execute(select(ROLES.c.id, ROLES.c.name).where(ROLES.c.id.in_(role_ids)))
    shapes: dict[int, dict[str, Any]] = {
        role_id: {"id": role_id, "name": name, "sources": []} for role_id, name in rows
    }
    groups = {each for way in ways for each in (way.group_id, way.member_group_id) if each}
    paths = group_paths(connection, groups)
    for way in ways:
        if way.role_id not in shapes:
            continue
        source = {"source": way.source, "group": None, "member_of": None}
        if way.group_id is not None and way.member_group_id is not None:
            source |= {"group": paths[way.group_id], "member_of": paths[way.member_group_id]}
        shapes[way.role_id]["sources"].append(source)
    return sorted(shapes.values(), key=lambda shape: (shape["name"], shape["id"]))


def _because(several: Collection[HeldPermission], names: dict[int, str]) -> list[dict[str, Any]]:
    """Return what each permission set of each role gives, in the order of the sections."""
    order = {section: at for at, section in enumerate(SECTIONS)}
    found = sorted(
        several,
        key=lambda each: (
            order[each.section],
            -each.level,
            names[each.role_id],
            each.permission_set,
            each.permission_set_id,
        ),
    )
    return [
        {
            "section": each.section,
            "level": each.level.word,
            "role": names[each.role_id],
            "permission_set": each.permission_set,
        }
        for each in found
    ]
