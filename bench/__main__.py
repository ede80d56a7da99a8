"""The bench's command line: ``make bench ARGS="--users 100000 --runs 3"``.

``make bench ARGS="manage --users 1000000"`` measures the management store instead of syncs,
``ARGS=tokens`` what it costs to take somebody's token, ``ARGS=sign-ins`` how many people can sign
in at once.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench import manage, memberships, report, sign_ins, suite, tokens
from bench.crowd import Crowd
from bench.measure import CommandFailed
from bench.workload import Size

OUT = Path(__file__).with_name("out")
MILLION = 1_000_000
START_RUNS = 10


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="bench", description=report.__doc__)
    parser.add_argument("--users", type=int, default=100_000, help="0: none; default: %(default)s")
    parser.add_argument("--runs", type=int, default=3, help="of each command; default: %(default)s")
    parser.add_argument("--million", action="store_true", help="also 1,000,000 users, once: long")
    parser.add_argument("--only", action="store_true", help="this size alone, without the growth")
    parser.add_argument(
        "--crowd",
        type=int,
        default=200_000,
        help="people in the one large group, a twentieth as many groups of fifty; 0: none;"
        " default: %(default)s",
    )
    parser.add_argument("--out", type=Path, default=OUT, help="default: %(default)s")
    return parser.parse_args(words)


def main() -> int:
    """Measure, print, write."""
    options = arguments()
    sizes = {options.users: options.runs} if options.users else {}
    if options.users and not options.only:
        sizes[max(1, options.users // 10)] = options.runs
    if options.million:
        sizes.setdefault(MILLION, 1)
    starts = suite.starts(START_RUNS)
    suites, crowds = [], []
    try:
        for users, runs in sorted(sizes.items()):
            done = suite.measure(Size(users), runs)
            suites.append(done)
            print(f"\n{report.table(done)}\n", flush=True)
        if options.crowd:
            crowds.append(memberships.measure(Crowd(options.crowd), options.runs))
            print(f"\n{memberships.table(crowds[0])}\n", flush=True)
    except CommandFailed as error:
        print(f"The bench stops here: {error}", file=sys.stderr)
        return 1
    print(report.start_line(*starts))
    for path in report.write(options.out, suites, starts, crowds):
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["manage"]:
        sys.exit(manage.main(sys.argv[2:]))
    if sys.argv[1:2] == ["tokens"]:
        sys.exit(tokens.main(sys.argv[2:]))
    if sys.argv[1:2] == ["sign-ins"]:
        sys.exit(sign_ins.main(sys.argv[2:]))
    sys.exit(main())
