"""What an entry is known by: its id in the directory and the key of its DN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.errors import MappingError, cut
from syncd.mappers.reasons import Reason
from syncd.mappers.values import ID_LIMIT, has_control

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.mappers.codec import Codec
    from syncd.records import Entry


def external_id_reader(codec: Codec, attribute: str) -> Callable[[Entry], str]:
    """Return the reader of an entry's id in the UUID attribute."""
    name = attribute.lower()
    decode = codec.external_id

    def read(entry: Entry) -> str:
        values = entry.attributes.get(name)
        if not values:
            raise MappingError(
                Reason.MISSING_ID, f"the entry has no readable value of {attribute}", attribute
            )
        if len(values) > 1:
            raise MappingError(
                Reason.SEVERAL_IDS,
                f"{attribute} has {len(values)} values; choose a UUID attribute that has one",
                attribute,
            )
        try:
            external_id = decode(values[0])
        except MappingError as error:
            raise MappingError(Reason.BAD_ID, f"{attribute}: {error.detail}", attribute) from error
        if not external_id or len(external_id) > ID_LIMIT or has_control(external_id):
            raise MappingError(
                Reason.BAD_ID,
                f"{attribute} is blank, longer than {ID_LIMIT} characters or has control"
                f" characters in it: {cut(ascii(external_id), 64)}",
                attribute,
            )
        return external_id

    return read


def own_dn_key(codec: Codec) -> Callable[[Entry], bytes]:
    """Return the reader of the key of an entry's own DN."""
    dn_key = codec.dn_key

    def read(entry: Entry) -> bytes:
        try:
            return dn_key(entry.dn)
        except ValueError as error:
            raise MappingError(Reason.BAD_DN, f"the entry's DN is unreadable: {error}") from error

    return read


def distinct(*attributes: str | None) -> tuple[str, ...]:
    """Return the attribute names that are given, each once whatever its letter case."""
    found: dict[str, str] = {}
    for attribute in attributes:
        if attribute:
            found.setdefault(attribute.lower(), attribute)
    return tuple(found.values())
