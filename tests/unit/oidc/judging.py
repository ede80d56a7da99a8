"""Validators over keys that the tests have made, and what they say in one word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syncd.oidc.keys import KeySet
from syncd.oidc.options import ProviderOptions
from syncd.oidc.outcome import Refusal
from syncd.oidc.validate import Validator
from tests.minting import CLIENT, ISSUER, NONCE, NOW, key_set, signer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.oidc.outcome import Reason

SECRET = "client secret of at least thirty-two bytes"
API = "https://syncd.example.org/api"
TAKEN = "taken"


def options(**changes: Any) -> ProviderOptions:
    """Return a provider's options, with what a case changes."""
    members: dict[str, Any] = {
        "organization_id": "acme",
        "issuer": ISSUER,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "authorization_url": f"{ISSUER}authorize",
        "token_url": f"{ISSUER}token",
        "jwks_url": f"{ISSUER}jwks",
        "api_audience": API,
    }
    return ProviderOptions(**members | changes)


def validator(*jwks: Mapping[str, object], **changes: Any) -> Validator:
    """Return a validator over these keys, or over the usual one."""
    return Validator(options(**changes), KeySet.parse(key_set(*jwks or (signer().jwk(),))))


def verdict(found: object) -> Reason | str:
    """Return why a token is refused, or that it is taken."""
    return found.reason if isinstance(found, Refusal) else TAKEN


def id_verdict(text: str, judge: Validator | None = None, **asked: Any) -> Reason | str:
    """Return what is said of an ID token, with the usual nonce."""
    return verdict((judge or validator()).id_token(text, **{"now": NOW, "nonce": NONCE, **asked}))
