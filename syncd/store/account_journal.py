"""What the journal says of restrictions: bare reasons for the directory's, ``source:reason`` else.

Where times are part of it, what is stored of the account stands beside the reasons under
``account``, so that an undo can set back exactly what was there.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, select

from syncd.store import schema
from syncd.store.accounts import BEGINNING, DISABLED, END, EXPIRED, LOCKED, NOT_YET_VALID
from syncd.store.kinds import WRITES_ACCOUNT, Kind
from syncd.store.plan_scope import ACCOUNT_STATE, MISSING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection, Select

    from syncd.store.batch import Batch

    # What is stored of an account: disabled, and times as ISO 8601 or None.
    Account = Mapping[str, Any]

X, P, PX = schema.restrictions, schema.plan_people, schema.plan_restrictions
OPEN: Account = {"disabled": False, "locked_until": None, "expires_at": None, "starts_at": None}


def iso(value: datetime | None) -> str | None:
    """Return a time to the microsecond, as the journal has it."""
    return None if value is None else value.isoformat()


def account_of(rows: Iterable[tuple[str, datetime, datetime | None]]) -> dict[str, Any]:
    """Return what (reason, since, until) of one person's account state come to."""
    found = dict(OPEN)
    for reason, since, until in rows:
        if reason == DISABLED:
            found["disabled"] = True
        elif reason == LOCKED:
            found["locked_until"] = iso(until or END)
        elif reason == EXPIRED:
            found["expires_at"] = iso(since)
        elif reason == NOT_YET_VALID:
            found["starts_at"] = iso(until)
    return found


def planned_account(row: Mapping[Any, Any], now: datetime) -> dict[str, Any]:
    """Return what a plan row wants to be stored of an account."""
    locked_until = row["locked_until"] or BEGINNING
    expires_at, starts_at = row["expires_at"] or END, row["starts_at"] or BEGINNING
    return {
        "disabled": row["disabled"] == DISABLED,
        "locked_until": iso(locked_until) if locked_until > now else None,
        "expires_at": iso(expires_at) if expires_at < END else None,
        "starts_at": iso(starts_at) if starts_at > now else None,
    }


def shut(account: Account, now: datetime) -> bool:
    """Return whether an account is shut by anything but a lockout."""
    expires_at, starts_at = account["expires_at"], account["starts_at"]
    return bool(
        account["disabled"]
        or (expires_at is not None and datetime.fromisoformat(expires_at) <= now)
        or (starts_at is not None and datetime.fromisoformat(starts_at) > now)
    )


def stored_accounts(
    connection: Connection, people: Select[tuple[int]]
) -> dict[int, list[tuple[str, datetime, datetime | None]]]:
    """Return what is stored of these people's accounts, as (reason, since, until)."""
    query = select(X.c.user_id, X.c.reason, X.c.since, X.c.until).where(
        X.c.source == ACCOUNT_STATE, X.c.user_id.in_(people)
    )
    found: dict[int, list[tuple[str, datetime, datetime | None]]] = {}
    for user_id, reason, since, until in connection.execute(query):
        found.setdefault(user_id, []).append((reason, since, until))
    return found


def told_accounts(
    row: Mapping[Any, Any],
    was: Iterable[tuple[str, datetime, datetime | None]],
    now: datetime,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return before and after of one person's account for the journal."""
    before, after = account_of(was), planned_account(row, now)
    old: dict[str, Any] = {}
    new: dict[str, Any] = {}
    kinds = Kind(row["kinds"])
    if not kinds & Kind.RESTRICT:
        for kind, name, restricted in (
            (Kind.DISABLE, DISABLED, True),
            (Kind.ENABLE, DISABLED, False),
            (Kind.LOCK, LOCKED, True),
            (Kind.UNLOCK, LOCKED, False),
        ):
            if kinds & kind:
                old[name], new[name] = not restricted, restricted
    else:
        # Who is let in or shut out may be so by other sources' restrictions alone.
        for name, one, other in (
            (DISABLED, shut(before, now), shut(after, now)),
            (LOCKED, before["locked_until"] is not None, after["locked_until"] is not None),
        ):
            if one != other:
                old[name], new[name] = one, other
    timed = any(before[name] != after[name] for name in OPEN if name != "disabled")
    odd = old.get(DISABLED, before["disabled"]) != before["disabled"] or (
        new.get(DISABLED, after["disabled"]) != after["disabled"]
    )
    if timed or odd or (before != after and DISABLED not in old):
        old["account"], new["account"] = before, after
    return old, new


def told_missing(kinds: Kind) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return before and after of somebody's absence."""
    if kinds & Kind.MISSING:
        return {MISSING: False}, {MISSING: True}
    if kinds & Kind.RETURN:
        return {MISSING: True}, {MISSING: False}
    return {}, {}


def planned_restrictions(batch: Batch) -> dict[int, dict[str, bool]]:
    """Return what an undo lifts and sets back, by person, as ``source:reason``."""
    found: dict[int, dict[str, bool]] = {}
    query = select(PX.c.user_id, PX.c.source, PX.c.reason, PX.c.holds).where(
        and_(PX.c.run_id == batch.run_id, PX.c.user_id.in_(batch.ids(Kind.RESTRICT)))
    )
    for user_id, source, reason, restricted in batch.connection.execute(query):
        found.setdefault(user_id, {})[f"{source}:{reason}"] = bool(restricted)
    return found


def before_accounts(
    batch: Batch, kinds: Kind
) -> dict[int, list[tuple[str, datetime, datetime | None]]]:
    """Return what is stored of the accounts that a batch is about to write."""
    if not kinds & WRITES_ACCOUNT:
        return {}
    return stored_accounts(batch.connection, batch.ids(WRITES_ACCOUNT))
