"""Until when configured certificates are valid (RFC 5280 section 4.1.2.5).

The ssl module tells that of authorities only, and an organization may trust a server's own
certificate; so the one field is read here.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from datetime import UTC, datetime
from typing import Final

from syncd.ldap import ber

_PEM: Final = re.compile(r"-----BEGIN [A-Z ]*CERTIFICATE-----\s(.+?)-----END ", re.DOTALL)
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
# serialNumber, signature, issuer: what stands between the version and the validity.
_FIELDS_BEFORE: Final = 3


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


def not_after(certificate: bytes) -> datetime:
    """Return the end of a DER certificate's validity.

    Raises:
        ValueError: It is no certificate.

    """
    start, stop = ber.expect(certificate, 0, len(certificate), ber.SEQUENCE)
    start, stop = ber.expect(certificate, start, stop, ber.SEQUENCE)
    fields = list(ber.elements(certificate, start, stop))
    if fields and fields[0][0] == _VERSION:
        del fields[0]
    _, start, stop = fields[_FIELDS_BEFORE]
    _, (tag, start, stop) = ber.elements(certificate, start, stop)
    text = certificate[start:stop].decode("ascii")
    if tag == _UTC_TIME:
        # Two digits of a year: 50 and later belong to the last century.
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ber.Malformed(f"tag 0x{tag:02x} where a time should stand")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
