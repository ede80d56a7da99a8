r"""Owns how configuration writes names of roles and groups: patterns that rename, paths that nest.

Pure text, known to the rooms that read configuration and to those that apply it.

**Patterns** are a part of Python's regular expressions whose cost is bounded before any name is
seen. Python's engine goes back and tries again, and nested repetitions make that exponential: one
name in a directory could then stop a sync. So each pattern's *ways* are counted, which is how many
parts of a name a match could be put together from at most: ``a?`` has two, ``.+`` as many as a name
has characters, ``(a|b)`` two, what follows each other multiplies. A pattern with more than
``WAYS`` is refused; that lets three open repetitions pass and no repetition of a repetition. What
cannot be counted (references back, looking ahead, flags) is refused too.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncd.records import fold, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PRECONFIGURED_ROLES = (
    "Owner",
    "Admin",
    "Support agent",
    "Data protection officer",
    "Accountant",
    "User",
)
NAME_LIMIT = 255
PATTERN_LIMIT = 255
WAYS = 256**3

_QUANTIFIER = re.compile(r"[*+?]|\{(?:(\d+)|(\d*),(\d*))\}", re.ASCII)
_OPEN_GROUP = re.compile(r"\((?:\?:|\?P<\w+>|(?!\?))")
_CLASS = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
_REFERENCE = re.compile(r"\\(?:([1-9][0-9]?)|g<(\w+)>|(\\))|\\", re.ASCII)


@dataclass(slots=True)
class _Branches:
    """The ways of what stands in one pair of parentheses, as far as it has been read."""

    # Of the alternatives that are finished, of the atoms before the last one, and of that.
    finished: int = 0
    before: int = 1
    last: int = 1

    def atom(self, ways: int) -> None:
        self.before = min(self.before * self.last, WAYS + 1)
        self.last = ways

    def alternative(self) -> None:
        self.finished = self.total
        self.before = self.last = 1

    @property
    def total(self) -> int:
        return min(self.finished + self.before * self.last, WAYS + 1)


def compile_pattern(match: str, role: str) -> Callable[[str], str | None]:
    r"""Return the rule from a whole name to another one, or to None when it does not match.

    ``match`` ignores letter case; ``role`` may have ``\1`` to ``\99`` and ``\g<name>`` in it for
    the groups of ``match``, and ``\\`` for a backslash. Raises ValueError with position and reason.
    """
    pattern = _compiled(match)
    parts = _parts(role, pattern)

    def rename(name: str) -> str | None:
        found = pattern.fullmatch(name)
        if found is None:
            return None
        return "".join(
            part if isinstance(part, str) else found[part[0]] or "" for part in parts
        ).strip()

    return rename


def fixed_name(match: str, role: str) -> str | None:
    """Return the name that a pattern gives whatever it matches; None if that depends on it."""
    parts = _parts(role, _compiled(match))
    return "".join(map(str, parts)) if all(isinstance(part, str) for part in parts) else None


def path_names(path: str) -> tuple[str, ...]:
    r"""Return the names in a path of groups, outermost first; ``/`` has none.

    A slash that belongs to a name is written ``\/``, a backslash ``\\``. Raises ValueError with the
    reason for a path that is none.
    """
    if not path.startswith("/"):
        raise ValueError(
            r"must start with /, such as /Directory/Staff; a / in a name is written \/"
        )
    if path == "/":
        return ()
    names, name, escaped = [], "", False
    for sign in path[1:]:
        if escaped or sign not in "\\/":
            name += sign
            escaped = False
        elif sign == "\\":
            escaped = True
        else:
            names.append(name)
            name = ""
    names.append(name)
    if escaped:
        raise ValueError(r"must not end with a single \; a backslash in a name is written \\")
    for each in names:
        if not each.strip() or each != each.strip():
            raise ValueError(
                "must have a name between two slashes, without spaces around it, and none at the "
                "end"
            )
        if len(each) > NAME_LIMIT:
            raise ValueError(f"must have names of at most {NAME_LIMIT} characters")
        if not each.isprintable():
            raise ValueError("must have no control or invisible characters in its names")
    return tuple(names)


def group_names(group: str) -> tuple[str, ...]:
    """Return the names of one group and those above it, outermost first.

    What starts with ``/`` is a path, anything else the name of a group at the top, slashes
    included. Raises ValueError with the reason.
    """
    names = path_names(group if group.startswith("/") else joined_path((group,)))
    if not names:
        raise ValueError("must name a group, such as Everybody or /Directory/Everybody")
    return names


def joined_path(names: tuple[str, ...]) -> str:
    r"""Return the path of a group from its names, outermost first."""
    return "".join("/" + name.replace("\\", "\\\\").replace("/", "\\/") for name in names) or "/"


def path_key(names: Sequence[str]) -> bytes:
    """Return the key of the group that stands for a path, whichever mapper made it."""
    return key_of(f"groups path\0{joined_path(tuple(names))}")


def _compiled(match: str) -> re.Pattern[str]:
    if len(match) > PATTERN_LIMIT:
        raise ValueError(f"must have at most {PATTERN_LIMIT} characters")
    try:
        with warnings.catch_warnings():
            # "[[" may come to mean a nested set; here it never does.
            warnings.simplefilter("ignore", FutureWarning)
            pattern = re.compile(match, re.IGNORECASE)
    except re.error as error:
        raise ValueError(_at(error.pos or 0, error.msg)) from error
    except (OverflowError, RecursionError) as error:
        raise ValueError(f"must be a regular expression: {error}") from error
    _refuse_costly(match)
    return pattern


def _refuse_costly(match: str) -> None:
    """Refuse a valid expression whose matching could take more steps than are bearable."""
    stack = [_Branches()]
    position = 0
    while position < len(match):
        sign = match[position]
        if sign == "(":
            found = _OPEN_GROUP.match(match, position)
            if found is None:
                raise ValueError(_at(position, "only (…), (?:…) and (?P<name>…) are taken"))
            stack.append(_Branches())
            position = found.end()
            continue
        width = 1
        if sign == "\\":
            if match[position + 1] in "123456789":
                raise ValueError(_at(position, "a reference back to a group is not taken"))
            width = 2
        elif sign == "[" and (found := _CLASS.match(match, position)):
            width = len(found[0])
        if sign == "|":
            stack[-1].alternative()
        elif sign == ")":
            ways = stack.pop().total
            stack[-1].atom(ways)
        elif found := _QUANTIFIER.match(match, position):
            width = len(found[0])
            stack[-1].last = _repeated(stack[-1].last, *_bounds(found))
            if match.startswith("+", position + width):
                raise ValueError(_at(position, "a possessive repetition is not taken"))
            width += match.startswith("?", position + width)
        else:
            stack[-1].atom(1)
        if stack[-1].total > WAYS:
            raise ValueError(
                _at(
                    position,
                    "this could be matched in too many ways; use at most three open repetitions "
                    "such as .+, and none within another",
                )
            )
        position += width


def _bounds(quantifier: re.Match[str]) -> tuple[int, int]:
    text = quantifier[0]
    if text in "*+?":
        return int(text == "+"), 1 if text == "?" else NAME_LIMIT
    if quantifier[1] is not None:
        return int(quantifier[1]), int(quantifier[1])
    return int(quantifier[2] or 0), int(quantifier[3] or NAME_LIMIT)


def _repeated(ways: int, least: int, most: int) -> int:
    """Return the ways of something that is there ``least`` to ``most`` times in a row."""
    least, most = min(least, NAME_LIMIT), min(most, NAME_LIMIT)
    if ways == 1:
        return most - least + 1
    total = 0
    for times in range(least, most + 1):
        total += ways ** min(times, WAYS.bit_length())
        if total > WAYS:
            return WAYS + 1
    return total


def _parts(role: str, pattern: re.Pattern[str]) -> list[str | tuple[int | str]]:
    """Return a replacement's texts, and between them the groups that it names."""
    parts: list[str | tuple[int | str]] = []
    end = 0
    for found in _REFERENCE.finditer(role):
        number, name, backslash = found.groups()
        parts.append(role[end : found.start()])
        end = found.end()
        if backslash:
            parts.append("\\")
        elif number is not None and int(number) <= pattern.groups:
            parts.append((int(number),))
        elif name is not None and name in pattern.groupindex:
            parts.append((name,))
        elif number is not None or name is not None:
            raise ValueError(_at(found.start(), f"{found[0]} is no group of match"))
        else:
            raise ValueError(
                _at(found.start(), r"\ must be followed by a group's number or g<name>, or by \ ")
            )
    parts.append(role[end:])
    return [part for part in parts if part != ""]


def _at(position: int, reason: str) -> str:
    return f"at character {position + 1}: {reason}"


def is_preconfigured_role(name: str) -> bool:
    """Tell whether ``name`` reads like one of the preconfigured roles.

    Spaces are squeezed and invisible format characters dropped first, so that no look-alike of
    the reserved names passes.
    """
    visible = "".join(sign for sign in name if unicodedata.category(sign) != "Cf")
    return fold(" ".join(visible.split())) in _RESERVED


_RESERVED = frozenset(fold(name) for name in PRECONFIGURED_ROLES)
