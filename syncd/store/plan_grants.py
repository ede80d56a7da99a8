"""Who should hold which role and be in which group, where a run bears on it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import (
    and_,
    exists,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    union,
    union_all,
)

from syncd.store import schema
from syncd.store.desired import affected_targets, is_gone, wanted_of
from syncd.store.kinds import Kind
from syncd.store.plan_scope import WITHHELD, PlanScope, next_number
from syncd.store.sides import SIDES, Side

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select, Subquery

    from syncd.store.database import Database

S, K, R = schema.stage_users, schema.stage_keys, schema.stage_refs
C, A, M = schema.stage_containers, schema.stage_absent, schema.stage_marks
D, U, I = schema.stage_desired, schema.users, schema.identities
IK, ST, P = schema.identity_keys, schema.stage_targets, schema.plan_people
CT, CA, SA = schema.containers, schema.container_ancestors, schema.stage_ancestors


def plan_grants(database: Database, connection: Connection, scope: PlanScope) -> None:
    """Work out who should hold what, where anything bears on it, and plan the difference."""
    if not scope.mappers:
        return
    affected = _stage_targets(connection, scope)
    # SQLite takes what it never looked at for ten rows, and would begin with everybody's keys.
    database.analyze(connection, ST, SA, *((IK, CT) if database.dialect == "sqlite" else ()))
    for side in SIDES:
        bringing = scope.of(side.kind)
        former = _retyped(connection, scope, side, bringing)
        mappers = (*bringing, *former)
        if mappers:
            own = replace(
                scope,
                mappers=mappers,
                revoking=tuple(name for name in scope.revoking if name in mappers),
                shapes=replace(scope.shapes, removed=scope.shapes.removed | {*former}),
            )
            _plan_side(database, connection, own, side, bringing, affected=affected)
    _number_the_rest(connection, scope)


def _retyped(
    connection: Connection, scope: PlanScope, side: Side, bringing: tuple[str, ...]
) -> list[str]:
    """Return the mappers that brought roles before and bring groups now, or the reverse.

    What they gave then they do not give any more.
    """
    others = [name for name in scope.mappers if name not in bringing]
    stood = CT.c.role_id != 0 if side.kind == "role" else CT.c.group_id.is_not(None)
    queries = [
        select(CT.c.mapper)
        .join(
            table,
            and_(table.c.mapper == CT.c.mapper, table.c.container_key == CT.c.container_key),
        )
        .where(
            table.c.run_id == scope.run_id,
            CT.c.organization_id == scope.organization_id,
            CT.c.mapper.in_(others),
            stood,
        )
        for table in (C, A)
    ]
    return sorted(connection.scalars(union(*queries))) if others else []


def _plan_side(
    database: Database,
    connection: Connection,
    scope: PlanScope,
    side: Side,
    bringing: tuple[str, ...],
    *,
    affected: bool,
) -> None:
    """Plan one side: what ``bringing`` mappers give of it, and what those of the scope gave."""
    held, planned = side.held, side.planned
    columns = ["run_id", "user_id", side.column, "mapper", "granted"]
    owned = and_(held.c.organization_id == scope.organization_id, held.c.source.in_(scope.mappers))
    wanted = wanted_of(replace(scope, mappers=bringing), side, affected=affected)
    if connection.execute(select(held.c.user_id).where(owned).limit(1)).first() is None:
        # Nobody holds anything yet: what is wanted is the difference.
        every = union_all(*wanted).subquery()
        query = select(
            literal(scope.run_id), every.c[0], every.c[1], every.c[2], literal(True)
        ).distinct()
        connection.execute(insert(planned).from_select(columns, query))
        return
    for each in wanted:
        rows = each.subquery()
        connection.execute(
            insert(D).from_select(
                ["run_id", "user_id", "target_id", "mapper"],
                select(literal(scope.run_id), rows.c[0], rows.c[1], rows.c[2]),
            )
        )
    database.analyze(connection, D)
    there = exists().where(
        held.c.user_id == D.c.user_id,
        side.of(held) == D.c.target_id,
        held.c.source == D.c.mapper,
    )
    connection.execute(
        insert(planned).from_select(
            columns,
            select(D.c.run_id, D.c.user_id, D.c.target_id, D.c.mapper, literal(True))
            .where(D.c.run_id == scope.run_id, D.c.mapper.in_(bringing), ~there)
            .distinct(),
        )
    )
    if scope.revoking:
        connection.execute(insert(planned).from_select(columns, _revocations(scope, side)))
    _mark_withheld(connection, scope, side)


def _revocations(scope: PlanScope, side: Side) -> Select[tuple[int, int, int, str, bool]]:
    held = _held(scope, side)
    return select(
        literal(scope.run_id),
        held.c.user_id,
        held.c.target_id,
        held.c.source,
        literal(False),
    ).where(
        _undesired(scope, held),
        held.c.source.in_(scope.revoking),
        or_(_is_removed(scope, held.c.source), ~_protected(scope, held.c.user_id)),
    )


def _is_removed(scope: PlanScope, source: ColumnElement[str]) -> ColumnElement[bool]:
    """Tell what nobody gives any more: of it no later run would know, whoever is away today."""
    return source.in_(scope.shapes.removed) if scope.shapes.removed else false()


def _mark_withheld(connection: Connection, scope: PlanScope, side: Side) -> None:
    """Mark those who keep something for now although the directory does not give it to them."""
    guarded = select(M.c.user_id).where(M.c.run_id == scope.run_id, M.c.mark == "protected")
    if set(scope.mappers) <= set(scope.revoking) and not connection.scalar(guarded.limit(1)):
        return
    held = _held(scope, side)
    marked = exists().where(
        M.c.run_id == scope.run_id, M.c.user_id == held.c.user_id, M.c.mark == WITHHELD
    )
    query = (
        select(literal(scope.run_id), held.c.user_id, literal(WITHHELD))
        .where(
            _undesired(scope, held),
            or_(held.c.source.not_in(scope.revoking), _protected(scope, held.c.user_id)),
            ~marked,
        )
        .distinct()
    )
    connection.execute(insert(M).from_select(["run_id", "user_id", "mark"], query))


def _held(scope: PlanScope, side: Side) -> Subquery:
    """Return what is held of what this run bears on: by its people and by its targets.

    Two selects and not one with OR, for which a database would look at everybody's.
    """
    H = side.held
    target = side.of(H).label("target_id")
    owned = and_(H.c.organization_id == scope.organization_id, H.c.source.in_(scope.mappers))
    # Somebody who comes back is of the stage and not living yet.
    of_people = (
        select(H.c.user_id, target, H.c.source)
        .join(S, S.c.user_id == H.c.user_id)
        .where(S.c.run_id == scope.run_id, owned)
    )
    of_targets = (
        select(H.c.user_id, target, H.c.source)
        .join(ST, ST.c.target_id == side.of(H))
        .join(U, U.c.id == H.c.user_id)
        .where(ST.c.run_id == scope.run_id, owned, or_(U.c.living, _is_removed(scope, H.c.source)))
    )
    return union(of_people, of_targets).subquery("held")


def _undesired(scope: PlanScope, held: Subquery) -> ColumnElement[bool]:
    """Return what tells the grants that the directory does not give, of all that this run saw."""
    desired = exists().where(
        D.c.run_id == scope.run_id,
        D.c.user_id == held.c.user_id,
        D.c.target_id == held.c.target_id,
        D.c.mapper == held.c.source,
    )
    # A container whose members were not read whole takes nothing away, nor do those that it is in.
    torn = exists().where(
        C.c.run_id == scope.run_id,
        C.c.mapper == held.c.source,
        C.c.target_id == held.c.target_id,
        ~C.c.whole,
    )
    away = and_(is_gone(scope, held.c.user_id), ~_is_removed(scope, held.c.source))
    kept = and_(~desired, ~away, ~torn)
    if not scope.shapes.nested.isdisjoint(scope.mappers):
        torn_below = exists().where(
            SA.c.run_id == scope.run_id,
            SA.c.mapper == held.c.source,
            SA.c.target_id == held.c.target_id,
            C.c.run_id == scope.run_id,
            C.c.mapper == SA.c.mapper,
            C.c.container_key == SA.c.container_key,
            ~C.c.whole,
        )
        kept = and_(kept, ~torn_below)
    return kept


def _protected(scope: PlanScope, user_id: ColumnElement[int]) -> ColumnElement[bool]:
    return exists().where(
        M.c.run_id == scope.run_id, M.c.user_id == user_id, M.c.mark == "protected"
    )


def _stage_targets(connection: Connection, scope: PlanScope) -> bool:
    """Collect the roles and groups that this run bears on; tell whether there are any."""
    organization = CT.c.organization_id == scope.organization_id
    restaged = and_(
        C.c.run_id == scope.run_id,
        CT.c.mapper == C.c.mapper,
        CT.c.container_key == C.c.container_key,
    )
    vanished = and_(
        A.c.run_id == scope.run_id,
        A.c.mapper == CT.c.mapper,
        A.c.container_key == CT.c.container_key,
    )
    parts = [select(C.c.target_id).where(C.c.run_id == scope.run_id)]
    for target in (CT.c.role_id, CT.c.group_id):
        parts += [
            select(target).join(C, restaged).where(organization),
            select(target).join(A, vanished).where(organization),
        ]
    if scope.shapes.nested:
        parts += _targets_above(scope)
    every = union_all(*parts).subquery()
    connection.execute(
        insert(ST).from_select(
            ["run_id", "target_id"],
            select(literal(scope.run_id), every.c[0])
            .where(every.c[0].is_not(None), every.c[0] != 0)
            .distinct(),
        )
    )
    # Not by the insert's row count, which is -1 on PostgreSQL.
    return connection.execute(affected_targets(scope).limit(1)).first() is not None


def _targets_above(scope: PlanScope) -> list[Select[tuple[int]]]:
    """Return what stands above changed and vanished containers, now and before this run."""
    now = (
        select(SA.c.target_id)
        .join(C, and_(C.c.mapper == SA.c.mapper, C.c.container_key == SA.c.container_key))
        .where(SA.c.run_id == scope.run_id, C.c.run_id == scope.run_id)
    )
    above = and_(
        CT.c.organization_id == CA.c.organization_id,
        CT.c.mapper == CA.c.mapper,
        CT.c.container_key == CA.c.ancestor_key,
    )
    found = [now]
    for target in (CT.c.role_id, CT.c.group_id):
        for table in (C, A):
            below = and_(
                table.c.run_id == scope.run_id,
                table.c.mapper == CA.c.mapper,
                table.c.container_key == CA.c.container_key,
            )
            found.append(
                select(target)
                .select_from(CA)
                .join(table, below)
                .join(CT, above)
                .where(CA.c.organization_id == scope.organization_id)
            )
    return found


def _number_the_rest(connection: Connection, scope: PlanScope) -> None:
    """Give those of whom only roles change their place in the plan."""
    base = next_number(connection, scope)
    planned = exists().where(P.c.run_id == scope.run_id, P.c.user_id == U.c.id)
    ids = union(
        *(
            select(side.planned.c.user_id).where(side.planned.c.run_id == scope.run_id)
            for side in SIDES
        )
    )
    connection.execute(
        insert(P).from_select(
            ["run_id", "number", "user_id", "external_id", "kinds", "version", "username", "email"],
            select(
                literal(scope.run_id),
                base + func.row_number().over(order_by=U.c.id),
                U.c.id,
                I.c.external_id,
                literal(int(Kind.GRANTS)),
                U.c.version,
                U.c.username,
                U.c.email,
            )
            .outerjoin(I, and_(I.c.user_id == U.c.id, I.c.source == scope.source))
            .where(U.c.id.in_(ids), ~planned),
        )
    )
