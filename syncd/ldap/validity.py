"""Whose configured certificates are and until when they are valid (RFC 5280 section 4.1.2).

The ssl module tells that of authorities only, and an organization may trust a server's own
certificate; so the few fields are read here.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from syncd.ldap import ber

_PEM: Final = re.compile(r"-----BEGIN [A-Z ]*CERTIFICATE-----\s(.+?)-----END ", re.DOTALL)
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
# serialNumber, signature, issuer: what stands between the version and the validity.
_FIELDS_BEFORE: Final = 3
_BMP_STRING: Final = 0x1E
# Object identifiers of attributes in names (RFC 4519), as DER writes them.
_NAMES: Final = {
    b"\x55\x04\x03": "CN",
    b"\x55\x04\x06": "C",
    b"\x55\x04\x07": "L",
    b"\x55\x04\x08": "ST",
    b"\x55\x04\x0a": "O",
    b"\x55\x04\x0b": "OU",
    bytes.fromhex("0992268993f22c640119"): "DC",
    bytes.fromhex("2a864886f70d010901"): "E",
}


def first_end(pem: str) -> datetime | None:
    """Return when the first of the certificates in a PEM text ends.

    Certificates that cannot be read are left out: connecting to the directory reports them.
    """
    ends = []
    for body in _PEM.findall(pem):
        try:
            ends.append(not_after(base64.b64decode("".join(body.split()), validate=True)))
        except (ber.Malformed, ValueError, IndexError, struct.error, binascii.Error):
            continue
    return min(ends, default=None)


def described(pem: str) -> list[dict[str, str]]:
    """Return subject, end of validity and SHA-256 fingerprint of each certificate in a PEM text.

    Certificates that cannot be read are left out: connecting to the directory reports them.
    """
    found = []
    for body in _PEM.findall(pem):
        try:
            der = base64.b64decode("".join(body.split()), validate=True)
            ends, subject = not_after(der), _subject(der)
        except (ber.Malformed, ValueError, IndexError, struct.error, binascii.Error):
            continue
        found.append(
            {
                "subject": subject,
                "not_after": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "sha256": sha256(der).hexdigest(),
            }
        )
    return found


def _fields(certificate: bytes) -> list[tuple[int, int, int]]:
    """Return the fields of the part that is signed, its version left out."""
    start, stop = ber.expect(certificate, 0, len(certificate), ber.SEQUENCE)
    start, stop = ber.expect(certificate, start, stop, ber.SEQUENCE)
    fields = list(ber.elements(certificate, start, stop))
    return fields[1:] if fields and fields[0][0] == _VERSION else fields


def _subject(certificate: bytes) -> str:
    """Return the subject with its most specific part first."""
    _, start, stop = _fields(certificate)[_FIELDS_BEFORE + 1]
    parts = []
    for _, rdn, rdn_end in ber.elements(certificate, start, stop):
        for _, pair, pair_end in ber.elements(certificate, rdn, rdn_end):
            (_, oid, oid_end), (tag, text, text_end) = ber.elements(certificate, pair, pair_end)
            name = _NAMES.get(certificate[oid:oid_end], certificate[oid:oid_end].hex())
            coding = "utf-16-be" if tag == _BMP_STRING else "utf-8"
            value = certificate[text:text_end].decode(coding, "replace")
            parts.append(f"{name}={value}")
    return ", ".join(reversed(parts))


def not_after(certificate: bytes) -> datetime:
    """Return the end of a DER certificate's validity.

    Raises:
        ValueError: It is no certificate.

    """
    _, start, stop = _fields(certificate)[_FIELDS_BEFORE]
    _, (tag, start, stop) = ber.elements(certificate, start, stop)
    text = certificate[start:stop].decode("ascii")
    if tag == _UTC_TIME:
        # Two digits of a year: 50 and later belong to the last century.
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ber.Malformed(f"tag 0x{tag:02x} where a time should stand")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
