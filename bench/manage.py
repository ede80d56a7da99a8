"""What it costs to ask a management store with very many people: ``python -m bench manage``.

Fills a store through its own schema (``bench.population``) and measures, one after the other: one
person's effective permissions, a page of a hundred people by every filter and every pair, decisions
by the function and through the running API, and everybody's permissions in one pass.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import statistics
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import update

from bench import population as made
from bench import told
from bench.asking import Asked, ask
from bench.population import ORGANIZATION, Population, fill
from syncd.permissions import SECTIONS, operator
from syncd.store.database import Database
from syncd.store.deciding import decide
from syncd.store.effective import everybody, levels
from syncd.store.pages.cursor import cursor
from syncd.store.pages.pages import Pages
from syncd.store.schema import feed_heads
from tests.servers.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OUT = Path(__file__).with_name("out")
WHO = operator("bench")
A_PAGE = 100
WARMING = 3
# Milliseconds, and decisions a second.
AIMS = {"one person's permissions": 5.0, "page": 20.0}
DECISIONS_AIM = 2_000
FILTERS: dict[str, dict[str, Any]] = {
    "all": {},
    "username begins with el": {"username_prefix": "el"},
    "e-mail": {"email": "ada.adler.0000000@bench.test"},
    "role that everybody has": {"role": made.EVERYBODYS},
    "role of one in a hundred": {"role": made.FIRST_ROLE + 4},
    "role of ten people": {"role": made.RARE},
    "role of nobody": {"role": 1},
    "role by groups": {"effective_role": made.FIRST_ROLE},
    "role by groups, ten people": {"effective_role": made.RARE},
    "group of a fifth": {"group": made.LARGE},
    "group of one in a hundred": {"group": made.MIDDLE},
    "group of two hundred": {"group": made.FIRST_GROUP + 7},
    "group tree": {"group_tree": made.FIRST_GROUP},
    "part of a group tree": {"group_tree": made.FIRST_GROUP + 3},
    "enabled": {"enabled": True},
    "not enabled": {"enabled": False},
    "missing": {"missing": True},
    "provider": {"provider": "admin"},
    "restriction": {"restriction": "disabled"},
    "external id": {"external_id": "c0ffee00-0000-4000-8000-000000000007"},
    "a hundred ids": {"ids": list(range(1, 10_000, 100))},
}
# Behind nearly everybody.
NEAR_THE_END = cursor("users", ("jonas.ivanov.99", 0))


@dataclass(frozen=True, slots=True)
class Figure:
    """Milliseconds of one thing done many times."""

    median: float
    p99: float
    people: int = 0

    @classmethod
    def of(cls, milliseconds: list[float], people: int = 0) -> Figure:
        """Return what several runs amount to."""
        ordered = sorted(milliseconds)
        last = ordered[min(len(ordered) - 1, round(0.99 * (len(ordered) - 1)))]
        return cls(round(statistics.median(ordered), 2), round(last, 2), people)


@dataclass(slots=True)
class Measured:
    """What was measured at one size."""

    users: int
    fill_seconds: float
    person: Figure
    pages: dict[str, Figure]
    # By nothing, each one right after somebody changed something.
    changed: Figure
    last_pages: dict[str, Figure]
    pairs: dict[str, Figure]
    # Decisions a second, by batch: of the function, and through the API.
    decided: dict[int, float]
    asked: dict[int, Asked]
    everybody_seconds: float


def measure(url: str, users: int, runs: int, seconds: float, *, api: bool) -> Measured:
    """Fill a store of this size and measure everything on it."""
    size = Population(users)
    print(f"filling {users:,} users, {size.groups:,} groups, {size.memberships:,} memberships")
    database = Database(url)
    started = time.perf_counter()
    fill(database, size)
    filled = time.perf_counter() - started
    chance = random.Random(1)
    people = [chance.randrange(1, users + 1) for _ in range(max(runs * 10, 200))]
    try:
        pages = Pages(database, ORGANIZATION, WHO)
        found = Measured(
            users=users,
            fill_seconds=round(filled, 1),
            person=_repeated(iter(people), lambda person: _levels(database, person)),
            pages={name: _page(pages, each, runs) for name, each in FILTERS.items()},
            changed=_after_changes(database, pages, runs),
            last_pages={
                name: _page(pages, each, runs, NEAR_THE_END) for name, each in FILTERS.items()
            },
            pairs={
                f"{one} + {other}": _page(pages, FILTERS[one] | FILTERS[other], max(3, runs // 4))
                for one, other in itertools.combinations(FILTERS, 2)
                if FILTERS[one] and not FILTERS[one].keys() & FILTERS[other].keys()
            },
            decided={
                batch: _decided(database, users, batch, seconds / 4, chance) for batch in (1, 100)
            },
            asked=ask(url, users, seconds) if api else {},
            everybody_seconds=_everybody(database),
        )
    finally:
        database.close()
    return found


def _levels(database: Database, person: int) -> None:
    with database.of(ORGANIZATION).read_by_key() as connection:
        levels(connection, [person])


def _repeated(over: Iterator[Any], what: Callable[[Any], Any]) -> Figure:
    for _ in range(10):
        what(next(over))
    times = []
    for each in over:
        started = time.perf_counter()
        what(each)
        times.append((time.perf_counter() - started) * 1000)
    return Figure.of(times)


def _page(pages: Pages, filters: dict[str, Any], runs: int, after: str | None = None) -> Figure:
    # As in a process that has served for a while: statements compiled here and prepared there.
    for _ in range(WARMING - 1):
        pages.users(A_PAGE, after, filters)
    found = pages.users(A_PAGE, after, filters)
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        pages.users(A_PAGE, after, filters)
        times.append((time.perf_counter() - started) * 1000)
    return Figure.of(times, len(found["items"]))


def _after_changes(database: Database, pages: Pages, runs: int) -> Figure:
    """Measure a page of whose groups nothing is kept: the feed went on."""
    times = []
    for _ in range(runs):
        with database.write() as connection:
            connection.execute(
                update(feed_heads)
                .where(feed_heads.c.organization_id == ORGANIZATION)
                .values(position=feed_heads.c.position + 1)
            )
        started = time.perf_counter()
        pages.users(A_PAGE, None, {})
        times.append((time.perf_counter() - started) * 1000)
    return Figure.of(times, A_PAGE)


def _decided(
    database: Database, users: int, batch: int, seconds: float, chance: random.Random
) -> float:
    """Return how many decisions a second the function makes, in one thread."""
    done, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        questions: list[dict[str, object]] = [
            {
                "user": chance.randrange(1, users + 1),
                "section": chance.choice(SECTIONS),
                "level": chance.choice(("view", "edit")),
            }
            for _ in range(batch)
        ]
        decide(database, ORGANIZATION, WHO, questions)
        done += batch
    return round(done / elapsed, 1)


def _everybody(database: Database) -> float:
    started = time.perf_counter()
    with database.of(ORGANIZATION).read() as connection:
        for _ in everybody(connection, ORGANIZATION):
            pass
    return round(time.perf_counter() - started, 2)


def table(found: Measured) -> str:
    """Return the figures of one size as text."""
    lines = [
        f"{found.users:,} users (filled in {found.fill_seconds:.0f} s)",
        f"{'milliseconds':<60}{'median':>9}{'p99':>9}{'people':>8}{'at most':>9}",
        _line("one person's effective permissions", found.person, AIMS["one person's permissions"]),
        _line("page: all, right after a change", found.changed, AIMS["page"]),
        *(_line(f"page: {name}", each, AIMS["page"]) for name, each in found.pages.items()),
    ]
    ends = sorted(found.last_pages.items(), key=lambda item: -item[1].median)[:3]
    lines += [_line(f"near the end: {name}", each, AIMS["page"]) for name, each in ends]
    worst = sorted(found.pairs.items(), key=lambda item: -item[1].median)
    over = sum(each.median > AIMS["page"] for _, each in worst)
    lines.append(f"{len(worst)} pairs of filters, {over} above {AIMS['page']:.0f} ms; the slowest:")
    lines += [_line(name, each, AIMS["page"]) for name, each in worst[:8]]
    for batch, rate in found.decided.items():
        lines.append(f"decisions a second, function, {batch} at once: {rate:,.0f}")
    for batch, asked in found.asked.items():
        lines.append(
            f"decisions a second, API, {batch} at once, {asked.clients} clients:"
            f" {asked.decisions_per_second:,.0f} (median {asked.median_ms:.1f} ms,"
            f" p99 {asked.p99_ms:.1f} ms a request; at least {DECISIONS_AIM:,})"
        )
    lines.append(f"everybody's permissions in one pass: {found.everybody_seconds:.1f} s")
    return "\n".join(lines)


def _line(name: str, figure: Figure, aim: float) -> str:
    people = f"{figure.people}" if figure.people else ""
    return f"{name:<60}{figure.median:>9.1f}{figure.p99:>9.1f}{people:>8}{aim:>9.0f}"


def write(folder: Path, several: list[Measured], store: str) -> list[Path]:
    """Write the JSON and the plots of growth; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = folder / f"manage-{store}.json"
    whole = {"cores": os.cpu_count(), "store": store, "sizes": [asdict(each) for each in several]}
    figures.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    return [figures, *told.plots(folder, several)]


@contextmanager
def stores(kind: str) -> Iterator[Callable[[int], str]]:
    """Yield what makes an empty store for a size."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            yield lambda users: f"sqlite:///{folder}/{users}.db"
        return
    with Postgres(durable=True) as postgres:
        yield lambda _: postgres.url(postgres.create())


def main(words: list[str]) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="bench manage", description=__doc__)
    parser.add_argument("--users", type=int, default=100_000, help="default: %(default)s")
    parser.add_argument("--only", action="store_true", help="this size alone, without the growth")
    parser.add_argument("--runs", type=int, default=20, help="of each page; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=8, help="of asking; default: %(default)s")
    parser.add_argument("--store", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--no-api", action="store_true", help="without the running API")
    parser.add_argument("--out", type=Path, default=OUT, help="default: %(default)s")
    parser.add_argument(
        "--docs",
        type=Path,
        nargs="?",
        const=told.DOCS,
        metavar="FOLDER",
        help="also write the figures into performance.md and the plots beside it",
    )
    options = parser.parse_args(words)
    load = os.getloadavg()[0]
    sizes = [options.users]
    while not options.only and sizes[-1] > 10_000 and len(sizes) < 3:
        sizes.append(sizes[-1] // 10)
    several = []
    with stores(options.store) as empty:
        for users in sorted(sizes):
            found = measure(
                empty(users), users, options.runs, options.seconds, api=not options.no_api
            )
            several.append(found)
            print(f"\n{table(found)}\n", flush=True)
    written = write(options.out, several, options.store)
    if options.docs is not None:
        written += told.tell(options.docs, several, options.store, load)
    for path in written:
        print(f"wrote {path}")
    return 0
