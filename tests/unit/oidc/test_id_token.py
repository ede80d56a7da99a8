"""ID tokens claim by claim (OpenID Connect Core sections 2, 3.1.3.7 and 12.2)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from syncd.errors import ConfigurationError
from syncd.oidc.keys import KeySet
from syncd.oidc.outcome import Reason
from syncd.oidc.tokens import IdToken
from syncd.oidc.validate import Validator
from tests.minting import CLIENT, ISSUER, NONCE, NOW, SUBJECT, claims, encoded, key_set, signer
from tests.unit.oidc.judging import TAKEN, id_verdict, options, validator

RS256 = signer()
MISSING = None
# A member that is null, which None is not here.


class _Null:
    """Stands for the JSON null, where None stands for a claim that is missing."""

    def __repr__(self) -> str:
        return "NULL"


NULL: Any = _Null()


def judged(asked: dict[str, Any] | None = None, skew: float = 0.0, **changes: Any) -> str:
    """Return what is said of the usual claims with these changes."""
    said = {name: None if value is NULL else value for name, value in claims(**changes).items()}
    judge = validator(allowed_clock_skew_seconds=skew)
    return id_verdict(RS256.token(said), judge, **asked or {})


@pytest.mark.rule("I1", server="pure")
@pytest.mark.parametrize("audience", [CLIENT, [CLIENT], [CLIENT, CLIENT]], ids=str)
def test_a_plain_token(audience: object) -> None:
    """A plain token says who signed in, with all its members, whatever form its audience has."""
    token = RS256.token(claims(aud=audience, sid="s-1", auth_time=NOW - 5, groups=["a"]))
    found = validator().id_token(token, now=NOW, nonce=NONCE)
    assert isinstance(found, IdToken)
    assert (found.claims.issuer, found.claims.subject) == (ISSUER, SUBJECT)
    assert found.claims.values["groups"] == ["a"]
    assert found.claims.values["aud"] == audience
    assert (found.expires_at, found.issued_at) == (NOW + 300, NOW)
    assert (found.authenticated_at, found.session_id, found.nonce) == (NOW - 5, "s-1", NONCE)


@pytest.mark.rule("I2", server="pure")
@pytest.mark.parametrize(
    "audience",
    [
        MISSING,
        NULL,
        [],
        [CLIENT, 5],
        {"aud": CLIENT},
        {CLIENT: CLIENT},
        True,
        "other",
        ["other"],
        CLIENT.upper(),
        f"{CLIENT} ",
        [[CLIENT]],
        f"{CLIENT},other",
        "",
    ],
    ids=str,
)
def test_audiences(audience: object) -> None:
    """A token for somebody else, or for nobody, is refused."""
    assert judged(aud=audience) is Reason.WRONG_AUDIENCE


def test_further_audiences() -> None:
    """A token that is for others besides is refused, unless these are trusted."""
    token = RS256.token(claims(aud=[CLIENT, "project"], azp=CLIENT))
    trusting = validator(trusted_audiences=frozenset({"project"}))
    assert id_verdict(token) is Reason.WRONG_AUDIENCE
    assert id_verdict(token, trusting) == TAKEN
    others = RS256.token(claims(aud=[CLIENT, "project", "third"]))
    assert id_verdict(others, trusting) is Reason.WRONG_AUDIENCE
    assert id_verdict(RS256.token(claims(aud="project")), trusting) is Reason.WRONG_AUDIENCE


@pytest.mark.rule("I3", server="pure")
@pytest.mark.parametrize("party", ["other", 5, NULL, [CLIENT], "", CLIENT.upper()], ids=str)
def test_authorized_parties(party: object) -> None:
    """A token that another client asked for is refused, although it is for this one."""
    assert judged(azp=party) is Reason.WRONG_AUTHORIZED_PARTY
    assert judged(azp=CLIENT) == TAKEN


@pytest.mark.rule("I4", server="pure")
@pytest.mark.parametrize(
    "issuer",
    [
        MISSING,
        NULL,
        "https://login.example.com/",
        ISSUER.removesuffix("/"),
        f"{ISSUER}/",
        ISSUER.upper(),
        ISSUER.replace("login", "Login"),
        [ISSUER],
        f"{ISSUER}\u0000",
        f"{ISSUER}\u200b",
        "",
    ],
    ids=ascii,
)
def test_issuers(issuer: object) -> None:
    """The issuer is compared character by character."""
    assert judged(iss=issuer) is Reason.WRONG_ISSUER


@pytest.mark.rule("I5", server="pure")
@pytest.mark.parametrize("name", ["issuer", "client_id"])
def test_a_provider_without_a_name(name: str) -> None:
    """No validator is made of a provider that has no issuer, or no client id to be meant by."""
    with pytest.raises(ConfigurationError, match=f"idp.{name}"):
        Validator(options(**{name: ""}), KeySet.parse(key_set(RS256.jwk())))


@pytest.mark.rule("I6", server="pure")
def test_expiry() -> None:
    """A token is over at the second of its expiry, later by the skew, and has to have one."""
    assert judged(exp=MISSING) is Reason.BAD_TIME
    assert judged(exp=NOW) is Reason.EXPIRED
    assert judged(exp=NOW + 1) == TAKEN
    assert judged(skew=5, exp=NOW - 5) is Reason.EXPIRED
    assert judged(skew=5, exp=NOW - 4) == TAKEN
    assert judged({"now": NOW - 0.5}, iat=NOW - 1, exp=NOW) == TAKEN


@pytest.mark.rule("I7", server="pure")
@pytest.mark.parametrize("name", ["exp", "iat", "nbf", "auth_time"])
@pytest.mark.parametrize(
    "written",
    [
        '"1800000300"',
        "true",
        "false",
        "null",
        "[1800000300]",
        "{}",
        "1e300",
        "-1",
        "1" + "0" * 400,
        "253402300800",
        '""',
    ],
)
def test_times_that_are_none(name: str, written: str) -> None:
    """A time that is no number, or no date, is refused and breaks nothing."""
    said = claims(**{name: 0})
    text = ",".join(
        f'"{member}":{written if member == name else repr(value).replace(chr(39), chr(34))}'
        for member, value in said.items()
    )
    token = RS256.sign(b'{"alg":"RS256","kid":"k1"}', f"{{{text}}}".encode())
    expected = Reason.WRONG_AUTHENTICATION_TIME if name == "auth_time" else Reason.BAD_TIME
    assert id_verdict(token) is expected


@pytest.mark.rule("I7", server="pure")
@pytest.mark.parametrize(
    "written", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" * 5000, "0x10", "01"]
)
def test_numbers_that_are_none(written: str) -> None:
    """A number that JSON does not have, or that no computer holds, makes the token none."""
    payload = f'{{"iss":"{ISSUER}","exp":{written}}}'.encode()
    assert id_verdict(RS256.sign(b'{"alg":"RS256"}', payload)) is Reason.MALFORMED


@pytest.mark.rule("I8", server="pure")
def test_fractions() -> None:
    """Times may have a fraction, which counts."""
    assert judged(exp=NOW + 0.5) == TAKEN
    assert judged({"now": NOW + 0.5}, exp=NOW + 0.5) is Reason.EXPIRED
    assert judged(iat=NOW - 0.25, nbf=NOW - 0.25) == TAKEN


@pytest.mark.rule("I9", server="pure")
def test_time_of_issue() -> None:
    """A token was made at latest now, and later by exactly the skew."""
    assert judged(iat=MISSING) is Reason.BAD_TIME
    assert judged(iat=NOW + 1) is Reason.ISSUED_IN_FUTURE
    assert judged(skew=5, iat=NOW + 5) == TAKEN
    assert judged(skew=5, iat=NOW + 5.5) is Reason.ISSUED_IN_FUTURE


def test_not_before() -> None:
    """A token that is valid later only is refused until then, earlier by exactly the skew."""
    assert judged(nbf=NOW) == TAKEN
    assert judged(nbf=NOW + 1) is Reason.NOT_YET_VALID
    assert judged(skew=5, nbf=NOW + 5) == TAKEN
    assert judged(skew=5, nbf=NOW + 6) is Reason.NOT_YET_VALID


@pytest.mark.rule("I10", server="pure")
def test_age() -> None:
    """A token that was made too long ago is refused, however long it is valid."""
    week = 7 * 86400
    assert judged(iat=NOW - 600) == TAKEN
    assert judged(iat=NOW - 601) is Reason.TOO_OLD
    assert judged(skew=5, iat=NOW - 605) == TAKEN
    assert judged(skew=5, iat=NOW - 606) is Reason.TOO_OLD
    assert judged(iat=NOW - week, exp=NOW + week) is Reason.TOO_OLD
    patient = validator(longest_age_seconds=float(week))
    assert id_verdict(RS256.token(claims(iat=NOW - week)), patient) == TAKEN


@pytest.mark.rule("I11", server="pure")
@pytest.mark.parametrize(
    ("at", "skew", "longest", "expected"),
    [
        (MISSING, 0, 300, Reason.WRONG_AUTHENTICATION_TIME),
        (NOW - 300, 0, 300, TAKEN),
        (NOW - 301, 0, 300, Reason.WRONG_AUTHENTICATION_TIME),
        (NOW - 305, 5, 300, TAKEN),
        (NOW - 306, 5, 300, Reason.WRONG_AUTHENTICATION_TIME),
        (NOW + 1, 0, 300, Reason.WRONG_AUTHENTICATION_TIME),
        (NOW + 5, 5, 300, TAKEN),
        (NOW, 0, 0, TAKEN),
        (NOW - 1, 0, 0, Reason.WRONG_AUTHENTICATION_TIME),
        (MISSING, 0, None, TAKEN),
        (NOW - 10**6, 0, None, TAKEN),
        (NOW + 1, 0, None, Reason.WRONG_AUTHENTICATION_TIME),
    ],
)
def test_authentication_times(at: object, skew: float, longest: int | None, expected: str) -> None:
    """Where a fresh sign-in was asked for, the token has to say that it was; else it may say it."""
    assert judged({"max_age": longest}, skew=skew, auth_time=at) == expected


@pytest.mark.rule("I12", server="pure")
@pytest.mark.parametrize(
    "nonce", [MISSING, NULL, "", "other", NONCE.upper(), f"{NONCE} ", [NONCE], 5], ids=str
)
def test_nonces(nonce: object) -> None:
    """The nonce has to be the one that was sent."""
    assert judged(nonce=nonce) is Reason.WRONG_NONCE


@pytest.mark.rule("I14", server="pure")
def test_a_nonce_that_nobody_sent() -> None:
    """A token with a nonce is another sign-in's where none was sent, unless any will do."""
    assert judged({"nonce": None}) is Reason.WRONG_NONCE
    assert judged({"nonce": None}, nonce=MISSING) == TAKEN
    assert judged({"nonce": None, "any_nonce": True}) == TAKEN
    assert judged({"nonce": None, "any_nonce": True}, nonce=MISSING) == TAKEN
    assert judged({"nonce": None, "any_nonce": True}, nonce=5) is Reason.WRONG_NONCE
    assert judged({"nonce": "other", "any_nonce": True}) is Reason.WRONG_NONCE


@pytest.mark.rule("I15", server="pure")
@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (MISSING, Reason.BAD_SUBJECT),
        (NULL, Reason.BAD_SUBJECT),
        ("", Reason.BAD_SUBJECT),
        (248289761001, Reason.BAD_SUBJECT),
        ("s" * 256, Reason.BAD_SUBJECT),
        ("s" * 255, TAKEN),
        ("a b", TAKEN),
        ("zoë", Reason.BAD_SUBJECT),
        ("a\u0000", Reason.BAD_SUBJECT),
        ("a\n", Reason.BAD_SUBJECT),
        (["a"], Reason.BAD_SUBJECT),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_subjects(subject: object, expected: str) -> None:
    """A subject is 1 to 255 characters of ASCII that can be written."""
    assert judged(sub=subject) == expected


def half_hash(text: str, name: str = "sha256") -> str:
    """Return at_hash of an access token (Core section 3.1.3.6)."""
    digest = hashlib.new(name, text.encode()).digest()
    return encoded(digest[: len(digest) // 2])


@pytest.mark.rule("I16", server="pure")
@pytest.mark.parametrize(
    ("name", "asked"), [("at_hash", "access_token"), ("c_hash", "code")], ids=str
)
def test_hashes(name: str, asked: str) -> None:
    """A hash has to be that of what came with the token; it may be missing in the code flow."""
    came: dict[str, Any] = {asked: "what came"}
    right = half_hash("what came")

    def hashed(said: Any, came: dict[str, Any] | None = None) -> str:
        return judged(came, 0.0, **{name: said})

    assert hashed(right, came) == TAKEN
    assert judged(came) == TAKEN
    for wrong in (half_hash("another"), f"{right}=", right[:-1], "", 5, NULL, right.upper()):
        assert hashed(wrong, came) is Reason.WRONG_HASH
    assert hashed(half_hash("żółć"), {asked: "żółć"}) == TAKEN
    assert hashed(right) == TAKEN
    assert hashed(5) is Reason.WRONG_HASH


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [("ES256", "sha256"), ("ES384", "sha384"), ("ES512", "sha512"), ("EdDSA", "sha512")],
)
def test_hashes_are_those_of_the_algorithm(algorithm: str, name: str) -> None:
    """The hash in a token is the one of its signature; for Ed25519 that is SHA-512."""
    key = signer(algorithm, algorithm)
    judge = validator(key.jwk(), allowed_algorithms=frozenset({algorithm}))
    for hashed, expected in ((name, TAKEN), ("md5", Reason.WRONG_HASH)):
        token = key.token(claims(at_hash=half_hash("what came", hashed)))
        assert id_verdict(token, judge, access_token="what came") == expected


@pytest.mark.rule("I19", server="pure")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, TAKEN),
        ({"nonce": MISSING}, TAKEN),
        ({"nonce": "other"}, Reason.WRONG_NONCE),
        ({"nonce": NULL}, Reason.WRONG_NONCE),
        ({"iss": "https://other.example.org/"}, Reason.WRONG_ISSUER),
        ({"sub": "somebody else"}, Reason.CHANGED_IDENTITY),
        ({"aud": [CLIENT]}, TAKEN),
        ({"aud": [CLIENT, "project"]}, Reason.CHANGED_IDENTITY),
        ({"azp": CLIENT}, Reason.CHANGED_IDENTITY),
        ({"auth_time": NOW - 60}, TAKEN),
        ({"auth_time": MISSING}, TAKEN),
        ({"auth_time": NOW}, Reason.CHANGED_IDENTITY),
        ({"iat": NOW + 1}, Reason.ISSUED_IN_FUTURE),
    ],
    ids=str,
)
def test_refreshed_tokens(changes: dict[str, Any], expected: str) -> None:
    """A token that came of a refresh is the same person's, for the same clients."""
    judge = validator(trusted_audiences=frozenset({"project"}))
    first = judge.id_token(
        RS256.token(claims(NOW - 300, auth_time=NOW - 60)), now=NOW - 60, nonce=NONCE
    )
    assert isinstance(first, IdToken)
    said = claims(**{"auth_time": NOW - 60} | changes)
    token = RS256.token({name: None if value is NULL else value for name, value in said.items()})
    assert id_verdict(token, judge, nonce=None, previous=first.identified()) == expected


def test_a_refresh_of_a_token_without_nonce() -> None:
    """A nonce that appears with the refresh is another sign-in's."""
    judge = validator()
    first = judge.id_token(RS256.token(claims(nonce=None)), now=NOW)
    assert isinstance(first, IdToken)
    token = RS256.token(claims())
    assert id_verdict(token, judge, nonce=None, previous=first.identified()) is Reason.WRONG_NONCE


@pytest.mark.parametrize("session", ["", 5, NULL, ["s"], "s" * 513, "s\u0000"], ids=ascii)
def test_sessions(session: object) -> None:
    """A session that a logout token could not name is refused."""
    assert judged(sid=session) is Reason.BAD_SESSION


def test_signatures_that_are_not_looked_at() -> None:
    """With Validate Signatures off a direct token needs no signature, and all else stays."""
    trusting = validator(validate_signatures=False)
    stranger = signer("RS256", "stranger")
    assert id_verdict(stranger.token(claims()), trusting, direct=True) == TAKEN
    assert id_verdict(stranger.token(claims()), trusting) is Reason.KEY_UNKNOWN
    assert id_verdict(stranger.token(claims()), direct=True) is Reason.KEY_UNKNOWN
    for changes, expected in (
        ({"nonce": "other"}, Reason.WRONG_NONCE),
        ({"exp": NOW}, Reason.EXPIRED),
        ({"iss": "other"}, Reason.WRONG_ISSUER),
        ({"aud": "other"}, Reason.WRONG_AUDIENCE),
    ):
        token = stranger.token(claims(**changes))
        assert id_verdict(token, trusting, direct=True) is expected
    unsigned = stranger.token(claims(), alg="none")
    assert id_verdict(unsigned, trusting, direct=True) is Reason.ALGORITHM_NOT_ALLOWED
