"""Who should hold what: the queries over stage and store that tell it, for roles and for groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, exists, func, or_, select

from syncd.store import schema

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Join, Select

    from syncd.store.plan_scope import PlanScope
    from syncd.store.sides import Side

S, K, R = schema.stage_users, schema.stage_keys, schema.stage_refs
C, A, SA = schema.stage_containers, schema.stage_absent, schema.stage_ancestors
CT, IK, ST = schema.containers, schema.identity_keys, schema.stage_targets


def affected_targets(scope: PlanScope) -> Select[tuple[int]]:
    """Return the roles and groups that a run bears on."""
    return select(ST.c.target_id).where(ST.c.run_id == scope.run_id)


def wanted_of(
    scope: PlanScope, side: Side, *, affected: bool
) -> list[Select[tuple[int, int, str]]]:
    """Return queries that yield (person, target, mapper) as the directory wants it."""
    wanted: list[Select[tuple[int, int, str]]] = []
    nested = scope.shapes.nested & set(scope.mappers)
    for each in _branches(scope, side, affected=affected):
        rows = each.subquery()
        user_id, target, mapper, key = rows.c
        wanted.append(select(user_id, target, mapper).where(target != 0))
        if nested:
            wanted.append(
                select(user_id, SA.c.target_id, mapper).join(
                    SA,
                    and_(
                        SA.c.run_id == scope.run_id,
                        SA.c.mapper == mapper,
                        SA.c.container_key == key,
                    ),
                )
            )
    if nested and affected:
        wanted.append(_from_below(scope))
    return wanted


def _branches(
    scope: PlanScope, side: Side, *, affected: bool
) -> list[Select[tuple[int, int, str, bytes]]]:
    """Return queries that yield (person, target, mapper, container) by what containers say.

    Together they cover everything that this run bears on: people of the stage, changed containers,
    and, when there is something ``affected``, whatever else gives that.
    """
    MR = schema.membership_refs
    run, organization = scope.run_id, scope.organization_id
    here = C.c.mapper.in_(scope.mappers)
    stored_here = CT.c.mapper.in_(scope.mappers)
    unread = ~_read_again(scope)
    numbered_container = and_(C.c.run_id == run, C.c.number == R.c.number, here)
    staged_container = and_(
        C.c.run_id == run, C.c.mapper == R.c.mapper, C.c.container_key == R.c.container_key, here
    )
    stored_container = and_(
        CT.c.organization_id == organization,
        CT.c.mapper == R.c.mapper,
        CT.c.container_key == R.c.container_key,
        stored_here,
        unread,
    )
    named = and_(K.c.run_id == run, K.c.kind == R.c.kind, K.c.key == R.c.member_key)
    stored_name = and_(
        IK.c.organization_id == organization, IK.c.kind == R.c.kind, IK.c.key == R.c.member_key
    )
    stored_target = func.coalesce(side.of(CT), 0)
    branches = [
        # Changed containers name people of the stage …
        select(K.c.user_id, C.c.target_id, C.c.mapper, C.c.container_key)
        .select_from(R)
        .join(C, numbered_container)
        .join(K, named)
        .where(R.c.run_id == run),
        # … and people whose entry did not change.
        select(IK.c.user_id, C.c.target_id, C.c.mapper, C.c.container_key)
        .select_from(R)
        .join(C, numbered_container)
        .join(IK, stored_name)
        .where(
            R.c.run_id == run,
            ~_staged(scope, IK.c.user_id),
            ~is_gone(scope, IK.c.user_id),
        ),
        # Unchanged containers name people of the stage.
        select(K.c.user_id, stored_target, CT.c.mapper, CT.c.container_key)
        .select_from(K)
        .join(
            MR,
            and_(
                MR.c.organization_id == organization,
                MR.c.member_key == K.c.key,
                MR.c.kind == K.c.kind,
            ),
        )
        .join(
            CT,
            and_(
                CT.c.organization_id == organization,
                CT.c.mapper == MR.c.mapper,
                CT.c.container_key == MR.c.container_key,
            ),
        )
        .where(K.c.run_id == run, stored_here, unread),
        # People of the stage name their containers themselves: changed ones and unchanged ones.
        select(R.c.user_id, C.c.target_id, C.c.mapper, C.c.container_key)
        .select_from(R)
        .join(C, staged_container)
        .where(R.c.run_id == run, R.c.number == 0),
        select(R.c.user_id, stored_target, CT.c.mapper, CT.c.container_key)
        .select_from(R)
        .join(CT, stored_container)
        .where(R.c.run_id == run, R.c.number == 0),
    ]
    of_containers = [
        # Unchanged people name a changed container.
        select(MR.c.user_id, C.c.target_id, C.c.mapper, C.c.container_key)
        .select_from(C)
        .join(
            MR,
            and_(
                MR.c.organization_id == organization,
                MR.c.mapper == C.c.mapper,
                MR.c.container_key == C.c.container_key,
            ),
        )
        .where(
            C.c.run_id == run,
            here,
            MR.c.kind == "of",
            MR.c.user_id.is_not(None),
            ~_staged(scope, MR.c.user_id),
            ~is_gone(scope, MR.c.user_id),
        ),
        # Other, unchanged containers of what this run bears on, and their unchanged people.
        _unchanged_members(
            scope, ST.outerjoin(CT, and_(_unread(scope), side.of(CT) == ST.c.target_id))
        ).add_columns(stored_target, CT.c.mapper, CT.c.container_key),
    ]
    return [*branches, *(of_containers if affected else ())]


def _from_below(scope: PlanScope) -> Select[tuple[int, int, str]]:
    """Return the unchanged people of unchanged containers below what this run bears on."""
    below = and_(SA.c.run_id == scope.run_id, SA.c.target_id == ST.c.target_id)
    container = and_(
        _unread(scope), CT.c.mapper == SA.c.mapper, CT.c.container_key == SA.c.container_key
    )
    tables = ST.outerjoin(SA, below).outerjoin(CT, container)
    return _unchanged_members(scope, tables).add_columns(SA.c.target_id, CT.c.mapper)


def _unchanged_members(scope: PlanScope, containers: Join) -> Select[tuple[int]]:
    """Return the unchanged people of ``containers``, which are a join that begins with the targets.

    By their keys, because one key may mean several people and a reference names but one. With outer
    joins, although nothing is wanted of what has no partner, because SQLite keeps their order: the
    targets of a run may be few, and the organization's people and references are not.
    """
    MR, organization = schema.membership_refs, scope.organization_id
    named = and_(
        MR.c.organization_id == organization,
        MR.c.mapper == CT.c.mapper,
        MR.c.container_key == CT.c.container_key,
    )
    known = and_(
        IK.c.organization_id == organization, IK.c.kind == MR.c.kind, IK.c.key == MR.c.member_key
    )
    return (
        select(IK.c.user_id)
        .select_from(containers.outerjoin(MR, named).outerjoin(IK, known))
        .where(
            ST.c.run_id == scope.run_id,
            IK.c.user_id.is_not(None),
            ~_staged(scope, IK.c.user_id),
            ~is_gone(scope, IK.c.user_id),
        )
    )


def _unread(scope: PlanScope) -> ColumnElement[bool]:
    """Tell the stored containers of which this run has no newer word."""
    return and_(
        CT.c.organization_id == scope.organization_id,
        CT.c.mapper.in_(scope.mappers),
        ~_read_again(scope),
    )


def _read_again(scope: PlanScope) -> ColumnElement[bool]:
    """Tell the stored containers of which this run has a newer word: changed, or gone."""
    restaged = exists().where(
        C.c.run_id == scope.run_id,
        C.c.mapper == CT.c.mapper,
        C.c.container_key == CT.c.container_key,
    )
    vanished = exists().where(
        A.c.run_id == scope.run_id,
        A.c.mapper == CT.c.mapper,
        A.c.container_key == CT.c.container_key,
    )
    return or_(restaged, vanished)


def _staged(scope: PlanScope, user_id: ColumnElement[int]) -> ColumnElement[bool]:
    return exists().where(S.c.run_id == scope.run_id, S.c.user_id == user_id)


def is_gone(scope: PlanScope, user_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Tell the people whom a run takes for absent."""
    return exists().where(A.c.run_id == scope.run_id, A.c.user_id == user_id)
