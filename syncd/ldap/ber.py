"""Basic Encoding Rules as LDAP uses them (RFC 4511 section 5.1), and the one hot decoder.

Owns tags, lengths and the decoding of a search result entry. Everything here is pure. The loops
repeat the short form of a length inline: a function call an element would double the cost of
reading a directory.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from syncd.errors import DecodeError
from syncd.records import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

BOOLEAN = 0x01
INTEGER = 0x02
OCTET_STRING = 0x04
ENUMERATED = 0x0A
SEQUENCE = 0x30
SET = 0x31

LONG_FORM = 0x80
FOUR_BYTES = 0x84
# 4 bytes of length reach 4 GiB, more than any message may have.
LENGTH_BYTES = 4
REMEMBERED_NAMES = 4096

four_bytes = struct.Struct(">I").unpack_from

# By the description's whole element and the tag of the set that follows it.
_names: dict[bytes, str] = {}


class Malformed(ValueError):
    """The bytes are no BER that LDAP allows."""


def long_length(octets: bytes, position: int) -> tuple[int, int]:
    """Return the long-form length that starts at ``position``, and where its contents start.

    LDAP allows non-minimal lengths and forbids indefinite ones.
    """
    count = octets[position] & 0x7F
    if not 0 < count <= LENGTH_BYTES:
        raise Malformed("indefinite length" if count == 0 else f"length of {count} bytes")
    start = position + 1 + count
    if start > len(octets):
        raise Malformed("the bytes end inside a length")
    return int.from_bytes(octets[position + 1 : start], "big"), start


def read(octets: bytes, position: int, end: int) -> tuple[int, int, int]:
    """Return the tag at ``position`` and where its contents start and stop, not past ``end``."""
    if position + 2 > end:
        raise Malformed("the bytes end inside an element")
    length = octets[position + 1]
    start = position + 2
    if length >= LONG_FORM:
        length, start = long_length(octets, position + 1)
    stop = start + length
    if stop > end:
        raise Malformed("an element is longer than what holds it")
    return octets[position], start, stop


def expect(octets: bytes, position: int, end: int, tag: int) -> tuple[int, int]:
    """Return where the contents of the ``tag`` element at ``position`` start and stop."""
    found, start, stop = read(octets, position, end)
    if found != tag:
        raise Malformed(f"tag 0x{found:02x} where 0x{tag:02x} should stand")
    return start, stop


def elements(octets: bytes, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield tag, start and stop of every element between ``position`` and ``end``."""
    while position < end:
        tag, start, stop = read(octets, position, end)
        yield tag, start, stop
        position = stop


def read_integer(octets: bytes, start: int, stop: int) -> int:
    """Return the INTEGER or ENUMERATED whose contents stand between ``start`` and ``stop``."""
    if not start < stop <= start + 8:
        raise Malformed(f"an integer of {stop - start} bytes")
    return int.from_bytes(octets[start:stop], "big", signed=True)


def encode(tag: int, contents: bytes) -> bytes:
    """Return one element with the shortest length."""
    length = len(contents)
    if length < LONG_FORM:
        return bytes((tag, length)) + contents
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, LONG_FORM | len(size))) + size + contents


def encode_integer(value: int, tag: int = INTEGER) -> bytes:
    """Return an INTEGER (or ENUMERATED) element."""
    return encode(tag, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def entry_dn(raw: bytes) -> str:
    """Return only the DN of a search result entry, for those who look for one of many."""
    try:
        start, stop = expect(raw, 0, len(raw), OCTET_STRING)
        return raw[start:stop].decode()
    except (Malformed, IndexError, struct.error, UnicodeDecodeError) as error:
        raise _undecodable(error) from error


def decode_entry(raw: bytes) -> Entry:
    """Decode the contents of a SearchResultEntry: LDAPDN, then PartialAttributeList."""
    try:
        return _decode_entry(raw)
    except (Malformed, IndexError, struct.error, UnicodeDecodeError) as error:
        raise _undecodable(error) from error


def _undecodable(error: Exception) -> DecodeError:
    if isinstance(error, UnicodeDecodeError):
        return DecodeError(
            "dn_not_text", "The entry's DN is not UTF-8; rename the entry in the directory."
        )
    detail = str(error) if isinstance(error, Malformed) else "the bytes end too early"
    return DecodeError(
        "malformed_entry",
        f"The server sent an entry that is no LDAP ({detail}); "
        "look at the entry and at the server's version.",
    )


def _name(octets: bytes, position: int) -> tuple[str, int]:
    """Return the attribute description at ``position`` and where the set of values starts."""
    start, stop = expect(octets, position, len(octets), OCTET_STRING)
    if octets[stop] != SET:
        raise Malformed("an attribute without a set of values")
    try:
        name = octets[start:stop].decode("ascii").lower()
    except UnicodeDecodeError as error:
        raise Malformed("an attribute description is not ASCII") from error
    # Bounded, because a hostile server could invent names for ever; short forms only, because
    # only those are looked up.
    if len(_names) < REMEMBERED_NAMES and start == position + 2:
        _names[octets[position : stop + 1]] = name
    return name, stop


def _decode_entry(raw: bytes) -> Entry:  # noqa: C901, PLR0912 - one loop, no calls: it runs once an entry
    position, stop = expect(raw, 0, len(raw), OCTET_STRING)
    dn = raw[position:stop].decode()
    position, end = expect(raw, stop, len(raw), SEQUENCE)
    if end != len(raw):
        raise Malformed("something follows the attributes")
    attributes: dict[str, list[bytes]] = {}
    known = _names.get
    while position < end:
        if raw[position] != SEQUENCE:
            raise Malformed("no attribute where one should stand")
        length = raw[position + 1]
        position += 2
        if length == FOUR_BYTES:
            # Active Directory writes every sequence and set so.
            length = four_bytes(raw, position)[0]
            position += 4
        elif length >= LONG_FORM:
            length, position = long_length(raw, position - 1)
        attribute_stop = position + length
        # One slice and one look-up check the tag and the length of the description, the
        # description and the tag that follows it.
        stop = position + raw[position + 1] + 2
        name = known(raw[position : stop + 1])
        if name is None:
            name, stop = _name(raw, position)
        length = raw[stop + 1]
        position = stop + 2
        if length == FOUR_BYTES:
            length = four_bytes(raw, position)[0]
            position += 4
        elif length >= LONG_FORM:
            length, position = long_length(raw, stop + 1)
        if position + length != attribute_stop:
            raise Malformed("an attribute whose lengths contradict each other")
        values: list[bytes] = []
        while position < attribute_stop:
            if raw[position] != OCTET_STRING:
                raise Malformed("a value that is no octet string")
            length = raw[position + 1]
            position += 2
            if length >= LONG_FORM:
                length, position = long_length(raw, position - 1)
            stop = position + length
            values.append(raw[position:stop])
            position = stop
        if position != attribute_stop:
            raise Malformed("a value is longer than its attribute")
        if name in attributes:
            # A server may split one attribute; nothing of it may be lost.
            attributes[name] += values
        else:
            attributes[name] = values
    if position != end:
        raise Malformed("an attribute is longer than its entry")
    return Entry(dn, attributes)
