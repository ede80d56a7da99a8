"""What an operator is told of a token: each check, and never the token or a secret."""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import syncd
from syncd.errors import FOREIGN_TEXT_LIMIT
from syncd.oidc.outcome import Outcome, Reason, Refusal, Step
from syncd.oidc.validate import ACCESS_CHECKS, ID_CHECKS, LOGOUT_CHECKS
from tests.minting import NONCE, NOW, Signer, claims, signer
from tests.unit.oidc.judging import SECRET, validator
from tests.unit.oidc.test_access_token import access_claims
from tests.unit.oidc.test_logout_token import logout_claims

if TYPE_CHECKING:
    from collections.abc import Iterator

RS256 = signer()
VERIFIED = ("IdToken", "AccessToken", "LogoutToken", "Claims")
RUDE = "\n\x1b[31m<script>" + "x" * 300


def test_each_check_of_each_kind() -> None:
    """A token that is taken is told of check by check, in the order of the checks."""
    judge = validator()
    for checks, judged, token in (
        (ID_CHECKS, judge.id_token, RS256.token(claims(nonce=None))),
        (ACCESS_CHECKS, judge.access_token, RS256.token(access_claims(), typ="at+jwt")),
        (LOGOUT_CHECKS, judge.logout_token, RS256.token(logout_claims())),
    ):
        told: list[Step] = []
        assert not isinstance(judged(token, now=NOW, told=told), Refusal)
        assert [step.check for step in told] == [check.name for check in checks]
        assert {step.outcome for step in told} <= {Outcome.PASSED, Outcome.SKIPPED}
        assert all(step.detail for step in told)


def test_the_check_that_failed_is_the_last_one() -> None:
    """A refusal is told with its detail, and nothing is said of what was not looked at."""
    told: list[Step] = []
    found = validator().id_token(RS256.token(claims(iss="x")), now=NOW, nonce=NONCE, told=told)
    assert isinstance(found, Refusal)
    assert told[-1] == Step("issuer", Outcome.FAILED, found.detail)
    assert [step.outcome for step in told].count(Outcome.FAILED) == 1


def test_checks_that_have_nothing_to_look_at() -> None:
    """What the configuration leaves out is told as skipped, with the reason."""
    told: list[Step] = []
    judge = validator(validate_signatures=False)
    stranger = signer("RS256", "stranger")
    judge.id_token(stranger.token(claims()), now=NOW, nonce=NONCE, direct=True, told=told)
    skipped = {step.check: step.detail for step in told if step.outcome is Outcome.SKIPPED}
    assert "validate_signatures is off" in skipped["key"]
    assert "validate_signatures is off" in skipped["signature"]
    told.clear()
    validator(api_audience=None).access_token("", now=NOW, told=told)
    assert told == [
        Step(
            "audience",
            Outcome.FAILED,
            "access tokens of this provider are not taken: set api_audience",
        )
    ]


def test_with_and_without_telling() -> None:
    """Being told changes nothing of what is found."""
    judge = validator()
    for token in refused_tokens():
        told: list[Step] = []
        assert judge.id_token(token, now=NOW, nonce=NONCE, told=told) == judge.id_token(
            token, now=NOW, nonce=NONCE
        )


def refused_tokens() -> Iterator[str]:
    """Yield tokens whose every member has something in it that nobody wants in a log."""
    odd: tuple[Any, ...] = (RUDE, [RUDE], {RUDE: RUDE}, 5)
    for name in ("iss", "aud", "azp", "sub", "exp", "nbf", "iat", "nonce", "auth_time", "sid"):
        for value in (*odd, None):
            yield RS256.token(claims(NOW, **{name: value}))
    for name in ("at_hash", "c_hash", "events"):
        yield RS256.token(claims(NOW, **{name: odd[2]}))
    for name in ("typ", "alg", "kid", "crit", "b64", RUDE):
        for value in odd:
            yield RS256.token(claims(), **{name: value})
    yield RS256.token({RUDE: RUDE})
    yield signer("RS256", "stranger").token(claims(), kid="k1")
    yield Signer("HS256", None, b"x").token(claims())
    yield from (RUDE, f"{RUDE}.{RUDE}.{RUDE}", "a.b.c.d.e", "x" * 40_000)


def test_details_are_fit_for_a_log() -> None:
    """Details are one line, cut and escaped, without the token, its nonce or the client secret."""
    judge = validator(allowed_algorithms=frozenset({"RS256", "HS256"}))
    for token in refused_tokens():
        for judged in (
            lambda text, told: judge.id_token(text, now=NOW, nonce=NONCE, told=told),
            lambda text, told: judge.access_token(text, now=NOW, told=told),
            lambda text, told: judge.logout_token(text, now=NOW, told=told),
        ):
            told: list[Step] = []
            found = judged(token, told)
            assert isinstance(found, Refusal) or token.count(".") == 2
            for step in told:
                assert step.detail.isprintable()
                assert len(step.detail) <= 2 * FOREIGN_TEXT_LIMIT
                for secret in (
                    SECRET,
                    NONCE,
                    *(part for part in token.split(".") if len(part) > 99),
                ):
                    assert secret not in step.detail


def test_each_reason_is_given() -> None:
    """Every reason but that of keys out of reach is given by some test of this folder."""
    folder = Path(__file__).parent
    written = "".join(path.read_text() for path in folder.glob("test_*_token.py"))
    written += "".join((folder / name).read_text() for name in ("test_header.py", "test_keys.py"))
    missing = {each for each in Reason if f"Reason.{each.name}" not in written}
    assert missing == {Reason.KEYS_UNAVAILABLE}


@pytest.mark.parametrize(
    ("name", "makers"),
    [
        (VERIFIED[0], {"oidc/validate.py"}),
        (VERIFIED[1], {"oidc/validate.py"}),
        (VERIFIED[2], {"oidc/validate.py"}),
        (VERIFIED[3], {"oidc/validate.py", "oidc/userinfo.py", "trying.py"}),
    ],
)
def test_who_makes_verified_values(name: str, makers: set[str]) -> None:
    """Only the validator makes tokens; claims also who adds to a verified one, or tries mappers."""
    assert {path for path, called in calls() if called == name} == makers


@functools.cache
def calls() -> frozenset[tuple[str, str]]:
    """Return who calls what, of the modules in which a verified value may be made."""
    package = Path(syncd.__file__).parent
    found: set[tuple[str, str]] = set()
    for path in package.rglob("*.py"):
        text = path.read_text()
        if not any(f"{name}(" in text for name in VERIFIED):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
                found.add((path.relative_to(package).as_posix(), str(called)))
    return frozenset(found)
