"""Who an entry of a role or group lists: the values of its membership attribute, as keys.

A role of a company holds hundreds of thousands of members, so what is done for one of them is
little more than what its DN's key costs.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING

from syncd.errors import MappingError
from syncd.mappers.memberships import unreadable_key
from syncd.mappers.values import joined_ranges
from syncd.records import Member, fold, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from syncd.mappers.codec import Codec
    from syncd.records import Entry

# What directories that demand a member are given when a container has none.
PLACEHOLDER = "cn=empty-membership-placeholder"
# The bit string after a DN of the Name and Optional UID syntax (RFC 4517 section 3.3.21).
_OPTIONAL_UID = re.compile(r"#'[01]*'B\Z").sub
_key = itemgetter(Member._fields.index("key"))


def compile_uid_members(
    codec: Codec, attribute: str, user_attribute: str
) -> Callable[[Entry], tuple[tuple[Member, ...], bool]]:
    """Return the reader of members named by an attribute of theirs, whatever its letter case."""
    return _reader(codec, attribute, f"uid:{user_attribute.lower()}", _uid_key)


def compile_dn_members(
    codec: Codec, attribute: str
) -> Callable[[Entry], tuple[tuple[Member, ...], bool]]:
    """Return the reader of members that are named by DN."""
    return _reader(codec, attribute, "dn", codec.dn_key)


def _reader(
    codec: Codec, attribute: str, kind: str, key: Callable[[str], bytes]
) -> Callable[[Entry], tuple[tuple[Member, ...], bool]]:
    """Return the reader of members, each once and sorted, and whether they are all."""
    nobody = {key(PLACEHOLDER), key("")}
    decode = codec.text
    new = tuple.__new__

    def member(value: bytes) -> Member:
        try:
            text = decode(value)
            if text.endswith("'B"):
                text = _OPTIONAL_UID("", text)
            if "\0" not in text:
                # A named tuple's own constructor costs more; a test holds the order.
                return new(Member, (kind, key(text), text))
        except (MappingError, ValueError):
            text = value.decode("utf-8", "backslashreplace").strip()
        # Nobody has this name: it stays in the books unresolved, and the others are taken.
        text = text.replace("\0", "\\00")
        return Member(kind, unreadable_key(text), text)

    def read(entry: Entry) -> tuple[tuple[Member, ...], bool]:
        values, whole = joined_ranges(entry, attribute)
        # By key alone: all are of one kind, and comparing whole tuples costs twice as much.
        members = sorted(map(member, values), key=_key)
        # Neighbours, because a set of all keys would take as much memory as a fifth of the members.
        if any(one[1] == other[1] for one, other in pairwise(members)):
            members = _each_once(members)
        for none in nobody:
            at = bisect_left(members, none, key=_key)
            if at < len(members) and members[at][1] == none:
                del members[at]
        return tuple(members), whole

    return read


def _each_once(members: Sequence[Member]) -> list[Member]:
    """Return each member in its smallest spelling, whatever order they came in."""
    found: dict[bytes, Member] = {}
    for each in sorted(members):
        found.setdefault(each.key, each)
    return list(found.values())


def _uid_key(text: str) -> bytes:
    return key_of(fold(text))
