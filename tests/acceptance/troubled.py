"""The fixtures of the tests of trouble; a plugin that test modules name in ``pytest_plugins``."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.syncs import Syncs
from tests.acceptance.trouble import PostgresStores, SqliteStores, Worlds, company
from tests.servers.slapd import Slapd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.preloaded import Commands
    from tests.acceptance.trouble import Stores


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stores(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stores]:
    """Stores on each database in turn."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            yield SqliteStores(tmp_path_factory.mktemp("stores"))
        else:
            cluster = request.getfixturevalue("postgres")
            yield PostgresStores(cluster, request.getfixturevalue("postgres_template"), stack)


@pytest.fixture(scope="module")
def worlds(
    stores: Stores, commands: Commands, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Worlds]:
    """Worlds over the company as it is before ``change``, anew for each kind of store."""
    with Slapd(ldif=company()) as slapd:
        yield Worlds(slapd, commands, tmp_path_factory.mktemp("worlds"))


@pytest.fixture(scope="module")
def syncs(
    worlds: Worlds,
    stores: Stores,
    commands: Commands,
    tmp_path_factory: pytest.TempPathFactory,
) -> Syncs:
    """The sync that meets bad stores, on each database in turn."""
    return Syncs(worlds, stores, commands, tmp_path_factory.mktemp("moments"))
