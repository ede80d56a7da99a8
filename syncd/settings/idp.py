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
    Period,
    SecretText,
    Section,
    SyncMode,
    Text,
)

LARGEST_SENSIBLE_SKEW_SECONDS = 300
Algorithm = Literal[
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
    "HS256",
    "HS384",
    "HS512",
]
# A key of HMAC has as many bytes as the hash at least (RFC 7518 section 3.2).
HMAC_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
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
Words = Annotated[
    tuple[Text, ...], BeforeValidator(_words), _TEXTS, Kind("list, or text with commas")
]
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
        default=False,
        description=(
            "Backchannel Logout: on sign-out syncd itself calls the Logout URL with the ID token. "
            "Off, the browser is sent there."
        ),
    )
    logout_url: Url | None = Field(
        default=None,
        examples=["https://login.example.org/logout"],
        description=(
            "Logout URL: where the provider's session ends; needed when backchannel_logout is on. "
            "Without it a sign-out ends syncd's session only."
        ),
    )
    sends_issuer: Flag | None = Field(
        default=None,
        examples=[True],
        description=(
            "Whether the provider names itself in what it sends browsers back with (`iss`, RFC "
            "9207): true demands it, false refuses it, and null checks it where it stands."
        ),
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
        default=True,
        description=(
            "Validate Signatures: check tokens against the provider's keys. Off, those that come "
            "directly from the token URL are taken without; all others need a signature."
        ),
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
        description=(
            "Signature algorithms that tokens may have. HS256, HS384 and HS512 have the client "
            "secret as their key: take them only where the provider has nothing else."
        ),
    )
    longest_token_age: Period = Field(
        default=600,
        examples=["10m"],
        description="How long ago an ID token may have been issued when it is shown.",
    )
    trusted_audiences: Words = Field(
        default=(),
        examples=[["project-4711"]],
        description=(
            "Others for whom ID tokens may be besides `client_id`; a token that names anybody else "
            "is refused."
        ),
    )
    api_audience: Text | None = Field(
        default=None,
        examples=["https://syncd.example.org/api"],
        description="Accept the provider's access tokens for this audience at the API.",
    )
    api_scope: Text | None = Field(
        default=None,
        examples=["syncd.api"],
        description="What the scope of those access tokens has to have in it.",
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
        if self.backchannel_logout and self.logout_url is None:
            yield conflict(
                "logout_url",
                "backchannel_logout",
                because="must be provided when backchannel_logout is on",
            )
        yield from self._signatures()
        yield from self._access()
        if self.allowed_clock_skew > LARGEST_SENSIBLE_SKEW_SECONDS:
            yield warning(
                "allowed_clock_skew", because="is above 5m: tokens stay valid that much longer"
            )

    def _signatures(self) -> Iterator[Conflict]:
        symmetric = [each for each in self.allowed_algorithms if each in HMAC_BYTES]
        if self.jwks_url is None and len(symmetric) < len(self.allowed_algorithms):
            if self.validate_signatures:
                yield conflict(
                    "jwks_url",
                    "validate_signatures",
                    because="must be provided when validate_signatures is on",
                )
        elif self.jwks_url is not None and not self.validate_signatures:
            yield warning(
                "jwks_url",
                "validate_signatures",
                because="is used for access and logout tokens only while validate_signatures is "
                "off",
            )
        if not self.validate_signatures:
            yield warning(
                "validate_signatures",
                because="is off: whoever can answer in the token URL's place can be anybody; "
                "switch it on",
            )
        if not symmetric:
            return
        secret = self.client_secret.get_secret_value() if self.client_secret else ""
        for algorithm in symmetric:
            least = HMAC_BYTES[algorithm]
            if secret and len(secret.encode()) < least:
                yield conflict(
                    "allowed_algorithms",
                    "client_secret",
                    because=f"has {algorithm}, whose key is the client secret, which has fewer "
                    f"than {least} bytes; have the provider make a longer one, or remove it",
                )
        yield warning(
            "allowed_algorithms",
            because=f"has {', '.join(symmetric)}: whoever knows the client secret can be anybody",
        )

    def _access(self) -> Iterator[Conflict]:
        if self.api_audience is not None and self.jwks_url is None:
            yield conflict(
                "api_audience",
                "jwks_url",
                because="needs jwks_url: access tokens are taken with a signature only",
            )
        if self.api_scope is not None and self.api_audience is None:
            yield warning("api_scope", "api_audience", because="has no effect without api_audience")
