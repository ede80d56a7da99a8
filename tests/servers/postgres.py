"""A throw-away PostgreSQL cluster that listens on a unix socket only.

The server's own programs refuse to run as root, so root starts them as an unprivileged user. A
database made from a template is there in milliseconds: migrate the template once, clone it a test.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

SUPERUSER = "postgres"
# Owns the databases, and is bound by row-level security as an operator's one account is.
OWNER = "syncd"
# May use what the owner has made, and no more: the account of a store whose roles are apart.
APPLICATION = "syncd_app"
ROLES = (
    f"create role {OWNER} login;"
    # Tests look at rows of all organizations without the store's own transactions.
    f"alter role {OWNER} set syncd.organization = '*';"
    f"create role {APPLICATION} login"
)
# A crash of the machine may cost a test database its content: it is gone after the test anyway.
# A crash of the server may not, since tests kill it: commits still reach the operating system.
FOR_TESTS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "64MB",
}
# What a measurement needs: PostgreSQL's own defaults.
DURABLE = {"listen_addresses": ""}
READY_SECONDS = 30
STOP_SECONDS = 30


class PostgresError(RuntimeError):
    """A program of PostgreSQL failed; the message is what it said."""


def binaries() -> Path:
    """Return the folder with ``postgres`` and ``initdb``: Debian's newest, else the path's."""
    debian = Path("/usr/lib/postgresql")
    versions = [found.parent for found in debian.glob("*/bin/postgres")]
    if versions:
        return max(versions, key=lambda folder: float(folder.parent.name))
    found = shutil.which("postgres")
    if found is None:
        message = "PostgreSQL is not installed: run scripts/system-packages"
        raise PostgresError(message)
    return Path(found).resolve().parent


def _identity() -> dict[str, Any]:
    """Return the arguments of ``subprocess`` that make root an unprivileged user."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    message = "root cannot start PostgreSQL, and there is neither a user postgres nor nobody"
    raise PostgresError(message)


class Postgres:
    """One cluster; use it as a context manager.

    ``durable`` keeps PostgreSQL's own defaults for fsync and all else.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._settings = DURABLE if durable else FOR_TESTS
        self._bin = binaries()
        self._identity = _identity()
        # Not pytest's tmp_path: a socket's path is short, and its folder open to the server's user.
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._server: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._administration: psycopg.Connection[Any] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Make the cluster, unless it is only paused, and return when it answers."""
        fresh = not (self.folder / "data").exists()
        if fresh:
            self._initialize()
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        with (self.folder / "log").open("wb") as log:
            self._server = subprocess.Popen(
                [self._bin / "postgres", "-D", self.folder / "data", "-k", self.folder, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                **self._identity,
            )
        self._wait_until_ready(self._server)
        if fresh:
            self.sql(ROLES)

    def stop(self) -> None:
        """Stop the server, whatever it is doing, and remove the cluster."""
        self._forget_administration()
        if self._server is not None:
            # SIGQUIT: at once, without the check point that nobody will read.
            self._server.send_signal(signal.SIGQUIT)
            try:
                self._server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
            self._server = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def pause(self) -> None:
        """Stop the server the hard way but keep the cluster: the store is gone for its users."""
        self._forget_administration()
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(STOP_SECONDS)
            self._server = None

    def url(self, database: str = "postgres", role: str = OWNER) -> str:
        """Return the SQLAlchemy URL of a database, as its owner opens it or another role."""
        return f"postgresql+psycopg://{role}@/{database}?host={self.folder}"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run one statement through ``psql`` and return its rows, columns parted by ``|``."""
        return self._run(
            "psql",
            f"--host={self.folder}",
            f"--username={SUPERUSER}",
            f"--dbname={database}",
            "--no-psqlrc",
            "--quiet",
            "--no-align",
            "--tuples-only",
            "--set=ON_ERROR_STOP=1",
            f"--command={statement}",
        )

    def create(self, template: str | None = None) -> str:
        """Create a database, from a template if one is named, and return its name."""
        name = f"syncd_{next(self._numbers)}"
        # FILE_COPY is the fast way for a small template on a cluster that does not fsync.
        clause = f" template {template} strategy file_copy" if template else ""
        self._administer(f"create database {name} owner {OWNER}{clause}")
        return name

    def drop(self, database: str) -> None:
        """Drop a database and whoever is still connected to it."""
        self._administer(f"drop database if exists {database} with (force)")

    @contextlib.contextmanager
    def database(self, template: str | None = None) -> Iterator[str]:
        """Yield the URL of a fresh database that is dropped afterwards."""
        name = self.create(template)
        try:
            yield self.url(name)
        finally:
            self.drop(name)

    def _administer(self, statement: str) -> None:
        """Run a statement over a connection that is kept: tests make databases by the thousand."""
        if self._administration is None or self._administration.closed:
            self._administration = psycopg.connect(
                host=str(self.folder), user=SUPERUSER, dbname="postgres", autocommit=True
            )
        try:
            self._administration.execute(statement.encode())
        except psycopg.OperationalError:
            # The server was stopped since.
            self._forget_administration()
            self.sql(statement)

    def _forget_administration(self) -> None:
        connection, self._administration = self._administration, None
        if connection is not None:
            connection.close()

    def _initialize(self) -> None:
        if self._identity:
            os.chown(self.folder, self._identity["user"], self._identity["group"])
        self._run(
            "initdb",
            f"--pgdata={self.folder / 'data'}",
            f"--username={SUPERUSER}",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
            "--no-instructions",
        )

    def _run(self, program: str, *arguments: str) -> str:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [self._bin / program, *arguments],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd="/",
            **self._identity,
        )
        if done.returncode:
            message = f"{program} ended with {done.returncode}: {done.stderr.strip()}"
            raise PostgresError(message)
        return done.stdout.strip()

    def _wait_until_ready(self, server: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if server.poll() is not None:
                break
            with contextlib.suppress(PostgresError):
                self._run("pg_isready", "--quiet", "--host", str(self.folder))
                return
            time.sleep(0.02)
        message = f"PostgreSQL did not come up: {(self.folder / 'log').read_text()[-2000:]}"
        raise PostgresError(message)
