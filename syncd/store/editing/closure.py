"""The closure of groups when one edge comes or goes: only what stands below it is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select, text

from syncd.store import schema

if TYPE_CHECKING:
    from sqlalchemy import Connection

GA = schema.group_ancestors

_ITSELF = """
INSERT INTO group_ancestors (group_id, ancestor_id, depth, organization_id)
VALUES (:group_id, :group_id, 0, :organization_id) ON CONFLICT DO NOTHING
"""
# Everything below the child comes below everything above the parent, at the least distance.
_LINK = """
INSERT INTO group_ancestors (group_id, ancestor_id, depth, organization_id)
SELECT below.group_id, above.ancestor_id, below.depth + above.depth + 1, :organization_id
FROM group_ancestors AS below CROSS JOIN group_ancestors AS above
WHERE below.ancestor_id = :child AND above.group_id = :parent
ON CONFLICT (group_id, ancestor_id) DO UPDATE SET depth = excluded.depth
WHERE excluded.depth < group_ancestors.depth
"""
# What stands below a group, and everything above that by the edges there are. What UNION leaves out
# keeps the walk finite: no pair is met twice at one distance.
_UP = """
WITH RECURSIVE up (group_id, ancestor_id, depth) AS (
    SELECT group_id, group_id, 0 FROM group_ancestors WHERE ancestor_id = :child
    UNION
    SELECT up.group_id, group_parents.parent_id, up.depth + 1
    FROM up JOIN group_parents ON group_parents.group_id = up.ancestor_id
)
"""
_REACHED = f"""
INSERT INTO group_ancestors (group_id, ancestor_id, depth, organization_id)
{_UP}
SELECT group_id, ancestor_id, MIN(depth), :organization_id FROM up WHERE true
GROUP BY group_id, ancestor_id
ON CONFLICT (group_id, ancestor_id) DO UPDATE SET depth = excluded.depth
WHERE excluded.depth <> group_ancestors.depth
"""  # noqa: S608 - made of constants
_LOST = f"""
{_UP}
DELETE FROM group_ancestors
WHERE group_id IN (SELECT group_id FROM up)
AND (group_id, ancestor_id) NOT IN (SELECT group_id, ancestor_id FROM up)
"""  # noqa: S608 - made of constants


def begin_closure(connection: Connection, organization_id: str, group_id: int) -> None:
    """Let a new group stand above and below itself."""
    connection.execute(text(_ITSELF), {"group_id": group_id, "organization_id": organization_id})


def linked(connection: Connection, organization_id: str, parent: int, child: int) -> None:
    """Bring the closure up to a new edge, which must close no circle."""
    # Of a run that was ended between its people and its groups there may be some without.
    for group_id in (parent, child):
        begin_closure(connection, organization_id, group_id)
    connection.execute(
        text(_LINK), {"parent": parent, "child": child, "organization_id": organization_id}
    )


def unlinked(connection: Connection, organization_id: str, child: int) -> None:
    """Bring the closure up to edges above ``child`` that are gone."""
    values = {"child": child, "organization_id": organization_id}
    connection.execute(text(_REACHED), values)
    connection.execute(text(_LOST), {"child": child})


def end_closure(connection: Connection, organization_id: str, group_id: int) -> None:
    """Take a group out of the closure; its edges, above and below it, are gone already."""
    unlinked(connection, organization_id, group_id)
    connection.execute(delete(GA).where(GA.c.group_id == group_id))


def stands_above(connection: Connection, group_id: int, other: int) -> bool:
    """Return whether a group is another, or stands above it."""
    query = select(GA.c.depth).where(GA.c.ancestor_id == group_id, GA.c.group_id == other)
    return group_id == other or connection.execute(query).first() is not None
