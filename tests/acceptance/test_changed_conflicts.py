"""Somebody is changed by another writer while a changed-user sync is being applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from syncd.app import App
from tests.acceptance.world import role
from tests.servers.slapd import PEOPLE, people

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ("tests.acceptance.quick",)


def _sync(world: QuickWorld, between: str | None) -> dict[str, Any]:
    """Run a changed-user sync; another writer runs a statement once a first person is written."""
    app = App.load(str(world.config), environ={})

    def progress(phase: str, done: int, _total: int | None) -> None:
        if (phase, done) == ("apply", 1) and between is not None:
            world.sql(between)

    try:
        return app.sync("acme", changed=True, progress=progress)
    finally:
        app.close()


@pytest.mark.rule("2.1.2", server="openldap")
@pytest.mark.parametrize("kind", ["syncrepl", "modify_timestamp"])
def test_a_conflict_keeps_the_watermark_and_the_next_changed_sync_makes_it_good(
    quick_world: MakeQuickWorld, kind: str
) -> None:
    """He is left out with his roles, the others are written, and nothing of him is forgotten."""
    world = quick_world(people(4) + role("staff", "u00000"), overlays=("syncprov",))
    world.configure(ldap={"change_detection": kind, "batch_size": 1})
    world.sync()
    before = world.sql("select run_id from watermarks")
    for number in range(3):
        world.slapd.modify(f"uid=u0000{number},{PEOPLE}", {"sn": ["Changed"]})
    dns = [f"uid=u0000{number},{PEOPLE}" for number in (1, 2)]
    world.slapd.modify(f"cn=staff,ou=roles,{PEOPLE.partition(',')[2]}", {"member": dns})
    done = _sync(world, "update users set version = version + 1 where username = 'u00002'")
    assert (done["mode"], done["status"]) == ("changed", "done")
    assert (done["users"]["conflicts"], done["users"]["updated"]) == (1, 2)
    assert world.sql("select run_id from watermarks") == before
    users = world.users()
    assert [users[f"u0000{number}"]["last_name"] for number in range(3)] == [
        "Changed",
        "Changed",
        "U00002",
    ]
    assert world.roles_held() == {
        "u00000": set(),
        "u00001": {"staff"},
        "u00002": set(),
        "u00003": set(),
    }
    done = _sync(world, None)
    assert (done["mode"], done["status"], done["users"]["conflicts"]) == ("changed", "done", 0)
    assert world.users()["u00002"]["last_name"] == "Changed"
    assert world.roles_held()["u00002"] == {"staff"}
    assert world.sql("select run_id from watermarks") != before
    assert world.plan(code=0)["changes"] == []


def test_a_conflict_of_somebody_who_only_loses_a_role(quick_world: MakeQuickWorld) -> None:
    """His role's entry is settled all the same, and he loses it with the next changed sync."""
    world = quick_world(people(3) + role("staff", "u00000", "u00001"), overlays=("syncprov",))
    world.configure(ldap={"batch_size": 1})
    world.sync()
    before = world.sql("select run_id from watermarks")
    world.slapd.modify(
        f"cn=staff,ou=roles,{PEOPLE.partition(',')[2]}", {"member": [f"uid=u00002,{PEOPLE}"]}
    )
    done = _sync(world, "update users set version = version + 1 where username = 'u00001'")
    assert (done["users"]["conflicts"], done["memberships"]["removed"]) == (1, 1)
    assert world.sql("select run_id from watermarks") == before
    assert world.roles_held()["u00001"] == {"staff"}
    done = _sync(world, None)
    assert (done["mode"], done["memberships"]["removed"]) == ("changed", 1)
    assert world.roles_held() == {"u00000": set(), "u00001": set(), "u00002": {"staff"}}
    assert world.sql("select run_id from watermarks") != before
