"""Bytes from a directory, cut into search result entries without decoding them.

Pure: pieces of any size go in, entries and the few other messages come out. An entry is one slice
of what came in, which is why reading a directory costs so little here.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from syncd.ldap import messages
from syncd.ldap.ber import (
    FOUR_BYTES,
    LONG_FORM,
    SEQUENCE,
    Malformed,
    encode_integer,
    four_bytes,
    long_length,
)

if TYPE_CHECKING:
    from syncd.ldap.messages import Control, Intermediate, Result

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
_TWO_BYTES: Final = 0x82
_FINAL: Final = frozenset(
    {messages.SEARCH_RESULT_DONE, messages.BIND_RESPONSE, messages.EXTENDED_RESPONSE}
)


class Batch:
    """What has come in answer to one request since somebody last looked."""

    __slots__ = ("controls", "done", "entries", "intermediates", "notice", "octets", "references")

    def __init__(self) -> None:
        # Contents of SearchResultEntry operations, and by index the controls of the few with some.
        self.entries: list[bytes] = []
        self.controls: dict[int, tuple[Control, ...]] = {}
        self.references: list[str] = []
        self.intermediates: list[Intermediate] = []
        self.done: Result | None = None
        self.notice: Result | None = None
        self.octets = 0


class MessageBuffer:
    """Cuts LDAP messages out of bytes that come in pieces of any size."""

    def __init__(self, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._max = max_message_bytes
        self._pieces: list[bytes] = []
        self._have = 0
        self._wanted = 1

    def __len__(self) -> int:
        return self._have

    @property
    def ready(self) -> bool:
        """Whether cutting can bring anything; a large message is not joined at every piece."""
        return self._have >= self._wanted

    def feed(self, piece: bytes) -> None:
        """Take the next bytes from the wire."""
        self._pieces.append(piece)
        self._have += len(piece)

    def cut(self, message_id: int, batch: Batch) -> None:
        """Move every whole message into ``batch``, up to the one that ends the answer.

        Messages of other operations are dropped: they answer what has been abandoned.
        """
        octets = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        try:
            position = self._cut(octets, message_id, batch)
        except (IndexError, struct.error) as error:
            raise Malformed("a message ends before its contents do") from error
        rest = octets[position:]
        self._pieces = [rest] if rest else []
        self._have = len(rest)
        batch.octets += position

    def _cut(self, octets: bytes, message_id: int, batch: Batch) -> int:  # noqa: C901 - one loop, no calls: it runs once an entry
        # The message id and the tag of an entry, as all but a few servers write them.
        prefix = encode_integer(message_id) + bytes((messages.SEARCH_RESULT_ENTRY,))
        prefix_size = len(prefix)
        append = batch.entries.append
        size = len(octets)
        position = 0
        self._wanted = 1
        while position < size:
            if octets[position] != SEQUENCE:
                raise Malformed("something that is no LDAP message")
            if position + 6 > size:
                # Too little to read a length of up to four bytes; no message is shorter.
                self._wanted = size - position + 1
                break
            length = octets[position + 1]
            start = position + 2
            if length == _TWO_BYTES:
                length = octets[start] << 8 | octets[start + 1]
                start += 2
            elif length == FOUR_BYTES:
                length = four_bytes(octets, start)[0]
                start += 4
            elif length >= LONG_FORM:
                length, start = long_length(octets, position + 1)
            end = start + length
            if end > size:
                if length > self._max:
                    raise Malformed(f"a message of {length} bytes")
                self._wanted = end - position
                break
            if octets.startswith(prefix, start, end):
                entry = start + prefix_size
                length = octets[entry]
                entry += 1
                if length == _TWO_BYTES:
                    length = octets[entry] << 8 | octets[entry + 1]
                    entry += 2
                elif length == FOUR_BYTES:
                    length = four_bytes(octets, entry)[0]
                    entry += 4
                elif length >= LONG_FORM:
                    length, entry = long_length(octets, entry - 1)
                if entry + length == end:
                    append(octets[entry:end])
                    position = end
                    continue
            position = end
            if self._other(octets, start, end, message_id, batch):
                break
        return position

    @staticmethod
    def _other(octets: bytes, start: int, end: int, message_id: int, batch: Batch) -> bool:
        """Take a message that is no plain entry; return whether it is the last one."""
        message = messages.decode_envelope(octets, start, end)
        operation = message.operation
        if message.message_id == 0 and operation == messages.EXTENDED_RESPONSE:
            notice = messages.decode_result(octets, message)
            if notice.name == messages.NOTICE_OF_DISCONNECTION:
                batch.notice = notice
                return True
        if message.message_id != message_id:
            return False
        if operation == messages.SEARCH_RESULT_ENTRY:
            if message.controls:
                batch.controls[len(batch.entries)] = message.controls
            batch.entries.append(octets[message.start : message.stop])
        elif operation == messages.SEARCH_RESULT_REFERENCE:
            batch.references += messages.decode_reference(octets, message)
        elif operation == messages.INTERMEDIATE_RESPONSE:
            batch.intermediates.append(messages.decode_intermediate(octets, message))
        elif operation in _FINAL:
            batch.done = messages.decode_result(octets, message)
            return True
        else:
            raise Malformed(f"operation 0x{operation:02x}, which nobody asked for")
        return False
