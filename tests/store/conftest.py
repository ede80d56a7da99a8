"""The organization that the store's conformance tests drive, on SQLite and PostgreSQL in turn."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from syncd.store.database import Database
from tests.store.organization import Organization
from tests.store.signing_in import SignIns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.postgres import Postgres


@pytest.fixture
def acme(store_url: str) -> Iterator[Organization]:
    """An organization whose lease this test holds, with nobody in it yet."""
    organization = Organization(store_url)
    with organization.leased():
        yield organization
    organization.database.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """A store with the current schema that a module's tests share, with one pool and cache."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("shared") / "store.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        database = Database(f"sqlite:///{path}")
        database.ensure_stage()
        yield database
        database.close()
        return
    cluster: Postgres = request.getfixturevalue("postgres")
    with cluster.database(request.getfixturevalue("postgres_template")) as url:
        database = Database(url)
        yield database
        database.close()


@pytest.fixture
def bridge(shared: Database) -> SignIns:
    """An organization of this test's own, whose people sign in by an identity provider."""
    return SignIns(shared)
