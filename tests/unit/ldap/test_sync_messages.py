"""The controls and messages of content synchronization, against bytes made by hand."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.ldap.ber import Malformed
from syncd.ldap.changes.sync_messages import (
    NEW_COOKIE,
    REFRESH_DELETE,
    REFRESH_PRESENT,
    SYNC_ID_SET,
    State,
    SyncDone,
    SyncInfo,
    SyncState,
    decode_done,
    decode_info,
    decode_state,
    sync_request,
)

ID = bytes.fromhex("0e97b90e7a5a1041800000e04c680001")
ID_TEXT = "0e97b90e-7a5a-1041-8000-00e04c680001"
OTHER = bytes(16)
OTHER_TEXT = "00000000-0000-0000-0000-000000000000"


def element(tag: int, contents: bytes) -> bytes:
    """Return an element of fewer than 128 bytes."""
    return bytes((tag, len(contents))) + contents


def test_the_request_is_a_critical_poll_without_a_reload_hint() -> None:
    """A server that cannot go on from a cookie is to say so, and not to send everybody."""
    control = sync_request(b"c")
    assert (control.oid, control.critical) == ("1.3.6.1.4.1.4203.1.9.1.1", True)
    assert control.value == b"\x30\x06\x0a\x01\x01\x04\x01c"


@pytest.mark.rule("2.6.1", server="pure")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (element(0x30, b"\x0a\x01\x00" + element(4, ID)), SyncState(State.PRESENT, ID_TEXT)),
        (element(0x30, b"\x0a\x01\x01" + element(4, ID)), SyncState(State.ADD, ID_TEXT)),
        (
            element(0x30, b"\x0a\x01\x02" + element(4, ID) + element(4, b"new")),
            SyncState(State.MODIFY, ID_TEXT, b"new"),
        ),
        (
            element(0x30, b"\x0a\x01\x03" + element(4, OTHER)),
            SyncState(State.DELETE, OTHER_TEXT),
        ),
    ],
)
def test_an_entry_s_state_names_it_by_its_uuid(value: bytes, expected: SyncState) -> None:
    """The 16 bytes of the control are the text that the attribute entryUUID has."""
    assert decode_state(value) == expected


@pytest.mark.rule("2.6.2", server="pure")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"\x30\x00", SyncDone(None, refresh_deletes=False)),
        (b"\x30\x03\x01\x01\xff", SyncDone(None, refresh_deletes=True)),
        (b"\x30\x03\x01\x01\x00", SyncDone(None, refresh_deletes=False)),
        (b"\x30\x03\x04\x01c", SyncDone(b"c", refresh_deletes=False)),
        (b"\x30\x06\x04\x01c\x01\x01\x01", SyncDone(b"c", refresh_deletes=True)),
        (b"\x30\x02\x04\x00", SyncDone(b"", refresh_deletes=False)),
    ],
)
def test_the_end_says_how_the_deleted_were_told(value: bytes, expected: SyncDone) -> None:
    """Without the flag whoever was not named is gone; with it only whoever was."""
    assert decode_done(value) == expected


@pytest.mark.rule("2.6.3", server="pure")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"\x80\x03abc", SyncInfo(NEW_COOKIE, b"abc")),
        (b"\xa1\x00", SyncInfo(REFRESH_DELETE)),
        (b"\xa1\x03\x01\x01\x00", SyncInfo(REFRESH_DELETE, refresh_done=False)),
        (b"\xa2\x06\x04\x01c\x01\x01\x00", SyncInfo(REFRESH_PRESENT, b"c", refresh_done=False)),
        (b"\xa2\x03\x04\x01c", SyncInfo(REFRESH_PRESENT, b"c")),
        (
            element(0xA3, element(0x31, element(4, ID) + element(4, OTHER))),
            SyncInfo(SYNC_ID_SET, ids=(ID_TEXT, OTHER_TEXT)),
        ),
        (
            element(0xA3, b"\x04\x01c\x01\x01\xff" + element(0x31, element(4, ID))),
            SyncInfo(SYNC_ID_SET, b"c", refresh_deletes=True, ids=(ID_TEXT,)),
        ),
        (b"\xa3\x02\x31\x00", SyncInfo(SYNC_ID_SET)),
    ],
)
def test_each_of_the_four_messages_is_read(value: bytes, expected: SyncInfo) -> None:
    """Cookies, ends of phases and sets of ids, with what holds where the server says nothing."""
    assert decode_info(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x30",
        b"\x30\x00",
        b"\x31\x02\x0a\x01",
        element(0x30, b"\x0a\x01\x04" + element(4, ID)),
        element(0x30, b"\x0a\x01\x01" + element(4, ID[:15])),
        element(0x30, b"\x0a\x01\x01\x04\x7f"),
    ],
)
def test_nonsense_is_no_state(value: bytes) -> None:
    """What cannot be read is refused, and never taken for an id."""
    with pytest.raises(Malformed):
        decode_state(value)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xa4\x00",
        b"\xa3\x00",
        element(0xA3, element(0x31, b"\x02\x01\x01")),
        element(0xA3, element(0x31, element(4, b"short"))),
        element(0xA3, b"\x31\x05\x04\x10"),
        b"\x80\x84\xff\xff\xff\xff",
    ],
)
def test_nonsense_is_no_message(value: bytes) -> None:
    """A set of ids that cannot be read whole is not read in part."""
    with pytest.raises(Malformed):
        decode_info(value)


@given(st.binary(max_size=64))
def test_no_bytes_break_the_decoders(value: bytes) -> None:
    """Whatever a server sends is a value or Malformed."""
    for decode in (decode_state, decode_done, decode_info):
        with contextlib.suppress(Malformed):
            decode(value)


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=40), st.booleans(), st.data())
def test_a_damaged_set_of_ids_is_never_a_longer_one(
    ids: list[bytes],
    deletes: bool,  # noqa: FBT001 (hypothesis gives arguments in order)
    data: st.DataObject,
) -> None:
    """A set comes back as it was, and cut short anywhere it is refused."""
    members = b"".join(element(4, each) for each in ids)
    size = len(members).to_bytes(2, "big")
    body = (b"\x01\x01\xff" if deletes else b"") + b"\x31\x82" + size + members
    value = b"\xa3\x82" + len(body).to_bytes(2, "big") + body
    info = decode_info(value)
    assert [bytes.fromhex(each.replace("-", "")) for each in info.ids] == ids
    assert info.refresh_deletes is deletes
    with pytest.raises(Malformed):
        decode_info(value[: data.draw(st.integers(0, len(value) - 1))])
