"""The API over a store of a module's own, on SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncd.permissions import Level
from syncd.store.database import Database
from syncd.store.migrate import upgrade
from tests.integration.web.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The process, over an empty store."""
    folder = tmp_path_factory.mktemp("served")
    url = f"sqlite:///{folder}/store.db"
    database = Database(url)
    upgrade(database)
    database.close()
    with Served(folder / "config", url) as found:
        yield found


@pytest.fixture(scope="module")
def everything(served: Served) -> str:
    """A token of acme for everything but what is an owner's."""
    return served.token(all_=Level.EDIT)
