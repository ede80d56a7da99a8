"""Pages of roles, permission sets and groups, in order of name."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, literal, or_, select, tuple_

from syncd.permissions import SECTIONS, Level
from syncd.records import fold
from syncd.store import schema
from syncd.store.group_paths import group_paths
from syncd.store.pages.cursor import after_prefix, asked, page, wanted_filters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Column, ColumnElement, Connection, Table

    from syncd.store.pages.cursor import Page
    from syncd.store.people import People

ROLES, SETS, GROUPS = schema.roles, schema.permission_sets, schema.groups
GP, GR = schema.group_parents, schema.group_roles
RPS, PSS = schema.role_permission_sets, schema.permission_set_sections
KEY = (str, int)


def roles(
    people: People, *, limit: object, after: object, filters: Mapping[str, object]
) -> dict[str, Any]:
    """Return a page of roles with the permission sets of each."""
    wanted = asked("roles", limit, after, KEY)
    given = wanted_filters(filters, {"name_prefix": str, "kind": str})
    where = _of_kind(ROLES, given)
    with people.database.read() as connection:
        rows = _named(
            connection, people.organization_id, ROLES, wanted=wanted, given=given, where=where
        )
        shown = rows[: wanted.limit]
        sets: dict[int, list[dict[str, Any]]] = defaultdict(list)
        query = (
            select(RPS.c.role_id, SETS.c.id, SETS.c.name)
            .join(SETS, SETS.c.id == RPS.c.permission_set_id)
            .where(RPS.c.role_id.in_([row.id for row in shown]))
            .order_by(SETS.c.id)
        )
        for role_id, set_id, name in connection.execute(query):
            sets[role_id].append({"id": set_id, "name": name})
    items = [
        {
            "id": row.id,
            "name": row.name,
            "kind": row.kind,
            "mapper": row.mapper,
            "description": row.description,
            "permission_sets": sets[row.id],
        }
        for row in shown
    ]
    return _page("roles", items, rows, wanted)


def permission_sets(
    people: People, *, limit: object, after: object, filters: Mapping[str, object]
) -> dict[str, Any]:
    """Return a page of permission sets with their sections and the roles that have them."""
    wanted = asked("permission_sets", limit, after, KEY)
    given = wanted_filters(filters, {"name_prefix": str, "kind": str})
    where = _of_kind(SETS, given)
    with people.database.read() as connection:
        rows = _named(
            connection, people.organization_id, SETS, wanted=wanted, given=given, where=where
        )
        shown = rows[: wanted.limit]
        ids = [row.id for row in shown]
        levels: dict[int, dict[str, str]] = defaultdict(dict)
        for row in connection.execute(select(PSS).where(PSS.c.permission_set_id.in_(ids))):
            levels[row.permission_set_id][row.section] = Level(row.level).word
        used: dict[int, list[dict[str, Any]]] = defaultdict(list)
        query = (
            select(RPS.c.permission_set_id, ROLES.c.id, ROLES.c.name)
            .join(ROLES, ROLES.c.id == RPS.c.role_id)
            .where(
                RPS.c.permission_set_id.in_(ids),
                or_(
                    ROLES.c.organization_id.is_(None),
                    ROLES.c.organization_id == people.organization_id,
                ),
            )
            .order_by(ROLES.c.name_key, ROLES.c.id)
        )
        for set_id, role_id, name in connection.execute(query):
            used[set_id].append({"id": role_id, "name": name})
    items = [
        {
            "id": row.id,
            "name": row.name,
            "kind": row.kind,
            "description": row.description,
            "sections": {
                section: levels[row.id][section]
                for section in SECTIONS
                if section in levels[row.id]
            },
            "roles": used[row.id],
        }
        for row in shown
    ]
    return _page("permission_sets", items, rows, wanted)


def groups(
    people: People, *, limit: object, after: object, filters: Mapping[str, object]
) -> dict[str, Any]:
    """Return a page of groups: where each stands, its roles and its parents.

    Filters: ``name_prefix``; ``parent``, whose children they are; ``role``, which they were given;
    ``roots``, those without a parent, or those with one.
    """
    wanted = asked("groups", limit, after, KEY)
    given = wanted_filters(
        filters, {"name_prefix": str, "parent": int, "role": int, "roots": bool, "kind": str}
    )
    where = _of_kind(GROUPS, given)
    if "parent" in given:
        mine = select(GP.c.group_id).where(GP.c.parent_id == given["parent"])
        where.append(GROUPS.c.id.in_(mine))
    if "role" in given:
        mine = select(GR.c.group_id).where(GR.c.role_id == given["role"])
        where.append(GROUPS.c.id.in_(mine))
    if "roots" in given:
        held = exists().where(GP.c.group_id == GROUPS.c.id)
        where.append(~held if given["roots"] else held)
    with people.database.read() as connection:
        rows = _named(
            connection, people.organization_id, GROUPS, wanted=wanted, given=given, where=where
        )
        shown = rows[: wanted.limit]
        ids = [row.id for row in shown]
        above = _sourced(connection, GP.c.group_id, GP.c.parent_id, ids)
        given_roles = _sourced(connection, GR.c.group_id, GR.c.role_id, ids)
        parents = {each for several in above.values() for each in several}
        paths = group_paths(connection, {*ids, *parents})
        group_names = _names(connection, GROUPS, parents)
        role_names = _names(
            connection, ROLES, {each for several in given_roles.values() for each in several}
        )
    items = [
        {
            "id": row.id,
            "name": row.name,
            "path": paths[row.id],
            "kind": row.kind,
            "mapper": row.mapper,
            "external_id": row.external_id,
            "description": row.description,
            "attributes": json.loads(row.attributes),
            "parents": [
                {"id": each, "name": group_names[each], "path": paths[each], "sources": sources}
                for each, sources in sorted(above.get(row.id, {}).items())
                if each in group_names
            ],
            "roles": [
                {"id": each, "name": role_names[each], "sources": sources}
                for each, sources in sorted(given_roles.get(row.id, {}).items())
                if each in role_names
            ],
        }
        for row in shown
    ]
    return _page("groups", items, rows, wanted)


def _of_kind(table: Table, given: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    return [table.c.kind == given["kind"]] if "kind" in given else []


def _named(
    connection: Connection,
    organization_id: str,
    table: Table,
    *,
    wanted: Page,
    given: Mapping[str, Any],
    where: Sequence[ColumnElement[bool]],
) -> Sequence[Any]:
    """Return the rows of one page and one more, by name, the organization's and everybody's."""
    key: ColumnElement[str] = table.c.name_key
    if connection.dialect.name == "postgresql":
        # As SQLite and Python have it, whatever the database's language.
        key = key.collate("C")
    prefix = fold(given.get("name_prefix", ""))
    below = after_prefix(prefix)
    query = select(table, key.label("place")).where(
        or_(table.c.organization_id == organization_id, table.c.organization_id.is_(None)),
        *where,
    )
    if prefix:
        query = query.where(key >= prefix)
    if below is not None:
        query = query.where(key < below)
    if wanted.after is not None:
        query = query.where(tuple_(key, table.c.id) > tuple_(*map(literal, wanted.after)))
    return connection.execute(query.order_by(key, table.c.id).limit(wanted.limit + 1)).all()


def _page(
    name: str, items: list[dict[str, Any]], rows: Sequence[Any], wanted: Page
) -> dict[str, Any]:
    last = rows[len(items) - 1] if len(rows) > wanted.limit else None
    return page(name, items, None if last is None else (last.name_key, last.id))


def _sourced(
    connection: Connection, group: Column[int], other: Column[int], ids: Sequence[int]
) -> dict[int, dict[int, list[str]]]:
    """Return what each of these groups has, each with whoever says so."""
    found: dict[int, dict[int, list[str]]] = defaultdict(dict)
    source = group.table.c.source
    query = select(group, other, source).where(group.in_(ids)).order_by(group, other, source)
    for group_id, other_id, said in connection.execute(query):
        found[group_id].setdefault(other_id, []).append(said)
    return found


def _names(connection: Connection, table: Table, ids: set[int]) -> dict[int, str]:
    query = select(table.c.id, table.c.name).where(table.c.id.in_(sorted(ids)))
    return {row.id: row.name for row in connection.execute(query)}
