"""What mappers give to people who sign in: roles, groups of a path, and what is taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from syncd.mappers.groups import groups_of_path
from syncd.records import Granted, MemberOf, Shapes
from syncd.store import schema
from syncd.store.editing import groups, roles
from syncd.store.editing.change import change
from syncd.store.effective import levels
from syncd.store.group_paths import group_paths
from tests.store.organization import record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.store.signing_in import SignIns

OWNER, ADMIN = 1, 2


def sources(bridge: SignIns, table: Any) -> set[str]:
    """Return by whom rows of a table are said."""
    rows = bridge.rows(table, organization_id=bridge.id)
    told = (row.get("source", row.get("mapper")) for row in rows)
    return {str(each) for each in told if each is not None}


SPOKEN: dict[str, tuple[dict[str, Any], dict[str, set[str]]]] = {
    "the-same": ({"gives": {"a": ["R1", "/G1"], "b": ["R1"]}}, {"a": {"R1", "/G1"}, "b": {"R1"}}),
    "a-claim-is-lost": ({"gives": {"a": ["/G1"], "b": ["R1"]}}, {"a": {"/G1"}, "b": {"R1"}}),
    "another-gives-it-still": ({"gives": {"a": [], "b": ["R1"]}}, {"b": {"R1"}}),
    "more": (
        {"gives": {"a": ["R1", "R2", "/G1", "/G1/H"], "b": []}},
        {"a": {"R1", "R2", "/G1", "/G1/H"}},
    ),
    "nothing-is-said": ({"silent": ["a", "b"]}, {"a": {"R1", "/G1"}, "b": {"R1"}}),
    "one-is-silent": ({"gives": {"b": []}, "silent": ["a"]}, {"a": {"R1", "/G1"}}),
    "one-is-removed": ({"gives": {"b": ["R1"]}}, {"b": {"R1"}}),
    "all-are-removed": ({}, {}),
    "one-is-renamed": (
        {"gives": {"c": ["R1", "/G1"], "b": ["R1"]}, "renamed": {"a": "c"}},
        {"c": {"R1", "/G1"}, "b": {"R1"}},
    ),
    "one-is-renamed-and-silent": (
        {"gives": {"b": ["R1"]}, "silent": ["c"], "renamed": {"a": "c"}},
        {"c": {"R1", "/G1"}, "b": {"R1"}},
    ),
    "one-is-renamed-and-gives-less": (
        {"gives": {"c": ["R1"], "b": ["R1"]}, "renamed": {"a": "c"}},
        {"c": {"R1"}, "b": {"R1"}},
    ),
    "two-become-one": (
        {"silent": ["c"], "renamed": {"a": "c", "b": "c"}},
        {"c": {"R1", "/G1"}},
    ),
    "a-former-name-that-is-in-use": (
        {"gives": {"a": ["R1"]}, "silent": ["b", "c"], "renamed": {"b": "c", "a": "b"}},
        {"a": {"R1"}, "b": {"R1"}},
    ),
}


@pytest.mark.rule("K49", server="sqlite")
@pytest.mark.parametrize("shared", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("said", "then"), SPOKEN.values(), ids=SPOKEN)
def test_each_mapper_takes_back_its_own(
    bridge: SignIns, said: dict[str, Any], then: dict[str, set[str]]
) -> None:
    """Who speaks says all; who is silent keeps; who is gone gave nothing; what is manual stays."""
    first = bridge.sign_in("s-1", "ann", gives={"a": ["R1", "/G1"], "b": ["R1"]})
    bridge.manual(first.user_id, ADMIN)
    before = bridge.held("s-1")
    arrived = bridge.sign_in("s-1", "ann", **said)
    assert bridge.held("s-1") == then | {"manual": {"Admin"}}
    assert arrived.changed == (bridge.held("s-1") != before)
    # Twice is once.
    assert not bridge.sign_in("s-1", "ann", **said).changed


def test_a_rename_is_told_person_by_person(bridge: SignIns) -> None:
    """The journal takes from the former name and gives to the new, whose is what it made."""
    gives = {"old": ["Staff", "/Teams/A"]}
    for subject in ("s-1", "s-2"):
        bridge.sign_in(subject, gives=gives)
    bridge.sign_in("s-1", silent=["new"], renamed={"old": "new"})
    assert (bridge.held("s-1"), bridge.held("s-2")) == (
        {"new": {"Staff", "/Teams/A"}},
        {"old": {"Staff", "/Teams/A"}},
    )
    ((_, told),) = bridge.journal("s-1", "grants")[1:]
    assert ([row[1] for row in told["granted"]], [row[1] for row in told["revoked"]]) == (
        ["new"],
        ["old"],
    )
    assert sources(bridge, schema.group_parents) == {"new"}
    assert sources(bridge, schema.roles) == {"new"}
    assert {each["mapper"] for each in bridge.people.groups()} == {"new"}
    bridge.sign_in("s-2", silent=["new"], renamed={"old": "new"})
    assert bridge.held("s-2") == bridge.held("s-1")


def test_a_directorys_grants_are_not_taken(bridge: SignIns) -> None:
    """What a mapper of the directory of before gave stays, as does what reserved names gave."""
    user_id = bridge.sign_in("s-1", "ann", gives={"gone": ["R1"]}).user_id
    bridge.execute(
        "INSERT INTO containers (organization_id, mapper, container_key, external_id, dn, name, "
        "role_id) VALUES (:org, 'ldap roles', :key, 'x', 'cn=x', 'x', 0)",
        org=bridge.id,
        key=b"k",
    )
    for source in ("ldap roles", "import roles", "manual", "default"):
        bridge.execute(
            "INSERT INTO grants (user_id, role_id, source, organization_id) "
            "VALUES (:user_id, :role_id, :source, :org)",
            user_id=user_id,
            role_id=ADMIN,
            source=source,
            org=bridge.id,
        )
    bridge.sign_in("s-1", "ann", gives={"a": []})
    held = {row["source"] for row in bridge.rows(schema.grants, user_id=user_id)}
    assert held == {"ldap roles", "import roles", "manual", "default"}


# --- roles ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("name", "creating", "privileged", "outcome"),
    [
        ("Staff", True, False, {"Staff"}),
        ("Staff", False, False, "unknown_role"),
        ("hand MADE", False, False, {"Hand made"}),
        ("hand made", True, False, {"Hand made"}),
        ("Owner", True, False, "role_name_reserved"),
        ("  owner ", True, False, "role_name_reserved"),
        ("Own\u200ber", True, False, "role_name_reserved"),
        ("Own\u200ber", True, True, "unknown_role"),
        ("owner", False, True, {"Owner"}),
        ("Admin", True, True, {"Admin"}),
    ],
    ids=[
        "made",
        "not-made",
        "found",
        "found-and-not-made",
        "reserved",
        "reserved-with-spaces",
        "look-alike",
        "look-alike-with-privilege",
        "with-privilege",
        "with-privilege-and-making",
    ],
)
def test_roles_are_found_by_name(
    bridge: SignIns,
    name: str,
    creating: bool,  # noqa: FBT001 - a table's column
    privileged: bool,  # noqa: FBT001 - the same
    outcome: set[str] | str,
) -> None:
    """A preconfigured one needs the privilege, an unknown one the word that it may be made."""
    held = outcome if isinstance(outcome, set) else set()
    remarks = [outcome] if isinstance(outcome, str) else []
    with change(bridge.database, bridge.id, actor="operator tester") as c:
        after = {"name": "Hand made", "description": "", "kind": "custom", "permission_sets": []}
        roles.write(c, 5_000_000 + c.change_set_id, after)
    arrived = bridge.sign_in(
        "s-1",
        "ann",
        gives={"a": [name]},
        creating=creating,
        privileged=frozenset({"a"} if privileged else ()),
    )
    assert bridge.held("s-1").get("a", set()) == held
    assert [(each.kind, each.mapper) for each in arrived.remarks] == [
        (kind, "a") for kind in remarks
    ]
    made = [row for row in bridge.people.roles() if row["kind"] == "imported"]
    assert [row["name"] for row in made] == (["Staff"] if "Staff" in held else [])


def test_one_role_of_several_mappers_is_made_once(bridge: SignIns) -> None:
    """However they spell it; it is the first one's, and each has given it."""
    bridge.sign_in("s-1", "ann", gives={"a": ["Staff", "staff"], "b": ["STAFF"]})
    assert [row["name"] for row in bridge.people.roles() if row["kind"] == "imported"] == ["Staff"]
    assert bridge.held("s-1") == {"a": {"Staff"}, "b": {"Staff"}}


# --- groups -----------------------------------------------------------------------------------


def test_groups_of_a_path_are_made_with_those_above(bridge: SignIns) -> None:
    """Once each, with the closure, so that what a group above confers reaches its members."""
    bridge.sign_in("s-1", "ann", gives={"a": ["/Firm/Sales/East", "/Firm/Sales"]})
    found = {each["path"]: each for each in bridge.people.groups()}
    assert set(found) == {"/Firm", "/Firm/Sales", "/Firm/Sales/East"}
    ids = {path: _group_id(bridge, path) for path in found}
    closure = {
        (row["group_id"], row["ancestor_id"]): row["depth"]
        for row in bridge.rows(schema.group_ancestors, organization_id=bridge.id)
    }
    firm, sales, east = (ids[path] for path in ("/Firm", "/Firm/Sales", "/Firm/Sales/East"))
    assert closure == {
        (firm, firm): 0,
        (sales, sales): 0,
        (east, east): 0,
        (sales, firm): 1,
        (east, sales): 1,
        (east, firm): 2,
    }
    with change(bridge.database, bridge.id, actor="operator tester") as c:
        shape = groups.snapshot(c, firm)
        assert shape is not None
        groups.write(c, firm, {**shape, "roles": [[ADMIN, "manual"]]})
    user_id = bridge.of("s-1")["id"]
    with bridge.database.read() as connection:
        assert "users" in levels(connection, [user_id])[user_id]
    bridge.sign_in("s-2", "bob", gives={"a": ["/Firm/Sales/West"]})
    assert len(bridge.people.groups()) == 4
    assert _group_id(bridge, "/Firm/Sales") == sales


def test_a_path_is_the_same_group_for_every_mapper(bridge: SignIns) -> None:
    """Each says for itself what stands above what; a group of that name by hand is another one."""
    with change(bridge.database, bridge.id, actor="operator tester") as c:
        by_hand = 6_000_000 + c.change_set_id
        after = {"name": "Firm", "description": "", "kind": "custom", "attributes": {}}
        groups.write(c, by_hand, {**after, "roles": [[OWNER, "manual"]], "parents": []})
    bridge.sign_in("s-1", "ann", gives={"a": ["/Firm/Sales"], "b": ["/Firm"]})
    bridge.sign_in("s-2", "bob", gives={"a": [], "b": ["/Firm/Sales"]})
    assert sorted(each["path"] for each in bridge.people.groups()) == [
        "/Firm",
        "/Firm",
        "/Firm/Sales",
    ]
    assert sources(bridge, schema.group_parents) == {"a", "b"}
    assert not bridge.rows(schema.group_members, group_id=by_hand)
    assert not bridge.sign_in("s-1", "ann", gives={"a": ["/Firm/Sales"], "b": ["/Firm"]}).changed


def test_a_group_of_a_name_stands_at_the_top(bridge: SignIns) -> None:
    """A slash in it belongs to it, as in the directories' groups."""
    names = ("Team 2016/2017", "/A\\/B/C")
    granted = tuple(Granted("a", "group", name, create=True) for name in names)
    bridge.arrivals.arrive(bridge.arrival("s-1", "ann", gives={"a": []}, granted=granted))
    assert bridge.held("s-1") == {"a": {"/Team 2016\\/2017", "/A\\/B/C"}}


def test_a_place_that_would_close_a_circle_is_left_out(bridge: SignIns) -> None:
    """Somebody moved the upper group below the lower one by hand: that is told, and he is in."""
    bridge.sign_in("s-1", "ann", gives={"a": ["/Firm/Sales"]})
    firm, sales = _group_id(bridge, "/Firm"), _group_id(bridge, "/Firm/Sales")
    with change(bridge.database, bridge.id, actor="operator tester") as c:
        below = groups.snapshot(c, sales)
        above = groups.snapshot(c, firm)
        assert below is not None
        assert above is not None
        groups.write(c, sales, {**below, "parents": []})
        groups.write(c, firm, {**above, "parents": [[sales, "manual"]]})
    arrived = bridge.sign_in("s-2", "bob", gives={"a": ["/Firm/Sales"]})
    assert [each.kind for each in arrived.remarks] == ["cycle"]
    members = bridge.rows(schema.group_members, organization_id=bridge.id)
    assert {row["group_id"] for row in members} == {sales}
    assert len(members) == 2


def test_the_groups_of_a_directory_of_the_same_path_are_meant(bridge: SignIns) -> None:
    """What a directory's hardcoded group made before is the claim's group as well."""
    bridge.execute("UPDATE organizations SET provider = 'ldap' WHERE id = :id", id=bridge.id)
    with bridge.leased():
        containers = groups_of_path("everybody", ("Firm", "All"))
        member = (MemberOf("everybody", containers[-1].container_key, "/Firm/All"),)
        bridge.sync(
            record("p1", memberships=member),
            containers=containers,
            mappers=("everybody",),
            revoking=("everybody",),
            shapes=Shapes(groups=frozenset({"everybody"})),
        )
    bridge.execute("UPDATE organizations SET provider = 'idp' WHERE id = :id", id=bridge.id)
    bridge.sign_in("s-1", "ann", gives={"claims": ["/Firm/All"]})
    assert sorted(each["path"] for each in bridge.people.groups()) == ["/Firm", "/Firm/All"]
    assert bridge.held("s-1") == {"claims": {"/Firm/All"}}


def _group_id(bridge: SignIns, path: str) -> int:
    with bridge.database.read() as connection:
        ids = connection.scalars(
            select(schema.groups.c.id).where(
                schema.groups.c.organization_id == bridge.id,
                schema.groups.c.kind == "imported",
            )
        ).all()
        paths = group_paths(connection, ids)
    return next(each for each, where in paths.items() if where == path)


# --- the last owner ---------------------------------------------------------------------------


def owner_by_role(bridge: SignIns) -> Mapping[str, Any]:
    """Make ann an owner by a role; return what takes it."""
    bridge.sign_in("s-1", "ann", gives={"a": ["Owner", "Staff"]}, privileged=frozenset({"a"}))
    return {"gives": {"a": []}}


def owner_by_group(bridge: SignIns) -> Mapping[str, Any]:
    """Make ann an owner by a group below one that has the role; return what takes it."""
    bridge.sign_in("s-1", "ann", gives={"a": ["/Firm/Chiefs", "Staff"]})
    firm = _group_id(bridge, "/Firm")
    with change(bridge.database, bridge.id, actor="operator tester") as c:
        shape = groups.snapshot(c, firm)
        assert shape is not None
        groups.write(c, firm, {**shape, "roles": [[OWNER, "manual"]]})
    return {"gives": {"a": []}}


def owner_of_a_removed_mapper(bridge: SignIns) -> Mapping[str, Any]:
    """Make ann an owner by a mapper that is not there any more."""
    owner_by_role(bridge)
    return {}


@pytest.mark.parametrize(
    "make_owner",
    [owner_by_role, owner_by_group, owner_of_a_removed_mapper],
    ids=lambda f: f.__name__,
)
def test_the_last_owner_stays_one(bridge: SignIns, make_owner: Any) -> None:
    """He is let in and told; the rest is taken, and all of it once there is another owner."""
    said = make_owner(bridge)
    owning = bridge.held("s-1")["a"] - {"Staff"}
    arrived = bridge.sign_in("s-1", "ann", fields={"first_name": "Ann"}, **said)
    assert [(each.kind, each.mapper) for each in arrived.remarks] == [("last_owner", "a")]
    assert bridge.held("s-1") == {"a": owning}
    assert bridge.user("ann")["first_name"] == "Ann"
    bridge.manual(bridge.sign_in("s-2", "bob", silent=["a"]).user_id, OWNER)
    arrived = bridge.sign_in("s-1", "ann", **said)
    assert (arrived.remarks, bridge.held("s-1")) == ((), {})


def test_an_owner_who_is_renamed_with_his_mapper_stays_one(bridge: SignIns) -> None:
    """Nothing is lost in between, so nothing is held back."""
    owner_by_role(bridge)
    arrived = bridge.sign_in("s-1", "ann", silent=["b"], renamed={"a": "b"})
    assert (arrived.remarks, bridge.held("s-1")) == ((), {"b": {"Owner", "Staff"}})
