"""Who gave what: mappers beside each other and beside administrators, and mappers that go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.acceptance.grouped import (
    ELSEWHERE,
    GROUPS,
    MAPPER,
    closure,
    configure,
    dn_of,
    group,
    mapper,
    members,
    paths,
    rows,
    set_members,
    unit,
    who,
)
from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import member_dn, role
from tests.servers.slapd import PEOPLE, ROLES, people

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ("tests.acceptance.quick",)

OTHERS = f"ou=others,{ROLES}"
SECOND = {"name": "second", "type": "role", "roles_dn": OTHERS}


def _second(world: QuickWorld, *names: str) -> None:
    dns = [member_dn(name) for name in names] or ["cn=nobody"]
    world.slapd.modify(f"cn=Staff,{OTHERS}", {"member": dns})


def _join_by_hand(world: QuickWorld, username: str, name: str) -> None:
    """Put somebody into a group as an administrator would."""
    world.sql(
        "insert into group_members (user_id, group_id, source, organization_id)"
        " select :user_id, id, 'manual', 'acme' from groups where name = :name",
        user_id=world.id_of(username),
        name=name,
    )


def _leave_by_hand(world: QuickWorld, table: str, username: str) -> None:
    statement = {
        "grants": "delete from grants where user_id = :user_id and source = 'manual'",
        "group_members": "delete from group_members where user_id = :user_id and source = 'manual'",
    }[table]
    world.sql(statement, user_id=world.id_of(username))


@pytest.mark.rule("2.15.5", server="openldap")
def test_what_hands_and_mappers_give_is_taken_by_each_for_itself(
    quick_world: MakeQuickWorld,
) -> None:
    """Of a role or group that somebody has twice the one that goes leaves the other."""
    world = quick_world(
        people(3) + role("staff", "u00000", "u00001") + unit() + group("a", "u00000", "u00001")
    )
    world.configure(mappers=[mapper()])
    world.sync()
    for name in ("u00000", "u00001", "u00002"):
        world.grant_by_hand(name, "staff")
        _join_by_hand(world, name, "a")
    both = ["import roles", "manual"]
    assert world.roles_of("u00000") == {"staff": both}
    assert members(world)["a"] == {
        "u00000": ["manual", MAPPER],
        "u00001": ["manual", MAPPER],
        "u00002": ["manual"],
    }
    assert world.plan(code=0)["changes"] == []
    # An administrator takes his own back, and the directory its own.
    _leave_by_hand(world, "grants", "u00000")
    _leave_by_hand(world, "group_members", "u00000")
    world.slapd.modify(f"cn=staff,{ROLES}", {"member": [member_dn("u00000")]})
    set_members(world, "a", "u00000")
    done = world.sync()
    assert (done["memberships"]["added"], done["memberships"]["removed"]) == (0, 2)
    assert [world.roles_of(f"u0000{number}") for number in range(3)] == [
        {"staff": ["import roles"]},
        {"staff": ["manual"]},
        {"staff": ["manual"]},
    ]
    assert members(world)["a"] == {
        "u00000": [MAPPER],
        "u00001": ["manual"],
        "u00002": ["manual"],
    }
    # Who leaves and comes back has what was given by hand, and what the directory says then.
    world.slapd.delete(f"uid=u00001,{PEOPLE}")
    world.sync()
    assert "u00001" not in members(world)["a"]
    assert rows(world, "select count(*) from group_members where source = 'manual'") == [(2,)]
    assert world.plan(code=0)["changes"] == []


def test_two_mappers_that_give_one_role(quick_world: MakeQuickWorld) -> None:
    """It is held until the last of them takes it, whoever made it, and dropped by that one."""
    world = quick_world(
        people(3)
        + f"dn: {OTHERS}\nobjectClass: organizationalUnit\nou: others\n\n"
        + role("staff", "u00000", "u00001")
        + role("Staff", "u00001", "u00002", container=OTHERS)
    )
    dropping = {
        "roles_dn": ROLES,
        "ldap_filter": "(!(description=other))",
        "drop_non_existing_roles": True,
    }
    second = SECOND | {"drop_non_existing_roles": True}
    world.slapd.modify(f"cn=Staff,{OTHERS}", {"description": ["other"]})
    world.configure(ldap={"import_roles": dropping}, mappers=[second])
    world.sync()
    both = ["import roles", "second"]
    assert [world.roles_of(f"u0000{number}") for number in range(3)] == [
        {"Staff": ["import roles"]},
        {"Staff": both},
        {"Staff": ["second"]},
    ]
    _second(world, "u00002")
    world.sync()
    assert world.roles_of("u00001") == {"Staff": ["import roles"]}
    # The mapper under whose name it was made has it no more; the other one still gives it.
    world.slapd.delete(f"cn=staff,{ROLES}")
    world.slapd.add(
        f"cn=more,{ROLES}", objectClass="groupOfNames", cn="more", member=member_dn("u00000")
    )
    done = world.sync()
    assert done["roles"] == {"created": 1, "updated": 0, "deleted": 0}
    assert world.roles_held() == {"u00000": {"more"}, "u00001": set(), "u00002": {"Staff"}}
    world.slapd.rename(f"cn=Staff,{OTHERS}", "cn=crew")
    done = world.sync()
    assert done["roles"] == {"created": 1, "updated": 0, "deleted": 1}
    assert world.roles_held()["u00002"] == {"crew"}
    assert world.plan(code=0)["changes"] == []


ALL = (
    mapper(nested_membership="expand", groups_path="/Path"),
    SECOND,
    {"name": "everybody", "type": "hardcoded-role", "role": "Everyone"},
    {"name": "all of us", "type": "hardcoded-group", "group": "/Path/All"},
)


def _company(quick_world: MakeQuickWorld) -> QuickWorld:
    world = quick_world(
        people(3)
        + f"dn: {OTHERS}\nobjectClass: organizationalUnit\nou: others\n\n"
        + role("staff", "u00000")
        + role("Staff", "u00001", container=OTHERS)
        + role("extra", "u00001", "u00002", container=OTHERS)
        + unit()
        + group("a", "u00000", groups=("b",))
        + group("b", "u00001")
    )
    world.configure(
        ldap={"import_roles": {"roles_dn": ROLES, "ldap_filter": "(cn=staff)"}}, mappers=list(ALL)
    )
    world.sync()
    assert who(world) == {
        "Path": "",
        "All": "u00000 u00001 u00002",
        "a": "u00000 u00001",
        "b": "u00001",
    }
    return world


@pytest.mark.parametrize("shared", [False, True])
def test_removed_mappers_take_back_what_they_gave(
    quick_world: MakeQuickWorld, *, shared: bool
) -> None:
    """Held for approval, then gone with roles, groups and books; what others give stays."""
    world = _company(quick_world)
    if shared:
        world.grant_by_hand("u00000", "Everyone")
        _join_by_hand(world, "u00002", "b")
    world.configure(ldap={"import_roles": {"roles_dn": ROLES, "ldap_filter": "(cn=staff)"}})
    held = world.roles_held(), who(world), paths(world)
    blocked = world.sync(code=3)
    assert (world.roles_held(), who(world), paths(world)) == held
    told = [each["mapper"] for each in blocked["remarks"] if each["kind"] == "removed_mapper"]
    assert told == ["all of us", "everybody", "second", MAPPER]
    done = world.json("approve", blocked["run"])
    assert done["roles"]["deleted"] == (1 if shared else 2)
    assert done["groups"]["deleted"] == (3 if shared else 4)
    assert done["memberships"]["removed"] == 3 + 3 + 3 + 3
    by_hand = {"Everyone"} if shared else set()
    assert world.roles_held() == {
        "u00000": {"Staff"} | by_hand,
        "u00001": {"Staff"},
        "u00002": set(),
    }
    assert who(world) == ({"b": "u00002"} if shared else {})
    assert (paths(world), closure(world)) == ({"/b"} if shared else set(), set())
    for table in ("containers", "membership_refs", "container_ancestors"):
        found = rows(world, f"select distinct mapper from {table}")
        assert found in ([("import roles",)], []), table
    assert world.plan(code=0)["changes"] == []


@ON_SQLITE
@pytest.mark.parametrize("gone", ["before", "with"])
def test_removed_mappers_take_back_from_whoever_is_away(
    quick_world: MakeQuickWorld, gone: str
) -> None:
    """Who is missing while a mapper goes does not come back with what it had given him."""
    world = _company(quick_world)
    if gone == "before":
        world.slapd.rename(f"uid=u00001,{PEOPLE}", "uid=u00001", superior=ELSEWHERE)
        world.sync()
    else:
        world.slapd.rename(f"uid=u00001,{PEOPLE}", "uid=u00001", superior=ELSEWHERE)
    world.configure(ldap={"import_roles": {"roles_dn": ROLES, "ldap_filter": "(cn=none)"}})
    world.json("approve", world.sync(code=3)["run"])
    world.slapd.rename(f"uid=u00001,{ELSEWHERE}", "uid=u00001", superior=PEOPLE)
    world.sync()
    assert world.roles_held()["u00001"] == set()
    assert rows(world, "select source from group_members union select source from grants") == []
    assert who(world) == {}


@ON_SQLITE
def test_what_a_held_run_leaves_of_a_removed_mapper_is_not_forgotten(
    quick_world: MakeQuickWorld,
) -> None:
    """Where only the kind over its limit is held, the next run knows of it as well."""
    world = _company(quick_world)
    ldap = {"import_roles": {"roles_dn": ROLES, "ldap_filter": "(cn=staff)"}}
    limits = {"on_exceed": "hold_kind", "revoke": {"count": 1, "percent": None}}
    world.configure(ldap=ldap, limits=limits)
    held = who(world), world.roles_held()
    first, blocked = world.sync(code=3), world.sync(code=3)
    for report in (first, blocked):
        assert (who(world), world.roles_held()) == held
        assert ("removed_mapper", MAPPER) in {
            (each["kind"], each["mapper"]) for each in report["remarks"]
        }
    world.json("approve", blocked["run"])
    world.sync()
    assert (who(world), world.roles_held()["u00001"]) == ({}, {"Staff"})
    assert world.sync()["remarks"] == []


@ON_SQLITE
def test_removed_mappers_over_the_limit_of_removals(quick_world: MakeQuickWorld) -> None:
    """Limits count what goes: roles and groups that mappers made, and who loses how many."""
    world = _company(quick_world)
    world.configure(
        ldap={"import_roles": {"roles_dn": ROLES, "ldap_filter": "(cn=staff)"}},
        limits={"remove": {"count": 5, "percent": None}},
    )
    blocked = world.sync(code=3)
    assert any("6 roles and groups would be deleted" in each for each in blocked["reasons"])
    # Somebody puts the mappers back: nothing was lost, and nothing waits any more.
    world.configure(
        ldap={"import_roles": {"roles_dn": ROLES, "ldap_filter": "(cn=staff)"}}, mappers=list(ALL)
    )
    done = world.sync()
    assert (done["memberships"]["removed"], done["roles"]["deleted"]) == (0, 0)
    assert world.json("status", "acme")[0]["blocked_plans"] == []


def _renamed(strategy: str, ending: str) -> list[dict[str, Any]]:
    """Return mappers of every kind that gives something, under new names if there is an ending."""
    by_member_of = strategy == "member_of"
    keys: dict[str, dict[str, Any]] = {"roles": {}, "groups": {}}
    if by_member_of:
        keys = {
            kind: {f"user_{kind}_retrieve_strategy": "get_from_user_member_of"} for kind in keys
        }
    found = [
        mapper("groups", nested_membership="expand", groups_path="/Path", **keys["groups"]),
        {"name": "roles", "type": "role", "roles_dn": ROLES, **keys["roles"]},
        {"name": "everybody", "type": "hardcoded-role", "role": "Everyone"},
        {"name": "all of us", "type": "hardcoded-group", "group": "/Path/All"},
    ]
    if not ending:
        return found
    return [each | {"name": each["name"] + ending, "renamed_from": each["name"]} for each in found]


@pytest.mark.parametrize("strategy", ["dn", "member_of"])
def test_renamed_mappers_change_nothing(quick_world: MakeQuickWorld, strategy: str) -> None:
    """Not in a dry run and not in a real one: grants, ids and history are what they were."""
    world = quick_world(people(3) + unit(), overlays=("memberof",))
    for name, container, *inside in (
        ("staff", ROLES, "u00000", "u00001"),
        ("b", GROUPS, "u00001"),
        ("a", GROUPS, "u00000", dn_of("b")),
    ):
        dns = [member_dn(each) for each in inside]
        world.slapd.add(f"cn={name},{container}", objectClass="groupOfNames", cn=name, member=dns)

    def stored() -> list[Any]:
        return [
            rows(world, query)
            for query in (
                "select username, version from users order by id",
                "select id, name, external_id from groups order by id",
                "select id, name from roles where organization_id is not null order by id",
                "select user_id, role_id, run_id from grants order by 1, 2",
                "select user_id, group_id, run_id from group_members order by 1, 2",
                "select group_id, parent_id from group_parents order by 1, 2",
                "select count(*) from journal",
            )
        ]

    def sources() -> set[str]:
        query = "select source from grants union select source from group_members"
        mappers = "select mapper from groups union select mapper from containers"
        return {name for (name,) in rows(world, f"{query} union {mappers}")}

    configure(world, *_renamed(strategy, ""))
    world.sync()
    before = stored()
    assert sources() == {"groups", "roles", "everybody", "all of us"}
    configure(world, *_renamed(strategy, " 2"))
    assert world.plan(code=0)["changes"] == []
    assert sources() == {"groups", "roles", "everybody", "all of us"}
    done = world.sync()
    assert (done["status"], done["memberships"]["added"]) == ("done", 0)
    assert {(each["kind"], each["mapper"]) for each in done["remarks"]} == {
        ("renamed_mapper", f"{name} 2") for name in ("groups", "roles", "everybody", "all of us")
    }
    assert stored() == before
    assert sources() == {"groups 2", "roles 2", "everybody 2", "all of us 2"}
    # The key may stay as long as somebody likes, and may go.
    assert world.sync()["remarks"] == []
    later = _renamed(strategy, " 2")
    for each in later:
        del each["renamed_from"]
    configure(world, *later)
    assert world.plan(code=0)["changes"] == []
    assert world.sync()["status"] == "done"
    assert stored() == before


@ON_SQLITE
def test_a_wrong_former_name_is_told(quick_world: MakeQuickWorld) -> None:
    """One that gave nothing here, one that is still there, and one that two mappers claim."""
    world = quick_world(people(2) + unit() + group("a", "u00000"))
    configure(world, mapper("groups"))
    world.sync()
    configure(world, mapper("teams", renamed_from="crowds"))
    blocked = world.sync(code=3)
    assert ("renamed_mapper", "teams") in {
        (each["kind"], each["mapper"]) for each in blocked["remarks"]
    }
    assert any("crowds has no effect" in each["detail"] for each in blocked["remarks"])
    assert members(world) == {"a": {"u00000": ["groups"]}}
    configure(world, mapper("groups"), mapper("teams", renamed_from="groups"))
    assert 'names "groups", which is still a mapper here' in world.syncd("plan", "acme", code=2).err
    configure(world, mapper("teams", renamed_from="groups"), mapper("crews", renamed_from="groups"))
    assert "a name has one heir" in world.syncd("plan", "acme", code=2).err
    configure(world, mapper("teams", renamed_from="groups"))
    done = world.sync()
    assert members(world) == {"a": {"u00000": ["teams"]}}
    assert done["groups"] == {"created": 0, "updated": 0, "deleted": 0}


@ON_SQLITE
def test_a_rename_is_no_disguise_for_another_mapper(quick_world: MakeQuickWorld) -> None:
    """What the new options no longer give is taken back, and what they give besides is added."""
    world = quick_world(people(2) + unit() + group("a", "u00000", "u00001") + group("b", "u00001"))
    configure(world, mapper("groups", drop_non_existing_groups_during_sync=True))
    world.sync()
    configure(
        world,
        mapper(
            "teams",
            renamed_from="groups",
            ldap_filter="(cn=b)",
            drop_non_existing_groups_during_sync=True,
        ),
    )
    blocked = world.sync(code=3)
    assert members(world)["a"] == {"u00000": ["teams"], "u00001": ["teams"]}
    world.json("approve", blocked["run"])
    assert members(world) == {"b": {"u00001": ["teams"]}}


@pytest.mark.parametrize("first", ["group", "role"])
def test_a_mapper_that_becomes_one_of_another_type(quick_world: MakeQuickWorld, first: str) -> None:
    """What it gave as a mapper of groups it takes back as one of roles, and the reverse."""
    world = quick_world(
        people(2) + unit() + group("a", "u00000", groups=("b",)) + group("b", "u00001")
    )
    types = {
        "group": mapper("it", nested_membership="expand"),
        "role": {"name": "it", "type": "role", "roles_dn": GROUPS, "nested_membership": "expand"},
    }
    configure(world, types.pop(first))
    world.sync()
    configure(world, *types.values())
    blocked = world.sync(code=3)
    done = world.json("approve", blocked["run"])
    assert (done["memberships"]["added"], done["memberships"]["removed"]) == (3, 3)
    roles = {"u00000": {"a"}, "u00001": {"a", "b"}}
    groups = {"a": "u00000 u00001", "b": "u00001"}
    nothing: dict[str, set[str]] = {"u00000": set(), "u00001": set()}
    assert world.roles_held() == (roles if first == "group" else nothing)
    assert who(world) == ({"a": "", "b": ""} if first == "group" else groups)
    assert bool(closure(world)) == (first == "role")
    assert world.plan(code=0)["changes"] == []


def test_two_organizations_side_by_side(quick_world: MakeQuickWorld) -> None:
    """The same names of people, roles, groups and mappers; what one loses the other keeps."""
    world = quick_world(
        people(2)
        + role("staff", "u00000")
        + unit()
        + group("a", "u00000", groups=("b",))
        + group("b", "u00001")
    )
    world.configure(
        mappers=[mapper(nested_membership="expand", drop_non_existing_groups_during_sync=True)]
    )
    document = yaml.safe_load(world.organization_file.read_text())
    document["organization"] = {"id": "other", "name": "Other Corp"}
    other = world.organization_file.with_name("other.yaml")
    other.write_text(yaml.safe_dump(document))
    world.sync()
    assert world.json("sync", "other", code=0)["groups"]["created"] == 2
    per_organization = (
        "select organization_id, count(*) from {} where organization_id is not null"
        " group by organization_id order by organization_id"
    )
    for table, count in (
        ("users", 2),
        ("roles", 1),
        ("groups", 2),
        ("group_members", 3),
        ("group_parents", 1),
        ("grants", 1),
    ):
        found = rows(world, per_organization.format(table))
        assert found == [("acme", count), ("other", count)], table
    set_members(world, "a", "u00000")
    world.slapd.delete(dn_of("b"), f"cn=staff,{ROLES}")
    world.slapd.add(
        f"cn=crew,{ROLES}", objectClass="groupOfNames", cn="crew", member=member_dn("u00000")
    )
    world.sync()
    left = "select organization_id, count(*) from {} group by 1 order by 1"
    assert rows(world, left.format("group_members")) == [("acme", 1), ("other", 3)]
    assert rows(world, left.format("group_parents")) == [("other", 1)]
    assert rows(world, left.format("groups")) == [("acme", 1), ("other", 2)]
    # One of them gives its mapper up; the other's, of the same name, stays.
    world.configure()
    blocked = world.sync(code=3)
    world.json("approve", blocked["run"])
    assert rows(world, left.format("groups")) == [("other", 2)]
    assert world.json("plan", "other", code=1)["groups"]["deleted"] == 1
