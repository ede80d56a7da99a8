"""What counts as no change: stamps alone, what nobody maps, and the order in which values come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import PATIENCE_SECONDS, role
from tests.servers.fault_proxy import FaultProxy, Faults
from tests.servers.slapd import PEOPLE, ROLES, Slapd, people

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld

pytest_plugins = ("tests.acceptance.quick",)

CHANGES = ("created", "updated", "renamed", "missing", "disabled", "enabled", "deleted")


@pytest.mark.rule("2.3.4", server="openldap")
@pytest.mark.rule("2.15.4", server="openldap")
def test_entries_of_which_only_stamps_moved_are_unchanged(quick_world: MakeQuickWorld) -> None:
    """Written again with what they had, entries make no plan, no journal row and no new version."""
    world = quick_world(people(5) + role("staff", "u00000"))
    world.sync()
    journal = world.sql("select count(*) from journal")
    before = world.users()
    for number in range(3):
        dn = f"uid=u{number:05},{PEOPLE}"
        world.slapd.modify(dn, {"mail": [f"u{number:05}@example.test"], "description": ["other"]})
    world.slapd.modify(f"cn=staff,{ROLES}", {"description": ["other"]})
    assert world.plan(code=0)["changes"] == []
    for _ in range(2):
        done = world.sync()
        assert done["users"]["unchanged"] == 5
        assert not any(done["users"][kind] for kind in CHANGES)
    assert world.users() == before
    assert world.sql("select count(*) from journal") == journal
    assert world.sql("select distinct version from users") == [1]


@ON_SQLITE
def test_stamps_are_stored_along_with_another_change(quick_world: MakeQuickWorld) -> None:
    """A stamp that moved is not lost: the next real change brings the newest one."""
    world = quick_world(people(1))
    world.sync()
    before = world.users()["u00000"]
    assert before["source_created_at"].endswith("Z")
    world.slapd.modify(f"uid=u00000,{PEOPLE}", {"description": ["other"]})
    world.sync()
    world.sql("update identities set source_modified_at = '2001-01-01T00:00:00Z'")
    world.sync()
    assert world.users()["u00000"]["source_modified_at"] == "2001-01-01T00:00:00Z"
    world.slapd.modify(f"uid=u00000,{PEOPLE}", {"sn": ["Changed"]})
    assert world.sync()["users"]["updated"] == 1
    after = world.users()["u00000"]
    assert after["last_name"] == "Changed"
    assert after["source_modified_at"] >= before["source_modified_at"]


@ON_SQLITE
def test_values_in_another_order_are_the_same_values(quick_world: MakeQuickWorld) -> None:
    """A directory returns values in no particular order, so their order changes nobody."""
    world = quick_world(people(2) + role("staff", "u00000", "u00001"))
    offices = {
        "name": "offices",
        "type": "user-attribute",
        "user_attribute": "offices",
        "ldap_attribute": "l",
    }
    world.configure(mappers=[offices])
    dn = f"uid=u00000,{PEOPLE}"
    world.slapd.modify(dn, {"l": ["Berlin", "Aachen"], "sn": ["Two", "One"]})
    world.sync()
    user = world.users()["u00000"]
    assert (user["attributes"], user["last_name"]) == ({"offices": ["Aachen", "Berlin"]}, "One")
    world.slapd.modify(dn, {"l": ["Aachen", "Berlin"], "sn": ["One", "Two"]})
    world.slapd.modify(
        f"cn=staff,{ROLES}", {"member": [f"uid=u00001,{PEOPLE}", f"UID=U00000,{PEOPLE}"]}
    )
    assert world.plan(code=0)["changes"] == []
    assert world.sync()["users"]["unchanged"] == 2


@pytest.mark.rule("2.1.3", server="openldap")
@ON_SQLITE
def test_changed_mappers_see_every_entry_anew(quick_world: MakeQuickWorld) -> None:
    """Entries that did not change are mapped again when the mappers did."""
    world = quick_world(people(3))
    world.sync()
    street = {
        "name": "who",
        "type": "user-attribute",
        "user_attribute": "who",
        "ldap_attribute": "cn",
    }
    world.configure(mappers=[street])
    assert world.sync()["users"]["updated"] == 3
    assert world.users()["u00002"]["attributes"] == {"who": ["Person u00002"]}
    world.configure()
    assert world.sync()["users"]["updated"] == 3
    assert world.users()["u00002"]["attributes"] == {}


def _stamp(slapd: Slapd, name: str) -> str:
    with slapd._admin() as admin:
        admin.search(
            f"uid={name},{PEOPLE}", "(objectClass=*)", "BASE", attributes="modifyTimestamp"
        )
        assert admin.response
        (stamp,) = admin.response[0]["raw_attributes"]["modifyTimestamp"]
    return str(stamp.decode())


@pytest.mark.rule("2.1.1", server="proxy")
@ON_SQLITE
def test_what_changes_during_the_search_lies_behind_the_watermark(
    quick_world: MakeQuickWorld,
) -> None:
    """The watermark is the directory's time from before the listing, however long that takes."""
    world = quick_world(people(3), overlays=("syncprov",))
    slapd = world.slapd
    slapd.modify(f"uid=u00001,{PEOPLE}", {"sn": ["Before"]})
    before = _stamp(slapd, "u00001")
    with FaultProxy(slapd.port, Faults(base=PEOPLE, hold_page=1)) as proxy:
        world.url = proxy.url
        world.configure(ldap={"change_detection": "modify_timestamp"})
        with world.start("sync", "acme") as process:
            assert proxy.reached.wait(PATIENCE_SECONDS)
            # Stamps are whole seconds: write until the directory's time has moved on.
            while _stamp(slapd, "u00002") <= before:
                slapd.modify(f"uid=u00002,{PEOPLE}", {"sn": ["During"]})
            proxy.go.set()
            process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    assert world.sql("select value from watermarks") == [before]
