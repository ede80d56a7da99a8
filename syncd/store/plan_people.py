"""What changes about people: creates, changed fields, absence, purge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    and_,
    case,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
)

from syncd.records import provider_of
from syncd.store import schema
from syncd.store.accounts import COLUMNS
from syncd.store.kinds import Kind
from syncd.store.plan_accounts import believe_fresh, staged_account, withhold
from syncd.store.plan_names import mark_movers
from syncd.store.plan_scope import (
    DIRECTORY,
    MISSING,
    PlanScope,
    next_number,
)

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection


S, K, R = schema.stage_users, schema.stage_keys, schema.stage_refs
A, M, U = schema.stage_absent, schema.stage_marks, schema.users
I, P, PK = schema.identities, schema.plan_people, schema.plan_keys


def _bit(kind: Kind, condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, int(kind)), else_=0)


def _differs(new: ColumnElement[object], old: ColumnElement[object]) -> ColumnElement[bool]:
    return new.is_distinct_from(old)


def _moves(scope: PlanScope, user_id: ColumnElement[int]) -> ColumnElement[bool]:
    return exists().where(M.c.run_id == scope.run_id, M.c.user_id == user_id, M.c.mark == "mover")


def _is_missing() -> ColumnElement[bool]:
    table = schema.restrictions
    return exists().where(
        table.c.user_id == U.c.id, table.c.source == DIRECTORY, table.c.reason == MISSING
    )


def plan_people(connection: Connection, scope: PlanScope, now: datetime) -> None:
    """Plan creates and changes of the staged people, and of their accounts as they are ``now``."""
    new = U.c.id.is_(None)
    believe_fresh(connection, scope)
    account = staged_account(connection, scope, now)
    kinds = case(
        (new, int(Kind.CREATE)),
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
            + _bit(Kind.RETURN, _is_missing())
            + _bit(Kind.LINK, U.c.provider != provider_of(scope.source))
        ),
    )
    # An address that stays the same keeps being verified; a new one is what the mapper says.
    verified = or_(
        S.c.email_verified,
        and_(U.c.email_verified.is_not(None), U.c.email_verified, S.c.email_key == U.c.email_key),
    )
    number: ColumnElement[int] = S.c.number
    if mark_movers(connection, scope):
        _plan_missing(connection, scope, _moves(scope, U.c.id))
        number = next_number(connection, scope) + func.row_number().over(
            order_by=(case((_moves(scope, S.c.user_id), 0), else_=1), S.c.user_id)
        )
    query = (
        select(
            S.c.run_id,
            number,
            S.c.user_id,
            S.c.external_id,
            kinds if account is None else kinds + account.kinds,
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
            *(account.wanted if account is not None else [null()] * len(COLUMNS)),
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
    for table, on in account.stored if account is not None else ():
        query = query.outerjoin(table, on)
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
        *COLUMNS,
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
    withhold(connection, scope)
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
    base = next_number(connection, scope)
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
    base = next_number(connection, scope)
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
