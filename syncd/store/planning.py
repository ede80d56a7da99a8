"""The set-based comparison of stage and store that yields the plan of a run.

Every statement is one Core expression for both databases. The order matters and is the order of the
functions called by ``make_plan``: names first, because an entry that may not have its name leaves
the plan; then people; then roles; then who holds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from syncd.store import schema
from syncd.store.plan_grants import plan_grants, plan_roles
from syncd.store.plan_names import settle_names
from syncd.store.plan_people import plan_absent, plan_people
from syncd.store.plan_scope import (
    WITHHELD,
    NameConflict,
    PlanScope,
    mark,
)

if TYPE_CHECKING:
    from syncd.store.database import Database

S, K, R = schema.stage_users, schema.stage_keys, schema.stage_refs
C, A, M = schema.stage_containers, schema.stage_absent, schema.stage_marks
P, PG, PK = schema.plan_people, schema.plan_grants, schema.plan_keys

__all__ = [
    "WITHHELD",
    "NameConflict",
    "PlanScope",
    "make_plan",
    "mark",
]


def make_plan(database: Database, scope: PlanScope) -> list[NameConflict]:
    """Fill the plan tables from the stage; return those whose names kept them out."""
    with database.read() as connection:
        if scope.purge_before is None and not any(
            connection.execute(
                select(table.c.run_id).where(table.c.run_id == scope.run_id).limit(1)
            ).first()
            for table in (S, C, A)
        ):
            return []
    with database.write() as connection:
        database.give_room(connection)
        database.analyze(connection, S, K, R, C, A, M)
        conflicts = settle_names(connection, scope)
        plan_people(connection, scope)
        plan_absent(connection, scope)
        plan_roles(connection, scope)
        plan_grants(database, connection, scope)
        database.analyze(connection, P, PG, PK)
    return conflicts
