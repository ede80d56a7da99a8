"""What becomes of a session at its provider: the provider's word later on, and the sign-out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from syncd.errors import Refused
from tests.integration.oidc.entering import ORGANIZATION, SIGNED_OUT, Entering, at_once

if TYPE_CHECKING:
    from syncd.access.visits import Entered
    from tests.servers.bent_provider import BentProvider

SECRET_FIELDS = ("code", "state", "nonce", "code_verifier", "refresh_token", "client_secret")

# --- what the provider says later ---------------------------------------------------------------


def due(entering: Entering) -> None:
    """Let all sessions ask the provider at their next request."""
    entering.sql("update sessions set refresh_due_at = started_at where refresh_due_at is not null")


def because(entering: Entering, entered: Entered) -> str:
    """Return why a session ended."""
    (found,) = entering.sql(
        "select ended_because from sessions where id = :id", id=entered.session.id
    )
    return str(found)


def test_the_provider_s_word_is_renewed(both: Entering, provider: BentProvider) -> None:
    """What it says by now is written; each refresh token is used once, by one request."""
    entered = both.enter()
    for name in ("King", "Byron"):
        provider.users["ada"]["family_name"] = name
        due(both)
        at_once(3, lambda: both.holds(entered))
        session = both.holds(entered)
        assert session is not None
        assert session.last_name == name
    sent = [each.form for each in provider.requests if each.path == "/token"][1:]
    assert [each["grant_type"] for each in sent] == ["refresh_token"] * 2
    assert len({each["refresh_token"] for each in sent}) == 2


@pytest.mark.rule("I19", server="bent")
@pytest.mark.parametrize(
    "fault",
    [
        "refresh_other_subject",
        "refresh_other_audience",
        "refresh_other_nonce",
        "refresh_refused",
        "userinfo_other_subject",
    ],
)
def test_a_refresh_that_ends_the_session(
    entering: Entering, provider: BentProvider, fault: str
) -> None:
    """Another person's token, or none any more: that session is over, and no other one."""
    entered, other = entering.enter(), entering.enter()
    entering.sql(
        "update sessions set refresh_due_at = started_at where id = :id", id=entered.session.id
    )
    with provider.bent(fault):
        assert entering.holds(entered) is None
        assert entering.holds(other) is not None
    assert because(entering, entered) == "ended_by_provider"
    assert entering.sql("select count(*) from users where username = 'mallory'") == [0]


@pytest.mark.parametrize("fault", ["refresh_down", "down", "html", "refresh_without_id_token"])
def test_a_refresh_that_says_nothing(
    entering: Entering, provider: BentProvider, fault: str
) -> None:
    """A provider that fails puts nobody out, and is left alone for a while, whoever asks."""
    entering.configure()
    entered, other = entering.enter(), entering.enter()
    due(entering)
    asked = provider.count("/token")
    with provider.bent(fault):
        assert entering.holds(entered) is not None
        assert entering.holds(other) is not None
    answers = fault == "refresh_without_id_token"
    assert provider.count("/token") == asked + (2 if answers else 1)
    # As if that were over.
    entering.configure()
    assert entering.holds(other) is not None
    assert provider.count("/token") == asked + 2


def test_another_client_secret_costs_a_refresh_and_nothing_else(
    entering: Entering, provider: BentProvider
) -> None:
    """What was sealed under the old one is gone; the session holds, its sign-out has no hint."""
    entered = entering.enter()
    due(entering)
    asked = provider.count("/token")
    entering.configure(client_secret="another secret of the registration")
    try:
        assert entering.holds(entered) is not None
        assert provider.count("/token") == asked
        location = entering.app.sign_out(entered.secret).location
        assert location is not None
        assert "id_token_hint" not in location
    finally:
        entering.configure()


@pytest.mark.rule("H16", server="bent")
def test_another_issuer_ends_the_sessions(entering: Entering, provider: BentProvider) -> None:
    """Nobody whom one provider has sent stays with the next one, which is told nothing of him."""
    entered = entering.enter()
    due(entering)
    asked = provider.count("/token")
    entering.configure(issuer="https://other.example.test/")
    try:
        assert entering.holds(entered) is None
        assert provider.count("/token") == asked
    finally:
        entering.configure()


# --- signing out at the provider ----------------------------------------------------------------


def test_the_browser_signs_out_at_the_provider(entering: Entering, provider: BentProvider) -> None:
    """It goes to the Logout URL with the ID token and comes back where everybody does."""
    entered = entering.enter()
    location = entering.app.sign_out(entered.secret, state="a portal's").location
    assert location is not None
    assert location.startswith(f"{provider.origin}/logout?")
    assert entering.holds(entered) is None
    assert entering.walk(location) == f"{SIGNED_OUT}?state=a+portal%27s"
    (told,) = provider.sign_outs
    assert told["id_token_hint"].count(".") == 2
    assert told["client_id"] == provider.settings()["client_id"]


def test_syncd_signs_out_at_the_provider(entering: Entering, provider: BentProvider) -> None:
    """With Backchannel Logout it calls the Logout URL itself; the browser stays."""
    entering.configure(backchannel_logout=True)
    try:
        entered = entering.enter()
        assert entering.app.sign_out(entered.secret).location is None
        (told,) = provider.sign_outs
        assert told["id_token_hint"].count(".") == 2
        entered = entering.enter()
        with provider.bent("logout_down"):
            assert entering.app.sign_out(entered.secret).location is None
        assert entering.holds(entered) is None
    finally:
        entering.configure()


def test_without_a_logout_url_only_syncd_is_left(
    entering: Entering, provider: BentProvider
) -> None:
    """Nobody is told."""
    entering.configure(logout_url=None)
    try:
        entered = entering.enter()
        assert entering.app.sign_out(entered.secret).location is None
        assert entering.holds(entered) is None
        assert provider.sign_outs == []
    finally:
        entering.configure()


@pytest.mark.rule("H13", server="bent")
def test_nothing_secret_is_logged(
    entering: Entering,
    provider: BentProvider,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of a sign-in, a refresh, refusals and both logouts: at every level, by every library."""
    caplog.set_level(logging.DEBUG)
    visitor = entering.visitor()
    answer = entering.answer(visitor)
    entered = entering.app.finish_at_provider(ORGANIZATION, visitor, answer)
    made = provider.sign_ins[-1]
    secrets = {made.code, made.access_token, made.refresh_token, *dict(answer).values()}
    secrets |= {visitor.browser, entered.secret, provider.settings()["client_secret"]}
    entering.refusal(visitor, answer)
    for fault in ("invalid_grant", "access_denied", "mac", "other_nonce", "userinfo_other_subject"):
        with provider.bent(fault):
            entering.refusal()
    due(entering)
    assert entering.holds(entered) is not None
    token = provider.logout_token("nobody")
    entering.app.logout_token(ORGANIZATION, token)
    with pytest.raises(Refused):
        entering.app.logout_token(ORGANIZATION, token)
    location = entering.app.sign_out(entered.secret, state="planted-way-back").location or ""
    secrets |= {token, *parse_qs(urlsplit(location).query)["id_token_hint"], "planted-way-back"}
    for each in provider.sign_ins[-6:]:
        secrets |= {each.code, each.access_token, each.refresh_token}
    for sent in provider.requests:
        words = sent.fields
        secrets |= {words[name] for name in SECRET_FIELDS if name in words}
    secrets -= {provider.issuer}
    told = capsys.readouterr()
    text = told.out + told.err + caplog.text
    assert "signed_out" in text
    assert "httpcore2" in text
    assert [secret for secret in secrets if secret in text] == []
