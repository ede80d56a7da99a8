"""What a plan is made for, and the words that its parts share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select

from syncd.records import Shapes
from syncd.store import schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

M, P = schema.stage_marks, schema.plan_people

ACCOUNT_STATE = "account-state"
DIRECTORY = "directory"
MISSING = "missing"
# A mark: something was left as it was that the directory has otherwise.
WITHHELD = "withheld"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanScope:
    """What a plan is made for, and how far its evidence goes."""

    run_id: int
    organization_id: str
    source: str
    # Mappers whose containers were listed in this run, and those whose listing may take roles away.
    mappers: tuple[str, ...]
    revoking: tuple[str, ...]
    # Purge people who have been missing since before this; None purges nobody.
    purge_before: datetime | None
    shapes: Shapes = field(default_factory=Shapes)
    # Whether the stage may say something of accounts.
    accounts: bool = True

    def of(self, kind: str) -> tuple[str, ...]:
        """Return the mappers of the run that bring roles, or those that bring groups.

        What one brought that is not configured any more nobody says: it may be either.
        """
        groups, removed = self.shapes.groups, self.shapes.removed
        grouping = kind == "group"
        return tuple(
            name for name in self.mappers if name in removed or (name in groups) == grouping
        )


@dataclass(frozen=True, slots=True)
class NameConflict:
    """A staged person who may not have his username, and left the plan for it."""

    user_id: int
    known: bool
    external_id: str
    dn: str
    username: str
    username_key: str
    reason: str


def mark(connection: Connection, run_id: int, ids: Sequence[int], name: str) -> None:
    """Mark people of this run; marking twice is marking once."""
    if not ids:
        return
    # All of them: they are few, and ids listed in a statement would be looked through for each.
    there = set(
        connection.scalars(select(M.c.user_id).where(M.c.run_id == run_id, M.c.mark == name))
    )
    rows = [
        {"run_id": run_id, "user_id": user_id, "mark": name} for user_id in sorted(set(ids) - there)
    ]
    if rows:
        connection.execute(insert(M), rows)


def next_number(connection: Connection, scope: PlanScope) -> int:
    """Return the number of a plan's last row so far."""
    query = select(func.coalesce(func.max(P.c.number), 0)).where(P.c.run_id == scope.run_id)
    return int(connection.execute(query).scalar_one())
