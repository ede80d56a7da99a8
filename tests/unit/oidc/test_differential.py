"""The validator beside two libraries: they take what it takes, and where it is stricter is said."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import event, given, seed
from hypothesis import strategies as st

from syncd.oidc.compact import DEEPEST, MOST_MEMBERS
from syncd.oidc.keys import KeySet
from syncd.oidc.options import LARGEST_TOKEN_BYTES, LONGEST_AGE_SECONDS, ProviderOptions
from syncd.oidc.outcome import Kind, Reason, Refusal, Step
from syncd.oidc.validate import Validator
from tests import soak
from tests.minting import CLIENT, ISSUER, NONCE, NOW, encoded, key_set
from tests.unit.oidc.mutation import (
    CAME,
    EVENT,
    EXAMPLES,
    HASHES,
    KEYS,
    LONG_ENOUGH,
    OURS,
    TYPES,
    claims_of,
    headers,
    tokens,
)
from tests.unit.oidc.oracles import ALLOWED, AUDIENCE, Libraries, Seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.minting import Signer

SECRET = "client secret of at least thirty-two bytes"
OPTIONS = ProviderOptions(
    organization_id="acme",
    issuer=ISSUER,
    client_id=CLIENT,
    client_secret=SECRET,
    authorization_url=f"{ISSUER}authorize",
    token_url=f"{ISSUER}token",
    jwks_url=f"{ISSUER}jwks",
    allowed_algorithms=frozenset(ALLOWED),
    api_audience=AUDIENCE,
)
KEY_SET = KeySet.parse(key_set(*KEYS))
# By the allowed clock skew.
VALIDATORS = {
    skew: Validator(replace(OPTIONS, allowed_clock_skew_seconds=skew), KEY_SET) for skew in (0, 5)
}
LIBRARIES = Libraries(KEYS)


def ours(kind: Kind, text: str, skew: int = 0, told: list[Step] | None = None) -> Any:
    """Return what the validator says."""
    validator = VALIDATORS[skew]
    match kind:
        case Kind.ID:
            return validator.id_token(
                text, now=NOW, nonce=NONCE, access_token=CAME, code=CAME, told=told
            )
        case Kind.ACCESS:
            return validator.access_token(text, now=NOW, told=told)
        case Kind.LOGOUT:
            return validator.logout_token(text, now=NOW, told=told)


def _of(seen: Seen, name: str) -> Any:
    return seen.claims.get(name)


def _wrong_type(kind: Kind, seen: Seen) -> bool:
    fit: dict[Kind, set[str | None]] = {
        Kind.ID: {"jwt", None},
        Kind.ACCESS: {"at+jwt"},
        Kind.LOGOUT: {"jwt", "logout+jwt", None},
    }
    typ: str | None = seen.header.get("typ")
    return (typ.lower().removeprefix("application/") if typ is not None else None) not in fit[kind]


def _is_moment(time: object) -> bool:
    number = isinstance(time, int | float) and not isinstance(time, bool)
    return number and 0 <= cast("float", time) < 1e12


def _bad_time(_: Kind, seen: Seen) -> bool:
    # Both take 10**30 and times before 1970.
    times = [_of(seen, name) for name in ("exp", "iat", "nbf") if name in seen.claims]
    return not all(map(_is_moment, times))


def _bad_authentication_time(kind: Kind, seen: Seen) -> bool:
    at = _of(seen, "auth_time")
    return (
        kind is Kind.ID
        and "auth_time" in seen.claims
        and (not _is_moment(at) or at > NOW + seen.skew)
    )


def _bad_events(kind: Kind, seen: Seen) -> bool:
    events = _of(seen, "events")
    if kind is Kind.ID:
        return isinstance(events, dict) and EVENT in events
    return not (isinstance(events, dict) and isinstance(events.get(EVENT), dict))


def _bad_identifier(value: object) -> bool:
    return not (isinstance(value, str) and 0 < len(value) <= 512 and value.isprintable())


def _wrong_hash(kind: Kind, seen: Seen) -> bool:
    fits = HASHES[1] if seen.header["alg"] == "EdDSA" else HASHES[0]
    said = [_of(seen, name) for name in ("at_hash", "c_hash") if name in seen.claims]
    return kind is Kind.ID and any(each != fits for each in said)


def _bad_session(kind: Kind, seen: Seen) -> bool:
    # Access tokens need none and may say what they like.
    return kind is not Kind.ACCESS and "sid" in seen.claims and _bad_identifier(_of(seen, "sid"))


def _bad_subject(kind: Kind, seen: Seen) -> bool:
    sub = _of(seen, "sub")
    if kind is Kind.LOGOUT and "sub" not in seen.claims:
        return "sid" not in seen.claims
    return not (isinstance(sub, str) and 0 < len(sub) < 256 and sub.isascii() and sub.isprintable())


# Why a token is refused that both libraries take, and whether it can be seen that it is so. No
# other reason explains a disagreement: signatures, keys, algorithms, issuer, audience and the
# limits of time are decided as the libraries decide.
STRICTER: dict[Reason, Callable[[Kind, Seen], bool]] = {
    Reason.TOO_LARGE: lambda _, seen: len(seen.text) > LARGEST_TOKEN_BYTES,
    Reason.MALFORMED: lambda _, seen: (
        seen.odd_numbers
        or seen.odd_text
        or seen.depth > DEEPEST
        or seen.members > MOST_MEMBERS
        or not isinstance(seen.claims.get("scope", ""), str)
    ),
    Reason.DUPLICATE_MEMBER: lambda _, seen: seen.repeats,
    Reason.WRONG_TYPE: _wrong_type,
    Reason.CRITICAL_EXTENSION: lambda _, seen: bool({"crit", "b64"} & seen.header.keys()),
    Reason.BAD_KEY_ID: lambda _, seen: len(seen.header.get("kid", "")) > 512,
    Reason.WRONG_AUTHORIZED_PARTY: lambda kind, seen: (
        kind is Kind.ID and "azp" in seen.claims and _of(seen, "azp") != CLIENT
    ),
    # Core section 3.1.3.7: further audiences are refused unless they are trusted.
    Reason.WRONG_AUDIENCE: lambda kind, seen: (
        kind is not Kind.ACCESS and _of(seen, "aud") != CLIENT and set(_of(seen, "aud")) != {CLIENT}
    ),
    Reason.BAD_SUBJECT: _bad_subject,
    Reason.BAD_TIME: _bad_time,
    Reason.TOO_OLD: lambda kind, seen: (
        kind is not Kind.ACCESS and _of(seen, "iat") < NOW - LONGEST_AGE_SECONDS - seen.skew
    ),
    Reason.WRONG_NONCE: lambda kind, seen: kind is Kind.ID and _of(seen, "nonce") != NONCE,
    Reason.WRONG_AUTHENTICATION_TIME: _bad_authentication_time,
    Reason.WRONG_HASH: _wrong_hash,
    Reason.BAD_CLIENT: lambda kind, seen: (
        kind is Kind.ACCESS and _bad_identifier(_of(seen, "client_id"))
    ),
    Reason.BAD_IDENTIFIER: lambda kind, seen: (
        kind is not Kind.ID and _bad_identifier(_of(seen, "jti"))
    ),
    Reason.BAD_EVENTS: lambda kind, seen: kind is not Kind.ACCESS and _bad_events(kind, seen),
    Reason.BAD_SESSION: _bad_session,
    Reason.NONCE_PRESENT: lambda kind, seen: kind is Kind.LOGOUT and "nonce" in seen.claims,
}
# These hold whatever is refused first: of a token that is taken none does.
NEVER = [reason for reason in STRICTER if reason is not Reason.MALFORMED]


def _looser(kind: Kind, seen: Seen) -> str | None:
    """Return why a library may refuse what the validator takes; None: it may not."""
    if {"jku", "jwk", "x5u", "x5c", "cty"} & seen.header.keys():
        return "joserfc looks at members of the header that are not used here"
    if kind is Kind.ID and "jti" in seen.claims and not isinstance(_of(seen, "jti"), str):
        return "jti is not used in ID tokens"
    return None


@LONG_ENOUGH
@EXAMPLES
@seed(soak.SEED)
@given(tokens(), st.sampled_from(list(VALIDATORS)))
def test_what_is_taken_the_libraries_take_and_what_is_refused_is_explained(
    drawn: tuple[Kind, str], skew: int
) -> None:
    """Nothing crashes, no token is taken that a library refuses, and strictness has its reason."""
    kind, text = drawn
    told: list[Step] = []
    found = ours(kind, text, skew, told)
    assert ours(kind, text, skew) == found
    assert (told[-1].outcome == "failed") is isinstance(found, Refusal)
    pyjwt, joserfc = LIBRARIES.take(kind, text, skew)
    if isinstance(found, Refusal):
        event(found.reason)
        if pyjwt is not None and joserfc is not None:
            assert found.reason in STRICTER, found
            assert STRICTER[found.reason](kind, Seen(text, skew)), found
        return
    event(f"taken: {kind}")
    seen = Seen(text, skew)
    assert not [reason for reason in NEVER if STRICTER[reason](kind, seen)]
    assert not seen.odd_numbers
    assert not seen.odd_text
    if pyjwt is None or joserfc is None:
        assert _looser(kind, seen), (pyjwt, joserfc)
    if kind is not Kind.LOGOUT:
        assert json.dumps(found.claims.values) == json.dumps(seen.claims)


def _id(**changes: object) -> str:
    return OURS[0].token(claims_of(Kind.ID) | changes)


def _access(**changes: object) -> str:
    return OURS[0].token(claims_of(Kind.ACCESS) | changes, typ="at+jwt")


def _logout(**changes: object) -> str:
    claims = claims_of(Kind.LOGOUT) | changes
    return OURS[0].token({name: value for name, value in claims.items() if value is not None})


def _ending(end: str, encoding: str = "utf-8") -> str:
    """Return an ID token with further members, as they stand."""
    payload = json.dumps(claims_of(Kind.ID))[:-1] + end + "}"
    header = json.dumps(OURS[0].header()).encode()
    return OURS[0].sign(header, payload.encode(encoding, "surrogatepass"))


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (Kind.ID, _id(groups=["a" * 36] * 700), Reason.TOO_LARGE),
        (Kind.ID, _ending(', "x": NaN'), Reason.MALFORMED),
        (Kind.ID, _ending(', "x": 1e400'), Reason.MALFORMED),
        (Kind.ID, _ending(', "x": "\\ud800"'), Reason.MALFORMED),
        (Kind.ID, _ending(', "x": "\ud800"'), Reason.MALFORMED),
        (Kind.ID, _ending("", "utf-16"), Reason.MALFORMED),
        (Kind.ID, _ending("", "utf-8-sig"), Reason.MALFORMED),
        (Kind.ID, _ending(f', "x": {"[" * 100}{"]" * 100}'), Reason.MALFORMED),
        (Kind.ID, _ending(f', "sub": "{claims_of(Kind.ID)["sub"]}"'), Reason.DUPLICATE_MEMBER),
        (Kind.ID, _ending(', "x": [{"y": {"z": 1, "z": 1}}]'), Reason.DUPLICATE_MEMBER),
        (Kind.ID, OURS[0].token(claims_of(Kind.ID), typ="at+jwt"), Reason.WRONG_TYPE),
        (Kind.ACCESS, OURS[0].token(claims_of(Kind.ACCESS)), Reason.WRONG_TYPE),
        (
            Kind.ID,
            OURS[0].token(claims_of(Kind.ID), crit=["b64"], b64=True),
            Reason.CRITICAL_EXTENSION,
        ),
        (Kind.ID, _id(azp="other"), Reason.WRONG_AUTHORIZED_PARTY),
        (Kind.ID, _id(aud=[CLIENT, "other"]), Reason.WRONG_AUDIENCE),
        (Kind.ID, _id(sub="a" * 256), Reason.BAD_SUBJECT),
        (Kind.ID, _id(sub="\u2163"), Reason.BAD_SUBJECT),
        (Kind.ID, _id(auth_time="1"), Reason.WRONG_AUTHENTICATION_TIME),
        (Kind.ID, _id(exp=10**400), Reason.BAD_TIME),
        (Kind.ID, _id(iat=NOW - LONGEST_AGE_SECONDS - 1), Reason.TOO_OLD),
        (Kind.ID, _id(nonce=[NONCE]), Reason.WRONG_NONCE),
        (Kind.ID, _id(auth_time=NOW + 1), Reason.WRONG_AUTHENTICATION_TIME),
        (Kind.ID, _id(at_hash=HASHES[1]), Reason.WRONG_HASH),
        (Kind.ID, _id(at_hash=HASHES[0], c_hash=None), Reason.WRONG_HASH),
        (Kind.ACCESS, _access(client_id=7), Reason.BAD_CLIENT),
        (Kind.LOGOUT, _logout(jti="a\n"), Reason.BAD_IDENTIFIER),
        (Kind.LOGOUT, _logout(events={"other": {}}), Reason.BAD_EVENTS),
        (Kind.LOGOUT, _logout(sub=None, sid=None), Reason.BAD_SUBJECT),
        (Kind.LOGOUT, _logout(sid=""), Reason.BAD_SESSION),
        (Kind.ID, _id(events={EVENT: {}}), Reason.BAD_EVENTS),
        (Kind.ACCESS, _access(scope=["openid"]), Reason.MALFORMED),
        (Kind.LOGOUT, _logout(nonce=NONCE), Reason.NONCE_PRESENT),
    ],
    ids=lambda value: "" if isinstance(value, str) and "." in value else str(value),
)
def test_where_the_validator_is_stricter_than_the_libraries(
    kind: Kind, text: str, reason: Reason
) -> None:
    """Each disagreement that is explained: both libraries take the token, and it is refused."""
    assert None not in LIBRARIES.take(kind, text)
    found = ours(kind, text)
    assert isinstance(found, Refusal)
    assert found.reason is reason
    assert STRICTER[reason](kind, Seen(text))


@pytest.mark.parametrize("kind", Kind, ids=str)
@pytest.mark.parametrize("signer", OURS, ids=lambda each: str(each.algorithm))
def test_a_plain_token_is_taken_by_all_three(kind: Kind, signer: Signer) -> None:
    """The token that others differ from is right, of every kind and algorithm."""
    text = signer.token(claims_of(kind), typ=TYPES[kind])
    assert None not in LIBRARIES.take(kind, text)
    assert not isinstance(ours(kind, text), Refusal)


@LONG_ENOUGH
@EXAMPLES
@seed(soak.SEED)
@given(
    st.sampled_from(Kind),
    st.one_of(
        st.text(max_size=80),
        st.lists(st.text("AaQgw09-_=", max_size=12), max_size=6).map(".".join),
        st.lists(st.binary(max_size=30).map(encoded), min_size=3, max_size=3).map(".".join),
        st.tuples(headers(), st.binary(max_size=40), st.binary(max_size=80)).map(
            lambda parts: ".".join(map(encoded, parts))
        ),
    ),
)
def test_no_text_is_too_odd_to_be_refused(kind: Kind, text: str) -> None:
    """Whatever is shown as a token ends in a refusal."""
    assert isinstance(ours(kind, text), Refusal)
