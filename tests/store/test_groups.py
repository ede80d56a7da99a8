"""Groups, nested membership and hierarchy: what is written for what containers say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from syncd.records import ContainerRecord, Member, Shapes, key_of
from syncd.store import schema
from tests.store.organization import dn_of, record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.store.organization import Organization, Planned

GROUPS = "staff groups"
BASE = "ou=groups,dc=example,dc=test"


def group(
    name: str,
    *members: str,
    groups: Sequence[str] = (),
    attributes: str = "{}",
    target: str | None = None,
    kind: Any = "group",
    whole: bool = True,
    **more: Any,
) -> ContainerRecord:
    """Return a group entry that names people by username and other groups by name."""
    dn = f"cn={name},{BASE}"
    named = [dn_of(each) for each in members] + [f"cn={each},{BASE}" for each in groups]
    return ContainerRecord(
        mapper=GROUPS,
        container_key=key_of(name),
        external_id=f"id-{name}",
        dn=dn,
        dn_key=key_of(dn),
        name=name,
        target=name if target is None else target,
        members=tuple(Member("dn", key_of(each), each) for each in named),
        whole=whole,
        kind=kind,
        attributes=attributes,
        **more,
    )


def sync(
    acme: Organization,
    *people: Any,
    containers: Sequence[ContainerRecord] = (),
    gone: Sequence[str] = (),
    **shapes: Any,
) -> Planned:
    """Sync with the groups of one mapper."""
    planned = plan(acme, *people, containers=containers, gone=gone, **shapes)
    acme.apply(planned)
    return planned


def plan(
    acme: Organization,
    *people: Any,
    containers: Sequence[ContainerRecord] = (),
    gone: Sequence[str] = (),
    **shapes: Any,
) -> Planned:
    """Plan with the groups of one mapper."""
    kinds: dict[str, Any] = {name: frozenset({GROUPS}) for name, on in shapes.items() if on is True}
    roots = {"roots": shapes["roots"]} if "roots" in shapes else {}
    return acme.plan(
        *people,
        containers=containers,
        gone=gone,
        mappers=(GROUPS,),
        revoking=(GROUPS,),
        gone_of=GROUPS,
        shapes=Shapes(groups=frozenset({GROUPS}), **kinds, **roots),
    )


def members(acme: Organization) -> dict[str, list[str]]:
    """Return who is in each group, by the names of both."""
    names = {row["id"]: row["name"] for row in acme.rows(schema.groups)}
    people = {row["id"]: row["username"] for row in acme.rows(schema.users)}
    found: dict[str, list[str]] = {name: [] for name in names.values()}
    for row in acme.rows(schema.group_members):
        found[names[row["group_id"]]].append(people[row["user_id"]])
    return {name: sorted(usernames) for name, usernames in found.items()}


def tree(acme: Organization) -> set[tuple[str, str, int]]:
    """Return (group, ancestor, depth) of the closure, groups themselves left out."""
    names = {row["id"]: row["name"] for row in acme.rows(schema.groups)}
    return {
        (names[row["group_id"]], names[row["ancestor_id"]], row["depth"])
        for row in acme.rows(schema.group_ancestors)
        if row["depth"]
    }


@pytest.mark.rule("K27", server="sqlite")
@pytest.mark.rule("K27", server="postgresql")
def test_groups_have_their_members(acme: Organization) -> None:
    """Groups arrive with people, get and lose members, and are never mixed with roles."""
    people = [record(name) for name in ("p1", "p2", "p3")]
    planned = sync(acme, *people, containers=[group("a", "p1", "p2"), group("b", "p3")])
    assert acme.store.counts(planned.run_id).groups == {"create": 2, "update": 0, "delete": 0}
    assert members(acme) == {"a": ["p1", "p2"], "b": ["p3"]}
    planned = sync(acme, containers=[group("a", "p2", "p3")])
    counts = acme.store.counts(planned.run_id)
    assert (counts.granted, counts.revoked, counts.targets) == (1, 1, 0)
    assert members(acme) == {"a": ["p2", "p3"], "b": ["p3"]}
    assert acme.rows(schema.grants) == []


def test_equal_names_are_different_groups(acme: Organization) -> None:
    """A group is known by what the directory knows it by, not by its name."""
    one, other = group("a", "p1", target="Team"), group("b", "p2", target="Team")
    sync(acme, record("p1"), record("p2"), containers=[one, other])
    assert [row["name"] for row in acme.rows(schema.groups)] == ["Team", "Team"]
    assert len({row["group_id"] for row in acme.rows(schema.group_members)}) == 2


def test_a_renamed_group_is_the_same_group(acme: Organization) -> None:
    """Its name and attributes change; its id and its members stay."""
    sync(acme, record("p1"), containers=[group("a", "p1")])
    before = acme.rows(schema.groups)[0]
    said = '{"description":["All of them"]}'
    planned = sync(acme, containers=[group("a", "p1", target="Other", attributes=said)])
    after = acme.rows(schema.groups)[0]
    assert acme.store.counts(planned.run_id).groups["update"] == 1
    assert (after["id"], after["name"]) == (before["id"], "Other")
    assert (after["description"], after["attributes"]) == ("All of them", said)
    assert members(acme) == {"Other": ["p1"]}


def test_a_group_that_comes_back_is_the_one_that_went(acme: Organization) -> None:
    """Without dropping, a group that is gone keeps its place and loses its members."""
    sync(acme, record("p1"), containers=[group("a", "p1")])
    before = acme.rows(schema.groups)[0]["id"]
    sync(acme, gone=["a"])
    assert members(acme) == {"a": []}
    sync(acme, containers=[group("a", "p1")])
    assert [row["id"] for row in acme.rows(schema.groups)] == [before]
    assert members(acme) == {"a": ["p1"]}


def test_a_group_is_dropped_where_that_is_wanted(acme: Organization) -> None:
    """What this mapper made goes with the directory's group; what others use stays."""
    sync(acme, record("p1"), containers=[group("a", "p1"), group("b", "p1"), group("c")])
    ids = {row["name"]: row["id"] for row in acme.rows(schema.groups)}
    person = acme.user("p1")["id"]
    by_hand = {"organization_id": acme.id, "source": "manual", "run_id": None}
    with acme.database.write() as connection:
        connection.execute(
            schema.group_members.insert().values(user_id=person, group_id=ids["b"], **by_hand)
        )
    planned = sync(acme, gone=["a", "b", "c"], dropping=True)
    assert acme.store.counts(planned.run_id).groups == {"create": 0, "update": 0, "delete": 2}
    assert members(acme) == {"b": ["p1"]}


def test_members_of_member_groups_are_members_where_that_is_wanted(acme: Organization) -> None:
    """Through any number of groups, and again when an edge, or somebody at the end, changes."""
    people = [record(name) for name in ("p1", "p2", "p3")]
    nest = [group("a", "p1", groups=["b"]), group("b", "p2", groups=["c"]), group("c", "p3")]
    sync(acme, *people, containers=nest, nested=True)
    assert members(acme) == {"a": ["p1", "p2", "p3"], "b": ["p2", "p3"], "c": ["p3"]}
    # Somebody who arrives at the bottom is in all of them.
    sync(acme, record("p4"), containers=[group("c", "p3", "p4")], nested=True)
    assert members(acme)["a"] == ["p1", "p2", "p3", "p4"]
    # An edge that goes takes along what hung on it, and nothing else.
    sync(acme, containers=[group("b", "p2")], nested=True)
    assert members(acme) == {"a": ["p1", "p2"], "b": ["p2"], "c": ["p3", "p4"]}
    # An edge that comes back brings it all again, through groups that did not change.
    sync(acme, containers=[group("b", "p2", groups=["c"])], nested=True)
    assert members(acme)["a"] == ["p1", "p2", "p3", "p4"]
    # And a group that is gone is no bridge any more.
    sync(acme, gone=["b"], nested=True)
    assert members(acme) == {"a": ["p1"], "b": [], "c": ["p3", "p4"]}


def test_a_person_who_changes_keeps_what_nesting_gives(acme: Organization) -> None:
    """A run that brings only the person finds his groups above through the stored closure."""
    nest = [group("a", groups=["b"]), group("b", groups=["c"]), group("c", "p1", "p2")]
    sync(acme, record("p1"), containers=nest, nested=True)
    sync(acme, record("p1", last_name="Other"), record("p2"), nested=True)
    assert members(acme) == {name: ["p1", "p2"] for name in "abc"}


def test_a_circle_of_groups_ends(acme: Organization) -> None:
    """Everybody in a circle is in each of its groups; a group in itself is no trouble."""
    circle = [
        group("a", "p1", groups=["b"]),
        group("b", "p2", groups=["c"]),
        group("c", "p3", groups=["a", "c"]),
    ]
    people = [record(name) for name in ("p1", "p2", "p3")]
    sync(acme, *people, containers=circle, nested=True)
    assert members(acme) == {name: ["p1", "p2", "p3"] for name in "abc"}
    sync(acme, containers=[group("c", "p3")], nested=True)
    assert members(acme) == {"a": ["p1", "p2", "p3"], "b": ["p2", "p3"], "c": ["p3"]}


@pytest.mark.rule("2.10.1", server="sqlite")
def test_a_group_that_was_not_read_whole_keeps_what_hangs_on_it(acme: Organization) -> None:
    """Its own members stay, and those of the groups that it is in."""
    sync(
        acme,
        record("p1"),
        record("p2"),
        containers=[group("a", groups=["b"]), group("b", "p1", "p2")],
        nested=True,
    )
    sync(acme, containers=[group("b", "p1", whole=False)], nested=True)
    assert members(acme) == {"a": ["p1", "p2"], "b": ["p1", "p2"]}


def test_a_container_outside_only_hands_its_members_on(acme: Organization) -> None:
    """It is no group of its own, and what it holds is in the groups above."""
    hidden = group("x", "p1", kind="outside", target="")
    sync(acme, record("p1"), containers=[group("a", groups=["x"]), hidden], nested=True)
    assert members(acme) == {"a": ["p1"]}
    assert [each[2] for each in acme.store.outside_containers(GROUPS)] == [f"cn=x,{BASE}"]
    sync(acme, gone=["x"], nested=True)
    assert members(acme) == {"a": []}


def test_containers_that_name_their_parents_are_nested_too(acme: Organization) -> None:
    """Where people name their groups (memberOf), groups name theirs."""
    said = group("b", "p1", parents=(key_of("a"),))
    sync(acme, record("p1"), containers=[group("a"), said], nested=True)
    assert members(acme) == {"a": ["p1"], "b": ["p1"]}
    sync(acme, containers=[group("b", "p1")], nested=True)
    assert members(acme) == {"a": [], "b": ["p1"]}
    assert acme.store.unresolved() == 0


def test_member_groups_become_child_groups_where_that_is_wanted(acme: Organization) -> None:
    """The closure follows; people stay in the group that names them."""
    nest = [group("a", "p1", groups=["b"]), group("b", groups=["c"]), group("c", "p2")]
    sync(acme, record("p1"), record("p2"), containers=nest, hierarchical=True)
    assert tree(acme) == {("b", "a", 1), ("c", "b", 1), ("c", "a", 2)}
    assert members(acme) == {"a": ["p1"], "b": [], "c": ["p2"]}
    planned = sync(acme, containers=[group("a", "p1"), group("b", groups=["c"])], hierarchical=True)
    assert acme.store.counts(planned.run_id).groups["update"] == 1
    assert tree(acme) == {("c", "b", 1)}


@pytest.mark.rule("K26", server="sqlite")
@pytest.mark.rule("K26", server="postgresql")
def test_circles_and_several_parents_are_told_one_by_one(acme: Organization) -> None:
    """What would close a circle is left out, a second parent is kept, the rest is synced."""
    nest = [
        group("a", groups=["b", "d"]),
        group("b", groups=["a", "d"]),
        group("c", groups=["c"]),
        group("d"),
    ]
    planned = sync(acme, containers=nest, hierarchical=True)
    assert tree(acme) == {("b", "a", 1), ("d", "a", 1), ("d", "b", 1)}
    assert sorted((each.kind, each.dn.split(",")[0]) for each in planned.remarks) == [
        ("cycle", "cn=a"),
        ("cycle", "cn=c"),
        ("several_parents", "cn=d"),
    ]


def test_groups_without_a_parent_stand_below_the_path(acme: Organization) -> None:
    """The groups of groups_path are made by the mapper and stand above all of its others."""
    top = group("Directory", parents=())._replace(dn="", dn_key=b"t" * 16)
    below = group("Staff", parents=(key_of("Directory"),))._replace(dn="", dn_key=b"s" * 16)
    planned = sync(
        acme,
        containers=[top, below, group("a", groups=["b"]), group("b")],
        hierarchical=True,
        roots={GROUPS: key_of("Staff")},
    )
    assert {(name, above) for name, above, depth in tree(acme) if depth == 1} == {
        ("Staff", "Directory"),
        ("a", "Staff"),
        ("b", "a"),
    }
    assert planned.remarks == []


def test_a_renamed_mapper_keeps_what_it_gave(acme: Organization) -> None:
    """Groups, members, edges and books have the new name; giving the name back is the reverse."""
    nest = [group("a", "p1", groups=["b"]), group("b", "p1")]
    sync(acme, record("p1"), containers=nest, hierarchical=True, nested=True)
    assert acme.store.rename_mappers({"new": GROUPS, "x": "y"}) == {"new": GROUPS}
    assert acme.store.stored_mappers() == {"new"}
    for table, column in (
        (schema.groups, "mapper"),
        (schema.group_members, "source"),
        (schema.group_parents, "source"),
        (schema.container_ancestors, "mapper"),
        (schema.membership_refs, "mapper"),
    ):
        assert {row[column] for row in acme.rows(table)} == {"new"}, table.name
    # One that is there under its present name was not renamed.
    assert acme.store.rename_mappers({"new": "other"}) == {}
    assert acme.store.rename_mappers({GROUPS: "new"}) == {GROUPS: "new"}
    assert acme.store.stored_mappers() == {GROUPS}
