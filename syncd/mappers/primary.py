"""The primary group: a membership that no list of members and no memberOf value holds.

Active Directory leaves it to a number on the person: his group's SID is his own with its last part
replaced by ``primaryGroupID`` ([MS-ADTS] 3.1.1.4.5.2). POSIX directories (RFC 2307) have the same
``gidNumber`` on both. Person and group meet in a key of that text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncd.mappers.options import PrimaryGroupBy
from syncd.records import Member, key_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.records import Entry

PRIMARY_GROUP = "primarygroup"
# People share a few primary groups.
KEYS_KEPT = 4096
# Of a number of 64 bits.
DIGITS = 20

_SID_HEAD, _PART = 8, 4


def person_attributes(by: PrimaryGroupBy) -> tuple[str, ...]:
    """Return the attributes of a person that tell his primary group."""
    if by == PrimaryGroupBy.OBJECT_SID:
        return ("objectSid", "primaryGroupID")
    return ("gidNumber",)


def group_attribute(by: PrimaryGroupBy) -> str:
    """Return the attribute by which a group is somebody's primary one."""
    return "objectSid" if by == PrimaryGroupBy.OBJECT_SID else "gidNumber"


def compile_primary_key(by: PrimaryGroupBy) -> Callable[[Entry], list[tuple[str, bytes]]]:
    """Return the reader of the key of a person's primary group.

    A person without the attributes, or with unreadable ones, states nothing: his other memberships
    do not hang on it.
    """
    if by == PrimaryGroupBy.GID_NUMBER:
        return lambda entry: [
            (PRIMARY_GROUP, key_of(text))
            for text in map(_number, entry.attributes.get("gidnumber", ()))
            if text
        ]
    kept: dict[tuple[bytes, bytes], list[tuple[str, bytes]]] = {}

    def read(entry: Entry) -> list[tuple[str, bytes]]:
        sids = entry.attributes.get("objectsid")
        numbers = entry.attributes.get("primarygroupid")
        if not sids or not numbers:
            return []
        domain, number = sids[0][:-_PART], numbers[0]
        keys = kept.get((domain, number))
        if keys is None:
            if len(kept) >= KEYS_KEPT:
                kept.clear()
            own, rid = sid_text(sids[0]), _number(number)
            keys = (
                [(PRIMARY_GROUP, key_of(f"{own.rpartition('-')[0]}-{rid}"))] if own and rid else []
            )
            kept[domain, number] = keys
        return keys

    return read


def compile_primary_member(by: PrimaryGroupBy) -> Callable[[Entry], Member | None]:
    """Return the reader of the one member that stands for all whose primary group an entry is."""
    name = group_attribute(by).lower()
    read_text = sid_text if by == PrimaryGroupBy.OBJECT_SID else _number

    def read(entry: Entry) -> Member | None:
        values = entry.attributes.get(name)
        text = read_text(values[0]) if values else None
        # As members are written who are named by an attribute of theirs.
        return Member(f"uid:{PRIMARY_GROUP}", key_of(text), text) if text else None

    return read


def sid_text(value: bytes) -> str | None:
    """Return a SID as Windows writes it ([MS-DTYP] 2.4.2); None for bytes that are none."""
    if len(value) < _SID_HEAD + _PART or value[0] != 1:
        return None
    if len(value) != _SID_HEAD + _PART * value[1]:
        return None
    authority = int.from_bytes(value[2:_SID_HEAD], "big")
    head = f"S-1-{authority}" if authority < 1 << 32 else f"S-1-0x{authority:012x}"
    parts = (
        int.from_bytes(value[at : at + _PART], "little")
        for at in range(_SID_HEAD, len(value), _PART)
    )
    return "-".join([head, *map(str, parts)])


def _number(value: bytes) -> str | None:
    """Return a number's only spelling."""
    text = value.strip()
    return str(int(text)) if text.isdigit() and len(text) <= DIGITS else None
