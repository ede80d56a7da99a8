"""LDAP messages other than search result entries (RFC 4511 section 4), decoded and encoded.

Owns the envelope, results, references, intermediate responses, controls and the paged-results
control (RFC 2696). Pure: bytes in, values out; ``ber.Malformed`` on nonsense.
"""

from __future__ import annotations

from typing import NamedTuple

from syncd.ldap import ber

BIND_REQUEST = 0x60
BIND_RESPONSE = 0x61
SEARCH_RESULT_ENTRY = 0x64
SEARCH_RESULT_DONE = 0x65
SEARCH_RESULT_REFERENCE = 0x73
EXTENDED_REQUEST = 0x77
EXTENDED_RESPONSE = 0x78
INTERMEDIATE_RESPONSE = 0x79
ABANDON_REQUEST = 0x50

SIMPLE_PASSWORD = 0x80
REQUEST_NAME = 0x80
CONTROLS = 0xA0
REFERRAL = 0xA3
RESPONSE_NAME = 0x8A
RESPONSE_VALUE = 0x8B
INTERMEDIATE_NAME = 0x80
INTERMEDIATE_VALUE = 0x81

PROTOCOL_VERSION = 3
PAGED_RESULTS = "1.2.840.113556.1.4.319"
NOTICE_OF_DISCONNECTION = "1.3.6.1.4.1.1466.20036"


class Control(NamedTuple):
    """A control that goes with a request or a response (RFC 4511 section 4.1.11)."""

    oid: str
    critical: bool = False
    value: bytes | None = None


class Message(NamedTuple):
    """One LDAPMessage: its operation's tag and where that operation's contents stand."""

    message_id: int
    operation: int
    start: int
    stop: int
    controls: tuple[Control, ...]


class Result(NamedTuple):
    """An LDAPResult, with what an extended response adds and the controls that came with it."""

    code: int
    matched_dn: str
    message: str
    referrals: tuple[str, ...]
    name: str | None
    value: bytes | None
    controls: tuple[Control, ...]

    def control(self, oid: str) -> Control | None:
        """Return the response control ``oid``, or None when the server sent none."""
        return next((control for control in self.controls if control.oid == oid), None)


class Intermediate(NamedTuple):
    """An intermediate response (RFC 4511 section 4.13), such as syncrepl's Sync Info."""

    name: str | None
    value: bytes | None
    controls: tuple[Control, ...]


class PageCookie(NamedTuple):
    """The value of a paged-results response control: an estimate, and where to go on."""

    size: int
    cookie: bytes


def decode_envelope(octets: bytes, start: int, end: int) -> Message:
    """Decode the contents of an LDAPMessage sequence, up to its operation's contents."""
    id_start, id_stop = ber.expect(octets, start, end, ber.INTEGER)
    operation, operation_start, operation_stop = ber.read(octets, id_stop, end)
    controls: tuple[Control, ...] = ()
    for tag, tag_start, tag_stop in ber.elements(octets, operation_stop, end):
        # What later versions of the protocol may append is to be ignored.
        if tag == CONTROLS:
            controls = decode_controls(octets, tag_start, tag_stop)
    return Message(
        ber.read_integer(octets, id_start, id_stop),
        operation,
        operation_start,
        operation_stop,
        controls,
    )


def decode_controls(octets: bytes, start: int, end: int) -> tuple[Control, ...]:
    """Decode the contents of a Controls element."""
    controls = []
    for tag, position, stop in ber.elements(octets, start, end):
        if tag != ber.SEQUENCE:
            raise ber.Malformed("a control that is no sequence")
        oid_start, oid_stop = ber.expect(octets, position, stop, ber.OCTET_STRING)
        critical, value = False, None
        for part, part_start, part_stop in ber.elements(octets, oid_stop, stop):
            if part == ber.BOOLEAN:
                critical = octets[part_start:part_stop] != b"\x00"
            elif part == ber.OCTET_STRING:
                value = octets[part_start:part_stop]
        controls.append(Control(_text(octets, oid_start, oid_stop), critical, value))
    return tuple(controls)


def decode_result(octets: bytes, message: Message) -> Result:
    """Decode the LDAPResult of a done, bind or extended response."""
    code_start, code_stop = ber.expect(octets, message.start, message.stop, ber.ENUMERATED)
    dn_start, dn_stop = ber.expect(octets, code_stop, message.stop, ber.OCTET_STRING)
    text_start, text_stop = ber.expect(octets, dn_stop, message.stop, ber.OCTET_STRING)
    referrals: tuple[str, ...] = ()
    name, value = None, None
    for tag, start, stop in ber.elements(octets, text_stop, message.stop):
        if tag == REFERRAL:
            referrals = _uris(octets, start, stop)
        elif tag == RESPONSE_NAME:
            name = _text(octets, start, stop)
        elif tag == RESPONSE_VALUE:
            value = octets[start:stop]
    return Result(
        ber.read_integer(octets, code_start, code_stop),
        _text(octets, dn_start, dn_stop),
        _text(octets, text_start, text_stop),
        referrals,
        name,
        value,
        message.controls,
    )


def decode_reference(octets: bytes, message: Message) -> tuple[str, ...]:
    """Decode a SearchResultReference: the URIs under which the rest of the answer is."""
    return _uris(octets, message.start, message.stop)


def decode_intermediate(octets: bytes, message: Message) -> Intermediate:
    """Decode an IntermediateResponse."""
    name, value = None, None
    for tag, start, stop in ber.elements(octets, message.start, message.stop):
        if tag == INTERMEDIATE_NAME:
            name = _text(octets, start, stop)
        elif tag == INTERMEDIATE_VALUE:
            value = octets[start:stop]
    return Intermediate(name, value, message.controls)


def encode_message(message_id: int, operation: bytes, controls: tuple[Control, ...] = ()) -> bytes:
    """Return the LDAPMessage that carries an encoded operation."""
    contents = ber.encode_integer(message_id) + operation
    if controls:
        contents += ber.encode(CONTROLS, b"".join(_encode_control(one) for one in controls))
    return ber.encode(ber.SEQUENCE, contents)


def encode_abandon(message_id: int) -> bytes:
    """Return the AbandonRequest operation for ``message_id`` (RFC 4511 section 4.11)."""
    return ber.encode_integer(message_id, ABANDON_REQUEST)


def encode_bind(name: str, password: bytes) -> bytes:
    """Return the BindRequest operation of a simple bind (RFC 4511 section 4.2)."""
    contents = ber.encode_integer(PROTOCOL_VERSION)
    contents += ber.encode(ber.OCTET_STRING, name.encode())
    return ber.encode(BIND_REQUEST, contents + ber.encode(SIMPLE_PASSWORD, password))


def encode_extended(oid: str) -> bytes:
    """Return the ExtendedRequest operation of a request without a value (section 4.12)."""
    return ber.encode(EXTENDED_REQUEST, ber.encode(REQUEST_NAME, oid.encode()))


def paged_results(size: int, cookie: bytes = b"") -> Control:
    """Return the request control of RFC 2696, critical: a server that ignores it must say so."""
    value = ber.encode_integer(size) + ber.encode(ber.OCTET_STRING, cookie)
    return Control(PAGED_RESULTS, critical=True, value=ber.encode(ber.SEQUENCE, value))


def decode_page_cookie(value: bytes) -> PageCookie:
    """Decode the value of a paged-results response control."""
    start, end = ber.expect(value, 0, len(value), ber.SEQUENCE)
    size_start, size_stop = ber.expect(value, start, end, ber.INTEGER)
    cookie_start, cookie_stop = ber.expect(value, size_stop, end, ber.OCTET_STRING)
    return PageCookie(
        ber.read_integer(value, size_start, size_stop), value[cookie_start:cookie_stop]
    )


def _encode_control(control: Control) -> bytes:
    contents = ber.encode(ber.OCTET_STRING, control.oid.encode())
    if control.critical:
        contents += ber.encode(ber.BOOLEAN, b"\xff")
    if control.value is not None:
        contents += ber.encode(ber.OCTET_STRING, control.value)
    return ber.encode(ber.SEQUENCE, contents)


def _uris(octets: bytes, start: int, end: int) -> tuple[str, ...]:
    return tuple(_text(octets, at, stop) for _, at, stop in ber.elements(octets, start, end))


def _text(octets: bytes, start: int, stop: int) -> str:
    # Only for people to read, so a server's bad encoding must not hide the message.
    return octets[start:stop].decode("utf-8", "replace")
