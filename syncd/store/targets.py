"""Writing roles and groups themselves: new ones before the people, the rest behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, exists, func, insert, literal, or_, select, union, update

from syncd.store import schema
from syncd.store.hierarchy import settle_closure, settle_parents
from syncd.store.nesting import forget_strays, settle_ancestors
from syncd.store.ownership import stored_mappers
from syncd.store.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from syncd.store.sides import Side

PR, PGR = schema.plan_roles, schema.plan_groups
USERS, MANUAL = schema.users, "manual"
ROLES, GROUPS, GP = schema.roles, schema.groups, schema.group_parents
C, A, CT = schema.stage_containers, schema.stage_absent, schema.containers


def create_targets(connection: Connection, run_id: int, organization_id: str) -> None:
    """Create the roles and groups that a plan needs before anybody is given one."""
    organization, imported = literal(organization_id), literal("imported")
    there = exists().where(ROLES.c.id == PR.c.role_id)
    columns = ["id", "organization_id", "name", "name_key", "kind", "mapper", "description"]
    query = select(
        PR.c.role_id, organization, PR.c.name, PR.c.name_key, imported, PR.c.mapper, literal("")
    ).where(PR.c.run_id == run_id, PR.c.action == "create", ~there)
    connection.execute(insert(ROLES).from_select(columns, query))
    there = exists().where(GROUPS.c.id == PGR.c.group_id)
    columns += ["external_id", "attributes"]
    query_groups = select(
        PGR.c.group_id,
        organization,
        PGR.c.name,
        PGR.c.name_key,
        imported,
        PGR.c.mapper,
        PGR.c.description,
        PGR.c.external_id,
        PGR.c.attributes,
    ).where(PGR.c.run_id == run_id, PGR.c.action == "create", ~there)
    connection.execute(insert(GROUPS).from_select(columns, query_groups))


def settle_targets(connection: Connection, organization_id: str, run_id: int) -> None:
    """Bring names, attributes, parents and closures of roles and groups up to what was read.

    Behind the containers, so that what none of them stands for can go.
    """
    touched = sorted(
        connection.scalars(
            union(
                select(C.c.mapper).where(C.c.run_id == run_id),
                select(A.c.mapper).where(A.c.run_id == run_id, A.c.mapper.is_not(None)),
            )
        )
    )
    connection.execute(
        update(GROUPS)
        .where(GROUPS.c.id == PGR.c.group_id, PGR.c.run_id == run_id, PGR.c.action == "update")
        .values(
            name=PGR.c.name,
            name_key=PGR.c.name_key,
            description=PGR.c.description,
            attributes=PGR.c.attributes,
        )
    )
    forget_strays(connection, organization_id, touched)
    # All of them: of one that does not nest any more, or is not there any more, nothing is staged.
    settle_ancestors(connection, organization_id, run_id, touched)
    moved = settle_parents(connection, organization_id, run_id, touched)
    for side in SIDES:
        _delete(connection, run_id, side)
        _hand_over(connection, organization_id, touched, side)
    of_groups = select(PGR.c.run_id).where(PGR.c.run_id == run_id).limit(1)
    if moved or connection.execute(of_groups).first() is not None:
        settle_closure(connection, organization_id)


def _delete(connection: Connection, run_id: int, side: Side) -> None:
    """Delete what the plan lets go, unless somebody has been given it since."""
    table, held = side.planned_targets, side.held
    # What mappers gave people who are away has no container that would give it to them again.
    here = exists().where(USERS.c.id == held.c.user_id, USERS.c.living)
    given = exists().where(side.of(held) == side.of(table), or_(held.c.source == MANUAL, here))
    stands = exists().where(side.of(CT) == side.of(table))
    query = select(side.of(table)).where(
        table.c.run_id == run_id, table.c.action == "delete", ~given, ~stands
    )
    ids = list(connection.scalars(query))
    for target_id in ids:
        if side.kind == "group":
            either = or_(GP.c.parent_id == target_id, GP.c.group_id == target_id)
            connection.execute(delete(GP).where(either))
        connection.execute(delete(held).where(side.of(held) == target_id))
        connection.execute(delete(side.targets).where(side.targets.c.id == target_id))


def _hand_over(
    connection: Connection, organization_id: str, touched: Sequence[str], side: Side
) -> None:
    """Let what a mapper made that has no container any more belong to another that gives it.

    Else nobody could drop it once that one goes, too.
    """
    gone = sorted(set(touched) - stored_mappers(connection, organization_id))
    if not gone:
        return
    T = side.targets
    of_target = and_(CT.c.organization_id == organization_id, side.of(CT) == T.c.id)
    heir = select(func.min(CT.c.mapper)).where(of_target).scalar_subquery()
    connection.execute(
        update(T)
        .where(T.c.organization_id == organization_id, T.c.mapper.in_(gone), heir.is_not(None))
        .values(mapper=heir)
    )
