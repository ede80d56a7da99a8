"""The set-based comparison of stage and store that yields the plan of a run.

Every statement is one Core expression for both databases. The order matters and is the order of the
functions called by ``make_plan``: names first, because an entry that may not have its name leaves
the plan; then people; then roles and groups; then who holds them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from syncd.store import schema
from syncd.store.leases import clock
from syncd.store.linking import link_people, plan_lifts
from syncd.store.nesting import plan_nesting
from syncd.store.plan_accounts import any_due, plan_due
from syncd.store.plan_grants import plan_grants
from syncd.store.plan_names import settle_names
from syncd.store.plan_people import plan_absent, plan_people
from syncd.store.plan_scope import (
    WITHHELD,
    NameConflict,
    PlanScope,
    mark,
)
from syncd.store.plan_targets import plan_targets
from syncd.store.sides import SIDES

if TYPE_CHECKING:
    from syncd.records import Remark
    from syncd.store.database import Database

S, K, R = schema.stage_users, schema.stage_keys, schema.stage_refs
C, A, M = schema.stage_containers, schema.stage_absent, schema.stage_marks
P, PK = schema.plan_people, schema.plan_keys

__all__ = [
    "WITHHELD",
    "NameConflict",
    "PlanScope",
    "Planned",
    "make_plan",
    "mark",
]


class Planned(NamedTuple):
    """What making a plan found beside its rows."""

    # Those whose names kept them out.
    conflicts: list[NameConflict]
    remarks: list[Remark]


def make_plan(database: Database, scope: PlanScope) -> Planned:
    """Fill the plan tables from the stage."""
    with database.read() as connection:
        now = clock(connection)
        if (
            scope.purge_before is None
            and not any(
                connection.execute(
                    select(table.c.run_id).where(table.c.run_id == scope.run_id).limit(1)
                ).first()
                for table in (S, C, A)
            )
            and not any_due(connection, scope, now)
        ):
            return Planned([], [])
    with database.write() as connection:
        database.give_room(connection)
        database.analyze(connection, S, K, R, C, A, M)
        linked = link_people(connection, scope)
        conflicts = settle_names(connection, scope)
        plan_people(connection, scope, now)
        if linked:
            plan_lifts(connection, scope)
        plan_absent(connection, scope)
        plan_due(connection, scope, now)
        remarks = plan_targets(connection, scope)
        remarks += plan_nesting(connection, scope)
        # Of a nest without a bottom nobody knows who is in it.
        deep = {remark.mapper for remark in remarks if remark.kind == "too_deep"}
        if deep:
            sure = tuple(name for name in scope.revoking if name not in deep)
            scope = replace(scope, revoking=sure)
        plan_grants(database, connection, scope)
        database.analyze(connection, P, PK, *(side.planned for side in SIDES))
    return Planned(conflicts, remarks)
