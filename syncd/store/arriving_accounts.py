"""What a directory's word of one account makes of it, as ``accounts`` has it in SQL for plans.

For somebody who signs in: one person, whose restrictions have been read already. Tests hold both
against the same cases.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, delete, insert

from syncd.records import EVER, NEVER, AccountState
from syncd.store import schema
from syncd.store.account_journal import told_accounts
from syncd.store.accounts import (
    BEGINNING,
    DISABLED,
    END,
    EXPIRED,
    LOCKED,
    NOT_YET_VALID,
    cause,
    parsed,
)
from syncd.store.kinds import WRITES_ACCOUNT, Kind
from syncd.store.plan_scope import ACCOUNT_STATE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from syncd.store.editing.change import Change

X = schema.restrictions
NOTHING_HOLDS = AccountState(False, EVER, NEVER, EVER)
# A second and what two clocks may differ by.
SECOND_IS_OVER = timedelta(seconds=2)


class Stored(NamedTuple):
    """A restriction of the account state, as stored."""

    since: datetime
    until: datetime | None
    waiting: bool


class Read(NamedTuple):
    """When an entry changed, by its own word: as it was stored, and as it was read now."""

    stored: str | None
    now: str | None
    # When the run began that stored it.
    stored_by: datetime | None

    @property
    def moved(self) -> bool:
        """Whether attributes that are gone were taken from it, and not the right to read them."""
        if self.stored is None or self.now is None:
            return False
        if self.stored != self.now:
            return True
        # The second in which it was read was not over yet.
        return self.stored_by is not None and parsed(self.now) > self.stored_by - SECOND_IS_OVER


class Judged(NamedTuple):
    """What shall hold of an account, and what that changes; times as a plan has them."""

    kinds: Kind
    disabled: bool
    locked_until: datetime
    expires_at: datetime
    starts_at: datetime

    def row(self) -> Mapping[str, Any]:
        """Return it as the row of a plan."""
        return {
            "kinds": int(self.kinds),
            "disabled": DISABLED if self.disabled else "",
            "locked_until": self.locked_until,
            "expires_at": self.expires_at,
            "starts_at": self.starts_at,
        }

    def shuts(self, now: datetime) -> bool:
        """Return whether the account may not be used."""
        return (
            self.disabled
            or self.locked_until > now
            or self.expires_at <= now
            or self.starts_at > now
        )


def judge(
    said: AccountState | None, stored: Mapping[str, Stored], read: Read, now: datetime
) -> Judged:
    """Return what shall hold; what the directory is silent about stays as it is stored."""
    said = _resolved(said or NOTHING_HOLDS, read)
    lock, expiry, start = stored.get(LOCKED), stored.get(EXPIRED), stored.get(NOT_YET_VALID)
    disabled = DISABLED in stored if said.disabled is None else said.disabled
    kept_until = BEGINNING if lock is None else lock.until or END
    locked_until = kept_until if said.locked_until is None else parsed(said.locked_until)
    kept_expiry = END if expiry is None else expiry.since
    expires_at = kept_expiry if said.expires_at is None else parsed(said.expires_at)
    kept_start = BEGINNING if start is None else start.until or BEGINNING
    starts_at = kept_start if said.starts_at is None else parsed(said.starts_at)
    was_expired = expiry is not None and not expiry.waiting
    holds = disabled, expires_at <= now, starts_at > now
    was = DISABLED in stored, was_expired, start is not None
    locks, locked = locked_until > now, lock is not None
    kinds = Kind(0)
    if any(holds) != any(was):
        kinds |= Kind.DISABLE if any(holds) else Kind.ENABLE
    if locks != locked:
        kinds |= Kind.LOCK if locks else Kind.UNLOCK
    differs = (
        holds != was
        or expires_at != kept_expiry
        or (starts_at > now and starts_at != kept_start)
        or (locks and locked_until != kept_until)
    )
    if differs and not kinds:
        kinds = Kind.ACCOUNT
    return Judged(kinds, disabled, locked_until, expires_at, starts_at)


def _resolved(said: AccountState, read: Read) -> AccountState:
    """Return what is said, where a missing attribute says that nothing holds any more."""
    if not said.absent or not read.moved:
        return said
    gone, disabled = said.absent, said.disabled
    return said._replace(
        disabled=False if disabled is None and DISABLED in gone else disabled,
        locked_until=said.locked_until or (EVER if LOCKED in gone else None),
        expires_at=said.expires_at or (NEVER if EXPIRED in gone else None),
        starts_at=said.starts_at or (EVER if NOT_YET_VALID in gone else None),
    )


def write(change: Change, user_id: int, judged: Judged, stored: Mapping[str, Stored]) -> None:
    """Write what shall hold of an account; nothing where that is so already."""
    if not judged.kinds & WRITES_ACCOUNT:
        return
    now = change.now
    wanted = {
        DISABLED: Stored(now, None, waiting=False) if judged.disabled else None,
        LOCKED: (
            Stored(now, None if judged.locked_until >= END else judged.locked_until, waiting=False)
            if judged.locked_until > now
            else None
        ),
        EXPIRED: (
            Stored(judged.expires_at, None, waiting=judged.expires_at > now)
            if judged.expires_at < END
            else None
        ),
        NOT_YET_VALID: (
            Stored(now, judged.starts_at, waiting=False) if judged.starts_at > now else None
        ),
    }
    for reason, then in wanted.items():
        _settle(change, user_id, reason, stored.get(reason), then)
    rows = ((reason, each.since, each.until) for reason, each in stored.items())
    before, after = told_accounts(judged.row(), rows, now)
    because = cause(judged.row(), now)
    change.of_person(
        user_id, "restrictions", before, after | ({"because": because} if because else {})
    )


def _settle(
    change: Change, user_id: int, reason: str, was: Stored | None, then: Stored | None
) -> None:
    """Let one reason be stored as wanted, and keep since when where it is so already."""
    if was is not None and then is not None and _same(reason, was, then):
        return
    if was is not None:
        mine = and_(X.c.user_id == user_id, X.c.source == ACCOUNT_STATE, X.c.reason == reason)
        change.connection.execute(delete(X).where(mine))
    if then is not None:
        change.connection.execute(
            insert(X).values(
                user_id=user_id,
                source=ACCOUNT_STATE,
                reason=reason,
                organization_id=change.organization_id,
                **then._asdict(),
            )
        )


def _same(reason: str, was: Stored, then: Stored) -> bool:
    if reason == EXPIRED:
        return was.since == then.since and was.waiting == then.waiting
    return was.until == then.until
