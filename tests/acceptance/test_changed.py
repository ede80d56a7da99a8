"""Changed-user syncs: what they read, what hangs on it, and when they become full ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import ORGANIZATION, role
from tests.servers.slapd import PEOPLE, ROLES, people, person

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ("tests.acceptance.quick",)

KINDS = ("modify_timestamp", "syncrepl")
EITHER = pytest.mark.parametrize("kind", KINDS)
CHANGES = ("created", "updated", "renamed", "missing", "disabled", "enabled", "deleted")


def _world(
    quick_world: MakeQuickWorld,
    kind: str,
    ldif: str,
    *,
    overlays: tuple[str, ...] = (),
    **ldap: Any,
) -> QuickWorld:
    world = quick_world(ldif, overlays=(*overlays, "syncprov"))
    _configure(world, kind, **ldap)
    done = world.sync()
    assert done["status"] == "done"
    return world


def _configure(world: QuickWorld, kind: str, organization: Any = None, **ldap: Any) -> None:
    world.configure(ldap={"change_detection": kind, **ldap}, **(organization or {}))


def changed(world: QuickWorld, code: int = 0) -> Any:
    """Run a changed-user sync."""
    return world.json("sync", ORGANIZATION, "--changed", code=code)


@EITHER
@pytest.mark.rule("2.1.4", server="openldap")
def test_only_what_changed_is_read_and_written(quick_world: MakeQuickWorld, kind: str) -> None:
    """A newcomer, a changed person and a renamed one are taken; nobody else is looked at."""
    # Outside the overlap window nothing else changed: the content is loaded with old times.
    world = _world(quick_world, kind, people(30) + role("staff", "u00000"))
    world.slapd.add(f"uid=new,{PEOPLE}", objectClass="inetOrgPerson", uid="new", cn="New", sn="New")
    world.slapd.modify(f"uid=u00001,{PEOPLE}", {"sn": ["Changed"]})
    world.slapd.rename(f"uid=u00002,{PEOPLE}", "uid=renamed")
    done = changed(world)
    assert (done["mode"], done["promoted_because"]) == ("changed", None)
    assert {kind: done["users"][kind] for kind in CHANGES if done["users"][kind]} == {
        "created": 1,
        "updated": 2,
        "renamed": 1,
    }
    users = world.users()
    assert users["u00001"]["last_name"] == "Changed"
    assert {"new", "renamed"} <= users.keys()
    journal = world.sql("select count(*) from journal")
    versions = world.sql("select id, version from users order by id")
    again = changed(world)
    assert again["mode"] == "changed"
    assert not any(again["users"][kind] for kind in CHANGES)
    assert world.sql("select count(*) from journal") == journal
    assert world.sql("select id, version from users order by id") == versions


@EITHER
def test_a_changed_role_gives_and_takes_in_the_same_run(
    quick_world: MakeQuickWorld, kind: str
) -> None:
    """Whoever was added to a role has it after the run, whoever was taken out has not."""
    world = _world(quick_world, kind, people(5) + role("staff", "u00000", "u00001"))
    members = [f"uid=u{number:05},{PEOPLE}" for number in (1, 2)]
    world.slapd.modify(f"cn=staff,{ROLES}", {"member": members})
    done = changed(world)
    assert (done["memberships"]["added"], done["memberships"]["removed"]) == (1, 1)
    assert world.roles_of("u00000") == {}
    assert world.roles_of("u00002") == {"staff": ["import roles"]}


@EITHER
@ON_SQLITE
@pytest.mark.rule("2.3.4", server="openldap")
@pytest.mark.rule("2.6.10", server="openldap")
def test_members_of_a_changed_group_are_read_with_the_member_of_strategy(
    quick_world: MakeQuickWorld, kind: str
) -> None:
    """A membership change touches the group alone; its people are read for it, old and new."""
    world = _world(
        quick_world,
        kind,
        people(6) + role("staff", "u00000", "u00001"),
        overlays=("memberof",),
        import_roles={
            "roles_dn": ROLES,
            "user_roles_retrieve_strategy": "get_from_user_member_of",
            "membership_attribute_type": "member_of",
        },
    )
    # The overlay knows what happens while the server runs.
    for members in ((0, 1), (1, 2)):
        dns = [f"uid=u{number:05},{PEOPLE}" for number in members]
        world.slapd.modify(f"cn=staff,{ROLES}", {"member": dns})
        assert changed(world)["mode"] == "changed"
        holders = {name for name in world.users() if world.roles_of(name)}
        assert holders == {f"u{number:05}" for number in members}


@EITHER
@ON_SQLITE
def test_a_moved_person_keeps_the_roles_that_the_directory_mended(
    quick_world: MakeQuickWorld, kind: str
) -> None:
    """The directory follows a rename in the group without touching its time; so does the run."""
    world = _world(
        quick_world, kind, people(3) + role("staff", "u00000", "u00001"), overlays=("refint",)
    )
    world.slapd.rename(f"uid=u00000,{PEOPLE}", "uid=moved")
    done = changed(world)
    assert (done["mode"], done["users"]["renamed"]) == ("changed", 1)
    assert world.roles_of("moved") == {"staff": ["import roles"]}
    assert done["memberships"]["removed"] == 0


@EITHER
@ON_SQLITE
@pytest.mark.rule("2.13.2", server="openldap")
def test_a_new_person_of_an_old_name_inherits_nothing(
    quick_world: MakeQuickWorld, kind: str
) -> None:
    """Deleted and made anew under the same DN, somebody has neither the record nor the roles."""
    world = _world(
        quick_world, kind, people(3) + role("staff", "u00000", "u00001"), overlays=("refint",)
    )
    before = world.users()["u00000"]["external_id"]
    world.slapd.delete(f"uid=u00000,{PEOPLE}")
    world.slapd.add(
        f"uid=u00000,{PEOPLE}", objectClass="inetOrgPerson", uid="u00000", cn="Other", sn="Other"
    )
    done = changed(world)
    assert done["mode"] == "changed"
    assert (done["users"]["created"], done["users"]["missing"]) == (1, 1)
    now = world.users()["u00000"]
    assert now["external_id"] != before
    assert (now["last_name"], now["enabled"]) == ("Other", True)
    assert world.roles_of("u00000") == {}


@pytest.mark.rule("2.6.2", server="openldap")
@pytest.mark.rule("2.6.3", server="openldap")
def test_deletions_arrive_with_syncrepl_and_wait_without(quick_world: MakeQuickWorld) -> None:
    """Who is deleted, or leaves the filter, is missing at once; by stamps at the next full run."""
    world = _world(
        quick_world, "syncrepl", people(30), user_search_filter="(!(employeeType=robot))"
    )
    world.slapd.delete(f"uid=u00000,{PEOPLE}")
    world.slapd.modify(f"uid=u00001,{PEOPLE}", {"employeeType": ["robot"]})
    done = changed(world)
    assert (done["mode"], done["users"]["missing"], done["absences"]) == ("changed", 2, "applied")
    causes = {
        change["username"]: change["cause"]
        for change in world.json("runs", "show", done["run"])["changes"]
    }
    assert causes["u00000"].startswith("gone")
    assert causes["u00001"].startswith("out_of_filter")
    assert not world.users()["u00000"]["enabled"]
    world.slapd.modify(f"uid=u00001,{PEOPLE}", {"employeeType": []})
    assert changed(world)["users"]["enabled"] == 1
    _configure(world, "modify_timestamp", user_search_filter="(!(employeeType=robot))")
    promoted = changed(world)
    assert (promoted["mode"], promoted["promoted_reason"]) == ("full", "detection")
    world.slapd.delete(f"uid=u00002,{PEOPLE}")
    assert changed(world)["users"]["missing"] == 0
    assert world.sync()["users"]["missing"] == 1


@EITHER
@ON_SQLITE
@pytest.mark.rule("2.1.3", server="openldap")
def test_a_changed_filter_makes_it_a_full_run_whose_absences_wait(
    quick_world: MakeQuickWorld, kind: str
) -> None:
    """Whom a new filter hides is not taken away before somebody has looked."""
    world = _world(quick_world, kind, people(30))
    _configure(world, kind, user_search_filter="(!(uid=u00007))")
    blocked = changed(world, code=3)
    assert (blocked["mode"], blocked["status"], blocked["promoted_reason"]) == (
        "full",
        "blocked",
        "ground",
    )
    assert blocked["absences"] == "held"
    assert world.users()["u00007"]["enabled"]
    again = changed(world, code=3)
    assert (again["mode"], again["promoted_reason"]) == ("full", "blocked_plan")
    world.json("approve", again["run"])
    assert not world.users()["u00007"]["enabled"]
    assert changed(world)["mode"] == "changed"


@EITHER
@ON_SQLITE
def test_a_first_sync_and_changed_mappers_are_full_runs(
    quick_world: MakeQuickWorld, kind: str
) -> None:
    """Without a watermark, and with other mappers than it was made with, everybody is read."""
    world = quick_world(people(4), overlays=("syncprov",))
    _configure(world, kind)
    first = changed(world)
    assert (first["mode"], first["promoted_reason"]) == ("full", "no_watermark")
    assert first["users"]["created"] == 4
    room = {
        "name": "room",
        "type": "user-attribute",
        "user_attribute": "room",
        "ldap_attribute": "roomNumber",
    }
    world.slapd.modify(f"uid=u00000,{PEOPLE}", {"roomNumber": ["7"]})
    _configure(world, kind, organization={"mappers": [room]})
    second = changed(world)
    assert (second["mode"], second["promoted_reason"]) == ("full", "ground")
    assert world.users()["u00000"]["attributes"] == {"room": ["7"]}


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("modify_timestamp", "20991231235959Z", "clock_backwards"),
        ("syncrepl", "nonsense", "cookie_refused"),
    ],
)
@ON_SQLITE
@pytest.mark.rule("2.6.5", server="openldap")
def test_a_watermark_that_the_directory_cannot_have_given_makes_it_a_full_run(
    quick_world: MakeQuickWorld, kind: str, value: str, reason: str
) -> None:
    """A clock gone backwards or a refused cookie: everybody is read, and absences are held."""
    world = _world(quick_world, kind, people(30))
    world.slapd.modify(f"uid=u00000,{PEOPLE}", {"sn": ["Changed"]})
    world.sql(f"update watermarks set value = '{value}'")
    done = changed(world)
    assert (done["mode"], done["promoted_reason"], done["users"]["updated"]) == ("full", reason, 1)
    world.sql(f"update watermarks set value = '{value}'")
    world.slapd.delete(f"uid=u00001,{PEOPLE}")
    blocked = changed(world, code=3)
    assert (blocked["promoted_reason"], blocked["absences"]) == (reason, "held")
    assert world.users()["u00001"]["enabled"]


@ON_SQLITE
@pytest.mark.rule("2.1.3", server="openldap")
def test_a_full_sync_of_a_restored_directory_takes_nobody_away(quick_world: MakeQuickWorld) -> None:
    """A directory that is older than the last run lacks whoever came since: somebody looks."""
    world = _world(quick_world, "modify_timestamp", people(30))
    world.sql("update watermarks set value = '20991231235959Z'")
    world.slapd.delete(f"uid=u00001,{PEOPLE}")
    blocked = world.sync(code=3)
    assert blocked["absences"] == "held"
    assert any("older than the last run" in reason for reason in blocked["reasons"])
    assert world.users()["u00001"]["enabled"]


@EITHER
@ON_SQLITE
@pytest.mark.rule("2.13.4", server="openldap")
def test_quarantined_entries_are_tried_again_whatever_the_watermark(
    quick_world: MakeQuickWorld, kind: str
) -> None:
    """An entry is released once it is good, and not before its next try is due."""
    world = _world(quick_world, kind, people(3) + person("bad", givenName="Bad", mail="bad@x.test"))
    world.sql("update identities set source_modified_at = '2001-01-01T00:00:00Z'")
    # Two people of one name: the second cannot be taken.
    world.slapd.add(
        f"cn=twin,{PEOPLE}", objectClass="inetOrgPerson", uid="u00000", cn="twin", sn="Twin"
    )
    assert changed(world, code=5)["users"]["quarantined"] == 1
    (row,) = world.json("quarantine", ORGANIZATION)
    assert row["reason"] == "username_taken"
    # The holder of the name goes; nothing about the twin changes in the directory.
    world.slapd.delete(f"uid=u00000,{PEOPLE}")
    world.sql("update quarantine set next_retry = '2001-01-01 00:00:00'")
    world.sql("update watermarks set value = value")
    done = changed(world)
    assert (done["mode"], done["users"]["created"]) == ("changed", 1)
    assert world.json("quarantine", ORGANIZATION) == []
    assert world.users()["u00000"]["last_name"] == "Twin"


@ON_SQLITE
@pytest.mark.rule("2.13.4", server="openldap")
def test_too_many_bad_entries_fail_the_run(quick_world: MakeQuickWorld) -> None:
    """Nothing is written when more entries are bad than the limit allows, and the run says so."""
    world = quick_world(people(30))
    world.sync()
    world.configure(
        ldap={"username_ldap_attribute": "roomNumber"},
        limits={"quarantine": {"percent": 40}, "rename": None},
    )
    before = world.users()
    failed = world.sync(code=4)
    assert failed["status"] == "failed"
    assert "limits.quarantine.percent" in failed["reasons"][0]
    assert world.users() == before
    assert len(world.json("quarantine", ORGANIZATION)) == 30


@pytest.mark.rule("2.13.1", server="openldap")
def test_hold_kind_holds_the_kind_over_its_limit_alone(quick_world: MakeQuickWorld) -> None:
    """Others are written; the held ones wait under one run until somebody approves it."""
    world = quick_world(people(30) + role("staff", "u00000", "u00001"))
    limits = {"on_exceed": "hold_kind", "missing": {"count": 2}}
    world.configure(limits=limits)
    world.sync()
    for number in range(5):
        world.slapd.delete(f"uid=u{number:05},{PEOPLE}")
    world.slapd.modify(f"uid=u00010,{PEOPLE}", {"sn": ["Changed"]})
    world.slapd.add(f"uid=new,{PEOPLE}", objectClass="inetOrgPerson", uid="new", cn="N", sn="N")
    blocked = world.sync(code=3)
    users = world.users()
    assert (blocked["status"], blocked["users"]["created"], blocked["users"]["missing"]) == (
        "blocked",
        1,
        0,
    )
    assert users["u00010"]["last_name"] == "Changed"
    assert all(users[f"u{number:05}"]["enabled"] for number in range(5))
    again = world.sync(code=3)
    assert again["run"] == blocked["run"]
    done = world.json("approve", blocked["run"])
    assert (done["status"], done["users"]["missing"]) == ("done", 5)
    users = world.users()
    assert not any(users[f"u{number:05}"]["enabled"] for number in range(5))
    last = world.sync()
    assert (last["status"], last["absences"]) == ("done", "none")
