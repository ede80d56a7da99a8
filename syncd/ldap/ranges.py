"""Attributes with so many values that a server sends them in ranges (MS-ADTS 3.1.1.3.1.3.3).

Active Directory sends an empty ``member`` and the first 1,500 values as ``member;range=0-1499``; of
``memberOf`` and every other attribute likewise. Here such an entry is read on until the range that
ends in ``*``, and goes on with one plain attribute, so that what compares and maps entries sees all
of it and nothing of ranges.

Values may move between two ranges. Each range therefore starts with the last value of the one
before, which must be the same, and comes with the entry's own stamps; when either changed, all is
read again. What cannot be read to its end goes on as it came, and then counts as known in part.
"""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Final

from syncd.errors import DecodeError, DirectoryError, cut
from syncd.ldap.ber import decode_entry
from syncd.ldap.completion import Aside
from syncd.ldap.decode import range_of
from syncd.ldap.raw_entry import RawEntry
from syncd.ldap.search import SearchRequest
from syncd.records import Entry, Scope

if TYPE_CHECKING:
    from syncd.ldap.connection import Connection
    from syncd.ldap.listings import Connections

_log = logging.getLogger(__name__)

# As servers write it; an entry without these bytes is not looked at.
MARK: Final = b";range="
# A group that changes all the time is left for the next run.
READINGS: Final = 3
# As much as one message may have: an entry without end is none.
MOST_OCTETS: Final = 64 * 1024 * 1024
# A change of the members moves those of a group. Those of a person do not move with memberOf.
STAMPS: Final = ("uSNChanged", "whenChanged")
GUID_OCTETS: Final = 16


class Moved(DirectoryError):
    """The values changed while they were read."""


class RangeCompleter:
    """Reads on where entries of a listing come with ranges."""

    def __init__(self, connections: Connections) -> None:
        self._aside = Aside(connections)

    def completed(self, page: list[bytes]) -> list[bytes]:
        """Return the page, whole where it could be read."""
        # Nothing is copied for the pages without any, which are nearly all.
        if not any(MARK in raw for raw in page):
            return page
        return [self._entry(raw) if MARK in raw else raw for raw in page]

    def close(self) -> None:
        """Give the connection back."""
        self._aside.close()

    def _entry(self, raw: bytes) -> bytes:
        try:
            entry = decode_entry(raw)
            lacking = _lacking(entry)
            if not lacking:
                return raw
            parts = RawEntry.cut(raw)
        except DecodeError:
            # Whoever decodes it reports it.
            return raw
        name = _base_of(entry)
        try:
            for attribute in lacking:
                with self._aside.connection() as connection:
                    values = read_values(connection, name, attribute)
                _put(parts, attribute, values)
        except DirectoryError as error:
            _log.warning(
                "%s has values that could not be read to their end, and what it had is kept: %s",
                cut(entry.dn),
                error,
                extra={"action": "ranges"},
            )
            return raw
        return parts.encode()


def read_values(connection: Connection, base_dn: str, attribute: str) -> list[bytes]:
    """Return all values of an attribute, each once, in the server's order.

    Raises:
        DirectoryError: They could not be read, not to their end, or kept changing.

    """
    for reading in range(1, READINGS + 1):
        try:
            return list(dict.fromkeys(_values(connection, base_dn, attribute)))
        except Moved:
            if reading == READINGS:
                raise
    raise AssertionError  # pragma: no cover - the last reading returned or raised


def _values(connection: Connection, base_dn: str, attribute: str) -> list[bytes]:
    values: list[bytes] = []
    stamps: list[list[bytes]] | None = None
    first = octets = 0
    while True:
        entry = _ask(connection, base_dn, f"{attribute};range={first}-*")
        if stamps is None:
            stamps = _stamps(entry)
        elif stamps != _stamps(entry):
            raise Moved(f"{attribute} changed while it was read, {READINGS} times")
        last, found = _block(entry, attribute, first)
        if values and found[0] != values[-1]:
            raise Moved(f"the values of {attribute} moved while they were read, {READINGS} times")
        values += found[1:] if values else found
        octets += sum(map(len, found))
        if octets > MOST_OCTETS:
            raise DirectoryError(f"{attribute} has more than {MOST_OCTETS >> 20} MiB of values")
        if last is None:
            return values
        if last <= first:
            raise DirectoryError(f"{attribute} comes in ranges of a single value")
        first = last


def _ask(connection: Connection, base_dn: str, description: str) -> Entry:
    request = SearchRequest(
        base_dn=base_dn,
        scope=Scope.BASE,
        filter="(objectClass=*)",
        attributes=(description, *STAMPS),
        page_size=None,
    )
    found = connection.search(request)
    if len(found) != 1:
        raise DirectoryError(f"{cut(base_dn)} is not there any more, or hidden")
    return found[0]


def _block(entry: Entry, attribute: str, first: int) -> tuple[int | None, list[bytes]]:
    """Return the last index and the values of the range that was asked for."""
    for description, values in entry.attributes.items():
        match range_of(description):
            case (name, start, last) if name == attribute and start == first and values:
                if last is not None and len(values) != last - first + 1:
                    raise DirectoryError(f"{description} came with {len(values)} values")
                return last, values
            case _:
                continue
    if first:
        # So many values are there no more.
        raise Moved(f"{attribute} became shorter while it was read, {READINGS} times")
    values = entry.values(attribute)
    if values:
        return None, values
    # It has just been said that there are many.
    raise DirectoryError(f"{attribute} cannot be read in ranges")


def _stamps(entry: Entry) -> list[list[bytes]]:
    return [list(entry.values(attribute)) for attribute in STAMPS]


def _lacking(entry: Entry) -> list[str]:
    """Return the attributes of which the entry has only a first range."""
    found = []
    for description in entry.attributes:
        match range_of(description):
            # DirSync has a range 0-0 and a range 1-1 of its own, which are no ranges.
            case (name, 0, int(last)) if last > 0:
                found.append(name)
            case _:
                continue
    return found


def _put(parts: RawEntry, attribute: str, values: list[bytes]) -> None:
    def stands_for(description: str) -> bool:
        lower = description.lower()
        ranged = range_of(lower)
        return lower == attribute or (ranged is not None and ranged[0] == attribute)

    written = next(text for text, _ in parts.attributes if stands_for(text))
    parts.replace(written[: len(attribute)], values, stands_for=stands_for)


def _base_of(entry: Entry) -> str:
    """Return what names the entry even when it is renamed now, where the server takes that."""
    ids = entry.values("objectGUID")
    if len(ids) == 1 and len(ids[0]) == GUID_OCTETS:
        return f"<GUID={uuid.UUID(bytes_le=ids[0])}>"
    return entry.dn
