"""BER as LDAP uses it, and the decoding of entries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import DecodeError
from syncd.ldap import ber
from syncd.records import Entry


def _attribute(name: str, *values: bytes) -> bytes:
    coded = b"".join(ber.encode(ber.OCTET_STRING, value) for value in values)
    described = ber.encode(ber.OCTET_STRING, name.encode())
    return ber.encode(ber.SEQUENCE, described + ber.encode(ber.SET, coded))


def _entry(dn: bytes, *attributes: bytes) -> bytes:
    return ber.encode(ber.OCTET_STRING, dn) + ber.encode(ber.SEQUENCE, b"".join(attributes))


def _long(tag: int, contents: bytes, size: int) -> bytes:
    """Return an element whose length takes ``size`` bytes, needed or not."""
    return bytes((tag, 0x80 | size)) + len(contents).to_bytes(size, "big") + contents


def _ends_well(raw: bytes) -> bool:
    try:
        return isinstance(ber.decode_entry(raw), Entry)
    except DecodeError as error:
        return error.reason in {"malformed_entry", "dn_not_text"}


class TestLengths:
    @pytest.mark.parametrize("size", [1, 2, 3, 4])
    def test_longer_than_needed(self, size: int) -> None:
        """Lengths that are longer than needed are read, for LDAP does not ask for the shortest."""
        assert ber.read(_long(0x04, b"abc", size), 0, 5 + size) == (0x04, 2 + size, 5 + size)

    @pytest.mark.parametrize("octets", [b"\x04\x80abc\x00\x00", b"\x04\x85\x00\x00\x00\x00\x01a"])
    def test_refused(self, octets: bytes) -> None:
        """Indefinite lengths and lengths of more than four bytes are refused."""
        with pytest.raises(ber.Malformed):
            ber.read(octets, 0, len(octets))

    @pytest.mark.parametrize("octets", [b"", b"\x04", b"\x04\x02a", b"\x04\x82\x01", b"\x04\x84"])
    def test_cut_off(self, octets: bytes) -> None:
        """An element that is longer than the bytes there are is refused."""
        with pytest.raises(ber.Malformed):
            ber.read(octets, 0, len(octets))

    @given(st.binary(max_size=70000))
    def test_round_trip(self, contents: bytes) -> None:
        """What encode() writes, read() finds again."""
        octets = ber.encode(0x30, contents)
        tag, start, stop = ber.read(octets, 0, len(octets))
        assert (tag, octets[start:stop]) == (0x30, contents)


class TestIntegers:
    @given(st.integers(-(2**62), 2**62))
    def test_round_trip(self, value: int) -> None:
        """Integers come back as they went in, whatever their sign."""
        octets = ber.encode_integer(value)
        _, start, stop = ber.read(octets, 0, len(octets))
        assert ber.read_integer(octets, start, stop) == value

    def test_empty(self) -> None:
        """An integer without contents is refused."""
        with pytest.raises(ber.Malformed):
            ber.read_integer(b"", 0, 0)


class TestDecodeEntry:
    def test_names_and_values(self) -> None:
        """Names come in lower case with their options; values stay as the server sent them."""
        raw = _entry(
            "cn=Jörg\\, Ä,dc=x".encode(),
            _attribute("objectClass", b"top", b"person"),
            _attribute("member;Range=0-1499", b"a"),
            _attribute("jpegPhoto", bytes(range(256)) * 300),
            _attribute("member"),
        )
        assert ber.decode_entry(raw) == Entry(
            "cn=Jörg\\, Ä,dc=x",
            {
                "objectclass": [b"top", b"person"],
                "member;range=0-1499": [b"a"],
                "jpegphoto": [bytes(range(256)) * 300],
                "member": [],
            },
        )

    def test_split_attribute(self) -> None:
        """Values of an attribute that is sent twice are put together, whatever its letter case."""
        raw = _entry(b"cn=a", _attribute("CN", b"1"), _attribute("cn", b"2"))
        assert ber.decode_entry(raw).attributes == {"cn": [b"1", b"2"]}

    def test_no_attributes(self) -> None:
        """An entry of which nothing may be read but its DN is an entry."""
        assert ber.decode_entry(_entry(b"cn=a")) == Entry("cn=a", {})

    @pytest.mark.parametrize("size", [1, 2, 3, 4])
    def test_long_lengths(self, size: int) -> None:
        """Entries of servers that write every length long are the same entries."""
        value = _long(0x04, b"x", size)
        described = _long(0x04, b"cn", size) + _long(0x31, value * 3, size)
        attributes = _long(0x30, described, size)
        raw = _long(0x04, b"cn=x", size) + _long(0x30, attributes, size)
        assert ber.decode_entry(raw) == Entry("cn=x", {"cn": [b"x", b"x", b"x"]})

    @pytest.mark.parametrize(
        ("raw", "reason"),
        [
            (b"", "malformed_entry"),
            (b"\x04\x01", "malformed_entry"),
            (_entry(b"cn=a") + b"\x00", "malformed_entry"),
            (_entry(b"cn=\xff"), "dn_not_text"),
            (_entry(b"cn=a", _attribute("cn", b"x")[:-1]), "malformed_entry"),
            (_entry(b"cn=a", ber.encode(0x31, b"")), "malformed_entry"),
            (_entry(b"cn=a", ber.encode(0x30, b"")), "malformed_entry"),
            (_entry(b"cn=a", _attribute("café", b"x")), "malformed_entry"),
            (
                _entry(b"cn=a", ber.encode(0x30, b"\x04\x02cn\x31\x03\x02\x01x")),
                "malformed_entry",
            ),
            (_entry(b"cn=a", ber.encode(0x30, b"\x04\x02cn\x31\x03\x04\x05x")), "malformed_entry"),
            (_entry(b"cn=a", b"\x30\x80\x04\x02cn\x31\x00\x00\x00"), "malformed_entry"),
        ],
    )
    def test_nonsense(self, raw: bytes, reason: str) -> None:
        """An entry that cannot be decoded is one DecodeError with a reason for quarantine."""
        with pytest.raises(DecodeError) as caught:
            ber.decode_entry(raw)
        assert caught.value.reason == reason

    @given(st.binary(max_size=200))
    def test_garbage(self, raw: bytes) -> None:
        """Whatever the bytes are, decoding ends with an entry or a DecodeError."""
        for octets in (raw, _entry(b"cn=a", raw), _entry(b"cn=a", ber.encode(0x30, raw))):
            assert _ends_well(octets)

    @given(st.data())
    def test_one_byte_changed(self, data: st.DataObject) -> None:
        """An entry with one byte changed decodes or is refused, and nothing else happens."""
        raw = bytearray(_entry(b"cn=a", _attribute("cn", b"x", b"y"), _attribute("sn", b"z" * 200)))
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        assert _ends_well(bytes(raw))

    def test_many_names(self) -> None:
        """A server that invents attribute names for ever does not fill the memory."""
        for number in range(ber.REMEMBERED_NAMES + 100):
            decoded = ber.decode_entry(_entry(b"cn=a", _attribute(f"x{number}", b"")))
            assert decoded.attributes == {f"x{number}": [b""]}
        assert len(ber._names) <= ber.REMEMBERED_NAMES


class TestEntryDn:
    def test_dn(self) -> None:
        """The DN alone is found without decoding the rest."""
        assert ber.entry_dn(_entry("cn=ü".encode(), _attribute("cn", b"x"))) == "cn=ü"

    def test_nonsense(self) -> None:
        """A DN that is not there is a DecodeError."""
        with pytest.raises(DecodeError):
            ber.entry_dn(b"\x30\x00")
