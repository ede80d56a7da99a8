"""Logout tokens of the identity provider: whose sessions end, once, and nobody else's."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from syncd.app import App
from syncd.errors import NotFound, ProviderUnavailable, Refused
from syncd.oidc.outcome import Reason
from tests.integration.oidc.entering import ADA, ORGANIZATION, Entering, at_once, sessions
from tests.servers.bent_faults import wrong_logout_tokens

if TYPE_CHECKING:
    from syncd.access.visits import Entered
    from tests.servers.bent_provider import BentProvider, SignIn

WRONG = (
    *("nobody", "no_events", "events_list", "other_event", "event_text"),
    *("expired", "no_exp", "no_iat", "future", "old", "no_jti", "other_issuer", "other_audience"),
    *("nonce", "id_token", "unsigned", "other_key", "access_type", "no_token"),
)


def come(world: Entering, provider: BentProvider, subject: str = "ada") -> tuple[Entered, SignIn]:
    """Sign somebody in in a new browser; return the session and what the provider has of it."""
    provider.users.setdefault(subject, ADA | {"email": f"{subject}@example.test"})
    provider.subject = subject
    entered = world.enter()
    return entered, provider.sign_ins[-1]


def holding(world: Entering, *entered: Entered) -> list[bool]:
    """Return which of the sessions hold."""
    return [world.holds(each) is not None for each in entered]


@pytest.mark.rule("L1", server="bent sqlite postgresql")
def test_a_token_of_a_subject_and_session(both: Entering, provider: BentProvider) -> None:
    """That session is over at the next request; claims that nobody knows do not matter."""
    (one, made), (two, _), (bob, _) = (
        come(both, provider),
        come(both, provider),
        come(both, provider, "bob"),
    )
    token = provider.logout_token("ada", sid=made.sid, further={"a": 1})
    assert both.app.logout_token(ORGANIZATION, token) == 1
    assert holding(both, one, two, bob) == [False, True, True]
    asked = "select ended_because from sessions where id = :id"
    assert both.sql(asked, id=one.session.id) == ["ended_by_provider"]


@pytest.mark.rule("L2", server="bent sqlite postgresql")
def test_a_token_of_a_session_or_of_a_subject(both: Entering, provider: BentProvider) -> None:
    """A sid alone ends that session, a sub alone all of that person."""
    (one, made), (two, _), (three, _) = (come(both, provider) for _ in range(3))
    bob, _ = come(both, provider, "bob")
    token = provider.logout_token(sub=None, sid=made.sid)
    assert both.app.logout_token(ORGANIZATION, token) == 1
    assert holding(both, one, two, three, bob) == [False, True, True, True]
    both.app.logout_token(ORGANIZATION, provider.logout_token("ada"))
    assert holding(both, one, two, three, bob) == [False, False, False, True]


@pytest.mark.rule("L2", server="bent")
def test_a_session_that_is_another_person_s(entering: Entering, provider: BentProvider) -> None:
    """A token that names a session and somebody else ends nothing."""
    one, made = come(entering, provider)
    bob, _ = come(entering, provider, "bob")
    token = provider.logout_token("bob", sid=made.sid)
    assert entering.app.logout_token(ORGANIZATION, token) == 0
    assert holding(entering, one, bob) == [True, True]


def test_a_token_of_somebody_who_is_not_here(entering: Entering, provider: BentProvider) -> None:
    """It is a good token all the same."""
    one, _ = come(entering, provider)
    before = sessions(entering)
    for token in (provider.logout_token("nobody"), provider.logout_token(sub=None, sid="none")):
        assert entering.app.logout_token(ORGANIZATION, token) == 0
    assert sessions(entering) == before
    assert holding(entering, one) == [True]


@pytest.mark.rule("L2", server="bent")
@pytest.mark.rule("L3", server="bent")
@pytest.mark.rule("L5", server="bent")
@pytest.mark.rule("L6", server="bent")
@pytest.mark.rule("L7", server="bent")
@pytest.mark.rule("L8", server="bent")
@pytest.mark.parametrize("name", WRONG)
def test_tokens_that_end_nothing(entering: Entering, provider: BentProvider, name: str) -> None:
    """Each is wrong in one way, and names a session that holds on."""
    one, made = come(entering, provider)
    token = wrong_logout_tokens(provider, "ada", made.sid)[name]
    with pytest.raises(Refused) as caught:
        entering.app.logout_token(ORGANIZATION, token)
    assert caught.value.reason == "invalid"
    assert holding(entering, one) == [True]
    refused = [each[3] for each in entering.counted if each[:3] == ("tokens", "acme", "refused")]
    assert len(refused) == 1
    assert refused[0] in set(Reason)


def test_every_wrong_token_is_among_them(provider: BentProvider) -> None:
    """The list above is all that the provider can do wrong."""
    assert set(wrong_logout_tokens(provider, "ada", "s")) == set(WRONG)


@pytest.mark.rule("L7", server="bent")
def test_a_logout_token_signs_nobody_in(entering: Entering, provider: BentProvider) -> None:
    """As an ID token it is refused, with the right nonce as well."""
    token = provider.logout_token("ada", nonce="n")
    found = entering.app.provider(ORGANIZATION).validator.id_token(token, now=0, nonce="n")
    assert found.reason in {Reason.WRONG_TYPE, Reason.BAD_EVENTS}  # type: ignore[union-attr]


@pytest.mark.rule("L6", server="bent")
def test_another_organization_s_address(entering: Entering, provider: BentProvider) -> None:
    """A token for one client ends nothing at an organization with another one."""
    one, made = come(entering, provider)
    token = provider.logout_token("ada", sid=made.sid)
    entering.configure("bolt", client_id="bolt")
    try:
        with pytest.raises(Refused):
            entering.app.logout_token("bolt", token)
        with pytest.raises(NotFound):
            entering.app.logout_token("nowhere", token)
        assert holding(entering, one) == [True]
        # The same registration at two addresses: one organization's people are nobody at the other.
        entering.configure("bolt")
        assert entering.app.logout_token("bolt", token) == 0
        assert holding(entering, one) == [True]
        assert entering.app.logout_token(ORGANIZATION, token) == 1
    finally:
        (entering.folder / "organizations" / "bolt.yaml").unlink()
        entering.configure()


@pytest.mark.rule("L1", server="sqlite postgresql")
def test_a_token_is_good_once(both: Entering, provider: BentProvider) -> None:
    """Not a second time, at another process, or after a restart; and once of many at once."""
    one, made = come(both, provider)
    token = provider.logout_token("ada", sid=made.sid)
    came = at_once(4, lambda: both.app.logout_token(ORGANIZATION, token))
    assert sorted(came, key=str) == [1, "invalid", "invalid", "invalid"]
    with closing(App.load(str(both.folder / "syncd.yaml"), environ={})) as other:
        with pytest.raises(Refused, match="used before"):
            other.logout_token(ORGANIZATION, token)
        # Its id is used up for this provider alone; another token of that session is a new one.
        assert other.logout_token(ORGANIZATION, provider.logout_token("ada", sid=made.sid)) == 0
    assert holding(both, one) == [False]


@pytest.mark.rule("L11", server="bent sqlite postgresql")
def test_what_a_logout_takes_along(both: Entering, provider: BentProvider) -> None:
    """The refresh token of that session goes, is never used, and nobody else loses anything."""
    (one, made), (bob, _) = come(both, provider), come(both, provider, "bob")
    asked = "select sealed is not null from sessions where id = :id"
    assert [bool(each) for each in both.sql(asked, id=one.session.id)] == [True]
    both.app.logout_token(ORGANIZATION, provider.logout_token("ada", sid=made.sid))
    assert [bool(each) for each in both.sql(asked, id=one.session.id)] == [False]
    assert [bool(each) for each in both.sql(asked, id=bob.session.id)] == [True]
    both.sql("update sessions set refresh_due_at = started_at")
    before = provider.count("/token")
    assert holding(both, one, bob) == [False, True]
    (sent,) = [each.form for each in provider.requests if each.path == "/token"][before:]
    assert sent["refresh_token"] != made.refresh_token


def test_without_keys_nothing_is_said(entering: Entering, provider: BentProvider) -> None:
    """The provider may send it again: it was not called wrong, and is not used up."""
    one, made = come(entering, provider)
    token = provider.logout_token("ada", sid=made.sid)
    entering.configure(jwks_url=f"{provider.origin}/nowhere")
    try:
        with pytest.raises(ProviderUnavailable):
            entering.app.logout_token(ORGANIZATION, token)
    finally:
        entering.configure()
    assert entering.app.logout_token(ORGANIZATION, token) == 1
    assert holding(entering, one) == [False]
