"""What it costs to take somebody's token: ``python -m bench tokens``.

Validation of realistic tokens beside the bare check of their signature, in turns within one run;
the same by several threads; what a cold key cache costs; and, of the same person, what mapping his
claims and writing him into the store costs (``bench.arriving``).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import arriving, claimed
from bench.claimed import ALGORITHMS, ID_TOKEN, NOTHING_BUT_THE_SIGNATURE, Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

OUT = Path(__file__).with_name("out")
# How many times the bare check of the signature a whole validation may take.
GOALS = {"RS256": 3.0, "ES256": 1.4}
THREADS = (1, 2, 4)
# Small enough to be done between two of whatever else the machine does.
A_BATCH = 4
# What cannot be done in small batches is done so often.
TIMES = 5


class NotAsExpected(Exception):
    """A token was not taken, or not refused, as it should be; a figure of it would mean nothing."""


@dataclass(slots=True)
class Measured:
    """Microseconds of each operation by algorithm, and the rest."""

    token_bytes: dict[str, int]
    microseconds: dict[str, dict[str, float]]
    # Validations a second of all threads together, by algorithm and number of threads.
    together: dict[str, dict[int, float]]
    cold_milliseconds: float
    warm_fetches: int

    def ratio(self, algorithm: str, operation: str) -> float:
        """Return how many times the bare check of the signature an operation takes."""
        of = self.microseconds[algorithm]
        return of[operation] / of[NOTHING_BUT_THE_SIGNATURE]


def best(operations: Sequence[Operation], seconds: float) -> dict[str, float]:
    """Return the microseconds of each operation: the least of many small batches, in turns.

    In turns, so that whatever else the machine does slows all of them; the least, because nothing
    makes one faster than it is.
    """
    for operation in operations:
        if not operation.holds(operation.run()):
            raise NotAsExpected(operation.name)
    least = dict.fromkeys((operation.name for operation in operations), float("inf"))
    end = time.perf_counter() + seconds * len(operations)
    while time.perf_counter() < end:
        for name, run, _ in operations:
            started = time.perf_counter()
            for _ in range(A_BATCH):
                run()
            least[name] = min(least[name], time.perf_counter() - started)
    return {name: round(took / A_BATCH * 1e6, 2) for name, took in least.items()}


def together(run: Callable[[], object], threads: int, seconds: float) -> float:
    """Return how often a second several threads do it, all of them counted."""
    counts = [0] * threads
    begin = threading.Barrier(threads + 1)

    def work(place: int) -> None:
        begin.wait()
        done, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            for _ in range(A_BATCH):
                run()
            done += A_BATCH
        counts[place] = done

    workers = [threading.Thread(target=work, args=(place,)) for place in range(threads)]
    for worker in workers:
        worker.start()
    begin.wait()
    for worker in workers:
        worker.join()
    return round(sum(counts) / seconds, 1)


def measure(seconds: float) -> Measured:
    """Measure validation: every algorithm, every way a token can go."""
    microseconds, rates, sizes = {}, {}, {}
    with claimed.served() as provider:
        for algorithm in ALGORITHMS:
            operations = claimed.operations(provider, algorithm)
            microseconds[algorithm] = best(operations, seconds)
            (whole,) = (each for each in operations if each.name == ID_TOKEN)
            rates[algorithm] = {
                threads: max(together(whole.run, threads, seconds / TIMES) for _ in range(TIMES))
                for threads in THREADS
            }
            sizes[algorithm] = len(provider.id_token(algorithm))
        warm = provider.fetches
        cold = min(claimed.cold(provider) for _ in range(TIMES))
    return Measured(sizes, microseconds, rates, round(cold * 1e3, 2), warm)


def table(found: Measured) -> str:
    """Return the figures as text."""
    lines = [f"{'microseconds, times the bare signature':<44}{'us':>9}{'times':>8}{'most':>6}"]
    for algorithm, operations in found.microseconds.items():
        lines.append(f"{algorithm}, an ID token of {found.token_bytes[algorithm]:,} bytes")
        for name, took in operations.items():
            most = GOALS.get(algorithm, "") if name == ID_TOKEN else ""
            times = found.ratio(algorithm, name)
            lines.append(f"  {name:<42}{took:>9.1f}{times:>8.2f}{most:>6}")
    lines += ["", f"{'ID tokens a second, by threads':<44}" + "".join(f"{n:>9}" for n in THREADS)]
    for algorithm, rates in found.together.items():
        lines.append(f"  {algorithm:<42}" + "".join(f"{rates[n]:>9,.0f}" for n in THREADS))
    lines += [
        "",
        f"fetches of the provider's keys in all of that: {found.warm_fetches}",
        f"first token of a process, keys fetched on the way: {found.cold_milliseconds:.1f} ms",
    ]
    return "\n".join(lines)


def main(words: list[str]) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="bench tokens", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2, help="of each; default: %(default)s")
    parser.add_argument(
        "--people", type=int, default=300, help="who arrive at the store; default: %(default)s"
    )
    parser.add_argument("--store", choices=("both", "postgresql", "sqlite"), default="both")
    parser.add_argument("--out", type=Path, default=OUT, help="default: %(default)s")
    options = parser.parse_args(words)
    try:
        found = measure(options.seconds)
        print(table(found), flush=True)
        mapped = best(arriving.mapping(), options.seconds)
        print(f"\n{arriving.mapping_table(mapped)}", flush=True)
        arrived = arriving.measure(options.store, options.people)
        print(f"\n{arriving.table(arrived)}")
    except NotAsExpected as error:
        print(f"The bench stops here: {error} did not end as it should", file=sys.stderr)
        return 1
    whole = {
        "cores": os.cpu_count(),
        "validation": asdict(found),
        "mapping_microseconds": mapped,
        "arrival_milliseconds": arrived,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "tokens.json"
    path.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path}")
    return 0
