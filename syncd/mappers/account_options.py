"""What an administrator may set on the ``account-state`` mapper, and the attributes that it knows.

Field names are the YAML keys. Which attributes a directory product has is the vendor's business;
what each of them means stands in ``account_state``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

DISABLED, LOCKED, EXPIRED, NOT_YET_VALID = "disabled", "locked", "expired", "not_yet_valid"
REASONS = (DISABLED, LOCKED, EXPIRED, NOT_YET_VALID)

ACCOUNT_CONTROL = "userAccountControl"
COMPUTED_CONTROL = "msDS-User-Account-Control-Computed"
LOCKOUT_TIME = "lockoutTime"
PPOLICY_LOCKED = "pwdAccountLockedTime"
# Every attribute that the mapper can read.
ATTRIBUTES = (
    ACCOUNT_CONTROL,
    "accountExpires",
    COMPUTED_CONTROL,
    LOCKOUT_TIME,
    "nsAccountLock",
    "accountUnlockTime",
    "krbPrincipalExpiration",
    PPOLICY_LOCKED,
    "pwdStartTime",
    "pwdEndTime",
    "shadowExpire",
    "loginDisabled",
    "loginExpirationTime",
    "ds-pwp-account-disabled",
    "ds-pwp-account-expiration-time",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStateOptions:
    """``account-state``: whether people may use their accounts, from the directory's attributes."""

    type: ClassVar[str] = "account-state"
    name: str
    # Which of ATTRIBUTES count, in their spelling.
    attributes: tuple[str, ...] = ()
    # From one of ATTRIBUTES to what this directory calls it.
    attribute_names: Mapping[str, str] = field(default_factory=dict)
    # Seconds of a lockout, 0 until somebody resets it; None: lockout times say nothing.
    lockout_duration: float | None = None
    # Whether a missing attribute lifts its restriction at once, without the entry having changed.
    trust_absence: bool = False
