"""The fixture of changed companies; a plugin that test modules name in ``pytest_plugins``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.changing import Changing
from tests.acceptance.trouble import Worlds, company
from tests.servers.fault_proxy import FaultProxy
from tests.servers.slapd import Slapd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.preloaded import Commands
    from tests.acceptance.trouble import Stores


@pytest.fixture(scope="module")
def changing(
    stores: Stores, commands: Commands, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Changing]:
    """The company, its changes, and the proxy, anew for each kind of store."""
    with Slapd(ldif=company(), overlays=["syncprov"]) as slapd, FaultProxy(slapd.port) as proxy:
        worlds = Worlds(slapd, commands, tmp_path_factory.mktemp("worlds"))
        yield Changing(worlds, stores, proxy)
