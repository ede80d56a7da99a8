"""However a 389 Directory Server came to be what it is, the store ends as after a first sync."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from syncd.app import App
from tests import soak
from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world_389 import World389
from tests.integration.test_equivalence import (
    BATCHES,
    EDITS,
    ELSEWHERE,
    LIMITED,
    NO_LIMIT,
    ROLE_UNITS,
    SENTINEL,
    STRATEGIES,
    UNITS,
    Life,
    _differences,
    _people,
)
from tests.servers.ds389 import DS389
from tests.servers.slapd import ROLES, person

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = ON_SQLITE


def _configured(folder: Path, server: DS389, store_url: str, **ldap: Any) -> App:
    world = World389(folder, server, store_url)  # type: ignore[arg-type]
    world.configure(
        ldap={"sentinels": [SENTINEL], "batch_size": 3, "page_size": 5, **ldap},
        mappers=[{"name": "all", "type": "hardcoded-role", "role": "Employee"}],
        limits=dict.fromkeys(LIMITED, NO_LIMIT),
    )
    return App.load(str(world.config), environ={})


@pytest.mark.rule("2.1.4", server="389ds")
@pytest.mark.rule("2.8.1", server="389ds")
@pytest.mark.rule("2.8.5", server="389ds")
@pytest.mark.parametrize(
    ("kind", "strategy"), [("retro_changelog", "dn"), ("syncrepl", "member_of")]
)
@pytest.mark.parametrize("seed", soak.seeds(0))
def test_changed_syncs_end_as_a_first_sync_would(
    store_url: str, tmp_path: Path, ds389_template: Path, *, strategy: str, kind: str, seed: int
) -> None:
    """After every run, whichever way tells what changed."""
    empty = tmp_path / "empty.db"
    shutil.copy(store_url.removeprefix("sqlite:///"), empty)
    ldif = "".join(
        f"dn: {dn}\nobjectClass: organizationalUnit\nou: {dn[3:].partition(',')[0]}\n\n"
        for dn in (ELSEWHERE, *UNITS[1:], *ROLE_UNITS[1:])
    )
    roles = {"import_roles": {"roles_dn": ROLES} | STRATEGIES[strategy]}
    with DS389(ds389_template, ldif=ldif + person("sentinel")) as server:
        if kind == "retro_changelog":
            server.allow_changelog()
        life = Life(server, len(strategy) + seed, by_uid=False)  # type: ignore[arg-type]
        app = _configured(tmp_path / "lived", server, store_url, **roles)
        assert app.sync("acme", changed=True)["mode"] == "full"
        modes: list[str] = []
        for batch in range(BATCHES):
            for _ in range(EDITS):
                life.edit()
            done = app.sync("acme", changed=True)
            modes.append(done["mode"])
            assert done["status"] == "done", (life.told, done["reasons"])
            assert done["users"]["quarantined"] == 0, (life.told, app.quarantine("acme"))
            fresh = tmp_path / f"fresh-{batch}.db"
            shutil.copy(empty, fresh)
            first = _configured(tmp_path / f"first-{batch}", server, f"sqlite:///{fresh}", **roles)
            first.sync("acme")
            assert _differences(_people(app), _people(first)) == [], life.told
            first.close()
            life.told.append("--")
        assert modes.count("changed") >= BATCHES // 2
        assert app.plan("acme")["changes"] == [], life.told
        app.close()
