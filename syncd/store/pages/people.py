"""Pages of people: all of an organization by filters, the members of a group, who has a role."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import null, select, union_all

from syncd.records import batched
from syncd.store import schema
from syncd.store.effective import DEFAULT_ROLE_ID, IN_LIST
from syncd.store.pages import filters as user_filters
from syncd.store.pages.cursor import asked, page
from syncd.store.pages.walking import find

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from syncd.store.people import People

U, X = schema.users, schema.restrictions
G, GM, GA, GR = (
    schema.grants,
    schema.group_members,
    schema.group_ancestors,
    schema.group_roles,
)
KEY = (str, int)


def users(
    people: People, *, limit: object, after: object, filters: Mapping[str, object]
) -> dict[str, Any]:
    """Return a page of people in the contract's shape, in order of username."""
    wanted = asked("users", limit, after, KEY)
    with people.database.read_by_key() as connection:
        read = user_filters.read(connection, people.organization_id, filters)
        found = find(connection, read, wanted)
        return page("users", people.of_ids(connection, found.ids), found.goes_on)


def group_members(
    people: People, group_id: int, *, limit: object, after: object, tree: bool
) -> dict[str, Any]:
    """Return a page of who is in a group, or in it and the groups below, and who says so."""
    name = "group_tree" if tree else "group"
    wanted = asked(f"members {name} {group_id}", limit, after, KEY)
    with people.database.read_by_key() as connection:
        read = user_filters.read(connection, people.organization_id, {name: group_id})
        found = find(connection, read, wanted)
        below = select(GA.c.group_id).where(GA.c.ancestor_id == group_id)
        of_group = GM.c.group_id.in_(below) if tree else GM.c.group_id == group_id
        ways = _ways(connection, found.ids, [(GM, of_group)])
        items = [
            {"user": short, "ways": ways[short["id"]]}
            for short in _short(connection, people.organization_id, found.ids)
        ]
        return page(f"members {name} {group_id}", items, found.goes_on)


def role_holders(
    people: People, role_id: int, *, limit: object, after: object, effective: bool
) -> dict[str, Any]:
    """Return a page of who has a role: as a grant, or ``effective`` also by his groups."""
    name = "effective_role" if effective else "role"
    wanted = asked(f"holders {name} {role_id}", limit, after, KEY)
    with people.database.read_by_key() as connection:
        read = user_filters.read(connection, people.organization_id, {name: role_id})
        found = find(connection, read, wanted)
        giving = (
            select(GA.c.group_id)
            .join(GR, GR.c.group_id == GA.c.ancestor_id)
            .where(GR.c.role_id == role_id)
        )
        tables: list[tuple[Any, ColumnElement[bool]]] = [(G, G.c.role_id == role_id)]
        if effective:
            tables.append((GM, GM.c.group_id.in_(giving)))
        ways = _ways(connection, found.ids, tables)
        items = []
        for short in _short(connection, people.organization_id, found.ids):
            theirs = ways[short["id"]]
            if role_id == DEFAULT_ROLE_ID:
                theirs = [*theirs, {"source": "default", "group_id": None}]
            items.append({"user": short, "ways": theirs})
        return page(f"holders {name} {role_id}", items, found.goes_on)


def _short(
    connection: Connection, organization_id: str, ids: Sequence[int]
) -> list[dict[str, Any]]:
    """Return people by what one knows them by in a list."""
    found: dict[int, dict[str, Any]] = {}
    for part in batched(ids, IN_LIST):
        query = select(
            U.c.id, U.c.username, U.c.email, U.c.first_name, U.c.last_name, U.c.living
        ).where(U.c.organization_id == organization_id, U.c.id.in_(part))
        for row in connection.execute(query):
            found[row.id] = {
                "id": row.id,
                "username": row.username,
                "email": row.email,
                "first_name": row.first_name,
                "last_name": row.last_name,
                "missing": not row.living,
            }
    return [found[user_id] for user_id in ids if user_id in found]


def _ways(
    connection: Connection, ids: Sequence[int], tables: Sequence[tuple[Any, ColumnElement[bool]]]
) -> dict[int, list[dict[str, Any]]]:
    """Return by which sources and groups each of these people is in one of the tables."""
    ways: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for part in batched(ids, IN_LIST):
        queries = [
            select(
                table.c.user_id,
                table.c.source,
                table.c.group_id if table is GM else null().label("group_id"),
            ).where(table.c.user_id.in_(part), where)
            for table, where in tables
        ]
        rows = connection.execute(union_all(*queries)).all()
        for user_id, source, group_id in sorted(rows, key=lambda row: (row[2] or 0, row[1])):
            ways[user_id].append({"source": source, "group_id": group_id})
    return ways
