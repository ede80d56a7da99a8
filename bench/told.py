"""What was measured of the management store as its part of docs/performance.md, and its plots.

The part stands between two comments and is written anew by every run that is told to.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.plot import Line, growth

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.manage import Figure, Measured

DOCS = Path(__file__).parents[1] / "docs"
CHAPTER = "performance.md"
BEGIN = "<!-- written by `python -m bench manage --docs`: begin -->"
END = "<!-- written by `python -m bench manage --docs`: end -->"
QUESTIONS, DECISIONS = "manage-questions.svg", "manage-decisions.svg"
PAGE_AIM = 20.0


def tell(folder: Path, several: Sequence[Measured], store: str, load: float) -> list[Path]:
    """Write the part of the chapter and the plots; return their paths."""
    chapter = folder / CHAPTER
    text = chapter.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    part = f"{BEGIN}\n\n{part_of(several, store, load)}\n\n{END}"
    chapter.write_text(f"{before}{part}{after}", encoding="utf-8")
    return [chapter, *plots(folder, several)]


def plots(folder: Path, several: Sequence[Measured]) -> list[Path]:
    """Write the plots of growth; return their paths."""
    questions, decisions = folder / QUESTIONS, folder / DECISIONS
    title = "Questions to the management store: seconds over users"
    questions.write_text(growth(_questions(several), title), encoding="utf-8")
    title = "Permission decisions a second over users"
    decisions.write_text(growth(_decisions(several), title, unit=""), encoding="utf-8")
    return [questions, decisions]


def part_of(several: Sequence[Measured], store: str, load: float) -> str:
    """Return the tables, and the plots below them."""
    largest = several[-1]
    worst = sorted(largest.pairs.items(), key=lambda item: -item[1].median)
    over = sum(each.median > PAGE_AIM for _, each in worst)
    slowest = "; ".join(f"{name} {each.median:.0f}" for name, each in worst[:3])
    pages = sorted(largest.pages.items(), key=lambda item: item[1].median)
    return "\n".join(
        [
            f"The machine had a load of {load:.1f} when the run began.",
            "",
            f"| people ({store}) | {' | '.join(f'{each.users:,}' for each in several)} |",
            f"|---|{'---|' * len(several)}",
            *_rows(several),
            "",
            f"Milliseconds of a page of 100 at {largest.users:,} people:",
            "",
            "| page by | median | 99th | people |",
            "|---|---|---|---|",
            *(_page(name, each) for name, each in pages),
            "",
            f"Of {len(worst)} pairs of filters {over} take longer than {PAGE_AIM:.0f} ms.",
            f"The slowest: {slowest} ms.",
            "",
            f"![Seconds of each question over the number of people]({QUESTIONS})",
            "",
            f"![Permission decisions a second over the number of people]({DECISIONS})",
        ]
    )


def _rows(several: Sequence[Measured]) -> list[str]:
    def row(name: str, shown: Callable[[Measured], str]) -> str:
        return _joined(name, [shown(each) for each in several])

    rows = [
        row("one person's effective permissions, ms", lambda each: _both(each.person)),
        row("page by nothing, ms", lambda each: _both(each.pages["all"])),
        row("the same right after a change, ms", lambda each: _both(each.changed)),
        row("slowest page by one filter, ms", lambda each: f"{_slowest(each):.1f}"),
    ]
    for batch in several[0].decided:
        rates = [f"{each.decided[batch]:,.0f}" for each in several]
        rows.append(_joined(f"decisions a second, function, {_at_once(batch)}", rates))
    for batch in sorted(several[0].asked):
        rates = [f"{each.asked[batch].decisions_per_second:,.0f}" for each in several]
        rows.append(_joined(f"decisions a second, API, {_at_once(batch)}", rates))
    rows.append(
        row("everybody's permissions, one pass, s", lambda each: f"{each.everybody_seconds:.1f}")
    )
    rows.append(row("filling the store, s", lambda each: f"{each.fill_seconds:.0f}"))
    return rows


def _both(figure: Figure) -> str:
    return f"{figure.median:.1f} (99th: {figure.p99:.1f})"


def _slowest(found: Measured) -> float:
    return max(each.median for each in found.pages.values())


def _joined(*cells: str | Sequence[str]) -> str:
    several = [each for cell in cells for each in ([cell] if isinstance(cell, str) else cell)]
    return f"| {' | '.join(several)} |"


def _at_once(batch: int) -> str:
    return "one at a time" if batch == 1 else f"{batch} at once"


def _page(name: str, figure: Figure) -> str:
    named = "nothing" if name == "all" else name
    return f"| {named} | {figure.median:.1f} | {figure.p99:.1f} | {figure.people} |"


def _questions(several: Sequence[Measured]) -> list[Line]:
    points: list[tuple[float, float]]
    points = [(each.users, each.person.median / 1000) for each in several]
    lines = [Line("one person's permissions", points)]
    for name in ("all", "role of ten people", "restriction", "group tree"):
        points = [(each.users, each.pages[name].median / 1000) for each in several]
        lines.append(Line(f"page by {'nothing' if name == 'all' else name}", points))
    points = [(each.users, each.everybody_seconds) for each in several]
    return [*lines, Line("everybody, one pass", points)]


def _decisions(several: Sequence[Measured]) -> list[Line]:
    lines = []
    for batch in several[0].decided:
        name = _at_once(batch)
        points: list[tuple[float, float]]
        points = [(each.users, each.decided[batch]) for each in several]
        lines.append(Line(f"function, {name}", points))
        if all(batch in each.asked for each in several):
            points = [(each.users, each.asked[batch].decisions_per_second) for each in several]
            lines.append(Line(f"API, {name}", points))
    return lines
