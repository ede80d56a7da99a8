"""The shortest way from a directory to people in the store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.world import ORGANIZATION, PATIENCE_SECONDS, role
from tests.servers.slapd import people

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld

pytest_plugins = ["tests.acceptance.quick"]


@pytest.mark.rule("2.15.2", server="openldap")
@pytest.mark.rule("K1", server="openldap")
def test_a_first_sync_brings_everybody_with_roles_and_a_second_nobody(
    quick_world: MakeQuickWorld,
) -> None:
    """Five people arrive with their fields and roles; the next plan has nothing to do."""
    world = quick_world(people(5) + role("staff", "u00000", "u00001"))
    # The first command has done nothing beforehand: a process started for it alone.
    with world.start("--json", "plan", ORGANIZATION) as first:
        out, err = first.communicate(timeout=PATIENCE_SECONDS)
    assert first.returncode == 1, err
    plan = json.loads(out)
    assert plan["users"]["created"] == 5
    done = world.sync()
    assert done["status"] == "done"
    assert done["listing"] == "complete"
    assert done["users"]["created"] == 5
    assert done["memberships"] == {"added": 2, "removed": 0, "unresolved": 0}
    users = world.users()
    assert sorted(users) == [f"u{number:05}" for number in range(5)]
    assert users["u00000"]["email"] == "u00000@example.test"
    assert users["u00000"]["last_name"] == "U00000"
    assert world.roles_of("u00000") == {"staff": ["import roles"]}
    assert world.roles_of("u00004") == {}
    assert world.plan(code=0)["changes"] == []
    again = world.sync()
    assert again["users"]["unchanged"] == 5
    assert again["users"]["created"] == 0
