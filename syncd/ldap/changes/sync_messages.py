"""The controls and messages of content synchronization (RFC 4533), encoded and decoded.

Pure: bytes in, values out; ``ber.Malformed`` on nonsense. Ids are entryUUIDs in the text form that
the attribute of that name has.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from syncd.ldap import ber
from syncd.ldap.messages import Control

if TYPE_CHECKING:
    from collections.abc import Callable

SYNC_REQUEST: Final = "1.3.6.1.4.1.4203.1.9.1.1"
SYNC_STATE: Final = "1.3.6.1.4.1.4203.1.9.1.2"
SYNC_DONE: Final = "1.3.6.1.4.1.4203.1.9.1.3"
SYNC_INFO: Final = "1.3.6.1.4.1.4203.1.9.1.4"

REFRESH_ONLY: Final = 1
UUID_BYTES: Final = 16

# The choices of syncInfoValue (section 2.5), with implicit tags.
NEW_COOKIE: Final = 0x80
REFRESH_DELETE: Final = 0xA1
REFRESH_PRESENT: Final = 0xA2
SYNC_ID_SET: Final = 0xA3

T = TypeVar("T")


class State(IntEnum):
    """What has become of an entry (section 2.2)."""

    PRESENT = 0
    ADD = 1
    MODIFY = 2
    DELETE = 3


class SyncState(NamedTuple):
    """The control of one entry: its id, what became of it, perhaps a cookie."""

    state: State
    entry_uuid: str
    cookie: bytes | None = None


class SyncDone(NamedTuple):
    """The control of the final SearchResultDone (section 2.4)."""

    cookie: bytes | None = None
    # False: whoever was neither sent nor named as present is gone.
    refresh_deletes: bool = False


class SyncInfo(NamedTuple):
    """An intermediate message (section 2.5), whichever of the four it was."""

    choice: int
    cookie: bytes | None = None
    # False in refreshDelete and refreshPresent: another phase follows.
    refresh_done: bool = True
    # Of a set of ids: they are deleted; otherwise they are present.
    refresh_deletes: bool = False
    ids: tuple[str, ...] = ()


def sync_request(cookie: bytes | None) -> Control:
    """Return the request control (section 2.2) for one poll from ``cookie`` on, critical.

    Without a cookie it asks for everybody.

    The reload hint stays FALSE: a server that cannot go on from the cookie may then say so in place
    of sending everybody.
    """
    value = ber.encode_integer(REFRESH_ONLY, ber.ENUMERATED)
    if cookie is not None:
        value += ber.encode(ber.OCTET_STRING, cookie)
    return Control(SYNC_REQUEST, critical=True, value=ber.encode(ber.SEQUENCE, value))


def decode_state(value: bytes) -> SyncState:
    """Decode the value of a Sync State control."""
    return _decoded(value, _state)


def decode_done(value: bytes) -> SyncDone:
    """Decode the value of a Sync Done control."""
    return _decoded(value, _done)


def decode_info(value: bytes) -> SyncInfo:
    """Decode the value of a Sync Info message."""
    return _decoded(value, _info)


def _decoded(value: bytes, decode: Callable[[bytes], T]) -> T:
    try:
        return decode(value)
    except (IndexError, struct.error) as error:
        raise ber.Malformed("the bytes end too early") from error


def _state(value: bytes) -> SyncState:
    start, end = ber.expect(value, 0, len(value), ber.SEQUENCE)
    state_start, state_stop = ber.expect(value, start, end, ber.ENUMERATED)
    id_start, id_stop = ber.expect(value, state_stop, end, ber.OCTET_STRING)
    number = ber.read_integer(value, state_start, state_stop)
    try:
        state = State(number)
    except ValueError as error:
        raise ber.Malformed(f"the entry state {number}") from error
    cookie, _ = _cookie_and_flag(value, id_stop, end, default=False)
    return SyncState(state, _uuid(value, id_start, id_stop), cookie)


def _done(value: bytes) -> SyncDone:
    start, end = ber.expect(value, 0, len(value), ber.SEQUENCE)
    return SyncDone(*_cookie_and_flag(value, start, end, default=False))


def _info(value: bytes) -> SyncInfo:
    choice, start, end = ber.read(value, 0, len(value))
    if choice == NEW_COOKIE:
        return SyncInfo(choice, cookie=value[start:end])
    if choice in {REFRESH_DELETE, REFRESH_PRESENT}:
        cookie, refresh_done = _cookie_and_flag(value, start, end, default=True)
        return SyncInfo(choice, cookie, refresh_done=refresh_done)
    if choice != SYNC_ID_SET:
        raise ber.Malformed(f"tag 0x{choice:02x}, which is none of the four Sync Info messages")
    cookie, refresh_deletes = None, False
    ids: tuple[str, ...] | None = None
    for tag, at, stop in ber.elements(value, start, end):
        if tag == ber.OCTET_STRING:
            cookie = value[at:stop]
        elif tag == ber.BOOLEAN:
            refresh_deletes = value[at:stop] != b"\x00"
        elif tag == ber.SET:
            ids = _uuids(value, at, stop)
    if ids is None:
        raise ber.Malformed("a set of ids without the set")
    return SyncInfo(choice, cookie, refresh_deletes=refresh_deletes, ids=ids)


def _cookie_and_flag(
    value: bytes, start: int, end: int, *, default: bool
) -> tuple[bytes | None, bool]:
    cookie, flag = None, default
    for tag, at, stop in ber.elements(value, start, end):
        if tag == ber.OCTET_STRING:
            cookie = value[at:stop]
        elif tag == ber.BOOLEAN:
            flag = value[at:stop] != b"\x00"
    return cookie, flag


def _uuids(value: bytes, start: int, end: int) -> tuple[str, ...]:
    ids = []
    for tag, at, stop in ber.elements(value, start, end):
        if tag != ber.OCTET_STRING:
            raise ber.Malformed("an id that is no octet string")
        ids.append(_uuid(value, at, stop))
    return tuple(ids)


def _uuid(value: bytes, start: int, stop: int) -> str:
    if stop - start != UUID_BYTES:
        raise ber.Malformed(f"an entryUUID of {stop - start} bytes")
    # uuid.UUID takes five times as long, and a present phase names everybody.
    h = value[start:stop].hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
