"""What an organization's provider is, as the rooms of the bridge are built with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

# P: an ID token older than this was not made for the sign-in at hand.
LONGEST_AGE_SECONDS = 600.0
LARGEST_TOKEN_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderOptions:
    """An OpenID Connect provider, and how syncd is registered with it."""

    organization_id: str
    # Exactly as tokens have it; never empty.
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    client_authentication: Literal["client_secret_basic", "client_secret_post"] = (
        "client_secret_basic"
    )
    authorization_url: str
    token_url: str
    userinfo_url: str | None = None
    logout_url: str | None = None
    jwks_url: str | None = None
    # What a sign-in asks for; openid is always among them.
    scopes: tuple[str, ...] = ("openid",)
    # Whether answers to browsers name the issuer (RFC 9207); None: it is checked where it stands.
    sends_issuer: bool | None = None
    # On sign-out syncd calls the logout URL itself; else the browser is sent there.
    backchannel_logout: bool = False
    # 0 means 0.
    allowed_clock_skew_seconds: float = 0.0
    # Off: the signature of a token that came directly from the token endpoint is not looked at;
    # all other checks stay, and every other token needs one.
    validate_signatures: bool = True
    allowed_algorithms: frozenset[str] = frozenset({"RS256", "ES256"})
    # Others for whom ID and logout tokens may be besides syncd (Core section 3.1.3.7).
    trusted_audiences: frozenset[str] = frozenset()
    # The audience of access tokens that open the API; None: none does.
    api_audience: str | None = None
    # What the `scope` of such a token has to have in it, if anything.
    api_scope: str | None = None
    longest_age_seconds: float = LONGEST_AGE_SECONDS
    # Private networks that its addresses may resolve to.
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    # The organization's certificates: whom to trust besides the system's.
    ca_pem: tuple[str, ...] = ()
