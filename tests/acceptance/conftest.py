"""Fixtures of the acceptance tests: worlds to drive the installed command in."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.acceptance.world import World
from tests.servers.slapd import Slapd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class MakeWorld(Protocol):
    """Makes a world over a directory with the given content."""

    def __call__(self, ldif: str = "", *, url: str | None = None, **slapd: Any) -> World:
        """Start a directory and configure syncd for it and the test's store."""


@pytest.fixture
def make_world(store_url: str, tmp_path: Path) -> Iterator[MakeWorld]:
    """Make worlds over the test's store, on SQLite and PostgreSQL in turn."""
    with ExitStack() as stack:

        def make(ldif: str = "", *, url: str | None = None, **slapd: Any) -> World:
            server = stack.enter_context(Slapd(ldif=ldif, **slapd))
            return World(tmp_path / "syncd", server, store_url, url)

        yield make
