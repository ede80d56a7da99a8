"""Owns the reading of one YAML file into a tree that remembers on which line each key stands.

YAML 1.1 reads ``no`` as false, ``010`` as 8 and ``12:30`` as 750. Booleans are taken as such, so
that a key that expects text can say "put it in quotes"; whatever one YAML reader takes for a
number or a date and another for text is a fault. No message repeats a value, as it may be a secret.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from syncd.errors import Fault

Key = tuple[str | int, ...]

MAXIMUM_BYTES = 1_048_576
MAXIMUM_NODES = 100_000

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
_FALSE = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})\Z")
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]*\Z")
_AMBIGUOUS = (
    (re.compile(r"[-+]?0[0-9_]+\Z|0o[0-7]+\Z"), "an octal number"),
    (re.compile(r"[-+]?0[xX][0-9a-fA-F_]+\Z"), "a hexadecimal number"),
    (re.compile(r"[-+]?0b[01_]+\Z"), "a binary number"),
    (re.compile(r"[-+]?[0-9]+(:[0-9]{1,2})+(\.[0-9_]*)?\Z"), "a number to base 60 or a time"),
    (re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?\Z"), "a number with underscores"),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt\s].*)?\Z"), "a date"),
    (re.compile(r"[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z"), "a number that is not finite"),
    (re.compile(r"[-+]?\.?[0-9][0-9.]*[eE][-+]?[0-9]+\Z"), "a number with an exponent"),
    (re.compile(r"[-+]?[1-9][0-9]{18,}\Z"), "a number too large to count with"),
)

_SYNTAX = (
    ("\\t", "indent with spaces, not with tabs"),
    ("cannot start any token", "put a value that starts with a special character in quotes"),
    ("mapping values", "check the indentation, and put a value that holds a colon in quotes"),
    ("another document", "keep one document, without a `---` in the middle"),
    ("alias", "put a value that starts with * in quotes"),
    ("anchor", "put a value that starts with & in quotes"),
    ("end", "a quote or a bracket is not closed, or closed too often"),
)


@dataclass(slots=True)
class Document:
    """What one file says: its tree, the line of each key and what is wrong with the file."""

    file: str
    directory: Path
    tree: dict[str, Any] = field(default_factory=dict)
    lines: dict[Key, int] = field(default_factory=dict)
    # Unquoted scalars as they stand in the file: what was a boolean may have been meant as text.
    written: dict[Key, str] = field(default_factory=dict)
    # Keys that a fault has been reported for; nothing else is said of them.
    bad: set[Key] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)

    def blame(self, key: Key, line: int | None, message: str) -> None:
        """Note a fault and that ``key`` is not worth another one."""
        self.bad.add(key)
        self.faults.append(Fault(self.file, line, dotted(key), message))


def dotted(key: Key) -> str:
    """Return a key as operators write it: ``ldap.users_dn``, ``mappers[2].name``."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def displayed(path: Path) -> str:
    """Return a path as messages show it: relative to the working directory when it is below."""
    absolute = Path(os.path.normpath(Path.cwd() / path))
    return str(
        absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute
    )


def read_document(path: Path) -> Document:
    """Read a file; what is wrong with it is in the document's faults."""
    document = Document(displayed(path), Path(os.path.abspath(path)).parent)  # noqa: PTH100
    try:
        if path.is_dir():
            document.blame((), None, "is a folder; name the YAML file in it")
            return document
        with path.open("rb") as stream:
            content = stream.read(MAXIMUM_BYTES + 1)
    except OSError as error:
        reason = error.strerror or "it cannot be opened"
        document.blame((), None, f"cannot be read ({reason}); check the path and its permissions")
        return document
    if len(content) > MAXIMUM_BYTES:
        document.blame((), None, f"is larger than {MAXIMUM_BYTES} bytes; this is no configuration")
        return document
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        document.blame((), line, "is not UTF-8 text; save the file as UTF-8")
        return document
    parse_into(document, text)
    return document


def parse_into(document: Document, text: str) -> None:
    """Parse YAML text whose top is a mapping; an empty file is an empty mapping."""
    node = _compose(document, text)
    if node is None:
        return
    if not isinstance(node, yaml.MappingNode):
        message = "must hold keys and values, such as `provider: ldap`, not a list or a text"
        document.blame((), node.start_mark.line + 1, message)
        return
    document.tree = _Builder(document).value(node, ())


def parse_value(file: str, text: str) -> Document:
    """Parse the YAML of one value (from the environment); it stands under the key ``value``."""
    document = Document(file, Path.cwd())
    node = _compose(document, text)
    if node is not None:
        document.tree = {"value": _Builder(document).value(node, ("value",))}
    return document


def _compose(document: Document, text: str) -> yaml.Node | None:
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        document.blame((), line, _syntax_message(error))
    except yaml.YAMLError:
        document.blame((), None, "holds a character that YAML does not allow; remove it")
    except RecursionError:
        document.blame((), None, "is nested too deeply; a configuration has a few levels")
    else:
        return node
    return None


def _syntax_message(error: yaml.MarkedYAMLError) -> str:
    # The library's own words repeat names from the file, and an unquoted password that starts
    # with * or & looks like a name.
    problem = f"{error.context or ''} {error.problem or ''}"
    for part, advice in _SYNTAX:
        if part in problem:
            return f"is not valid YAML here: {advice}"
    return "is not valid YAML here: check the indentation, and put the value in quotes"


class _Builder:
    """Turns YAML nodes into plain values and notes lines and faults in the document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = 0
        self._open: set[int] = set()

    def value(self, node: yaml.Node, key: Key) -> Any:  # noqa: ANN401 - YAML values are anything
        line = node.start_mark.line + 1
        self._document.lines.setdefault(key, line)
        self._nodes += 1
        if id(node) in self._open or self._nodes > MAXIMUM_NODES:
            self._document.blame(key, line, "repeats itself through an alias; write it out")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, key, line)
        if node.tag not in {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}:
            self._document.blame(key, line, "has a YAML tag; remove it (or quote the value)")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, key)
            return [self.value(item, (*key, index)) for index, item in enumerate(node.value)]
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        first: dict[str, int] = {}
        for name_node, value_node in node.value:
            line = name_node.start_mark.line + 1
            if not isinstance(name_node, yaml.ScalarNode):
                self._document.blame(key, line, "has a list or a mapping as a key; use a name")
                continue
            name = name_node.value
            below = (*key, name)
            if name == "<<":
                self._document.blame(below, line, "is a YAML merge; write the keys out")
                continue
            if name in first:
                message = f"stands twice, first on line {first[name]}; keep one"
                self._document.blame(below, line, message)
                continue
            first[name] = line
            self._document.lines[below] = line
            tree[name] = self.value(value_node, below)
        return tree

    def _scalar(self, node: yaml.ScalarNode, key: Key, line: int) -> object:
        text: str = node.value
        if node.tag == "tag:yaml.org,2002:binary" or not node.tag.startswith("tag:yaml.org,2002:"):
            self._document.blame(key, line, "has a YAML tag; put the value in quotes")
            return text
        if node.style is not None:
            return text
        self._document.written[key] = text
        if text in _NULLS:
            return None
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        if _INTEGER.match(text):
            return int(text)
        if _DECIMAL.match(text):
            return float(text)
        for pattern, reading in _AMBIGUOUS:
            if pattern.match(text):
                message = f"looks like {reading} to some YAML readers and like text to others"
                self._document.blame(
                    key, line, f"{message}; put it in quotes, or write a plain decimal number"
                )
                return text
        return text
