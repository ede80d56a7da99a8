"""The SearchRequest operation, encoded (RFC 4511 section 4.5.1).

ldap3 could do it, but its filter parser strips spaces off values, refuses ``(&)`` and lets ``(=)``
pass, and a filter that means something else than it says takes people away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from syncd.errors import SearchRejected, cut
from syncd.ldap import ber, results
from syncd.ldap.filters import (
    And,
    Comparison,
    Extensible,
    Filter,
    Not,
    Or,
    Present,
    Substrings,
    parse,
)
from syncd.records import Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

SEARCH_REQUEST: Final = 0x63
NEVER_DEREFERENCE: Final = 0

_SCOPES: Final = {Scope.BASE: 0, Scope.ONE_LEVEL: 1, Scope.SUBTREE: 2}
_COMPARISONS: Final = {"=": 0xA3, ">=": 0xA5, "<=": 0xA6, "~=": 0xA8}
_TRUE: Final = b"\xff"


def encode_search(
    base_dn: str, scope: Scope, filter_text: str, attributes: Sequence[str], size_limit: int
) -> bytes:
    """Return the operation, without message id and controls."""
    try:
        filter_ = parse(filter_text)
    except ValueError as error:
        raise SearchRejected(
            f"The search filter cannot be sent: {cut(error)}.", results.FILTER_ERROR
        ) from error
    contents = (
        _text(base_dn),
        ber.encode_integer(_SCOPES[scope], ber.ENUMERATED),
        ber.encode_integer(NEVER_DEREFERENCE, ber.ENUMERATED),
        ber.encode_integer(size_limit),
        # No time limit of our own: how long to wait is told by the read time-out.
        ber.encode_integer(0),
        # Types and values.
        ber.encode(ber.BOOLEAN, b"\x00"),
        encode_filter(filter_),
        ber.encode(ber.SEQUENCE, b"".join(_text(name) for name in attributes)),
    )
    return ber.encode(SEARCH_REQUEST, b"".join(contents))


def encode_filter(filter_: Filter) -> bytes:
    """Return a filter as it is sent (RFC 4511 section 4.5.1.7)."""
    match filter_:
        case And(clauses):
            return ber.encode(0xA0, b"".join(encode_filter(clause) for clause in clauses))
        case Or(clauses):
            return ber.encode(0xA1, b"".join(encode_filter(clause) for clause in clauses))
        case Not(clause):
            return ber.encode(0xA2, encode_filter(clause))
        case Present(attribute):
            return ber.encode(0x87, attribute.encode())
        case Comparison(attribute, operator, value):
            asserted = ber.encode(ber.OCTET_STRING, value)
            return ber.encode(_COMPARISONS[operator], _text(attribute) + asserted)
        case Substrings(attribute, pieces):
            return ber.encode(0xA4, _text(attribute) + _substrings(pieces))
        case Extensible():
            return ber.encode(0xA9, _extensible(filter_))
        case _:
            assert_never(filter_)


def _substrings(pieces: tuple[bytes, ...]) -> bytes:
    initial, *middle, final = pieces
    coded = [ber.encode(0x80, initial)] if initial else []
    coded += [ber.encode(0x81, piece) for piece in middle if piece]
    if final:
        coded.append(ber.encode(0x82, final))
    return ber.encode(ber.SEQUENCE, b"".join(coded))


def _extensible(filter_: Extensible) -> bytes:
    contents = ber.encode(0x81, filter_.rule.encode()) if filter_.rule else b""
    if filter_.attribute:
        contents += ber.encode(0x82, filter_.attribute.encode())
    contents += ber.encode(0x83, filter_.value)
    if filter_.in_dn:
        contents += ber.encode(0x84, _TRUE)
    return contents


def _text(text: str) -> bytes:
    return ber.encode(ber.OCTET_STRING, text.encode())
