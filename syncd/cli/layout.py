"""Lays out help text: wrapped paragraphs and two aligned columns. Knows neither typer nor rich."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from syncd.cli import catalog

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TextIO

WIDEST = 100
NARROWEST = 40
DEEPEST_TERM = 34


def terminal_width(stream: TextIO | None = None) -> int:
    """Return the columns to write for: ``$COLUMNS``, else the terminal's, else 80."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return max(int(columns), NARROWEST)
    try:
        found = os.get_terminal_size((stream or sys.stdout).fileno()).columns
    except (AttributeError, OSError, ValueError):
        found = 0
    return max(found or 80, NARROWEST)


def wrap(text: str, width: int) -> list[str]:
    """Break ``text`` at spaces into lines of at most ``width``; a longer word stands alone."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line] if line else lines


def paragraphs(text: str, width: int, indent: int = 0) -> list[str]:
    """Wrap each paragraph of a docstring; indented lines, such as examples, stay as they are."""
    lines: list[str] = []
    for paragraph in text.strip().split("\n\n"):
        if lines:
            lines.append("")
        if paragraph.startswith("  "):
            lines.extend(" " * indent + line for line in paragraph.splitlines())
        else:
            lines.extend(" " * indent + line for line in wrap(paragraph, width - indent))
    return lines


def definitions(
    title: str, rows: Sequence[tuple[str, str]], width: int, term_width: int = 0
) -> list[str]:
    """Lay out a titled list of terms and what they mean."""
    if not rows:
        return []
    deepest = max(term_width, *(len(term) for term, _ in rows))
    column = min(deepest, DEEPEST_TERM) + 4
    lines = ["", f"{title}:"]
    for term, text in rows:
        wrapped = wrap(text, max(width - column, 20))
        head = f"  {term}"
        if len(head) + 2 > column:
            lines.append(head)
        else:
            lines.append(f"{head:<{column}}{wrapped[0] if wrapped else ''}".rstrip())
            wrapped = wrapped[1:]
        lines.extend(" " * column + line for line in wrapped)
    return lines


def call(entry: catalog.Entry) -> str:
    """Return a command with its arguments."""
    return f"{entry.path} {entry.arguments}".rstrip()


def global_rows() -> list[tuple[str, str]]:
    """Return the options that every command takes."""
    return [
        (" ".join(filter(None, (", ".join(option.names), option.metavar))), option.text)
        for option in catalog.GLOBAL_OPTIONS.values()
    ]


def root_help(width: int | None = None) -> str:
    """Return what ``syncd --help`` says."""
    width = min(width or terminal_width(), WIDEST)
    longest = max(len(call(entry)) for entry in catalog.COMMANDS.values())
    lines = ["Usage: syncd [OPTIONS] COMMAND [ARGUMENTS]", ""]
    lines += paragraphs(catalog.PURPOSE, width)
    for title, entries in catalog.SECTIONS:
        rows = [(call(entry), entry.summary) for entry in entries]
        lines += definitions(title, rows, width, longest)
    rows = [
        *global_rows(),
        ("--version", "print the version"),
        ("-h, --help", "print this, or what one command takes: syncd COMMAND --help"),
    ]
    lines += definitions("Options, before or after the command", rows, width, longest)
    lines += definitions("Exit codes", catalog.EXIT_CODES, width)
    return "\n".join(lines)


def family_help(first: str, width: int | None = None) -> str:
    """Return the help for a word that is only the beginning of commands, such as ``config``."""
    rows = [(call(entry), entry.summary) for entry in catalog.words_below(first)]
    usage = [f"Usage: syncd {first} COMMAND"]
    return "\n".join(usage + definitions("Commands", rows, min(width or terminal_width(), WIDEST)))


def command_help(
    usage: str,
    text: str,
    sections: Iterable[tuple[str, Sequence[tuple[str, str]]]],
    width: int | None = None,
) -> str:
    """Return what ``syncd COMMAND --help`` says."""
    width = min(width or terminal_width(), WIDEST)
    lines = [*wrap(f"Usage: {usage}", width), "", *paragraphs(text, width)]
    filled = [(title, rows) for title, rows in sections if rows]
    longest = max((len(term) for _, rows in filled for term, _ in rows), default=0)
    for title, rows in filled:
        lines += definitions(title, rows, width, longest)
    return "\n".join(lines)
