"""Writing roles and groups themselves: new ones before the people, the rest behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    update,
)

from syncd.records import batched
from syncd.store import runs, schema
from syncd.store.hierarchy import (
    parent_changes,
    settle_closure,
    settle_parents,
    touched_mappers,
)
from syncd.store.losing import journal_lost
from syncd.store.nesting import forget_strays, settle_ancestors
from syncd.store.ownership import stored_mappers
from syncd.store.sides import MANUAL, SIDES
from syncd.store.snapshots import ObjectJournal
from syncd.store.staging import allocate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from syncd.store.sides import Side

PR, PGR = schema.plan_roles, schema.plan_groups
USERS = schema.users
ROLES, GROUPS, GP = schema.roles, schema.groups, schema.group_parents
GR, RPS, ORG = schema.group_roles, schema.role_permission_sets, schema.organizations
CT = schema.containers
IN_LIST = 500

# What people lose, by person: the role or group, and by whom they had it.
Lost = dict[int, list[tuple[int, str]]]


def any_planned(connection: Connection, run_id: int, *actions: str) -> bool:
    """Tell whether a plan changes roles or groups themselves, in one of these ways or in any."""
    return any(
        connection.execute(
            select(table.c.run_id)
            .where(table.c.run_id == run_id, table.c.action.in_(actions) if actions else true())
            .limit(1)
        ).first()
        is not None
        for table in (PR, PGR)
    )


def create_targets(
    connection: Connection,
    run_id: int,
    organization_id: str,
    *,
    change_set_id: int,
    commit_id: int | None,
) -> None:
    """Create the roles and groups that a plan needs before anybody is given one."""
    if not any_planned(connection, run_id, "create"):
        return
    roles, groups = (
        set(
            connection.scalars(
                select(side.of(side.planned_targets)).where(
                    side.planned_targets.c.run_id == run_id,
                    side.planned_targets.c.action == "create",
                )
            )
        )
        for side in SIDES
    )
    journal = ObjectJournal(connection, roles=roles, groups=groups)
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
    journal.write(organization_id, lambda: change_set_id, commit_id)


def settle_targets(
    connection: Connection, organization_id: str, run_id: int, *, commit_id: int | None
) -> None:
    """Bring names, attributes, parents and closures of roles and groups up to what was read.

    Behind the containers, so that what none of them stands for can go. What changes is journaled
    under ``commit_id``, or one of its own where nobody expected a change.
    """
    touched = touched_mappers(connection, run_id)
    # As changes by hand take it: groups are moved by one at a time.
    connection.execute(select(ORG.c.id).where(ORG.c.id == organization_id).with_for_update())
    parents = parent_changes(connection, organization_id, run_id, touched)
    moved = {child for several in parents.values() for edges in several for _, child in edges}
    journal = _journal_of(connection, run_id, moved)
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
    settle_parents(connection, organization_id, parents)
    for side in SIDES:
        if lost := _delete(connection, run_id, side):
            commit_id = commit_id or allocate(connection, "commits", 1)
            under = _change_set(connection, organization_id, run_id)
            journal_lost(
                connection,
                organization_id,
                change_set_id=under,
                commit_id=commit_id,
                side=side,
                lost=lost,
            )
        _hand_over(connection, organization_id, touched, side)
    of_groups = select(PGR.c.run_id).where(PGR.c.run_id == run_id).limit(1)
    if parents or connection.execute(of_groups).first() is not None:
        settle_closure(connection, organization_id)
    journal.write(
        organization_id, lambda: _change_set(connection, organization_id, run_id), commit_id
    )


def _journal_of(connection: Connection, run_id: int, moved: set[int]) -> ObjectJournal:
    """Return the journal of what a run may change behind the people: all of it as it is now."""
    roles = set(
        connection.scalars(
            select(PR.c.role_id).where(PR.c.run_id == run_id, PR.c.action == "delete")
        )
    )
    groups = dict(
        iter(connection.execute(select(PGR.c.group_id, PGR.c.action).where(PGR.c.run_id == run_id)))
    )
    # A group that goes leaves children behind, whoever made them its children.
    going = [group_id for group_id, action in groups.items() if action == "delete"]
    for part in batched(going, IN_LIST):
        moved |= set(connection.scalars(select(GP.c.group_id).where(GP.c.parent_id.in_(part))))
    return ObjectJournal(connection, roles=roles, groups=groups.keys() | moved)


def _change_set(connection: Connection, organization_id: str, run_id: int) -> int:
    """Return the change set of a run; of one that had none so far, a new one."""
    table = schema.runs
    found = connection.scalar(select(table.c.change_set_id).where(table.c.id == run_id))
    if found is None:
        found = runs.begin_change_set(connection, organization_id, run_id, "sync", None)
        runs.set_status(connection, run_id, "running", change_set_id=found)
    return int(found)


def _delete(connection: Connection, run_id: int, side: Side) -> Lost:
    """Delete what the plan lets go, unless somebody has been given it since.

    Return what people who are away lose by it.
    """
    table, held = side.planned_targets, side.held
    # What mappers gave people who are away has no container that would give it to them again.
    here = exists().where(USERS.c.id == held.c.user_id, USERS.c.living)
    given = exists().where(side.of(held) == side.of(table), or_(held.c.source == MANUAL, here))
    stands = exists().where(side.of(CT) == side.of(table))
    query = select(side.of(table)).where(
        table.c.run_id == run_id, table.c.action == "delete", ~given, ~stands
    )
    if side.kind == "role":
        query = query.where(~exists().where(GR.c.role_id == table.c.role_id))
    ids = list(connection.scalars(query))
    lost: Lost = {}
    for target_id in ids:
        of_target = select(held.c.user_id, held.c.source).where(side.of(held) == target_id)
        for user_id, source in connection.execute(of_target):
            lost.setdefault(user_id, []).append((target_id, source))
        if side.kind == "group":
            either = or_(GP.c.parent_id == target_id, GP.c.group_id == target_id)
            connection.execute(delete(GP).where(either))
            connection.execute(delete(GR).where(GR.c.group_id == target_id))
        else:
            connection.execute(delete(RPS).where(RPS.c.role_id == target_id))
        connection.execute(delete(held).where(side.of(held) == target_id))
        connection.execute(delete(side.targets).where(side.targets.c.id == target_id))
    return lost


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
