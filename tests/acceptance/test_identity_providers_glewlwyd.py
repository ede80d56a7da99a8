"""A second real provider, which shares no line with the first: its tokens, people and habits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncd.oidc.outcome import Reason
from tests.acceptance.bridge import Bridge, sources
from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import ORGANIZATION
from tests.servers.glewlwyd import CLIENT, SECRET, Glewlwyd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.preloaded import Commands

pytest_plugins = ("tests.acceptance.quick",)

BOB = {"name": "Bob Baker", "email": "bob@example.test", "groups": ["engineering", "on-call"]}
MAPPERS = (
    {
        "name": "engineers",
        "type": "claim-to-group",
        "claim": "groups",
        "equals": "engineering",
        "group": "Engineering",
    },
    {
        "name": "on call",
        "type": "claim-to-role",
        "claim": "groups",
        "matches": "on-.*",
        "role": "On call",
        "unknown_role": "create",
    },
)


@pytest.fixture(scope="module")
def provider() -> Iterator[Glewlwyd]:
    """The provider of this module."""
    with Glewlwyd({"bob": BOB}) as server:
        yield server


@pytest.fixture
def bridge(provider: Glewlwyd, commands: Commands, store_url: str, tmp_path: Path) -> Bridge:
    """An organization of that provider, as discovery writes it."""
    made = Bridge(tmp_path / "syncd", store_url, commands)
    found = made.json("idp", "discover", provider.issuer)
    made.idp = found["idp"] | {"client_id": CLIENT, "client_secret": SECRET}
    made.configure(*MAPPERS)
    return made


@pytest.mark.rule("I1", server="glewlwyd")
@pytest.mark.rule("K49", server="glewlwyd sqlite postgresql")
def test_its_people_come_and_change(bridge: Bridge, provider: Glewlwyd) -> None:
    """A sign-in with its token makes the person; the next one takes back what is said no more."""
    provider.change("bob", **BOB)
    tokens = provider.sign_in("bob")
    report = bridge.json(
        "token", "verify", ORGANIZATION, "--nonce", tokens.nonce, stdin=tokens.id_token
    )
    assert report["outcome"] == "accepted"
    assert bridge.sign_in(tokens.id_token, tokens.nonce).created
    bob = bridge.user("bob")
    assert (bob["first_name"], bob["last_name"]) == ("Bob", "Baker")
    assert (bob["email"], bob["email_verified"]) == ("bob@example.test", False)
    assert sources(bob, "roles") == {"On call": ["on call"]}
    assert sources(bob, "groups") == {"Engineering": ["engineers"]}

    provider.change("bob", **BOB | {"groups": ["engineering"]})
    tokens = provider.sign_in("bob")
    assert not bridge.sign_in(tokens.id_token, tokens.nonce).created
    bob = bridge.user("bob")
    assert sources(bob, "roles") == {}
    assert sources(bob, "groups") == {"Engineering": ["engineers"]}


@ON_SQLITE
@pytest.mark.rule("I16", server="glewlwyd")
@pytest.mark.rule("A1", server="glewlwyd")
@pytest.mark.rule("L5", server="glewlwyd")
def test_each_of_its_tokens_is_what_it_is(bridge: Bridge, provider: Glewlwyd) -> None:
    """Access tokens are taken as such alone, and a logout token, which never ends, not at all."""
    bridge.configure(*MAPPERS, api_audience="openid")
    tokens = provider.sign_in("bob")
    verify = ("token", "verify", ORGANIZATION, "--kind")
    assert bridge.refusal(tokens, access_token=tokens.access_token) is None
    assert bridge.refusal(tokens, access_token="another") == Reason.WRONG_HASH
    told = bridge.json(*verify, "id", stdin=tokens.id_token)
    # Nobody is known before his first sign-in.
    access = bridge.json(*verify, "access", stdin=tokens.access_token, code=1)
    assert (access["outcome"], access["then"]["would"]) == ("accepted", "refuse")
    bridge.sign_in(tokens.id_token, tokens.nonce)
    access = bridge.json(*verify, "access", stdin=tokens.access_token)
    assert (access["verified"]["client_id"], access["then"]["username"]) == (CLIENT, "bob")
    logout = provider.log_out("bob", told["verified"]["session_id"])
    for text, kind, reason in (
        (tokens.id_token, "access", "wrong_type"),
        (tokens.access_token, "id", "wrong_type"),
        (logout, "logout", "bad_time"),
    ):
        assert bridge.json(*verify, kind, stdin=text, code=1)["reason"] == reason
