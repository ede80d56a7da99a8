"""The token endpoint: a code for tokens, and a refresh token for new ones.

OpenID Connect Core sections 3.1.3 and 12, RFC 6749 sections 4.1.3, 5 and 6. What it answers is read
here, and whether the ID token is true is the validator's to say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from syncd.oidc.compact import quoted, read_object
from syncd.oidc.failed import SignInFailed, SignInFault
from syncd.oidc.failure import Cause, FetchFailed
from syncd.oidc.moments import is_moment
from syncd.oidc.options import LARGEST_TOKEN_BYTES
from syncd.oidc.outcome import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.oidc.options import ProviderOptions
    from syncd.oidc.ports import Converse

_STATUS_OK: Final = 200
_CLIENT: Final = frozenset({"invalid_client", "unauthorized_client"})
# The provider wants to see the person again; Entra ID has the second where others have the first.
_OVER: Final = frozenset({"invalid_grant", "interaction_required", "login_required"})
_KINDS: Final[Mapping[str, SignInFault]] = {
    "invalid_grant": SignInFault.CODE_REFUSED,
    **dict.fromkeys(_CLIENT, SignInFault.CLIENT_REFUSED),
}
_REGISTERED: Final = (
    "see whether client_id, client_secret and client_authentication are what the provider has"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """What the token endpoint has given."""

    access_token: str = field(repr=False)
    # There always is one for a code, and need not be one at a refresh.
    id_token: str | None = field(repr=False)
    refresh_token: str | None = field(repr=False)
    # Of the access token, in seconds, if it is said.
    expires_in: float | None


class Ended(NamedTuple):
    """The provider refreshes no more: the session that it once began is over there."""

    # One sentence for the operator's log.
    detail: str


class _Said(NamedTuple):
    """An error of OAuth 2.0."""

    error: str
    detail: str


def redeem_code(
    options: ProviderOptions, fetch: Converse, *, code: str, redirect_uri: str, verifier: str
) -> TokenAnswer | SignInFailed:
    """Return the tokens for a code, an ID token among them, or why there are none.

    Args:
        options: The provider.
        fetch: The way out.
        code: As the browser brought it.
        redirect_uri: The one that the browser was sent with.
        verifier: The proof key, whose hash it was sent with.

    Raises:
        ProviderUnavailable: The token endpoint cannot be asked, or answers nothing that it should.

    """
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }
    answer = _asked(options, fetch, form)
    if isinstance(answer, _Said):
        kind = _KINDS.get(answer.error, SignInFault.EXCHANGE_REFUSED)
        return SignInFailed(kind, answer.detail)
    tokens = _tokens(options, answer)
    if isinstance(tokens, SignInFailed):
        return tokens
    if tokens.id_token is None:
        return SignInFailed(
            SignInFault.MISSING_ID_TOKEN,
            "the token endpoint answers without an ID token; see whether the provider does OpenID "
            "Connect for this client, and not OAuth 2.0 alone",
        )
    return tokens


def refresh(options: ProviderOptions, fetch: Converse, refresh_token: str) -> TokenAnswer | Ended:
    """Return new tokens, or that the provider has ended what the refresh token was for.

    The answer may have no ID token and no new refresh token, where the old one goes on.

    Raises:
        ProviderUnavailable: Nothing can be said now; that syncd itself is refused is such a case.

    """
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    answer = _asked(options, fetch, form)
    if isinstance(answer, _Said):
        if answer.error in _OVER:
            return Ended(answer.detail)
        raise _unusable(options, answer.detail)
    tokens = _tokens(options, answer)
    if isinstance(tokens, SignInFailed):
        raise _unusable(options, tokens.detail)
    return tokens


def _asked(
    options: ProviderOptions, fetch: Converse, form: Mapping[str, str]
) -> dict[str, Any] | _Said:
    """Send a form as the client that syncd is (RFC 6749 section 2.3.1)."""
    basic, fields = (options.client_id, options.client_secret), dict(form)
    if options.client_authentication == "client_secret_post":
        fields |= {"client_id": options.client_id, "client_secret": options.client_secret}
        answered = fetch.post(options.token_url, fields, basic=None)
    else:
        answered = fetch.post(options.token_url, fields, basic=basic)
    document = read_object(answered.body, "the answer")
    if isinstance(document, Refusal):
        raise _unusable(options, document.detail)
    if answered.status == _STATUS_OK and "error" not in document:
        return document
    error = document.get("error")
    if not isinstance(error, str):
        raise _unusable(options, f"it answers with status {answered.status} and names no error")
    detail = f"the token endpoint answers {quoted(error)}"
    if isinstance(document.get("error_description"), str):
        detail += f": {quoted(_without(document['error_description'], fields), 200)}"
    return _Said(error, f"{detail}; {_REGISTERED}" if error in _CLIENT else detail)


def _without(text: str, fields: Mapping[str, str]) -> str:
    """Return a description in which nothing stands that was sent: some quote the code."""
    for name in ("code", "code_verifier", "refresh_token", "client_secret"):
        if name in fields:
            text = text.replace(fields[name], "…")
    return text


def _tokens(options: ProviderOptions, document: Mapping[str, Any]) -> TokenAnswer | SignInFailed:
    kind = document.get("token_type")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return SignInFailed(
            SignInFault.WRONG_TOKEN_TYPE,
            f"token_type is {quoted(kind)}, and syncd can only show bearer tokens",
        )
    access = _token(options, document, "access_token")
    if access is None:
        raise _unusable(options, "it answers without an access_token")
    lifetime = document.get("expires_in")
    return TokenAnswer(
        access_token=access,
        id_token=_token(options, document, "id_token"),
        refresh_token=_token(options, document, "refresh_token"),
        expires_in=lifetime if is_moment(lifetime) else None,
    )


def _token(options: ProviderOptions, document: Mapping[str, Any], name: str) -> str | None:
    """Return a token that can stand in a header; None where there is none."""
    value = document.get(name)
    if value is None or value == "":
        return None
    usable = isinstance(value, str) and value.isascii() and value.isprintable()
    if not usable or " " in value or len(value) > LARGEST_TOKEN_BYTES:
        raise _unusable(options, f"its {name} is none")
    return str(value)


def _unusable(options: ProviderOptions, because: str) -> FetchFailed:
    return FetchFailed(
        Cause.UNUSABLE, f"The token endpoint {quoted(options.token_url)} is of no use: {because}."
    )
