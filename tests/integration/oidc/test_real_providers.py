"""Sign-ins with real identity providers of two makers, from the first request to the logout."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from syncd.errors import Refused
from syncd.oidc.compact import decode
from tests.integration.oidc.entering import CALLBACK, ORGANIZATION, SIGNED_OUT, Entering
from tests.servers import glewlwyd, oidc_provider
from tests.servers.relying_party import Browser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ANN = {
    "preferred_username": "ann",
    "given_name": "Ann",
    "family_name": "Archer",
    "email": "ann@example.test",
}


@pytest.fixture(scope="module")
def make(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[dict[str, Any]], Entering]]:
    """Make organizations of a provider, each with a store of its own."""
    with ExitStack() as stack:

        def made(idp: dict[str, Any]) -> Entering:
            folder = tmp_path_factory.mktemp("entering")
            shutil.copy(sqlite_template, folder / "store.db")
            world = Entering(folder / "syncd", f"sqlite:///{folder}/store.db", idp)
            stack.callback(world.close)
            return world

        yield made


@pytest.fixture(scope="module")
def node() -> Iterator[oidc_provider.OidcProvider]:
    """The provider of npm, which signs people out as well."""
    with oidc_provider.OidcProvider({"ann": ANN}, callback=CALLBACK, signed_out=SIGNED_OUT) as made:
        yield made


@pytest.fixture(scope="module")
def at_node(
    node: oidc_provider.OidcProvider, make: Callable[[dict[str, Any]], Entering]
) -> Entering:
    """An organization of it, with all that its metadata say."""
    told = node.metadata
    assert told["authorization_response_iss_parameter_supported"] is True
    world = make(
        {
            "issuer": node.issuer,
            "client_id": node.client_id(),
            "client_secret": oidc_provider.SECRET,
            "authorization_url": told["authorization_endpoint"],
            "token_url": told["token_endpoint"],
            "userinfo_url": told["userinfo_endpoint"],
            "jwks_url": told["jwks_uri"],
            "logout_url": told["end_session_endpoint"],
            "sends_issuer": True,
            "default_scopes": ["openid", "profile", "email", "groups"],
        }
    )
    world.walk = lambda start: node.walk(start, "ann")
    return world


def claims(id_token: str) -> dict[str, Any]:
    """Return what a token says."""
    found: dict[str, Any] = json.loads(decode(id_token.split(".")[1].encode()))
    return found


def hint(location: str | None) -> str:
    """Return the ID token that a browser takes to the provider's logout."""
    (found,) = parse_qs(urlsplit(location or "").query)["id_token_hint"]
    return found


@pytest.mark.rule("R2", server="oidc-provider")
@pytest.mark.rule("R5", server="oidc-provider")
@pytest.mark.rule("R7", server="oidc-provider")
@pytest.mark.parametrize("way", ["client_secret_basic", "client_secret_post"])
def test_people_sign_in(at_node: Entering, way: str) -> None:
    """Secret, proof key, issuer and userinfo as it has them; two windows end in any order."""
    at_node.configure(client_authentication=way)
    visitor = at_node.visitor()
    first, second = at_node.answer(visitor), at_node.answer(visitor)
    for answer in (second, first):
        entered = at_node.app.finish_at_provider(ORGANIZATION, visitor, answer)
        session = at_node.holds(entered)
        assert session is not None
        assert (session.username, session.last_name) == ("ann", "Archer")
    assert at_node.refusal(visitor, first).reason == "unknown_state"


@pytest.mark.rule("R4", server="oidc-provider")
def test_a_request_that_the_provider_refuses(at_node: Entering) -> None:
    """Its own error comes back with its issuer, and is told as its error."""
    at_node.walk, walk = (
        lambda start: str(Browser().ask("GET", f"{start}&prompt=none").location),
        at_node.walk,
    )
    try:
        assert at_node.refusal().reason == "provider_error"
    finally:
        at_node.walk = walk


@pytest.mark.rule("I19", server="oidc-provider")
def test_the_provider_s_word_is_renewed(
    at_node: Entering, node: oidc_provider.OidcProvider
) -> None:
    """Its refreshed tokens are taken, with what has changed; without the person they end it."""
    entered = at_node.enter()
    due = "update sessions set refresh_due_at = started_at where id = :id"
    node.put("ann", **ANN | {"family_name": "Baker"})
    try:
        at_node.sql(due, id=entered.session.id)
        at_node.holds(entered)
        session = at_node.holds(entered)
        assert session is not None
        assert session.last_name == "Baker"
        node.remove("ann")
        at_node.sql(due, id=entered.session.id)
        assert at_node.holds(entered) is None
    finally:
        node.put("ann", **ANN)


@pytest.mark.rule("L1", server="oidc-provider")
def test_the_provider_signs_somebody_out(
    at_node: Entering, node: oidc_provider.OidcProvider
) -> None:
    """Its logout tokens end the session that they name, once; its ID tokens end nothing."""
    one, two = at_node.enter(), at_node.enter()
    id_token = hint(at_node.app.sign_out(two.secret).location)
    with pytest.raises(Refused):
        at_node.app.logout_token(ORGANIZATION, id_token)
    (sid,) = at_node.sql("select sid from sessions where id = :id", id=one.session.id)
    token = node.log_out("ann", sid)
    assert at_node.app.logout_token(ORGANIZATION, token) == 1
    assert at_node.holds(one) is None
    with pytest.raises(Refused, match="used before"):
        at_node.app.logout_token(ORGANIZATION, token)


def test_the_browser_signs_out_at_the_provider(
    at_node: Entering, node: oidc_provider.OidcProvider
) -> None:
    """Its logout page knows the ID token and the address to come back to."""
    entered = at_node.enter()
    location = at_node.app.sign_out(entered.secret, state="back").location
    assert location is not None
    assert claims(hint(location))["sub"] == "ann"
    page = Browser().ask("GET", location)
    assert page.status == 200
    assert node.issuer in page.text
    assert "error" not in page.text.lower()


@pytest.mark.rule("R5", server="glewlwyd")
@pytest.mark.rule("L5", server="glewlwyd")
def test_a_provider_of_another_make(make: Callable[[dict[str, Any]], Entering]) -> None:
    """Signs in and renews its word, without iss; its logout tokens have no exp, and end nothing."""
    people = {"ann": {"name": "Ann Archer", "email": "ann@example.test", "groups": ["staff"]}}
    with glewlwyd.Glewlwyd(people, callback=CALLBACK) as server:
        told = server.metadata
        world = make(
            {
                "issuer": server.issuer,
                "client_id": glewlwyd.CLIENT,
                "client_secret": glewlwyd.SECRET,
                "authorization_url": told["authorization_endpoint"],
                "token_url": told["token_endpoint"],
                "jwks_url": told["jwks_uri"],
            }
        )
        world.walk = lambda start: server.walk(start, "ann")
        one, two = world.enter(), world.enter()
        session = world.holds(one)
        assert session is not None
        assert session.username == "ann"
        world.sql("update sessions set refresh_due_at = started_at")
        assert world.holds(one) is not None
        assert world.holds(two) is not None
        (sid,) = world.sql("select sid from sessions where id = :id", id=two.session.id)
        with pytest.raises(Refused, match="exp is missing"):
            world.app.logout_token(ORGANIZATION, server.log_out("ann", sid))
        assert world.holds(two) is not None
