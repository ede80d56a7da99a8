"""What every test stands on: a clean environment, loopback only, servers started once a session."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import shutil
import signal
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests import compiled
from tests import soak as _soak  # noqa: F401 - reads its own settings before they are forgotten
from tests.servers.ds389 import DS389
from tests.servers.ds389_template import shared_template
from tests.servers.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.samba import SambaAD

# A person's own settings must not decide a test, in this process or in one it starts.
for _name in [name for name in os.environ if name.startswith(("SYNCD_", "LDAP"))]:
    del os.environ[_name]
os.environ["NO_COLOR"] = "1"
# What one process has compiled, hundreds of others read.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# A background job of a shell ignores Ctrl-C, and what it starts would too.
signal.signal(signal.SIGINT, signal.default_int_handler)


compiled.share()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Refuse a test whose name has the time in it: workers would see different tests."""
    if f"{datetime.now(tz=UTC):%Y-%m-%dT%H}" in item.nodeid:
        message = f"{item.nodeid}: the time is in its name; give its parameters ids"
        raise pytest.UsageError(message)


def _loopback_only(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse a connection that would leave this machine."""
    if event != "socket.connect":
        return
    address = arguments[1]
    if not isinstance(address, tuple):
        return
    host = str(address[0])
    if host == "localhost" or ipaddress.ip_address(host.partition("%")[0]).is_loopback:
        return
    message = f"a test tried to connect to {host}; tests talk to loopback only"
    raise RuntimeError(message)


sys.addaudithook(_loopback_only)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL cluster for the whole session."""
    with Postgres() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def ds389_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a 389 Directory Server to be copied; test processes share it."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    return shared_template(root)


@pytest.fixture
def ds389(ds389_template: Path) -> Iterator[DS389]:
    """A 389 Directory Server of this test's own, without people and roles."""
    with DS389(ds389_template) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty PostgreSQL database of this test's own."""
    with postgres.database() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> str:
    """The name of a PostgreSQL database with the current schema, to be cloned."""
    name = postgres.create()
    _migrate(postgres.url(name))
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store with the current schema, to be copied: hundreds of tests want one."""
    path = tmp_path_factory.mktemp("template") / "store.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a store with the current schema and nobody in it, on each database in turn."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "store.db")
        yield f"sqlite:///{tmp_path}/store.db"
        return
    cluster: Postgres = request.getfixturevalue("postgres")
    with cluster.database(request.getfixturevalue("postgres_template")) as url:
        yield url


@pytest.fixture(scope="session")
def samba_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a provisioned Active Directory domain, made once for all workers."""
    from tests.servers.samba import provision  # noqa: PLC0415 - most tests need no Samba

    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    template = shared / "samba-template"
    with (shared / "samba-template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            provision(template)
    return template


@pytest.fixture(scope="module")
def samba(samba_template: Path) -> Iterator[SambaAD]:
    """A running Active Directory domain controller of this module's own."""
    from tests.servers.samba import SambaAD  # noqa: PLC0415 - most tests need no Samba

    with SambaAD(samba_template) as server:
        yield server


def _migrate(url: str) -> None:
    from syncd.store.database import Database  # noqa: PLC0415 - most tests need no store
    from syncd.store.migrate import upgrade  # noqa: PLC0415 - the same

    database = Database(url)
    try:
        upgrade(database)
    finally:
        database.close()
