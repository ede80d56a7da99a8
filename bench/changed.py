"""Changed-user syncs in a warm process, as a sync worker runs them.

``python -m bench.changed URL CONFIG ROUNDS`` changes people in the directory and syncs them,
again and again in one process, and prints what each round took. ``… ROUNDS SCENARIO USERS FIRST``
changes memberships of the directory that ``bench.crowd`` makes, from its change FIRST on.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import ldap3

from bench import crowd, workload
from syncd.app import App
from syncd.logging import configure
from tests.servers.slapd import ADMIN, PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable

CHANGED_PEOPLE = 100


def change(url: str, number: int) -> None:
    """Give a hundred people another surname."""
    server = ldap3.Server(url, get_info=ldap3.NONE)
    admin = ldap3.Connection(server, ADMIN, PASSWORD, auto_bind=True, raise_exceptions=True)
    for person in range(CHANGED_PEOPLE):
        surname = [(ldap3.MODIFY_REPLACE, [f"Changed {number}"])]
        admin.modify(workload.dn_of(person), {"sn": surname})
    admin.unbind()


def rounds(
    config: str, count: int, make: Callable[[int], None], changed: Callable[[Any], bool]
) -> list[dict[str, object]]:
    """Return wall seconds and report of each round; the first one warms everything up.

    ``make`` changes the directory and ``changed`` tells whether a report has the whole change.
    """
    app = App.load(config, environ={})
    done: list[dict[str, object]] = []
    for number in range(count + 1):
        make(number)
        started = time.perf_counter()
        report = app.sync("bench", changed=True)
        seconds = time.perf_counter() - started
        if number:
            done.append({"wall": seconds, "report": report})
            if report["mode"] != "changed" or not changed(report):
                raise SystemExit(f"a {report['mode']} sync missed the change: {report}")
    app.close()
    return done


def main(words: list[str]) -> list[dict[str, object]]:
    """Run the rounds that the command line asks for."""
    url, config, count, *of_crowd = words
    if not of_crowd:
        now = int(time.time())
        return rounds(
            config,
            int(count),
            lambda number: change(url, number + now),
            lambda report: report["users"]["updated"] == CHANGED_PEOPLE,
        )
    scenario, users, first = of_crowd
    size = crowd.Crowd(int(users))
    least = size.changed(scenario)
    return rounds(
        config,
        int(count),
        lambda number: crowd.change(url, size, scenario, int(first) + number),
        lambda report: report["memberships"]["removed"] >= least,
    )


if __name__ == "__main__":
    configure(level="warning", format="json")
    print(json.dumps(main(sys.argv[1:])))
