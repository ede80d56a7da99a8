"""Changed-user syncs of an Active Directory domain, by the installed command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.domain import DomainWorld
from tests.acceptance.preloaded import ON_SQLITE
from tests.integration.ldap.domains import Place

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.preloaded import Commands
    from tests.servers.samba import SambaAD

pytest_plugins = ("tests.acceptance.quick",)

BOTH = pytest.mark.parametrize("kind", ["usn_changed", "dirsync"])
CHANGES = ("created", "updated", "renamed", "missing", "disabled", "enabled", "deleted")
BY_MEMBER_OF = {
    "user_roles_retrieve_strategy": "get_from_user_member_of",
    "membership_attribute_type": "member_of",
}
NO_LIMIT = {"percent": None, "count": None}
LIMITED = ("missing", "revoke", "members_per_group", "rename", "update")


class Company:
    """A test's people and groups with a world around them."""

    def __init__(
        self, samba: SambaAD, folder: Path, store_url: str, commands: Commands, *people: str
    ) -> None:
        self.ad = samba
        self.place = Place(samba, *people)
        self.world = DomainWorld(folder, self.place, store_url, commands)

    def synced(self, **ldap: Any) -> None:
        """Configure and run the first sync, in which nothing is doubtful."""
        self.world.configure(ldap=ldap, limits=dict.fromkeys(LIMITED, NO_LIMIT))
        assert self.world.sync()["status"] == "done"

    def changed(self) -> tuple[dict[str, Any], dict[str, int]]:
        """Run a changed-user sync; return its report and what it did to people."""
        done = self.world.changed()
        assert (done["status"], done["mode"]) == ("done", "changed"), done
        return done, {kind: done["users"][kind] for kind in CHANGES if done["users"][kind]}


@pytest.fixture
def company(samba: SambaAD, store_url: str, commands: Commands, tmp_path: Path) -> Company:
    """Six people, of whom two are in a group."""
    return Company(samba, tmp_path / "syncd", store_url, commands, *"abcdef")


@BOTH
@ON_SQLITE
@pytest.mark.rule("2.1.4", server="samba")
@pytest.mark.rule("2.3.3", server="samba")
@pytest.mark.rule("2.3.4", server="samba")
@pytest.mark.rule("2.4.4", server="samba")
def test_a_few_lives(company: Company, kind: str) -> None:
    """People join, marry, leave in three ways, change groups, and come back as who they were."""
    ad, place, world = company.ad, company.place, company.world
    staff = place.group("staff", "a", "b")
    place.group("readers", "c")
    company.synced(change_detection=kind)
    assert world.living_names() == {
        "a": {"staff"},
        "b": {"staff"},
        "c": {"readers"},
        **{name: set() for name in "def"},
    }
    ids = {place.bare(name): user["id"] for name, user in world.users().items()}

    place.join("new")
    ad.modify(place.dn("a"), {"sn": ["Changed"]})
    ad.rename(place.dn("b"), f"CN={place.name('bee')}")
    ad.modify(place.dn("bee"), {"sAMAccountName": [place.name("bee")]})
    ad.delete(place.dn("c"))
    ad.rename(place.dn("d"), f"CN={place.name('d')}", superior=place.elsewhere)
    ad.modify(place.dn("e"), {"employeeType": ["former"]})
    ad.join(staff, place.dn("new"), place.dn("f"))
    ad.leave(staff, place.dn("a"))
    done, users = company.changed()
    assert users == {"created": 1, "updated": 2, "renamed": 1, "missing": 3}
    assert world.living_names() == {"a": set(), "bee": {"staff"}, "f": {"staff"}, "new": {"staff"}}
    assert world.users()[place.name("bee")]["id"] == ids["b"]
    assert world.users()[place.name("a")]["last_name"] == "Changed"

    journal = world.sql("select count(*) from journal")
    done, users = company.changed()
    assert (users, done["memberships"]["added"], done["memberships"]["removed"]) == ({}, 0, 0)
    assert world.sql("select count(*) from journal") == journal

    ad.undelete(place.dn("c"))
    restored = {"sAMAccountName": [place.name("c")], "userAccountControl": ["544"]}
    ad.modify(place.dn("c"), restored)
    ad.rename(place.dn("d", place.elsewhere), f"CN={place.name('d')}", superior=place.east)
    ad.modify(place.dn("e"), {"employeeType": []})
    done, users = company.changed()
    assert users["enabled"] == 3
    assert {place.bare(name) for name in world.living()} == {"a", "bee", "c", "d", "e", "f", "new"}
    assert all(world.users()[place.name(name)]["id"] == ids[name] for name in "acdef")


@ON_SQLITE
@pytest.mark.rule("2.3.4", server="samba")
@pytest.mark.rule("2.4.4", server="samba")
def test_who_is_undeleted_has_what_the_directory_left_him(company: Company) -> None:
    """A deleted entry loses its memberships without a word of the group, and comes back alone."""
    ad, place, world = company.ad, company.place, company.world
    staff = place.group("staff", "a", "b")
    company.synced(change_detection="usn_changed")
    number = ad.read(staff, "uSNChanged")
    ad.delete(place.dn("a"))
    _, users = company.changed()
    assert users == {"missing": 1}
    ad.undelete(place.dn("a"))
    restored = {"sAMAccountName": [place.name("a")], "userAccountControl": ["544"]}
    ad.modify(place.dn("a"), restored)
    assert ad.read(staff, "uSNChanged") == number
    _, users = company.changed()
    assert users["enabled"] == 1
    held = world.living_names()
    assert (held["a"], held["b"]) == (set(), {"staff"})


@BOTH
@ON_SQLITE
@pytest.mark.rule("2.3.3", server="samba")
def test_a_renamed_unit_makes_a_full_sync(company: Company, kind: str) -> None:
    """Whoever moved with the unit is read where he lives now, and keeps what he has."""
    ad, place, world = company.ad, company.place, company.world
    place.join("eve", "sam", container=place.east)
    staff = place.group("staff")
    ad.join(staff, place.dn("eve", place.east))
    company.synced(change_detection=kind)
    ad.modify(place.east, {"description": ["no matter"]})
    company.changed()

    ad.rename(place.east, "OU=west")
    done = world.changed()
    assert (done["mode"], done["promoted_reason"]) == ("full", "renamed_unit")
    assert "OU=west" in done["promoted_because"]
    assert (done["status"], done["users"]["missing"]) == ("done", 0)
    west = f"OU=west,{place.people}"
    assert world.users()[place.name("eve")]["dn"] == place.dn("eve", west)
    assert world.living_names()["eve"] == {"staff"}

    ad.rename(west, "OU=west", superior=place.elsewhere)
    done = world.changed()
    assert (done["mode"], done["promoted_reason"]) == ("full", "renamed_unit")
    assert (done["status"], done["users"]["missing"]) == ("done", 2)
    company.changed()


@BOTH
@ON_SQLITE
@pytest.mark.rule("2.3.3", server="samba")
@pytest.mark.rule("2.3.4", server="samba")
def test_groups_are_read_for_what_people_s_own_entries_say(company: Company, kind: str) -> None:
    """What is computed leaves no trace on people: a change of it shows on the group alone."""
    ad, place, world = company.ad, company.place, company.world
    staff = place.group("staff", "a", "b")
    readers = place.group("readers", "b")
    imports = {"roles_dn": place.groups, **BY_MEMBER_OF}
    company.synced(change_detection=kind, import_roles=imports)
    assert world.living_names()["b"] == {"staff", "readers"}

    ad.join(staff, place.dn("c"))
    ad.leave(staff, place.dn("a"))
    company.changed()
    held = {name: roles for name, roles in world.living_names().items() if roles}
    assert held == {"b": {"staff", "readers"}, "c": {"staff"}}

    ad.rename(staff, f"CN={place.name('crew')}")
    company.changed()
    held = {name: roles for name, roles in world.living_names().items() if roles}
    assert held == {"b": {"crew", "readers"}, "c": {"crew"}}

    ad.delete(readers)
    ad.delete(place.dn("c"))
    _, users = company.changed()
    assert users == {"missing": 1}
    held = {name: roles for name, roles in world.living_names().items() if roles}
    assert held == {"b": {"crew"}}


@pytest.mark.parametrize("moves", ["the group", "its unit", "out of the base"])
@ON_SQLITE
@pytest.mark.rule("2.10.3", server="samba")
def test_a_nested_group_that_is_moved_hands_its_members_on(company: Company, moves: str) -> None:
    """The directory writes its new DN into the group above without a word of that one."""
    ad, place, world = company.ad, company.place, company.world
    unit = f"OU=teams,{place.elsewhere}"
    place.units(unit)
    inner = place.group("inner", "a", "b")
    if moves != "out of the base":
        ad.rename(inner, f"CN={place.name('inner')}", superior=unit)
        inner = place.dn("inner", unit)
    staff = place.group("staff", "c")
    ad.join(staff, inner)
    company.synced(import_roles={"roles_dn": place.groups, "nested_membership": "expand"})
    number = ad.read(staff, "uSNChanged")

    if moves == "the group":
        ad.rename(inner, f"CN={place.name('team')}")
    elif moves == "its unit":
        ad.rename(unit, "OU=crews")
    else:
        ad.rename(inner, f"CN={place.name('inner')}", superior=unit)
    assert ad.read(staff, "uSNChanged") == number
    company.changed()
    assert {name for name, roles in world.living_names().items() if "staff" in roles} == {*"abc"}
    assert world.sync()["memberships"] == {"added": 0, "removed": 0, "unresolved": 0}


@ON_SQLITE
@pytest.mark.rule("2.3.3", server="samba")
def test_check_says_how_changes_will_be_told(company: Company) -> None:
    """The kind, the reason, and what an account without rights does not see."""
    found = company.world.json("check", "--connect")["organizations"][0]["connect"]["changes"]
    assert found["kind"] == "usn_changed"
    assert "shows deleted objects" in found["because"]
