"""What people say of themselves: memberOf statements, and names that containers list them by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from syncd.mappers.values import text_reader, whole_values
from syncd.records import MemberOf, fold, key_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.mappers.codec import Codec
    from syncd.mappers.options import MemberOfOptions
    from syncd.records import Entry

# Thousands of people state the same few containers.
STATEMENTS_KEPT = 16384


def compile_member_of(options: MemberOfOptions, codec: Codec) -> Callable[[Entry], list[MemberOf]]:
    """Return the reader of a person's memberOf statements for one role import."""
    name, attribute = options.ldap_attribute.lower(), options.ldap_attribute
    read_text = text_reader(codec, attribute)
    mapper, base_dn = options.mapper, options.base_dn
    is_below = codec.is_below if base_dn else None
    kept: dict[bytes, MemberOf | Literal[False]] = {}

    def state(value: bytes) -> MemberOf | None:
        dn = read_text(value)
        if not dn:
            return None
        try:
            if is_below is not None and not is_below(dn, base_dn):
                return None
            key = codec.dn_key(dn)
        except ValueError:
            # It names no container that can be found; it stays to be reported as such.
            key = unreadable_key(dn)
        return MemberOf(mapper, key, dn)

    def read(entry: Entry) -> list[MemberOf]:
        values = entry.attributes.get(name)
        if not values:
            values = whole_values(entry, attribute)
        statements = []
        for value in values:
            # False: stated before and of no interest.
            statement = kept.get(value)
            if statement is None:
                if len(kept) >= STATEMENTS_KEPT:
                    kept.clear()
                statement = kept[value] = state(value) or False
            if statement:
                statements.append(statement)
        return statements

    return read


def compile_member_keys(attribute: str, codec: Codec) -> Callable[[Entry], list[tuple[str, bytes]]]:
    """Return the reader of the keys by which UID-type containers name a person."""
    name = attribute.lower()
    read_text = text_reader(codec, attribute)

    def read(entry: Entry) -> list[tuple[str, bytes]]:
        values = entry.attributes.get(name)
        if not values:
            return []
        return [(name, key_of(fold(text))) for text in map(read_text, values) if text]

    return read


def unreadable_key(text: str) -> bytes:
    """Return the key of a member value that is not a DN; it meets no key of a readable one."""
    return key_of(f"\0{fold(text)}")
