"""Who comes by a browser, where to, and what a session is: values that sign-in passes on.

Secrets stand here as they are in the browser; the store has their SHA-256 only.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from hashlib import sha256
from hmac import digest
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

# What let somebody in: the identity provider, a directory's password, or one that is kept here.
Way = Literal["idp", "ldap", "admin"]
# Why a session ended; `expired` is idle for too long or too old.
Ending = Literal[
    "signed_out",  # by the person, here or from a portal
    "ended_by_person",  # from another of his sessions
    "ended_by_admin",
    "ended_by_provider",  # a logout token, or a refresh that the provider refused
    "shut_out",  # disabled, missing, deleted, left behind by a switch
    "replaced",  # by the next sign-in in the same browser
    "code_reused",  # a portal's code came twice, so that somebody else may have it
    "expired",
]

SECRET_BYTES: Final = 32
SECRET_CHARACTERS: Final = 43
LONGEST_AGENT: Final = 200


class Visitor(NamedTuple):
    """A browser at the sign-in pages."""

    # The secret of the cookie that it has had since before anybody signed in.
    browser: str
    # The client's address, after trusted proxies.
    address: str
    # User-Agent, cut.
    agent: str = ""


class Destination(NamedTuple):
    """Where a portal wants its person back; checked against what is registered."""

    client_id: str
    redirect_uri: str
    # The portal's own value, given back as it is.
    state: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session that holds now, of a person who may sign in now."""

    id: int
    organization_id: str
    organization_name: str
    user_id: int
    username: str
    email: str | None
    first_name: str | None
    last_name: str | None
    way: Way
    started_at: datetime
    seen_at: datetime
    # When it ends without use, and when in any case.
    idle_until: datetime
    expires_at: datetime
    address: str
    agent: str


class Entered(NamedTuple):
    """Somebody has signed in."""

    # For the session cookie.
    secret: str
    session: Session
    # Where the browser goes now: back to the portal with a code; None: to the session's own page.
    location: str | None


class SignedOut(NamedTuple):
    """A session has ended."""

    # Where the browser has to go so that the provider's session ends, too; None: nowhere.
    location: str | None


def new_secret() -> str:
    """Return 256 bits as 43 characters of base64url."""
    return secrets.token_urlsafe(SECRET_BYTES)


def hash_of(secret: str) -> bytes:
    """Return what the store keeps of a secret."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def derived(secret: str, purpose: str) -> bytes:
    """Return 32 bytes that only whoever has the secret can know, another for each purpose."""
    return digest(secret.encode("utf-8", "surrogatepass"), purpose.encode(), "sha256")


def callback_url(base_url: str, org: str) -> str:
    """Return the redirect URI to register with an organization's identity provider."""
    return f"{base_url}/sign-in/{org}/callback"


def logout_token_url(base_url: str, org: str) -> str:
    """Return the back-channel logout URI to register with an organization's identity provider."""
    return f"{base_url}/sign-in/{org}/backchannel-logout"


def signed_out_url(base_url: str) -> str:
    """Return the post-logout redirect URI to register with identity providers."""
    return f"{base_url}/signed-out"
