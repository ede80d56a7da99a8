"""How many people can sign in: ``python -m bench sign-ins``.

Browsers without scripts sign in at a running ``syncd run`` with the directory's password (slapd,
over TLS) and with an identity provider (over HTTP, on loopback): as fast as they can, then at a
steady rate, and at the same rate while a full sync writes another organization of the same
directory into the same store. What is measured is what a person waits for syncd: the pages, with
all that they wait for themselves.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bench import workload
from tests.acceptance.daemons import Daemon
from tests.integration.web.visiting import SESSION, Visiting
from tests.servers.bent_provider import BentProvider
from tests.servers.postgres import Postgres
from tests.servers.relying_party import Browser
from tests.servers.slapd import PEOPLE, READER, Slapd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.workload import Size

OUT = Path(__file__).with_name("out")
SYNCD = Path(sysconfig.get_path("scripts")) / "syncd"
DIRECTORY, PROVIDER, OTHERS = "bench", "login", ("other-1", "other-2")
PASSWORD = "correct horse battery staple"  # noqa: S105 - of people who are not there
# So many people have a password; each signs in again and again.
WITH_PASSWORDS = 500
FAST, STEADY, SYNCING = "as fast as can be", "steadily", "during a full sync"
# How many times as long a sign-in may take during a sync.
MOST_TIMES = 2.0
MILLISECONDS = 1e3
DONE = (0, 5)


class NotAsExpected(Exception):
    """A command failed; a figure of it would mean nothing."""


@dataclass(slots=True)
class Waited:
    """How long people waited, in seconds, and how many were not let in."""

    seconds: float = 0.0
    times: list[float] = field(default_factory=list)
    refused: int = 0

    @property
    def rate(self) -> float:
        """How many a second, of all browsers together."""
        return len(self.times) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Return the milliseconds within which this share was in."""
        if not self.times:
            return math.nan
        ordered = sorted(self.times)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] * MILLISECONDS


@dataclass
class Place:
    """A configuration in a folder; a daemon runs there."""

    folder: Path

    def command(self, *words: str) -> list[str]:
        """Return the words that start the installed command here."""
        return [str(SYNCD), "--config", str(self.folder / "syncd.yaml"), *words]

    def run(self, *words: str) -> None:
        """Run a command to its end."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False)
        if done.returncode not in DONE:
            raise NotAsExpected(f"{' '.join(words)}: {done.stderr}")


def by_password(port: int, number: int) -> float | None:
    """Sign somebody in with his password; return the seconds that took, None if it failed."""
    browser, username = Visiting(port), f"u{number % WITH_PASSWORDS:07}"
    began = time.perf_counter()
    browser.sign_in(DIRECTORY, username, PASSWORD)
    took = time.perf_counter() - began
    return took if SESSION in browser.cookies else None


def by_provider(port: int, _number: int) -> float | None:
    """Sign somebody in with the provider; the time at the provider's own pages is not counted."""
    browser, path = Visiting(port), f"/sign-in/{PROVIDER}"
    began = time.perf_counter()
    begun = browser.press(browser.get(path), path)
    took = time.perf_counter() - began
    back = Browser().ask("GET", begun.goes_on).location or ""
    began = time.perf_counter()
    browser.get(f"/{back.partition('://')[2].partition('/')[2]}")
    took += time.perf_counter() - began
    return took if SESSION in browser.cookies else None


WAYS = {"directory password": by_password, "identity provider": by_provider}


def signing_in(
    way: Callable[[int, int], float | None],
    port: int,
    *,
    browsers: int,
    rate: float | None,
    goes_on: Callable[[float], bool],
) -> Waited:
    """Let browsers sign people in as long as it goes on; with a rate they come so many a second.

    Whoever finds all browsers busy waits for one, and that counts.
    """
    found, numbers, lock = Waited(), count(), threading.Lock()
    began = time.perf_counter()

    def work() -> None:
        while goes_on(time.perf_counter() - began):
            number = next(numbers)
            early = 0.0 if rate is None else number / rate - (time.perf_counter() - began)
            time.sleep(max(early, 0.0))
            took = way(port, number)
            with lock:
                if took is None:
                    found.refused += 1
                else:
                    found.times.append(took if rate is None else took + max(-early, 0.0))

    workers = [threading.Thread(target=work) for _ in range(browsers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found.seconds = time.perf_counter() - began
    return found


def ldif(size: Size) -> str:
    """Return the company's records, the first people with a password."""
    records = []
    for number, record in enumerate(workload.ldif(size)):
        if number < min(WITH_PASSWORDS, size.users):
            records.append(f"{record.rstrip()}\nuserPassword: {PASSWORD}\n\n")
        else:
            records.append(record)
    return "".join(records)


@contextmanager
def running(
    folder: Path, store: str, directory: Slapd, provider: BentProvider
) -> Iterator[tuple[Place, Daemon]]:
    """Yield a web process over a store in which the people of the directory are."""
    place = Place(folder)
    (folder / "organizations").mkdir(parents=True)
    daemon = Daemon(place, "--only", "web")
    (folder / "ca.pem").write_text(directory.ca_pem)
    ldap = {
        "vendor": "openldap",
        "connection_url": directory.tls_url,
        "bind_dn": READER.dn,
        "bind_credential": READER.password,
        "users_dn": PEOPLE,
        "user_object_classes": ["inetOrgPerson"],
    }
    by_directory = {"provider": "ldap", "certificates": [str(folder / "ca.pem")], "ldap": ldap}
    documents: dict[str, dict[str, Any]] = {
        DIRECTORY: by_directory,
        **dict.fromkeys(OTHERS, by_directory),
        PROVIDER: {"provider": "idp", "idp": provider.settings()},
    }
    for org, document in documents.items():
        named = {"organization": {"id": org, "name": org}, **document}
        _write(folder / "organizations" / f"{org}.yaml", named)
    http = {"base_url": f"http://127.0.0.1:{daemon.http}"}
    _write(folder / "syncd.yaml", {"store": {"url": store}, "http": http})
    place.run("db", "upgrade")
    place.run("sync", DIRECTORY)
    with daemon:
        daemon.wait_for("web_listening")
        yield place, daemon


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    path.chmod(0o600)


def measure(
    folder: Path,
    store: str,
    directory: Slapd,
    provider: BentProvider,
    options: argparse.Namespace,
) -> dict[str, dict[str, Waited]]:
    """Return how long people waited, by the way that they came and what else was done."""
    browsers, rate, seconds = options.browsers, options.rate, options.seconds
    found: dict[str, dict[str, Waited]] = {}
    with running(folder, store, directory, provider) as (place, daemon):

        def come(
            way: str, rate: float | None, goes_on: Callable[[float], bool], browsers: int = browsers
        ) -> Waited:
            call = WAYS[way]
            return signing_in(call, daemon.http, browsers=browsers, rate=rate, goes_on=goes_on)

        # Each sync has a whole organization to write.
        for way, other in zip(WAYS, OTHERS, strict=True):
            # The first ones of a process load modules and keys.
            come(way, None, lambda spent: spent < 1, browsers=1)
            found[way] = {FAST: come(way, None, lambda spent: spent < seconds)}
            found[way][STEADY] = come(way, rate, lambda spent: spent < seconds)
            sync = subprocess.Popen(
                place.command("--json", "sync", other),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            found[way][SYNCING] = come(way, rate, _while_running(sync))
            if sync.wait() not in DONE:
                raise NotAsExpected(f"sync {other} ended with {sync.returncode}")
    return found


def _while_running(command: subprocess.Popen[bytes]) -> Callable[[float], bool]:
    return lambda _: command.poll() is None


def table(found: dict[str, dict[str, dict[str, Waited]]]) -> str:
    """Return the figures as text."""
    lines = [f"{'':<58}{'a second':>9}{'median':>9}{'99 %':>9}{'times':>7}{'refused':>9}"]
    for store, ways in found.items():
        for way, phases in ways.items():
            for phase, waited in phases.items():
                p99 = waited.percentile(0.99)
                lines.append(
                    f"{f'{store}, {way}, {phase}':<58}{waited.rate:>9.1f}"
                    f"{waited.percentile(0.5):>9.0f}{p99:>9.0f}"
                    f"{p99 / phases[STEADY].percentile(0.99):>7.2f}{waited.refused:>9}"
                )
    return "\n".join([*lines, "", f"milliseconds; during a sync at most {MOST_TIMES:g} times"])


def main(words: list[str]) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="bench sign-ins", description=__doc__)
    parser.add_argument("--users", type=int, default=100_000, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=20, help="of each; default: %(default)s")
    parser.add_argument("--browsers", type=int, default=4, help="at once; default: %(default)s")
    parser.add_argument(
        "--rate", type=float, default=5, help="who come steadily, a second; default: %(default)s"
    )
    parser.add_argument("--store", choices=("both", "postgresql", "sqlite"), default="both")
    parser.add_argument("--out", type=Path, default=OUT, help="default: %(default)s")
    options = parser.parse_args(words)
    found: dict[str, dict[str, dict[str, Waited]]] = {}
    try:
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as scratch,
            Slapd(ldif=ldif(workload.Size(options.users)), accounts=(READER,)) as directory,
            BentProvider({"ada": {"email": "ada@bench.test"}}) as provider,
        ):
            folder = Path(scratch)
            if options.store != "postgresql":
                store = f"sqlite:///{folder}/store.db"
                found["SQLite"] = measure(folder / "sqlite", store, directory, provider, options)
            if options.store != "sqlite":
                with Postgres() as server, server.database() as store:
                    found["PostgreSQL"] = measure(
                        folder / "postgresql", store, directory, provider, options
                    )
    except NotAsExpected as error:
        print(f"The bench stops here: {error}", file=sys.stderr)
        return 1
    print(table(found))
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "sign-ins.json"
    whole = {
        "cores": os.cpu_count(),
        "users": options.users,
        "browsers": options.browsers,
        "rate": options.rate,
        "stores": {
            store: {
                way: {
                    phase: {
                        **asdict(waited),
                        "times": len(waited.times),
                        "median_ms": round(waited.percentile(0.5), 1),
                        "p99_ms": round(waited.percentile(0.99), 1),
                        "a_second": round(waited.rate, 1),
                    }
                    for phase, waited in phases.items()
                }
                for way, phases in ways.items()
            }
            for store, ways in found.items()
        },
    }
    path.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path}")
    return 0
