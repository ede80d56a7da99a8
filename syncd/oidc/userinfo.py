"""The userinfo endpoint: what the provider says of a person beside the ID token.

OpenID Connect Core section 5.3. The ID token stays the one that says who it is and for whom; the
endpoint only adds what that one leaves out, and only of the same person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from syncd.oidc.compact import quoted, read_object
from syncd.oidc.failed import SignInFailed, SignInFault
from syncd.oidc.failure import Cause, FetchFailed
from syncd.oidc.outcome import Refusal
from syncd.records import Claims

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.oidc.options import ProviderOptions
    from syncd.oidc.ports import Converse
    from syncd.oidc.tokens import IdToken

# What a token says of itself and of the sign-in, which nobody says of it from elsewhere.
PROTOCOL: Final = frozenset(
    {
        *("iss", "sub", "aud", "azp", "exp", "nbf", "iat", "jti", "sid", "nonce"),
        *("auth_time", "acr", "amr", "at_hash", "c_hash", "s_hash", "cnf", "events"),
    }
)
# A statement and what it is about, which come from one place both.
_VERIFIED: Final = (
    ("email", "email_verified"),
    ("phone_number", "phone_number_verified"),
)


def with_userinfo(
    options: ProviderOptions, fetch: Converse, token: IdToken, access_token: str
) -> IdToken | SignInFailed:
    """Return a verified ID token with the claims that only the userinfo endpoint has.

    It is the token as it is where no endpoint is configured.

    Raises:
        ProviderUnavailable: The endpoint cannot be asked, or answers nothing that it should.

    """
    url = options.userinfo_url
    if url is None:
        return token
    said = read_object(fetch.get(url, bearer=access_token), "the answer")
    if isinstance(said, Refusal):
        raise FetchFailed(
            Cause.UNUSABLE, f"The userinfo endpoint {quoted(url)} is of no use: {said.detail}."
        )
    if said.get("sub") != token.claims.subject:
        # Else an access token of one person would bring another one's claims (section 5.3.2).
        return SignInFailed(
            SignInFault.OTHER_SUBJECT,
            f"the userinfo endpoint tells of {quoted(said.get('sub'))}, and the ID token of "
            f"{quoted(token.claims.subject)}",
        )
    claims = token.claims
    values = _joined(claims.values, said)
    return token._replace(claims=Claims(claims.issuer, claims.subject, values))


def _joined(token: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims of both, those of the token before the others."""
    values = dict(token)
    for value, verified in _VERIFIED:
        if value not in token and value in said:
            values.pop(verified, None)
    further = {
        name: value
        for name, value in said.items()
        if name not in values and name not in PROTOCOL and value is not None
    }
    for value, verified in _VERIFIED:
        if value in token and token[value] != said.get(value):
            further.pop(verified, None)
    return values | further
