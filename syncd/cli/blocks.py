"""What a report is made of before it meets a terminal or a pipe: lines, pairs and tables.

Text here is raw: whatever shows a block makes control characters visible first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Style(StrEnum):
    """What a piece of text means to the eye; the screen knows the colours."""

    PLAIN = ""
    TITLE = "title"
    DIM = "dim"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    COMMAND = "command"


class Span(NamedTuple):
    """A piece of text with a style."""

    text: str
    style: Style = Style.PLAIN


Piece = str | Span


@dataclass(frozen=True, slots=True)
class Line:
    """One line, wrapped on a terminal with the same indentation.

    A line that begins with ``- `` continues behind the dash.
    """

    pieces: tuple[Piece, ...]
    indent: int = 0
    # Not to be wrapped: somebody may want to copy it.
    verbatim: bool = False


@dataclass(frozen=True, slots=True)
class Pairs:
    """Labels and what belongs to them, aligned."""

    rows: tuple[tuple[str, tuple[Piece, ...]], ...]
    indent: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table."""

    title: str
    # 0 always stays; of the others the highest is left out first when the terminal is narrow.
    expendable: int = 0
    # How narrow it may get before another column is left out.
    least: int = 8
    right: bool = False
    # Continue on the next line instead of cutting with an ellipsis.
    fold: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under titles."""

    columns: tuple[Column, ...]
    rows: Sequence[tuple[Piece, ...]]
    indent: int = 0


Block = Line | Pairs | Table


def line(*pieces: Piece, indent: int = 0) -> Line:
    """Return a line of these pieces."""
    return Line(pieces, indent)


def verbatim(text: str, style: Style = Style.PLAIN, indent: int = 0) -> Line:
    """Return a line that stays as it is, whatever the width."""
    return Line((Span(text, style),), indent, verbatim=True)


def blank() -> Line:
    """Return an empty line."""
    return Line(())


def text_of(piece: Piece) -> str:
    """Return a piece without its style."""
    return piece if isinstance(piece, str) else piece.text


def style_of(piece: Piece) -> Style:
    """Return a piece's style."""
    return Style.PLAIN if isinstance(piece, str) else piece.style
