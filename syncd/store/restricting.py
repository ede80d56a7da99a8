"""Writing what keeps the people of one batch out: absence, and the state of their accounts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    union,
    update,
)

from syncd.store import schema
from syncd.store.account_journal import (
    before_accounts,
    planned_restrictions,
    told_accounts,
    told_missing,
)
from syncd.store.accounts import (
    BEGINNING,
    DISABLED,
    END,
    EXPIRED,
    LOCKED,
    NOT_YET_VALID,
    cause,
    moment,
)
from syncd.store.kinds import WRITES_ACCOUNT, WRITES_RECORD, Kind
from syncd.store.plan_scope import ACCOUNT_STATE, DIRECTORY, MISSING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from syncd.store.batch import Batch

U, I, P = schema.users, schema.identities, schema.plan_people
J, X = schema.journal, schema.restrictions

PX = schema.plan_restrictions

TOUCHED = Kind.MISSING | Kind.RETURN | WRITES_ACCOUNT | Kind.RESTRICT


class Wanted(NamedTuple):
    """When a plan wants a reason to be stored, and with what."""

    condition: ColumnElement[bool]
    since: ColumnElement[datetime]
    until: ColumnElement[Any]
    # Whether a stored row is as the plan wants it.
    same: ColumnElement[bool]


def restrict(batch: Batch, kinds: Kind) -> None:
    """Add and lift restrictions, keep who is enabled, and write the journal."""
    if kinds & Kind.MISSING:
        _miss(batch)
    if kinds & Kind.RETURN:
        lifted = and_(X.c.source == DIRECTORY, X.c.reason == MISSING)
        batch.connection.execute(delete(X).where(lifted, X.c.user_id.in_(batch.ids(Kind.RETURN))))
    was = before_accounts(batch, kinds)
    if kinds & Kind.RESTRICT:
        _settle_others(batch)
    if kinds & WRITES_ACCOUNT:
        for reason, wanted in _wanted(batch.now).items():
            _settle(batch, reason, wanted)
    if kinds & (WRITES_ACCOUNT | Kind.RESTRICT):
        known = and_(
            batch.having(WRITES_ACCOUNT | Kind.RESTRICT),
            P.c.kinds.op("&")(int(WRITES_RECORD | Kind.CREATE | Kind.MISSING)) == 0,
        )
        batch.connection.execute(
            update(U)
            .where(U.c.id.in_(select(P.c.user_id).where(known)))
            .values(version=U.c.version + 1)
        )
    batch.connection.execute(
        update(U)
        .where(U.c.id.in_(batch.ids(TOUCHED)))
        .values(enabled=~exists().where(X.c.user_id == U.c.id, holds(batch.now)))
    )
    batch.connection.execute(
        update(U)
        .where(U.c.id.in_(batch.ids(Kind.MISSING)))
        .values(version=U.c.version + 1, living=False)
    )
    _journal(batch, was)


def holds(now: datetime) -> ColumnElement[bool]:
    """Return whether a stored restriction holds at a time."""
    return holds_at(moment(now))


def holds_at(at: ColumnElement[datetime]) -> ColumnElement[bool]:
    """Return the same of a time that a statement has, or is given."""
    return and_(X.c.since <= at, or_(X.c.until.is_(None), X.c.until > at))


def newly_shut(
    connection: Connection, organization_ids: Collection[str], now: datetime
) -> dict[str, int]:
    """Return by how many more people are shut out at a time than ``users.enabled`` says.

    Less than zero where more were let in. Looks at those alone whose time has come since the last
    run, by the indexes that there are for it.
    """
    mine = X.c.organization_id.in_(organization_ids)
    due = union(
        select(X.c.user_id).where(mine, X.c.waiting, X.c.since <= moment(now)),
        select(X.c.user_id).where(mine, X.c.until <= moment(now)),
    ).subquery()
    shut = exists().where(X.c.user_id == U.c.id, holds(now))
    shift = case((and_(U.c.enabled, shut), 1), (and_(~U.c.enabled, ~shut), -1), else_=0)
    query = (
        select(U.c.organization_id, func.sum(shift))
        .join(due, due.c.user_id == U.c.id)
        .group_by(U.c.organization_id)
    )
    return {organization_id: int(count) for organization_id, count in connection.execute(query)}


def _miss(batch: Batch) -> None:
    query = select(
        P.c.user_id,
        literal(DIRECTORY),
        literal(MISSING),
        literal(batch.organization_id),
        moment(batch.now),
        P.c.cause,
    ).where(batch.having(Kind.MISSING))
    columns = ["user_id", "source", "reason", "organization_id", "since", "detail"]
    batch.connection.execute(insert(X).from_select(columns, query))
    batch.connection.execute(
        update(I)
        .where(I.c.source == batch.source, I.c.user_id.in_(batch.ids(Kind.MISSING)))
        .values(digest=None)
    )


def _wanted(now: datetime) -> dict[str, Wanted]:
    at, never, ever = moment(now), moment(END), moment(BEGINNING)
    waits = func.coalesce(X.c.waiting, literal(False))
    locked_until = func.coalesce(P.c.locked_until, ever)
    starts_at = func.coalesce(P.c.starts_at, ever)
    expires_at = func.coalesce(P.c.expires_at, never)
    return {
        DISABLED: Wanted(P.c.disabled == DISABLED, at, null(), literal(True)),
        LOCKED: Wanted(
            locked_until > at,
            at,
            func.nullif(locked_until, never),
            func.coalesce(X.c.until, never) == locked_until,
        ),
        EXPIRED: Wanted(
            expires_at < never,
            expires_at,
            null(),
            and_(X.c.since == expires_at, waits == (expires_at > at)),
        ),
        NOT_YET_VALID: Wanted(starts_at > at, at, starts_at, X.c.until == starts_at),
    }


def _settle(batch: Batch, reason: str, wanted: Wanted) -> None:
    """Let one reason be stored as the plan wants it, and keep since when where it is so already."""
    mine = batch.having(WRITES_ACCOUNT)
    of_reason = and_(X.c.source == ACCOUNT_STATE, X.c.reason == reason)
    right = exists().where(mine, P.c.user_id == X.c.user_id, wanted.condition, wanted.same)
    batch.connection.execute(
        delete(X).where(of_reason, X.c.user_id.in_(batch.ids(WRITES_ACCOUNT)), ~right)
    )
    query = select(
        P.c.user_id,
        literal(ACCOUNT_STATE),
        literal(reason),
        literal(batch.organization_id),
        wanted.since,
        wanted.until,
        wanted.since > moment(batch.now),
    ).where(mine, wanted.condition, ~exists().where(of_reason, X.c.user_id == P.c.user_id))
    columns = ["user_id", "source", "reason", "organization_id", "since", "until", "waiting"]
    batch.connection.execute(insert(X).from_select(columns, query))


def _settle_others(batch: Batch) -> None:
    """Lift and set back what no directory made."""
    mine = and_(PX.c.run_id == batch.run_id, PX.c.user_id.in_(batch.ids(Kind.RESTRICT)))
    same = and_(PX.c.user_id == X.c.user_id, PX.c.source == X.c.source, PX.c.reason == X.c.reason)
    batch.connection.execute(
        delete(X).where(
            X.c.user_id.in_(batch.ids(Kind.RESTRICT)), exists().where(mine, same, ~PX.c.holds)
        )
    )
    query = select(
        PX.c.user_id,
        PX.c.source,
        PX.c.reason,
        literal(batch.organization_id),
        moment(batch.now),
    ).where(mine, PX.c.holds, ~exists().where(same))
    columns = ["user_id", "source", "reason", "organization_id", "since"]
    batch.connection.execute(insert(X).from_select(columns, query))


def _journal(
    batch: Batch, was: Mapping[int, Sequence[tuple[str, datetime, datetime | None]]]
) -> None:
    rows = []
    others = planned_restrictions(batch)
    columns = (P.c.kinds, P.c.cause, P.c.disabled, P.c.locked_until, P.c.expires_at, P.c.starts_at)
    query = select(P.c.user_id, *columns).where(batch.having(TOUCHED))
    for row in batch.connection.execute(query).mappings():
        user_id, kinds = row["user_id"], Kind(row["kinds"])
        before, after = told_missing(kinds)
        if kinds & WRITES_ACCOUNT:
            old, new = told_accounts(row, was.get(user_id, ()), batch.now)
            before, after = before | old, after | new
        for name, restricted in others.get(user_id, {}).items():
            before[name], after[name] = not restricted, restricted
        because = row["cause"] or cause(row, batch.now)
        rows.append(
            {
                "organization_id": batch.organization_id,
                "user_id": user_id,
                "change_set_id": batch.change_set_id,
                "kind": "restrictions",
                "before": json.dumps(before),
                "after": json.dumps(
                    after | ({"because": because} if because else {}), ensure_ascii=False
                ),
                "commit_id": batch.commit_id,
            }
        )
    if rows:
        batch.connection.execute(insert(J), rows)
