"""Who gains and who loses roles, by every way in which a directory says who holds one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import member_dn, role
from tests.servers.slapd import OPEN_ACCESS, PEOPLE, ROLES, SUFFIX, people, person

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ("tests.acceptance.quick",)

NOBODY: set[str] = set()


def _set_members(world: QuickWorld, name: str, *members: str) -> None:
    dns = [member_dn(member) for member in members]
    world.slapd.modify(f"cn={name},{ROLES}", {"member": dns})


@pytest.mark.rule("K45", server="openldap")
@pytest.mark.rule("K46", server="openldap")
@pytest.mark.rule("K43", server="openldap")
@pytest.mark.rule("2.15.5", server="openldap")
def test_members_by_dn_gain_and_lose_roles(quick_world: MakeQuickWorld) -> None:
    """Everybody holds what the roles' member lists say; what was given by hand stays."""
    world = quick_world(
        people(4)
        + role("group1", "u00000", "u00001", "u00002")
        + role("group2", "u00000", "u00001")
        + role("group3")
    )
    done = world.sync()
    assert done["roles"]["created"] == 3
    assert world.roles_held() == {
        "u00000": {"group1", "group2"},
        "u00001": {"group1", "group2"},
        "u00002": {"group1"},
        "u00003": NOBODY,
    }
    members = {each["name"]: each["members"] for each in world.json("roles", "acme")}
    assert (members["group1"], members["group2"], members["group3"]) == (3, 2, 0)
    world.grant_by_hand("u00001", "group1")
    _set_members(world, "group1", "u00003")
    _set_members(world, "group3", "u00000")
    done = world.sync()
    assert (done["memberships"]["added"], done["memberships"]["removed"]) == (2, 3)
    assert world.roles_held() == {
        "u00000": {"group2", "group3"},
        "u00001": {"group1", "group2"},
        "u00002": NOBODY,
        "u00003": {"group1"},
    }
    assert world.roles_of("u00001")["group1"] == ["manual"]
    assert world.plan(code=0)["changes"] == []


@pytest.mark.rule("2.10.5", server="openldap")
def test_members_by_uid_gain_and_lose_roles(quick_world: MakeQuickWorld) -> None:
    """Roles that list usernames: letter case is no matter, and a rename is followed both ways."""
    group = (
        f"dn: cn=shell,{ROLES}\nobjectClass: posixGroup\ncn: shell\ngidNumber: 1\n"
        "memberUid: U00000\nmemberUid: u00001\n\n"
    )
    world = quick_world(people(4) + group)
    world.configure(
        ldap={
            "import_roles": {
                "roles_dn": ROLES,
                "role_object_class": ["posixGroup"],
                "membership_attribute_type": "uid",
                "membership_ldap_attribute": "memberUid",
            }
        }
    )
    world.sync()
    assert world.roles_held()["u00000"] == {"shell"}
    world.slapd.modify(f"cn=shell,{ROLES}", {"memberUid": ["u00001", "u00002", "later"]})
    world.sync()
    assert [name for name, roles in world.roles_held().items() if roles] == ["u00001", "u00002"]
    # The role entry stays as it is: who is called so now holds it, who was called so does not.
    world.slapd.rename(f"uid=u00002,{PEOPLE}", "uid=nolonger")
    world.slapd.rename(f"uid=u00003,{PEOPLE}", "uid=later")
    done = world.sync()
    assert (done["memberships"]["added"], done["memberships"]["removed"]) == (1, 1)
    assert [name for name, roles in world.roles_held().items() if roles] == ["later", "u00001"]
    assert world.plan(code=0)["changes"] == []


@pytest.mark.rule("2.3.4", server="openldap")
@pytest.mark.rule("2.6.10", server="openldap")
def test_member_of_gains_and_loses_roles(quick_world: MakeQuickWorld) -> None:
    """Roles by the overlay's memberOf, which moves no stamp; groups outside roles_dn are none."""
    world = quick_world(
        people(4) + f"dn: ou=lists,{SUFFIX}\nobjectClass: organizationalUnit\nou: lists\n\n",
        overlays=("memberof",),
    )
    world.configure(
        ldap={
            "import_roles": {
                "roles_dn": ROLES,
                "user_roles_retrieve_strategy": "get_from_user_member_of",
            }
        }
    )

    def add(name: str, container: str, *members: str) -> None:
        dns = [member_dn(member) for member in members]
        world.slapd.add(f"cn={name},{container}", objectClass="groupOfNames", cn=name, member=dns)

    add("staff", ROLES, "u00000", "u00001")
    add("announce", f"ou=lists,{SUFFIX}", "u00000", "u00003")
    world.sync()
    assert world.roles_held() == {
        "u00000": {"staff"},
        "u00001": {"staff"},
        "u00002": NOBODY,
        "u00003": NOBODY,
    }
    stamps = {name: user["source_modified_at"] for name, user in world.users().items()}
    _set_members(world, "staff", "u00001", "u00002")
    add("sales", ROLES, "u00003")
    done = world.sync()
    assert (done["memberships"]["added"], done["memberships"]["removed"]) == (2, 1)
    assert world.roles_held() == {
        "u00000": NOBODY,
        "u00001": {"staff"},
        "u00002": {"staff"},
        "u00003": {"sales"},
    }
    assert {name: user["source_modified_at"] for name, user in world.users().items()} == stamps
    assert world.plan(code=0)["changes"] == []


@pytest.mark.rule("K37", server="openldap")
@ON_SQLITE
def test_member_of_may_be_any_attribute(quick_world: MakeQuickWorld) -> None:
    """A custom attribute that holds a role's DN gives that role."""
    world = quick_world(
        person("a", street=f"CN=Group1,{ROLES}") + person("b") + role("group1") + role("group2")
    )
    world.configure(
        ldap={
            "import_roles": {
                "roles_dn": ROLES,
                "user_roles_retrieve_strategy": "GET_FROM_USER_MEMBER_OF",
                "member_of_ldap_attribute": "street",
            }
        }
    )
    world.sync()
    assert world.roles_held() == {"a": {"group1"}, "b": NOBODY}


@pytest.mark.rule("K36", server="openldap")
def test_a_role_that_lists_somebody_who_arrives_two_syncs_later(
    quick_world: MakeQuickWorld,
) -> None:
    """The unchanged role gives itself to the latecomer; until then its member is unresolved."""
    world = quick_world(people(2) + role("staff", "u00000", "late"))
    assert world.sync()["memberships"] == {"added": 1, "removed": 0, "unresolved": 1}
    assert world.sync()["memberships"] == {"added": 0, "removed": 0, "unresolved": 1}
    world.slapd.add(f"uid=late,{PEOPLE}", objectClass="inetOrgPerson", uid="late", cn="L", sn="L")
    assert world.sync()["memberships"] == {"added": 1, "removed": 0, "unresolved": 0}
    assert world.roles_held() == {"late": {"staff"}, "u00000": {"staff"}, "u00001": NOBODY}


def test_a_person_whose_dn_changed_while_his_role_did_not(quick_world: MakeQuickWorld) -> None:
    """He gains the role that listed his new DN all along and loses the one that lists the old."""
    world = quick_world(people(3) + role("new", "uid=moved," + PEOPLE) + role("old", "u00001"))
    world.sync()
    assert world.roles_held()["u00001"] == {"old"}
    world.slapd.rename(f"uid=u00001,{PEOPLE}", "uid=moved")
    done = world.sync()
    assert done["memberships"] == {"added": 1, "removed": 1, "unresolved": 1}
    assert world.roles_held() == {"moved": {"new"}, "u00000": NOBODY, "u00002": NOBODY}


@pytest.mark.rule("2.6.10", server="openldap")
@ON_SQLITE
def test_references_cleaned_up_by_the_server_are_followed(quick_world: MakeQuickWorld) -> None:
    """With refint a rename keeps the role, and a leaver's place in it goes to nobody."""
    world = quick_world(people(3) + role("staff", "u00001", "u00002"), overlays=("refint",))
    world.sync()
    world.slapd.rename(f"uid=u00001,{PEOPLE}", "uid=moved")
    world.slapd.delete(f"uid=u00002,{PEOPLE}")
    done = world.sync()
    assert done["memberships"] == {"added": 0, "removed": 0, "unresolved": 0}
    assert world.roles_held() == {"moved": {"staff"}, "u00000": NOBODY}


@pytest.mark.rule("K30", server="openldap")
@pytest.mark.rule("2.10.3", server="openldap")
def test_a_renamed_and_a_deleted_role(quick_world: MakeQuickWorld) -> None:
    """Its members hold the role under its new name; nobody holds one that is gone."""
    world = quick_world(people(3) + role("staff", "u00000", "u00001") + role("sales", "u00001"))
    world.sync()
    world.slapd.rename(f"cn=staff,{ROLES}", "cn=crew")
    world.slapd.delete(f"cn=sales,{ROLES}")
    done = world.sync()
    assert (done["memberships"]["added"], done["memberships"]["removed"]) == (2, 3)
    assert world.roles_held() == {"u00000": {"crew"}, "u00001": {"crew"}, "u00002": NOBODY}
    assert world.plan(code=0)["changes"] == []


@ON_SQLITE
def test_two_role_entries_of_one_name_are_one_role(quick_world: MakeQuickWorld) -> None:
    """Equal names in different units add up; who is in one of them still keeps the role."""
    unit = f"ou=west,{ROLES}"
    world = quick_world(
        people(3)
        + role("staff", "u00000", "u00001")
        + f"dn: {unit}\nobjectClass: organizationalUnit\nou: west\n\n"
        + role("Staff", "u00001", "u00002", container=unit)
    )
    world.sync()
    assert [len(roles) for roles in world.roles_held().values()] == [1, 1, 1]
    _set_members(world, "staff", "cn=nobody")
    world.sync()
    assert [bool(roles) for roles in world.roles_held().values()] == [False, True, True]


@pytest.mark.rule("K42", server="openldap")
@ON_SQLITE
def test_role_names_may_hold_what_dns_and_paths_escape(quick_world: MakeQuickWorld) -> None:
    """Slashes, commas, parentheses and letters beyond ASCII stand in names as they are."""
    names = ["Team 2016/2017", "group/with/three/slashes", "Prüfer, Süd", "a*b(c)ž", 'x"+<>;\\']
    world = quick_world(people(1))
    for name in names:
        escaped = "".join(f"\\{sign}" if sign in ',"+<>;\\' else sign for sign in name)
        world.slapd.add(
            f"cn={escaped},{ROLES}",
            objectClass="groupOfNames",
            cn=name,
            member=member_dn("u00000"),
        )
    world.sync()
    assert world.roles_held() == {"u00000": set(names)}
    explained = world.json("explain", "acme", "u00000", "--role", "Prüfer, Süd")
    assert explained["present"]
    _set_members(world, "Prüfer\\, Süd", "cn=nobody")
    world.sync()
    assert world.roles_held() == {"u00000": set(names) - {"Prüfer, Süd"}}


@pytest.mark.rule("K41", server="openldap")
@ON_SQLITE
def test_the_placeholder_of_an_empty_role_is_nobody(quick_world: MakeQuickWorld) -> None:
    """A placeholder that the schema demands is no member that waits to be resolved."""
    world = quick_world(people(1) + role("staff", "cn=empty-membership-placeholder"))
    assert world.sync()["memberships"] == {"added": 0, "removed": 0, "unresolved": 0}


@ON_SQLITE
def test_a_role_called_like_a_preconfigured_one_waits_for_an_explicit_map(
    quick_world: MakeQuickWorld,
) -> None:
    """It is not granted and sits in quarantine while others go on; the map grants it openly."""
    world = quick_world(
        people(3)
        + role("Owner", "u00000")
        + role(" aDmin", "u00000")
        + role("staff", "u00000", "u00001")
        + role("sales", "u00002")
    )
    done = world.sync(code=5)
    assert done["users"]["quarantined"] == 2
    assert world.quarantine() == {
        f"cn=Owner,{ROLES}": "role_name_reserved",
        f"cn=aDmin,{ROLES}": "role_name_reserved",
    }
    assert world.roles_held()["u00000"] == {"staff"}
    # A bad entry beside it does not keep a role that is gone alive.
    world.slapd.delete(f"cn=sales,{ROLES}")
    assert world.sync(code=5)["memberships"]["removed"] == 1
    mapped = {"roles_dn": ROLES, "name_map": {"owner": "Owner", "Admin": "Helpers"}}
    world.configure(ldap={"import_roles": mapped})
    assert "may_grant_privileged" in world.syncd("sync", "acme", code=2).err
    world.configure(ldap={"import_roles": mapped | {"may_grant_privileged": True}})
    plan = world.plan(code=1)
    # The most dangerous change stands first.
    assert (plan["changes"][0]["kind"], plan["changes"][0]["new"]) == ("grant", "Owner")
    world.sync()
    assert world.quarantine() == {}
    assert world.roles_of("u00000") == {
        "Helpers": ["import roles"],
        "Owner": ["import roles"],
        "staff": ["import roles"],
    }


@pytest.mark.rule("2.13.3", server="openldap")
def test_an_empty_roles_listing_is_held_until_somebody_looks(quick_world: MakeQuickWorld) -> None:
    """The users are all there and the roles are not: nothing is revoked before an approval."""
    world = quick_world(people(5) + role("staff", "u00000", "u00001") + role("sales", "u00002"))
    world.sync()
    held = world.roles_held()
    world.allow(f'access to dn.children="{ROLES}" by * none\n' + OPEN_ACCESS)
    blocked = world.sync(code=3)
    assert blocked["listing"] == "complete"
    assert blocked["memberships"]["removed"] == 3
    assert any("import roles is empty while 2 roles" in why for why in blocked["reasons"])
    assert world.roles_held() == held
    approved = world.json("approve", blocked["run"])
    assert approved["memberships"]["removed"] == 3
    assert not any(world.roles_held().values())
    # The lost right was given back: everybody has his roles again.
    world.allow()
    world.sync()
    assert world.roles_held() == held


@pytest.mark.rule("2.1.4", server="openldap")
def test_what_a_held_run_did_not_take_away_the_next_complete_one_does(
    quick_world: MakeQuickWorld,
) -> None:
    """Roles lost in the directory while a listing proved nothing are not forgotten."""
    world = quick_world(people(4) + role("staff", "u00000", "u00001") + role("sales", "u00002"))
    world.configure(ldap={"sentinels": [f"uid=u00003,{PEOPLE}"]})
    world.sync()
    world.slapd.rename(f"uid=u00003,{PEOPLE}", "uid=other")
    _set_members(world, "staff", "u00001", "u00003")
    world.slapd.rename(f"uid=u00002,{PEOPLE}", "uid=moved")
    world.sync(code=4)
    assert world.roles_held()["u00000"] == {"staff"}
    assert world.roles_held()["moved"] == {"sales"}
    world.slapd.rename(f"uid=other,{PEOPLE}", "uid=u00003")
    world.sync()
    assert world.roles_held() == {
        "moved": NOBODY,
        "u00000": NOBODY,
        "u00001": {"staff"},
        "u00003": {"staff"},
    }


def test_a_sync_of_one_person_forgets_no_role_that_he_lost(quick_world: MakeQuickWorld) -> None:
    """It takes nothing away itself, and leaves it to the next full sync to do so."""
    world = quick_world(people(3) + role("staff", "u00000", "u00001"))
    world.sync()
    world.slapd.rename(f"uid=u00001,{PEOPLE}", "uid=moved")
    one: dict[str, Any] = world.json("sync", "acme", "--user", "moved")
    assert (one["users"]["renamed"], one["memberships"]["removed"]) == (1, 0)
    world.sync()
    assert world.roles_held() == {"moved": NOBODY, "u00000": {"staff"}, "u00002": NOBODY}
