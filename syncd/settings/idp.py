"""Owns the keys of an organization's OpenID Connect provider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from syncd.settings.conflict import Conflict, conflict, warning
from syncd.settings.daemon import LOOPBACK
from syncd.settings.values import (
    TEXTS_SCHEMA,
    Duration,
    FileName,
    Flag,
    Kind,
    Networks,
    SecretText,
    Section,
    SyncMode,
    Text,
)

LARGEST_SENSIBLE_SKEW_SECONDS = 300
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
_TEXTS = WithJsonSchema(TEXTS_SCHEMA)


def _check_url(url: str) -> str:
    allowed = "must be a URL that starts with https://"
    try:
        parts = urlsplit(url)
        local = parts.hostname in LOOPBACK
        usable = parts.scheme == "https" or (parts.scheme == "http" and local)
        usable = usable and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    else:
        if parts.username is not None or parts.fragment:
            raise ValueError(f"{allowed}, without a user name and without #")
    if not usable:
        raise ValueError(allowed)
    return url


def _words(value: object) -> object:
    if isinstance(value, str):
        return tuple(value.replace(",", " ").split())
    return tuple(value) if isinstance(value, list) else value


def _with_openid(scopes: tuple[str, ...]) -> tuple[str, ...]:
    return scopes if "openid" in scopes else ("openid", *scopes)


Url = Annotated[Text, AfterValidator(_check_url), Kind("https URL")]
Scopes = Annotated[
    tuple[Text, ...],
    BeforeValidator(_words),
    AfterValidator(_with_openid),
    _TEXTS,
    Kind("list, or text with commas"),
]


class IdpSettings(Section):
    """The provider that people sign in with."""

    issuer: Url = Field(
        examples=["https://login.example.org/"],
        description="Exactly as the provider writes it in its tokens, final slash included.",
    )
    client_id: Text = Field(
        examples=["syncd"], description="Client ID: how syncd is registered with the provider."
    )
    client_secret: SecretText | None = Field(
        default=None, description="Client Secret of that registration; better in a file."
    )
    client_secret_file: FileName | None = Field(
        default=None, examples=["acme-client.secret"], description="A file that holds it."
    )
    client_authentication: Literal["client_secret_basic", "client_secret_post"] = Field(
        default="client_secret_basic",
        description="How the secret is sent to the token URL: as a header or in the form.",
    )
    authorization_url: Url = Field(
        examples=["https://login.example.org/authorize"],
        description="Authorization URL: where browsers are sent to sign in.",
    )
    token_url: Url = Field(
        examples=["https://login.example.org/token"],
        description="Token URL: where the code is exchanged for tokens.",
    )
    userinfo_url: Url | None = Field(
        default=None,
        examples=["https://login.example.org/userinfo"],
        description="Where further claims are read, when the ID token lacks them.",
    )
    trust_email: Flag = Field(
        default=False, description="Trust Email: take the provider's addresses as verified."
    )
    backchannel_logout: Flag = Field(
        default=False, description="Backchannel Logout: end the provider's session on sign-out."
    )
    logout_url: Url | None = Field(
        default=None,
        examples=["https://login.example.org/logout"],
        description="Logout URL: needed when backchannel_logout is on.",
    )
    allowed_clock_skew: Duration = Field(
        default=0, description="How far the provider's clock may be off; 0 means 0."
    )
    default_scopes: Scopes = Field(
        default=("openid",),
        examples=["openid, profile, email"],
        description="Scopes to ask for; openid is always among them.",
    )
    validate_signatures: Flag = Field(
        default=True, description="Validate Signatures: check tokens against the provider's keys."
    )
    jwks_url: Url | None = Field(
        default=None,
        examples=["https://login.example.org/jwks"],
        description="JWKS URL: the provider's keys; needed when validate_signatures is on.",
    )
    allowed_algorithms: Annotated[
        tuple[Algorithm, ...], BeforeValidator(_words), _TEXTS, Kind("list, or text with commas")
    ] = Field(
        default=("RS256", "ES256"),
        min_length=1,
        description="Signature algorithms that tokens may have.",
    )
    api_audience: Text | None = Field(
        default=None,
        examples=["https://syncd.example.org/api"],
        description="Accept the provider's access tokens for this audience at the API.",
    )
    allowed_networks: Networks = Field(
        default=(),
        examples=[["10.20.0.0/16"]],
        description="Private networks that the provider's URLs may resolve to; none by default.",
    )
    sync_mode: SyncMode = Field(
        default="force",
        description="For mappers that inherit it: at each sign-in, or at the first one only.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what contradicts itself."""
        if self.client_secret is None:
            yield conflict("client_secret", because="is required (or client_secret_file)")
        for switch, url in (
            ("backchannel_logout", "logout_url"),
            ("validate_signatures", "jwks_url"),
        ):
            if getattr(self, switch) and getattr(self, url) is None:
                yield conflict(url, switch, because=f"must be provided when {switch} is on")
            if not getattr(self, switch) and getattr(self, url) is not None:
                yield warning(url, switch, because=f"has no effect while {switch} is off")
        if not self.validate_signatures:
            yield warning(
                "validate_signatures",
                because="is off: whoever can send a token can be anybody; switch it on",
            )
        if self.allowed_clock_skew > LARGEST_SENSIBLE_SKEW_SECONDS:
            yield warning(
                "allowed_clock_skew", because="is above 5m: tokens stay valid that much longer"
            )
