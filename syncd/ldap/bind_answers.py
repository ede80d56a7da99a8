"""What a server's answer to somebody's bind means: let in, or a reason of a closed set.

Products say the same in different places: OpenLDAP, OpenDJ and 389 in the control of the password
policy draft (draft-behera-ldap-password-policy), older 389 in Netscape's controls or in words,
Active Directory in a hexadecimal code within the diagnostic message. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from syncd.errors import DirectoryUnavailable
from syncd.ldap import ber, results
from syncd.ldap.messages import Control

if TYPE_CHECKING:
    from syncd.ldap.messages import Result

UNKNOWN_USER: Final = "unknown_user"
SEVERAL_USERS: Final = "several_users"
WRONG_PASSWORD: Final = "wrong_password"  # noqa: S105 - a reason
LOCKED: Final = "locked"
DISABLED: Final = "disabled"
EXPIRED: Final = "expired"
PASSWORD_EXPIRED: Final = "password_expired"  # noqa: S105 - a reason
MUST_CHANGE_PASSWORD: Final = "must_change_password"  # noqa: S105 - a reason
# Logon hours, logon workstations.
NOT_NOW: Final = "not_now"
NOT_HERE: Final = "not_here"
REFUSED_BIND: Final = "refused_bind"
OTHER_IDENTITY: Final = "other_identity"
NO_PASSWORD: Final = "no_password"  # noqa: S105 - a reason

# What a bind asks for the policy's word with; a server that does not know it passes over it.
POLICY: Final = Control("1.3.6.1.4.1.42.2.27.8.5.1")
_NETSCAPE_EXPIRED: Final = "2.16.840.1.113730.3.4.4"

_WARNING, _ERROR = 0xA0, 0x81
_SECONDS_LEFT, _GRACE_LEFT = 0x80, 0x81
_POLICY_ERRORS: Final = {0: PASSWORD_EXPIRED, 1: LOCKED, 2: MUST_CHANGE_PASSWORD}

# Active Directory's, as in ``results.bind_advice``.
_CODES: Final = {
    "525": UNKNOWN_USER,
    "52e": WRONG_PASSWORD,
    "530": NOT_NOW,
    "531": NOT_HERE,
    "532": PASSWORD_EXPIRED,
    "533": DISABLED,
    "701": EXPIRED,
    "773": MUST_CHANGE_PASSWORD,
    "775": LOCKED,
}
_CODE: Final = re.compile(r"\bdata ([0-9a-f]+)\b", re.IGNORECASE)
# 389's and FreeIPA's, whose control calls an inactive account a locked one.
_WORDS: Final = (
    ("inactivated", DISABLED),
    ("retry limit", LOCKED),
    ("too many failed logins", LOCKED),
    ("principal) is expired", EXPIRED),
)
_TROUBLE: Final = frozenset(
    {
        results.OPERATIONS_ERROR,
        results.TIME_LIMIT_EXCEEDED,
        results.BUSY,
        results.UNAVAILABLE,
        results.OTHER,
    }
)


class BindAnswer(NamedTuple):
    """What a bind came to."""

    # None lets the person in.
    refusal: str | None
    # What the administrator may want to know of somebody who is let in.
    warning: str | None = None


class _Policy(NamedTuple):
    error: str | None = None
    seconds_left: int | None = None
    grace_left: int | None = None


def read_answer(url: str, result: Result) -> BindAnswer:
    """Return what the answer to a bind means.

    Raises:
        DirectoryUnavailable: The server is in trouble, which says nothing of the password.

    """
    policy = _policy(result)
    if result.code == results.SUCCESS:
        return _let_in(result, policy)
    if result.code in _TROUBLE:
        raise DirectoryUnavailable(
            f"{url} answered the bind of a person with {results.describe(result)}; try again later."
        )
    if found := _CODE.search(result.message):
        return BindAnswer(_CODES.get(found[1].lower(), REFUSED_BIND))
    said = result.message.lower()
    for words, refusal in _WORDS:
        if words in said:
            return BindAnswer(refusal)
    if policy is not None and policy.error is not None:
        return BindAnswer(policy.error)
    if result.code != results.INVALID_CREDENTIALS:
        return BindAnswer(REFUSED_BIND)
    expired = result.control(_NETSCAPE_EXPIRED) is not None
    return BindAnswer(PASSWORD_EXPIRED if expired else WRONG_PASSWORD)


def _let_in(result: Result, policy: _Policy | None) -> BindAnswer:
    if policy is None:
        # With success it says that nothing but a new password is allowed.
        reset = result.control(_NETSCAPE_EXPIRED) is not None
        return BindAnswer(MUST_CHANGE_PASSWORD if reset else None)
    if policy.error is not None:
        return BindAnswer(policy.error)
    if policy.grace_left is not None:
        return BindAnswer(
            None, f"the password has expired; {policy.grace_left} sign-ins are left with it"
        )
    if policy.seconds_left is not None:
        return BindAnswer(None, f"the password expires in {policy.seconds_left} seconds")
    return BindAnswer(None)


def _policy(result: Result) -> _Policy | None:
    """Return what the password policy's control says; None without one that can be read."""
    control = result.control(POLICY.oid)
    if control is None:
        return None
    value = control.value or b"\x30\x00"
    try:
        start, end = ber.expect(value, 0, len(value), ber.SEQUENCE)
        found = _Policy()
        for tag, at, stop in ber.elements(value, start, end):
            if tag == _ERROR:
                number = ber.read_integer(value, at, stop)
                found = found._replace(error=_POLICY_ERRORS.get(number, REFUSED_BIND))
            elif tag == _WARNING:
                kind, inner, inner_stop = ber.read(value, at, stop)
                number = ber.read_integer(value, inner, inner_stop)
                if kind == _SECONDS_LEFT:
                    found = found._replace(seconds_left=number)
                elif kind == _GRACE_LEFT:
                    found = found._replace(grace_left=number)
    except (ber.Malformed, IndexError):
        return None
    return found
