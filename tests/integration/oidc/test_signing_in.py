"""Sign-ins with the identity provider, through the application and over real HTTP.

The rules of authorization answers and of the tokens that a code brings.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from syncd.access.visits import SECRET_CHARACTERS, Visitor, new_secret
from syncd.errors import ProviderUnavailable, Refused
from tests.integration.oidc.entering import (
    ADA,
    ADDRESS,
    CALLBACK,
    ORGANIZATION,
    Entering,
    at_once,
    sessions,
)

if TYPE_CHECKING:
    from tests.servers.bent_provider import BentProvider


# --- the way in --------------------------------------------------------------------------------


@pytest.mark.rule("R5", server="bent sqlite postgresql")
def test_a_newcomer_signs_in(both: Entering, provider: BentProvider) -> None:
    """What the provider says of her is written, and she has a session that holds."""
    provider.userinfo = {"name": "Ada Lovelace"}
    entered = both.enter()
    session = both.holds(entered)
    assert session is not None
    assert (session.username, session.email, session.way) == ("ada", ADA["email"], "idp")
    assert (session.first_name, session.last_name) == ("Ada", "Lovelace")
    assert (session.address, session.agent) == (ADDRESS, "a test")
    assert len(entered.secret) == SECRET_CHARACTERS
    assert entered.location is None
    assert ("sign_ins", ORGANIZATION, "accepted", "none") in both.counted
    (asked,) = [each.query for each in provider.requests if each.path == "/authorize"]
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == CALLBACK
    assert len(urlsafe_b64decode(asked["code_challenge"] + "=")) == 32
    (sent,) = [each.form for each in provider.requests if each.path == "/token"]
    assert 43 <= len(sent["code_verifier"]) <= 128
    assert sent["code_verifier"] != asked["code_challenge"]


@pytest.mark.rule("H14", server="sqlite")
def test_nothing_of_a_sign_in_can_be_read_in_the_store(
    entering: Entering, provider: BentProvider
) -> None:
    """Neither what it was begun with nor what it brought: whoever copies the store has nothing."""
    visitor = entering.visitor()
    entered = entering.app.finish_at_provider(ORGANIZATION, visitor, entering.answer(visitor))
    begun = entering.visitor()
    url = entering.app.start_at_provider(ORGANIZATION, begun, None)
    words = dict(parse_qsl(urlsplit(url).query))
    made = provider.sign_ins[-1]
    (verifier,) = [
        each.form["code_verifier"] for each in provider.requests if each.path == "/token"
    ]
    secrets = {
        "session": entered.secret,
        "browser": visitor.browser,
        "state": words["state"],
        "nonce": words["nonce"],
        "verifier": verifier,
        "code": made.code,
        "refresh": made.refresh_token,
        "access": made.access_token,
    }
    path = entering.store_url.removeprefix("sqlite:///")
    stored = b""
    for suffix in ("", "-wal"):
        with open(path + suffix, "rb") as file:  # noqa: PTH123 - a suffix, not a name
            stored += file.read()
    assert made.subject.encode() in stored
    for name, secret in secrets.items():
        assert secret.encode() not in stored, name


# --- 1d: state, code, issuer -------------------------------------------------------------------


@pytest.mark.rule("R1", server="bent")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda answer: [each for each in answer if each[0] != "state"], "missing_state"),
        (lambda answer: [*answer, answer[1]], "missing_state"),
        (lambda answer: [answer[0], ("state", ""), *answer[2:]], "missing_state"),
        (lambda answer: [answer[0], ("state", new_secret()), *answer[2:]], "unknown_state"),
        (lambda answer: [answer[0], ("state", "\udc80" * 9), *answer[2:]], "unknown_state"),
        (
            lambda answer: [answer[0], ("state", answer[1][1].swapcase()), *answer[2:]],
            "unknown_state",
        ),
    ],
    ids=["missing", "twice", "empty", "unknown", "no_text", "other_case"],
)
def test_an_answer_without_its_state(
    entering: Entering, provider: BentProvider, change: Any, reason: str
) -> None:
    """It is refused before anything else is asked, and the sign-in can still be finished."""
    visitor = entering.visitor()
    answer = entering.answer(visitor)
    assert entering.refusal(visitor, change(answer)).reason == reason
    assert provider.count("/token") == 0
    assert entering.app.finish_at_provider(ORGANIZATION, visitor, answer)


@pytest.mark.rule("R1", server="bent sqlite postgresql")
@pytest.mark.rule("H2", server="bent sqlite postgresql")
def test_another_browser_s_answer(both: Entering, provider: BentProvider) -> None:
    """It is refused and uses nothing up; whoever began goes on."""
    visitor = both.visitor()
    answer = both.answer(visitor)
    assert both.refusal(both.visitor(), answer).reason == "unknown_state"
    assert both.refusal(Visitor("", ADDRESS), answer).reason == "unknown_state"
    assert provider.count("/token") == 0
    assert both.app.finish_at_provider(ORGANIZATION, visitor, answer)


@pytest.mark.rule("R1", server="bent sqlite postgresql")
@pytest.mark.rule("H2", server="bent sqlite postgresql")
def test_a_sign_in_that_took_too_long(both: Entering, provider: BentProvider) -> None:
    """After its time the answer is nobody's."""
    visitor = both.visitor()
    answer = both.answer(visitor)
    both.sql("update sign_ins set expires_at = started_at")
    assert both.refusal(visitor, answer).reason == "unknown_state"
    assert provider.count("/token") == 0


@pytest.mark.rule("R1", server="bent sqlite postgresql")
@pytest.mark.rule("I13", server="bent sqlite postgresql")
@pytest.mark.rule("H2", server="bent sqlite postgresql")
def test_an_answer_is_good_once(both: Entering, provider: BentProvider) -> None:
    """Replayed it is refused without a second exchange, and what it has led to stays."""
    visitor = both.visitor()
    answer = both.answer(visitor)
    entered = both.app.finish_at_provider(ORGANIZATION, visitor, answer)
    assert both.refusal(visitor, answer).reason == "unknown_state"
    assert provider.count("/token") == 1
    assert both.holds(entered) is not None


@pytest.mark.rule("I13", server="bent sqlite postgresql")
def test_an_answer_that_comes_many_times_at_once(both: Entering, provider: BentProvider) -> None:
    """One of them is taken, whichever it is."""
    visitor = both.visitor()
    answer = both.answer(visitor)
    came = at_once(4, lambda: both.app.finish_at_provider(ORGANIZATION, visitor, answer))
    assert sorted(each for each in came if isinstance(each, str)) == ["unknown_state"] * 3
    assert provider.count("/token") == 1


@pytest.mark.rule("R1", server="bent")
def test_an_organization_s_answer_at_another_s_address(
    entering: Entering, provider: BentProvider
) -> None:
    """A state belongs to the organization that it was made for, even with the same provider."""
    entering.configure("bolt")
    try:
        visitor = entering.visitor()
        answer = entering.answer(visitor)
        assert entering.refusal(visitor, answer, "bolt").reason == "unknown_state"
        assert provider.count("/token") == 0
    finally:
        (entering.folder / "organizations" / "bolt.yaml").unlink()
        entering.configure()


@pytest.mark.rule("R2", server="bent")
def test_a_provider_that_names_itself(entering: Entering, provider: BentProvider) -> None:
    """With sends_issuer an answer without iss is refused, and without it only a wrong one is."""
    with provider.bent("no_iss"):
        assert entering.enter()
    with provider.bent("other_iss"):
        assert entering.refusal().reason == "wrong_issuer"
    entering.configure(sends_issuer=True)
    try:
        asked = provider.count("/token")
        with provider.bent("no_iss"):
            assert entering.refusal().reason == "missing_issuer"
        assert provider.count("/token") == asked
        assert entering.enter()
    finally:
        entering.configure()


@pytest.mark.rule("R3", server="bent")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [("two_codes", "duplicate_parameter"), ("two_states", "missing_state")],
)
def test_an_answer_with_something_twice(
    entering: Entering, provider: BentProvider, fault: str, reason: str
) -> None:
    """Two readers may read two answers, so it is none."""
    with provider.bent(fault):
        assert entering.refusal().reason == reason
    assert provider.count("/token") == 0


@pytest.mark.rule("R4", server="bent")
def test_a_provider_that_refuses(
    entering: Entering, provider: BentProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is exchanged, that sign-in is over, and the log has what was said on one line."""
    visitor = entering.visitor()
    with provider.bent("access_denied"):
        answer = entering.answer(visitor)
    told = entering.refusal(visitor, answer)
    assert told.reason == "access_denied"
    assert provider.count("/token") == 0
    logged = capsys.readouterr()
    assert told.reference
    assert told.reference in logged.out + logged.err
    assert entering.refusal(visitor, answer).reason == "unknown_state"


def test_a_provider_that_says_that_it_fails(entering: Entering, provider: BentProvider) -> None:
    """The person is told to try again: it is not he who was refused."""
    visitor = entering.visitor()
    with provider.bent("server_error"):
        answer = entering.answer(visitor)
    with pytest.raises(ProviderUnavailable):
        entering.app.finish_at_provider(ORGANIZATION, visitor, answer)
    assert ("sign_ins", ORGANIZATION, "unavailable", "provider_unavailable") in entering.counted


@pytest.mark.rule("R5", server="bent")
def test_another_sign_in_s_code(entering: Entering, provider: BentProvider) -> None:
    """A code that somebody slips into another one's answer does not have its proof key."""
    victim, thief = entering.visitor(), entering.visitor()
    stolen = dict(entering.answer(victim))
    answer = [
        ("code", stolen["code"]) if name == "code" else (name, value)
        for name, value in entering.answer(thief)
    ]
    assert entering.refusal(thief, answer).reason == "code_refused"
    used = [each.form["code_verifier"] for each in provider.requests if each.path == "/token"]
    assert len(used) == 1


@pytest.mark.rule("R5", server="bent")
def test_no_two_sign_ins_share_anything(entering: Entering) -> None:
    """State, nonce and proof key are new each time, for the same browser as well."""
    visitor = entering.visitor()
    begun = [entering.app.start_at_provider(ORGANIZATION, visitor, None) for _ in range(3)]
    asked = [parse_qs(urlsplit(url).query) for url in [*begun]]
    for name in ("state", "nonce", "code_challenge"):
        assert len({words[name][0] for words in asked}) == 3
        assert all(len(words[name][0]) == SECRET_CHARACTERS for words in asked)


@pytest.mark.rule("R7", server="bent sqlite postgresql")
def test_two_windows_end_in_any_order(both: Entering) -> None:
    """The one that began first may finish last; the second one's session takes its place."""
    visitor = both.visitor()
    first, second = both.answer(visitor), both.answer(visitor)
    one = both.app.finish_at_provider(ORGANIZATION, visitor, second)
    two = both.app.finish_at_provider(ORGANIZATION, visitor, first, replaced=one.secret)
    assert both.holds(one) is None
    assert both.holds(two) is not None


# --- 1a, 1d: what the token endpoint answers ----------------------------------------------------


@pytest.mark.rule("R6", server="bent")
@pytest.mark.rule("I17", server="bent")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("mac", "wrong_token_type"),
        ("no_id_token", "missing_id_token"),
        ("other_nonce", "wrong_nonce"),
        ("no_nonce", "wrong_nonce"),
        ("other_issuer", "wrong_issuer"),
        ("other_audience", "wrong_audience"),
        ("other_at_hash", "wrong_hash"),
        ("expired", "expired"),
        ("other_key", "bad_signature"),
        ("unsigned", "algorithm_not_allowed"),
        ("invalid_client", "client_refused"),
    ],
)
def test_tokens_that_let_nobody_in(
    entering: Entering, provider: BentProvider, fault: str, reason: str
) -> None:
    """Each has its reason, nobody is written, and nobody has a session."""
    provider.users = {"newcomer": {}}
    provider.subject = "newcomer"
    before = sessions(entering)
    with provider.bent(fault):
        assert entering.refusal().reason == reason
    assert sessions(entering) == before
    assert entering.sql("select count(*) from users where username = 'newcomer'") == [0]


@pytest.mark.rule("R6", server="bent")
@pytest.mark.parametrize("fault", ["BEARER", "no_expires_in"])
def test_tokens_that_are_right_if_seldom(
    entering: Entering, provider: BentProvider, fault: str
) -> None:
    """Letter case of the type, and how long the token lasts, stand in nobody's way."""
    with provider.bent(fault):
        assert entering.enter()


@pytest.mark.rule("L8", server="bent")
def test_without_validate_signatures(entering: Entering, provider: BentProvider) -> None:
    """What comes from the token URL is taken without keys; what comes from elsewhere is not."""
    entering.configure(validate_signatures=False, jwks_url=None)
    try:
        with provider.bent("other_key"):
            entered = entering.enter()
        for fault, reason in (
            ("unsigned", "algorithm_not_allowed"),
            ("other_nonce", "wrong_nonce"),
        ):
            with provider.bent(fault):
                assert entering.refusal().reason == reason
        with pytest.raises(Refused):
            entering.app.logout_token(ORGANIZATION, provider.logout_token("ada"))
        assert entering.holds(entered) is not None
    finally:
        entering.configure()


@pytest.mark.rule("I18", server="bent")
def test_userinfo_of_somebody_else(entering: Entering, provider: BentProvider) -> None:
    """The sign-in is refused and nothing of what was said is written."""
    entering.enter()
    provider.userinfo = {"family_name": "Mallory"}
    del provider.users["ada"]["family_name"]
    with provider.bent("userinfo_other_subject"):
        assert entering.refusal().reason == "other_subject"
    assert "Mallory" not in entering.sql("select last_name from users")


@pytest.mark.parametrize("fault", ["down", "html", "too_large", "redirect", "userinfo_down"])
def test_a_provider_that_cannot_be_asked(
    entering: Entering, provider: BentProvider, fault: str
) -> None:
    """It is told apart from a refusal, with a reference as well."""
    visitor = entering.visitor()
    answer = entering.answer(visitor)
    with provider.bent(fault), pytest.raises(ProviderUnavailable) as caught:
        entering.app.finish_at_provider(ORGANIZATION, visitor, answer)
    assert caught.value.reference
    assert ("sign_ins", ORGANIZATION, "unavailable", "provider_unavailable") in entering.counted
