"""The address for logout tokens, as an identity provider meets it: sessions end over HTTP."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.web.served import Served
from tests.integration.web.visiting import SESSION, Visiting
from tests.servers.bent_faults import post_form, send, wrong_logout_tokens
from tests.servers.bent_provider import BentProvider
from tests.servers.relying_party import Browser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORGANIZATION = "login"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def provider() -> Iterator[BentProvider]:
    """The provider of this module."""
    people = {"ada": {"email": "ada@example.test"}, "bob": {"email": "bob@example.test"}}
    with BentProvider(people) as running:
        yield running


@pytest.fixture(scope="module")
def served(
    provider: BentProvider, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """The web process of an organization whose people come from that provider."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copy(sqlite_template, folder / "store.db")
    made = Served(folder / "config", f"sqlite:///{folder}/store.db")
    organization: dict[str, Any] = {
        "organization": {"id": ORGANIZATION, "name": "Login"},
        "provider": "idp",
        "idp": provider.settings(),
    }
    made.organization(ORGANIZATION, organization)
    with made as running:
        yield running


def address(served: Served) -> str:
    """Return where this organization's logout tokens go."""
    return f"http://127.0.0.1:{served.port}/sign-in/{ORGANIZATION}/backchannel-logout"


def signed_in(served: Served, provider: BentProvider, subject: str = "ada") -> Visiting:
    """Sign somebody in by the pages; return the browser."""
    provider.subject = subject
    browser = Visiting(served.port)
    start = browser.press(browser.get("/sign-in"), "/sign-in", organization=ORGANIZATION)
    back = Browser().ask("GET", start.goes_on).location
    assert back is not None
    browser.get(back.removeprefix(f"http://127.0.0.1:{served.port}"))
    assert SESSION in browser.cookies
    return browser


def holds(browser: Visiting) -> bool:
    """Return whether this browser has a session."""
    return browser.get("/session").status == 200


@pytest.mark.rule("L1", server="bent")
def test_a_provider_ends_a_session(served: Served, provider: BentProvider) -> None:
    """200, kept by nobody, and gone at the next request; what nobody knows is passed by."""
    ada, made = signed_in(served, provider), provider.sign_ins[-1]
    bob = signed_in(served, provider, "bob")
    assert (holds(ada), holds(bob)) == (True, True)
    token = provider.logout_token("ada", sid=made.sid, further="claim")
    status, headers, _ = send(address(served), token, further="field")
    assert status == 200
    assert headers["cache-control"] == "no-store"
    assert (holds(ada), holds(bob)) == (False, True)
    status, headers, body = send(address(served), token)
    assert (status, headers["cache-control"]) == (400, "no-store")
    assert b'"invalid_request"' in body


@pytest.mark.rule("L2", server="bent")
def test_a_session_or_a_subject_is_enough(served: Served, provider: BentProvider) -> None:
    """200 with either, 400 with neither."""
    ada, made = signed_in(served, provider), provider.sign_ins[-1]
    again = signed_in(served, provider)
    assert send(address(served), provider.logout_token(sub=None, sid=made.sid))[0] == 200
    assert (holds(ada), holds(again)) == (False, True)
    assert send(address(served), provider.logout_token(sub=None))[0] == 400
    assert holds(again)
    assert send(address(served), provider.logout_token("ada"))[0] == 200
    assert not holds(again)


@pytest.mark.rule("L10", server="bent")
def test_what_the_address_takes(served: Served, provider: BentProvider) -> None:
    """One token in a form of bounded size; a good one in any other way ends nothing."""
    ada, made = signed_in(served, provider), provider.sign_ins[-1]

    def token() -> str:
        return provider.logout_token("ada", sid=made.sid)

    url = address(served)
    assert Browser().ask("GET", f"{url}?logout_token={token()}").status == 405
    refused = [
        post_form(f"{url}?logout_token={token()}", []),
        post_form(url, [("logout_token", token()), ("logout_token", token())]),
        post_form(url, [("logout_token", token())], "application/json"),
        post_form(url, [("logout_token", token()), ("more", "x" * 1024 * 1024)]),
    ]
    for status, headers, body in refused:
        assert status in {400, 413}
        assert headers["cache-control"] == "no-store"
        assert b'"invalid_request"' in body
    assert holds(ada)
    assert post_form(url, [("logout_token", token())])[0] == 200
    assert not holds(ada)


def test_why_a_token_is_refused_is_told_in_the_log(served: Served, provider: BentProvider) -> None:
    """Provider and operator are told alike, and the token itself stands nowhere."""
    ada, made = signed_in(served, provider), provider.sign_ins[-1]
    tokens = wrong_logout_tokens(provider, "ada", made.sid)
    for name, word in (("no_events", "events"), ("other_key", "signature"), ("old", "was made")):
        status, _, body = send(address(served), tokens[name])
        assert status == 400, name
        assert word in body.decode()
    assert holds(ada)
    log = served.log.read_text()
    assert "a logout token was refused: events is missing" in log
    for token in tokens.values():
        assert token not in log or token == tokens["no_token"]
