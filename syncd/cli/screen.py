"""Shows blocks: a terminal gets colours and tables that fit it, a pipe plain text.

rich is imported for a terminal only.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, TextIO

from syncd.cli import layout, tables
from syncd.cli.blocks import Block, Line, Pairs, Span, Style, Table, line, style_of, text_of
from syncd.cli.words import cells, clean

if TYPE_CHECKING:
    from rich.color import ColorSystem

LOOKS = {
    Style.PLAIN: "",
    Style.TITLE: "bold",
    Style.DIM: "dim",
    Style.GOOD: "green",
    Style.WARN: "yellow",
    Style.BAD: "bold red",
    Style.COMMAND: "bold cyan",
}


class Screen:
    """Shows blocks on one stream.

    ``width`` is None for a pipe: nothing is cut, wrapped or left out there.
    """

    def __init__(self, stream: TextIO, *, width: int | None, color: bool) -> None:
        self._stream = stream
        self.width = width
        self._colors = _color_system(stream) if color and width is not None else None

    @classmethod
    def on(cls, stream: TextIO, *, color: bool) -> Screen:
        """Return the screen for a stream, whatever it is connected to."""
        if not stream.isatty():
            return cls(stream, width=None, color=False)
        plain = not color or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        return cls(stream, width=layout.terminal_width(stream), color=not plain)

    def show(self, blocks: Iterable[Block]) -> None:
        """Write blocks one after the other."""
        for block in blocks:
            if isinstance(block, Line):
                self._line(block)
            elif isinstance(block, Pairs):
                self._pairs(block)
            else:
                self._table(block)

    def _line(self, block: Line) -> None:
        spans = [Span(clean(text_of(piece)), style_of(piece)) for piece in block.pieces]
        head = " " * block.indent
        if block.verbatim:
            self._write([Span(head), *spans])
            return
        dash = 2 if spans and spans[0].text.startswith("- ") else 0
        self._wrapped(spans, head, block.indent, hang=dash)

    def _pairs(self, block: Pairs) -> None:
        labels = [clean(label) for label, _ in block.rows]
        column = max(map(cells, labels), default=0)
        if self.width is not None:
            column = min(column, max(self.width // 3, 8))
        indent = block.indent + column + tables.GAP
        for label, (_, pieces) in zip(labels, block.rows, strict=True):
            spans = [Span(clean(text_of(piece)), style_of(piece)) for piece in pieces]
            head = " " * block.indent + tables.pad(label, column, right=False)
            if cells(label) > column:
                self._write([Span(" " * block.indent + label, Style.DIM)])
                head = ""
            self._wrapped(spans, tables.pad(head, indent, right=False), indent, dim_head=True)

    def _wrapped(
        self,
        spans: list[Span],
        head: str,
        indent: int,
        *,
        hang: int = 0,
        dim_head: bool = False,
    ) -> None:
        """Write spans behind ``head``; what does not fit continues below, indented."""
        lines = [spans] if self.width is None else _wrap(spans, max(self.width - indent - hang, 12))
        for at, part in enumerate(lines or [[]]):
            start = head if at == 0 else " " * (indent + hang)
            self._write([Span(start, Style.DIM if dim_head else Style.PLAIN), *part])

    def _table(self, block: Table) -> None:
        room = None if self.width is None else self.width - block.indent
        found = tables.fit(block.columns, tables.natural_widths(block.columns, block.rows), room)
        margin = Span(" " * block.indent)
        self._write([margin, *tables.heading(block.columns, found)])
        # A pipe's reader counts fields, so none of them may be empty.
        empty = "-" if self.width is None else ""
        for spans in tables.lay_out(block.columns, block.rows, found, empty=empty):
            self._write([margin, *spans])
        if found.left_out:
            names = ", ".join(block.columns[index].title.lower() for index in found.left_out)
            text = f"Left out at this width: {names}. --json has everything."
            self._line(line(Span(text, Style.DIM), indent=block.indent))

    def _write(self, spans: list[Span]) -> None:
        while spans and not spans[-1].text.strip():
            spans.pop()
        if spans:
            # A space in the last column would make the terminal begin another line.
            spans[-1] = Span(spans[-1].text.rstrip(), spans[-1].style)
        painted = (
            self._paint(Span("".join(span.text for span in same), style))
            for style, same in groupby(spans, key=style_of)
        )
        self._stream.write("".join(painted) + "\n")

    def _paint(self, span: Span) -> str:
        if self._colors is None or not span.style:
            return span.text
        from rich.style import Style as Look

        # Straight to the escape sequences: a console's own printing takes a hundred times as long,
        # and a table may have a hundred thousand rows.
        return Look.parse(LOOKS[span.style]).render(span.text, color_system=self._colors)


def _color_system(stream: TextIO) -> ColorSystem | None:
    from rich.color import ColorSystem
    from rich.console import Console

    names = {
        "standard": ColorSystem.STANDARD,
        "256": ColorSystem.EIGHT_BIT,
        "truecolor": ColorSystem.TRUECOLOR,
    }
    return names.get(Console(file=stream, force_terminal=True).color_system or "")


def _wrap(spans: list[Span], width: int) -> list[list[Span]]:
    """Break spans at spaces into lines of at most ``width`` columns."""
    lines: list[list[Span]] = [[]]
    used = 0
    for span in spans:
        # A command to copy stays on one line.
        words = [span.text] if span.style == Style.COMMAND else _words(span.text)
        for word in words:
            wide = cells(word.rstrip(" "))
            if used and used + wide > width:
                lines.append([])
                used = 0
            if not used and len(lines) > 1 and not wide:
                continue
            parts = tables.fold(word, width) if wide > width else [word]
            for at, part in enumerate(parts):
                if at:
                    lines.append([])
                    used = 0
                lines[-1].append(Span(part, span.style))
                used += cells(part)
    return lines


def _words(text: str) -> list[str]:
    """Split after spaces, keeping them, so that joining gives the text back."""
    parts = text.split(" ")
    return [part + " " for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def as_json(value: object, *, ascii_only: bool) -> str:
    """Return one JSON document."""
    return json.dumps(value, indent=2, ensure_ascii=ascii_only, default=str)


def print_json(value: object) -> None:
    """Write one JSON document to standard output, and nothing else."""
    encoding = (sys.stdout.encoding or "ascii").lower().replace("_", "-")
    text = as_json(value, ascii_only=encoding not in {"utf-8", "utf8"})
    # A lone surrogate cannot be written as UTF-8; JSON has an escape for it.
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")


def deliver(write: Callable[[], None]) -> None:
    """Write to standard output; a reader that went away, such as ``head``, is no error."""
    try:
        write()
        sys.stdout.flush()
    except BrokenPipeError:
        silence()


def silence() -> None:
    """Let what is still buffered for a closed pipe go nowhere."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
