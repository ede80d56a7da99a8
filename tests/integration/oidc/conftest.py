"""Providers on loopback for the tests of this folder."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.integration.oidc.entering import Entering, reset
from tests.integration.oidc.keeping import ONLY_FIRST, World
from tests.integration.oidc.reaching import BODY, NAME
from tests.servers.answering import AnsweringServer, answer
from tests.servers.authority import Authority
from tests.servers.bent_provider import BentProvider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.postgres import Postgres


@pytest.fixture(autouse=True)
def nobody_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A system without authorities of its own: reading the real ones takes most of a test."""
    (tmp_path / "none.pem").write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that the organization trusts."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def certificate(authority: Authority) -> tuple[Path, Path]:
    """A certificate for the provider's name, for localhost, and for its address."""
    return authority.issue("login", names=f"DNS:{NAME},DNS:localhost,IP:127.0.0.1")


@pytest.fixture
def server(certificate: tuple[Path, Path]) -> Iterator[AnsweringServer]:
    """A provider that answers as it should until a test says otherwise."""
    with AnsweringServer(answer(BODY), certificate) as running:
        yield running


@pytest.fixture
def world() -> Iterator[World]:
    """A provider with the first key, and an empty cache."""
    with AnsweringServer(ONLY_FIRST) as running:
        yield World(running)


# --- people who sign in ------------------------------------------------------------------------


@pytest.fixture(scope="session")
def running_provider() -> Iterator[BentProvider]:
    """A provider for all tests of sign-ins."""
    with BentProvider() as running:
        yield running


@pytest.fixture
def provider(running_provider: BentProvider) -> BentProvider:
    """The provider, with Ada in it and nothing wrong."""
    reset(running_provider)
    return running_provider


@pytest.fixture(scope="module")
def on_sqlite(
    running_provider: BentProvider, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Entering]:
    """The organization of a module on SQLite."""
    folder = tmp_path_factory.mktemp("entering")
    shutil.copy(sqlite_template, folder / "store.db")
    made = Entering(folder / "syncd", f"sqlite:///{folder}/store.db", running_provider.settings())
    yield made
    made.close()


@pytest.fixture(scope="module")
def on_postgresql(
    running_provider: BentProvider,
    postgres: Postgres,
    postgres_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Entering]:
    """The organization of a module on PostgreSQL."""
    with postgres.database(postgres_template) as url:
        folder = tmp_path_factory.mktemp("entering")
        made = Entering(folder / "syncd", url, running_provider.settings())
        yield made
        made.close()


@pytest.fixture
def entering(on_sqlite: Entering) -> Entering:
    """An organization whose people sign in, where the database decides nothing."""
    on_sqlite.counted.clear()
    return on_sqlite


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request: pytest.FixtureRequest) -> Entering:
    """An organization whose people sign in, on each database in turn."""
    made: Entering = request.getfixturevalue(f"on_{request.param}")
    made.counted.clear()
    return made
