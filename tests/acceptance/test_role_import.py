"""Every key of role import: which entries, under which names, and what becomes of those that go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.grouped import remarks, rows
from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import member_dn, role
from tests.servers.slapd import PEOPLE, ROLES, people

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ("tests.acceptance.quick",)


def _configure(world: QuickWorld, **keys: Any) -> None:
    world.configure(ldap={"import_roles": {"roles_dn": ROLES} | keys})


def _make_role(world: QuickWorld, name: str) -> None:
    """Make a role as an administrator would."""
    world.sql(
        "insert into roles (id, organization_id, name, name_key, kind, description)"
        " values ((select coalesce(max(id), 0) + 500000 from roles),"
        " 'acme', :name, :key, 'custom', '')",
        name=name,
        key=name.casefold(),
    )


def _roles(world: QuickWorld) -> list[str]:
    query = "select name from roles where organization_id = 'acme' order by name"
    return [name for (name,) in rows(world, query)]


@ON_SQLITE
def test_which_entries_are_roles_and_what_they_are_called(quick_world: MakeQuickWorld) -> None:
    """Base, classes, filter and name attribute together decide; comma lists are lists."""
    world = quick_world(
        people(2)
        + role("one", "u00000", description="Role One", businessCategory="app")
        + role("two", "u00000", description="Role Two")
        + f"dn: cn=three,{ROLES}\nobjectClass: groupOfUniqueNames\ncn: three\n"
        f"businessCategory: app\ndescription: Role Three\nuniqueMember: {member_dn('u00000')}\n\n"
    )
    _configure(
        world,
        role_object_class="top, groupOfNames",
        ldap_filter="(businessCategory=app)",
        role_name_ldap_attribute="Description",
    )
    world.sync()
    assert world.roles_held()["u00000"] == {"Role One"}
    _configure(
        world,
        role_object_class=["groupOfUniqueNames"],
        membership_ldap_attribute="uniqueMember",
        role_prefix="LDAP ",
    )
    blocked = world.sync(code=3)
    world.json("approve", blocked["run"])
    assert world.roles_held()["u00000"] == {"LDAP three"}


@ON_SQLITE
def test_names_by_map_by_pattern_and_by_prefix(quick_world: MakeQuickWorld) -> None:
    """The map goes before the patterns, the first pattern counts, and only for whole names."""
    names = ("it-admins", "app-portal-Billing", "APP-wiki", "xapp-wiki", "tmp-1", "tmp-2", "plain")
    world = quick_world(people(2) + "".join(role(name, "u00000") for name in names))
    _configure(
        world,
        name_map={"IT-Admins": "Admin", "app-nothing": "Nothing"},
        name_patterns=[
            {"match": "app-portal-(.+)", "role": r"\1"},
            {"match": "^app-(?P<name>.+)$", "role": r"App \g<name>"},
            {"match": "tmp-.*", "role": "Temporary"},
            {"match": ".*-admins", "role": "Never"},
        ],
        role_prefix="LDAP ",
        may_grant_privileged=True,
    )
    world.sync()
    assert world.roles_held()["u00000"] == {
        "Admin",
        "Billing",
        "App wiki",
        "LDAP xapp-wiki",
        "Temporary",
        "LDAP plain",
    }
    # Two entries are one role: it is held until neither gives it.
    world.slapd.delete(f"cn=tmp-1,{ROLES}")
    world.sync()
    assert "Temporary" in world.roles_held()["u00000"]
    world.slapd.modify(f"cn=tmp-2,{ROLES}", {"member": [member_dn("u00001")]})
    world.sync()
    assert "Temporary" not in world.roles_held()["u00000"]
    assert world.roles_held()["u00001"] == {"Temporary"}
    assert world.plan(code=0)["changes"] == []


@ON_SQLITE
@pytest.mark.parametrize(
    "pattern",
    [
        {"match": "(a+)+", "role": "x"},
        {"match": "(.*)(.*)(.*)(.*)", "role": "x"},
        {"match": r"(a)\1", "role": "x"},
        {"match": "(?=a)a", "role": "x"},
        {"match": "(", "role": "x"},
        {"match": "a", "role": r"\1"},
    ],
    ids=["nested", "many", "back", "ahead", "broken", "group"],
)
def test_patterns_that_could_be_slow_are_refused(
    quick_world: MakeQuickWorld, pattern: dict[str, str]
) -> None:
    """Whoever names groups must not choose how long a sync takes."""
    world = quick_world(people(1))
    _configure(world, name_patterns=[pattern])
    assert "name_patterns" in world.syncd("sync", "acme", code=2).err


@pytest.mark.parametrize("way", ["map", "fixed", "captured", "prefix"])
@ON_SQLITE
def test_preconfigured_roles_are_reached_on_purpose_alone(
    quick_world: MakeQuickWorld, way: str
) -> None:
    """By no map, pattern or prefix without may_grant_privileged, however the name is written."""
    ways: dict[str, dict[str, Any]] = {
        "map": {"name_map": {"bosses": "OWNER"}},
        "fixed": {"name_patterns": [{"match": "boss.*", "role": "Owner"}]},
        "captured": {"name_patterns": [{"match": "grp-(.+)", "role": r"\1"}]},
        "prefix": {"role_prefix": "Own"},
    }
    keys = ways[way]
    name = {"captured": "grp-owner", "prefix": "er"}.get(way, "bosses")
    world = quick_world(people(2) + role(name, "u00000") + role("staff", "u00001"))
    _configure(world, **keys)
    if way in {"map", "fixed"}:
        assert "may_grant_privileged" in world.syncd("sync", "acme", code=2).err
    else:
        world.sync(code=5)
        assert world.quarantine() == {f"cn={name},{ROLES}": "role_name_reserved"}
        assert world.roles_held()["u00000"] == set()
    _configure(world, **keys, may_grant_privileged=True, drop_non_existing_roles=True)
    if way == "prefix":
        # A prefix is no decision about anybody's privileges.
        world.sync(code=5)
        assert world.roles_held()["u00000"] == set()
        return
    world.sync()
    assert world.roles_held()["u00000"] == {"Owner"}
    kinds = dict(rows(world, "select name, kind from roles where name = 'Owner'"))
    assert kinds == {"Owner": "preconfigured"}
    # It is nobody's to drop, and nobody's to lose who has no successor.
    world.grant_by_hand("u00001", "Owner")
    world.slapd.delete(f"cn={name},{ROLES}")
    world.sync()
    assert world.roles_held()["u00000"] == set()
    assert rows(world, "select count(*) from roles where name = 'Owner'") == [(1,)]


def test_unknown_names_wait_until_there_is_such_a_role(quick_world: MakeQuickWorld) -> None:
    """With ignore nobody is given a role that nobody made; once it is made he is."""
    world = quick_world(people(2) + role("staff", "u00000") + role("sales", "u00001"))
    _configure(world, unknown_roles="ignore")
    done = world.sync()
    assert remarks(done) == [("unknown_role", "sales"), ("unknown_role", "staff")]
    assert (_roles(world), world.roles_held()["u00000"]) == ([], set())
    _make_role(world, "Staff")
    done = world.sync()
    assert remarks(done) == [("unknown_role", "sales")]
    assert world.roles_held() == {"u00000": {"Staff"}, "u00001": set()}
    _configure(world)
    world.sync()
    assert world.roles_held() == {"u00000": {"Staff"}, "u00001": {"sales"}}
    assert _roles(world) == ["Staff", "sales"]


@pytest.mark.rule("K30", server="openldap")
def test_roles_that_are_gone_are_dropped_by_whoever_made_them(
    quick_world: MakeQuickWorld,
) -> None:
    """From a complete listing, where wanted; never one made by hand, held by hand or another's."""
    gone = ("made", "kept", "hand", "held", "other")
    world = quick_world(
        people(3)
        + role("stays", "u00000")
        + "".join(role(name, "u00000", "u00001") for name in gone)
    )
    second = {
        "name": "second",
        "type": "role",
        "roles_dn": ROLES,
        "ldap_filter": "(cn=stays)",
        "name_map": {"stays": "other"},
    }
    world.syncd("pause", "acme", code=0)
    world.syncd("resume", "acme", code=0)
    _make_role(world, "hand")
    world.configure(ldap={"import_roles": {"roles_dn": ROLES}}, mappers=[second])
    world.sync()
    world.grant_by_hand("u00002", "held")
    world.slapd.delete(f"cn=kept,{ROLES}")
    done = world.sync()
    assert (done["roles"]["deleted"], done["memberships"]["removed"]) == (0, 2)
    assert "kept" in _roles(world)
    dropping = {"roles_dn": ROLES, "drop_non_existing_roles": True}
    sentinels = [f"uid=nobody,{PEOPLE}"]
    world.configure(ldap={"import_roles": dropping, "sentinels": sentinels}, mappers=[second])
    for name in gone:
        if name != "kept":
            world.slapd.delete(f"cn={name},{ROLES}")
    # A listing that proves nothing drops nothing and takes nothing.
    world.sync(code=4)
    assert {"made", "kept", "hand", "held", "other"} < set(_roles(world))
    world.configure(ldap={"import_roles": dropping}, mappers=[second])
    blocked = world.sync(code=3)
    world.json("approve", blocked["run"])
    assert _roles(world) == ["hand", "held", "other", "stays"]
    assert world.roles_held() == {
        "u00000": {"stays", "other"},
        "u00001": set(),
        "u00002": {"held"},
    }
    assert world.plan(code=0)["changes"] == []


@ON_SQLITE
def test_nested_roles_by_both_strategies(quick_world: MakeQuickWorld) -> None:
    """Whoever is in a member group of a role holds it, by members and by memberOf alike."""
    world = quick_world(people(3), overlays=("memberof",))
    for name, *inside in (
        ("inner", member_dn("u00002"), f"cn=outer,{ROLES}"),
        ("outer", member_dn("u00001"), f"cn=inner,{ROLES}"),
    ):
        world.slapd.add(f"cn={name},{ROLES}", objectClass="groupOfNames", cn=name, member=inside)
    # The overlay writes memberOf of entries that are there.
    world.slapd.modify(f"cn=inner,{ROLES}", {"member": [member_dn("u00002")]})
    wanted = {"u00000": set(), "u00001": {"outer"}, "u00002": {"inner", "outer"}}
    _configure(world, nested_membership="expand")
    world.sync()
    assert world.roles_held() == wanted
    _configure(
        world,
        nested_membership="expand",
        user_roles_retrieve_strategy="get_roles_from_user_memberof_attribute",
    )
    world.sync()
    assert world.roles_held() == wanted
    assert world.plan(code=0)["changes"] == []
