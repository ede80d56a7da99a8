"""What changes about accounts: by the directory's word, and because a time has come or is over."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import and_, case, exists, func, insert, literal, or_, select, union, update

from syncd.records import batched
from syncd.store import schema
from syncd.store.accounts import (
    BEGINNING,
    BITS,
    COLUMNS,
    DISABLED,
    END,
    EXPIRED,
    LOCKED,
    NOT_YET_VALID,
    NOTHING,
    Said,
    account,
    moment,
    parsed,
)
from syncd.store.plan_scope import ACCOUNT_STATE, WITHHELD, mark, next_number

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Select

    from syncd.store.accounts import Account
    from syncd.store.plan_scope import PlanScope

S, A, I = schema.stage_users, schema.stage_absent, schema.identities
U, X, P = schema.users, schema.restrictions, schema.plan_people


IN_LIST = 500
# A second and what two clocks may differ by.
SECOND_IS_OVER = timedelta(seconds=2)


def staged_account(connection: Connection, scope: PlanScope, now: datetime) -> Account | None:
    """Return what the stage makes of people's accounts; None where it is silent about them.

    ``users`` and ``identities`` have to be joined.
    """
    if not scope.accounts:
        known = select(X.c.user_id).where(
            X.c.organization_id == scope.organization_id,
            X.c.reason.in_(list(BITS)),
            X.c.source == ACCOUNT_STATE,
        )
        if connection.execute(known.limit(1)).first() is None:
            return None
    said = Said(
        case((_is_gone(DISABLED), ""), else_=S.c.disabled),
        func.coalesce(S.c.locked_until, case((_is_gone(LOCKED), moment(BEGINNING)))),
        func.coalesce(S.c.expires_at, case((_is_gone(EXPIRED), moment(END)))),
        func.coalesce(S.c.starts_at, case((_is_gone(NOT_YET_VALID), moment(BEGINNING)))),
    )
    return account(S.c.user_id, said, now)


def _lacks(reason: str) -> ColumnElement[bool]:
    return func.coalesce(S.c.absent, 0).op("&")(BITS[reason]) != 0


def _has_changed() -> ColumnElement[bool]:
    """Whether an entry has changed since it was stored, as it says itself.

    Losing a right takes attributes away and changes no entry.
    """
    return and_(
        S.c.source_modified_at.is_not(None),
        I.c.source_modified_at.is_not(None),
        S.c.source_modified_at != I.c.source_modified_at,
    )


def _is_gone(reason: str) -> ColumnElement[bool]:
    return and_(_lacks(reason), _has_changed())


def believe_fresh(connection: Connection, scope: PlanScope) -> None:
    """Take absence at its word where a time that stands still proves nothing.

    Directories count in seconds: an entry that was read while its second was not over yet may have
    changed once more under the same time.
    """
    if not scope.accounts:
        return
    runs = schema.runs
    restricted = exists().where(X.c.user_id == S.c.user_id, X.c.source == ACCOUNT_STATE)
    query = (
        select(S.c.user_id, I.c.source_modified_at, runs.c.started_at)
        .join(I, and_(I.c.user_id == S.c.user_id, I.c.source == scope.source))
        .join(runs, runs.c.id == I.c.run_id)
        .where(
            S.c.run_id == scope.run_id,
            S.c.known,
            S.c.absent > 0,
            S.c.source_modified_at == I.c.source_modified_at,
            restricted,
        )
    )
    fresh = [
        user_id
        for user_id, modified_at, read_from in connection.execute(query)
        if parsed(modified_at) > read_from - SECOND_IS_OVER
    ]
    free = {
        "disabled": case((_lacks(DISABLED), ""), else_=S.c.disabled),
        "locked_until": case((_lacks(LOCKED), moment(BEGINNING)), else_=S.c.locked_until),
        "expires_at": case((_lacks(EXPIRED), moment(END)), else_=S.c.expires_at),
        "starts_at": case((_lacks(NOT_YET_VALID), moment(BEGINNING)), else_=S.c.starts_at),
    }
    for part in batched(fresh, IN_LIST):
        theirs = and_(S.c.run_id == scope.run_id, S.c.user_id.in_(part))
        connection.execute(update(S).where(theirs).values(absent=0, **free))


def withhold(connection: Connection, scope: PlanScope) -> None:
    """See to it that those are looked at again whose restriction only seems to be gone."""
    if not scope.accounts:
        return
    query = (
        select(S.c.user_id)
        .join(X, and_(X.c.user_id == S.c.user_id, X.c.source == ACCOUNT_STATE))
        .join(I, and_(I.c.user_id == S.c.user_id, I.c.source == scope.source))
        .where(
            S.c.run_id == scope.run_id,
            S.c.known,
            or_(*(and_(X.c.reason == reason, _lacks(reason)) for reason in BITS)),
            func.coalesce(_has_changed(), False).is_(False),
        )
        .distinct()
    )
    mark(connection, scope.run_id, list(connection.scalars(query)), WITHHELD)


def any_due(connection: Connection, scope: PlanScope, now: datetime) -> bool:
    """Tell whether a run has to look at somebody because his time has come."""
    return connection.execute(_due(connection, scope, now).limit(1)).first() is not None


def _due(connection: Connection, scope: PlanScope, now: datetime) -> Select[tuple[int]]:
    """Return whose restriction has begun or ended by now, while what is stored says otherwise."""
    mine = and_(X.c.organization_id == scope.organization_id, X.c.source == ACCOUNT_STATE)
    at, runs = moment(now), schema.runs
    both = union(
        select(X.c.user_id).where(mine, X.c.waiting, X.c.since <= at),
        select(X.c.user_id).where(mine, X.c.until <= at),
    ).subquery()
    # A sync of one person is about nobody else.
    everybody = connection.scalar(select(runs.c.mode).where(runs.c.id == scope.run_id)) != "user"
    return (
        select(U.c.id)
        .join(both, both.c.user_id == U.c.id)
        .where(U.c.living, U.c.provider == scope.source, literal(everybody))
    )


def plan_due(connection: Connection, scope: PlanScope, now: datetime) -> None:
    """Plan those whose time has come and of whom the run has nothing else to say."""
    made = account(U.c.id, NOTHING, now)
    base = next_number(connection, scope)
    told = [
        exists().where(table.c.run_id == scope.run_id, table.c.user_id == U.c.id)
        for table in (S, A, P)
    ]
    query = (
        select(
            literal(scope.run_id),
            base + func.row_number().over(order_by=U.c.id),
            U.c.id,
            I.c.external_id,
            made.kinds,
            U.c.version,
            U.c.username,
            U.c.username_key,
            I.c.dn,
            *made.wanted,
        )
        .select_from(U)
        .join(I, and_(I.c.user_id == U.c.id, I.c.source == scope.source))
    )
    for table, on in made.stored:
        query = query.outerjoin(table, on)
    query = query.where(U.c.id.in_(_due(connection, scope, now)), *(~each for each in told))
    columns = ["run_id", "number", "user_id", "external_id", "kinds", "version"]
    columns += ["username", "username_key", "old_dn", *COLUMNS]
    connection.execute(insert(P).from_select(columns, query))
