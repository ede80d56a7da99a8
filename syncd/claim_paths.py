r"""Owns how configuration names what stands in a token: paths, patterns and templates.

Pure text, known to the room that reads configuration and to the one that applies it.

**A path** goes from a token's members inwards: ``realm_access.roles`` is the member ``roles`` of
the object ``realm_access``, ``emails[0]`` the first element of a list. A dot, bracket or backslash
that belongs to a name is written with a backslash before it: ``https://example\.org/roles``. A list
of objects is gone through element by element: ``teams.name`` is the names of all teams.

**A pattern** is a regular expression that two engines read alike. Python's own says whether it is
one at all; the one that later matches, because it can be stopped, knows more signs, so whatever
only one of them takes as a sign is refused.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]

PATH_LIMIT = 512
PATTERN_LIMIT = 1024
TEMPLATE_LIMIT = 1024
# What may be made of a value in a template, and the other spellings that are taken.
CASES = {
    "lower": "lower",
    "lowercase": "lower",
    "upper": "upper",
    "uppercase": "upper",
    "local_part": "local_part",
    "localpart": "local_part",
}

_INDEX = re.compile(r"\[(0|[1-9][0-9]{0,3})\]")
_QUANTIFIER = re.compile(r"\{(?:\d+(?:,\d*)?|,\d+)\}", re.ASCII)
_NAMED_SIGN = re.compile(r"\\N\{[^}]*\}")
_VARIABLE = re.compile(r"\$\{((?:[^}\\]|\\.)*)\}", re.DOTALL)
_CASES = re.compile(r"((?:[^|\\]|\\.)*)(?:\|(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Variable:
    """A part of a template that stands for something else."""

    # alias: the organization's id; sub: the token's subject; claim: what stands at ``path``.
    kind: str
    path: Path = ()
    # As it is written, for messages.
    text: str = ""
    # lower, upper, local_part: what is made of the value, in this order.
    cases: tuple[str, ...] = ()


def parse_path(text: str) -> Path:
    """Return the names and indexes of a path; raise ValueError with the reason."""
    if len(text) > PATH_LIMIT:
        raise ValueError(f"must have at most {PATH_LIMIT} characters")
    parts: list[str | int] = []
    position = 0
    while True:
        name, position = _name(text, position)
        if not name.strip() or name != name.strip():
            raise ValueError(
                r"must have a name before and after each dot, without spaces around it, such as "
                r"realm_access.roles; a dot in a name is written \."
            )
        parts.append(name)
        while text.startswith("[", position):
            found = _INDEX.match(text, position)
            if found is None:
                raise ValueError(
                    _at(position, r"an index such as [0] is expected; a [ in a name is written \[")
                )
            parts.append(int(found[1]))
            position = found.end()
        if position == len(text):
            return tuple(parts)
        if text[position] != ".":
            raise ValueError(_at(position, "a dot is expected behind an index"))
        position += 1


def _name(text: str, position: int) -> tuple[str, int]:
    name = ""
    while position < len(text) and text[position] not in ".[":
        if text[position] == "\\":
            position += 1
            if position == len(text) or text[position].isalnum() or text[position].isspace():
                raise ValueError(
                    _at(position - 1, r"a \ stands before the sign that it makes part of a name")
                )
        name += text[position]
        position += 1
    return name, position


def check_pattern(text: str) -> None:
    """Raise ValueError, with position and reason, for a pattern that cannot be taken."""
    if len(text) > PATTERN_LIMIT:
        raise ValueError(f"must have at most {PATTERN_LIMIT} characters")
    try:
        with warnings.catch_warnings():
            # Sets in sets, which one of the engines knows already.
            warnings.simplefilter("error", FutureWarning)
            re.compile(text)
    except re.error as error:
        raise ValueError(_at(error.pos or 0, error.msg)) from None
    except FutureWarning:
        raise ValueError(
            r"must not have [[, --, && or ~~ in a set; write \[, \-, \& or \~"
        ) from None
    except (OverflowError, RecursionError) as error:
        raise ValueError(f"must be a regular expression: {error}") from None
    _refuse_what_engines_read_differently(text)


def _refuse_what_engines_read_differently(text: str) -> None:
    position = start = 0
    within = False
    while position < len(text):
        sign = text[position]
        if sign == "\\":
            named = _NAMED_SIGN.match(text, position)
            position = named.end() if named else position + 2
            continue
        if within:
            if text.startswith("[:", position):
                raise ValueError(_at(position, r"a [ in a set is written \["))
            within = sign != "]" or position == start
        elif sign == "[":
            within = True
            start = position + (2 if text.startswith("^", position + 1) else 1)
        elif sign == "{":
            found = _QUANTIFIER.match(text, position)
            if found is None:
                raise ValueError(_at(position, r"a { that counts nothing is written \{"))
            position = found.end()
            continue
        position += 1


def parse_template(text: str) -> tuple[str | Variable, ...]:
    """Return the texts and variables of a template; raise ValueError with the reason."""
    if len(text) > TEMPLATE_LIMIT:
        raise ValueError(f"must have at most {TEMPLATE_LIMIT} characters")
    parts: list[str | Variable] = []
    end = 0
    for found in _VARIABLE.finditer(text):
        parts += [text[end : found.start()], _variable(found[1])]
        end = found.end()
    parts.append(text[end:])
    for part in parts:
        if isinstance(part, str) and "${" in part:
            raise ValueError("has a ${ that is not closed by }")
    if not any(isinstance(part, Variable) and part.kind != "alias" for part in parts):
        raise ValueError(
            "must have something of the token in it, such as ${CLAIM.preferred_username} or "
            "${SUB}; else everybody would have the same name"
        )
    return tuple(part for part in parts if part != "")


def _variable(text: str) -> Variable:
    found = _CASES.fullmatch(text)
    name, further = (found[1].strip(), found[2]) if found else (text.strip(), None)
    cases = []
    for word in [] if further is None else further.split("|"):
        case = CASES.get(word.strip().lower())
        if case is None:
            raise ValueError(
                f'has "{word.strip()}" behind a |; known are lower, upper and local_part'
            )
        cases.append(case)
    shown = f"${{{text}}}"
    if name.upper() in {"ALIAS", "SUB"}:
        return Variable(name.lower(), text=shown, cases=tuple(cases))
    kind, _, path = name.partition(".")
    if kind.upper() != "CLAIM" or not path:
        raise ValueError(f"has {shown}; known are ${{CLAIM.…}}, ${{SUB}} and ${{ALIAS}}")
    try:
        return Variable("claim", parse_path(path), shown, tuple(cases))
    except ValueError as error:
        raise ValueError(f"has {shown}, and the path in it {error}") from None


def _at(position: int, reason: str) -> str:
    return f"at character {position + 1}: {reason}"
