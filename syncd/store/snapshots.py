"""Roles and groups whole, many at once, as the journal of objects has them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, insert, select

from syncd.records import batched
from syncd.store import schema
from syncd.store.feed import take_position
from syncd.store.staging import allocate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from sqlalchemy import Connection

ROLES, RPS = schema.roles, schema.role_permission_sets
GROUPS, GR, GP = schema.groups, schema.group_roles, schema.group_parents
OJ = schema.object_journal

IN_LIST = 500
Snapshot = dict[str, Any]


def role_snapshots(connection: Connection, ids: Collection[int]) -> dict[int, Snapshot]:
    """Return these roles by id; those that are not there are left out."""
    found: dict[int, Snapshot] = {}
    for part in batched(sorted(ids), IN_LIST):
        query = select(
            ROLES.c.id, ROLES.c.name, ROLES.c.description, ROLES.c.kind, ROLES.c.mapper
        ).where(ROLES.c.id.in_(part))
        for role_id, name, description, kind, mapper in connection.execute(query):
            found[role_id] = {
                "name": name,
                "description": description,
                "kind": kind,
                "permission_sets": [],
                **_imported(mapper=mapper),
            }
        sets = (
            select(RPS.c.role_id, RPS.c.permission_set_id)
            .where(RPS.c.role_id.in_(part))
            .order_by(RPS.c.role_id, RPS.c.permission_set_id)
        )
        for role_id, set_id in connection.execute(sets):
            if role_id in found:
                found[role_id]["permission_sets"].append(set_id)
    return found


def group_snapshots(connection: Connection, ids: Collection[int]) -> dict[int, Snapshot]:
    """Return these groups by id; those that are not there are left out."""
    found: dict[int, Snapshot] = {}
    for part in batched(sorted(ids), IN_LIST):
        for row in connection.execute(select(GROUPS).where(GROUPS.c.id.in_(part))):
            found[row.id] = {
                "name": row.name,
                "description": row.description,
                "kind": row.kind,
                "attributes": json.loads(row.attributes),
                "roles": [],
                "parents": [],
                **_imported(mapper=row.mapper, external_id=row.external_id),
            }
        for name, column, source, table in (
            ("roles", GR.c.role_id, GR.c.source, GR),
            ("parents", GP.c.parent_id, GP.c.source, GP),
        ):
            pairs = (
                select(table.c.group_id, column, source)
                .where(table.c.group_id.in_(part))
                .order_by(table.c.group_id, column, source)
            )
            for group_id, other, by in connection.execute(pairs):
                if group_id in found:
                    found[group_id][name].append([other, by])
    return found


def _imported(**known: str | None) -> dict[str, str]:
    """Return by what a directory's role or group is found again; others have no such thing."""
    return {name: value for name, value in known.items() if value is not None}


class ObjectJournal:
    """The roles and groups that one transaction of a run changes, from before to after."""

    def __init__(
        self, connection: Connection, *, roles: Collection[int], groups: Collection[int]
    ) -> None:
        self._connection = connection
        self._ids = {"role": set(roles), "group": set(groups)}
        self._before = self._now()

    def _now(self) -> dict[str, dict[int, Snapshot]]:
        return {
            "role": role_snapshots(self._connection, self._ids["role"]),
            "group": group_snapshots(self._connection, self._ids["group"]),
        }

    def _changes(self) -> Iterator[tuple[str, int, Snapshot | None, Snapshot | None]]:
        now = self._now()
        for object_, ids in self._ids.items():
            for object_id in sorted(ids):
                before, after = self._before[object_].get(object_id), now[object_].get(object_id)
                if before != after:
                    yield object_, object_id, before, after

    def write(
        self, organization_id: str, change_set_id: Callable[[], int], commit_id: int | None
    ) -> None:
        """Journal what is not as it was, and take the transaction's position; else nothing.

        Without a ``commit_id`` one is taken once it is needed.
        """
        changes = list(self._changes())
        if not changes:
            return
        connection, under = self._connection, change_set_id()
        commit_id = commit_id or allocate(connection, "commits", 1)
        mine = and_(OJ.c.organization_id == organization_id, OJ.c.change_set_id == under)
        last = connection.scalar(select(func.max(OJ.c.number)).where(mine)) or 0
        rows = [
            {
                "organization_id": organization_id,
                "change_set_id": under,
                "number": number,
                "object": object_,
                "object_id": object_id,
                "name": (after or before or {})["name"],
                "kind": "create" if before is None else "delete" if after is None else "update",
                "before": _text(before),
                "after": _text(after),
                "commit_id": commit_id,
            }
            for number, (object_, object_id, before, after) in enumerate(changes, last + 1)
        ]
        connection.execute(insert(OJ), rows)
        take_position(connection, organization_id, commit_id, under)


def _text(snapshot: Snapshot | None) -> str | None:
    return None if snapshot is None else json.dumps(snapshot, ensure_ascii=False)
