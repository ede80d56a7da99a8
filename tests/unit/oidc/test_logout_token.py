"""Logout tokens (Back-Channel Logout sections 2.4 to 2.8)."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.oidc.claims import LOGOUT_EVENT
from syncd.oidc.outcome import Reason
from syncd.oidc.tokens import LogoutToken
from tests.minting import CLIENT, ISSUER, NONCE, NOW, SUBJECT, Signer, claims, signer
from tests.unit.oidc.judging import SECRET, TAKEN, id_verdict, validator, verdict

RS256 = signer()
NULL: Any = object()


def logout_claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a plain logout token; a change to None leaves the member out."""
    usual: dict[str, Any] = {
        "jti": "l-1",
        "sid": "s-1",
        "events": {LOGOUT_EVENT: {}},
        "nonce": None,
    }
    said = claims(**usual | changes)
    return {name: None if value is NULL else value for name, value in said.items()}


def judged(header: dict[str, Any] | None = None, skew: float = 0.0, **changes: Any) -> str:
    """Return what is said of the usual claims with these changes."""
    token = RS256.token(logout_claims(**changes), **{"typ": "logout+jwt"} | (header or {}))
    judge = validator(allowed_clock_skew_seconds=skew)
    return verdict(judge.logout_token(token, now=NOW))


@pytest.mark.rule("L1", server="pure")
def test_a_plain_token() -> None:
    """A logout token says whose sessions end, and may have claims that nobody knows."""
    token = RS256.token(logout_claims(extra={"a": 1}), typ="logout+jwt")
    found = validator().logout_token(token, now=NOW)
    assert found == LogoutToken(ISSUER, SUBJECT, "s-1", "l-1", NOW + 300)


@pytest.mark.rule("L2", server="pure")
def test_whom_it_names() -> None:
    """A session, a subject or both are named, each as a text."""
    for changes, subject, session in (
        ({"sub": None}, None, "s-1"),
        ({"sid": None}, SUBJECT, None),
    ):
        found = validator().logout_token(RS256.token(logout_claims(**changes)), now=NOW)
        assert isinstance(found, LogoutToken)
        assert (found.subject, found.session_id) == (subject, session)
    assert judged(sub=None, sid=None) is Reason.BAD_SUBJECT
    for wrong in ("", 5, NULL, "s" * 256):
        assert judged(sub=wrong) is Reason.BAD_SUBJECT
    for odd in ("", 5, NULL, ["s-1"]):
        assert judged(sid=odd) is Reason.BAD_SESSION
        assert judged(sub=None, sid=odd) is Reason.BAD_SESSION


@pytest.mark.rule("L3", server="pure")
@pytest.mark.parametrize(
    "events",
    [
        None,
        NULL,
        LOGOUT_EVENT,
        [LOGOUT_EVENT],
        {},
        {"http://schemas.openid.net/event/other": {}},
        {LOGOUT_EVENT.upper(): {}},
        {f"{LOGOUT_EVENT}/": {}},
        {LOGOUT_EVENT: True},
        {LOGOUT_EVENT: None},
        {LOGOUT_EVENT: []},
        {LOGOUT_EVENT: "{}"},
    ],
    ids=lambda value: ascii(value)[:60].split(" at 0x")[0],
)
def test_events(events: object) -> None:
    """The events are an object, and the logout event in it is one."""
    assert judged(events=events) is Reason.BAD_EVENTS


@pytest.mark.rule("L4", server="pure")
def test_further_events() -> None:
    """A further event, or something inside of the logout event, does not matter."""
    assert judged(events={LOGOUT_EVENT: {}, "https://events.example.org/x": {"a": 1}}) == TAKEN
    assert judged(events={LOGOUT_EVENT: {"reason": "left"}}) == TAKEN


@pytest.mark.rule("L5", server="pure")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"exp": NOW}, Reason.EXPIRED),
        ({"exp": None}, Reason.BAD_TIME),
        ({"iat": None}, Reason.BAD_TIME),
        ({"iat": NOW + 1}, Reason.ISSUED_IN_FUTURE),
        ({"iat": NOW - 601}, Reason.TOO_OLD),
        ({"nbf": NOW + 1}, Reason.NOT_YET_VALID),
        ({"jti": None}, Reason.BAD_IDENTIFIER),
        ({"jti": ""}, Reason.BAD_IDENTIFIER),
        ({"jti": 5}, Reason.BAD_IDENTIFIER),
    ],
    ids=str,
)
def test_times_and_identifiers(changes: dict[str, Any], expected: Reason) -> None:
    """A logout token is of now, and has an id of its own."""
    assert judged(**changes) is expected


@pytest.mark.rule("L5", server="pure")
def test_skew() -> None:
    """The allowed skew holds for logout tokens too."""
    assert judged(skew=5, exp=NOW - 4, iat=NOW + 5) == TAKEN
    assert judged(skew=5, exp=NOW - 5) is Reason.EXPIRED
    assert judged(skew=5, iat=NOW + 6) is Reason.ISSUED_IN_FUTURE


@pytest.mark.rule("L6", server="pure")
def test_other_organizations() -> None:
    """A logout token counts for the provider and the client that it is of, and no other."""
    assert judged(iss="https://other.example.org/") is Reason.WRONG_ISSUER
    assert judged(iss=None) is Reason.WRONG_ISSUER
    for audience in (None, "other", [], [CLIENT, 5], [CLIENT, "other"]):
        assert judged(aud=audience) is Reason.WRONG_AUDIENCE
    token = RS256.token(logout_claims())
    for other in (
        validator(client_id="another client"),
        validator(issuer="https://other.example.org/"),
        validator(signer("RS256", "stranger").jwk(kid="k1")),
    ):
        assert verdict(other.logout_token(token, now=NOW)) != TAKEN


@pytest.mark.rule("L7", server="pure")
@pytest.mark.parametrize("typ", ["JWT", None, "logout+jwt"], ids=str)
def test_id_tokens(typ: str | None) -> None:
    """An ID token ends no session, and a logout token signs nobody in, whatever their types say."""
    judge = validator()
    id_token = RS256.token(claims(sid="s-1", jti="i-1"), typ=typ)
    assert verdict(judge.logout_token(id_token, now=NOW)) is Reason.BAD_EVENTS
    both = RS256.token(logout_claims(nonce=NONCE), typ=typ)
    assert verdict(judge.logout_token(both, now=NOW)) is Reason.NONCE_PRESENT
    empty = RS256.token(logout_claims(nonce=NULL), typ=typ)
    assert verdict(judge.logout_token(empty, now=NOW)) is Reason.NONCE_PRESENT
    signing_in = Reason.WRONG_TYPE if typ == "logout+jwt" else Reason.BAD_EVENTS
    assert id_verdict(both, judge) is signing_in
    assert id_verdict(RS256.token(logout_claims(), typ=typ), judge, nonce=None) is signing_in


@pytest.mark.rule("L8", server="pure")
def test_signatures() -> None:
    """A logout token is signed by the provider's key, also where Validate Signatures is off."""
    for judge in (validator(), validator(validate_signatures=False)):
        for key, header, expected in (
            (RS256, {"alg": "none"}, Reason.ALGORITHM_NOT_ALLOWED),
            (Signer("HS256", "k1", SECRET.encode()), {}, Reason.ALGORITHM_NOT_ALLOWED),
            (signer("RS256", "stranger"), {}, Reason.KEY_UNKNOWN),
            (signer("RS256", "stranger"), {"kid": "k1"}, Reason.BAD_SIGNATURE),
        ):
            token = key.token(logout_claims(), **header)
            assert verdict(judge.logout_token(token, now=NOW)) is expected
        token = RS256.token(logout_claims())
        assert verdict(judge.logout_token(token, now=NOW)) == TAKEN


def test_a_shared_secret() -> None:
    """Where the client secret signs ID tokens it signs logout tokens too."""
    token = Signer("HS256", None, SECRET.encode()).token(logout_claims())
    judge = validator(allowed_algorithms=frozenset({"HS256"}))
    assert verdict(judge.logout_token(token, now=NOW)) == TAKEN


@pytest.mark.rule("L8", server="pure")
@pytest.mark.rule("L9", server="pure")
@pytest.mark.parametrize(
    ("typ", "expected"),
    [
        ("logout+jwt", TAKEN),
        ("application/logout+jwt", TAKEN),
        ("Logout+JWT", TAKEN),
        ("JWT", TAKEN),
        (None, TAKEN),
        ("at+jwt", Reason.WRONG_TYPE),
        ("secevent+jwt", Reason.WRONG_TYPE),
        ("", Reason.WRONG_TYPE),
        (5, Reason.WRONG_TYPE),
    ],
    ids=str,
)
def test_types(typ: object, expected: str) -> None:
    """A logout token says so, or says nothing, or that it is a JWT."""
    assert judged({"typ": typ}) == expected
