"""The two things that membership in the directory gives: roles and groups.

Both are planned and applied by the same statements; a ``Side`` says on which tables. Ids come from
one allocator, so that no role has the id of a group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncd.store import schema

if TYPE_CHECKING:
    from sqlalchemy import Column, Table

ALLOCATOR = "roles"
# The source of what was given by hand; every other one is a mapper.
MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Side:
    """Where one of the two is kept."""

    # Of containers: "role" or "group".
    kind: str
    # What the report and the contract call the field of a person.
    field: str
    targets: Table
    held: Table
    planned: Table
    # Changes to the roles or groups themselves.
    planned_targets: Table
    # The name of the column that refers to a target.
    column: str
    journal_kind: str

    def of(self, table: Table) -> Column[int]:
        """Return the column of a table that refers to a target."""
        found: Column[int] = table.c[self.column]
        return found


ROLES = Side(
    kind="role",
    field="roles",
    targets=schema.roles,
    held=schema.grants,
    planned=schema.plan_grants,
    planned_targets=schema.plan_roles,
    column="role_id",
    journal_kind="grants",
)
GROUPS = Side(
    kind="group",
    field="groups",
    targets=schema.groups,
    held=schema.group_members,
    planned=schema.plan_members,
    planned_targets=schema.plan_groups,
    column="group_id",
    journal_kind="memberships",
)
SIDES = (ROLES, GROUPS)
