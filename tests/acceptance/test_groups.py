"""Groups of a directory: flat or in a tree, nested, with members of every kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.grouped import (
    ELSEWHERE,
    GROUPS,
    closure,
    configure,
    dn_of,
    group,
    mapper,
    paths,
    remarks,
    rows,
    set_members,
    sync_changed,
    unit,
    who,
)
from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import member_dn
from tests.servers.ad_limits import AdLimits, Limits
from tests.servers.slapd import PEOPLE, READER, SUFFIX, people, person

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld

pytest_plugins = ("tests.acceptance.quick",)


@pytest.mark.rule("K27", server="openldap")
@pytest.mark.rule("K30", server="openldap")
@ON_SQLITE
def test_flat_groups_with_attributes_below_a_path(quick_world: MakeQuickWorld) -> None:
    """Without inheritance each stands below the path; equal names stay two, renames stay one."""
    world = quick_world(
        people(3)
        + unit()
        + unit(f"ou=west,{GROUPS}")
        + group("team", "u00000", groups=("sub",), description="The team", o="Bonn")
        + group("sub", "u00001")
        + group("team", "u00002", container=f"ou=west,{GROUPS}")
    )
    configure(
        world,
        mapper(
            preserve_group_inheritance=False,
            mapped_group_attributes="description, O",
            groups_path="/Directory/A\\/B",
        ),
    )
    done = world.sync()
    assert done["groups"] == {"created": 5, "updated": 0, "deleted": 0}
    assert paths(world) == {
        "/Directory",
        "/Directory/A/B",
        "/Directory/A/B/team",
        "/Directory/A/B/sub",
    }
    assert who(world) == {"Directory": "", "A/B": "", "team": "u00000 u00002", "sub": "u00001"}
    said = "select description, attributes from groups where name = 'team' order by description"
    assert rows(world, said) == [
        ("", "{}"),
        ("The team", '{"O":["Bonn"],"description":["The team"]}'),
    ]
    before = rows(world, "select id from groups where description = 'The team'")
    world.slapd.modify(dn_of("team"), {"o": [], "description": ["Crew", "All hands"]})
    world.slapd.rename(dn_of("team"), "cn=crew")
    done = world.sync()
    assert done["groups"] == {"created": 0, "updated": 1, "deleted": 0}
    assert done["memberships"] == {"added": 0, "removed": 0, "unresolved": 0}
    assert rows(world, "select id, description, attributes from groups where name = 'crew'") == [
        (before[0][0], "All hands", '{"description":["All hands","Crew"]}')
    ]
    assert world.plan(code=0)["changes"] == []


@pytest.mark.rule("K26", server="openldap")
@pytest.mark.rule("2.10.3", server="openldap")
def test_a_tree_with_circles_and_several_parents(quick_world: MakeQuickWorld) -> None:
    """Each edge that cannot be is told by itself, everything else is synced and kept."""
    world = quick_world(
        people(4)
        + unit()
        + group("a", "u00000", groups=("b", "c"))
        + group("b", groups=("d", "a"))
        + group("c", "u00001", groups=("d",))
        + group("d", "u00002", groups=("d",))
        + group("e", "u00003", groups=("f",))
        + group("f", groups=("g",))
        + group("g", groups=("e",))
    )
    configure(world, mapper())
    done = world.sync()
    assert remarks(done) == [
        ("cycle", "a"),
        ("cycle", "d"),
        ("cycle", "e"),
        ("several_parents", "d"),
    ]
    assert paths(world) == {
        *("/a", "/a/b", "/a/c", "/a/b/d", "/a/c/d"),
        *("/e", "/e/f", "/e/f/g"),
    }
    assert {("d", "a", 2), ("d", "b", 1), ("d", "c", 1), ("g", "e", 2)} < closure(world)
    assert who(world) == {
        "a": "u00000",
        "b": "",
        "c": "u00001",
        "d": "u00002",
        "e": "u00003",
        "f": "",
        "g": "",
    }
    assert world.json("runs", "show", done["run"])["remarks"] == done["remarks"]
    # The edge that was left out takes the place of the one that goes.
    set_members(world, "a", "u00000")
    done = world.sync()
    assert paths(world) == {"/b", "/b/a", "/b/d", "/c", "/c/d", "/e", "/e/f", "/e/f/g"}
    assert closure(world) == {
        *(("a", "b", 1), ("d", "b", 1), ("d", "c", 1)),
        *(("f", "e", 1), ("g", "f", 1), ("g", "e", 2)),
    }
    assert world.plan(code=0)["changes"] == []


@ON_SQLITE
def test_inheritance_that_is_switched_off_leaves_no_tree(quick_world: MakeQuickWorld) -> None:
    """Flat groups, and those in which a circle was, lose their places and nobody his group."""
    world = quick_world(
        people(2) + unit() + group("a", "u00000", groups=("b",)) + group("b", "u00001")
    )
    configure(world, mapper(groups_path="/Top"))
    world.sync()
    assert paths(world) == {"/Top", "/Top/a", "/Top/a/b"}
    configure(world, mapper(groups_path="/Top", preserve_group_inheritance=False))
    done = world.sync()
    assert done["memberships"]["removed"] == 0
    assert paths(world) == {"/Top", "/Top/a", "/Top/b"}
    assert closure(world) == {("a", "Top", 1), ("b", "Top", 1)}
    configure(world, mapper(groups_path="/Other"))
    world.sync()
    assert paths(world) == {"/Top", "/Other", "/Other/a", "/Other/a/b"}
    assert who(world) == {"Top": "", "Other": "", "a": "u00000", "b": "u00001"}


@ON_SQLITE
def test_a_path_over_a_base_without_groups_raises_no_doubts(quick_world: MakeQuickWorld) -> None:
    """The groups of the path are no groups that the directory had and does not show any more."""
    world = quick_world(people(3) + unit())
    configure(world, mapper(groups_path="/Directory/Staff"))
    world.sync()
    world.slapd.delete(f"uid=u00002,{PEOPLE}")
    done = world.sync()
    assert (done["status"], done["users"]["missing"]) == ("done", 1)
    assert paths(world) == {"/Directory", "/Directory/Staff"}


@pytest.mark.rule("2.10.3", server="openldap")
def test_nested_members_through_circles_and_outsiders(quick_world: MakeQuickWorld) -> None:
    """Whoever is in a member group is in the group, also through groups that are not imported."""
    world = quick_world(
        people(6)
        + unit()
        + group("a", "u00000", groups=("b", dn_of("x", ELSEWHERE)))
        + group("b", "u00001", groups=("c",))
        + group("c", "u00002", groups=("a",))
        + group("x", "u00003", groups=(dn_of("y", ELSEWHERE),), container=ELSEWHERE)
        + group("y", "u00004", groups=(dn_of("x", ELSEWHERE), "d"), container=ELSEWHERE)
        + group("d", "u00005")
        + group("z", "u00005", container=ELSEWHERE)
    )
    configure(world, mapper(nested_membership="expand", preserve_group_inheritance=False))
    done = world.sync()
    everybody = "u00000 u00001 u00002 u00003 u00004 u00005"
    assert done["groups"]["created"] == 4
    assert done["memberships"]["unresolved"] == 0
    assert who(world) == {"a": everybody, "b": everybody, "c": everybody, "d": "u00005"}
    assert world.plan(code=0)["changes"] == []
    # Behind the group that was read from outside.
    set_members(world, dn_of("y", ELSEWHERE), "u00003")
    world.sync()
    assert who(world)["c"] == "u00000 u00001 u00002 u00003"
    world.slapd.delete(dn_of("x", ELSEWHERE))
    world.sync()
    assert who(world)["c"] == "u00000 u00001 u00002"
    # The circle is opened: what is above stays above.
    set_members(world, "c", "u00002")
    world.sync()
    assert who(world) == {
        "a": "u00000 u00001 u00002",
        "b": "u00001 u00002",
        "c": "u00002",
        "d": "u00005",
    }
    assert world.plan(code=0)["changes"] == []


@ON_SQLITE
def test_an_outside_group_that_becomes_one_of_ours(quick_world: MakeQuickWorld) -> None:
    """Moved into the base a group is imported; moved out it hands its members on as before."""
    world = quick_world(
        people(2)
        + unit()
        + group("a", groups=(dn_of("x", ELSEWHERE),))
        + group("x", "u00000", container=ELSEWHERE),
        overlays=("refint",),
    )
    configure(world, mapper(nested_membership="expand"))
    world.sync()
    assert (who(world), paths(world)) == ({"a": "u00000"}, {"/a"})
    world.slapd.rename(dn_of("x", ELSEWHERE), "cn=x", superior=GROUPS)
    world.sync()
    assert (who(world), paths(world)) == ({"a": "u00000", "x": "u00000"}, {"/a", "/a/x"})
    world.slapd.rename(dn_of("x"), "cn=x", superior=ELSEWHERE)
    world.sync()
    assert who(world) == {"a": "u00000", "x": ""}
    assert "/a/x" not in paths(world)


@ON_SQLITE
def test_a_nest_too_deep_to_follow_takes_nobody_out(quick_world: MakeQuickWorld) -> None:
    """At most a hundred levels are followed; a deeper nest is told of and revokes nothing."""
    depth = 103
    world = quick_world(
        people(2)
        + unit()
        + "".join(group(f"g{number:03}", groups=(f"g{number + 1:03}",)) for number in range(depth))
        + group(f"g{depth:03}", "u00000")
        + group("other", "u00001")
    )
    configure(world, mapper(nested_membership="expand", preserve_group_inheritance=False))
    done = world.sync()
    assert {kind for kind, _ in remarks(done)} == {"too_deep"}
    # The nearest hundred.
    assert [name for name, inside in who(world).items() if "u00000" in inside] == [
        f"g{number:03}" for number in range(3, depth + 1)
    ]
    set_members(world, "other", "cn=nobody")
    done = world.sync()
    assert done["memberships"]["removed"] == 0
    # One level less on the way, and what was withheld is made good.
    set_members(world, "g050", groups=("g055",))
    done = world.sync()
    assert "too_deep" not in {kind for kind, _ in remarks(done)}
    assert who(world)["other"] == ""
    assert who(world)["g051"] == "u00000"
    assert who(world)["g000"] == "u00000"


@pytest.mark.rule("2.10.5", server="openldap")
@ON_SQLITE
def test_posix_groups_by_uid(quick_world: MakeQuickWorld) -> None:
    """Values name people by uid or another attribute; there is no tree, but there is a path."""
    shell = (
        f"dn: cn=shell,{GROUPS}\nobjectClass: posixGroup\ncn: shell\ngidNumber: 1\n"
        "memberUid: U00000\nmemberUid: u00001\nmemberUid: nobody\n\n"
        f"dn: cn=empty,{GROUPS}\nobjectClass: posixGroup\ncn: empty\ngidNumber: 2\n\n"
    )
    world = quick_world(people(2) + person("u00002", employeeNumber="U00001") + unit() + shell)
    posix = {
        "group_object_classes": "posixGroup",
        "membership_attribute_type": "uid",
        "membership_ldap_attribute": "memberUid",
        "groups_path": "/Posix",
    }
    configure(world, mapper(**posix))
    assert world.sync()["memberships"] == {"added": 2, "removed": 0, "unresolved": 1}
    assert who(world) == {"Posix": "", "empty": "", "shell": "u00000 u00001"}
    assert paths(world) == {"/Posix", "/Posix/empty", "/Posix/shell"}
    configure(world, mapper(**posix, membership_user_ldap_attribute="employeeNumber"))
    blocked = world.sync(code=3)
    world.json("approve", blocked["run"])
    assert who(world)["shell"] == "u00002"
    configure(world, mapper(**posix, preserve_group_inheritance=True))
    assert "preserve_group_inheritance" in world.syncd("sync", "acme", code=2).err


@ON_SQLITE
def test_unique_members_with_and_without_a_bit_string(quick_world: MakeQuickWorld) -> None:
    """The optional UID behind a DN is no part of it, and an escaped hash sign is none."""
    values = [
        f"uid=u00000,{PEOPLE}#'01'B",
        f"UID=u00001, {PEOPLE.upper()}",
        f"uid=u00002,{PEOPLE}#''B",
        f"uid=\\23a'01'B,{PEOPLE}",
        f"cn=child,{GROUPS}#'1'B",
    ]
    lines = "".join(f"uniqueMember: {value}\n" for value in values)
    world = quick_world(
        people(3)
        + f"dn: uid=\\23a'01'B,{PEOPLE}\nobjectClass: inetOrgPerson\nuid: #a'01'B\ncn: x\nsn: x\n\n"
        + unit()
        + f"dn: cn=unique,{GROUPS}\nobjectClass: groupOfUniqueNames\ncn: unique\n{lines}\n"
        + f"dn: cn=child,{GROUPS}\nobjectClass: groupOfUniqueNames\ncn: child\n"
        f"uniqueMember: uid=u00000,{PEOPLE}\n\n"
    )
    configure(
        world,
        mapper(
            group_object_classes=["groupOfUniqueNames"], membership_ldap_attribute="uniquemember"
        ),
    )
    assert world.sync()["memberships"] == {"added": 5, "removed": 0, "unresolved": 0}
    assert who(world) == {"unique": "#a'01'B u00000 u00001 u00002", "child": "u00000"}
    assert paths(world) == {"/unique", "/unique/child"}


@pytest.mark.rule("K41", server="openldap")
@ON_SQLITE
def test_placeholders_are_nobody(quick_world: MakeQuickWorld) -> None:
    """Whatever a directory puts into an empty group: a made-up DN, its own, the bind account's."""
    world = quick_world(
        people(1)
        + unit()
        + group("a", "cn=empty-membership-placeholder")
        + group("b", "cn=placeholder")
        + group("c", READER.dn)
        + group("d", groups=("d",))
        + group("e", GROUPS, SUFFIX)
        + group("f", "u00000", "cn=placeholder")
    )
    configure(world, mapper(nested_membership="expand"))
    done = world.sync()
    assert (done["memberships"]["added"], done["groups"]["created"]) == (1, 6)
    assert who(world) == {"a": "", "b": "", "c": "", "d": "", "e": "", "f": "u00000"}
    assert paths(world) == {f"/{name}" for name in "abcdef"}
    assert remarks(done) == [("cycle", "d")]
    assert world.plan(code=0)["changes"] == []
    set_members(world, "f", "cn=placeholder")
    assert world.sync()["memberships"]["removed"] == 1


@pytest.mark.rule("2.10.1", server="openldap")
@ON_SQLITE
def test_a_group_that_could_not_be_read_whole_keeps_its_members(
    quick_world: MakeQuickWorld,
) -> None:
    """With those of the groups above it; who is new in what came is in, and others go on."""
    world = quick_world(
        people(9)
        + unit()
        + group("big", *[f"u{number:05}" for number in range(8)])
        + group("top", groups=("big",))
        + group("small", "u00000", "u00001")
    )
    with AdLimits(("127.0.0.1", world.slapd.port)) as proxy:
        over_proxy = {"connection_url": proxy.url, "insecure_clear_text_bind": True}
        configure(world, mapper(nested_membership="expand"), ldap=over_proxy)
        world.sync()
        were = [f"u{number:05}" for number in range(8)]
        assert who(world)["big"] == who(world)["top"] == " ".join(were)
        set_members(world, "big", "u00008", "u00000", "u00001", "u00002", "u00003")
        set_members(world, "small", "u00001")
        # The server knows no ranges, so that what is cut off here cannot be read.
        proxy.limits = Limits(values=4)
        done = world.sync()
        assert done["memberships"] == {"added": 2, "removed": 1, "unresolved": 0}
        everybody = " ".join([*were, "u00008"])
        assert who(world) == {"big": everybody, "top": everybody, "small": "u00001"}
        # What was not read whole is read again, although it did not change.
        proxy.limits = Limits()
        assert world.sync()["memberships"]["removed"] == 8
        now = "u00000 u00001 u00002 u00003 u00008"
        assert who(world) == {"big": now, "top": now, "small": "u00001"}


def test_member_of_with_a_tree_and_nesting(quick_world: MakeQuickWorld) -> None:
    """People and groups name their groups; what lies outside of the base is passed over."""
    world = quick_world(people(3) + unit(), overlays=("memberof",))
    add = world.slapd.add
    for name, container, *inside in (
        ("c", GROUPS, member_dn("u00002")),
        ("b", GROUPS, member_dn("u00001"), dn_of("c")),
        ("a", GROUPS, member_dn("u00000"), dn_of("b")),
        ("lists", ELSEWHERE, member_dn("u00000"), dn_of("c")),
    ):
        add(f"cn={name},{container}", objectClass="groupOfNames", cn=name, member=inside)
    by_member_of = {"user_groups_retrieve_strategy": "GET_GROUPS_FROM_USER_MEMBEROF_ATTRIBUTE"}
    configure(world, mapper(**by_member_of))
    world.sync()
    assert paths(world) == {"/a", "/a/b", "/a/b/c"}
    assert who(world) == {"a": "u00000", "b": "u00001", "c": "u00002"}
    configure(world, mapper(**by_member_of, nested_membership="expand"))
    world.sync()
    assert who(world) == {"a": "u00000 u00001 u00002", "b": "u00001 u00002", "c": "u00002"}
    # The overlay moves no stamp: neither of people nor of groups.
    set_members(world, "b", "u00001", "u00000")
    world.sync()
    assert who(world) == {"a": "u00000 u00001", "b": "u00000 u00001", "c": "u00002"}
    assert paths(world) == {"/a", "/a/b", "/c"}
    assert world.plan(code=0)["changes"] == []


def test_groups_follow_changed_syncs(quick_world: MakeQuickWorld) -> None:
    """Members, edges, new and deleted groups and those outside, by what changed alone."""
    world = quick_world(
        people(4)
        + unit()
        + group("a", "u00000", groups=("b",))
        + group("b", "u00001")
        + group("x", "u00003", container=ELSEWHERE),
        overlays=("syncprov",),
    )
    configure(world, mapper(nested_membership="expand"))
    world.sync()
    world.slapd.add(
        dn_of("c"), objectClass="groupOfNames", cn="c", member=[member_dn("u00002"), dn_of("a")]
    )
    sync_changed(world)
    assert paths(world) == {"/c", "/c/a", "/c/a/b"}
    assert who(world) == {"a": "u00000 u00001", "b": "u00001", "c": "u00000 u00001 u00002"}
    set_members(world, "b", "u00001", groups=(dn_of("x", ELSEWHERE),))
    sync_changed(world)
    assert who(world)["c"] == "u00000 u00001 u00002 u00003"
    set_members(world, dn_of("x", ELSEWHERE), "u00002")
    set_members(world, "a", "u00000")
    sync_changed(world)
    assert paths(world) == {"/c", "/c/a", "/b"}
    assert who(world)["a"] == "u00000"
    assert who(world)["c"] == "u00000 u00002"
    world.slapd.delete(dn_of("b"))
    sync_changed(world)
    assert who(world) == {"a": "u00000", "b": "", "c": "u00000 u00002"}
    assert world.plan(code=0)["changes"] == []


@ON_SQLITE
def test_removals_over_their_limit_are_held_alone(quick_world: MakeQuickWorld) -> None:
    """With hold_kind the rest is written; groups and their members stay until an approval."""
    names = ("one", "two", "three")
    world = quick_world(
        people(4)
        + unit()
        + "".join(group(name, "u00000") for name in names)
        + group("kept", "u00001")
    )
    limits = {"on_exceed": "hold_kind", "remove": {"count": 2, "percent": None}, "revoke": None}
    dropping = mapper(drop_non_existing_groups_during_sync=True)
    configure(world, dropping, limits=limits)
    world.sync()
    world.slapd.delete(*(dn_of(name) for name in names))
    set_members(world, "kept", "u00001", "u00002")
    for blocked in (world.sync(code=3), world.sync(code=3)):
        assert blocked["groups"]["deleted"] == 0
        assert set(who(world)) == {"kept", *names}
        assert who(world)["kept"] == "u00001 u00002"
        assert who(world)["one"] == "u00000"
    shown = world.json("runs", "show", blocked["run"])["changes"]
    assert sum(each["kind"] == "delete_group" for each in shown) == len(names)
    assert world.json("approve", blocked["run"])["groups"]["deleted"] == len(names)
    assert set(who(world)) == {"kept"}
    assert world.sync()["status"] == "done"
