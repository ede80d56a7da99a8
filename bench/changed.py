"""Changed-user syncs in a warm process, as a sync worker runs them.

``python -m bench.changed URL CONFIG ROUNDS`` changes people in the directory and syncs them,
again and again in one process, and prints what each round took.
"""

from __future__ import annotations

import json
import sys
import time

import ldap3

from bench import workload
from syncd.app import App
from syncd.logging import configure
from tests.servers.slapd import ADMIN, PASSWORD

CHANGED_PEOPLE = 100


def change(url: str, number: int) -> None:
    """Give a hundred people another surname."""
    server = ldap3.Server(url, get_info=ldap3.NONE)
    admin = ldap3.Connection(server, ADMIN, PASSWORD, auto_bind=True, raise_exceptions=True)
    for person in range(CHANGED_PEOPLE):
        surname = [(ldap3.MODIFY_REPLACE, [f"Changed {number}"])]
        admin.modify(workload.dn_of(person), {"sn": surname})
    admin.unbind()


def rounds(url: str, config: str, count: int) -> list[dict[str, object]]:
    """Return wall seconds and report of each round; the first one warms everything up."""
    app = App.load(config, environ={})
    done: list[dict[str, object]] = []
    for number in range(count + 1):
        change(url, number + int(time.time()))
        started = time.perf_counter()
        report = app.sync("bench", changed=True)
        seconds = time.perf_counter() - started
        if number:
            done.append({"wall": seconds, "report": report})
            read, updated = report["users"]["read"], report["users"]["updated"]
            if report["mode"] != "changed" or updated != CHANGED_PEOPLE:
                message = f"a {report['mode']} sync read {read} and updated {updated}"
                raise SystemExit(message)
    app.close()
    return done


if __name__ == "__main__":
    configure(level="warning", format="json")
    print(json.dumps(rounds(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
