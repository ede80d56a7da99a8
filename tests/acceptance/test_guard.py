"""What the guard holds, what an approval does, and what stops an organization's syncs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import role
from tests.servers.slapd import PEOPLE, ROLES, people

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ("tests.acceptance.quick",)

# The slip: the address as username would rename everybody.
SLIP = {
    "name": "username",
    "type": "user-attribute",
    "user_attribute": "username",
    "ldap_attribute": "mail",
}
EVERYBODY = 21


def _blocked_by_a_slip(quick_world: MakeQuickWorld) -> tuple[QuickWorld, dict[str, Any]]:
    world = quick_world(people(EVERYBODY) + role("staff", "u00000", "u00001"))
    world.sync()
    world.configure(mappers=[SLIP])
    return world, world.sync(code=3)


@pytest.mark.rule("2.1.2", server="openldap")
@pytest.mark.rule("2.13.1", server="openldap")
@pytest.mark.rule("2.15.3", server="openldap")
@ON_SQLITE
def test_a_mapper_slip_that_renames_everybody_is_dropped_by_mending_it(
    quick_world: MakeQuickWorld,
) -> None:
    """The run is blocked with its count; once the file is mended the plan is superseded."""
    world = quick_world(people(EVERYBODY))
    world.sync()
    before = world.users()
    watermark = world.sql("select run_id from watermarks")
    world.configure(mappers=[SLIP])
    plan = world.plan(code=3)
    assert (plan["status"], plan["users"]["renamed"]) == ("blocked", EVERYBODY)
    (status,) = world.json("status", "acme")
    assert status["blocked_plans"] == []
    blocked = world.sync(code=3)
    assert any("would be renamed (100 %)" in reason for reason in blocked["reasons"])
    assert len([c for c in blocked["changes"] if c["kind"] == "rename"]) == EVERYBODY
    assert world.users() == before
    assert world.sql("select run_id from watermarks") == watermark
    (status,) = world.json("status", "acme")
    (held,) = status["blocked_plans"]
    assert (held["run"], held["reasons"]) == (blocked["run"], blocked["reasons"])
    world.configure()
    done = world.sync()
    assert done["users"]["unchanged"] == EVERYBODY
    assert world.users() == before
    (status,) = world.json("status", "acme")
    assert status["blocked_plans"] == []
    assert world.json("runs", "show", blocked["run"])["status"] == "superseded"
    late = world.syncd("approve", blocked["run"], code=2)
    assert "superseded" in late.err


@pytest.mark.rule("2.13.1", server="openldap")
def test_an_approved_plan_is_applied_as_it_was_shown(quick_world: MakeQuickWorld) -> None:
    """Everybody is renamed, keeps id and roles, and the next run has nothing left to do."""
    world, blocked = _blocked_by_a_slip(quick_world)
    before = world.users()
    approved = world.json("approve", blocked["run"])
    assert approved["run"] == blocked["run"]
    assert (approved["status"], approved["users"]["renamed"]) == ("done", EVERYBODY)
    after = world.users()
    assert {user["id"]: name for name, user in after.items()} == {
        user["id"]: user["email"] for user in before.values()
    }
    assert world.roles_of("u00000@example.test") == {"staff": ["import roles"]}
    assert world.plan(code=0)["changes"] == []
    assert world.syncd("approve", blocked["run"], code=2).err


def test_an_approval_leaves_out_whoever_changed_in_between(quick_world: MakeQuickWorld) -> None:
    """The row of a person whom the directory has otherwise by now is listed and not applied."""
    world, blocked = _blocked_by_a_slip(quick_world)
    world.slapd.modify(f"uid=u00003,{PEOPLE}", {"mail": ["other@example.test"]})
    approved = world.json("approve", blocked["run"])
    assert approved["users"]["renamed"] == EVERYBODY - 1
    assert approved["users"]["conflicts"] == 1
    assert any("1 of the people are not as planned" in reason for reason in approved["reasons"])
    left_out = {
        change["username"]
        for change in world.json("runs", "show", blocked["run"])["changes"]
        if (change["cause"] or "").startswith("left out")
    }
    assert left_out == {"u00003"}
    assert "u00003" in world.users()
    assert world.sync()["users"]["renamed"] == 1
    assert "other@example.test" in world.users()


def test_an_approval_leaves_out_roles_that_changed_in_between(quick_world: MakeQuickWorld) -> None:
    """Role changes of a mapper whose entries moved on wait for the next run, and are not lost."""
    world = quick_world(people(25) + role("staff", *[f"u{number:05}" for number in range(24)]))
    world.sync()
    few = [f"uid=u{number:05},{PEOPLE}" for number in range(5)]
    world.slapd.modify(f"cn=staff,{ROLES}", {"member": few})
    blocked = world.sync(code=3)
    assert blocked["memberships"]["removed"] == 19
    world.slapd.modify(f"cn=staff,{ROLES}", {"member": [*few, f"uid=u00024,{PEOPLE}"]})
    approved = world.json("approve", blocked["run"])
    assert approved["memberships"] == {"added": 0, "removed": 0, "unresolved": 0}
    assert any("their entries have changed since" in reason for reason in approved["reasons"])
    again = world.sync(code=3)
    assert (again["memberships"]["added"], again["memberships"]["removed"]) == (1, 19)
    world.json("approve", again["run"])
    held = [name for name, roles in world.roles_held().items() if roles]
    assert held == [*(f"u{number:05}" for number in range(5)), "u00024"]


@ON_SQLITE
def test_only_blocked_runs_are_approved(quick_world: MakeQuickWorld) -> None:
    """A run that is done, a dry run and one that never was are told apart by the exit code."""
    world = quick_world(people(2))
    done = world.sync()
    plan = world.plan(code=0)
    assert world.syncd("approve", done["run"], code=2).err
    assert world.syncd("approve", plan["run"], code=2).err
    assert world.syncd("approve", "r-999999", code=7).err
    assert world.syncd("approve", "nonsense", code=7).err


@ON_SQLITE
def test_a_paused_organization_waits_for_its_resume(quick_world: MakeQuickWorld) -> None:
    """Plans and syncs end with 3 and the reason; after the resume they run again."""
    world = quick_world(people(2))
    world.syncd("pause", "acme", "--reason", "a merger", code=0)
    assert "a merger" in world.syncd("sync", "acme", code=3).err
    assert world.syncd("plan", "acme", code=3).err
    (status,) = world.json("status", "acme")
    assert status["paused"] == "a merger"
    world.syncd("resume", "acme", code=0)
    assert world.sync()["users"]["created"] == 2


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"organization": {"id": "acme", "name": "Acme Holding"}}, id="name"),
        pytest.param({"provider": "admin"}, id="provider"),
    ],
)
@ON_SQLITE
def test_a_pending_organization_is_refused(
    quick_world: MakeQuickWorld, changed: dict[str, Any]
) -> None:
    """A changed provider or name stops syncs until somebody settles it; the file set back does."""
    world = quick_world(people(2))
    world.sync()
    before = world.users()
    world.configure(**changed)
    assert world.syncd("sync", "acme", code=2).err
    (status,) = world.json("status", "acme")
    assert status["pending"]
    assert world.users() == before
    world.configure()
    world.sync()


def test_a_sync_of_one_person_changes_that_person_only(quick_world: MakeQuickWorld) -> None:
    """He is created, changed or returns; nobody else is touched and nobody is taken away."""
    world = quick_world(people(3) + role("staff", "u00000", "new"))
    world.sync()
    before = world.users()
    world.slapd.delete(f"uid=u00002,{PEOPLE}")
    world.slapd.modify(f"uid=u00001,{PEOPLE}", {"sn": ["Waits"]})
    world.slapd.add(f"uid=new,{PEOPLE}", objectClass="inetOrgPerson", uid="new", cn="N", sn="N")
    done = world.json("sync", "acme", "--user", "new")
    assert (done["mode"], done["status"]) == ("user", "done")
    assert (done["users"]["created"], done["users"]["missing"]) == (1, 0)
    after = world.users()
    assert world.roles_of("new") == {"staff": ["import roles"]}
    assert {name: user for name, user in after.items() if name != "new"} == before
    changed = world.json("sync", "acme", "--user", "U00001")
    assert changed["users"]["updated"] == 1
    assert world.users()["u00001"]["last_name"] == "Waits"
    assert world.json("sync", "acme", "--user", "u00001")["users"]["unchanged"] == 1
    gone = world.syncd("sync", "acme", "--user", "u00002", code=7)
    assert "explain" in gone.err
    assert world.users()["u00002"]["enabled"]
    assert world.sync()["users"]["missing"] == 1
