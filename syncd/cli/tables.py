"""Fits tables to a width and lays them out as text; pure, so that every width can be tested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from syncd.cli.blocks import Column, Piece, Span, Style, style_of, text_of
from syncd.cli.words import cells, clean, shorten, take

GAP = 2


class Fit(NamedTuple):
    """Which columns are shown, how wide, and which are left out."""

    shown: tuple[int, ...]
    widths: tuple[int, ...]
    left_out: tuple[int, ...]


def natural_widths(columns: Sequence[Column], rows: Sequence[tuple[Piece, ...]]) -> list[int]:
    """Return how wide each column would like to be."""
    widths = [cells(column.title) for column in columns]
    for row in rows:
        for index, piece in enumerate(row):
            wide = cells(clean(text_of(piece)))
            widths[index] = max(widths[index], wide)
    return widths


def fit(columns: Sequence[Column], natural: Sequence[int], width: int | None) -> Fit:
    """Leave out what may be left out, then narrow the widest, until the table fits ``width``."""
    everything = tuple(range(len(columns)))
    if width is None:
        return Fit(everything, tuple(natural), ())
    shown = list(everything)
    least = [
        min(natural[index], max(column.least, cells(column.title)))
        for index, column in enumerate(columns)
    ]

    def needed(widths: Sequence[int]) -> int:
        return sum(widths[index] for index in shown) + GAP * (len(shown) - 1)

    left_out: list[int] = []
    while needed(least) > width:
        expendable = [index for index in shown if columns[index].expendable]
        if not expendable:
            break
        first = max(expendable, key=lambda index: columns[index].expendable)
        shown.remove(first)
        left_out.append(first)
    widths = list(natural)
    while (excess := needed(widths) - width) > 0:
        spare = {index: widths[index] - least[index] for index in shown}
        roomy = [index for index in shown if spare[index] > 0]
        if not roomy:
            break
        widest = max(roomy, key=lambda index: widths[index])
        second = max((widths[index] for index in roomy if index != widest), default=0)
        step = max(widths[widest] - second, 1)
        widths[widest] -= min(step, spare[widest], excess)
    # Narrower than every least width: what is left of the line is all that there is.
    while needed(widths) > width and max(widths[index] for index in shown) > 1:
        widths[max(shown, key=lambda index: widths[index])] -= 1
    return Fit(tuple(shown), tuple(widths[index] for index in shown), tuple(sorted(left_out)))


def fold(text: str, width: int) -> list[str]:
    """Break a text into lines of at most ``width`` columns, at spaces or commas where possible."""
    lines: list[str] = []
    rest = text
    while cells(rest) > width:
        head = take(rest, width)
        at = max(head.rfind(" "), head.rfind(",")) + 1
        if at <= width // 3:
            at = len(head)
        at = max(at, 1)
        lines.append(rest[:at].rstrip())
        rest = rest[at:].lstrip()
    return [*lines, rest]


def pad(text: str, width: int, *, right: bool) -> str:
    """Fill a text with spaces up to ``width`` columns."""
    space = " " * max(width - cells(text), 0)
    return space + text if right else text + space


def lay_out(
    columns: Sequence[Column], rows: Sequence[tuple[Piece, ...]], found: Fit, *, empty: str = ""
) -> Iterator[list[Span]]:
    """Yield the lines of a table's rows, each as spans that already have their width."""
    shown = _shown(columns, found)
    for row in rows:
        folded: list[list[str]] = []
        for index, column, width in shown:
            text = clean(text_of(row[index])) or empty
            if column.fold:
                folded.append(fold(text, width))
            else:
                folded.append([shorten(text, width)])
        for level in range(max(len(parts) for parts in folded)):
            yield _one_line(
                [parts[level] if level < len(parts) else "" for parts in folded],
                [style_of(row[index]) for index, _, _ in shown],
                shown,
            )


def heading(columns: Sequence[Column], found: Fit) -> list[Span]:
    """Return the line of titles."""
    shown = _shown(columns, found)
    return _one_line(
        [shorten(column.title, width) for _, column, width in shown],
        [Style.TITLE] * len(shown),
        shown,
    )


def _shown(columns: Sequence[Column], found: Fit) -> list[tuple[int, Column, int]]:
    pairs = zip(found.shown, found.widths, strict=True)
    return [(index, columns[index], width) for index, width in pairs]


def _one_line(
    texts: list[str], styles: list[Style], shown: list[tuple[int, Column, int]]
) -> list[Span]:
    spans: list[Span] = []
    filled = [at for at, text in enumerate(texts) if text]
    last = filled[-1] if filled else -1
    for at, (text, style, (_, column, width)) in enumerate(zip(texts, styles, shown, strict=True)):
        if at > last:
            break
        if at:
            spans.append(Span(" " * GAP))
        padded = pad(text, width, right=column.right)
        spans.append(Span(padded.rstrip() if at == last else padded, style))
    return spans
