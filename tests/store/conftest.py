"""The organization that the store's conformance tests drive, on SQLite and PostgreSQL in turn."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from syncd.store.database import Database
from syncd.store.migrate import upgrade
from tests.store.organization import Organization

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.postgres import Postgres


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store with the current schema, to be copied: there are hundreds of tests here."""
    path = tmp_path_factory.mktemp("template") / "store.db"
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    database.close()
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


@pytest.fixture
def acme(store_url: str) -> Iterator[Organization]:
    """An organization whose lease this test holds, with nobody in it yet."""
    organization = Organization(store_url)
    with organization.leased():
        yield organization
    organization.database.close()
