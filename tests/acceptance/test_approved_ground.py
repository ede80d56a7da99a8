"""An approval settles the ground that its plan stood on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.servers.slapd import people

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld

pytest_plugins = ["tests.acceptance.quick"]


def test_after_an_approved_filter_leavers_are_leavers_again(quick_world: MakeQuickWorld) -> None:
    """A narrowed filter is looked at once; the next leaver needs nobody's approval."""
    world = quick_world(people(6))
    world.sync()
    world.configure(ldap={"user_search_filter": "(!(uid=u00005))"})
    held = world.sync(code=3)
    assert held["users"]["missing"] == 1
    approved = world.json("approve", held["run"])
    assert approved["users"]["missing"] == 1
    world.slapd.delete("uid=u00004,ou=people,dc=example,dc=test")
    done = world.sync(code=0)
    assert (done["status"], done["users"]["missing"]) == ("done", 1)
