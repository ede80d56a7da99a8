"""Owns the keys of mappers of type ``account-state``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field

from syncd.settings.conflict import Conflict, conflict, warning
from syncd.settings.values import CommaList, Duration, Flag, Kind, Section, Text
from syncd.settings.vendors import VENDOR_DEFAULTS

# Every attribute whose meaning is known; a test holds them equal to the mappers'.
ATTRIBUTES = (
    "userAccountControl",
    "accountExpires",
    "msDS-User-Account-Control-Computed",
    "lockoutTime",
    "nsAccountLock",
    "accountUnlockTime",
    "krbPrincipalExpiration",
    "pwdAccountLockedTime",
    "pwdStartTime",
    "pwdEndTime",
    "shadowExpire",
    "loginDisabled",
    "loginExpirationTime",
    "ds-pwp-account-disabled",
    "ds-pwp-account-expiration-time",
)
_SPELLINGS = {name.lower(): name for name in ATTRIBUTES}
# Unlocking sets these anew and takes none of them away.
_SET_TO_UNLOCK = frozenset(
    {
        "userAccountControl",
        "accountExpires",
        "msDS-User-Account-Control-Computed",
        "lockoutTime",
    }
)
_LOCKS = frozenset({"lockoutTime", "pwdAccountLockedTime"})


def _spelled(name: str) -> str:
    found = _SPELLINGS.get(name.lower())
    if found is None:
        listed = ", ".join(ATTRIBUTES)
        raise ValueError(f"must be attributes whose meaning is known: {listed}")
    return found


def _all_spelled(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(_spelled, names)))


def _keys_spelled(names: dict[str, str]) -> dict[str, str]:
    return {_spelled(name): attribute for name, attribute in names.items()}


class AccountState(Section):
    """Whether people may use their accounts, as the directory's own attributes say."""

    attributes: Annotated[CommaList, AfterValidator(_all_spelled)] | None = Field(
        default=None,
        examples=[["nsAccountLock", "shadowExpire"]],
        description=(
            "Which attributes count: "
            + ", ".join(f"`{name}`" for name in ATTRIBUTES)
            + ". Default: the vendor's `account_state_attributes` in the table above."
        ),
    )
    attribute_names: Annotated[
        dict[Text, Text], AfterValidator(_keys_spelled), Kind("mapping of name to name")
    ] = Field(
        default_factory=dict,
        examples=[{"nsAccountLock": "accountLocked"}],
        description="What this directory calls one of them, where it is not the usual name.",
    )
    lockout_duration: Duration | None = Field(
        default=None,
        examples=["30m"],
        description=(
            "How long a lockout lasts after `lockoutTime` or `pwdAccountLockedTime`, as the "
            "directory's password policy has it; `0` is until somebody resets it. Those times "
            "stay after a lockout has ended, so without the duration they say nothing."
        ),
    )
    trust_absence: Flag = Field(
        default=False,
        description=(
            "A missing attribute lifts its restriction at once. Otherwise it does when the entry's "
            "modification time has moved as well, which tells an unlocked account from a bind "
            "account that lost a right. For attributes that the server computes or takes away "
            "without a new time."
        ),
    )

    def conflicts(self, vendor: str | None = None) -> Iterator[Conflict]:
        """Yield what contradicts itself; ``vendor`` is the directory's."""
        used = self._used(vendor)
        if not used:
            yield conflict(
                "attributes",
                because=f"is missing, and the vendor {vendor} has no attributes of its own; name "
                "those that say whether an account may be used",
            )
        for name in sorted(self.attribute_names.keys() - set(used)):
            yield warning(
                "attribute_names",
                "attributes",
                because=f"names {name}, which does not count here",
            )
        if self.lockout_duration is not None and not _LOCKS & set(used):
            yield warning(
                "lockout_duration",
                "attributes",
                because=f"has no effect: it belongs to {' and '.join(sorted(_LOCKS))}",
            )

    def needs_time(self, vendor: str | None = None) -> bool:
        """Return whether missing attributes are told by the entries' modification times."""
        return not self.trust_absence and not _SET_TO_UNLOCK.issuperset(self._used(vendor))

    def _used(self, vendor: str | None) -> tuple[str, ...]:
        defaults = VENDOR_DEFAULTS.get(vendor or "other", {}).get("account_state_attributes", ())
        return self.attributes or tuple(defaults)
