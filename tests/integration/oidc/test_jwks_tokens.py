"""Tokens whose keys are fetched from a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncd.oidc.jwks import MOST_LOOKS, JwksCache
from syncd.oidc.options import ProviderOptions
from syncd.oidc.outcome import Reason, Refusal
from syncd.oidc.tokens import IdToken
from syncd.oidc.validate import Validator
from tests.integration.oidc.keeping import BROKEN, FIRST, ONLY_SECOND, SECOND
from tests.integration.oidc.reaching import NAME, fetcher
from tests.minting import CLIENT, ISSUER, NONCE, NOW, claims, key_set, signer
from tests.servers.answering import AnsweringServer, answer

if TYPE_CHECKING:
    from tests.integration.oidc.keeping import World
    from tests.servers.authority import Authority


def validator(world: World) -> Validator:
    """Return a validator whose keys are the provider's."""
    options = ProviderOptions(
        organization_id="acme",
        issuer=ISSUER,
        client_id=CLIENT,
        client_secret="secret",
        authorization_url="https://login.example.org/authorize",
        token_url="https://login.example.org/token",
        jwks_url=world.server.url(),
        allowed_algorithms=frozenset({"ES256"}),
    )
    return Validator(options, world.cache)


@pytest.mark.rule("J8", server="http")
def test_keys_and_addresses_in_a_header_lead_nowhere(world: World) -> None:
    """A token signed with a key of its own header is refused, and nobody asks for that key."""
    validate = validator(world)
    own = signer("ES256", "own")
    with AnsweringServer(answer(key_set(own.jwk()))) as theirs:
        url = theirs.url()
        good = validate.id_token(FIRST.token(claims()), now=NOW, nonce=NONCE)
        assert isinstance(good, IdToken)
        for header in (
            {"kid": "first", "jwk": own.jwk()},
            {"kid": "first", "jku": url},
            {"kid": "first", "x5u": url},
            {"kid": "first", "x5c": ["MIIB"]},
            {"kid": url, "jku": url, "jwk": own.jwk(), "x5u": url},
            {"kid": None, "jku": url, "jwk": own.jwk()},
        ):
            refused = validate.id_token(own.token(claims(), **header), now=NOW, nonce=NONCE)
            assert isinstance(refused, Refusal)
            assert refused.reason in {Reason.BAD_SIGNATURE, Reason.KEY_UNKNOWN}
        assert theirs.connections == 0
    # The provider itself was asked for its keys, and once more for the name that it lacks.
    assert {asked.target for asked in world.server.asked} == {"/jwks"}
    assert world.requests == 2


@pytest.mark.rule("L12", server="http")
def test_a_thousand_forged_logout_tokens_stay_within_the_limit(world: World) -> None:
    """Forged logout tokens with keys of invented names cost the provider a few requests."""
    validate = validator(world)
    event: dict[str, object] = {"http://schemas.openid.net/event/backchannel-logout": {}}
    payload = claims(nonce=None, jti="1", events=event)
    forged = FIRST.token(payload).split(".")
    for number in range(1000):
        header = FIRST.token({}, kid=f"invented {number}", typ="logout+jwt").split(".")[0]
        found = validate.logout_token(".".join([header, *forged[1:]]), now=NOW)
        assert isinstance(found, Refusal)
        assert found.reason is Reason.KEY_UNKNOWN
    assert world.requests == MOST_LOOKS + 1


@pytest.mark.rule("KS3", server="http")
def test_tokens_of_a_new_key_are_taken_right_after_the_first_sign_in(world: World) -> None:
    """A provider that changes its key between two sign-ins is followed at the second."""
    validate = validator(world)
    first = validate.id_token(FIRST.token(claims()), now=NOW, nonce=NONCE)
    world.server.answer = ONLY_SECOND
    second = validate.id_token(SECOND.token(claims()), now=NOW, nonce=NONCE)
    assert isinstance(first, IdToken)
    assert isinstance(second, IdToken)


@pytest.mark.rule("KS3", server="http")
def test_a_rotation_over_tls_is_followed(server: AnsweringServer, authority: Authority) -> None:
    """Keys of a provider with a certificate of the organization's authority come over TLS."""
    server.answer = answer(key_set(FIRST.jwk()), kind="application/jwk-set+json")
    cache = JwksCache(server.url("/jwks", NAME), fetcher(authority))
    assert not isinstance(cache.find("first", "ES256"), Refusal)
    server.answer = ONLY_SECOND
    assert not isinstance(cache.find("second", "ES256"), Refusal)
    assert [asked.server_name for asked in server.asked] == [NAME, NAME]


@pytest.mark.rule("KS8", server="http")
def test_no_token_is_taken_unsigned_while_keys_are_away(world: World) -> None:
    """Without keys a good token is refused as well: nothing passes unsigned."""
    world.server.answer = BROKEN
    refused = validator(world).id_token(FIRST.token(claims()), now=NOW, nonce=NONCE)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.KEYS_UNAVAILABLE
