"""What memberships cost: a role and a group of everybody, and ten thousand groups of fifty."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench import crowd, workload
from bench.measure import Series
from bench.suite import DONE, LDAPSEARCH, SYNCD, ldapsearch, password_file
from bench.written import WrittenToPostgresql, WrittenToSqlite
from tests.servers.postgres import Postgres
from tests.servers.slapd import READER, Slapd

if TYPE_CHECKING:
    from bench.crowd import Crowd
    from bench.written import Written

STORES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
FIRST, UNCHANGED = "first sync", "unchanged sync"
CHANGED_FULL, CHANGED_WARM = "full, few changed", "changed, warm"
COMMANDS = (FIRST, UNCHANGED, CHANGED_FULL, CHANGED_WARM)
WARM_ROUNDS = 3
MEMORY_GOAL_MB = 200


class Cell(NamedTuple):
    """What one figure is of."""

    scenario: str
    # Of STORES; empty for ldapsearch.
    store: str
    command: str


class Memberships:
    """One directory, and the scenarios that are run against it."""

    def __init__(self, size: Crowd, folder: Path, directory: Slapd, postgres: Postgres) -> None:
        self.size = size
        self.series: dict[Cell, Series] = {}
        # The most rows that any run of a command wrote.
        self.written: dict[Cell, int] = {}
        self._folder = folder
        self._directory = directory
        self._postgres = postgres
        self._password_file = password_file(folder)
        # Of the large group, and of the many: how often each has been changed.
        self._changes = {True: 0, False: 0}

    def round(self, number: int, scenarios: tuple[str, ...], stores: tuple[str, ...]) -> None:
        """Run every scenario once on every store."""
        for scenario in scenarios:
            _, bases = crowd.IMPORTS[scenario]
            words = ldapsearch(self._directory.url, self._password_file, bases)
            self._of(scenario, "", LDAPSEARCH).run(words, reports=False, exits=DONE)
            for kind in stores:
                folder = self._folder / f"{kind}-{number}-{scenario.replace(' ', '-')}"
                if kind == "sqlite":
                    self._run(scenario, kind, folder, f"sqlite:///{folder}/store.db")
                else:
                    with self._postgres.database() as url:
                        self._run(scenario, kind, folder, url)
                shutil.rmtree(folder)

    def as_json(self) -> dict[str, Any]:
        """Return everything that was measured."""
        return {
            "users": self.size.users,
            "groups": self.size.groups,
            "figures": [
                {
                    **cell._asdict(),
                    **one.as_json(),
                    "memberships": self.size.memberships(cell.scenario),
                    "ratio": round(one.median / self._of(cell.scenario, "", LDAPSEARCH).median, 2),
                    "rows_written": self.written.get(cell),
                }
                for cell, one in self.series.items()
            ],
        }

    def _of(self, scenario: str, store: str, command: str) -> Series:
        cell = Cell(scenario, store, command)
        return self.series.setdefault(cell, Series(" ".join(each for each in cell if each)))

    def _run(self, scenario: str, kind: str, folder: Path, store: str) -> None:
        imports, _ = crowd.IMPORTS[scenario]
        config = workload.configure(folder, url=self._directory.url, store=store, imports=imports)
        syncd: list[str | Path] = [SYNCD, "--config", config, "--json"]
        Series("db upgrade").run([*syncd, "db", "upgrade"], reports=False, exits=DONE)
        sync = [*syncd, "sync", "bench"]
        self._of(scenario, kind, FIRST).run(sync, reports=True, exits=DONE)
        written = self._counter(kind, folder, store)
        self._of(scenario, kind, UNCHANGED).run(sync, reports=True, exits=DONE)
        done = self._count(Cell(scenario, kind, UNCHANGED), written, 0)
        crowd.change(self._directory.url, self.size, scenario, self._next(scenario))
        self._of(scenario, kind, CHANGED_FULL).run(sync, reports=True, exits=DONE)
        done = self._count(Cell(scenario, kind, CHANGED_FULL), written, done)
        words = [sys.executable, "-m", "bench.changed", self._directory.url, str(config)]
        words += [str(WARM_ROUNDS), scenario, str(self.size.users)]
        words.append(str(self._next(scenario, count=WARM_ROUNDS + 1)))
        self._of(scenario, kind, CHANGED_WARM).run_warm(words)
        self._count(Cell(scenario, kind, CHANGED_WARM), written, done, runs=WARM_ROUNDS + 1)

    def _counter(self, kind: str, folder: Path, store: str) -> Written:
        if kind == "sqlite":
            return WrittenToSqlite(f"{folder}/store.db")
        return WrittenToPostgresql(self._postgres, store)

    def _count(self, cell: Cell, written: Written, before: int, *, runs: int = 1) -> int:
        now = written.rows()
        self.written[cell] = max(self.written.get(cell, 0), -((before - now) // runs))
        return now

    def _next(self, scenario: str, *, count: int = 1) -> int:
        """Return the number of the next change, of which ``count`` are made."""
        of_many = scenario == crowd.MANY_GROUPS
        self._changes[of_many] += count
        return self._changes[of_many] - count


def measure(
    size: Crowd,
    runs: int,
    *,
    scenarios: tuple[str, ...] = tuple(crowd.IMPORTS),
    stores: tuple[str, ...] = tuple(STORES),
) -> Memberships:
    """Load a directory of this size and run everything against it ``runs`` times."""
    print(f"loading {size.users:,} users, a group of them all,", end=" ", flush=True)
    print(f"{size.groups:,} groups of {crowd.MEMBERS_A_GROUP}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Slapd(
            ldif="".join(crowd.ldif(size)),
            accounts=(READER,),
            overlays=("syncprov",),
            options=crowd.OPTIONS,
        ) as directory,
        Postgres(durable=True) as postgres,
    ):
        suite = Memberships(size, Path(folder), directory, postgres)
        for number in range(1, runs + 1):
            print(f"memberships, round {number} of {runs}", flush=True)
            suite.round(number, scenarios, stores)
        return suite


def table(suite: Memberships) -> str:
    """Return the figures as text."""
    size = suite.size
    lines = [
        f"{size.users:,} users; everybody in one group; {size.groups:,} groups of fifty",
        f"(peak memory: at most {MEMORY_GOAL_MB} MB; rows: those written by one sync)",
    ]
    for scenario in dict.fromkeys(cell.scenario for cell in suite.series):
        limit = suite.series[Cell(scenario, "", LDAPSEARCH)].median
        memberships = size.memberships(scenario)
        lines += [
            "",
            f"{scenario}: {memberships:,} memberships",
            f"{'':<30}{'median s':>9}{'ratio':>7}{'members/s':>11}{'peak MB':>9}{'rows':>11}",
        ]
        for cell, one in suite.series.items():
            if cell.scenario != scenario:
                continue
            name = f"{cell.command} {STORES.get(cell.store, '')}"
            memory = f"{one.peak_rss_bytes / 1e6:.0f}" if one.peak_rss_bytes else ""
            rows = suite.written.get(cell)
            lines.append(
                f"{name:<30}{one.median:>9.2f}{one.median / limit:>7.1f}"
                f"{memberships / one.median:>11,.0f}{memory:>9}"
                f"{'' if rows is None else format(rows, ','):>11}"
            )
        staged = [(c, o) for c, o in suite.series.items() if c.scenario == scenario and o.stages]
        names = list(dict.fromkeys(stage for _, one in staged for stage in one.stage_medians()))
        lines.append(f"{'seconds per stage':<30}" + "".join(f"{name:>11}" for name in names))
        for cell, one in staged:
            medians = one.stage_medians()
            figures = "".join(f"{medians.get(name, 0.0):>11.2f}" for name in names)
            lines.append(f"{cell.command + ' ' + STORES[cell.store]:<30}{figures}")
    return "\n".join(lines)
