"""Where a list goes on: an opaque word that holds the last key of the page before."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from syncd.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERSION = 1
LONGEST = 4_000
MOST = 500
# What a BIGINT takes.
LARGEST = 2**63 - 1


class Page(NamedTuple):
    """What somebody asked for of a list."""

    limit: int
    # The key after which it begins; None is the list's beginning.
    after: tuple[Any, ...] | None


def asked(name: str, limit: object, after: object, kinds: Sequence[type]) -> Page:
    """Return what was asked for of a list whose keys are of these types.

    Raises:
        Refused: The limit or the cursor is none.

    """
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MOST:
        raise Refused(f"limit must be a number from 1 to {MOST}", "invalid")
    return Page(limit, None if after is None else _read(name, after, kinds))


def cursor(name: str, key: Sequence[Any]) -> str:
    """Return the word under which a list goes on after a key."""
    text = json.dumps([VERSION, name, *key], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode("ascii").rstrip("=")


def page(
    name: str, items: list[Any], key: Sequence[Any] | None, *, more: bool | None = None
) -> dict[str, Any]:
    """Return a page as the contract has it; ``key`` is its last one, if the list goes on."""
    goes_on = key is not None if more is None else more and key is not None
    return {"items": items, "next": cursor(name, key or ()) if goes_on else None}


def _read(name: str, word: object, kinds: Sequence[type]) -> tuple[Any, ...]:
    wrong = Refused("this is no cursor of this list; begin without one", "invalid")
    if not isinstance(word, str) or not word.isascii() or len(word) > LONGEST:
        raise wrong
    try:
        raw = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True)
        values = json.loads(raw)
    except (binascii.Error, ValueError, RecursionError):
        raise wrong from None
    if not isinstance(values, list) or values[:2] != [VERSION, name]:
        raise wrong
    key = values[2:]
    if len(key) != len(kinds):
        raise wrong
    for value, kind in zip(key, kinds, strict=True):
        # A number that is true is one to Python.
        if type(value) is not kind or not storable(value):
            raise wrong
    return tuple(key)


def storable(value: object) -> bool:
    """Return whether both databases can be asked for a value."""
    if isinstance(value, int):
        return -LARGEST <= value <= LARGEST
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= sign <= "\udfff" for sign in value)
    return True


def wanted_filters(filters: Mapping[str, object], kinds: Mapping[str, type]) -> dict[str, Any]:
    """Return the filters that are given, of those that a list has.

    Raises:
        Refused: The list has no such filter, or its value is of another type.

    """
    found: dict[str, Any] = {}
    for name, value in filters.items():
        kind = kinds.get(name)
        if kind is None:
            known = ", ".join(kinds) or "none"
            raise Refused(f"this list has no filter {name!r}; there are: {known}", "invalid")
        if value is None:
            continue
        if type(value) is not kind or not storable(value):
            raise Refused(f"the filter {name} must be {_WORDS[kind]}", "invalid")
        found[name] = value
    return found


_WORDS = {str: "text", int: "an id", bool: "true or false", list: "a list of ids"}


def after_prefix(prefix: str) -> str | None:
    """Return the least text behind all that begin with ``prefix``; None where there is none."""
    while prefix:
        number = ord(prefix[-1]) + 1
        prefix = prefix[:-1]
        if number <= 0x10FFFF:
            # The surrogates in between are no text.
            return prefix + chr(0xE000 if 0xD800 <= number <= 0xDFFF else number)
    return None
