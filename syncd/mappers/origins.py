"""Where each field of a person comes from: the mapper, its attribute and the raw values."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncd.mappers.values import joined_ranges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.mappers.attributes import ManySource, Source
    from syncd.mappers.sources import Sources
    from syncd.records import Entry, UserRecord

# In the order in which a person is shown.
_PROPERTIES = (
    "username",
    "email",
    "email_verified",
    "first_name",
    "last_name",
    "source_created_at",
    "source_modified_at",
)


@dataclass(frozen=True, slots=True)
class FieldOrigin:
    """One field, its value, and the mapper and attribute that it comes from."""

    field: str
    value: str | bool | list[str] | None
    # None: no mapper fills it.
    mapper: str | None
    # None: the value stands in the configuration.
    attribute: str | None
    # The attribute's values in the directory; binary ones as "base64:…".
    raw: list[str]


def origins(record: UserRecord, entry: Entry, sources: Sources) -> list[FieldOrigin]:
    """Return the origin of every field that a mapper can fill, empty ones included."""
    found = [
        _origin(name, getattr(record, name), sources.properties.get(name, ()), entry)
        for name in _PROPERTIES
    ]
    attributes = json.loads(record.attributes)
    found += [
        _origin(f"attributes.{name}", attributes.get(name), sources.attributes[name], entry)
        for name in sorted(sources.attributes)
    ]
    return found


def _origin(
    field: str,
    value: str | bool | list[str] | None,  # noqa: FBT001
    sources: Sequence[Source | ManySource],
    entry: Entry,
) -> FieldOrigin:
    """Name the mapper whose value it is; without a value the last one that could have had it."""
    for source in reversed(sources):
        if source.read(entry) is not None:
            return FieldOrigin(field, value, source.mapper, source.attribute, _raw(source, entry))
    if not sources:
        return FieldOrigin(field, value, None, None, [])
    return FieldOrigin(
        field, value, sources[-1].mapper, sources[-1].attribute, _raw(sources[-1], entry)
    )


def _raw(source: Source | ManySource, entry: Entry) -> list[str]:
    if source.attribute is None:
        return []
    values, _ = joined_ranges(entry, source.attribute)
    return sorted(map(readable, values))


def readable(value: bytes) -> str:
    """Return a value as people read it; a binary one as ``base64:…``."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return f"base64:{b64encode(value).decode('ascii')}"
    return text
