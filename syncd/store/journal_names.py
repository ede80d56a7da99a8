"""Names for what the journal has by ids: roles, groups and permission sets, also of the past."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from syncd.store import schema
from syncd.store.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import Connection

    from syncd.store.change_sets import ObjectRow

OJ = schema.object_journal
# What the journal has under these keys are roles and groups by their ids.
NAMED = {side.journal_kind: side.kind for side in SIDES}


class Names:
    """The names of roles and groups that the journal has by their ids."""

    def __init__(self, connection: Connection, organization_id: str) -> None:
        self._connection, self._organization_id = connection, organization_id
        self._names: dict[str, dict[int, str]] = {side.kind: {} for side in SIDES}
        self._names["permission_set"] = {}

    def learn(
        self,
        rows: Collection[tuple[int, str, dict[str, Any], dict[str, Any]]],
        objects: Collection[ObjectRow],
    ) -> None:
        """Look up what these name."""
        wanted: dict[str, set[int]] = defaultdict(set)
        for _, kind, before, after in rows:
            if kind in NAMED:
                for told in (before, after):
                    for pairs in told.values():
                        wanted[NAMED[kind]] |= {pair[0] for pair in pairs}
        for row in objects:
            for told in (row.before or {}, row.after or {}):
                wanted["permission_set"] |= set(told.get("permission_sets", ()))
                wanted["role"] |= {pair[0] for pair in told.get("roles", ())}
                wanted["group"] |= {pair[0] for pair in told.get("parents", ())}
        for kind, table in (
            *((side.kind, side.targets) for side in SIDES),
            ("permission_set", schema.permission_sets),
        ):
            ids = sorted(wanted[kind])
            query = select(table.c.id, table.c.name).where(table.c.id.in_(ids))
            self._names[kind] = {row.id: row.name for row in self._connection.execute(query)}
            if gone := [each for each in ids if each not in self._names[kind]]:
                former = (
                    select(OJ.c.object_id, OJ.c.name)
                    .where(
                        OJ.c.organization_id == self._organization_id,
                        OJ.c.object == kind,
                        OJ.c.object_id.in_(gone),
                    )
                    .order_by(OJ.c.object_id, OJ.c.change_set_id, OJ.c.number)
                )
                self._names[kind] |= {
                    row.object_id: row.name for row in self._connection.execute(former)
                }

    def name(self, kind: str, number: int) -> str:
        """Return what something is called, or was last."""
        return self._names[kind].get(number, f"{kind.replace('_', ' ')} {number}")

    def side(self, kind: str, told: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return one side of a person's row with names for ids."""
        if kind not in NAMED:
            return dict(told) or None
        return {
            what: [
                {"id": number, "name": self.name(NAMED[kind], number), "source": source}
                for number, source in pairs
            ]
            for what, pairs in told.items()
        } or None

    def object_shape(self, row: ObjectRow) -> dict[str, Any]:
        """Return an object's row with names for ids."""
        return {
            "object": row.object,
            "id": row.object_id,
            "name": row.name,
            "kind": row.kind,
            "before": self._snapshot(row.before),
            "after": self._snapshot(row.after),
        }

    def _snapshot(self, told: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if told is None:
            return None
        shown = dict(told)
        if "permission_sets" in shown:
            shown["permission_sets"] = [
                self.name("permission_set", number) for number in shown["permission_sets"]
            ]
        for key, kind in (("roles", "role"), ("parents", "group")):
            if key in shown:
                shown[key] = [
                    {"id": number, "name": self.name(kind, number), "source": source}
                    for number, source in shown[key]
                ]
        return shown
