"""The way of a browser to the provider and back, without a provider."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from syncd.oidc.authorization import (
    LONGEST_CODE,
    Answer,
    authorization_url,
    read_answer,
    state_of,
)
from syncd.oidc.failed import SignInFailed, SignInFault
from syncd.oidc.logging_out import LONGEST_HINT, browser_url
from syncd.oidc.options import ProviderOptions

ISSUER = "https://login.example.org/"
VERIFIER = "v" * 43
RUDE = "\n\x1b[31m<script>alert(1)</script>" + "x" * 1000


def options(**changes: Any) -> ProviderOptions:
    """Return a provider."""
    values: dict[str, Any] = {
        "organization_id": "acme",
        "issuer": ISSUER,
        "client_id": "syncd & co",
        "client_secret": "secret",
        "authorization_url": "https://login.example.org/authorize",
        "token_url": "https://login.example.org/token",
        "scopes": ("openid", "profile"),
    }
    return ProviderOptions(**values | changes)


def asked(**changes: Any) -> str:
    """Return an authorization request."""
    return authorization_url(
        options(**changes),
        redirect_uri="https://syncd.example.org/sign-in/acme/callback",
        state="the state",
        nonce="the nonce",
        verifier=VERIFIER,
    )


@pytest.mark.rule("R5", server="pure")
def test_what_a_browser_is_sent_with() -> None:
    """Each parameter once, the proof key as its hash alone, spaces as %20."""
    url = asked()
    hashed = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    assert parse_qsl(urlsplit(url).query) == [
        ("response_type", "code"),
        ("client_id", "syncd & co"),
        ("redirect_uri", "https://syncd.example.org/sign-in/acme/callback"),
        ("scope", "openid profile"),
        ("state", "the state"),
        ("nonce", "the nonce"),
        ("code_challenge", hashed),
        ("code_challenge_method", "S256"),
    ]
    assert VERIFIER not in url
    assert "openid%20profile" in url
    assert "+" not in url


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("?prompt=login&p=B2C_1%2Fsusi", "prompt=login&p=B2C_1%2Fsusi&"),
        ("?", ""),
        ("?state=fixed&prompt=login&no%6ece=n", "prompt=login&"),
    ],
)
def test_a_query_of_the_configured_url_is_kept(query: str, kept: str) -> None:
    """As it stands, but for parameters that are syncd's to set."""
    url = asked(authorization_url=f"https://login.example.org/authorize{query}")
    assert url.startswith(f"https://login.example.org/authorize?{kept}response_type=code&")
    names = [name for name, _ in parse_qsl(urlsplit(url).query)]
    assert len(names) == len(set(names))


GOOD = [("code", "c"), ("state", "s"), ("iss", ISSUER)]


@pytest.mark.parametrize(
    ("sends_issuer", "parameters", "expected"),
    [
        (None, GOOD, "c"),
        (True, GOOD, "c"),
        (None, GOOD[:2], "c"),
        (False, GOOD[:2], "c"),
        # Others may say what they like, as often as they like.
        (None, [*GOOD, ("session_state", "x"), ("session_state", "y")], "c"),
        # RFC 9207
        (True, GOOD[:2], SignInFault.MISSING_ISSUER),
        (True, [*GOOD[:2], ("iss", "")], SignInFault.MISSING_ISSUER),
        (False, GOOD, SignInFault.UNEXPECTED_ISSUER),
        (None, [*GOOD[:2], ("iss", ISSUER[:-1])], SignInFault.WRONG_ISSUER),
        (None, [*GOOD[:2], ("iss", ISSUER.upper())], SignInFault.WRONG_ISSUER),
        (False, [*GOOD[:2], ("iss", "https://evil.example")], SignInFault.WRONG_ISSUER),
        # Another provider's error is not this one's either.
        (
            None,
            [("error", "access_denied"), ("state", "s"), ("iss", "https://evil.example")],
            SignInFault.WRONG_ISSUER,
        ),
        # Twice, the same or not, with or without a value
        (None, [*GOOD, ("code", "c")], SignInFault.DUPLICATE_PARAMETER),
        (None, [*GOOD, ("code", "")], SignInFault.DUPLICATE_PARAMETER),
        (None, [*GOOD, ("state", "t")], SignInFault.DUPLICATE_PARAMETER),
        (None, [*GOOD, ("iss", ISSUER)], SignInFault.DUPLICATE_PARAMETER),
        (None, [*GOOD, ("error", "a"), ("error", "b")], SignInFault.DUPLICATE_PARAMETER),
        # Errors
        (None, [*GOOD[1:], ("error", "access_denied")], SignInFault.ACCESS_DENIED),
        (None, [*GOOD, ("error", "access_denied")], SignInFault.ACCESS_DENIED),
        (None, [*GOOD[1:], ("error", "server_error")], SignInFault.PROVIDER_FAILING),
        (None, [*GOOD[1:], ("error", "temporarily_unavailable")], SignInFault.PROVIDER_FAILING),
        (None, [*GOOD[1:], ("error", "login_required")], SignInFault.PROVIDER_ERROR),
        (None, [*GOOD[1:], ("error", RUDE)], SignInFault.PROVIDER_ERROR),
        # Nothing to go on with
        (None, [], SignInFault.MISSING_STATE),
        (None, [("code", "c"), ("state", "")], SignInFault.MISSING_STATE),
        (None, GOOD[1:], SignInFault.MISSING_CODE),
        (None, [*GOOD[1:], ("code", "")], SignInFault.MISSING_CODE),
        (None, [*GOOD[1:], ("code", "c\n")], SignInFault.MISSING_CODE),
        (None, [*GOOD[1:], ("code", "ü")], SignInFault.MISSING_CODE),
        (None, [*GOOD[1:], ("code", "c" * (LONGEST_CODE + 1))], SignInFault.MISSING_CODE),
    ],
    ids=lambda value: None if not isinstance(value, list) else "-".join(name for name, _ in value),
)
def test_what_an_answer_is(
    sends_issuer: bool | None,  # noqa: FBT001 - a row of the table
    parameters: list[tuple[str, str]],
    expected: str,
) -> None:
    """It has one code for one state and is the provider's, or it is refused with the reason."""
    found = read_answer(options(sends_issuer=sends_issuer), parameters)
    if isinstance(found, Answer):
        assert (found.code, found.state) == (expected, "s")
    else:
        assert found.reason == expected
        assert found.state == state_of(parameters)


@pytest.mark.rule("R4", server="pure")
def test_what_the_provider_says_of_an_error_is_told_as_text() -> None:
    """Cut, on one line, with nothing that a terminal obeys, and without what is secret."""
    parameters = [("state", "the-state"), ("error", "access_denied"), ("error_description", RUDE)]
    found = read_answer(options(), parameters)
    assert isinstance(found, SignInFailed)
    assert len(found.detail) < 300
    assert found.detail.isprintable()
    assert "the-state" not in repr(found)


def test_secrets_are_not_in_what_is_shown() -> None:
    """An answer that ends up in a log shows neither its code nor its state."""
    found = read_answer(options(), [("code", "planted-code"), ("state", "planted-state")])
    assert isinstance(found, Answer)
    assert "planted" not in repr(found)


@pytest.mark.parametrize(
    ("changes", "hint", "expected"),
    [
        ({}, "t", None),
        ({"logout_url": "https://i/out", "backchannel_logout": True}, "t", None),
        (
            {"logout_url": "https://i/out?a=b"},
            "t",
            [
                ("a", "b"),
                ("client_id", "syncd & co"),
                ("id_token_hint", "t"),
                ("post_logout_redirect_uri", "https://s/signed-out"),
                ("state", "back"),
            ],
        ),
        (
            {"logout_url": "https://i/out"},
            "t" * (LONGEST_HINT + 1),
            [
                ("client_id", "syncd & co"),
                ("post_logout_redirect_uri", "https://s/signed-out"),
                ("state", "back"),
            ],
        ),
    ],
)
def test_where_a_browser_signs_out(
    changes: dict[str, Any], hint: str, expected: list[tuple[str, str]] | None
) -> None:
    """At the provider's, with the ID token as far as it fits, unless syncd goes there itself."""
    url = browser_url(
        options(**changes),
        id_token_hint=hint,
        post_logout_redirect_uri="https://s/signed-out",
        state="back",
    )
    assert (None if url is None else parse_qsl(urlsplit(url).query)) == expected
