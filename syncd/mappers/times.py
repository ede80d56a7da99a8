"""Directory timestamps to the text that records carry: ISO 8601 in UTC, whole seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.errors import MappingError
from syncd.mappers.attributes import Source, when_missing

if TYPE_CHECKING:
    from syncd.mappers.codec import Codec
    from syncd.mappers.options import UserAttributeOptions
    from syncd.records import Entry

# A directory that was loaded in bulk has thousands of entries with the same second.
TIMES_KEPT = 4096


def compile_time(options: UserAttributeOptions, codec: Codec) -> Source:
    """Return the source of a timestamp; one that cannot be read counts as missing."""
    name = options.ldap_attribute.lower()
    decode = codec.time
    missing = when_missing(options)
    kept: dict[bytes, str | None] = {}

    def convert(value: bytes) -> str | None:
        try:
            moment = decode(value)
        except MappingError:
            return None
        return f"{moment.replace(tzinfo=None, microsecond=0).isoformat()}Z"

    def read(entry: Entry) -> str | None:
        values = entry.attributes.get(name)
        if not values:
            return missing()
        value = values[0] if len(values) == 1 else min(values)
        text = kept.get(value)
        if text is None:
            text = convert(value)
            if text is None:
                return missing()
            if len(kept) >= TIMES_KEPT:
                kept.clear()
            kept[value] = text
        return text

    return Source(options.name, options.ldap_attribute, read)
