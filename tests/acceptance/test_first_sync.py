"""The shortest way from a directory to people in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.world import role
from tests.servers.slapd import people

if TYPE_CHECKING:
    from tests.acceptance.conftest import MakeWorld


@pytest.mark.rule("2.15.2", server="openldap")
@pytest.mark.rule("K1", server="openldap")
def test_a_first_sync_brings_everybody_with_roles_and_a_second_nobody(
    make_world: MakeWorld,
) -> None:
    """Five people arrive with their fields and roles; the next plan has nothing to do."""
    world = make_world(people(5) + role("staff", "u00000", "u00001"))
    plan = world.plan(code=1)
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
