"""A provider's metadata as settings, from a real HTTP server."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from syncd.oidc.discovery import WELL_KNOWN, Discovered, discover
from syncd.oidc.failure import Cause, FetchFailed
from syncd.oidc.fetch import Fetcher
from syncd.oidc.options import ProviderOptions
from tests.servers.answering import AnsweringServer, Asked, answer

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator


class Provider:
    """A provider whose metadata a test changes; it is served wherever somebody asks."""

    def __init__(self, server: AnsweringServer) -> None:
        self.server, self.base = server, server.url("")
        self.changes: dict[str, Any] = {}
        server.answer = self._answer

    @property
    def document(self) -> dict[str, Any]:
        """What it says; a change to None leaves the member out."""
        members: dict[str, Any] = {
            "issuer": self.base,
            "authorization_endpoint": "https://login.example.org/authorize",
            "token_endpoint": "https://login.example.org/token",
            "userinfo_endpoint": "https://login.example.org/userinfo",
            "jwks_uri": "https://login.example.org/jwks",
            "end_session_endpoint": "https://login.example.org/logout",
            "response_types_supported": ["code", "code id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["plain", "S256"],
            "scopes_supported": ["openid", "email", "profile", "groups"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        }
        return {
            name: value for name, value in (members | self.changes).items() if value is not None
        }

    def discover(self, path: str = "", **changes: Any) -> Discovered:
        """Return what is discovered there."""
        self.changes |= changes
        return discover(self.base + path, Fetcher())

    def failure(self, path: str = "", **changes: Any) -> FetchFailed:
        """Return why nothing is."""
        with pytest.raises(FetchFailed) as caught:
            self.discover(path, **changes)
        return caught.value

    def _answer(self, connection: socket.socket, _: Asked) -> None:
        connection.sendall(answer(json.dumps(self.document).encode()))


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A provider that says all that it should."""
    with AnsweringServer(b"") as server:
        yield Provider(server)


def test_metadata_becomes_settings(provider: Provider) -> None:
    """What a provider says becomes the keys of idp:, in their order, and nothing is invented."""
    found = provider.discover()
    assert list(found.settings.items()) == [
        ("issuer", provider.base),
        ("client_authentication", "client_secret_basic"),
        ("authorization_url", "https://login.example.org/authorize"),
        ("token_url", "https://login.example.org/token"),
        ("userinfo_url", "https://login.example.org/userinfo"),
        ("default_scopes", ["openid", "profile", "email"]),
        ("jwks_url", "https://login.example.org/jwks"),
        ("allowed_algorithms", ["RS256"]),
    ]
    assert found.optional == {
        "backchannel_logout": True,
        "logout_url": "https://login.example.org/logout",
    }
    assert "groups" in found.comments["default_scopes"]
    assert found.warnings == ()
    assert found.issuer == provider.base
    assert found.code_challenge_methods == ("plain", "S256")
    assert not found.backchannel_logout_supported
    assert not found.iss_parameter_supported


def test_what_a_provider_can_do_is_told(provider: Provider) -> None:
    """Back-channel logout and the iss parameter are told when the provider says true."""
    found = provider.discover(
        backchannel_logout_supported=True, authorization_response_iss_parameter_supported=True
    )
    assert found.backchannel_logout_supported
    assert found.iss_parameter_supported
    found = provider.discover(
        backchannel_logout_supported="true", authorization_response_iss_parameter_supported=1
    )
    assert not found.backchannel_logout_supported
    assert not found.iss_parameter_supported


@pytest.mark.parametrize(
    ("asked", "issuer", "requested"),
    [
        ("", "", WELL_KNOWN),
        ("/", "/", WELL_KNOWN),
        ("/realms/acme", "/realms/acme", f"/realms/acme{WELL_KNOWN}"),
        ("/realms/acme/", "/realms/acme/", f"/realms/acme{WELL_KNOWN}"),
        (WELL_KNOWN, "", WELL_KNOWN),
        (WELL_KNOWN, "/", WELL_KNOWN),
        (f"/realms/acme{WELL_KNOWN}", "/realms/acme", f"/realms/acme{WELL_KNOWN}"),
        (f"/realms/acme{WELL_KNOWN}", "/realms/acme/", f"/realms/acme{WELL_KNOWN}"),
        (f"{WELL_KNOWN}/acme", "/acme", f"{WELL_KNOWN}/acme"),
    ],
)
def test_the_document_is_found_from_either_url(
    provider: Provider, asked: str, issuer: str, requested: str
) -> None:
    """The issuer and the full URL both lead to the document, and its issuer is taken exactly."""
    found = provider.discover(asked, issuer=provider.base + issuer)
    assert found.settings["issuer"] == provider.base + issuer
    assert provider.server.asked[0].target == requested


@pytest.mark.parametrize(
    ("asked", "issuer"),
    [
        ("", "/"),
        ("/", ""),
        ("/realms/acme", "/realms/other"),
        ("/realms/acme", "/Realms/acme"),
        (WELL_KNOWN, "/realms/acme"),
        (f"/realms/acme{WELL_KNOWN}", ""),
    ],
)
def test_another_issuer_is_refused(provider: Provider, asked: str, issuer: str) -> None:
    """A document that names any other issuer is refused, and the message names it."""
    failed = provider.failure(asked, issuer=provider.base + issuer)
    assert failed.reason is Cause.UNUSABLE
    assert f'"{provider.base}{issuer}"' in str(failed)


@pytest.mark.parametrize("issuer", [None, "", 5, ["x"], "https://login.example.org/"])
def test_a_document_without_the_issuer_is_refused(provider: Provider, issuer: object) -> None:
    """An issuer that is missing, no text, or somebody else's is not overlooked."""
    assert provider.failure(issuer=issuer).reason is Cause.UNUSABLE


def test_a_document_for_all_tenants_is_refused_with_the_way_out(provider: Provider) -> None:
    """Microsoft's document for all tenants has a placeholder for an issuer, and that is told."""
    issuer = f"{provider.base}/{{tenantid}}/v2.0"
    failed = provider.failure(f"/common/v2.0{WELL_KNOWN}", issuer=issuer)
    assert "your tenant's id" in str(failed)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("authorization_endpoint", None),
        ("token_endpoint", None),
        ("jwks_uri", None),
        ("jwks_uri", ""),
        ("jwks_uri", ["https://login.example.org/jwks"]),
        ("jwks_uri", "http://login.example.org/jwks"),
        ("jwks_uri", "file:///etc/passwd"),
        ("token_endpoint", "https://me:secret@login.example.org/token"),
        ("authorization_endpoint", "javascript:alert(1)"),
        ("userinfo_endpoint", "https://login.example.org/a\nb"),
        ("end_session_endpoint", "//login.example.org/"),
        ("response_types_supported", None),
        ("response_types_supported", ["id_token", "code id_token"]),
        ("response_types_supported", "code"),
        ("id_token_signing_alg_values_supported", None),
        ("id_token_signing_alg_values_supported", ["none", "HS256"]),
        ("id_token_signing_alg_values_supported", "RS256"),
    ],
)
def test_what_syncd_needs_has_to_be_there(provider: Provider, member: str, value: Any) -> None:
    """A document that lacks a member, or has something else in it, is refused."""
    failed = provider.failure(**{member: value})
    assert failed.reason is Cause.UNUSABLE
    assert "secret" not in str(failed)
    assert "\n" not in str(failed)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b"<html>",
        b"\xff{}",
        b'{"issuer":"a","issuer":"b"}',
        b'{"a":' * 60000,
        b'{"issuer":NaN}',
    ],
    ids=["list", "cut", "page", "no UTF-8", "twice", "deep", "NaN"],
)
def test_what_is_no_plain_json_object_is_refused(provider: Provider, body: bytes) -> None:
    """JSON that could be read in two ways, or not at all, is refused."""
    provider.server.answer = answer(body)
    assert provider.failure().reason is Cause.UNUSABLE


def test_algorithms_are_those_that_both_have(provider: Provider) -> None:
    """Of what the provider offers only signatures with public keys are taken over."""
    found = provider.discover(
        id_token_signing_alg_values_supported=["none", "HS256", "EdDSA", "ES256", "RS256", "rs256"]
    )
    assert found.settings["allowed_algorithms"] == ["RS256", "ES256", "EdDSA"]
    assert "keep those" in found.comments["allowed_algorithms"]


@pytest.mark.parametrize(
    ("offered", "taken", "warnings"),
    [
        (None, "client_secret_basic", 0),
        (["client_secret_post"], "client_secret_post", 0),
        (["private_key_jwt", "client_secret_post"], "client_secret_post", 0),
        (["private_key_jwt"], "client_secret_basic", 1),
    ],
)
def test_client_authentication_is_one_that_is_offered(
    provider: Provider, offered: object, taken: str, warnings: int
) -> None:
    """The secret goes as a header where that is offered or nothing is said, else in the form."""
    found = provider.discover(token_endpoint_auth_methods_supported=offered)
    assert found.settings["client_authentication"] == taken
    assert len(found.warnings) == warnings


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        (None, ["openid", "profile", "email"]),
        (["openid"], ["openid"]),
        (["email", "groups"], ["openid", "email"]),
    ],
)
def test_scopes_are_those_that_are_offered(
    provider: Provider, offered: object, taken: list[str]
) -> None:
    """The scopes for names and e-mail are taken where they are offered; openid always."""
    found = provider.discover(scopes_supported=offered, end_session_endpoint=None)
    assert found.settings["default_scopes"] == taken
    assert found.optional == {}


def test_comments_stay_on_one_line(provider: Provider) -> None:
    """What a provider says cannot end a comment and begin a setting."""
    found = provider.discover(scopes_supported=["openid", "a\nclient_secret: x", "b" * 5000])
    assert all("\n" not in text and len(text) < 300 for text in found.comments.values())
    found = provider.discover(token_endpoint_auth_methods_supported=["a\nclient_secret: x"])
    assert all("\n" not in text for text in found.warnings)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"code_challenge_methods_supported": ["plain"]}, "S256"),
        ({"code_challenge_methods_supported": None}, "S256"),
        ({"require_pushed_authorization_requests": True}, "pushed"),
        ({"subject_types_supported": ["pairwise"]}, "pairwise"),
        ({"subject_types_supported": None}, "subject_types_supported"),
    ],
)
def test_what_an_operator_should_look_at(
    provider: Provider, changes: dict[str, Any], said: str
) -> None:
    """What may not fit is a warning."""
    (warning,) = provider.discover(**changes).warnings
    assert said in warning


def test_urls_of_this_machine_are_taken_from_this_machine_alone(provider: Provider) -> None:
    """A provider on this machine may name http URLs of it; a distant one may not."""
    local = f"{provider.base}/jwks"
    assert provider.discover(jwks_uri=local).settings["jwks_url"] == local

    class Distant:
        def get(self, url: str) -> bytes:
            assert url == f"https://login.example.org{WELL_KNOWN}"
            return json.dumps(provider.document).encode()

        post = Fetcher().post

    provider.changes |= {"issuer": "https://login.example.org"}
    with pytest.raises(FetchFailed, match="this machine"):
        discover("https://login.example.org", Distant())


@pytest.mark.parametrize("url", ["http://login.example.org", "login.example.org", "https://a/?b=c"])
def test_other_urls_are_not_asked(url: str) -> None:
    """What is no https URL of an issuer is refused before anything is resolved."""
    with pytest.raises(FetchFailed) as caught:
        discover(url, Fetcher())
    assert caught.value.reason is Cause.BAD_URL


def test_differences_to_a_configuration_are_told(provider: Provider) -> None:
    """A configuration that fits has none; each difference is a sentence with both sides."""
    found = provider.discover()
    fitting = ProviderOptions(
        organization_id="acme",
        issuer=provider.base,
        client_id="syncd",
        client_secret="secret",
        authorization_url="https://login.example.org/authorize",
        token_url="https://login.example.org/token",
        jwks_url="https://login.example.org/jwks",
    )
    assert found.differences(fitting) == ()
    other = replace(
        fitting,
        issuer=f"{provider.base}/",
        jwks_url="https://login.example.org/old",
        userinfo_url="https://login.example.org/me",
        allowed_algorithms=frozenset({"ES256"}),
    )
    differences = found.differences(other)
    assert [text.split()[0] for text in differences] == [
        "issuer",
        "userinfo_url",
        "jwks_url",
        "allowed_algorithms",
    ]
    assert "https://login.example.org/jwks" in differences[2]


@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("sends_issuer", [True, False, None])
def test_whether_answers_name_the_issuer_is_compared(
    provider: Provider, *, says: bool, sends_issuer: bool | None
) -> None:
    """What the metadata contradict would let nobody in; discovery writes what they say."""
    found = provider.discover(authorization_response_iss_parameter_supported=says)
    assert found.settings.get("sends_issuer") is (True if says else None)
    configured = ProviderOptions(
        organization_id="acme",
        client_id="syncd",
        client_secret="secret",
        sends_issuer=sends_issuer,
        **{
            name: found.settings[name]  # type: ignore[arg-type]
            for name in ("issuer", "authorization_url", "token_url", "jwks_url")
        },
    )
    contradicts = sends_issuer is not None and sends_issuer is not says
    assert ["sends_issuer" in text for text in found.differences(configured)] == (
        [True] if contradicts else []
    )
