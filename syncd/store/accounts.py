"""What shall hold of an account: the directory's statements over what is stored, at a time.

As SQL expressions, for people of whom a directory said something and for those whose time has come
alike. A reason holds by itself: what the directory does not speak of stays as it is stored. What is
stored of the account state is one restriction a reason, an expiry to come among them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, case, func, literal, null, or_

from syncd.records import EVER, NEVER
from syncd.store import schema
from syncd.store.kinds import Kind
from syncd.store.plan_scope import ACCOUNT_STATE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, FromClause

DISABLED, LOCKED, EXPIRED, NOT_YET_VALID = REASONS = (
    "disabled",
    "locked",
    "expired",
    "not_yet_valid",
)
# In ``stage_users.absent``.
BITS: Mapping[str, int] = {reason: 1 << index for index, reason in enumerate(REASONS)}
# The columns in which a plan says what shall be.
COLUMNS = ("disabled", "locked_until", "expires_at", "starts_at")


def parsed(text: str) -> datetime:
    """Return a time of a record."""
    return datetime.fromisoformat(text).astimezone(UTC)


BEGINNING, END = parsed(EVER), parsed(NEVER)


def moment(value: datetime) -> ColumnElement[datetime]:
    """Return a time as a value of a statement."""
    return literal(value, schema.UtcTime())


class Said(NamedTuple):
    """What the directory says of an account, null where it says nothing."""

    disabled: ColumnElement[Any]
    locked_until: ColumnElement[Any]
    expires_at: ColumnElement[Any]
    starts_at: ColumnElement[Any]


NOTHING = Said(null(), null(), null(), null())


class Account(NamedTuple):
    """What shall hold of people's accounts, and what stands in the store."""

    # To be joined from outside, as somebody may have none of them.
    stored: Sequence[tuple[FromClause, ColumnElement[bool]]]
    # Bits of ``Kind``.
    kinds: ColumnElement[int]
    # In the order of COLUMNS.
    wanted: Sequence[ColumnElement[Any]]


def account(user_id: ColumnElement[int], said: Said, now: datetime) -> Account:
    """Return what shall hold of a person's account at ``now``, and what that changes."""
    stored = {reason: schema.restrictions.alias(f"is_{reason}") for reason in REASONS}
    on = [
        (
            table,
            and_(
                table.c.user_id == user_id,
                table.c.source == ACCOUNT_STATE,
                table.c.reason == reason,
            ),
        )
        for reason, table in stored.items()
    ]
    at, never, ever = moment(now), moment(END), moment(BEGINNING)
    there = {reason: table.c.user_id.is_not(None) for reason, table in stored.items()}
    was = {
        **there,
        EXPIRED: and_(there[EXPIRED], func.coalesce(stored[EXPIRED].c.waiting, False).is_(False)),
    }
    disabled = case(
        (said.disabled.is_not(None), said.disabled), (there[DISABLED], DISABLED), else_=""
    )
    kept_until = case((there[LOCKED], func.coalesce(stored[LOCKED].c.until, never)), else_=ever)
    locked_until = func.coalesce(said.locked_until, kept_until)
    expires_at = func.coalesce(said.expires_at, stored[EXPIRED].c.since, never)
    starts_at = func.coalesce(said.starts_at, stored[NOT_YET_VALID].c.until, ever)
    holds = {
        DISABLED: disabled == DISABLED,
        LOCKED: locked_until > at,
        EXPIRED: expires_at <= at,
        NOT_YET_VALID: starts_at > at,
    }
    shut = (DISABLED, EXPIRED, NOT_YET_VALID)
    before, after = (_flag(or_(*(each[reason] for reason in shut))) for each in (was, holds))
    locked, locks = _flag(was[LOCKED]), _flag(holds[LOCKED])
    differs = or_(
        *(_flag(was[reason]) != _flag(holds[reason]) for reason in REASONS),
        expires_at != func.coalesce(stored[EXPIRED].c.since, never),
        and_(holds[NOT_YET_VALID], starts_at != stored[NOT_YET_VALID].c.until),
        and_(holds[LOCKED], locked_until != kept_until),
    )
    kinds = case(
        (after > before, int(Kind.DISABLE)), (after < before, int(Kind.ENABLE)), else_=0
    ) + case((locks > locked, int(Kind.LOCK)), (locks < locked, int(Kind.UNLOCK)), else_=0)
    quiet = and_(after == before, locks == locked, differs)
    return Account(
        on,
        kinds + case((quiet, int(Kind.ACCOUNT)), else_=0),
        (disabled, locked_until, expires_at, starts_at),
    )


def cause(row: Mapping[Any, Any], now: datetime | None = None) -> str | None:
    """Return why a row of a plan changes what holds of an account."""
    kinds, now = Kind(row["kinds"]), now or datetime.now(UTC)
    if kinds & Kind.DISABLE:
        return _shut_because(row, now)
    if kinds & Kind.ENABLE:
        starts_at = row["starts_at"] or BEGINNING
        valid = BEGINNING < starts_at <= now
        return f"valid since {_shown(starts_at)}" if valid else "the directory says enabled"
    if kinds & Kind.LOCK:
        until = row["locked_until"] or END
        return "locked out" if until >= END else f"locked out until {_shown(until)}"
    if kinds & Kind.UNLOCK:
        return "the lockout is over"
    if kinds & Kind.ACCOUNT:
        expires_at = row["expires_at"] or END
        return "does not expire" if expires_at >= END else f"expires at {_shown(expires_at)}"
    return None


def _shut_because(row: Mapping[Any, Any], now: datetime) -> str:
    if row["disabled"] == DISABLED:
        return "the directory says disabled"
    expires_at = row["expires_at"] or END
    if expires_at <= now:
        return f"expired at {_shown(expires_at)}"
    return f"not valid before {_shown(row['starts_at'] or now)}"


def _shown(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _flag(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)
