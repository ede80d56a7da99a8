"""The code flow with a provider that does one thing wrong at a time, over real HTTP."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from syncd.errors import ProviderUnavailable
from syncd.oidc import logging_out
from syncd.oidc.authorization import Answer
from syncd.oidc.exchange import Ended, TokenAnswer, refresh
from syncd.oidc.failed import SignInFailed, SignInFault
from syncd.oidc.failure import Cause, FetchFailed
from syncd.oidc.kept import Kept, renewed
from syncd.oidc.outcome import Reason, Refusal
from syncd.oidc.tokens import IdToken
from syncd.oidc.userinfo import PROTOCOL, with_userinfo
from tests.integration.oidc.conversing import Party
from tests.servers.bent_provider import DENIED, BentProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

# For an answer that never comes.
SOON = 0.5


@pytest.fixture(scope="module")
def running() -> Iterator[BentProvider]:
    """The provider of this module."""
    with BentProvider({"ada": {"groups": ["staff"]}}) as provider:
        yield provider


@pytest.fixture
def provider(running: BentProvider) -> BentProvider:
    """The provider as it is to everybody, with nothing asked of it."""
    running.fault, running.userinfo, running.users = None, {}, {"ada": {"groups": ["staff"]}}
    running.requests.clear()
    return running


# --- the code and the tokens for it ------------------------------------------------------------


@pytest.mark.parametrize("way", ["client_secret_basic", "client_secret_post"])
def test_a_sign_in_of_which_nothing_is_wrong(provider: BentProvider, way: str) -> None:
    """Both ways to authenticate lead to a verified token with the claims of both places."""
    provider.userinfo = {"department": "Engines"}
    token = Party.of(provider, client_authentication=way, sends_issuer=True).sign_in()
    assert isinstance(token, IdToken)
    assert token.claims.subject == "ada"
    assert token.claims.values["department"] == "Engines"
    assert token.claims.values["groups"] == ["staff"]
    (sent,) = [each for each in provider.requests if each.path == "/token"]
    assert ("client_secret" in sent.form) is (way == "client_secret_post")
    assert bool(sent.authorization) is (way == "client_secret_basic")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("no_state", SignInFault.MISSING_STATE),
        ("two_states", SignInFault.DUPLICATE_PARAMETER),
        ("two_codes", SignInFault.DUPLICATE_PARAMETER),
        ("no_code", SignInFault.MISSING_CODE),
        ("no_iss", SignInFault.MISSING_ISSUER),
        ("other_iss", SignInFault.WRONG_ISSUER),
        ("access_denied", SignInFault.ACCESS_DENIED),
        ("error_and_code", SignInFault.ACCESS_DENIED),
        ("server_error", SignInFault.PROVIDER_FAILING),
    ],
)
def test_an_answer_that_is_refused_leads_to_no_exchange(
    provider: BentProvider, fault: str, expected: SignInFault
) -> None:
    """The reason is told, and the token endpoint never hears of it."""
    with provider.bent(fault):
        found = Party.of(provider, sends_issuer=True).sign_in()
    assert isinstance(found, SignInFailed)
    assert found.reason is expected
    assert provider.count("/token") == 0
    if fault == "access_denied":
        assert DENIED in found.detail


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("mac", SignInFault.WRONG_TOKEN_TYPE),
        ("no_token_type", SignInFault.WRONG_TOKEN_TYPE),
        ("no_id_token", SignInFault.MISSING_ID_TOKEN),
        ("invalid_grant", SignInFault.CODE_REFUSED),
        ("invalid_client", SignInFault.CLIENT_REFUSED),
        ("invalid_request", SignInFault.EXCHANGE_REFUSED),
        ("other_nonce", Reason.WRONG_NONCE),
        ("no_nonce", Reason.WRONG_NONCE),
        ("other_issuer", Reason.WRONG_ISSUER),
        ("other_audience", Reason.WRONG_AUDIENCE),
        ("other_party", Reason.WRONG_AUTHORIZED_PARTY),
        ("expired", Reason.EXPIRED),
        ("no_subject", Reason.BAD_SUBJECT),
        ("other_at_hash", Reason.WRONG_HASH),
        ("other_key", Reason.BAD_SIGNATURE),
        ("unsigned", Reason.ALGORITHM_NOT_ALLOWED),
        ("userinfo_other_subject", SignInFault.OTHER_SUBJECT),
    ],
)
def test_tokens_that_sign_nobody_in(
    provider: BentProvider, fault: str, expected: Reason | SignInFault
) -> None:
    """Each fault has a reason of its own, and secrets stay out of its sentence."""
    party = Party.of(provider)
    with provider.bent(fault):
        found = party.sign_in()
    assert isinstance(found, Refusal | SignInFailed)
    assert found.reason == expected
    made = provider.sign_ins[-1]
    for secret in (made.code, made.access_token, made.refresh_token, party.verifier):
        assert secret not in found.detail


@pytest.mark.parametrize("fault", ["BEARER", "no_expires_in"])
def test_what_is_seldom_and_right(provider: BentProvider, fault: str) -> None:
    """The type in any letter case, and a token that lasts nobody knows how long (RFC 6749)."""
    with provider.bent(fault):
        assert isinstance(Party.of(provider).sign_in(), IdToken)


@pytest.mark.rule("H15", server="bent")
@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("down", Cause.STATUS),
        ("redirect", Cause.REDIRECT),
        ("html", Cause.NOT_JSON),
        ("too_large", Cause.TOO_LARGE),
        ("twice", Cause.UNUSABLE),
        ("no_access_token", Cause.UNUSABLE),
        ("userinfo_down", Cause.STATUS),
        ("userinfo_html", Cause.NOT_JSON),
        ("userinfo_twice", Cause.UNUSABLE),
    ],
)
def test_a_provider_that_cannot_be_asked(provider: BentProvider, fault: str, cause: Cause) -> None:
    """Nobody is refused for it: it is the provider that is told of, with what to do."""
    with provider.bent(fault), pytest.raises(FetchFailed) as failed:
        Party.of(provider).sign_in()
    assert failed.value.reason is cause
    # Neither what was sent nor what came.
    for secret in (provider.sign_ins[-1].code, "Welcome", "xxxx"):
        assert secret not in str(failed.value)


@pytest.mark.rule("H15", server="bent")
def test_a_provider_that_does_not_answer_is_left(provider: BentProvider) -> None:
    """A time limit ends it."""
    party = Party.of(provider, seconds=SOON)
    with provider.bent("slow"), pytest.raises(FetchFailed) as failed:
        party.sign_in()
    assert failed.value.reason is Cause.TIMEOUT


@pytest.mark.parametrize(
    "changes",
    [{"verifier": "another verifier of forty-three characters.."}, {"redirect_uri": "https://x/"}],
    ids=str,
)
def test_the_provider_holds_the_code_against_its_request(
    provider: BentProvider, changes: dict[str, Any]
) -> None:
    """With another proof key or another address the code is worth nothing."""
    party = Party.of(provider)
    answer = party.answer()
    assert isinstance(answer, Answer)
    found = party.redeem(answer, **changes)
    assert isinstance(found, SignInFailed)
    assert found.reason is SignInFault.CODE_REFUSED


def test_a_code_is_good_once(provider: BentProvider) -> None:
    """A provider that sees it again refuses, and that is told apart from a provider that fails."""
    party = Party.of(provider)
    answer = party.answer()
    assert isinstance(answer, Answer)
    assert isinstance(party.redeem(answer), TokenAnswer)
    found = party.redeem(answer)
    assert isinstance(found, SignInFailed)
    assert found.reason is SignInFault.CODE_REFUSED


# --- userinfo ----------------------------------------------------------------------------------


@pytest.mark.rule("I18", server="bent")
def test_userinfo_of_somebody_else_adds_nothing(provider: BentProvider) -> None:
    """The sign-in is refused, and the token stays as it was."""
    provider.userinfo = {"department": "Engines"}
    party = Party.of(provider)
    tokens = party.tokens()
    token = party.judge(tokens)
    assert isinstance(token, IdToken)
    with provider.bent("userinfo_other_subject"):
        found = with_userinfo(party.options, party.fetch, token, tokens.access_token)
    assert isinstance(found, SignInFailed)
    assert found.reason is SignInFault.OTHER_SUBJECT
    assert "department" not in token.claims.values


ADA = {"email": "ada@example.test", "email_verified": True}


@pytest.mark.parametrize(
    ("token", "userinfo", "expected"),
    [
        # What the token says stands.
        ({"groups": ["staff"]}, {"groups": ["admins"]}, {"groups": ["staff"]}),
        ({}, {"groups": ["staff"], "department": None}, {"groups": ["staff"]}),
        # An address and whether it is verified come from one place.
        (
            {"email_verified": None},
            {"email": "eve@example.test", "email_verified": True},
            {"email": "ada@example.test", "email_verified": None},
        ),
        ({"email_verified": None}, ADA, ADA),
        ({"email": None}, {"email": "eve@example.test"}, {"email_verified": None}),
        (
            {"email": None, "email_verified": False},
            {"email": "ada@example.test", "email_verified": True},
            ADA,
        ),
    ],
    ids=str,
)
def test_what_userinfo_adds(
    provider: BentProvider,
    token: dict[str, Any],
    userinfo: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    """Claims that the ID token lacks, and none that speak of the sign-in itself."""
    provider.users["ada"] = token
    protocol = dict.fromkeys(PROTOCOL - {"sub"}, "planted")
    provider.userinfo = userinfo | protocol
    found = Party.of(provider).sign_in()
    assert isinstance(found, IdToken)
    values = found.claims.values
    assert {name: values.get(name) for name in expected} == expected
    assert "planted" not in [values.get(name) for name in PROTOCOL]
    assert "department" not in values


def test_without_an_endpoint_nothing_is_asked(provider: BentProvider) -> None:
    """The ID token is all there is."""
    found = Party.of(provider, userinfo_url=None).sign_in()
    assert isinstance(found, IdToken)
    assert provider.count("/userinfo") == 0


# --- refresh -----------------------------------------------------------------------------------


def kept_of(party: Party) -> Kept:
    """Sign somebody in and return what is kept of it."""
    tokens = party.tokens()
    token = party.judge(tokens)
    assert isinstance(token, IdToken)
    return Kept.of(tokens, token)


def refreshed(party: Party, kept: Kept) -> TokenAnswer | Ended:
    """Ask for new tokens."""
    assert kept.refresh_token is not None
    return refresh(party.options, party.fetch, kept.refresh_token)


def test_refresh_goes_on_with_new_tokens(provider: BentProvider) -> None:
    """Each answer has the refresh token for the next one, and the token of the same person."""
    party = Party.of(provider)
    kept = kept_of(party)
    for _ in range(3):
        answer = refreshed(party, kept)
        assert isinstance(answer, TokenAnswer)
        assert isinstance(renewed(party.validator, kept, answer, now=time.time()), IdToken)
        assert answer.refresh_token != kept.refresh_token
        kept = kept.after(answer)


@pytest.mark.rule("I19", server="bent")
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("refresh_other_subject", Reason.CHANGED_IDENTITY),
        ("refresh_other_audience", Reason.WRONG_AUDIENCE),
        ("refresh_other_nonce", Reason.WRONG_NONCE),
        ("other_key", Reason.BAD_SIGNATURE),
    ],
)
def test_a_refresh_that_brings_another_s_token(
    provider: BentProvider, fault: str, expected: Reason
) -> None:
    """It is refused, whoever the provider says that it is now."""
    party = Party.of(provider)
    kept = kept_of(party)
    with provider.bent(fault):
        answer = refreshed(party, kept)
    assert isinstance(answer, TokenAnswer)
    found = renewed(party.validator, kept, answer, now=time.time())
    assert isinstance(found, Refusal)
    assert found.reason is expected


def test_a_refresh_need_not_bring_an_id_token(provider: BentProvider) -> None:
    """Nothing is said of the person then, and the session goes on (Core section 12.2)."""
    party = Party.of(provider)
    kept = kept_of(party)
    with provider.bent("refresh_without_id_token"):
        answer = refreshed(party, kept)
    assert isinstance(answer, TokenAnswer)
    assert renewed(party.validator, kept, answer, now=time.time()) is None


def test_the_provider_s_end_is_told_from_a_provider_that_fails(provider: BentProvider) -> None:
    """Only invalid_grant ends what was begun; the rest is tried again."""
    party = Party.of(provider)
    kept = kept_of(party)
    for fault in ("refresh_down", "invalid_client", "mac", "html"):
        changes: dict[str, Any] = {"client_secret": "another"} if fault == "invalid_client" else {}
        other = Party.of(provider, **changes)
        with provider.bent(fault), pytest.raises(ProviderUnavailable) as failed:
            refreshed(other, kept)
        assert str(kept.refresh_token) not in str(failed.value)
        if fault == "mac":
            # It was answered, so the old refresh token is gone.
            kept = kept_of(party)
    with provider.bent("refresh_refused"):
        assert isinstance(refreshed(party, kept), Ended)
    del provider.users["ada"]
    assert isinstance(refreshed(party, kept), Ended)


# --- signing out -------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [None, "logout_by_get"])
def test_syncd_tells_the_provider_of_a_sign_out(provider: BentProvider, fault: str | None) -> None:
    """By a form, or by a query where there is no form; the ID token says which session it is."""
    party = Party.of(provider, backchannel_logout=True)
    provider.fault = fault
    logging_out.call(party.options, party.fetch, "the ID token")
    last = provider.requests[-1]
    assert (last.path, last.method) == ("/logout", "POST" if fault is None else "GET")
    assert last.fields == {"id_token_hint": "the ID token", "client_id": "syncd"}


def test_a_provider_that_does_not_sign_out_is_told_of(provider: BentProvider) -> None:
    """With the next step, and without the token."""
    party = Party.of(provider, backchannel_logout=True)
    with provider.bent("logout_down"), pytest.raises(ProviderUnavailable) as failed:
        logging_out.call(party.options, party.fetch, "the ID token")
    assert "backchannel_logout" in str(failed.value)
    assert "the ID token" not in str(failed.value)


def test_nobody_is_called_where_the_browser_goes(provider: BentProvider) -> None:
    """Without backchannel_logout syncd asks nothing of the logout URL."""
    party = Party.of(provider)
    logging_out.call(party.options, party.fetch, "the ID token")
    assert provider.requests == []
