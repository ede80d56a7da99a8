"""Tokens that were verified, each kind a type of its own.

Only the validator makes them, which a test holds: what takes one need not ask whether it is true,
and one kind cannot be passed on as another. Named tuples, as one is made at each request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from syncd.records import Claims


class IdToken(NamedTuple):
    """Who signed in (OpenID Connect Core section 2); times are seconds since 1970."""

    # All members of the token, for the mappers.
    claims: Claims
    expires_at: float
    issued_at: float
    # When the person showed a password or the like to the provider, if it says.
    authenticated_at: float | None
    # The provider's session, which a logout token may name.
    session_id: str | None
    nonce: str | None

    def identified(self) -> Identified:
        """Return what a refreshed token is held against."""
        values = self.claims.values
        audience = values["aud"]
        return Identified(
            issuer=self.claims.issuer,
            subject=self.claims.subject,
            audiences=frozenset([audience] if isinstance(audience, str) else audience),
            authorized_party=values.get("azp"),
            authenticated_at=self.authenticated_at,
            nonce=self.nonce,
        )


class Identified(NamedTuple):
    """Whom the ID token of a sign-in named, and for whom (OpenID Connect Core section 12.2)."""

    issuer: str
    subject: str
    audiences: frozenset[str]
    authorized_party: str | None
    authenticated_at: float | None
    nonce: str | None


class AccessToken(NamedTuple):
    """Who calls the API, through which client (RFC 9068)."""

    claims: Claims
    client_id: str
    scope: frozenset[str]
    token_id: str
    expires_at: float


class LogoutToken(NamedTuple):
    """Whose sessions end (Back-Channel Logout section 2.4): of a session, of a person, or both.

    That a token is used once only is for the caller to see: by ``issuer`` and ``token_id``, until
    ``expires_at``.
    """

    issuer: str
    subject: str | None
    session_id: str | None
    token_id: str
    expires_at: float
