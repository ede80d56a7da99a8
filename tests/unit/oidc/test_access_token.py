"""Access tokens at the API (RFC 9068 section 4)."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.oidc.outcome import Reason
from syncd.oidc.tokens import AccessToken
from tests.minting import CLIENT, ISSUER, NONCE, NOW, SUBJECT, Signer, claims, signer
from tests.unit.oidc.judging import API, SECRET, TAKEN, validator, verdict

RS256 = signer()
ALLOWED = frozenset({"RS256", "HS256"})
NULL: Any = object()


def access_claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a plain access token; a change to None leaves the member out."""
    usual: dict[str, Any] = {"aud": API, "client_id": "cli", "jti": "t-1", "nonce": None}
    said = claims(**usual | changes)
    return {name: None if value is NULL else value for name, value in said.items()}


def judged(header: dict[str, Any] | None = None, **changes: Any) -> str:
    """Return what is said of the usual claims with these changes."""
    token = RS256.token(access_claims(**changes), **{"typ": "at+jwt"} | (header or {}))
    return verdict(validator().access_token(token, now=NOW))


def test_a_plain_token() -> None:
    """A plain token says who calls, through which client, and what for."""
    said = access_claims(scope="people:read  people:write", aud=["other", API], roles=["a"])
    token = RS256.token(said, typ="application/AT+JWT")
    found = validator().access_token(token, now=NOW)
    assert isinstance(found, AccessToken)
    assert (found.claims.issuer, found.claims.subject) == (ISSUER, SUBJECT)
    assert (found.client_id, found.token_id, found.expires_at) == ("cli", "t-1", NOW + 300)
    assert found.scope == {"people:read", "people:write"}
    assert found.claims.values["roles"] == ["a"]


@pytest.mark.rule("A1", server="pure")
@pytest.mark.parametrize(
    "typ", ["JWT", None, "id+jwt", "logout+jwt", "at", "jwt+at", 5, ["at+jwt"], ""], ids=str
)
def test_other_kinds(typ: object) -> None:
    """A token that does not say that it is an access token is none, whatever its claims are."""
    assert judged({"typ": typ}) is Reason.WRONG_TYPE
    id_token = RS256.token(claims(), typ=typ)
    assert verdict(validator().access_token(id_token, now=NOW)) is Reason.WRONG_TYPE


def test_an_access_token_signs_nobody_in() -> None:
    """An access token is no ID token, though it were for the same audience."""
    token = RS256.token(access_claims(aud=CLIENT, nonce=NONCE), typ="at+jwt")
    assert verdict(validator().id_token(token, now=NOW, nonce=NONCE)) is Reason.WRONG_TYPE


@pytest.mark.rule("A2", server="pure")
@pytest.mark.parametrize(
    ("name", "expected", "values"),
    [
        ("iss", Reason.WRONG_ISSUER, (f"{ISSUER}x", [ISSUER])),
        ("exp", Reason.BAD_TIME, ("1800000300", True)),
        ("exp", Reason.EXPIRED, (NOW, NOW - 1)),
        (
            "aud",
            Reason.WRONG_AUDIENCE,
            (CLIENT, [], [CLIENT], {API: API}, [API, 5], f"{API}/", API.upper()),
        ),
        ("sub", Reason.BAD_SUBJECT, ("", 5, "s" * 256)),
        ("client_id", Reason.BAD_CLIENT, ("", 5, ["cli"])),
        ("iat", Reason.BAD_TIME, ("1800000000",)),
        ("iat", Reason.ISSUED_IN_FUTURE, (NOW + 1,)),
        ("jti", Reason.BAD_IDENTIFIER, ("", 5, "j" * 513, "j\u0000")),
    ],
)
def test_claims(name: str, expected: Reason, values: tuple[object, ...]) -> None:
    """Each claim of RFC 9068 has to be there and be one."""
    for value in values:
        assert judged(None, **{name: value}) is expected
    if expected not in {Reason.EXPIRED, Reason.ISSUED_IN_FUTURE}:
        assert judged(None, **{name: None}) is expected
        assert judged(None, **{name: NULL}) is expected


def test_claims_that_may_be_there() -> None:
    """An access token may be valid later, be old, and have claims that ID tokens are held by."""
    assert judged(nbf=NOW + 1) is Reason.NOT_YET_VALID
    assert judged(nbf="later") is Reason.BAD_TIME
    assert judged(iat=NOW - 86_400) == TAKEN
    assert judged(azp="another client", nonce="n", auth_time=0, sid=5) == TAKEN


@pytest.mark.rule("A3", server="pure")
def test_algorithms() -> None:
    """No access token is unsigned or signed with a secret, even where ID tokens may be."""
    judge = validator(allowed_algorithms=ALLOWED)
    for key, header in (
        (Signer("HS256", None, SECRET.encode()), {}),
        (Signer("HS256", "k1", SECRET.encode()), {}),
        (RS256, {"alg": "none"}),
        (RS256, {"alg": "NONE"}),
        (signer("ES384", "k1"), {}),
    ):
        token = key.token(access_claims(), typ="at+jwt", **header)
        assert verdict(judge.access_token(token, now=NOW)) is Reason.ALGORITHM_NOT_ALLOWED
    forged = signer("RS256", "stranger").token(access_claims(), typ="at+jwt", kid="k1")
    assert verdict(judge.access_token(forged, now=NOW)) is Reason.BAD_SIGNATURE
    trusting = validator(validate_signatures=False)
    assert verdict(trusting.access_token(forged, now=NOW)) is Reason.BAD_SIGNATURE


@pytest.mark.rule("A4", server="pure")
@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("people", TAKEN),
        ("openid people email", TAKEN),
        (None, Reason.INSUFFICIENT_SCOPE),
        ("", Reason.INSUFFICIENT_SCOPE),
        ("peoples", Reason.INSUFFICIENT_SCOPE),
        ("People", Reason.INSUFFICIENT_SCOPE),
        ("openid,people", Reason.INSUFFICIENT_SCOPE),
        ("openid\tpeople", Reason.INSUFFICIENT_SCOPE),
        (["people"], Reason.MALFORMED),
        (NULL, Reason.MALFORMED),
    ],
    ids=lambda value: ascii(value)[:24].split(" at 0x")[0],
)
def test_scopes(scope: object, expected: str) -> None:
    """The scope that is asked for has to be one of the token's words."""
    token = RS256.token(access_claims(scope=scope), typ="at+jwt")
    found = validator(api_scope="people").access_token(token, now=NOW)
    assert verdict(found) == expected


@pytest.mark.rule("A4", server="pure")
def test_what_is_wrong_comes_before_what_is_too_little() -> None:
    """Of an expired or forged token nobody learns whether its scope would do."""
    judge = validator(api_scope="people")
    expired = RS256.token(access_claims(exp=NOW), typ="at+jwt")
    assert verdict(judge.access_token(expired, now=NOW)) is Reason.EXPIRED
    forged = RS256.token(access_claims(), typ="at+jwt")[:-8] + "AAAAAAAA"
    assert verdict(judge.access_token(forged, now=NOW)) in {
        Reason.BAD_SIGNATURE,
        Reason.MALFORMED,
    }


def test_a_provider_without_an_audience() -> None:
    """Without api_audience no access token is taken, and its claims are not looked at."""
    judge = validator(api_audience=None)
    for audience in (API, CLIENT, None, "None"):
        token = RS256.token(access_claims(aud=audience), typ="at+jwt")
        assert verdict(judge.access_token(token, now=NOW)) is Reason.WRONG_AUDIENCE
