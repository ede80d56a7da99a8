"""Counting a plan, for the guard and the report; and what there is, to judge a share by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, func, select

from syncd.store import schema
from syncd.store.kinds import Kind
from syncd.store.sides import SIDES, Side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Select

P, U = schema.plan_people, schema.users

ACTIONS = ("create", "update", "delete")
NAMES = {
    Kind.CREATE: "create",
    Kind.UPDATE: "update",
    Kind.RENAME: "rename",
    Kind.EMAIL: "email_change",
    Kind.MOVE: "move",
    Kind.MISSING: "missing",
    Kind.RETURN: "return",
    Kind.DISABLE: "disable",
    Kind.ENABLE: "enable",
    Kind.DELETE: "delete",
    Kind.LOCK: "lock",
    Kind.UNLOCK: "unlock",
    Kind.ACCOUNT: "account",
    Kind.LINK: "link",
    Kind.LEAVE: "leave",
    Kind.REJOIN: "rejoin",
    Kind.REKEY: "rekey",
}


@dataclass(frozen=True, slots=True)
class PlanCounts:
    """How much of each kind a plan brings."""

    kinds: dict[str, int]
    # People who exist already and get at least one field, name, address or place changed.
    updated: int
    granted: int
    revoked: int
    # Of the grants, those to people who were there before the run.
    granted_to_known: int
    conflicts: int
    rows: int
    # Roles and groups themselves, by "create", "update" and "delete".
    roles: dict[str, int]
    groups: dict[str, int]
    # Of those whom the directory says disabled, people who were not there before the run.
    newcomers_disabled: int = 0

    @property
    def targets(self) -> int:
        """How many roles and groups come, change or go."""
        return sum(self.roles.values()) + sum(self.groups.values())

    @property
    def removed(self) -> int:
        """How many roles and groups go."""
        return self.roles["delete"] + self.groups["delete"]


def counts(connection: Connection, run_id: int, last: int | None = None) -> PlanCounts:
    """Count a plan, up to the row ``last`` or whole."""
    counted = P.c.run_id == run_id
    if last is not None:
        counted = and_(counted, P.c.number <= last)
    by_kind = dict.fromkeys(NAMES.values(), 0)
    updated = conflicts = rows = newcomers_disabled = 0
    changed = Kind.UPDATE | Kind.RENAME | Kind.EMAIL | Kind.MOVE
    query = select(P.c.kinds, P.c.state, func.count()).where(counted).group_by(P.c.kinds, P.c.state)
    for value, state, count in connection.execute(query):
        kinds = Kind(value)
        if state == "held":
            continue
        if state != "planned":
            conflicts += count
            continue
        rows += count
        for kind, name in NAMES.items():
            if kinds & kind:
                by_kind[name] += count
        if kinds & changed and not kinds & Kind.CREATE:
            updated += count
        if kinds & Kind.DISABLE and kinds & Kind.CREATE:
            newcomers_disabled += count
    granted, revoked, granted_to_known = _count_grants(connection, run_id, counted)
    roles, groups = (_count_targets(connection, run_id, side) for side in SIDES)
    return PlanCounts(
        by_kind,
        updated,
        granted,
        revoked,
        granted_to_known,
        conflicts,
        rows,
        roles=roles,
        groups=groups,
        newcomers_disabled=newcomers_disabled,
    )


def _count_grants(
    connection: Connection, run_id: int, counted: ColumnElement[bool]
) -> tuple[int, int, int]:
    granted = revoked = granted_to_known = 0
    known = (P.c.version > 0).label("known")
    for side in SIDES:
        planned = side.planned
        query = (
            select(planned.c.granted, known, func.count())
            .join(P, and_(P.c.run_id == planned.c.run_id, P.c.user_id == planned.c.user_id))
            .where(planned.c.run_id == run_id, counted, P.c.state == "planned")
            .group_by(planned.c.granted, known)
        )
        for is_grant, is_known, count in connection.execute(query):
            if is_grant:
                granted += count
                granted_to_known += count if is_known else 0
            else:
                revoked += count
    return granted, revoked, granted_to_known


def _count_targets(connection: Connection, run_id: int, side: Side) -> dict[str, int]:
    table = side.planned_targets
    query = (
        select(table.c.action, func.count())
        .where(table.c.run_id == run_id)
        .group_by(table.c.action)
    )
    found = dict.fromkeys(ACTIONS, 0)
    for action, count in connection.execute(query):
        # What is held back is not done.
        if action in found:
            found[action] = count
    PO = schema.plan_objects
    undone = (
        select(PO.c.action, func.count())
        .where(PO.c.run_id == run_id, PO.c.object == side.kind, PO.c.state != "left")
        .group_by(PO.c.action)
    )
    for action, count in connection.execute(undone):
        found[action] += count
    return found


def population(
    connection: Connection,
    organization_id: str,
    mappers: Sequence[str],
    most: int | None = None,
) -> tuple[int, int]:
    """Return how many living people and how many grants of these mappers there are.

    ``most`` says beyond how many of either nobody needs to know.
    """
    people = select(U.c.id).where(
        U.c.organization_id == organization_id, U.c.living, U.c.provider == "ldap"
    )
    held = [
        select(side.held.c.user_id).where(
            side.held.c.organization_id == organization_id,
            side.held.c.source.in_(mappers or ("",)),
        )
        for side in SIDES
    ]

    def count(query: Select[tuple[int]]) -> int:
        rows = query.limit(most).subquery()
        return int(connection.execute(select(func.count()).select_from(rows)).scalar_one())

    return count(people), sum(count(each) for each in held)


def everybody(connection: Connection, organization_id: str, most: int) -> tuple[int, int]:
    """Return how many living people and how many grants there are, of whatever source."""
    people = select(U.c.id).where(U.c.organization_id == organization_id, U.c.living)
    held = [
        select(side.held.c.user_id).where(side.held.c.organization_id == organization_id)
        for side in SIDES
    ]

    def count(query: Select[tuple[int]]) -> int:
        rows = query.limit(most).subquery()
        return int(connection.execute(select(func.count()).select_from(rows)).scalar_one())

    return count(people), sum(count(each) for each in held)


def shrinking_targets(
    connection: Connection, run_id: int, organization_id: str
) -> list[tuple[str, int, int]]:
    """Return (role or group, members that would go, members now) of each that loses somebody."""
    found: list[tuple[str, int, int]] = []
    for side in SIDES:
        planned, held, targets = side.planned, side.held, side.targets
        going = (
            select(side.of(planned).label("target_id"), func.count().label("going"))
            .where(planned.c.run_id == run_id, ~planned.c.granted)
            .group_by(side.of(planned))
            .subquery()
        )
        now = (
            select(
                side.of(held).label("target_id"), func.count(held.c.user_id.distinct()).label("now")
            )
            .where(
                held.c.organization_id == organization_id,
                side.of(held).in_(select(going.c.target_id)),
            )
            .group_by(side.of(held))
            .subquery()
        )
        query = (
            select(targets.c.name, going.c.going, now.c.now)
            .join(going, going.c.target_id == targets.c.id)
            .join(now, now.c.target_id == targets.c.id)
            .order_by(targets.c.name)
        )
        found += [
            (f"the {side.kind} {name}", gone, there)
            for name, gone, there in connection.execute(query)
        ]
    return found
