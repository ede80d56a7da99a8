"""The table, the JSON and the plot of what was measured."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

from bench.plot import Line, growth
from bench.suite import (
    CHANGED,
    FIRST_POSTGRESQL,
    FIRST_SQLITE,
    LDAPSEARCH,
    NAMES,
    READING,
    UNCHANGED_POSTGRESQL,
    UNCHANGED_SQLITE,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.measure import Series
    from bench.memberships import Memberships
    from bench.workload import Size

# How many times ldapsearch's wall time each command may take: what is wanted, and the most.
GOALS = {
    READING: (None, 2.5),
    FIRST_SQLITE: (12, 20),
    FIRST_POSTGRESQL: (12, 20),
    UNCHANGED_SQLITE: (5, 7),
    UNCHANGED_POSTGRESQL: (5, 7),
}
# Seconds for a hundred changed people in a warm process, at any size up to a million.
CHANGED_GOAL = 1.0
MEMORY_GOALS_MB = {100_000: 150, 1_000_000: 200}
HELP_GOAL = 5


class Measured(Protocol):
    """What was measured at one size."""

    @property
    def size(self) -> Size:
        """How many people there were."""

    @property
    def series(self) -> Mapping[str, Series]:
        """The runs of each command, by its name."""


def table(suite: Measured) -> str:
    """Return the figures of one size as text."""
    limit = suite.series[LDAPSEARCH].median
    size = suite.size
    lines = [
        f"{size.users:,} users, {size.roles:,} roles, {size.memberships:,} memberships",
        f"{'whole command':<28}{'median s':>9}{'ratio':>7}{'aim':>5}{'most':>6}{'peak MB':>9}",
    ]
    for name in NAMES:
        series = suite.series[name]
        aim, most = GOALS.get(name, (None, None))
        memory = f"{series.peak_rss_bytes / 1e6:.0f}" if series.peak_rss_bytes else ""
        lines.append(
            f"{name:<28}{series.median:>9.2f}{series.median / limit:>7.1f}"
            f"{aim or '':>5}{most or '':>6}{memory:>9}"
        )
    if size.users in MEMORY_GOALS_MB:
        lines.append(f"(peak memory: at most {MEMORY_GOALS_MB[size.users]} MB)")
    warm = [suite.series[name] for name in CHANGED.values() if suite.series[name].wall]
    if warm:
        lines.append("")
        lines.append(f"{'100 changed people, warm':<34}{'median s':>9}{'worst s':>9}{'most':>6}")
        lines += [
            f"{one.name:<34}{one.median:>9.3f}{max(one.wall):>9.3f}{CHANGED_GOAL:>6.1f}"
            for one in warm
        ]
    staged = [suite.series[name] for name in NAMES if suite.series[name].stages]
    if staged:
        names = list(dict.fromkeys(stage for one in staged for stage in one.stage_medians()))
        lines.append("")
        lines.append(f"{'seconds per stage':<28}" + "".join(f"{name:>11}" for name in names))
        for one in staged:
            medians = one.stage_medians()
            figures = "".join(f"{medians.get(name, 0.0):>11.2f}" for name in names)
            lines.append(f"{one.name:<28}{figures}")
    return "\n".join(lines)


def start_line(bare: Series, asked: Series) -> str:
    """Return how the help's start compares with the interpreter's."""
    return (
        f"{asked.name}: {asked.median * 1000:.0f} ms, {asked.median / bare.median:.1f} times"
        f" a bare interpreter's {bare.median * 1000:.0f} ms (at most {HELP_GOAL} times)"
    )


def as_json(
    suites: Sequence[Measured], starts: tuple[Series, Series], crowds: Sequence[Memberships]
) -> dict[str, Any]:
    """Return everything that was measured, and where."""
    packages = ("syncd", "ldap3", "sqlalchemy", "psycopg")
    return {
        "measured_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "packages": {name: version(name) for name in packages},
        "starts": {one.name: one.as_json() for one in starts},
        "sizes": [
            {
                "users": suite.size.users,
                "roles": suite.size.roles,
                "memberships": suite.size.memberships,
                "commands": {
                    name: suite.series[name].as_json()
                    | {"ratio": round(suite.series[name].median / limit, 2)}
                    for name in NAMES
                },
                "changed": {
                    name: suite.series[name].as_json()
                    for name in CHANGED.values()
                    if suite.series[name].wall
                },
            }
            for suite in suites
            for limit in (suite.series[LDAPSEARCH].median,)
        ],
        "memberships": [each.as_json() for each in crowds],
    }


def write(
    folder: Path,
    suites: Sequence[Measured],
    starts: tuple[Series, Series],
    crowds: Sequence[Memberships] = (),
) -> list[Path]:
    """Write the JSON and the plot; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    figures, plot = folder / "bench.json", folder / "growth.svg"
    text = json.dumps(as_json(suites, starts, crowds), indent=2)
    figures.write_text(text + "\n", encoding="utf-8")
    if not suites:
        return [figures]
    lines = [
        Line(name, [(suite.size.users, suite.series[name].median) for suite in suites])
        for name in NAMES
    ]
    plot.write_text(growth(lines), encoding="utf-8")
    return [figures, plot]
