"""The set-based comparison of stage and store that yields the plan of a run.

Every statement is one Core expression for both databases. The order matters and is the order of the
functions called by ``make_plan``: names first, because an entry that may not have its name leaves
the plan; then people; then roles; then who holds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import (
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    union_all,
    update,
)

from syncd.store import schema
from syncd.store.kinds import Kind
from syncd.store.staging import allocate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Select

    from syncd.store.database import Database

S, K, R, C = schema.stage_users, schema.stage_keys, schema.stage_refs, schema.stage_containers
A, M, D = schema.stage_absent, schema.stage_marks, schema.stage_desired
U, I, IK = schema.users, schema.identities, schema.identity_keys
SR = schema.stage_roles
P, PG, PK = schema.plan_people, schema.plan_grants, schema.plan_keys

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


def settle_names(connection: Connection, scope: PlanScope) -> list[NameConflict]:
    """Take those out of the stage whose username somebody else has or wants.

    Whoever holds a name keeps it. Of several newcomers who want the same name none gets it. Taking
    somebody out gives him his old name back, which may be the one another wanted: repeated until
    nothing moves.
    """
    conflicts: list[NameConflict] = []
    reason = "duplicate_username"
    while True:
        if reason == "duplicate_username":
            rows = connection.execute(_wanted_twice(scope)).all()
            reason_now, reason = reason, "username_taken"
        else:
            rows = connection.execute(_taken(scope)).all()
            reason_now = reason
            if not rows:
                break
        found = [
            NameConflict(
                row.user_id,
                bool(row.known),
                row.external_id,
                row.dn,
                row.username,
                row.username_key,
                reason_now,
            )
            for row in rows
        ]
        conflicts += found
        for start in range(0, len(found), 500):
            ids = [conflict.user_id for conflict in found[start : start + 500]]
            for table in (S, K, R):
                connection.execute(
                    delete(table).where(table.c.run_id == scope.run_id, table.c.user_id.in_(ids))
                )
            known = [conflict.user_id for conflict in found[start : start + 500] if conflict.known]
            mark(connection, scope.run_id, known, "protected")
    return conflicts


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


def _candidate(scope: PlanScope) -> Select[tuple[int, bool, str, str, str, str]]:
    return select(
        S.c.user_id, S.c.known, S.c.external_id, S.c.dn, S.c.username, S.c.username_key
    ).where(S.c.run_id == scope.run_id)


def _wanted_twice(scope: PlanScope) -> Select[tuple[int, bool, str, str, str, str]]:
    twice = (
        select(S.c.username_key)
        .where(S.c.run_id == scope.run_id)
        .group_by(S.c.username_key)
        .having(func.count() > 1)
    )
    holds = exists().where(U.c.id == S.c.user_id, U.c.living, U.c.username_key == S.c.username_key)
    return _candidate(scope).where(S.c.username_key.in_(twice), ~holds)


def _taken(scope: PlanScope) -> Select[tuple[int, bool, str, str, str, str]]:
    other = schema.stage_users.alias("other")
    staged = exists().where(other.c.run_id == scope.run_id, other.c.user_id == U.c.id)
    leaves = exists().where(A.c.run_id == scope.run_id, A.c.user_id == U.c.id)
    holder = exists().where(
        U.c.organization_id == scope.organization_id,
        U.c.username_key == S.c.username_key,
        U.c.living,
        U.c.id != S.c.user_id,
        ~staged,
        ~leaves,
    )
    return _candidate(scope).where(holder)


def _mark_movers(connection: Connection, scope: PlanScope) -> bool:
    """Mark the people between whom a name changes hands; tell whether there are any."""
    holder = U.alias("holder")
    pairs = connection.execute(
        select(S.c.user_id, holder.c.id)
        .join(
            holder,
            and_(
                holder.c.organization_id == scope.organization_id,
                holder.c.username_key == S.c.username_key,
                holder.c.living,
                holder.c.id != S.c.user_id,
            ),
        )
        .where(S.c.run_id == scope.run_id)
    ).all()
    mark(connection, scope.run_id, [user_id for pair in pairs for user_id in pair], "mover")
    return bool(pairs)


def _bit(kind: Kind, condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, int(kind)), else_=0)


def _differs(new: ColumnElement[object], old: ColumnElement[object]) -> ColumnElement[bool]:
    return new.is_distinct_from(old)


def _moves(scope: PlanScope, user_id: ColumnElement[int]) -> ColumnElement[bool]:
    return exists().where(M.c.run_id == scope.run_id, M.c.user_id == user_id, M.c.mark == "mover")


def _restricted(source: str, reason: str | None = None) -> ColumnElement[bool]:
    table = schema.restrictions
    found = exists().where(table.c.user_id == U.c.id, table.c.source == source)
    return found.where(table.c.reason == reason) if reason else found


def plan_people(connection: Connection, scope: PlanScope) -> None:
    """Plan creates and changes of the staged people."""
    new = U.c.id.is_(None)
    says_disabled = and_(S.c.disabled.is_not(None), S.c.disabled != "")
    kinds = case(
        (new, int(Kind.CREATE) + _bit(Kind.DISABLE, says_disabled)),
        else_=(
            _bit(
                Kind.UPDATE,
                or_(
                    _differs(S.c.first_name, U.c.first_name),
                    _differs(S.c.last_name, U.c.last_name),
                    S.c.attributes != U.c.attributes,
                    and_(S.c.username != U.c.username, S.c.username_key == U.c.username_key),
                    and_(_differs(S.c.email, U.c.email), S.c.email_key == U.c.email_key),
                    and_(S.c.email_verified, ~U.c.email_verified),
                ),
            )
            + _bit(Kind.RENAME, S.c.username_key != U.c.username_key)
            + _bit(Kind.EMAIL, _differs(S.c.email_key, U.c.email_key))
            + _bit(Kind.MOVE, _differs(S.c.dn, I.c.dn))
            + _bit(Kind.RETURN, _restricted(DIRECTORY, MISSING))
            + _bit(Kind.DISABLE, and_(says_disabled, ~_restricted(ACCOUNT_STATE)))
            + _bit(Kind.ENABLE, and_(S.c.disabled == "", _restricted(ACCOUNT_STATE)))
        ),
    )
    # An address that stays the same keeps being verified; a new one is what the mapper says.
    verified = or_(
        S.c.email_verified,
        and_(U.c.email_verified.is_not(None), U.c.email_verified, S.c.email_key == U.c.email_key),
    )
    number: ColumnElement[int] = S.c.number
    if _mark_movers(connection, scope):
        _plan_missing(connection, scope, _moves(scope, U.c.id))
        number = _next_number(connection, scope) + func.row_number().over(
            order_by=(case((_moves(scope, S.c.user_id), 0), else_=1), S.c.user_id)
        )
    query = (
        select(
            S.c.run_id,
            number,
            S.c.user_id,
            S.c.external_id,
            kinds,
            func.coalesce(U.c.version, 0),
            S.c.username,
            S.c.username_key,
            S.c.email,
            S.c.email_key,
            func.coalesce(verified, S.c.email_verified),
            S.c.first_name,
            S.c.last_name,
            S.c.attributes,
            S.c.dn,
            S.c.dn_key,
            S.c.disabled,
            S.c.fingerprint,
            S.c.digest,
            S.c.source_created_at,
            S.c.source_modified_at,
            U.c.username,
            U.c.email,
            U.c.email_verified,
            U.c.first_name,
            U.c.last_name,
            U.c.attributes,
            I.c.dn,
        )
        .select_from(S)
        .outerjoin(U, U.c.id == S.c.user_id)
        .outerjoin(
            I,
            and_(
                I.c.organization_id == scope.organization_id,
                I.c.source == scope.source,
                I.c.external_id == S.c.external_id,
            ),
        )
        .where(S.c.run_id == scope.run_id)
    )
    columns = [
        "run_id",
        "number",
        "user_id",
        "external_id",
        "kinds",
        "version",
        "username",
        "username_key",
        "email",
        "email_key",
        "email_verified",
        "first_name",
        "last_name",
        "attributes",
        "dn",
        "dn_key",
        "disabled",
        "fingerprint",
        "digest",
        "source_created_at",
        "source_modified_at",
        "old_username",
        "old_email",
        "old_email_verified",
        "old_first_name",
        "old_last_name",
        "old_attributes",
        "old_dn",
    ]
    connection.execute(insert(P).from_select(columns, query))
    connection.execute(
        insert(PK).from_select(
            ["run_id", "user_id", "kind", "key"],
            select(K.c.run_id, K.c.user_id, K.c.kind, K.c.key)
            .where(K.c.run_id == scope.run_id, K.c.kind != "dn")
            .distinct(),
        )
    )

    connection.execute(
        insert(schema.plan_refs).from_select(
            ["run_id", "user_id", "mapper", "container_key", "member_key", "value"],
            select(
                R.c.run_id,
                R.c.user_id,
                R.c.mapper,
                R.c.container_key,
                R.c.member_key,
                func.min(R.c.value),
            )
            .where(R.c.run_id == scope.run_id, R.c.kind == "of", R.c.user_id.is_not(None))
            .group_by(R.c.run_id, R.c.user_id, R.c.mapper, R.c.container_key, R.c.member_key),
        )
    )


def _next_number(connection: Connection, scope: PlanScope) -> int:
    query = select(func.coalesce(func.max(P.c.number), 0)).where(P.c.run_id == scope.run_id)
    return int(connection.execute(query).scalar_one())


_ABSENT_COLUMNS = [
    "run_id",
    "number",
    "user_id",
    "external_id",
    "kinds",
    "version",
    "cause",
    "username",
    "old_dn",
]


def _plan_missing(connection: Connection, scope: PlanScope, who: ColumnElement[bool]) -> None:
    base = _next_number(connection, scope)
    missing = (
        select(
            literal(scope.run_id),
            base + func.row_number().over(order_by=U.c.id),
            U.c.id,
            I.c.external_id,
            literal(int(Kind.MISSING)),
            U.c.version,
            A.c.cause,
            U.c.username,
            I.c.dn,
        )
        .select_from(A)
        .join(U, U.c.id == A.c.user_id)
        .join(I, and_(I.c.user_id == U.c.id, I.c.source == scope.source))
        .where(A.c.run_id == scope.run_id, U.c.living, who)
    )
    connection.execute(insert(P).from_select(_ABSENT_COLUMNS, missing))


def plan_absent(connection: Connection, scope: PlanScope) -> None:
    """Plan the restriction "missing" for the absent, and the purge of those long gone.

    Those whose names change hands stand at the plan's beginning already.
    """
    _plan_missing(connection, scope, ~_moves(scope, U.c.id))
    if scope.purge_before is None:
        return
    table = schema.restrictions
    back = exists().where(P.c.run_id == scope.run_id, P.c.user_id == U.c.id)
    base = _next_number(connection, scope)
    purged = (
        select(
            literal(scope.run_id),
            base + func.row_number().over(order_by=U.c.id),
            U.c.id,
            I.c.external_id,
            literal(int(Kind.DELETE)),
            U.c.version,
            literal("missing for longer than the grace period"),
            U.c.username,
            I.c.dn,
        )
        .select_from(table)
        .join(U, U.c.id == table.c.user_id)
        .join(I, and_(I.c.user_id == U.c.id, I.c.source == scope.source))
        .where(
            table.c.organization_id == scope.organization_id,
            table.c.source == DIRECTORY,
            table.c.reason == MISSING,
            table.c.since < scope.purge_before,
            ~back,
        )
    )
    connection.execute(insert(P).from_select(_ABSENT_COLUMNS, purged))


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
    database.analyze(connection, SR)
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
    G = schema.grants
    return (
        select(
            literal(scope.run_id),
            G.c.user_id,
            G.c.role_id,
            G.c.source,
            literal(False),
        )
        .join(U, U.c.id == G.c.user_id)
        .where(
            _undesired(scope),
            G.c.source.in_(scope.revoking),
            ~_protected(scope, G.c.user_id),
        )
    )


def _mark_withheld(connection: Connection, scope: PlanScope) -> None:
    """Mark those who keep a role for now although the directory does not give it to them."""
    G = schema.grants
    guarded = select(M.c.user_id).where(M.c.run_id == scope.run_id, M.c.mark == "protected")
    if set(scope.mappers) <= set(scope.revoking) and not connection.scalar(guarded.limit(1)):
        return
    query = (
        select(literal(scope.run_id), G.c.user_id, literal(WITHHELD))
        .join(U, U.c.id == G.c.user_id)
        .where(
            _undesired(scope),
            or_(G.c.source.not_in(scope.revoking), _protected(scope, G.c.user_id)),
        )
        .distinct()
    )
    connection.execute(insert(M).from_select(["run_id", "user_id", "mark"], query))


def _undesired(scope: PlanScope) -> ColumnElement[bool]:
    """Return what tells the grants that the directory does not give, of all that this run saw."""
    G = schema.grants
    desired = exists().where(
        D.c.run_id == scope.run_id,
        D.c.user_id == G.c.user_id,
        D.c.role_id == G.c.role_id,
        D.c.mapper == G.c.source,
    )
    # A container whose members were not read whole takes nobody's role away.
    torn = exists().where(
        C.c.run_id == scope.run_id,
        C.c.mapper == G.c.source,
        C.c.role_id == G.c.role_id,
        ~C.c.whole,
    )
    return and_(
        G.c.organization_id == scope.organization_id,
        G.c.source.in_(scope.mappers),
        # Somebody who comes back is of the stage and not living yet.
        or_(
            _staged(scope, G.c.user_id),
            and_(U.c.living, G.c.role_id.in_(_affected_roles(scope))),
        ),
        ~desired,
        ~_gone(scope, G.c.user_id),
        ~torn,
    )


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
    base = _next_number(connection, scope)
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
