"""One token while it is mapped: what stands at a path, what elsewhere, how long it may take.

Three things are kept apart that look alike: a claim that is *absent* says nothing; one that is
there and *empty* says that there is nothing; one that stands *elsewhere*, because the provider left
it out for its size, is not known, and nothing may be concluded from it.
"""

from __future__ import annotations

import json
import math
import re
import time
from typing import TYPE_CHECKING, Final, TypeVar

from syncd.errors import SignInRefused, cut
from syncd.mappers.values import TEXT_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from syncd.claim_paths import Path
    from syncd.records import Claims

T = TypeVar("T")

_SUBJECT, _ISSUER = ("sub",), ("iss",)
# How long all patterns of one sign-in may take together.
PATTERN_SECONDS = 0.25


class _Absent:
    """What stands at a path at which nothing stands."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()
# Longer ones are no numbers that anybody counts with, and Python does not write them.
_INTEGER_BITS = 8192
_SOURCE = re.compile(r"(.+):src[0-9]+", re.DOTALL)


class Reading:
    """The claims of one token, for one mapping of them."""

    __slots__ = ("_claims", "_elsewhere", "_until")

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self._elsewhere: frozenset[str] | None = None
        # When the first pattern's time and that of all others are over.
        self._until: float | None = None

    def at(self, path: Path) -> object:
        """Return what stands at ``path``, or ABSENT."""
        if path == _SUBJECT:
            return self._claims.subject
        if path == _ISSUER:
            return self._claims.issuer
        value = self._claims.values.get(str(path[0]), ABSENT)
        return value if len(path) == 1 or value is ABSENT else _follow(value, path[1:])

    def is_elsewhere(self, path: Path) -> bool:
        """Tell whether the token says that what stands at ``path`` is not all in it."""
        if self._elsewhere is None:
            self._elsewhere = _elsewhere(self._claims.values)
        return path[0] in self._elsewhere

    def timed(self, fullmatch: Callable[..., T], text: str) -> T:
        """Call a pattern's ``fullmatch`` with what is left of the time for patterns.

        Raises:
            TimeoutError: The patterns of this token have taken too long together.

        """
        # This thread's own time: a machine with much to do makes no pattern slow.
        now = time.thread_time()
        if self._until is None:
            self._until = now + PATTERN_SECONDS
        if now >= self._until:
            raise TimeoutError
        return fullmatch(text, timeout=self._until - now)


def _follow(value: object, path: Path) -> object:
    for at, part in enumerate(path):
        if isinstance(part, int):
            if not isinstance(value, list) or part >= len(value):
                return ABSENT
            value = value[part]
        elif isinstance(value, dict):
            if part not in value:
                return ABSENT
            value = value[part]
        elif isinstance(value, list):
            return _each(value, path[at:])
        else:
            return ABSENT
    return value


def _each(elements: list[object], path: Path) -> object:
    """Return what stands at ``path`` in each of a list's objects, in one list."""
    if not elements:
        return []
    found: list[object] = []
    there = False
    for element in elements:
        value = _follow(element, path)
        if value is ABSENT:
            continue
        there = True
        if isinstance(value, list):
            found += value
        else:
            found.append(value)
    # Objects that lack the member say as little of it as a token without the claim.
    return found if there else ABSENT


def _elsewhere(values: Mapping[str, object]) -> frozenset[str]:
    """Return the claims of which the token says that they are to be fetched.

    OpenID Connect Core section 5.6.2 and Entra ID's group overage, in the three forms in which
    tokens have it.
    """
    found: set[str] = set()
    names = values.get("_claim_names")
    if isinstance(names, dict):
        found.update(names)
    if values.get("hasgroups") in (True, "true"):
        found.add("groups")
    for name in values:
        if ":src" in name and (source := _SOURCE.fullmatch(name)):
            found.add(source[1])
    return frozenset(found)


def elements_of(value: object) -> list[object]:
    """Return the elements of a list, or the one value."""
    return value if isinstance(value, list) else [value]


def texts_of(value: object, claim: str, mapper: str) -> list[str]:
    """Return the texts of a claim, in its order, blank ones left out.

    Raises:
        SignInRefused: not_text or too_long.

    """
    found = []
    for element in elements_of(value):
        text = "" if element is None else _text(element, claim, mapper)
        if text:
            found.append(text)
    return found


def _text(value: object, claim: str, mapper: str) -> str:
    match value:
        case str():
            text = value.strip()
        case bool():
            text = "true" if value else "false"
        case int() if value.bit_length() <= _INTEGER_BITS:
            text = str(value)
        case float() if math.isfinite(value):
            text = json.dumps(value)
        case _:
            shape = "an object" if isinstance(value, dict) else "no text"
            raise SignInRefused(
                "not_text",
                f"the claim {claim} is {shape}, and the mapper {mapper!r} takes texts; "
                "name one of its members by a path",
            )
    if len(text) > TEXT_LIMIT:
        raise SignInRefused(
            "too_long",
            f"the claim {claim} has {len(text)} characters, and the mapper {mapper!r} takes at "
            f"most {TEXT_LIMIT}",
        )
    if "\0" in text or not _is_storable(text):
        raise SignInRefused(
            "not_text",
            f"the claim {claim} holds a character that cannot be stored, {cut(ascii(text), 64)}; "
            f"mend it at the provider, or switch the mapper {mapper!r} off",
        )
    return text


def _is_storable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair, which JSON can write and no database can keep.
        return False
    return True


def raw_of(value: object) -> list[str]:
    """Return a claim's values for people to read; none when it is absent."""
    if value is ABSENT:
        return []
    return [
        element if isinstance(element, str) else json.dumps(element, ensure_ascii=False)
        for element in elements_of(value)
    ]
