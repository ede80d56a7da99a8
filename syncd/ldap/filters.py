"""Search filters (RFC 4515): built by value, and checked when an administrator wrote them.

The builders take values and return filter text in which nothing of a value can become syntax.
``parse`` turns text into a tree and says position and reason when it cannot.
"""

from __future__ import annotations

import re

from syncd.ldap.filter_tree import (
    And,
    Comparison,
    Extensible,
    Filter,
    Not,
    Or,
    Present,
    Substrings,
    escape,
)
from syncd.ldap.matching import matches

__all__ = [
    "And",
    "Comparison",
    "Extensible",
    "Filter",
    "Not",
    "Or",
    "Present",
    "Substrings",
    "and_",
    "equal",
    "escape",
    "greater_or_equal",
    "matches",
    "not_",
    "or_",
    "parse",
    "present",
]

DEPTH_LIMIT = 64

_ATTRIBUTE = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9_-]*|[0-9]+(?:\.[0-9]+)*)(?:;[A-Za-z0-9_-]+)*", re.ASCII
)
_RULE = re.compile(r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*", re.ASCII)
_OPERATOR = re.compile(r"~=|>=|<=|=|(?P<rule>(?::dn)?(?::(?P<id>[^:=()\s]+))?:=)", re.IGNORECASE)
_NO_ASTERISK = '"*" cannot stand in this value; write it as \\2a'


# --- building


def equal(attribute: str, value: str | bytes) -> str:
    """Return the filter that ``attribute`` has the value ``value``."""
    return f"({_named(attribute)}={escape(value)})"


def present(attribute: str) -> str:
    """Return the filter that ``attribute`` has a value."""
    return f"({_named(attribute)}=*)"


def greater_or_equal(attribute: str, value: str | bytes) -> str:
    """Return the filter that ``attribute`` is ``value`` or more; LDAP has no plain "more"."""
    return f"({_named(attribute)}>={escape(value)})"


def and_(*filters: str) -> str:
    """Return the filter that all of ``filters`` match; empty ones do not count."""
    return _combined("&", filters)


def or_(*filters: str) -> str:
    """Return the filter that one of ``filters`` matches; empty ones do not count."""
    return _combined("|", filters)


def not_(filter_: str) -> str:
    """Return the filter that ``filter_`` does not match."""
    return f"(!{filter_})"


def _combined(operator: str, filters: tuple[str, ...]) -> str:
    given = [text for text in filters if text]
    if not given:
        raise ValueError("a filter needs at least one clause")
    return given[0] if len(given) == 1 else f"({operator}{''.join(given)})"


def _named(attribute: str) -> str:
    if _ATTRIBUTE.fullmatch(attribute) is None:
        raise ValueError(f"{attribute!r} is not an attribute name")
    return attribute


# --- reading


def parse(text: str) -> Filter:
    """Return the tree of a configured filter, or raise ValueError with position and reason.

    Spaces and line ends between clauses are allowed, as YAML's folded texts have them.
    """
    stripped = text.strip()
    if not (stripped.startswith("(") and stripped.endswith(")")):
        raise ValueError(f'a filter starts with "(" and ends with ")"; this one is {stripped!r}')
    parser = _Parser(text)
    found = parser.filter(depth=0)
    parser.skip_spaces()
    if parser.position != len(text):
        raise parser.error("the filter is over here, but more text follows")
    return found


class _Parser:
    """Reads one filter; ``position`` is where it stands."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def error(self, reason: str, position: int | None = None) -> ValueError:
        at = self.position if position is None else position
        return ValueError(f"at position {at} of {self.text!r}: {reason}")

    def skip_spaces(self) -> None:
        while self.text[self.position : self.position + 1].isspace():
            self.position += 1

    def next_is(self, character: str) -> bool:
        return self.text.startswith(character, self.position)

    def filter(self, depth: int) -> Filter:
        self.skip_spaces()
        start = self.position
        if not self.next_is("("):
            raise self.error('"(" is expected')
        if depth > DEPTH_LIMIT:
            raise self.error(f"the filter is nested deeper than {DEPTH_LIMIT} levels")
        self.position += 1
        self.skip_spaces()
        operator = self.text[self.position : self.position + 1]
        found: Filter
        if operator in ("&", "|"):
            self.position += 1
            clauses = self.clauses(depth)
            found = And(clauses) if operator == "&" else Or(clauses)
        elif operator == "!":
            self.position += 1
            found = Not(self.filter(depth + 1))
        else:
            found = self.item()
        self.skip_spaces()
        if not self.next_is(")"):
            raise self.error(f'")" is expected, for the "(" at position {start}')
        self.position += 1
        return found

    def clauses(self, depth: int) -> tuple[Filter, ...]:
        found: list[Filter] = []
        self.skip_spaces()
        while self.next_is("("):
            found.append(self.filter(depth + 1))
            self.skip_spaces()
        return tuple(found)

    def item(self) -> Filter:
        named = _ATTRIBUTE.match(self.text, self.position)
        attribute = named[0] if named else None
        if named:
            self.position = named.end()
        operator = _OPERATOR.match(self.text, self.position)
        if operator is None:
            raise self.error(
                "an attribute name is expected"
                if attribute is None
                else "one of = ~= >= <= := is expected"
            )
        if operator["rule"] and (attribute is not None or operator["id"]):
            return self.extensible(attribute, operator)
        if attribute is None:
            raise self.error("an attribute name is expected")
        return self.relation(attribute, operator)

    def relation(self, attribute: str, operator: re.Match[str]) -> Filter:
        start = self.position = operator.end()
        pieces = self.pieces()
        if len(pieces) == 1:
            return Comparison(attribute, operator[0], pieces[0])
        if operator[0] != "=":
            raise self.error(_NO_ASTERISK, start)
        if pieces == [b"", b""]:
            return Present(attribute)
        if b"" in pieces[1:-1]:
            raise self.error('"**" is not a pattern', start)
        return Substrings(attribute, tuple(pieces))

    def extensible(self, attribute: str | None, operator: re.Match[str]) -> Filter:
        rule = operator["id"]
        if rule and _RULE.fullmatch(rule) is None:
            raise self.error(f"{rule!r} is not the name of a matching rule")
        start = self.position = operator.end()
        pieces = self.pieces()
        if len(pieces) > 1:
            raise self.error(_NO_ASTERISK, start)
        in_dn = operator["rule"].lower().startswith(":dn:")
        return Extensible(attribute, in_dn, rule, pieces[0])

    def pieces(self) -> list[bytes]:
        """Read a value up to its closing parenthesis, in pieces between unescaped asterisks."""
        pieces = [bytearray()]
        while True:
            character = self.text[self.position : self.position + 1]
            if character in (")", ""):
                return [bytes(piece) for piece in pieces]
            if character == "*":
                pieces.append(bytearray())
            elif character == "\\":
                digits = self.text[self.position + 1 : self.position + 3]
                if re.fullmatch(r"[0-9A-Fa-f]{2}", digits) is None:
                    raise self.error(
                        "a backslash is followed by two hexadecimal digits; write it as \\5c"
                    )
                pieces[-1] += bytes.fromhex(digits)
                self.position += 2
            elif character == "(":
                raise self.error('"(" cannot stand in a value; write it as \\28')
            elif character == "\0":
                raise self.error("a NUL character cannot stand in a value; write it as \\00")
            else:
                pieces[-1] += character.encode("utf-8", "surrogatepass")
            self.position += 1
