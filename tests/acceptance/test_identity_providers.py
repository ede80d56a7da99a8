"""Tokens of a real OpenID Connect provider: verified, mapped, written, and at the API's door."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from syncd.errors import NotAuthenticated, SignInRefused
from syncd.oidc.compact import decode
from syncd.oidc.outcome import Reason
from tests.acceptance.bridge import Bridge, TokenRefused, sources
from tests.acceptance.daemons import Daemon
from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import ORGANIZATION
from tests.minting import signer
from tests.servers.oidc_provider import ALGORITHMS, AUDIENCE, SCOPE, SECRET, OidcProvider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.preloaded import Commands

pytest_plugins = ("tests.acceptance.quick",)

ANN = "5d9c2e0a-ann"
PROFILE = {
    "preferred_username": "ann",
    "given_name": "Ann",
    "family_name": "Archer",
    "email": "Ann@Example.test",
    "email_verified": True,
}
OPERATOR = {
    "name": "operators",
    "type": "claim-to-role",
    "claim": "realm_access.roles",
    "equals": "operator",
    "role": "Operator",
    "unknown_role": "create",
}
ENGINEER = {
    "name": "engineers",
    "type": "claim-to-group",
    "claim": "groups",
    "equals": "/engineering",
    "group": "/Acme/Engineering",
}
DEPARTMENT = {
    "name": "department",
    "type": "claim-to-attribute",
    "claim": "department",
    "user_attribute": "department",
}


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    """The provider of this module."""
    with OidcProvider({ANN: PROFILE}) as server:
        yield server


@pytest.fixture
def bridge(provider: OidcProvider, commands: Commands, store_url: str, tmp_path: Path) -> Bridge:
    """An organization of that provider, as its metadata say, with Ann as everybody knows her."""
    provider.put(ANN, **PROFILE)
    made = Bridge(tmp_path / "syncd", store_url, commands)
    made.idp = {
        "issuer": provider.issuer,
        "client_id": provider.client_id(),
        "client_secret": SECRET,
        "authorization_url": provider.metadata["authorization_endpoint"],
        "token_url": provider.metadata["token_endpoint"],
        "jwks_url": provider.metadata["jwks_uri"],
    }
    made.configure()
    return made


def signed_in(bridge: Bridge, provider: OidcProvider, **claims: Any) -> Any:
    """Sign Ann in with these claims beside her profile."""
    provider.put(ANN, **PROFILE | claims)
    tokens = provider.sign_in(ANN)
    return bridge.sign_in(tokens.id_token, tokens.nonce)


def change_sets(bridge: Bridge) -> int:
    """Return how many sign-ins have changed something."""
    (found,) = bridge.sql("select count(*) from change_sets where actor = 'sign-in'")
    return int(found)


@ON_SQLITE
def test_what_discovery_writes_is_what_works(bridge: Bridge, provider: OidcProvider) -> None:
    """The section that it prints, with the registration, is complete: keys are found, all fits."""
    told = bridge.json("idp", "discover", provider.issuer)
    assert told["idp"]["issuer"] == provider.issuer
    bridge.idp = told["idp"] | {"client_id": provider.client_id(), "client_secret": SECRET}
    bridge.configure()
    (found,) = bridge.json("check", "--connect")["organizations"]
    assert found["connect"]["keys"]["usable"] == len(ALGORITHMS)
    assert found["connect"]["discovery"]["differences"] == []
    assert (found["faults"], found["advice"]) == ([], [])


@ON_SQLITE
@pytest.mark.rule("I1", server="oidc-provider")
@pytest.mark.rule("I16", server="oidc-provider")
@pytest.mark.parametrize("algorithm", [*ALGORITHMS, "HS256"])
def test_tokens_of_each_algorithm_are_taken(
    bridge: Bridge, provider: OidcProvider, algorithm: str
) -> None:
    """Every check of a real ID token passes, and the person that it would make is told."""
    bridge.configure(client_id=provider.client_id(algorithm), allowed_algorithms=[algorithm])
    tokens = provider.sign_in(ANN, algorithm=algorithm)
    report = bridge.json(
        "token", "verify", ORGANIZATION, "--nonce", tokens.nonce, stdin=tokens.id_token
    )
    assert report["outcome"] == "accepted"
    found = {each["check"]: each["outcome"] for each in report["checks"]}
    assert "failed" not in found.values()
    assert {found[name] for name in ("signature", "issuer", "audience", "nonce")} == {"passed"}
    assert report["person"]["record"]["username"] == "ann"
    assert (report["then"]["would"], report["then"]["username"]) == ("create", "ann")
    # The hash of the access token that it came with is in it.
    assert bridge.refusal(tokens, access_token=tokens.access_token) is None
    assert bridge.refusal(tokens, access_token="another") == Reason.WRONG_HASH


@ON_SQLITE
@pytest.mark.rule("L1", server="oidc-provider")
@pytest.mark.rule("L7", server="oidc-provider")
def test_logout_tokens_are_taken_and_are_nothing_else(
    bridge: Bridge, provider: OidcProvider
) -> None:
    """The token that ends a session passes as that and nothing else, and an ID token does not."""
    tokens = provider.sign_in(ANN)
    session = bridge.json("token", "verify", ORGANIZATION, stdin=tokens.id_token)["claims"]["sid"]
    logout = provider.log_out(ANN, session)
    for text, kind, reason in (
        (logout, "logout", None),
        (logout, "id", "wrong_type"),
        (tokens.id_token, "logout", "bad_events"),
    ):
        words = ("token", "verify", ORGANIZATION, "--kind", kind)
        report = bridge.json(*words, stdin=text, code=1 if reason else 0)
        assert report["reason"] == reason


@ON_SQLITE
@pytest.mark.rule("J7", server="oidc-provider")
@pytest.mark.rule("I2", server="oidc-provider")
@pytest.mark.rule("I12", server="oidc-provider")
def test_real_tokens_in_the_wrong_place_are_refused(bridge: Bridge, provider: OidcProvider) -> None:
    """Another client's, another sign-in's, another provider's, changed, or of another kind."""
    tokens = provider.sign_in(ANN)
    elsewhere = provider.sign_in(ANN, algorithm="ES256")
    header, payload, signature = tokens.id_token.split(".")
    changed = f"{header}.{payload}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    # Whoever gives his key the name of the provider's.
    named, claims = (json.loads(decode(part.encode())) for part in (header, payload))
    stranger = signer("RS256", named["kid"]).token(claims)
    for text, nonce, reason in (
        (elsewhere.id_token, elsewhere.nonce, Reason.WRONG_AUDIENCE),
        (tokens.id_token, elsewhere.nonce, Reason.WRONG_NONCE),
        (tokens.id_token, None, Reason.WRONG_NONCE),
        (changed, tokens.nonce, Reason.BAD_SIGNATURE),
        (provider.for_api(ANN), tokens.nonce, Reason.WRONG_TYPE),
        (stranger, tokens.nonce, Reason.BAD_SIGNATURE),
    ):
        with pytest.raises(TokenRefused) as refused:
            bridge.sign_in(text, nonce)
        assert refused.value.refusal.reason == reason, refused.value
    assert bridge.json("users", ORGANIZATION) == []


@ON_SQLITE
@pytest.mark.rule("K50", server="oidc-provider")
@pytest.mark.rule("I6", server="oidc-provider")
def test_a_token_is_over_when_it_says_so(bridge: Bridge, provider: OidcProvider) -> None:
    """Five seconds past its end it is refused, unless the clocks may differ by ten."""
    bridge.configure(longest_token_age="1h")
    tokens = provider.sign_in(ANN)
    later = 300 + 5
    with pytest.raises(TokenRefused) as refused:
        bridge.sign_in(tokens.id_token, tokens.nonce, later=later)
    assert refused.value.refusal.reason == Reason.EXPIRED
    bridge.configure(longest_token_age="1h", allowed_clock_skew=10)
    assert bridge.sign_in(tokens.id_token, tokens.nonce, later=later).created


@pytest.mark.rule("K49", server="oidc-provider sqlite postgresql")
@pytest.mark.rule("K50", server="oidc-provider sqlite postgresql")
def test_people_follow_their_claims(bridge: Bridge, provider: OidcProvider) -> None:
    """Roles and groups come and go with the claims of one sign-in after the other; others' stay."""
    bridge.configure(OPERATOR, ENGINEER, DEPARTMENT)
    first = signed_in(
        bridge,
        provider,
        realm_access={"roles": ["auditor", "operator"]},
        groups=["/engineering"],
        department="Sales",
    )
    assert (first.created, first.username) == (True, "ann")
    ann = bridge.user("ann")
    assert (ann["first_name"], ann["email"]) == ("Ann", "ann@example.test")
    assert ann["attributes"] == {"department": ["Sales"]}
    assert sources(ann, "roles") == {"Operator": ["operators"]}
    assert sources(ann, "groups") == {"Engineering": ["engineers"]}

    again = signed_in(
        bridge,
        provider,
        realm_access={"roles": ["operator"]},
        groups=["/engineering"],
        department="Sales",
    )
    assert (again.created, again.changed) == (False, False)

    assert change_sets(bridge) == 1

    why = bridge.json("explain", ORGANIZATION, "ann", "--role", "Operator")
    (source,) = why["role"]["sources"]
    (department,) = [each for each in why["fields"] if each["field"] == "attributes.department"]
    assert (department["mapper"], department["attribute"]) == ("department", "department")
    assert (source["mapper"], source["change_set"]) == ("operators", department["change_set"])

    bridge.syncd("user", "grant", ORGANIZATION, "ann", "Operator")
    lost = signed_in(bridge, provider, realm_access={"roles": []}, groups=[], department="")
    assert lost.changed
    ann = bridge.user("ann")
    assert sources(ann, "roles") == {"Operator": ["manual"]}
    assert (ann["groups"], ann["attributes"]) == ([], {})
    assert change_sets(bridge) == 2


@pytest.mark.rule("K15", server="oidc-provider sqlite postgresql")
def test_a_person_is_the_subject_whatever_he_is_called(
    bridge: Bridge, provider: OidcProvider
) -> None:
    """A new name and address are the same person's; another subject with an old name is another."""
    ann = signed_in(bridge, provider)
    renamed = signed_in(bridge, provider, preferred_username="anna", email="anna@example.test")
    assert (renamed.user_id, renamed.username) == (ann.user_id, "anna")
    provider.put("another-subject", **PROFILE)
    tokens = provider.sign_in("another-subject")
    other = bridge.sign_in(tokens.id_token, tokens.nonce)
    assert other.created
    assert other.user_id != ann.user_id
    # The other one has the name now, so the first cannot take it back.
    with pytest.raises(SignInRefused) as refused:
        signed_in(bridge, provider)
    assert refused.value.reason == "username_taken"
    assert bridge.user("anna")["email"] == "anna@example.test"
    (waiting,) = bridge.json("quarantine", ORGANIZATION)
    assert waiting["reason"] == "username_taken"
    assert not signed_in(bridge, provider, preferred_username="anna").created
    assert bridge.json("quarantine", ORGANIZATION) == []


@ON_SQLITE
@pytest.mark.rule("K50", server="oidc-provider")
def test_import_speaks_at_the_first_sign_in_only(bridge: Bridge, provider: OidcProvider) -> None:
    """With sync_mode import the second sign-in changes nobody."""
    bridge.configure(OPERATOR, ENGINEER, DEPARTMENT, sync_mode="import")
    claims = {"realm_access": {"roles": ["operator"]}, "groups": [], "department": "Sales"}
    assert signed_in(bridge, provider, **claims).created
    changed = {"realm_access": {"roles": []}, "groups": ["/engineering"], "department": "IT"}
    assert not signed_in(bridge, provider, **changed).changed
    ann = bridge.user("ann")
    assert sources(ann, "roles") == {"Operator": ["operators"]}
    assert ann["attributes"] == {"department": ["Sales"]}


@ON_SQLITE
def test_cut_groups_are_not_no_groups(bridge: Bridge, provider: OidcProvider) -> None:
    """Where a provider refers to the groups instead of naming them, memberships stay."""
    bridge.configure(ENGINEER)
    cut = {
        "_claim_names": {"groups": "src1"},
        "_claim_sources": {"src1": {"endpoint": "https://graph.example.test/groups"}},
    }
    with pytest.raises(SignInRefused) as refused:
        signed_in(bridge, provider, **cut)
    assert refused.value.reason == "groups_overage"
    signed_in(bridge, provider, groups=["/engineering"])
    signed_in(bridge, provider, **cut)
    assert sources(bridge.user("ann"), "groups") == {"Engineering": ["engineers"]}


def ask(daemon: Daemon, token: str, path: str = "/users") -> tuple[int, str, Any]:
    """Ask the API with a token; return the status, the challenge and the document."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{daemon.http}/api/v1/organizations/{ORGANIZATION}{path}",
        headers={"Authorization": f"Bearer {token}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, "", json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get("WWW-Authenticate", ""), json.load(error)


@pytest.fixture
def api(bridge: Bridge) -> Iterator[Daemon]:
    """The web process of an organization whose provider's access tokens open the API."""
    admin = OPERATOR | {"role": "Admin", "may_grant_privileged": True}
    bridge.configure(admin, api_audience=AUDIENCE, api_scope=SCOPE)
    with Daemon(bridge, "--only", "web") as daemon:
        daemon.until(lambda: daemon.ready()[0] == 200, "readiness")
        yield daemon


@pytest.mark.rule("A1", server="oidc-provider sqlite postgresql")
@pytest.mark.rule("A4", server="oidc-provider sqlite postgresql")
def test_access_tokens_open_the_api(bridge: Bridge, api: Daemon, provider: OidcProvider) -> None:
    """With the person's own permissions; nothing else that the provider gives out opens it."""
    token = provider.for_api(ANN)
    # He is not known here before he has signed in, and an access token makes nobody.
    assert ask(api, token)[0] == 401
    signed_in(bridge, provider, realm_access={"roles": ["operator"]})
    status, _, people = ask(api, token)
    assert (status, [each["username"] for each in people["items"]]) == (200, ["ann"])

    for text, expected, challenge in (
        (provider.sign_in(ANN).id_token, 401, 'error="invalid_token"'),
        (provider.sign_in(ANN).access_token, 401, 'error="invalid_token"'),
        (provider.for_service(), 401, 'error="invalid_token"'),
        (f"{token[:-4]}AAAA", 401, 'error="invalid_token"'),
        (provider.for_api(ANN, scope="other"), 403, 'error="insufficient_scope"'),
    ):
        status, told, _ = ask(api, text)
        assert status == expected
        assert challenge in told

    # What a claim gave goes with the claim, and with it what the token opens.
    signed_in(bridge, provider, realm_access={"roles": []})
    assert ask(api, token)[0] == 403
    bridge.syncd("user", "disable", ORGANIZATION, "ann")
    assert ask(api, token)[0] == 401


@ON_SQLITE
@pytest.mark.rule("KS3", server="oidc-provider")
def test_rotated_keys_are_followed(bridge: Bridge, provider: OidcProvider) -> None:
    """New keys are fetched when a token names one; keys that are published no more verify none."""
    bridge.configure(api_audience=AUDIENCE)
    signed_in(bridge, provider)
    with bridge.app() as app:

        def opens(token: str) -> bool:
            try:
                return app.authenticate(token)[1].name == "user ann"
            except NotAuthenticated:
                return False

        first = provider.for_api(ANN)
        assert opens(first)
        provider.rotate_keys(keep=True)
        second = provider.for_api(ANN)
        assert [opens(token) for token in (second, first)] == [True, True]
        provider.rotate_keys(keep=False)
        third = provider.for_api(ANN)
        assert [opens(token) for token in (third, second, first)] == [True, False, False]
