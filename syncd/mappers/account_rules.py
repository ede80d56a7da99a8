"""What the attributes of account states mean, in each product's own words: a value, a statement.

Pure tables and arithmetic. A value that cannot be read raises ValueError or MappingError.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from syncd.errors import cut
from syncd.mappers.account_options import (
    ACCOUNT_CONTROL,
    COMPUTED_CONTROL,
    DISABLED,
    EXPIRED,
    LOCKED,
    LOCKOUT_TIME,
    NOT_YET_VALID,
    PPOLICY_LOCKED,
)
from syncd.records import EVER, NEVER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from syncd.mappers.codec import Codec

# Bits of userAccountControl (MS-ADTS 2.2.16).
ACCOUNT_DISABLE = 0x2
LOCKOUT = 0x10
# Of 100 nanoseconds, since 1601-01-01.
TICKS_A_SECOND = 10_000_000
TICKS_TO_1970 = 11_644_473_600 * TICKS_A_SECOND
NO_EXPIRY_TICKS = 0x7FFF_FFFF_FFFF_FFFF
SECONDS_A_DAY = 86_400
LATEST_SECOND = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())
# What an administrator writes to lock an account until he takes it away again (draft-behera-ldap-
# password-policy, section 5.3.3).
LOCKED_FOR_GOOD = re.compile(rb"000001010000(00)?Z")
NOTHING_SAID = "no statement"

_INTEGER = re.compile(rb"-?[0-9]{1,20}")
_FLAGS = {b"true": True, b"false": False}
_1970 = datetime(1970, 1, 1, tzinfo=UTC)

# A reason, and for "disabled" whether it holds, for "expired" from when, for the others until when.
Statement: TypeAlias = tuple[str, bool | str]
# The fields of ``AccountState`` that the reasons stand in, and what they are when it does not hold.
FIELDS: Mapping[str, str] = {
    DISABLED: "disabled",
    LOCKED: "locked_until",
    EXPIRED: "expires_at",
    NOT_YET_VALID: "starts_at",
}
FREE: Mapping[str, bool | str] = {
    DISABLED: False,
    LOCKED: EVER,
    EXPIRED: NEVER,
    NOT_YET_VALID: EVER,
}


class Rule(NamedTuple):
    """How one attribute is read."""

    # The reasons that it speaks of.
    reasons: tuple[str, ...]
    read: Callable[[bytes], Sequence[Statement]]
    # Whether a missing attribute means that its reasons do not hold.
    absent_lifts: bool = True


def strictest(reason: str, statements: Sequence[bool | str]) -> bool | str:
    """Return what several statements about one reason amount to: OR."""
    return min(statements) if reason == EXPIRED else max(statements)


def compile_rules(lockout_duration: float | None, codec: Codec) -> dict[str, Rule]:
    """Return the rule of each attribute that says something.

    ``lockout_duration`` is in seconds; 0 is until somebody resets it. With None the times at which
    accounts were locked say nothing: they stay after a lockout has ended.
    """

    def seconds(value: bytes) -> int:
        return int(codec.time(value.strip()).timestamp() // 1)

    def expires(value: bytes) -> Sequence[Statement]:
        return ((EXPIRED, _iso(seconds(value))),)

    def expires_unless_zero(value: bytes) -> Sequence[Statement]:
        return ((EXPIRED, _iso(seconds(value) or LATEST_SECOND)),)

    def unlocks(value: bytes) -> Sequence[Statement]:
        return ((LOCKED, _iso(seconds(value) or LATEST_SECOND)),)

    def until(locked: int) -> str:
        return _iso(locked + int(lockout_duration)) if lockout_duration else NEVER

    def locked_time(value: bytes) -> Sequence[Statement]:
        if LOCKED_FOR_GOOD.fullmatch(value.strip()):
            return ((DISABLED, True), (LOCKED, EVER))
        return ((DISABLED, False), (LOCKED, until(seconds(value))))

    def locked_for_good(value: bytes) -> Sequence[Statement]:
        return locked_time(value)[:1]

    def lockout_time(value: bytes) -> Sequence[Statement]:
        ticks = _ticks(value)
        return ((LOCKED, until(_of_ticks(ticks)) if ticks else EVER),)

    rules = {
        ACCOUNT_CONTROL: Rule((DISABLED,), _account_control, absent_lifts=False),
        "accountExpires": Rule((EXPIRED,), _account_expires),
        COMPUTED_CONTROL: Rule((LOCKED,), _computed_control, absent_lifts=False),
        "nsAccountLock": Rule((DISABLED,), _flag),
        # Both write the beginning of 1970 for a zero: for good, and never.
        "accountUnlockTime": Rule((LOCKED,), unlocks),
        "krbPrincipalExpiration": Rule((EXPIRED,), expires_unless_zero),
        PPOLICY_LOCKED: Rule((DISABLED,), locked_for_good),
        "pwdStartTime": Rule(
            (NOT_YET_VALID,), lambda value: ((NOT_YET_VALID, _iso(seconds(value))),)
        ),
        "pwdEndTime": Rule((EXPIRED,), expires),
        "shadowExpire": Rule((EXPIRED,), _shadow_expire),
        "loginDisabled": Rule((DISABLED,), _flag),
        "loginExpirationTime": Rule((EXPIRED,), expires),
        "ds-pwp-account-disabled": Rule((DISABLED,), _flag),
        "ds-pwp-account-expiration-time": Rule((EXPIRED,), expires),
    }
    if lockout_duration is not None:
        rules[PPOLICY_LOCKED] = Rule((DISABLED, LOCKED), locked_time)
        rules[LOCKOUT_TIME] = Rule((LOCKED,), lockout_time)
    return rules


def _iso(seconds: int) -> str:
    """Return the time so many seconds after 1970; one beyond all calendars never comes."""
    if seconds >= LATEST_SECOND:
        return NEVER
    moment = _1970 + timedelta(seconds=seconds)
    return f"{moment.replace(tzinfo=None).isoformat()}Z"


def _integer(value: bytes) -> int:
    if _INTEGER.fullmatch(value.strip()) is None:
        raise ValueError(f"{cut(ascii(value), 64)} is not a whole number")
    return int(value)


def _ticks(value: bytes) -> int:
    ticks = _integer(value)
    if not 0 <= ticks <= NO_EXPIRY_TICKS:
        raise ValueError(f"{ticks} is not a time: whole numbers from 0 to {NO_EXPIRY_TICKS} are")
    return ticks


def _of_ticks(ticks: int) -> int:
    return (ticks - TICKS_TO_1970) // TICKS_A_SECOND


def _account_control(value: bytes) -> Sequence[Statement]:
    return ((DISABLED, bool(_integer(value) & ACCOUNT_DISABLE)),)


def _computed_control(value: bytes) -> Sequence[Statement]:
    return ((LOCKED, NEVER if _integer(value) & LOCKOUT else EVER),)


def _account_expires(value: bytes) -> Sequence[Statement]:
    ticks = _ticks(value)
    never = ticks in (0, NO_EXPIRY_TICKS)
    return ((EXPIRED, NEVER if never else _iso(_of_ticks(ticks))),)


def _shadow_expire(value: bytes) -> Sequence[Statement]:
    """Days since 1970: the last day of the account; -1 is never (shadow(5)).

    A zero "should not be used"; those who check sign-ins take it for the first day of 1970.
    """
    days = _integer(value)
    if days < -1:
        raise ValueError(f"{days} is not a number of days: -1 for never, 0 or more are")
    return ((EXPIRED, NEVER if days < 0 else _iso((days + 1) * SECONDS_A_DAY)),)


def _flag(value: bytes) -> Sequence[Statement]:
    found = _FLAGS.get(value.strip().lower())
    if found is None:
        raise ValueError(f"{cut(ascii(value), 64)} is neither TRUE nor FALSE")
    return ((DISABLED, found),)
