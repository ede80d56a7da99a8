"""Values: text, ids of each vendor, times and range names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import DecodeError
from syncd.ldap import filters
from syncd.ldap.decode import (
    decode_external_id,
    decode_generalized_time,
    decode_text,
    encode_external_id,
    range_of,
)

GUID_BYTES = bytes(range(16))


def test_text_is_trimmed_utf_8() -> None:
    """Text keeps its letters and loses the spaces around it."""
    assert decode_text("  Jörg Žižek \n".encode()) == "Jörg Žižek"


def test_other_bytes_are_not_text() -> None:
    """Bytes that are not UTF-8 are refused with the reason and the place."""
    with pytest.raises(DecodeError, match="byte 1 is 0xff") as caught:
        decode_text(b"a\xff")
    assert caught.value.reason == "not_text"


@pytest.mark.rule("K24", server="pure")
@pytest.mark.parametrize(
    ("attribute", "raw", "external_id"),
    [
        ("objectGUID", GUID_BYTES, "03020100-0504-0706-0809-0a0b0c0d0e0f"),
        ("OBJECTGUID", GUID_BYTES, "03020100-0504-0706-0809-0a0b0c0d0e0f"),
        ("GUID", GUID_BYTES, "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        (
            "entryUUID",
            b"6F0C1E2A-1111-4222-8333-ABCDEFABCDEF",
            "6f0c1e2a-1111-4222-8333-abcdefabcdef",
        ),
        (
            "nsUniqueId",
            b"66446001-1DD211B2-80B7A7F8-00000000",
            "66446001-1dd211b2-80b7a7f8-00000000",
        ),
        ("uid", b"JohnDoe", "JohnDoe"),
        ("entryDN", b"UID=Jo, DC=x", "uid=jo,dc=x"),
    ],
)
def test_external_ids(attribute: str, raw: bytes, external_id: str) -> None:
    """Each UUID attribute is read as its vendor writes it, and found again by what was read."""
    assert decode_external_id(attribute)(raw) == external_id
    sought = filters.parse(f"({attribute}={encode_external_id(attribute, external_id)})")
    assert isinstance(sought, filters.Comparison)
    assert sought.value.decode("latin-1").lower() in (raw.decode("latin-1").lower(), external_id)


@given(st.binary(min_size=16, max_size=16))
def test_binary_ids_encode_to_the_bytes_they_came_from(raw: bytes) -> None:
    """What a filter asks for is byte for byte what the entry holds."""
    for attribute in ("objectGUID", "GUID"):
        sought = filters.parse(
            f"({attribute}={encode_external_id(attribute, decode_external_id(attribute)(raw))})"
        )
        assert sought == filters.Comparison(attribute, "=", raw)


@pytest.mark.parametrize(
    ("attribute", "raw"),
    [
        ("objectGUID", b"short"),
        ("guid", bytes(17)),
        ("entryUUID", b"\xff"),
        ("entryDN", b"no dn"),
        ("uid", b"\xff"),
    ],
)
def test_bad_ids(attribute: str, raw: bytes) -> None:
    """Bytes that cannot be that vendor's id are refused."""
    with pytest.raises(DecodeError) as caught:
        decode_external_id(attribute)(raw)
    assert caught.value.reason == "bad_id"


@pytest.mark.parametrize("external_id", ["", "no hex", "0011"])
def test_a_binary_id_has_sixteen_bytes(external_id: str) -> None:
    """A text that is no GUID is not sought."""
    with pytest.raises(ValueError, match="is not an id of 16 bytes"):
        encode_external_id("objectGUID", external_id)


@pytest.mark.parametrize(
    ("raw", "moment"),
    [
        (b"20240229123456Z", datetime(2024, 2, 29, 12, 34, 56, tzinfo=UTC)),
        (b"20240229123456.0Z", datetime(2024, 2, 29, 12, 34, 56, tzinfo=UTC)),
        (b"20240229123456.25Z", datetime(2024, 2, 29, 12, 34, 56, 250000, tzinfo=UTC)),
        (b"20240229123456,123456789Z", datetime(2024, 2, 29, 12, 34, 56, 123456, tzinfo=UTC)),
        (b"202402291234Z", datetime(2024, 2, 29, 12, 34, tzinfo=UTC)),
        (b"202402291234.5Z", datetime(2024, 2, 29, 12, 34, 30, tzinfo=UTC)),
        (b"2024022912Z", datetime(2024, 2, 29, 12, tzinfo=UTC)),
        (b"2024022912.5Z", datetime(2024, 2, 29, 12, 30, tzinfo=UTC)),
        (b"20240229123456+0200", datetime(2024, 2, 29, 10, 34, 56, tzinfo=UTC)),
        (b"20240229123456-0330", datetime(2024, 2, 29, 16, 4, 56, tzinfo=UTC)),
        (b"20240229003456+02", datetime(2024, 2, 28, 22, 34, 56, tzinfo=UTC)),
        (b"20161231235960Z", datetime(2017, 1, 1, tzinfo=UTC)),
        (b"16010101000000.0Z", datetime(1601, 1, 1, tzinfo=UTC)),
    ],
)
def test_generalized_time(raw: bytes, moment: datetime) -> None:
    """Fractions, offsets, missing minutes and seconds and a leap second are read (RFC 4517)."""
    decoded = decode_generalized_time(raw)
    assert decoded == moment
    assert decoded.utcoffset() == timedelta(0)


@given(
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)),  # noqa: DTZ001
    st.integers(-14 * 60, 14 * 60),
)
def test_every_moment_is_read_back(moment: datetime, minutes: int) -> None:
    """A moment written with any offset is that moment in UTC."""
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    sign, offset = ("-", -minutes) if minutes < 0 else ("+", minutes)
    raw = (
        f"{moment.year:04}{moment:%m%d%H%M%S}.{moment.microsecond:06}"
        f"{sign}{offset // 60:02}{offset % 60:02}"
    )
    assert decode_generalized_time(raw.encode()) == aware


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"20240229",
        b"20240229123456",
        b"20230229123456Z",
        b"20241301000000Z",
        b"20240229250000Z",
        b"20240229126000Z",
        b"20240229123461Z",
        b"20240229123456+9900",
        b"20240229123456+0199",
        b"000001010000Z",
        b"00010101000000+0100",
        b"99991231235960Z",
        b"2024022912345xZ",
        b"20240229123456.Z",
        b"20240229123456Z\n",
        b"\xd9\xa2024022912345Z",
        b"20240229123456." + b"9" * 5000 + b"Z",
    ],
)
def test_bad_times(raw: bytes) -> None:
    """What is no GeneralizedTime, or no date at all, is refused with its reason."""
    with pytest.raises(DecodeError) as caught:
        decode_generalized_time(raw)
    assert caught.value.reason == "bad_time"


@pytest.mark.rule("2.10.1", server="pure")
@pytest.mark.parametrize(
    ("description", "parts"),
    [
        ("member;range=0-1499", ("member", 0, 1499)),
        ("member;range=1500-*", ("member", 1500, None)),
        ("Member;Range=0-9", ("Member", 0, 9)),
        ("cn;lang-de;range=0-1", ("cn;lang-de", 0, 1)),
        ("member", None),
        ("member;range=", None),
        ("member;range=*-5", None),
        ("member;range=0-5;x", None),
    ],
)
def test_range_names(description: str, parts: object) -> None:
    """A range-named attribute gives its name and the first and last index."""
    assert range_of(description) == parts
