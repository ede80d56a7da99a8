"""A search filter as a value (RFC 4515); ``str`` of it is the filter without needless spaces."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

_UNSAFE = re.compile(rb"[\\*()\x00\x80-\xff]")


def escape(value: str | bytes) -> str:
    r"""Return ``value`` with \ * ( ) NUL and every byte outside of ASCII as ``\hh``."""
    octets = value.encode() if isinstance(value, str) else value
    return _UNSAFE.sub(lambda m: b"\\%02x" % m[0][0], octets).decode("ascii")


@dataclass(frozen=True, slots=True)
class And:
    """All clauses match; without any it always matches (RFC 4526)."""

    clauses: tuple[Filter, ...]

    def __str__(self) -> str:
        return f"(&{''.join(map(str, self.clauses))})"


@dataclass(frozen=True, slots=True)
class Or:
    """One clause matches; without any it never matches (RFC 4526)."""

    clauses: tuple[Filter, ...]

    def __str__(self) -> str:
        return f"(|{''.join(map(str, self.clauses))})"


@dataclass(frozen=True, slots=True)
class Not:
    """The clause does not match."""

    clause: Filter

    def __str__(self) -> str:
        return f"(!{self.clause})"


@dataclass(frozen=True, slots=True)
class Present:
    """The attribute has a value."""

    attribute: str

    def __str__(self) -> str:
        return f"({self.attribute}=*)"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A value of the attribute stands in this relation (``=``, ``~=``, ``>=``, ``<=``)."""

    attribute: str
    operator: str
    value: bytes

    def __str__(self) -> str:
        return f"({self.attribute}{self.operator}{escape(self.value)})"


@dataclass(frozen=True, slots=True)
class Substrings:
    """A value holds these pieces in order; the first is its beginning, the last its end."""

    attribute: str
    pieces: tuple[bytes, ...]

    def __str__(self) -> str:
        return f"({self.attribute}={'*'.join(map(escape, self.pieces))})"


@dataclass(frozen=True, slots=True)
class Extensible:
    """A matching rule named in the filter (RFC 4511 section 4.5.1.7.7)."""

    attribute: str | None
    in_dn: bool
    rule: str | None
    value: bytes

    def __str__(self) -> str:
        rule = f":{self.rule}" if self.rule else ""
        in_dn = ":dn" if self.in_dn else ""
        return f"({self.attribute or ''}{in_dn}{rule}:={escape(self.value)})"


Filter: TypeAlias = And | Or | Not | Present | Comparison | Substrings | Extensible
