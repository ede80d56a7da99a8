"""A search result entry cut into its attributes, so that one of them can be put in another's place.

Owns the way back: what it writes is an entry as a server would send it (RFC 4511 section 4.5.2),
for everybody who takes digests of raw entries or decodes them. Values are not looked at.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from syncd.errors import DecodeError
from syncd.ldap import ber

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(slots=True)
class RawEntry:
    """The name and the attributes of an entry, each as the bytes of its whole element."""

    name: bytes
    # By description, as the server writes it.
    attributes: list[tuple[str, bytes]]

    @classmethod
    def cut(cls, raw: bytes) -> Self:
        """Return the parts of an entry; DecodeError when it is none."""
        try:
            _, stop = ber.expect(raw, 0, len(raw), ber.OCTET_STRING)
            position, end = ber.expect(raw, stop, len(raw), ber.SEQUENCE)
            name, attributes = raw[:stop], []
            while position < end:
                start, following = ber.expect(raw, position, end, ber.SEQUENCE)
                text, after = ber.expect(raw, start, following, ber.OCTET_STRING)
                attributes.append((raw[text:after].decode("ascii"), raw[position:following]))
                position = following
        except (ber.Malformed, IndexError, struct.error, UnicodeDecodeError) as error:
            raise DecodeError(
                "malformed_entry",
                f"The server sent an entry that is no LDAP ({error}); look at the entry and at "
                "the server's version.",
            ) from error
        return cls(name, attributes)

    def replace(
        self, attribute: str, values: Iterable[bytes], *, stands_for: Callable[[str], bool]
    ) -> None:
        """Put one attribute in the place of all those whose description ``stands_for`` it."""
        kept = [each for each in self.attributes if not stands_for(each[0])]
        found = next(
            (at for at, each in enumerate(self.attributes) if stands_for(each[0])), len(kept)
        )
        kept.insert(found, (attribute, attribute_element(attribute, values)))
        self.attributes = kept

    def encode(self) -> bytes:
        """Return the contents of a SearchResultEntry."""
        return self.name + ber.encode(ber.SEQUENCE, b"".join(each for _, each in self.attributes))


def attribute_element(description: str, values: Iterable[bytes]) -> bytes:
    """Return a PartialAttribute."""
    encoded = b"".join([ber.encode(ber.OCTET_STRING, value) for value in values])
    return ber.encode(
        ber.SEQUENCE,
        ber.encode(ber.OCTET_STRING, description.encode()) + ber.encode(ber.SET, encoded),
    )
