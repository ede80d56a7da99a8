"""The browser's way to the provider and back: the authorization request and the answer to it.

OpenID Connect Core section 3.1.2, RFC 6749 section 4.1, RFC 7636 and RFC 9207. What comes back was
in the browser's hands, so nothing of it counts until its state is known as this browser's.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote_plus, urlencode

from syncd.oidc.compact import quoted
from syncd.oidc.failed import SignInFailed, SignInFault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from syncd.oidc.options import ProviderOptions

    # A query, in its order.
    Parameters = Sequence[tuple[str, str]]

# What an answer is read for; others may stand in it as often as they like.
PARAMETERS: Final = ("state", "code", "iss", "error", "error_description", "error_uri")
# P: some providers' codes are whole encrypted records.
LONGEST_CODE: Final = 8192
LONGEST_DESCRIPTION: Final = 200
_FAILING: Final = frozenset({"server_error", "temporarily_unavailable"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider sent the browser back with."""

    state: str = field(repr=False)
    code: str = field(repr=False)


def authorization_url(
    options: ProviderOptions, *, redirect_uri: str, state: str, nonce: str, verifier: str
) -> str:
    """Return where a browser goes to sign in.

    ``verifier`` is the proof key, 43 to 128 characters; only its hash is in the URL. A query that
    the configured URL has is kept.
    """
    hashed = hashlib.sha256(verifier.encode("ascii")).digest()
    return with_parameters(
        options.authorization_url,
        {
            "response_type": "code",
            "client_id": options.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(options.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": urlsafe_b64encode(hashed).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        },
    )


def with_parameters(url: str, parameters: Mapping[str, str]) -> str:
    """Return a URL with these parameters after those that it has; none stands there twice."""
    base, _, query = url.partition("?")
    kept = [part for part in query.split("&") if part and _name(part) not in parameters]
    # %20, because not everybody reads a plus as a space.
    return f"{base}?{'&'.join([*kept, urlencode(parameters, quote_via=quote, safe='')])}"


def state_of(parameters: Parameters) -> str | None:
    """Return the state of an answer that has exactly one."""
    states = [value for name, value in parameters if name == "state"]
    return states[0] if len(states) == 1 and states[0] else None


def read_answer(options: ProviderOptions, parameters: Parameters) -> Answer | SignInFailed:
    """Return the code of an answer, or why there is none.

    The caller has to see first whether the state is one that this browser was sent with; until then
    nothing that stands in the answer is worth to be told. It is on a failure as well.
    """
    state = state_of(parameters)
    found = _only(parameters)
    if isinstance(found, str):
        return SignInFailed(
            SignInFault.DUPLICATE_PARAMETER,
            f"the answer has more than one {found}, so that two readers may read two answers",
            state,
        )
    if state is None:
        return SignInFailed(SignInFault.MISSING_STATE, "the answer has no state")
    failure = _whose(options, found.get("iss")) or _error(found)
    if failure is not None:
        return SignInFailed(*failure, state)
    code = found.get("code", "")
    if not (0 < len(code) <= LONGEST_CODE and code.isascii() and code.isprintable()):
        fault = "a code that is none" if code else "neither a code nor an error"
        return SignInFailed(SignInFault.MISSING_CODE, f"the answer has {fault}", state)
    return Answer(state, code)


def _only(parameters: Iterable[tuple[str, str]]) -> dict[str, str] | str:
    """Return the parameters that are known, or the name of one that stands there twice."""
    found: dict[str, str] = {}
    for name, value in parameters:
        if name in found:
            return name
        if name in PARAMETERS:
            found[name] = value
    # One without a value is as if it were not there (RFC 6749 section 3.1).
    return {name: value for name, value in found.items() if value}


def _whose(options: ProviderOptions, issuer: str | None) -> tuple[SignInFault, str] | None:
    """Hold the answer's issuer against the one that was asked (RFC 9207 section 2.4)."""
    if issuer is None:
        if not options.sends_issuer:
            return None
        missing = "the answer has no iss, and sends_issuer says that the provider's have one"
        return SignInFault.MISSING_ISSUER, f"{missing}: it may be another provider's"
    if issuer != options.issuer:
        ours = quoted(options.issuer)
        return SignInFault.WRONG_ISSUER, f"iss is {quoted(issuer)}, and issuer is {ours}"
    if options.sends_issuer is False:
        unexpected = "the answer has an iss, and sends_issuer says that the provider's have none"
        return SignInFault.UNEXPECTED_ISSUER, f"{unexpected}; set it to true if they do"
    return None


def _error(found: Mapping[str, str]) -> tuple[SignInFault, str] | None:
    """Return what an error of the provider is (RFC 6749 section 4.1.2.1)."""
    error = found.get("error")
    if error is None:
        return None
    reason = SignInFault.PROVIDER_ERROR
    if error == "access_denied":
        reason = SignInFault.ACCESS_DENIED
    elif error in _FAILING:
        reason = SignInFault.PROVIDER_FAILING
    said = f"the provider answers {quoted(error)}"
    if "error_description" in found:
        said += f": {quoted(found['error_description'], LONGEST_DESCRIPTION)}"
    return reason, said


def _name(part: str) -> str:
    return unquote_plus(part.partition("=")[0])
