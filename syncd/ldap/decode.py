"""The values of directory attributes: text, ids, times and range-named attributes.

Each function takes one value as the server sent it. What cannot be decoded raises DecodeError with
the reason under which the entry is quarantined; the caller knows which attribute it was.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from syncd.errors import DecodeError, cut
from syncd.ldap.dn import normalize
from syncd.ldap.filter_tree import escape

if TYPE_CHECKING:
    from collections.abc import Callable

NOT_TEXT = "not_text"
BAD_ID = "bad_id"
BAD_TIME = "bad_time"

# How each UUID attribute is written; every other one is text, compared as it is.
_MIXED_ENDIAN = frozenset({"objectguid"})
_STRAIGHT = frozenset({"guid"})
_CASELESS = frozenset({"entryuuid", "nsuniqueid", "ipauniqueid", "ibm-entryuuid"})
_DN_VALUED = frozenset({"entrydn", "distinguishedname"})

_TIME = re.compile(
    rb"(\d{4})(\d\d)(\d\d)(\d\d)(?:(\d\d)(\d\d)?)?(?:[.,](\d+))?(Z|[+-]\d\d(?:[0-5]\d)?)"
)
_RANGE = re.compile(r"([^;]+(?:;[^;]+)*?);range=(\d+)-(\d+|\*)", re.IGNORECASE)


def decode_text(value: bytes) -> str:
    """Return a text value without the spaces around it."""
    try:
        return value.decode().strip()
    except UnicodeDecodeError as error:
        raise DecodeError(
            NOT_TEXT,
            f"the value is not UTF-8 text: byte {error.start} is {value[error.start]:#04x}",
        ) from error


def decode_external_id(attribute: str) -> Callable[[bytes], str]:
    """Return the decoder for values of the UUID attribute ``attribute``."""
    name = attribute.lower()
    if name in _MIXED_ENDIAN:
        return _decode_object_guid
    if name in _STRAIGHT:
        return _decode_guid
    if name in _CASELESS:
        return _decode_caseless_id
    if name in _DN_VALUED:
        return _decode_dn_id
    return _decode_text_id


def encode_external_id(attribute: str, external_id: str) -> str:
    """Return the assertion value, escaped for a filter, that finds ``external_id``."""
    name = attribute.lower()
    if name in _MIXED_ENDIAN or name in _STRAIGHT:
        octets = _octets(external_id)
        if name in _MIXED_ENDIAN:
            octets = octets[3::-1] + octets[5:3:-1] + octets[7:5:-1] + octets[8:]
        return "".join(f"\\{octet:02x}" for octet in octets)
    return escape(external_id)


def decode_generalized_time(value: bytes) -> datetime:
    """Return a GeneralizedTime (RFC 4517 section 3.3.13) as an aware datetime in UTC."""
    found = _TIME.fullmatch(value)
    if found is None:
        raise DecodeError(BAD_TIME, f"{cut(value, 64)} is not a GeneralizedTime")
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour), int(minute or 0), tzinfo=_zone(zone)
        )
        # Added rather than set: a leap second is the 60th.
        moment += timedelta(seconds=_seconds(second))
        if fraction is not None:
            unit = 1_000_000 if second else 60_000_000 if minute else 3_600_000_000
            moment += timedelta(microseconds=int(fraction) * unit // 10 ** len(fraction))
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise DecodeError(BAD_TIME, f"{cut(value, 64)} is not a date: {error}") from error


def range_of(description: str) -> tuple[str, int, int | None] | None:
    """Return name, first and last index of a range-named attribute description.

    ``member;range=0-1499`` gives ``("member", 0, 1499)``; the last block, ``*``, has no last index.
    Any other description gives None.
    """
    found = _RANGE.fullmatch(description)
    if found is None:
        return None
    return found[1], int(found[2]), None if found[3] == "*" else int(found[3])


def _zone(text: bytes) -> timezone:
    if text == b"Z":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[3:5] or 0))
    return timezone(-offset if text.startswith(b"-") else offset)


def _seconds(digits: bytes | None) -> int:
    seconds = int(digits or 0)
    if seconds > 60:
        raise ValueError("second must be in 0..60")
    return seconds


def _hex16(value: bytes) -> str:
    if len(value) != 16:
        raise DecodeError(BAD_ID, f"the id has {len(value)} bytes where 16 are expected")
    return value.hex()


def _decode_object_guid(value: bytes) -> str:
    """Active Directory writes the first three fields least significant byte first."""
    h = _hex16(value)
    return (
        f"{h[6:8]}{h[4:6]}{h[2:4]}{h[0:2]}-{h[10:12]}{h[8:10]}-{h[14:16]}{h[12:14]}"
        f"-{h[16:20]}-{h[20:]}"
    )


def _decode_guid(value: bytes) -> str:
    """EDirectory writes the bytes in the order in which they are read."""
    h = _hex16(value)
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def _decode_caseless_id(value: bytes) -> str:
    return _decode_text_id(value).lower()


def _decode_dn_id(value: bytes) -> str:
    text = _decode_text_id(value)
    try:
        return normalize(text)
    except ValueError as error:
        raise DecodeError(BAD_ID, f"the id is not a DN: {error}") from error


def _decode_text_id(value: bytes) -> str:
    try:
        return value.decode().strip()
    except UnicodeDecodeError as error:
        raise DecodeError(BAD_ID, f"the id is not UTF-8 text: {cut(value, 64)}") from error


def _octets(external_id: str) -> bytes:
    try:
        octets = bytes.fromhex(external_id.replace("-", ""))
    except ValueError:
        octets = b""
    if len(octets) != 16:
        raise ValueError(f"{external_id!r} is not an id of 16 bytes")
    return octets
