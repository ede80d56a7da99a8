"""The fixtures of quick worlds; a pytest plugin that test modules name in ``pytest_plugins``."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.preloaded import Commands, QuickWorld
from tests.servers.slapd import Slapd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.preloaded import MakeQuickWorld


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """The process that the commands of all quick worlds are forked from."""
    with Commands(tmp_path_factory.mktemp("commands")) as process:
        yield process


@pytest.fixture
def quick_world(commands: Commands, store_url: str, tmp_path: Path) -> Iterator[MakeQuickWorld]:
    """Make quick worlds over the test's store, on SQLite and PostgreSQL in turn."""
    with ExitStack() as stack:

        def make(ldif: str = "", **slapd: Any) -> QuickWorld:
            server = stack.enter_context(Slapd(ldif=ldif, **slapd))
            world = QuickWorld(tmp_path / "syncd", server, store_url)
            world.commands = commands
            return world

        yield make
