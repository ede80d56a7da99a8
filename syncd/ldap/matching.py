"""Whether an entry that was read matches a filter, and which clause it fails.

The server's own answer always counts. Here text is compared without regard to case and runs of
spaces, DNs by their normal form, numbers and times by value. A matching rule that only the server
can evaluate is neither true nor false (RFC 4511 section 4.5.1.7), and what hangs on it is not held
against the entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syncd.errors import DecodeError
from syncd.ldap.decode import decode_generalized_time
from syncd.ldap.dn import normalize, parse
from syncd.ldap.filter_tree import And, Comparison, Extensible, Filter, Not, Or, Present, Substrings
from syncd.records import fold

if TYPE_CHECKING:
    from syncd.records import Entry

# Active Directory's bit rules; its chain rule needs other entries and stays unknown.
_BIT_AND = "1.2.840.113556.1.4.803"
_BIT_OR = "1.2.840.113556.1.4.804"
_EQUALITY_RULES = frozenset(
    {"caseignorematch", "caseexactmatch", "caseignoreia5match", "2.5.13.2", "2.5.13.5"}
)


def matches(filter_: Filter, entry: Entry) -> tuple[bool, str | None]:
    """Tell whether ``entry`` matches, and the first clause that does not."""
    if _evaluate(filter_, entry) is not False:
        return True, None
    return False, str(_culprit(filter_, entry))


def _culprit(filter_: Filter, entry: Entry) -> Filter:
    """Return the innermost clause that alone makes the filter fail."""
    if isinstance(filter_, And):
        for clause in filter_.clauses:
            if _evaluate(clause, entry) is False:
                return _culprit(clause, entry)
    return filter_


def _evaluate(filter_: Filter, entry: Entry) -> bool | None:
    """Return True, False, or None for what only the server can know."""
    match filter_:
        case And(clauses):
            return _all([_evaluate(clause, entry) for clause in clauses])
        case Or(clauses):
            return _any([_evaluate(clause, entry) for clause in clauses])
        case Not(clause):
            outcome = _evaluate(clause, entry)
            return None if outcome is None else not outcome
        case Present(attribute):
            return bool(_values(entry, attribute))
        case Comparison(attribute, operator, value):
            return any(_compare(have, operator, value) for have in _values(entry, attribute))
        case Substrings(attribute, pieces):
            return any(_has_pieces(have, pieces) for have in _values(entry, attribute))
        case Extensible():
            return _extensible(filter_, entry)


def _all(outcomes: list[bool | None]) -> bool | None:
    if False in outcomes:
        return False
    return None if None in outcomes else True


def _any(outcomes: list[bool | None]) -> bool | None:
    if True in outcomes:
        return True
    return None if None in outcomes else False


def _values(entry: Entry, attribute: str) -> list[bytes]:
    """Return the values of an attribute and of its subtypes by option (``cn;lang-de``)."""
    name = attribute.lower()
    found = list(entry.attributes.get(name, ()))
    for description, values in entry.attributes.items():
        if description.startswith(f"{name};"):
            found += values
    if not found and name in ("entrydn", "distinguishedname"):
        found = [entry.dn.encode()]
    return found


def _compare(have: bytes, operator: str, want: bytes) -> bool:
    if operator in ("=", "~="):
        return _same(have, want)
    left, right = _ordered(have, want)
    return bool(left >= right) if operator == ">=" else bool(left <= right)


def _same(have: bytes, want: bytes) -> bool:
    if have == want:
        return True
    left, right = _text(have), _text(want)
    if left is None or right is None:
        return False
    if left == right:
        return True
    if "=" not in left or "=" not in right:
        return False
    try:
        return normalize(have.decode()) == normalize(want.decode())
    except ValueError:
        return False


def _ordered(have: bytes, want: bytes) -> tuple[Any, Any]:
    """Return two values as what they can be compared as: numbers, times, text, bytes."""
    try:
        return int(have), int(want)
    except ValueError:
        pass
    try:
        return decode_generalized_time(have), decode_generalized_time(want)
    except DecodeError:
        pass
    left, right = _text(have), _text(want)
    if left is None or right is None:
        return have, want
    return left, right


def _has_pieces(have: bytes, pieces: tuple[bytes, ...]) -> bool:
    text = _text(have)
    wanted = [_text(piece, keep_ends=True) for piece in pieces]
    if text is None or None in wanted:
        return False
    first, *middle, last = [piece or "" for piece in wanted]
    if not text.startswith(first) or len(text) < len(first) + len(last):
        return False
    position, end = len(first), len(text) - len(last)
    for piece in middle:
        found = text.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return text.endswith(last)


def _extensible(filter_: Extensible, entry: Entry) -> bool | None:
    rule = (filter_.rule or "").lower()
    values = _values(entry, filter_.attribute) if filter_.attribute else []
    if rule in (_BIT_AND, _BIT_OR):
        try:
            mask = int(filter_.value)
            numbers = [int(value) for value in values]
        except ValueError:
            return False
        if rule == _BIT_AND:
            return any(number & mask == mask for number in numbers)
        return any(number & mask for number in numbers)
    if filter_.attribute is None or (rule and rule not in _EQUALITY_RULES):
        return None
    if filter_.in_dn:
        values += [
            value.encode()
            for rdn in parse(entry.dn)
            for attribute, value in rdn
            if attribute == filter_.attribute.lower()
        ]
    return any(_same(value, filter_.value) for value in values)


def _text(value: bytes, *, keep_ends: bool = False) -> str | None:
    """Return the comparison text of a value, None when it is not text."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    if not keep_ends:
        return " ".join(fold(text).split())
    squeezed = " ".join(fold(f"x{text}x").split())
    return squeezed[1:-1]
