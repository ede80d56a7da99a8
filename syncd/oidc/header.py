"""The checks up to the signature: what a token is, which key it names, who signed it.

Nothing that a header says leads anywhere: ``jwk``, ``jku``, ``x5u`` and ``x5c`` are not read, and a
key id is compared with those of the provider's set and used for nothing else.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from syncd.errors import cut
from syncd.oidc.checks import Check
from syncd.oidc.compact import decode, quoted, read_segment, segments
from syncd.oidc.options import LARGEST_TOKEN_BYTES
from syncd.oidc.outcome import Reason, Refusal
from syncd.oidc.signature import SHARED, verify

if TYPE_CHECKING:
    from syncd.oidc.checks import Examined, Found

LONGEST_KEY_ID = 512
# How many headers are remembered as read, and up to what length.
MOST_KEPT = 256
LONGEST_KEPT = 1024
UNSIGNED = (
    "validate_signatures is off, and the token came directly from the provider's token endpoint"
)


def _read(segment: bytes) -> dict[str, Any] | Refusal:
    return read_segment(segment, "the header")


# A provider writes the same header in all its tokens, until it signs with another key.
_read_kept = functools.lru_cache(maxsize=MOST_KEPT)(_read)


def _size(token: Examined) -> Found:
    if len(token.text) > LARGEST_TOKEN_BYTES:
        return Refusal(
            Reason.TOO_LARGE,
            f"the token has more than {LARGEST_TOKEN_BYTES} characters: have the provider send "
            "fewer claims",
        )
    return None


def _form(token: Examined) -> Found:
    parts = segments(token.text)
    if isinstance(parts, Refusal):
        return parts
    token.header_segment, token.payload_segment, signature = parts
    try:
        token.signature = decode(signature)
    except ValueError:
        return Refusal(Reason.MALFORMED, "the signature is no base64url without padding")
    return None


def _header(token: Examined) -> Found:
    segment = token.header_segment
    header = (_read if len(segment) > LONGEST_KEPT else _read_kept)(segment)
    if isinstance(header, Refusal):
        return header
    token.header = header
    return None


def _type(token: Examined) -> Found:
    header, rules = token.header, token.rules
    if "typ" not in header:
        if rules.untyped:
            return "the token has no typ, and needs none"
        return Refusal(Reason.WRONG_TYPE, f"typ is missing, and has to be {_wanted(token)}")
    named = header["typ"]
    # A media type, of which "application/" may be left out (RFC 7515 section 4.1.9).
    if isinstance(named, str) and named.lower().removeprefix("application/") in rules.types:
        return None
    return Refusal(Reason.WRONG_TYPE, f"typ is {quoted(named)}, not {_wanted(token)}")


def _wanted(token: Examined) -> str:
    return " or ".join(sorted(token.rules.types))


def _critical(token: Examined) -> Found:
    for member in ("crit", "b64"):
        if member in token.header:
            return Refusal(
                Reason.CRITICAL_EXTENSION,
                f"the header has {member}, an extension that is not known here",
            )
    return None


def _algorithm(token: Examined) -> Found:
    named = token.header.get("alg")
    if isinstance(named, str) and named in token.rules.algorithms:
        token.algorithm = named
        return None
    allowed = ", ".join(sorted(token.rules.algorithms)) or "nothing"
    return Refusal(
        Reason.ALGORITHM_NOT_ALLOWED,
        f"alg is {quoted(named)}, and allowed_algorithms lets {allowed} pass here",
    )


def _key_id(token: Examined) -> Found:
    header = token.header
    if "kid" not in header:
        token.key_id = None
        return "the token names no key"
    named = header["kid"]
    if isinstance(named, str) and len(named) <= LONGEST_KEY_ID:
        token.key_id = named
        return None
    return Refusal(Reason.BAD_KEY_ID, f"kid is no text of at most {LONGEST_KEY_ID} characters")


def _payload(token: Examined) -> Found:
    claims = read_segment(token.payload_segment, "the payload")
    if isinstance(claims, Refusal):
        return claims
    token.claims = claims
    return None


def _key(token: Examined) -> Found:
    rules = token.rules
    if token.direct and not token.options.validate_signatures:
        token.key = None
        return UNSIGNED
    if token.algorithm in SHARED:
        key = rules.secrets[token.algorithm]
    else:
        key = rules.keys.find(token.key_id, token.algorithm)
    if isinstance(key, Refusal):
        return key
    token.key = key
    return None


def _signature(token: Examined) -> Found:
    if token.key is None:
        return UNSIGNED
    signed = b"%b.%b" % (token.header_segment, token.payload_segment)
    if verify(token.key, signed, token.signature):
        return None
    return Refusal(
        Reason.BAD_SIGNATURE, f"the signature was not made by the key: {token.key.described}"
    )


def _shows_key(token: Examined) -> str:
    return token.key.described if token.key is not None else ""


CHECKS = (
    Check("size", _size, lambda token: f"{len(token.text)} characters"),
    Check("form", _form, lambda _: "three parts in base64url"),
    Check("header", _header, lambda token: cut(", ".join(map(quoted, token.header)))),
    Check("type", _type, lambda token: f"typ {quoted(token.header['typ'])}"),
    Check("critical", _critical, lambda _: "no extension"),
    Check("algorithm", _algorithm, lambda token: token.algorithm),
    Check("key_id", _key_id, lambda token: f"kid {quoted(token.key_id)}"),
    Check("payload", _payload, lambda token: f"{len(token.claims)} claims"),
    Check("key", _key, _shows_key),
    Check("signature", _signature, lambda _: "made by this key"),
)
