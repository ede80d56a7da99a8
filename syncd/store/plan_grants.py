"""Which roles there have to be, and who should hold them, where a run bears on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    and_,
    case,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    union,
    union_all,
    update,
)

from syncd.store import schema
from syncd.store.kinds import Kind
from syncd.store.plan_scope import (
    WITHHELD,
    PlanScope,
    next_number,
)
from syncd.store.staging import allocate

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select, Subquery

    from syncd.store.database import Database

S, K, R = schema.stage_users, schema.stage_keys, schema.stage_refs
C, A, M = schema.stage_containers, schema.stage_absent, schema.stage_marks
D, U, I = schema.stage_desired, schema.users, schema.identities
IK, SR, P = schema.identity_keys, schema.stage_roles, schema.plan_people
PG = schema.plan_grants


def plan_roles(connection: Connection, scope: PlanScope) -> None:
    """Find the role of each staged container; plan those that do not exist yet."""
    roles = schema.roles
    names = connection.execute(
        select(C.c.role_key, func.min(C.c.role_name), func.min(C.c.mapper))
        .where(C.c.run_id == scope.run_id)
        .group_by(C.c.role_key)
        .order_by(C.c.role_key)
    ).all()
    if not names:
        return
    known = {
        name_key: role_id
        for role_id, name_key in connection.execute(
            select(roles.c.id, roles.c.name_key).where(
                or_(
                    roles.c.organization_id == scope.organization_id,
                    roles.c.organization_id.is_(None),
                )
            )
        )
    }
    new = [row for row in names if row[0] not in known]
    if new:
        first = allocate(connection, "roles", len(new))
        planned = [
            {
                "run_id": scope.run_id,
                "role_id": first + offset,
                "action": "create",
                "name": name,
                "name_key": name_key,
                "mapper": mapper,
            }
            for offset, (name_key, name, mapper) in enumerate(new)
        ]
        connection.execute(insert(schema.plan_roles), planned)
        known |= {row["name_key"]: row["role_id"] for row in planned}
    wanted = [(name_key, known[name_key]) for name_key, _, _ in names]
    for start in range(0, len(wanted), 300):
        part = wanted[start : start + 300]
        connection.execute(
            update(C)
            .where(C.c.run_id == scope.run_id, C.c.role_key.in_([key for key, _ in part]))
            .values(role_id=case(*((C.c.role_key == key, role_id) for key, role_id in part)))
        )


def plan_grants(database: Database, connection: Connection, scope: PlanScope) -> None:
    """Work out who should hold which role, where anything bears on it, and plan the difference."""
    if not scope.mappers:
        return
    roles = _stage_roles(connection, scope)
    # SQLite takes keys that it never looked at for ten, and would begin with everybody's.
    database.analyze(connection, SR, *((IK,) if database.dialect == "sqlite" else ()))
    G = schema.grants
    columns = ["run_id", "user_id", "role_id", "mapper", "granted"]
    owned = and_(G.c.organization_id == scope.organization_id, G.c.source.in_(scope.mappers))
    if connection.execute(select(G.c.user_id).where(owned).limit(1)).first() is None:
        # Nobody holds anything yet: what is wanted is the difference.
        wanted = union_all(*_branches(scope, roles=roles)).subquery()
        query = select(
            literal(scope.run_id), wanted.c[0], wanted.c[1], wanted.c[2], literal(True)
        ).distinct()
        connection.execute(insert(PG).from_select(columns, query))
        _number_the_rest(connection, scope)
        return
    for branch in _branches(scope, roles=roles):
        rows = branch.subquery()
        connection.execute(
            insert(D).from_select(
                columns[:4], select(literal(scope.run_id), rows.c[0], rows.c[1], rows.c[2])
            )
        )
    database.analyze(connection, D)
    held = exists().where(
        G.c.user_id == D.c.user_id, G.c.role_id == D.c.role_id, G.c.source == D.c.mapper
    )
    connection.execute(
        insert(PG).from_select(
            columns,
            select(D.c.run_id, D.c.user_id, D.c.role_id, D.c.mapper, literal(True))
            .where(D.c.run_id == scope.run_id, ~held)
            .distinct(),
        )
    )
    if scope.revoking:
        connection.execute(insert(PG).from_select(columns, _revocations(scope)))
    _mark_withheld(connection, scope)
    _number_the_rest(connection, scope)


def _revocations(scope: PlanScope) -> Select[tuple[int, int, int, str, bool]]:
    held = _held(scope)
    return select(
        literal(scope.run_id),
        held.c.user_id,
        held.c.role_id,
        held.c.source,
        literal(False),
    ).where(
        _undesired(scope, held),
        held.c.source.in_(scope.revoking),
        ~_protected(scope, held.c.user_id),
    )


def _mark_withheld(connection: Connection, scope: PlanScope) -> None:
    """Mark those who keep a role for now although the directory does not give it to them."""
    guarded = select(M.c.user_id).where(M.c.run_id == scope.run_id, M.c.mark == "protected")
    if set(scope.mappers) <= set(scope.revoking) and not connection.scalar(guarded.limit(1)):
        return
    held = _held(scope)
    query = (
        select(literal(scope.run_id), held.c.user_id, literal(WITHHELD))
        .where(
            _undesired(scope, held),
            or_(held.c.source.not_in(scope.revoking), _protected(scope, held.c.user_id)),
        )
        .distinct()
    )
    connection.execute(insert(M).from_select(["run_id", "user_id", "mark"], query))


def _held(scope: PlanScope) -> Subquery:
    """Return the grants that this run bears on: by its people and by its roles.

    Two selects and not one with OR, for which a database would look at everybody's grants.
    """
    G = schema.grants
    owned = and_(G.c.organization_id == scope.organization_id, G.c.source.in_(scope.mappers))
    # Somebody who comes back is of the stage and not living yet.
    of_people = (
        select(G.c.user_id, G.c.role_id, G.c.source)
        .join(S, S.c.user_id == G.c.user_id)
        .where(S.c.run_id == scope.run_id, owned)
    )
    of_roles = (
        select(G.c.user_id, G.c.role_id, G.c.source)
        .join(SR, SR.c.role_id == G.c.role_id)
        .join(U, U.c.id == G.c.user_id)
        .where(SR.c.run_id == scope.run_id, owned, U.c.living)
    )
    return union(of_people, of_roles).subquery("held")


def _undesired(scope: PlanScope, held: Subquery) -> ColumnElement[bool]:
    """Return what tells the grants that the directory does not give, of all that this run saw."""
    desired = exists().where(
        D.c.run_id == scope.run_id,
        D.c.user_id == held.c.user_id,
        D.c.role_id == held.c.role_id,
        D.c.mapper == held.c.source,
    )
    # A container whose members were not read whole takes nobody's role away.
    torn = exists().where(
        C.c.run_id == scope.run_id,
        C.c.mapper == held.c.source,
        C.c.role_id == held.c.role_id,
        ~C.c.whole,
    )
    return and_(~desired, ~_gone(scope, held.c.user_id), ~torn)


def _protected(scope: PlanScope, user_id: ColumnElement[int]) -> ColumnElement[bool]:
    return exists().where(
        M.c.run_id == scope.run_id, M.c.user_id == user_id, M.c.mark == "protected"
    )


def _staged(scope: PlanScope, user_id: ColumnElement[int]) -> ColumnElement[bool]:
    return exists().where(S.c.run_id == scope.run_id, S.c.user_id == user_id)


def _gone(scope: PlanScope, user_id: ColumnElement[int]) -> ColumnElement[bool]:
    return exists().where(A.c.run_id == scope.run_id, A.c.user_id == user_id)


def _stage_roles(connection: Connection, scope: PlanScope) -> bool:
    """Collect the roles that this run bears on; tell whether there are any."""
    CT = schema.containers
    changed = select(C.c.role_id).where(C.c.run_id == scope.run_id)
    was = (
        select(CT.c.role_id)
        .join(C, and_(C.c.mapper == CT.c.mapper, C.c.container_key == CT.c.container_key))
        .where(CT.c.organization_id == scope.organization_id, C.c.run_id == scope.run_id)
    )
    gone = (
        select(CT.c.role_id)
        .join(A, and_(A.c.mapper == CT.c.mapper, A.c.container_key == CT.c.container_key))
        .where(CT.c.organization_id == scope.organization_id, A.c.run_id == scope.run_id)
    )
    every = union_all(changed, was, gone).subquery()
    connection.execute(
        insert(SR).from_select(
            ["run_id", "role_id"], select(literal(scope.run_id), every.c.role_id).distinct()
        )
    )
    # Not by the insert's row count, which is -1 on PostgreSQL.
    return connection.execute(_affected_roles(scope).limit(1)).first() is not None


def _affected_roles(scope: PlanScope) -> Select[tuple[int]]:
    return select(SR.c.role_id).where(SR.c.run_id == scope.run_id)


def _branches(scope: PlanScope, *, roles: bool) -> list[Select[tuple[int, int, str]]]:
    """Return queries that yield (person, role, mapper) as the directory wants it.

    Together they cover everything that this run bears on: people of the stage, changed containers,
    and, when there are ``roles`` that it bears on, whatever else grants those.
    """
    CT, MR = schema.containers, schema.membership_refs
    run, organization = scope.run_id, scope.organization_id
    restaged = exists().where(
        C.c.run_id == run, C.c.mapper == CT.c.mapper, C.c.container_key == CT.c.container_key
    )
    vanished = exists().where(
        A.c.run_id == run, A.c.mapper == CT.c.mapper, A.c.container_key == CT.c.container_key
    )
    numbered_container = and_(C.c.run_id == run, C.c.number == R.c.number)
    staged_container = and_(
        C.c.run_id == run, C.c.mapper == R.c.mapper, C.c.container_key == R.c.container_key
    )
    stored_container = and_(
        CT.c.organization_id == organization,
        CT.c.mapper == R.c.mapper,
        CT.c.container_key == R.c.container_key,
        ~restaged,
        ~vanished,
    )
    named = and_(K.c.run_id == run, K.c.kind == R.c.kind, K.c.key == R.c.member_key)
    stored_name = and_(
        IK.c.organization_id == organization, IK.c.kind == R.c.kind, IK.c.key == R.c.member_key
    )
    mapper_in_scope = CT.c.mapper.in_(scope.mappers)
    branches = [
        # Changed containers name people of the stage …
        select(K.c.user_id, C.c.role_id, C.c.mapper)
        .select_from(R)
        .join(C, numbered_container)
        .join(K, named)
        .where(R.c.run_id == run, R.c.number > 0),
        # … and people whose entry did not change.
        select(IK.c.user_id, C.c.role_id, C.c.mapper)
        .select_from(R)
        .join(C, numbered_container)
        .join(IK, stored_name)
        .where(
            R.c.run_id == run,
            R.c.number > 0,
            ~_staged(scope, IK.c.user_id),
            ~_gone(scope, IK.c.user_id),
        ),
        # Unchanged containers name people of the stage.
        select(K.c.user_id, CT.c.role_id, CT.c.mapper)
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
        .where(K.c.run_id == run, mapper_in_scope, ~restaged, ~vanished),
        # People of the stage name their containers themselves: changed ones and unchanged ones.
        select(R.c.user_id, C.c.role_id, C.c.mapper)
        .select_from(R)
        .join(C, staged_container)
        .where(R.c.run_id == run, R.c.number == 0),
        select(R.c.user_id, CT.c.role_id, CT.c.mapper)
        .select_from(R)
        .join(CT, stored_container)
        .where(R.c.run_id == run, R.c.number == 0),
    ]
    of_roles = [
        # Unchanged people name a changed container.
        select(MR.c.user_id, C.c.role_id, C.c.mapper)
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
            MR.c.kind == "of",
            MR.c.user_id.is_not(None),
            ~_staged(scope, MR.c.user_id),
            ~_gone(scope, MR.c.user_id),
        ),
        # Other, unchanged containers of a role that this run bears on, and their unchanged people.
        # By their keys, because one key may mean several people and a reference names but one.
        select(IK.c.user_id, CT.c.role_id, CT.c.mapper)
        .select_from(CT)
        .join(
            MR,
            and_(
                MR.c.organization_id == organization,
                MR.c.mapper == CT.c.mapper,
                MR.c.container_key == CT.c.container_key,
            ),
        )
        .join(
            IK,
            and_(
                IK.c.organization_id == organization,
                IK.c.kind == MR.c.kind,
                IK.c.key == MR.c.member_key,
            ),
        )
        .where(
            CT.c.organization_id == organization,
            mapper_in_scope,
            CT.c.role_id.in_(_affected_roles(scope)),
            ~restaged,
            ~vanished,
            ~_staged(scope, IK.c.user_id),
            ~_gone(scope, IK.c.user_id),
        ),
    ]
    return [*branches, *(of_roles if roles else ())]


def _number_the_rest(connection: Connection, scope: PlanScope) -> None:
    """Give those of whom only roles change their place in the plan."""
    base = next_number(connection, scope)
    planned = exists().where(P.c.run_id == scope.run_id, P.c.user_id == U.c.id)
    ids = select(PG.c.user_id).where(PG.c.run_id == scope.run_id).distinct()
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
