"""Why people hold roles and are in groups: entries, ways through entries in entries, runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from syncd.records import Member, Shapes, key_of
from syncd.store import runs, schema
from syncd.store.sides import GROUPS as GROUP_SIDE
from syncd.store.sides import ROLES
from tests.store.organization import (
    MAPPER,
    container,
    dn_of,
    member_keys,
    member_of,
    record,
)
from tests.store.test_groups import GROUPS, group, plan, sync

if TYPE_CHECKING:
    from tests.store.organization import Organization

BASE = "ou=groups,dc=example,dc=test"
ROLE_BASE = "ou=roles,dc=example,dc=test"


def roles(acme: Organization, username: str) -> dict[str, list[dict[str, Any]]]:
    """Return the sources of a person's roles."""
    found = acme.people.role_sources(acme.user(username)["id"])
    return {each["name"]: each["sources"] for each in found}


def groups(acme: Organization, username: str) -> dict[str, list[dict[str, Any]]]:
    """Return the sources of a person's groups."""
    found = acme.people.group_sources(acme.user(username)["id"])
    return {each["name"]: each["sources"] for each in found}


def ways(sources: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return (entry that gives it, entries between) by the first parts of the DNs."""
    return [
        (
            str(each["container_dn"]).split(",", 1)[0],
            [dn.split(",", 1)[0] for dn in each["through"]],
        )
        for each in sources
    ]


def test_a_direct_member_is_explained_by_the_entry(acme: Organization) -> None:
    """Mapper, DN, how the entry names the person, and the run that granted it."""
    planned = sync(acme, record("p1"), containers=[group("a", "p1")])
    assert groups(acme, "p1") == {
        "a": [
            {
                "mapper": GROUPS,
                "container_dn": f"cn=a,{BASE}",
                "member_value": f"{dn_of('p1')}",
                "membership": "member",
                "through": [],
                "run": runs.run_name(planned.run_id),
            }
        ]
    }
    assert [each["name"] for each in acme.people.role_sources(acme.user("p1")["id"])] == ["User"]


def test_the_way_through_nested_groups_is_told(acme: Organization) -> None:
    """From the entry that has the person to the one that gives it, the shortest of several ways."""
    nest = [
        group("inner", "p1"),
        group("mid", groups=["inner"]),
        group("other", groups=["mid"]),
        group("outer", groups=["mid", "other"]),
    ]
    sync(acme, record("p1"), containers=nest, nested=True)
    found = groups(acme, "p1")
    assert {name: ways(sources) for name, sources in found.items()} == {
        "inner": [("cn=inner", [])],
        "mid": [("cn=mid", ["cn=inner"])],
        "other": [("cn=other", ["cn=inner", "cn=mid"])],
        "outer": [("cn=outer", ["cn=inner", "cn=mid"])],
    }
    assert {each["member_value"] for each in found["outer"]} == {dn_of("p1")}


def test_each_entry_that_has_the_person_is_told(acme: Organization) -> None:
    """Somebody in two groups below and in the group itself holds it three times over."""
    nest = [
        group("a", "p1"),
        group("b", "p1", groups=["a"]),
        group("top", "p1", groups=["b"]),
    ]
    sync(acme, record("p1"), containers=nest, nested=True)
    assert ways(groups(acme, "p1")["top"]) == [
        ("cn=top", []),
        ("cn=top", ["cn=a", "cn=b"]),
        ("cn=top", ["cn=b"]),
    ]


def test_circles_of_groups_are_explained(acme: Organization) -> None:
    """Each group of a circle has its way, and none goes around for ever."""
    nest = [group("a", "p1", groups=["c"]), group("b", groups=["a"]), group("c", groups=["b"])]
    sync(acme, record("p1"), containers=nest, nested=True)
    assert {name: ways(sources) for name, sources in groups(acme, "p1").items()} == {
        "a": [("cn=a", [])],
        "b": [("cn=b", ["cn=a"])],
        "c": [("cn=c", ["cn=a", "cn=b"])],
    }


def test_a_way_may_lead_through_entries_outside(acme: Organization) -> None:
    """A group outside of the mapper's base stands for nothing and is still on the way."""
    nest = [
        group("far", "p1", kind="outside"),
        group("farther", groups=["far"], kind="outside"),
        group("top", groups=["farther"]),
    ]
    sync(acme, record("p1"), containers=nest, nested=True)
    assert {name: ways(each) for name, each in groups(acme, "p1").items()} == {
        "top": [("cn=top", ["cn=far", "cn=farther"])]
    }


def test_a_way_by_what_entries_say_of_themselves(acme: Organization) -> None:
    """Where people and groups name what they are in, the person's word comes first."""
    ann = record("p1", memberships=member_of("inner", mapper=GROUPS))
    nest = [group("inner", parents=(key_of("outer"),)), group("outer")]
    sync(acme, ann, containers=nest, nested=True)
    found = groups(acme, "p1")
    assert ways(found["outer"]) == [("cn=outer", ["cn=inner"])]
    (outer,) = found["outer"]
    assert (outer["membership"], outer["member_value"]) == ("member_of", "cn=inner")
    assert ways(found["inner"]) == [("cn=inner", [])]


def test_one_key_of_many_people_explains_each(acme: Organization) -> None:
    """Active Directory's primary group: one value in the group's entry means all of them."""
    sid = "S-1-5-21-1-2-3-513"
    people = [
        record(name, member_keys=member_keys("primarygroup", sid)) for name in ("p1", "p2", "p3")
    ]
    own = Member("uid:primarygroup", key_of(sid), sid)
    users, top = group("users"), group("top", groups=["users"])
    sync(acme, *people, containers=[users._replace(members=(own,)), top], nested=True)
    for name in ("p1", "p2", "p3"):
        (source,) = groups(acme, name)["users"]
        assert (source["membership"], source["member_value"]) == ("primary_group", sid)
        assert source["container_dn"] == users.dn
        assert ways(groups(acme, name)["top"]) == [("cn=top", ["cn=users"])]


def test_a_role_for_everybody_is_explained_as_such(acme: Organization) -> None:
    """A hardcoded role has no entry; whoever has it has it because everybody does."""
    everybody = container("all", role="staff", mapper="all")._replace(dn="")
    ann = record("p1", memberships=member_of("all", mapper="all"))
    acme.sync(ann, containers=[everybody], mappers=("all",), revoking=("all",))
    (source,) = roles(acme, "p1")["staff"]
    assert (source["mapper"], source["container_dn"], source["membership"]) == (
        "all",
        None,
        "everyone",
    )


def test_two_mappers_and_a_hand_are_told_apart(acme: Organization) -> None:
    """Each source of one role has its own mapper, entry and run; a hand has none."""
    mappers = (MAPPER, "second")
    more: dict[str, Any] = {"mappers": mappers, "revoking": mappers}
    first = acme.sync(record("p1"), containers=[container("a", "p1", role="staff")], **more)
    second = acme.sync(containers=[container("b", "p1", role="staff", mapper="second")], **more)
    acme.execute(
        "INSERT INTO grants (user_id, role_id, source, organization_id)"
        " SELECT :user, id, 'manual', 'acme' FROM roles WHERE name = 'staff'",
        user=acme.user("p1")["id"],
    )
    told = [
        (each["mapper"], each["container_dn"], each["run"]) for each in roles(acme, "p1")["staff"]
    ]
    assert told == [
        (MAPPER, f"cn=a,{ROLE_BASE}", runs.run_name(first.run_id)),
        ("manual", None, None),
        ("second", f"cn=b,{ROLE_BASE}", runs.run_name(second.run_id)),
    ]


def test_nested_members_that_do_not_count_explain_nothing(acme: Organization) -> None:
    """Without nesting a group in a group hands nobody on, but the way can be asked for."""
    nest = [group("inner", "p1"), group("outer", groups=["inner"])]
    sync(acme, record("p1"), containers=nest)
    user_id = acme.user("p1")["id"]
    assert list(groups(acme, "p1")) == ["inner"]
    (outer,) = acme.people.targets(GROUP_SIDE, "outer")
    assert acme.people.ways_to(user_id, GROUP_SIDE, [outer.id]) == []
    givers = acme.people.containers_of(GROUP_SIDE, [outer.id])
    (way,) = acme.people.uncounted_ways(user_id, givers)
    assert [each.name for each in way.through] == ["inner"]


# --- groups in lists ------------------------------------------------------------------------


def test_people_are_listed_with_their_groups(acme: Organization) -> None:
    """By name and path, each with its sources; a group's ancestors are not one's own."""
    top = group("Directory", parents=())._replace(dn="", dn_key=b"t" * 16)
    tree = [top, group("a", "p1", groups=["b"]), group("b", "p1", "p2"), group("x/y", "p2")]
    sync(
        acme,
        record("p1"),
        record("p2"),
        record("p3"),
        containers=tree,
        hierarchical=True,
        roots={GROUPS: key_of("Directory")},
    )
    acme.execute(
        "INSERT INTO group_members (user_id, group_id, source, organization_id)"
        " SELECT :user, id, 'manual', 'acme' FROM groups WHERE name = 'b'",
        user=acme.user("p1")["id"],
    )
    wanted = {
        "p1": [
            {"name": "a", "path": "/Directory/a", "sources": [GROUPS]},
            {"name": "b", "path": "/Directory/a/b", "sources": ["manual", GROUPS]},
        ],
        "p2": [
            {"name": "b", "path": "/Directory/a/b", "sources": [GROUPS]},
            {"name": "x/y", "path": r"/Directory/x\/y", "sources": [GROUPS]},
        ],
        "p3": [],
    }
    assert {each["username"]: each["groups"] for each in acme.people.users()} == wanted
    assert acme.user("p1")["groups"] == wanted["p1"]
    explained = acme.people.group_sources(acme.user("p1")["id"])
    assert [each["path"] for each in explained] == ["/Directory/a", "/Directory/a/b"]


def test_groups_are_listed_with_place_and_living_members(acme: Organization) -> None:
    """Path, parents and who says so, the directory's entry, and how many living people."""
    nest = [group("a", "p1", "p2", groups=["c"]), group("b", groups=["c"]), group("c", "p1")]
    sync(acme, record("p1"), record("p2"), containers=nest, hierarchical=True)
    acme.sync(absent=["p2"], mappers=(GROUPS,), shapes=Shapes(groups=frozenset({GROUPS})))
    listed = acme.people.groups()
    assert [(each["name"], each["path"], each["members"]) for each in listed] == [
        ("a", "/a", 1),
        ("b", "/b", 0),
        ("c", "/a/c", 1),
    ]
    assert [each["parents"] for each in listed] == [
        [],
        [],
        [
            {"name": "a", "path": "/a", "sources": [GROUPS]},
            {"name": "b", "path": "/b", "sources": [GROUPS]},
        ],
    ]
    assert {(each["kind"], each["mapper"], each["external_id"]) for each in listed} == {
        ("imported", GROUPS, f"id-{name}") for name in "abc"
    }
    assert listed[0]["dn"] == f"cn=a,{BASE}"
    # Its entry is gone, and the group is kept.
    sync(acme, gone=["a"], hierarchical=True)
    assert {each["name"]: each["dn"] for each in acme.people.groups()}["a"] is None


def test_a_group_is_found_by_name_and_by_path(acme: Organization) -> None:
    """A name may be several groups'; a path tells them apart."""
    one, other = group("a", target="Team"), group("b", groups=["c"])
    sync(acme, containers=[one, other, group("c", target="team")], hierarchical=True)
    found = acme.people.targets(GROUP_SIDE, "TEAM")
    assert sorted(str(each.path) for each in found) == ["/Team", "/b/team"]
    (only,) = acme.people.targets(GROUP_SIDE, "/B/Team")
    assert only.path == "/b/team"
    assert acme.people.targets(GROUP_SIDE, "/nothing") == []


# --- what waits, what is not known ----------------------------------------------------------


@pytest.mark.parametrize("side", [ROLES, GROUP_SIDE], ids=lambda side: str(side.kind))
def test_a_waiting_plan_is_found_by_what_it_would_give(acme: Organization, side: Any) -> None:
    """Also of a role or group that is yet to be made; of nothing else and nobody else."""
    people = (record("p1"), record("p2"))
    acme.sync(*people)
    if side is ROLES:
        planned = acme.plan(containers=[container("new", "p1")])
    else:
        planned = plan(acme, containers=[group("new", "p1")])
    acme.store.finish(planned.run_id, "blocked", {"status": "blocked", "reasons": []})
    one, other = (acme.user(name)["id"] for name in ("p1", "p2"))
    assert acme.people.held_grant(side, one, "NEW") == runs.run_name(planned.run_id)
    assert acme.people.held_grant(side, one, "old") is None
    assert acme.people.held_grant(side, other, "new") is None
    # Of a plan that was let through in part only what is held back waits.
    number = f"WHERE id = {planned.run_id}"
    acme.execute(f"UPDATE runs SET applied_number = 1000 {number}")
    assert acme.people.held_grant(side, one, "new") is None
    acme.store.hold(planned.run_id, ["grant"])
    assert acme.people.held_grant(side, one, "new") == runs.run_name(planned.run_id)


def test_the_last_listing_of_each_source_counts(acme: Organization) -> None:
    """An incomplete listing is told until a later one was complete; a dry run's is not."""
    rows: list[dict[str, Any]] = []
    for dry, verdict in ((False, "truncated"), (True, "complete")):
        run_id = acme.begin(dry=dry)
        acme.store.finish(run_id, "done", {})
        rows.append({"run_id": run_id, "verdict": verdict})
    for row in rows:
        acme.execute(
            'INSERT INTO listings (run_id, source, verdict, pages, entries, "references", because)'
            " VALUES (:run_id, 'm', :verdict, 1, 1, 0, 'why')",
            **row,
        )
    told = [("m", "truncated", "why", runs.run_name(rows[0]["run_id"]))]
    assert acme.people.incomplete_listings(["m", "n"]) == told
    acme.execute("UPDATE runs SET dry = :dry", dry=False)
    assert acme.people.incomplete_listings(["m"]) == []


def test_entries_of_roles_are_told_with_what_stands_for_them(acme: Organization) -> None:
    """Also those whose name is no role here; groups and what lies outside are left out."""
    acme.sync(
        record("p1"),
        containers=[container("a", "p1", role="staff"), container("b", role="unheard")],
        shapes=Shapes(creating=frozenset()),
    )
    assert [(each.name, role) for each, role in acme.people.role_entries()] == [
        ("a", None),
        ("b", None),
    ]
    assert all(each.passed_over for each, _ in acme.people.role_entries())
    acme.sync(containers=[container("a", "p1", role="staff")])
    sync(acme, containers=[group("g")])
    assert [(each.name, role) for each, role in acme.people.role_entries()] == [
        ("a", "staff"),
        ("b", None),
    ]
    assert acme.rows(schema.groups) != []
