"""``full-name``: first and last name from one attribute, split at the last space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.mappers.attributes import Source, compile_property
from syncd.mappers.options import UserAttributeOptions

if TYPE_CHECKING:
    from syncd.mappers.codec import Codec
    from syncd.mappers.options import FullNameOptions
    from syncd.records import Entry


def split(full_name: str) -> tuple[str | None, str]:
    """Return first and last name; a name of one word is a last name."""
    first, _, last = " ".join(full_name.split()).rpartition(" ")
    return first or None, last


def compile_full_name(options: FullNameOptions, codec: Codec) -> dict[str, Source]:
    """Return the sources of ``first_name`` and ``last_name``."""
    attribute = options.ldap_attribute
    read_whole = compile_property(
        UserAttributeOptions(
            name=options.name, user_attribute="last_name", ldap_attribute=attribute
        ),
        codec,
    ).read

    def read_first(entry: Entry) -> str | None:
        whole = read_whole(entry)
        return split(whole)[0] if whole else None

    def read_last(entry: Entry) -> str | None:
        whole = read_whole(entry)
        return split(whole)[1] if whole else None

    return {
        "first_name": Source(options.name, attribute, read_first),
        "last_name": Source(options.name, attribute, read_last),
    }
