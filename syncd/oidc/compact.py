"""The compact form of tokens, and JSON as strictly as tokens need it (RFC 7515, RFC 8725).

What two parsers may read in two ways is not read at all: padding, other alphabets, bits that no
byte has, members that stand twice, numbers that are none. Everything here is bounded by the size
of a token, so that a stranger's token costs little before anybody has looked for a key.
"""

from __future__ import annotations

import binascii
import json
import math
import re
from typing import Any, Final

from syncd.errors import cut
from syncd.oidc.options import LARGEST_TOKEN_BYTES
from syncd.oidc.outcome import Reason, Refusal

# P: a person's claims nest a few levels and have some dozens of members.
DEEPEST = 32
MOST_MEMBERS = 2000

_TO_STANDARD = bytes.maketrans(b"-_+/=", b"+/!!!")
# The last character of a segment that does not end on a whole byte: its further bits are zero.
_TAILS: Final = {2: frozenset(b"AQgw"), 3: frozenset(b"AEIMQUYcgkosw048")}
_PADDING: Final = {0: b"", 2: b"==", 3: b"="}
# A text may lack its end, which is no JSON: else each quotation mark in it would be tried as its
# beginning again.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_SPACE = " \t\r\n"
_BRACKET = re.compile(rb"[\[\]{}]")
# How halves of surrogate pairs are written, and some other characters.
_SURROGATES: Final = (b"\\ud", b"\\uD")


class _Duplicate(ValueError):
    """A member stands twice in one object."""


def quoted(value: object, limit: int = 80) -> str:
    """Return what a stranger's token or set says, for a message: as JSON in ASCII, cut."""
    if isinstance(value, str):
        value = value[:limit]
    return cut(json.dumps(value, default=repr), limit)


def decode(segment: bytes) -> bytes:
    """Return what a segment says (RFC 7515 section 2); ValueError for any other form of it."""
    rest = len(segment) % 4
    if rest == 1 or (rest and segment[-1] not in _TAILS[rest]):
        raise ValueError("is no base64url")
    return binascii.a2b_base64(segment.translate(_TO_STANDARD) + _PADDING[rest], strict_mode=True)


def segments(text: str) -> tuple[bytes, bytes, bytes] | Refusal:
    """Return header, payload and signature as they stand in a token, or why it has none."""
    if not text.isascii():
        return Refusal(Reason.MALFORMED, "the token has characters that no token has")
    header, _, rest = text.encode().partition(b".")
    payload, dot, signature = rest.partition(b".")
    if dot and b"." not in signature:
        return header, payload, signature
    if text.count(".") == 4:
        return Refusal(
            Reason.ENCRYPTED,
            "the token is encrypted: switch that off for this client at the provider",
        )
    return Refusal(Reason.MALFORMED, "the token is not three parts with two dots between them")


def _unlike_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Duplicate
    return found


def _finite(number: str) -> float:
    found = float(number)
    if not math.isfinite(found):
        raise ValueError("is too large a number")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


class WithDuplicates(dict[str, Any]):
    """An object in which a member stands twice; the last one is in it."""


def _marked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else WithDuplicates(pairs)


_READ: Final = json.JSONDecoder(
    object_pairs_hook=_unlike_twice, parse_float=_finite, parse_constant=_no_constant
).raw_decode
_READ_MARKED: Final = json.JSONDecoder(
    object_pairs_hook=_marked, parse_float=_finite, parse_constant=_no_constant
).raw_decode


def _too_rich(body: bytes, members: int) -> str | None:
    """Return what there is too much of, if anything; rarely asked, as counting bytes says no."""
    bare = _STRING.sub(b"", body)
    if bare.count(b":") > members:
        return f"has more than {members} members"
    depth = 0
    for sign in _BRACKET.findall(bare):
        depth += 1 if sign in b"[{" else -1
        if depth > DEEPEST:
            return f"is nested deeper than {DEEPEST} levels"
    return None


def read_object(
    body: bytes, what: str = "the text", *, members: int = MOST_MEMBERS, mark: bool = False
) -> dict[str, Any] | Refusal:
    """Return the object that UTF-8 JSON is, or why it is none; ``what`` begins that sentence.

    No member may stand twice in an object, at any depth, or with ``mark`` that object is a
    WithDuplicates. NaN, infinite numbers and halves of surrogate pairs are no JSON. Depth and
    number of members are bounded.
    """
    # A member has five bytes at least, and counting costs as much as two checks of claims.
    crowded = len(body) > 5 * members and body.count(b":") > members
    if crowded or body.count(b"[") + body.count(b"{") > DEEPEST:
        excess = _too_rich(body, members)
        if excess is not None:
            return Refusal(Reason.MALFORMED, f"{what} {excess}")
    try:
        text = body.decode().lstrip(_SPACE)
        found, end = (_READ_MARKED if mark else _READ)(text)
        if end != len(text) and text[end:].strip(_SPACE):
            raise ValueError("goes on after its end")
        if _SURROGATES[0] in body or _SURROGATES[1] in body:
            json.dumps(found, ensure_ascii=False).encode()
    except _Duplicate:
        return Refusal(Reason.DUPLICATE_MEMBER, f"{what} has a member twice in one object")
    except ValueError:
        return Refusal(Reason.MALFORMED, f"{what} is no JSON in UTF-8")
    if not isinstance(found, dict):
        return Refusal(Reason.MALFORMED, f"{what} is no JSON object")
    return found


def read_segment(segment: bytes, what: str) -> dict[str, Any] | Refusal:
    """Return the object that a segment holds, or why it holds none."""
    try:
        body = decode(segment)
    except ValueError:
        return Refusal(Reason.MALFORMED, f"{what} is no base64url without padding")
    return read_object(body, what)


def peek(text: str) -> tuple[object, object] | None:
    """Return issuer and audience as a token says them, with nothing verified; None: it has none.

    To choose whose validator looks at it, and for nothing else.
    """
    if len(text) > LARGEST_TOKEN_BYTES:
        return None
    parts = segments(text)
    if isinstance(parts, Refusal):
        return None
    payload = read_segment(parts[1], "the payload")
    if isinstance(payload, Refusal):
        return None
    return payload.get("iss"), payload.get("aud")
