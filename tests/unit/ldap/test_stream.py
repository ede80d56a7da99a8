"""Cutting messages out of the stream, against ldap3's own decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ldap3.protocol import rfc4511
from ldap3.strategy.base import BaseStrategy
from ldap3.utils.asn1 import decode_message_fast, encode

from syncd.ldap import ber, messages
from syncd.ldap.ber import Malformed, decode_entry
from syncd.ldap.buffer import Batch, MessageBuffer

if TYPE_CHECKING:
    from collections.abc import Iterable

ID = 7
COOKIE = messages.paged_results(0, b"go on").value


def _message(operation: str, value: object, message_id: int = ID, controls: object = ()) -> bytes:
    """Return a message as ldap3 and pyasn1 write it."""
    whole = rfc4511.LDAPMessage()
    whole["messageID"] = rfc4511.MessageID(message_id)
    whole["protocolOp"] = rfc4511.ProtocolOp().setComponentByName(operation, value)
    if controls:
        built = rfc4511.Controls()
        for index, (oid, critical, octets) in enumerate(controls):  # type: ignore[arg-type, var-annotated]
            control = rfc4511.Control()
            control["controlType"] = oid
            control["criticality"] = critical
            if octets is not None:
                control["controlValue"] = octets
            built[index] = control
        whole["controls"] = built
    return encode(whole)


def _entry(dn: str, attributes: Iterable[tuple[str, list[bytes]]]) -> rfc4511.SearchResultEntry:
    listed = rfc4511.PartialAttributeList()
    for index, (name, values) in enumerate(attributes):
        attribute = rfc4511.PartialAttribute()
        attribute["type"] = rfc4511.AttributeDescription(name)
        vals = rfc4511.Vals()
        for number, value in enumerate(values):
            vals[number] = rfc4511.AttributeValue(value)
        attribute["vals"] = vals
        listed[index] = attribute
    entry = rfc4511.SearchResultEntry()
    entry["object"] = rfc4511.LDAPDN(dn)
    entry["attributes"] = listed
    return entry


def _done(code: int = 0, text: str = "") -> rfc4511.SearchResultDone:
    done = rfc4511.SearchResultDone()
    done["resultCode"] = rfc4511.ResultCode(code)
    done["matchedDN"] = rfc4511.LDAPDN("")
    done["diagnosticMessage"] = rfc4511.LDAPString(text)
    return done


def _reference(*uris: str) -> rfc4511.SearchResultReference:
    reference = rfc4511.SearchResultReference()
    for index, uri in enumerate(uris):
        reference[index] = rfc4511.URI(uri)
    return reference


def _fed(octets: bytes, cuts: Iterable[int] = (), message_id: int = ID) -> Batch:
    """Return what the buffer makes of the bytes when they come in pieces that end at ``cuts``."""
    buffer, batch = MessageBuffer(), Batch()
    ends = [*sorted(set(cuts)), len(octets)]
    for start, stop in zip([0, *ends], ends, strict=False):
        buffer.feed(octets[start:stop])
        while batch.done is None and buffer.ready:
            before = len(buffer)
            buffer.cut(message_id, batch)
            if batch.notice is not None:
                return batch
            # Whoever waits for bytes would turn in a circle otherwise.
            assert len(buffer) < before or not buffer.ready
    return batch


def _ends_well(octets: bytes, cuts: list[int]) -> bool:
    try:
        return isinstance(_fed(octets, cuts), Batch)
    except Malformed as error:
        return bool(str(error))


def _by_ldap3(octets: bytes) -> list[dict[str, Any]]:
    """Return what ldap3's own framing and its fast decoder make of the bytes."""
    found = []
    while octets:
        size = BaseStrategy.compute_ldap_message_size(octets)  # type: ignore[attr-defined]
        found.append(decode_message_fast(octets[:size]))
        octets = octets[size:]
    return found


_names = st.sampled_from(["cn", "objectClass", "member;range=0-1499", "x-Y", "sn;lang-de"])
_values = st.lists(st.binary(max_size=300), min_size=1, max_size=4)
_dns = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=60)
_controls = st.lists(
    st.tuples(
        st.sampled_from(["1.3.6.1.4.1.4203.1.9.1.2", "2.16.840.1.113730.3.4.7"]),
        st.booleans(),
        st.one_of(st.none(), st.binary(max_size=40)),
    ),
    max_size=2,
)
_entries = st.tuples(
    st.just("entry"),
    _dns,
    st.lists(st.tuples(_names, _values), max_size=5, unique_by=lambda pair: pair[0].lower()),
    _controls,
)
_references = st.tuples(
    st.just("reference"),
    st.lists(st.sampled_from(["ldap://a/dc=x", "ldap://b/"]), min_size=1, max_size=3),
)
_foreign = st.tuples(st.just("foreign"), _dns)


class TestAgainstLdap3:
    # Each example goes through pyasn1, which takes its time.
    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.one_of(_entries, _references, _foreign), max_size=12),
        st.lists(st.integers(0, 5000), max_size=12),
        st.integers(1, 2**31 - 2),
    )
    def test_any_split(self, items: list[Any], cuts: list[int], message_id: int) -> None:
        """Cut at any bytes, the stream holds the same entries that ldap3's own decoder finds."""
        octets = b""
        for item in items:
            match item:
                case ("entry", dn, attributes, controls):
                    entry = _entry(dn, attributes)
                    octets += _message("searchResEntry", entry, message_id, controls)
                case ("reference", uris):
                    octets += _message("searchResRef", _reference(*uris), message_id)
                case (_, dn):
                    octets += _message("searchResEntry", _entry(dn, []), message_id + 1)
        octets += _message("searchResDone", _done(4, "enough"), message_id)
        batch = _fed(octets, (cut for cut in cuts if cut < len(octets)), message_id)
        expected: list[dict[str, Any]] = []
        uris = []
        for found in _by_ldap3(octets):
            if found["messageID"] != message_id:
                continue
            if found["protocolOp"] == 4:
                expected.append(found)
            elif found["protocolOp"] == 19:
                uris += [part[3].decode() for part in found["payload"]]
        assert len(batch.entries) == len(expected)
        for index, (raw, found) in enumerate(zip(batch.entries, expected, strict=True)):
            decoded = decode_entry(raw)
            assert decoded.dn == found["payload"][0][3].decode()
            assert decoded.attributes == {
                part[3][0][3].decode().lower(): [value[3] for value in part[3][1][3]]
                for part in found["payload"][1][3]
            }
            oids = [control[3][0][3].decode() for control in found["controls"] or ()]
            assert [one.oid for one in batch.controls.get(index, ())] == oids
        assert batch.references == uris
        assert batch.done is not None
        assert (batch.done.code, batch.done.message) == (4, "enough")

    @given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
    def test_garbage(self, octets: bytes, cuts: list[int]) -> None:
        """Whatever comes, the buffer waits for more, cuts, or says that it is no LDAP."""
        shapes = (octets, ber.encode(0x30, octets), ber.encode(0x30, b"\x02\x01\x07" + octets))
        for shape in shapes:
            assert _ends_well(shape, [cut for cut in cuts if cut < len(shape)])

    @given(st.data())
    def test_one_byte_changed(self, data: st.DataObject) -> None:
        """One wrong byte in an answer never leads to anything but Malformed or waiting."""
        octets = bytearray(
            _message("searchResEntry", _entry("cn=a", [("cn", [b"x" * 150])]))
            + _message("searchResDone", _done(), controls=[(messages.PAGED_RESULTS, False, COOKIE)])
        )
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
        assert _ends_well(bytes(octets), [])


class TestBuffer:
    def test_every_split(self) -> None:
        """One byte at a time brings the same as everything at once."""
        octets = b"".join(
            _message("searchResEntry", _entry(f"cn={n}", [("cn", [b"v" * n])]))
            for n in (1, 99, 300)
        ) + _message("searchResDone", _done())
        assert _fed(octets, range(1, len(octets))).entries == _fed(octets).entries
        assert len(_fed(octets).entries) == 3

    @pytest.mark.parametrize("size", [1, 2, 3, 4])
    def test_long_lengths(self, size: int) -> None:
        """Lengths of one to four bytes are the same message, as Active Directory writes them."""

        def long(tag: int, contents: bytes) -> bytes:
            return bytes((tag, 0x80 | size)) + len(contents).to_bytes(size, "big") + contents

        contents = ber.encode(4, b"cn=a") + ber.encode(0x30, b"")
        octets = long(0x30, b"\x02\x01\x07" + long(0x64, contents))
        for cuts in ((), range(1, len(octets))):
            assert _fed(octets, cuts).entries == [contents]

    def test_long_message_id(self) -> None:
        """A message id that is written longer than needed is the same id."""
        contents = ber.encode(4, b"cn=a") + ber.encode(0x30, b"")
        octets = ber.encode(0x30, b"\x02\x02\x00\x07" + ber.encode(0x64, contents))
        assert _fed(octets).entries == [contents]

    def test_indefinite_length(self) -> None:
        """An indefinite length is refused, as LDAP forbids it."""
        with pytest.raises(Malformed):
            _fed(b"\x30\x80\x02\x01\x07\x65\x00\x00\x00")

    def test_too_large(self) -> None:
        """A message that claims to be larger than allowed is refused before it is waited for."""
        buffer = MessageBuffer(max_message_bytes=1000)
        buffer.feed(b"\x30\x82\x03\xe9\x02\x01\x07")
        with pytest.raises(Malformed, match="1001 bytes"):
            buffer.cut(ID, Batch())

    def test_waits_for_whole(self) -> None:
        """A large message is not looked at again before all of it is there."""
        octets = _message("searchResEntry", _entry("cn=a", [("jpegPhoto", [bytes(100_000)])]))
        buffer, batch = MessageBuffer(), Batch()
        buffer.feed(octets[:1000])
        buffer.cut(ID, batch)
        ready = []
        for piece in (octets[1000:-1], octets[-1:]):
            buffer.feed(piece)
            ready.append(buffer.ready)
        buffer.cut(ID, batch)
        assert ready == [False, True]
        assert (len(batch.entries), len(buffer)) == (1, 0)

    def test_stops_at_the_end(self) -> None:
        """What stands behind the end of an answer stays for the next one."""
        first = _message("searchResDone", _done())
        second = _message("searchResDone", _done(), ID + 1)
        buffer, batch = MessageBuffer(), Batch()
        buffer.feed(first + second)
        buffer.cut(ID, batch)
        assert batch.done is not None
        assert len(buffer) == len(second)
        following = Batch()
        buffer.cut(ID + 1, following)
        assert following.done is not None

    def test_controls_of_entries(self) -> None:
        """Controls that come with entries are kept by the entry's index."""
        state = ("1.3.6.1.4.1.4203.1.9.1.2", False, b"state")
        octets = _message("searchResEntry", _entry("cn=a", []))
        octets += _message("searchResEntry", _entry("cn=b", []), controls=[state])
        batch = _fed(octets)
        assert batch.controls == {1: (messages.Control(*state),)}

    def test_intermediate(self) -> None:
        """Intermediate responses are kept aside and do not disturb the entries."""
        inside = ber.encode(0x80, b"1.2.3") + ber.encode(0x81, b"\x01")
        octets = messages.encode_message(ID, ber.encode(messages.INTERMEDIATE_RESPONSE, inside))
        octets += _message("searchResEntry", _entry("cn=a", []))
        batch = _fed(octets)
        assert batch.intermediates == [messages.Intermediate("1.2.3", b"\x01", ())]
        assert len(batch.entries) == 1

    def test_notice_of_disconnection(self) -> None:
        """A Notice of Disconnection is seen, with its code, whatever was asked."""
        text = ber.encode_integer(52, ber.ENUMERATED) + ber.encode(4, b"") + ber.encode(4, b"bye")
        name = ber.encode(messages.RESPONSE_NAME, messages.NOTICE_OF_DISCONNECTION.encode())
        octets = messages.encode_message(0, ber.encode(messages.EXTENDED_RESPONSE, text + name))
        batch = _fed(octets)
        assert batch.notice is not None
        assert (batch.notice.code, batch.notice.message) == (52, "bye")

    def test_other_unsolicited(self) -> None:
        """Another unsolicited notification is skipped."""
        text = ber.encode_integer(0, ber.ENUMERATED) + ber.encode(4, b"") + ber.encode(4, b"")
        name = ber.encode(messages.RESPONSE_NAME, b"1.2.3.4")
        octets = messages.encode_message(0, ber.encode(messages.EXTENDED_RESPONSE, text + name))
        batch = _fed(octets + _message("searchResDone", _done()))
        assert batch.notice is None
        assert batch.done is not None

    def test_unknown_operation(self) -> None:
        """An operation that answers nothing that was asked is no LDAP to go on with."""
        with pytest.raises(Malformed, match="0x6b"):
            _fed(messages.encode_message(ID, ber.encode(0x6B, b"")))


class TestMessages:
    @given(st.integers(0, 2**31 - 1), st.binary(max_size=300))
    def test_page_cookie(self, size: int, cookie: bytes) -> None:
        """The paging control's value comes back as it went, with any cookie."""
        control = messages.paged_results(size, cookie)
        assert control.value is not None
        assert messages.decode_page_cookie(control.value) == (size, cookie)

    def test_paging_is_critical(self) -> None:
        """The paging control is critical, so that no server may ignore it in silence."""
        assert messages.paged_results(10).critical

    def test_message_as_ldap3_reads_it(self) -> None:
        """ldap3's decoder finds id, operation and controls in what encode_message() writes."""
        paged = messages.paged_results(500, b"x")
        other = messages.Control("1.2.840.113556.1.4.417")
        done = ber.encode_integer(0, ber.ENUMERATED) + ber.encode(4, b"") + ber.encode(4, b"")
        operation = ber.encode(messages.SEARCH_RESULT_DONE, done)
        found = decode_message_fast(messages.encode_message(300, operation, (paged, other)))
        assert (found["messageID"], found["protocolOp"]) == (300, 5)
        assert [control[3][0][3].decode() for control in found["controls"]] == [
            paged.oid,
            other.oid,
        ]

    def test_referral(self) -> None:
        """The URIs of a referral result are kept."""
        text = ber.encode_integer(10, ber.ENUMERATED) + ber.encode(4, b"dc=x") + ber.encode(4, b"")
        uris = ber.encode(messages.REFERRAL, ber.encode(4, b"ldap://other/"))
        operation = ber.encode(messages.SEARCH_RESULT_DONE, text + uris)
        done = _fed(messages.encode_message(ID, operation)).done
        assert done is not None
        assert (done.code, done.matched_dn, done.referrals) == (10, "dc=x", ("ldap://other/",))
