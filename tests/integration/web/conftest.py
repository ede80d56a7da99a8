"""The API over a store of a module's own, on SQLite."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from syncd.permissions import Level
from tests.integration.web.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Served]:
    """The process, over an empty store."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copy(sqlite_template, folder / "store.db")
    with Served(folder / "config", f"sqlite:///{folder}/store.db") as found:
        yield found


@pytest.fixture(scope="module")
def everything(served: Served) -> str:
    """A token of acme for everything but what is an owner's."""
    return served.token(all_=Level.EDIT)
