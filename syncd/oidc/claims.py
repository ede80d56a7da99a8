"""The checks of a token's members besides its times.

OpenID Connect Core sections 2, 3.1.3.7 and 12.2, RFC 9068 section 4, Back-Channel Logout section
2.6. Texts are compared as they stand, letter case and final slash included.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any, Final

from syncd.oidc.checks import Check, Examined, Found, members, said
from syncd.oidc.compact import quoted
from syncd.oidc.outcome import Reason, Refusal

if TYPE_CHECKING:
    from syncd.oidc.tokens import Identified

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LONGEST_SUBJECT = 255
# P: of sid and jti, which sessions and replays are found by.
LONGEST_IDENTIFIER = 512
# The hash of an algorithm is that of at_hash and c_hash too (Core section 3.1.3.6).
_HASHES: Final = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}


def _is_subject(value: object) -> bool:
    """Return whether it can be a subject: "not exceed 255 ASCII characters" (Core section 2)."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= LONGEST_SUBJECT
        and value.isascii()
        and value.isprintable()
    )


def _is_identifier(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_IDENTIFIER and value.isprintable()


def _issuer(token: Examined) -> Found:
    issuer = token.options.issuer
    if token.claims.get("iss") == issuer:
        return None
    return Refusal(
        Reason.WRONG_ISSUER, f"{said(token.claims, 'iss')}, and issuer is {quoted(issuer)}"
    )


def _audiences(claims: dict[str, Any]) -> list[str] | None:
    """Return whom a token is for: a text or a list of texts that has some, else None."""
    found = claims.get("aud")
    if isinstance(found, str):
        return [found]
    if isinstance(found, list) and found and all(isinstance(each, str) for each in found):
        return found
    return None


def _audience(token: Examined) -> Found:
    options = token.options
    client = options.client_id
    if token.claims.get("aud") == client:
        return None
    audiences = _audiences(token.claims)
    if audiences is None or client not in audiences:
        return Refusal(
            Reason.WRONG_AUDIENCE, f"{said(token.claims, 'aud')}, and client_id is {quoted(client)}"
        )
    for audience in audiences:
        if audience != client and audience not in options.trusted_audiences:
            return Refusal(
                Reason.WRONG_AUDIENCE,
                f"the token is also for {quoted(audience)}: have the provider leave that out, or "
                "add it to trusted_audiences",
            )
    return None


def _api_audience(token: Examined) -> Found:
    wanted = token.options.api_audience
    audiences = _audiences(token.claims)
    if wanted is not None and audiences is not None and wanted in audiences:
        return None
    return Refusal(
        Reason.WRONG_AUDIENCE,
        f"{said(token.claims, 'aud')}, and api_audience is {quoted(wanted)}",
    )


def _authorized_party(token: Examined) -> Found:
    if "azp" not in token.claims:
        return "the token has no azp"
    if token.claims["azp"] == token.options.client_id:
        return None
    return Refusal(
        Reason.WRONG_AUTHORIZED_PARTY,
        f"{said(token.claims, 'azp')}, and client_id is {quoted(token.options.client_id)}",
    )


def _subject(token: Examined) -> Found:
    if _is_subject(token.claims.get("sub")):
        return None
    return Refusal(
        Reason.BAD_SUBJECT,
        f"{said(token.claims, 'sub')}, and has to be 1 to {LONGEST_SUBJECT} characters of ASCII",
    )


def _nonce(token: Examined) -> Found:
    claims = token.claims
    if token.previous is not None:
        return _nonce_again(claims, token.previous)
    if token.nonce is None:
        if "nonce" not in claims:
            return "no nonce was sent, and the token has none"
        if not token.any_nonce:
            return Refusal(
                Reason.WRONG_NONCE, "the token has a nonce, and none was sent: it is for another"
            )
        if isinstance(claims["nonce"], str):
            return "the token has a nonce, which is not compared"
    elif claims.get("nonce") == token.nonce:
        return None
    fault = "is another than the one that was sent" if "nonce" in claims else "is missing"
    return Refusal(Reason.WRONG_NONCE, f"nonce {fault}: begin the sign-in anew")


def _nonce_again(claims: dict[str, Any], previous: Identified) -> Found:
    """Hold the nonce of a refreshed token against that of the first one (Core section 12.2)."""
    if "nonce" not in claims:
        return "a token that was refreshed needs no nonce"
    if claims["nonce"] == previous.nonce:
        return None
    return Refusal(Reason.WRONG_NONCE, "nonce is another than that of the first token")


def _half_hash(text: str, algorithm: str) -> str:
    """Return what at_hash or c_hash of a text is; SHA-512 for Ed25519."""
    digest = _HASHES.get(algorithm[-3:], hashlib.sha512)(text.encode("utf-8", "surrogatepass"))
    half = digest.digest()[: digest.digest_size // 2]
    return urlsafe_b64encode(half).rstrip(b"=").decode()


def _hash(token: Examined) -> Found:
    claims = token.claims
    if "at_hash" not in claims and "c_hash" not in claims:
        return "the token has no at_hash and no c_hash"
    compared = False
    for name, text in (("at_hash", token.access_token), ("c_hash", token.code)):
        if name not in claims:
            continue
        if not isinstance(claims[name], str):
            return Refusal(Reason.WRONG_HASH, f"{name} is no text")
        if text is None:
            continue
        if claims[name] != _half_hash(text, token.algorithm):
            return Refusal(Reason.WRONG_HASH, f"{name} is of another text than came with the token")
        compared = True
    return None if compared else "nothing came with the token that its hash could be of"


def _identity(token: Examined) -> Found:
    """Hold a refreshed token against the first one (Core section 12.2)."""
    previous, claims = token.previous, token.claims
    if previous is None:
        return "there is no earlier token to compare with"
    same = {
        "iss": claims["iss"] == previous.issuer,
        "sub": claims["sub"] == previous.subject,
        "aud": set(_audiences(claims) or ()) == previous.audiences,
        "azp": claims.get("azp") == previous.authorized_party,
        "auth_time": "auth_time" not in claims
        or previous.authenticated_at in {None, claims["auth_time"]},
    }
    for name, kept in same.items():
        if not kept:
            return Refusal(
                Reason.CHANGED_IDENTITY,
                f"{said(claims, name)}, another one than in the token of the sign-in: the session "
                "has to end",
            )
    return None


def _no_logout(token: Examined) -> Found:
    events = token.claims.get("events")
    if isinstance(events, dict) and LOGOUT_EVENT in events:
        return Refusal(Reason.BAD_EVENTS, "the token is a logout token, which signs nobody in")
    return None if "events" in token.claims else "the token has no events"


def _session(token: Examined) -> Found:
    if "sid" not in token.claims:
        return "the token has no sid"
    if _is_identifier(token.claims["sid"]):
        return None
    return Refusal(
        Reason.BAD_SESSION,
        f"sid is {quoted(token.claims['sid'])}, and has to be 1 to {LONGEST_IDENTIFIER} characters",
    )


def _client(token: Examined) -> Found:
    if _is_identifier(token.claims.get("client_id")):
        return None
    return Refusal(
        Reason.BAD_CLIENT,
        f"{said(token.claims, 'client_id')}, and has to name the client (RFC 9068 section 2.2)",
    )


def _token_id(token: Examined) -> Found:
    if _is_identifier(token.claims.get("jti")):
        return None
    return Refusal(
        Reason.BAD_IDENTIFIER,
        f"{said(token.claims, 'jti')}, and has to be 1 to {LONGEST_IDENTIFIER} characters",
    )


def scope_of(claims: dict[str, Any]) -> frozenset[str]:
    """Return the words of a scope (RFC 9068 section 2.2.3)."""
    scope = claims.get("scope", "")
    return frozenset(scope.split(" ")) - {""} if isinstance(scope, str) else frozenset()


def _scope(token: Examined) -> Found:
    needed = token.options.api_scope
    if not isinstance(token.claims.get("scope", ""), str):
        return Refusal(Reason.MALFORMED, f"{said(token.claims, 'scope')}, and has to be a text")
    if needed is None or not needed.split():
        return "no api_scope is needed"
    if scope_of(token.claims).issuperset(needed.split()):
        return None
    return Refusal(
        Reason.INSUFFICIENT_SCOPE,
        f"{said(token.claims, 'scope')}, and api_scope is {quoted(needed)}",
    )


def _events(token: Examined) -> Found:
    events = token.claims.get("events")
    if isinstance(events, dict) and isinstance(events.get(LOGOUT_EVENT), dict):
        return None
    return Refusal(
        Reason.BAD_EVENTS,
        f"{said(token.claims, 'events')}, and has to be an object in which {LOGOUT_EVENT} is one",
    )


def _no_nonce(token: Examined) -> Found:
    if "nonce" in token.claims:
        return Refusal(Reason.NONCE_PRESENT, "the token has a nonce, which a logout token must not")
    return None


def _somebody(token: Examined) -> Found:
    """Ask for a subject or a session, or both (Back-Channel Logout section 2.4)."""
    if "sub" in token.claims:
        return _subject(token)
    if "sid" in token.claims:
        return "the token names a session and nobody"
    return Refusal(Reason.BAD_SUBJECT, "the token has neither sub nor sid")


ISSUER = Check("issuer", _issuer, members("iss"))
AUDIENCE = Check("audience", _audience, members("aud"))
API_AUDIENCE = Check("audience", _api_audience, members("aud"))
AUTHORIZED_PARTY = Check("authorized_party", _authorized_party, members("azp"))
SUBJECT = Check("subject", _subject, members("sub"))
NONCE = Check("nonce", _nonce, lambda _: "the one that is expected")
HASH = Check("hash", _hash, lambda _: "of what came with the token")
IDENTITY = Check("identity", _identity, lambda _: "that of the earlier token")
NO_LOGOUT = Check("events", _no_logout, lambda _: "no logout")
SESSION = Check("session", _session, members("sid"))
CLIENT = Check("client", _client, members("client_id"))
TOKEN_ID = Check("token_id", _token_id, members("jti"))
SCOPE = Check("scope", _scope, members("scope"))
EVENTS = Check("events", _events, members("events"))
NO_NONCE = Check("nonce", _no_nonce, lambda _: "none, as it should be")
SOMEBODY = Check("subject", _somebody, members("sub"))
