"""What is measured at one size: the limit, reading alone, and syncs into both stores."""

from __future__ import annotations

import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench import workload
from bench.measure import Series
from tests.servers.postgres import Postgres
from tests.servers.slapd import PEOPLE, READER, ROLES, Slapd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.workload import Size

LDAPSEARCH = "ldapsearch"
READING = "read and decode"
FIRST_SQLITE = "first sync, SQLite"
FIRST_POSTGRESQL = "first sync, PostgreSQL"
UNCHANGED_SQLITE = "unchanged sync, SQLite"
UNCHANGED_POSTGRESQL = "unchanged sync, PostgreSQL"
CHANGED = {
    ("sqlite", "modify_timestamp"): "changed, by time, SQLite",
    ("sqlite", "syncrepl"): "changed, syncrepl, SQLite",
    ("postgresql", "modify_timestamp"): "changed, by time, PostgreSQL",
    ("postgresql", "syncrepl"): "changed, syncrepl, PostgreSQL",
}
NAMES = (
    LDAPSEARCH,
    READING,
    FIRST_SQLITE,
    FIRST_POSTGRESQL,
    UNCHANGED_SQLITE,
    UNCHANGED_POSTGRESQL,
)
INTERPRETER = "python, bare"
HELP = "syncd --help"

SYNCD = Path(sysconfig.get_path("scripts")) / "syncd"
# Done; a person who could not be mapped would be a mistake of the generator.
DONE = (0,)
WARM_ROUNDS = 5


def ldapsearch(url: str, password_file: Path, bases: Sequence[str] = (ROLES,)) -> list[str]:
    """Return the command that lists users and groups as a full sync asks for them."""
    common = (
        f"ldapsearch -x -LLL -o ldif-wrap=no -H {url} -D {READER.dn} -y {password_file}"
        f" -E '!pr={workload.PAGE_SIZE}/noprompt'"
    )
    users = f"{common} -b {PEOPLE} '{workload.USER_FILTER}' {' '.join(workload.USER_ATTRIBUTES)}"
    groups = [
        f"{common} -b {base} '{workload.ROLE_FILTER}' {' '.join(workload.ROLE_ATTRIBUTES)}"
        for base in bases
    ]
    return ["sh", "-ec", "; ".join([users, *groups])]


def password_file(folder: Path) -> Path:
    """Write the reader's password for ldapsearch; return the file."""
    file = folder / "password"
    file.touch(mode=0o600)
    file.write_text(READER.password, encoding="ascii")
    return file


class Suite:
    """One directory of one size, and everything that is run against it."""

    def __init__(self, size: Size, folder: Path, directory: Slapd, postgres: Postgres) -> None:
        self.size = size
        self.series = {name: Series(name) for name in (*NAMES, *CHANGED.values())}
        self._folder = folder
        self._directory = directory
        self._postgres = postgres
        self._password_file = password_file(folder)

    def round(self, number: int) -> None:
        """Run each command once, so that a slow minute of the machine meets all of them."""
        url = self._directory.url
        self.series[LDAPSEARCH].run(ldapsearch(url, self._password_file), reports=False, exits=DONE)
        self.series[READING].run(
            [sys.executable, "-m", "bench.reading", url], reports=True, exits=DONE
        )
        sqlite = f"sqlite:///{self._folder}/round-{number}.db"
        self._sync(number, "sqlite", sqlite, FIRST_SQLITE, UNCHANGED_SQLITE)
        with self._postgres.database() as store:
            self._sync(number, "postgresql", store, FIRST_POSTGRESQL, UNCHANGED_POSTGRESQL)

    def _sync(self, number: int, kind: str, store: str, first: str, unchanged: str) -> None:
        folder = self._folder / f"{kind}-{number}"
        config = workload.configure(folder, url=self._directory.url, store=store)
        command: list[str | Path] = [SYNCD, "--config", config, "--json"]
        Series("db upgrade").run([*command, "db", "upgrade"], reports=False, exits=DONE)
        for name in (first, unchanged):
            self.series[name].run([*command, "sync", "bench"], reports=True, exits=DONE)
        if number == 1:
            self._changed(kind, config)

    def _changed(self, kind: str, config: Path) -> None:
        """Measure changed-user syncs, warm, by each way to find what changed."""
        for detection in ("syncrepl", "modify_timestamp"):
            workload.detect(config, detection)
            words = [sys.executable, "-m", "bench.changed", self._directory.url, str(config)]
            self.series[CHANGED[kind, detection]].run_warm([*words, str(WARM_ROUNDS)])


def measure(size: Size, runs: int) -> Suite:
    """Load a directory of this size and measure every command ``runs`` times."""
    print(f"loading {size.users:,} users, {size.roles:,} roles,", end=" ", flush=True)
    print(f"{size.memberships:,} memberships", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Slapd(
            ldif="".join(workload.ldif(size)), accounts=(READER,), overlays=("syncprov",)
        ) as directory,
        Postgres(durable=True) as postgres,
    ):
        suite = Suite(size, Path(folder), directory, postgres)
        for number in range(1, runs + 1):
            print(f"round {number} of {runs}", flush=True)
            suite.round(number)
        return suite


def starts(runs: int) -> tuple[Series, Series]:
    """Measure how soon the help is there, beside an interpreter that does nothing."""
    bare, asked = Series(INTERPRETER), Series(HELP)
    for _ in range(runs):
        bare.run([sys.executable, "-c", "pass"], reports=False, exits=DONE)
        asked.run([SYNCD, "--help"], reports=False, exits=DONE)
    return bare, asked
