"""The control of DirSync (MS-ADTS section 3.1.1.3.4.1.3), encoded and decoded.

Pure: bytes in, values out; ``ber.Malformed`` on nonsense.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from syncd.ldap import ber
from syncd.ldap.messages import Control

DIRSYNC: Final = "1.2.840.113556.1.4.841"

# With the account's ordinary right to read, in place of the right to replicate.
OBJECT_SECURITY: Final = 0x1
# What is above comes before what is below it.
ANCESTORS_FIRST: Final = 0x800
# Of a group whose members changed only those who came or went, in place of all of them. The flag
# is the sign bit: Active Directory takes flags of four bytes.
INCREMENTAL_VALUES: Final = -0x80000000
FLAGS: Final = INCREMENTAL_VALUES | ANCESTORS_FIRST | OBJECT_SECURITY
# What one answer may weigh; the server says that there is more.
ANSWER_BYTES: Final = 1024 * 1024


class DirSyncAnswer(NamedTuple):
    """The value of the response control: whether there is more, and where to go on."""

    more: bool
    cookie: bytes


def dirsync_request(cookie: bytes, size: int = ANSWER_BYTES) -> Control:
    """Return the request control from ``cookie`` on, critical; an empty one asks for everything.

    ``size`` is how many bytes the answer may about have.
    """
    value = b"".join(
        (
            ber.encode_integer(FLAGS),
            ber.encode_integer(size),
            ber.encode(ber.OCTET_STRING, cookie),
        )
    )
    return Control(DIRSYNC, critical=True, value=ber.encode(ber.SEQUENCE, value))


def decode_answer(value: bytes) -> DirSyncAnswer:
    """Decode the value of the response control."""
    try:
        start, end = ber.expect(value, 0, len(value), ber.SEQUENCE)
        more_start, more_stop = ber.expect(value, start, end, ber.INTEGER)
        _, unused_stop = ber.expect(value, more_stop, end, ber.INTEGER)
        cookie_start, cookie_stop = ber.expect(value, unused_stop, end, ber.OCTET_STRING)
        more = ber.read_integer(value, more_start, more_stop) != 0
    except (IndexError, struct.error) as error:
        raise ber.Malformed("the bytes end too early") from error
    return DirSyncAnswer(more, value[cookie_start:cookie_stop])
