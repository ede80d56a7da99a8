"""The checks of a token's times (OpenID Connect Core section 3.1.3.7, RFC 7519 section 4.1).

All in seconds since 1970, fractions allowed. The allowed skew widens each bound by itself and
includes its edge where the rule does: a token is over at ``exp``, and was made at ``iat``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeGuard

from syncd.oidc.checks import Check, said
from syncd.oidc.outcome import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.oidc.checks import Examined, Found

# The end of the year 9999: what is later is no date that a provider meant.
LAST_MOMENT = 253_402_300_799
CLOCKS = "check both clocks, or set allowed_clock_skew"


def is_moment(value: object) -> TypeGuard[float]:
    """Return whether it is a date as tokens have it: a number, and not too large for a date."""
    # Not isinstance: true and false are numbers to Python.
    return (type(value) is int or type(value) is float) and 0 <= value <= LAST_MOMENT


def _no_moment(claims: dict[str, Any], name: str, reason: Reason = Reason.BAD_TIME) -> Refusal:
    return Refusal(reason, f"{said(claims, name)}, and has to be seconds since 1970")


def _expiry(token: Examined) -> Found:
    exp = token.claims.get("exp")
    if not is_moment(exp):
        return _no_moment(token.claims, "exp")
    if exp + token.options.allowed_clock_skew_seconds > token.now:
        return None
    return Refusal(Reason.EXPIRED, f"the token expired {token.now - exp:.0f} s ago: {CLOCKS}")


def _not_before(token: Examined) -> Found:
    if "nbf" not in token.claims:
        return "the token has no nbf"
    nbf = token.claims["nbf"]
    if not is_moment(nbf):
        return _no_moment(token.claims, "nbf")
    if nbf <= token.now + token.options.allowed_clock_skew_seconds:
        return None
    return Refusal(
        Reason.NOT_YET_VALID, f"the token is valid in {nbf - token.now:.0f} s only: {CLOCKS}"
    )


def _issued_at(token: Examined) -> Found:
    iat = token.claims.get("iat")
    if not is_moment(iat):
        return _no_moment(token.claims, "iat")
    if iat <= token.now + token.options.allowed_clock_skew_seconds:
        return None
    return Refusal(
        Reason.ISSUED_IN_FUTURE, f"iat is {iat - token.now:.0f} s in the future: {CLOCKS}"
    )


def _age(token: Examined) -> Found:
    options = token.options
    age = token.now - token.claims["iat"]
    if age <= options.longest_age_seconds + options.allowed_clock_skew_seconds:
        return None
    return Refusal(
        Reason.TOO_OLD,
        f"the token was made {age:.0f} s ago, and {options.longest_age_seconds:.0f} s is the most "
        f"that is taken: {CLOCKS}",
    )


def _authentication_time(token: Examined) -> Found:
    claims, longest = token.claims, token.max_age
    if "auth_time" not in claims and longest is None:
        return "the token has no auth_time, and nobody asked for it"
    at = claims.get("auth_time")
    wrong = Reason.WRONG_AUTHENTICATION_TIME
    if not is_moment(at):
        return _no_moment(claims, "auth_time", wrong)
    skew = token.options.allowed_clock_skew_seconds
    if at > token.now + skew:
        return Refusal(wrong, f"auth_time is {at - token.now:.0f} s in the future: {CLOCKS}")
    if longest is not None and token.now - at > longest + skew:
        return Refusal(
            wrong,
            f"the person signed in {token.now - at:.0f} s ago, and {longest} s was asked for",
        )
    return None


def _shows(name: str) -> Callable[[Examined], str]:
    def shows(token: Examined) -> str:
        at = token.claims[name]
        written = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
        away = round(at - token.now)
        relative = f"in {away} s" if away > 0 else f"{-away} s ago"
        return f"{name} {written.replace('+00:00', 'Z')}, {relative}"

    return shows


EXPIRY = Check("expiry", _expiry, _shows("exp"))
NOT_BEFORE = Check("not_before", _not_before, _shows("nbf"))
ISSUED_AT = Check("issued_at", _issued_at, _shows("iat"))
AGE = Check("age", _age, lambda token: f"{token.now - token.claims['iat']:.0f} s")
AUTHENTICATION_TIME = Check("authentication_time", _authentication_time, _shows("auth_time"))
