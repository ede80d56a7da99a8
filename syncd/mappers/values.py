"""How one value comes out of an entry: text rules, and which of several values is taken.

A directory returns the values of an attribute in no particular order. A target that holds one value
therefore takes the value that stands in the entry's RDN, else the smallest by comparison key, so
that the same entry always gives the same person.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from syncd.errors import MappingError
from syncd.mappers.reasons import Reason
from syncd.records import fold

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.mappers.codec import Codec
    from syncd.records import Entry

TEXT_LIMIT = 4096
NAME_LIMIT = 255
ID_LIMIT = 1024
EMAIL_LIMIT = 254

# C0 and C1 control characters, line and paragraph separators, and text direction overrides, which
# make one name look like another.
_CONTROL = "\\x00-\\x1f\\x7f-\\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
_has_control = re.compile(f"[{_CONTROL}]").search
# An e-mail address at all: one @ between two parts, without spaces.
is_address = re.compile(rf"(?=.{{3,{EMAIL_LIMIT}}}\Z)[^\s@{_CONTROL}]+@[^\s@{_CONTROL}]+").fullmatch
_RANGE = re.compile(r";range=(\d+)-(\d+|\*)", re.IGNORECASE | re.ASCII)


def has_control(text: str) -> bool:
    """Tell whether ``text`` has a character in it that a name must not have."""
    return not text.isprintable() and _has_control(text) is not None


def text_reader(codec: Codec, attribute: str) -> Callable[[bytes], str]:
    """Return the reader of one text value of ``attribute``."""
    decode = codec.text

    def read(value: bytes) -> str:
        try:
            text = decode(value)
        except MappingError as error:
            raise MappingError(error.reason, f"{attribute}: {error.detail}", attribute) from error
        if len(value) > TEXT_LIMIT and len(text) > TEXT_LIMIT:
            raise MappingError(
                Reason.TOO_LONG,
                f"{attribute} has {len(text)} characters; at most {TEXT_LIMIT} are taken",
                attribute,
            )
        if b"\0" in value:
            raise MappingError(
                Reason.NOT_TEXT,
                f"{attribute} holds a NUL character; set binary: true if it is not text",
                attribute,
            )
        return text

    return read


def value_chooser(codec: Codec, attribute: str) -> Callable[[Entry, list[str]], str]:
    """Return the rule that takes one of several values of ``attribute``."""
    name = attribute.lower()
    naming_values = codec.naming_values

    def choose(entry: Entry, texts: list[str]) -> str:
        named: set[str] = set()
        if naming_values is not None:
            with suppress(ValueError):
                named = {
                    fold(value.strip()) for type_, value in naming_values(entry.dn) if type_ == name
                }
        candidates = [text for text in texts if fold(text) in named] or texts
        return min(candidates, key=lambda text: (fold(text), text))

    return choose


def joined_ranges(entry: Entry, attribute: str) -> tuple[list[bytes], bool]:
    """Return the values of ``attribute``, ranges joined, and whether they are all.

    A server with very many values returns ``member;range=0-1499`` beside an empty or missing
    ``member``; the last block ends in ``*``.
    """
    name = attribute.lower()
    values = list(entry.attributes.get(name, ()))
    blocks: list[tuple[int, int | None]] = []
    for description, block in entry.attributes.items():
        if description.startswith(name) and (found := _RANGE.fullmatch(description, len(name))):
            values += block
            blocks.append((int(found[1]), None if found[2] == "*" else int(found[2])))
    return values, _reach_the_end(sorted(blocks, key=lambda block: block[0]))


def whole_values(entry: Entry, attribute: str) -> list[bytes]:
    """Return the values of ``attribute``; refuse an entry of which a range is missing."""
    values, whole = joined_ranges(entry, attribute)
    if not whole:
        raise MappingError(
            Reason.PARTIAL_VALUES,
            f"{attribute} has so many values that the server sent only a range of them",
            attribute,
        )
    return values


def _reach_the_end(blocks: list[tuple[int, int | None]]) -> bool:
    following = 0
    for first, last in blocks:
        if first > following:
            return False
        if last is None:
            return True
        following = max(following, last + 1)
    return not blocks
