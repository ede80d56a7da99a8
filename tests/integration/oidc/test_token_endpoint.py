"""What a token endpoint may answer, byte by byte, and what syncd makes of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from syncd.oidc.exchange import Ended, TokenAnswer, redeem_code, refresh
from syncd.oidc.failed import SignInFailed, SignInFault
from syncd.oidc.failure import Cause, FetchFailed
from syncd.oidc.fetch import Fetcher
from syncd.oidc.options import LARGEST_TOKEN_BYTES, ProviderOptions
from tests.servers.answering import AnsweringServer, answer

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD = {"access_token": "a", "token_type": "bearer", "id_token": "i"}
CODE, VERIFIER, REFRESH = "planted-code", "planted-verifier", "planted-refresh"
# Each of them stands in what is sent.
SECRETS = (CODE, VERIFIER, REFRESH, "planted-secret")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[AnsweringServer]:
    """A token endpoint on loopback."""
    with AnsweringServer(answer()) as running:
        yield running


def options(endpoint: AnsweringServer) -> ProviderOptions:
    """Return a provider with that endpoint."""
    return ProviderOptions(
        organization_id="acme",
        issuer="https://login.example.org/",
        client_id="syncd",
        client_secret="planted-secret",
        client_authentication="client_secret_post",
        authorization_url="https://login.example.org/authorize",
        token_url=endpoint.url("/token"),
    )


def redeemed(endpoint: AnsweringServer) -> TokenAnswer | SignInFailed:
    """Exchange a code there."""
    return redeem_code(
        options(endpoint),
        Fetcher(seconds=30),
        code=CODE,
        redirect_uri="https://syncd.example.org/",
        verifier=VERIFIER,
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (None, None)),
        ({"token_type": "BeArEr", "scope": 5, "further": {"a": []}}, (None, None)),
        ({"expires_in": 300, "refresh_token": "r"}, (300, "r")),
        # What is no number says nothing, and an empty text is none.
        ({"expires_in": "300", "refresh_token": ""}, (None, None)),
        ({"expires_in": -1, "refresh_token": None}, (None, None)),
        ({"expires_in": True}, (None, None)),
    ],
    ids=str,
)
def test_answers_that_are_taken(
    endpoint: AnsweringServer, changes: dict[str, Any], expected: tuple[float | None, str | None]
) -> None:
    """Access and ID token have to be there, the rest may be."""
    endpoint.answer = answer(json.dumps(GOOD | changes).encode())
    found = redeemed(endpoint)
    assert isinstance(found, TokenAnswer)
    assert (found.access_token, found.id_token) == ("a", "i")
    assert (found.expires_in, found.refresh_token) == expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        ("200 OK", GOOD | {"token_type": ["Bearer"]}, SignInFault.WRONG_TOKEN_TYPE),
        ("200 OK", GOOD | {"token_type": "DPoP"}, SignInFault.WRONG_TOKEN_TYPE),
        ("200 OK", GOOD | {"id_token": None}, SignInFault.MISSING_ID_TOKEN),
        ("200 OK", GOOD | {"id_token": ""}, SignInFault.MISSING_ID_TOKEN),
        # Some answer errors with a good status, and some a refused code with 403.
        ("200 OK", {"error": "invalid_grant"}, SignInFault.CODE_REFUSED),
        ("400 Bad Request", {"error": "invalid_grant"}, SignInFault.CODE_REFUSED),
        ("403 Forbidden", {"error": "invalid_grant"}, SignInFault.CODE_REFUSED),
        ("401 Unauthorized", {"error": "invalid_client"}, SignInFault.CLIENT_REFUSED),
        ("400 Bad Request", {"error": "unauthorized_client"}, SignInFault.CLIENT_REFUSED),
        ("400 Bad Request", {"error": "x" * 9000}, SignInFault.EXCHANGE_REFUSED),
        (
            "400 Bad Request",
            {"error": "invalid_grant", "error_description": f"{CODE} {VERIFIER} {SECRETS[3]}\n"},
            SignInFault.CODE_REFUSED,
        ),
        ("400 Bad Request", {"error": "e", "error_description": 5}, SignInFault.EXCHANGE_REFUSED),
    ],
)
def test_answers_that_sign_nobody_in(
    endpoint: AnsweringServer, status: str, body: dict[str, Any], expected: SignInFault
) -> None:
    """The reason is told in one line of bounded length, without anything that was sent."""
    endpoint.answer = answer(json.dumps(body).encode(), status=status)
    found = redeemed(endpoint)
    assert isinstance(found, SignInFailed)
    assert found.reason is expected
    assert found.detail.isprintable()
    assert len(found.detail) < 400
    assert not any(secret in found.detail for secret in SECRETS)


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        ("200 OK", b"[]", Cause.UNUSABLE),
        ("200 OK", b"{", Cause.UNUSABLE),
        ("200 OK", b'{"error":5}', Cause.UNUSABLE),
        ("200 OK", json.dumps(GOOD | {"access_token": "a\nb"}).encode(), Cause.UNUSABLE),
        ("200 OK", json.dumps(GOOD | {"access_token": "a b"}).encode(), Cause.UNUSABLE),
        ("200 OK", json.dumps(GOOD | {"id_token": 5}).encode(), Cause.UNUSABLE),
        (
            "200 OK",
            json.dumps(GOOD | {"refresh_token": "r" * (LARGEST_TOKEN_BYTES + 1)}).encode(),
            Cause.UNUSABLE,
        ),
        ("400 Bad Request", b"{}", Cause.UNUSABLE),
        ("400 Bad Request", b'{"error":null}', Cause.UNUSABLE),
        ("201 Created", json.dumps(GOOD).encode(), Cause.STATUS),
        ("404 Not Found", b'{"error":"invalid_grant"}', Cause.STATUS),
        ("500 Oh", b'{"error":"invalid_grant"}', Cause.STATUS),
        ("303 See Other", b'{"error":"invalid_grant"}', Cause.REDIRECT),
    ],
)
def test_answers_that_are_none(
    endpoint: AnsweringServer, status: str, body: bytes, cause: Cause
) -> None:
    """They are the provider's fault and nobody's refusal, at a refresh as well."""
    endpoint.answer = answer(body, status=status)
    with pytest.raises(FetchFailed) as failed:
        redeemed(endpoint)
    assert failed.value.reason is cause
    with pytest.raises(FetchFailed) as failed:
        refresh(options(endpoint), Fetcher(seconds=30), REFRESH)
    assert not any(secret in str(failed.value) for secret in SECRETS)


def test_an_error_that_is_no_json(endpoint: AnsweringServer) -> None:
    """A page with an error's status is told by its status."""
    endpoint.answer = answer(b"<p>planted</p>", status="400 Bad Request", kind="text/html")
    with pytest.raises(FetchFailed, match="status 400") as failed:
        redeemed(endpoint)
    assert failed.value.reason is Cause.STATUS
    assert "planted" not in str(failed.value)


@pytest.mark.parametrize(
    ("error", "over"),
    [
        ("invalid_grant", True),
        ("interaction_required", True),
        ("login_required", True),
        ("invalid_client", False),
        ("temporarily_unavailable", False),
        ("invalid_request", False),
    ],
)
def test_when_a_refresh_is_over(endpoint: AnsweringServer, error: str, *, over: bool) -> None:
    """When the provider says so of the person; what it says of syncd or of itself passes."""
    body = {"error": error, "error_description": f"the token {REFRESH}"}
    endpoint.answer = answer(json.dumps(body).encode(), status="400 Bad Request")
    if over:
        found = refresh(options(endpoint), Fetcher(seconds=30), REFRESH)
        assert isinstance(found, Ended)
        assert REFRESH not in found.detail
    else:
        with pytest.raises(FetchFailed) as failed:
            refresh(options(endpoint), Fetcher(seconds=30), REFRESH)
        assert REFRESH not in str(failed.value)
