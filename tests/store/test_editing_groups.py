"""Groups by hand: members, roles, trees, owners, and what syncs leave alone of all that."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from syncd.errors import LastOwner, NotFound, Refused, UsageError
from syncd.permissions import EVERYTHING, Level, Principal
from syncd.store import schema
from tests.store.model import ADMIN, OWNER, SUPPORT, Model, match, somebody
from tests.store.organization import container, record
from tests.store.test_editing_roles import refused
from tests.store.test_groups import GROUPS, group, plan, sync, tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.store.organization import Organization

# Somebody who may do everything and is no owner.
MIGHTY = Principal(name="user kim", levels=EVERYTHING)


@pytest.fixture
def model(acme: Organization) -> Model:
    """The model, for whoever has the machine."""
    return Model(acme)


def chain(model: Model, *names: str) -> list[int]:
    """Return new groups, each below the one before."""
    ids = [model.groups.create(name)["id"] for name in names]
    for parent, child in pairwise(ids):
        model.groups.add_child(parent, child)
    return ids


def test_a_group_is_created_changed_and_deleted(model: Model) -> None:
    """It is shown with its place and roles, and journaled whole; several may have one name."""
    made = model.groups.create("Team", description="All", roles=[SUPPORT], why="as asked")
    assert made == {
        "id": made["id"],
        "name": "Team",
        "path": "/Team",
        "kind": "custom",
        "mapper": None,
        "external_id": None,
        "description": "All",
        "attributes": {},
        "parents": [],
        "children": [],
        "roles": [{"id": SUPPORT, "name": "Support agent", "sources": ["manual"]}],
    }
    twin = model.groups.create("Team")
    with pytest.raises(UsageError, match="2 groups"):
        model.groups.named("team")
    changed = model.groups.edit(twin["id"], name="A/B", if_match=match(twin))
    assert refused(lambda: model.groups.delete(twin["id"], if_match=match(twin)))[0] == "stale"
    assert model.groups.named("/A\\/B") == model.groups.named("a/b") == changed
    model.groups.delete(made["id"])
    was = {
        "name": "Team",
        "description": "All",
        "kind": "custom",
        "attributes": {},
        "roles": [[SUPPORT, "manual"]],
        "parents": [],
    }
    assert model.journal("group")[0] == ("Team", "create", None, was)
    assert model.journal("group")[-1] == ("Team", "delete", was, None)
    with pytest.raises(NotFound, match="syncd groups acme"):
        model.groups.get(made["id"])


def test_a_member_has_the_roles_of_all_groups_above(model: Model) -> None:
    """From the moment at which he is put there until he is taken out, or a link or role goes."""
    (p1,) = model.people("p1")
    above, middle, below = chain(model, "above", "middle", "below")
    model.groups.add_role(above, SUPPORT)
    model.groups.add_member(below, p1)
    assert model.levels(p1)["address_books"] == Level.VIEW
    (role,) = [each for each in model.acme.user("p1")["roles"] if each["name"] != "User"]
    assert role == {"name": "Support agent", "sources": ["group:/above"]}
    model.groups.remove_child(above, middle)
    assert "address_books" not in model.levels(p1)
    model.groups.add_child(above, below)
    assert model.levels(p1)["address_books"] == Level.VIEW
    model.groups.remove_role(above, SUPPORT)
    assert "address_books" not in model.levels(p1)
    model.groups.add_role(above, SUPPORT)
    model.groups.remove_member(below, p1)
    assert "address_books" not in model.levels(p1)
    pair = [below, "manual"]
    assert model.acme.journal("p1", "memberships") == [
        (None, {"granted": [pair], "revoked": []}),
        (None, {"granted": [], "revoked": [pair]}),
    ]


def test_what_is_so_already_changes_nothing(model: Model) -> None:
    """Putting somebody in twice, or giving a role twice, is no change and no error."""
    (p1,) = model.people("p1")
    above, below = chain(model, "above", "below")
    model.groups.add_member(below, p1)
    model.groups.add_role(below, SUPPORT)
    before = len(model.acme.rows(schema.change_sets))
    model.groups.add_member(below, p1)
    model.groups.add_role(below, SUPPORT)
    model.groups.add_child(above, below)
    assert len(model.acme.rows(schema.change_sets)) == before
    wrong: list[Callable[[], object]] = [
        lambda: model.groups.remove_member(above, p1),
        lambda: model.groups.remove_role(above, SUPPORT),
        lambda: model.groups.remove_child(below, above),
        lambda: model.groups.add_member(above, 10_000),
        lambda: model.groups.add_role(above, 10_000),
        lambda: model.groups.add_child(above, 10_000),
    ]
    for do in wrong:
        with pytest.raises(NotFound):
            do()


def test_no_group_stands_above_itself(model: Model) -> None:
    """Not directly, nor through others, nor together with what the directory says."""
    acme = model.acme
    a, b, c = chain(model, "a", "b", "c")
    for parent, child in ((a, a), (c, a), (c, b)):
        reason, said = refused(lambda edge=(parent, child): model.groups.add_child(*edge))  # type: ignore[misc]
        assert reason == "would_cycle"
        assert "cannot come below" in said
    sync(acme, containers=[group("x", groups=["y"]), group("y")], hierarchical=True)
    x, y = (model.groups.named(name)["id"] for name in "xy")
    model.groups.add_child(y, a)
    assert refused(lambda: model.groups.add_child(c, x))[0] == "would_cycle"
    assert ("c", "x", 4) in tree(acme)


def test_a_deleted_group_leaves_its_children_alone(model: Model) -> None:
    """They stand on their own, their members keep what else they have, nothing points at it."""
    (p1,) = model.people("p1")
    above, middle, below = chain(model, "above", "middle", "below")
    model.groups.add_role(above, SUPPORT)
    for each in (middle, below):
        model.groups.add_member(each, p1)
    model.groups.delete(middle)
    assert tree(model.acme) == set()
    assert [row["group_id"] for row in model.acme.rows(schema.group_members)] == [below]
    assert model.acme.rows(schema.group_parents) == []
    assert "address_books" not in model.levels(p1)
    changed = [(name, kind) for name, kind, _, _ in model.journal("group")][-2:]
    assert changed == [("below", "update"), ("middle", "delete")]


OWNING = ["a member", "a role", "a child", "a group"]


def test_only_an_owner_makes_and_unmakes_owners(model: Model) -> None:
    """By whatever way a group does it; whoever may do everything else may not do that."""
    p1, p2, p3 = model.people("p1", "p2", "p3")
    model.grant(p1, OWNER)
    owners, below = chain(model, "owners", "below")
    model.groups.add_role(owners, OWNER)
    model.groups.add_member(below, p2)
    other = model.groups.create("other")["id"]
    by = model.by(MIGHTY)
    for do in (
        lambda: by.groups.create("New", roles=[OWNER]),
        lambda: by.groups.add_role(other, OWNER),
        lambda: by.groups.add_member(below, p3),
        lambda: by.groups.add_child(below, other),
        lambda: by.groups.remove_member(below, p2),
        lambda: by.groups.remove_role(owners, OWNER),
        lambda: by.groups.remove_child(owners, below),
        lambda: by.groups.delete(owners),
        lambda: by.groups.delete(below),
    ):
        assert refused(do)[0] == "owner_only"
    by.groups.add_role(other, ADMIN)
    by.groups.delete(other)
    owner = model.by(Principal(name="user mia", levels=EVERYTHING, owner=True))
    owner.groups.add_member(below, p3)
    owner.groups.delete(owners)


@pytest.mark.parametrize("way", OWNING)
def test_the_last_owner_stays(model: Model, way: str) -> None:
    """Nobody can take him away, not even who has the machine; with a second one he goes."""
    p1, p2 = model.people("p1", "p2")
    owners, below = chain(model, "owners", "below")
    model.groups.add_role(owners, OWNER)
    model.groups.add_member(below, p1)
    do: dict[str, Any] = {
        "a member": lambda: model.groups.remove_member(below, p1),
        "a role": lambda: model.groups.remove_role(owners, OWNER),
        "a child": lambda: model.groups.remove_child(owners, below),
        "a group": lambda: model.groups.delete(below),
    }
    with pytest.raises(LastOwner, match="syncd owners add"):
        do[way]()
    assert model.levels(p1)["license"] == Level.EDIT
    model.grant(p2, OWNER)
    do[way]()
    assert "license" not in model.levels(p1)


def test_a_directorys_group_is_the_directorys(model: Model) -> None:
    """Name, description, parents and members of the source are read-only; the rest is ours."""
    acme = model.acme
    p1, p2 = model.people("p1", "p2")
    sync(acme, containers=[group("x", "p1", groups=["y"]), group("y")], hierarchical=True)
    x, y = (model.groups.named(name)["id"] for name in "xy")
    for do in (
        lambda: model.groups.edit(x, name="other"),
        lambda: model.groups.edit(x, description="other"),
        lambda: model.groups.delete(x),
        lambda: model.groups.remove_member(x, p1),
        lambda: model.groups.remove_child(x, y),
    ):
        reason, said = refused(do)
        assert reason == "source_rules"
        assert "directory" in said
    model.groups.add_role(x, SUPPORT)
    model.groups.add_member(y, p2)
    model.groups.add_member(x, p1)
    assert model.levels(p2)["users"] == Level.VIEW
    # A second word for the same goes, the directory's stays.
    model.groups.remove_member(x, p1)
    assert [row["source"] for row in acme.rows(schema.group_members, user_id=p1)] == [GROUPS]


def test_syncs_leave_what_was_done_by_hand(model: Model) -> None:
    """Manual members, roles and parents stay through syncs that change everything around them."""
    acme = model.acme
    _, p2 = model.people("p1", "p2")
    nest = [group("x", "p1", groups=["y"]), group("y", "p1")]
    sync(acme, containers=nest, hierarchical=True)
    x, y = (model.groups.named(name)["id"] for name in "xy")
    ours = model.groups.create("ours")["id"]
    model.groups.add_role(ours, SUPPORT)
    model.groups.add_child(ours, x)
    model.groups.add_member(y, p2)
    # The directory takes its own members and its own edge back, and renames a group.
    sync(acme, containers=[group("x", target="ex"), group("y")], hierarchical=True)
    assert tree(acme) == {("ex", "ours", 1)}
    assert model.groups.get(ours)["roles"][0]["sources"] == ["manual"]
    held = [(row["user_id"], row["group_id"]) for row in acme.rows(schema.group_members)]
    assert held == [(p2, y)]
    sync(acme, containers=nest, hierarchical=True)
    assert tree(acme) == {("x", "ours", 1), ("y", "x", 1), ("y", "ours", 2)}
    assert model.levels(p2)["users"] == Level.VIEW


def test_a_directorys_edge_that_closes_a_circle_is_left_out(model: Model) -> None:
    """The sync says so, and takes the rest; also if the edge by hand came behind the plan."""
    acme = model.acme
    sync(acme, containers=[group("x"), group("y")], hierarchical=True)
    x, y = (model.groups.named(name)["id"] for name in "xy")
    model.groups.add_child(x, y)
    crossing = [group("y", groups=["x", "z"]), group("z")]
    planned = sync(acme, containers=crossing, hierarchical=True)
    assert [(each.kind, each.dn.partition(",")[0]) for each in planned.remarks] == [
        ("cycle", "cn=x")
    ]
    assert tree(acme) == {("y", "x", 1), ("z", "y", 1), ("z", "x", 2)}
    model.groups.remove_child(x, y)
    planned = plan(acme, containers=crossing, hierarchical=True)
    assert planned.remarks == []
    model.groups.add_child(x, y)
    acme.apply(planned)
    assert tree(acme) == {("y", "x", 1), ("z", "y", 1), ("z", "x", 2)}


def test_what_a_sync_drops_takes_all_of_it_along(model: Model) -> None:
    """Roles of a dropped group and sets of a dropped role go; a role that a group has stays."""
    acme = model.acme
    desk = model.sets.create("Desk", sections={"users": "view"})["id"]
    sync(acme, record("p1"), containers=[group("x", "p1"), group("y", "p1")])
    x = model.groups.named("x")["id"]
    model.groups.add_role(x, SUPPORT)
    sync(acme, gone=["x"], dropping=True)
    assert [row["name"] for row in acme.rows(schema.groups)] == ["y"]
    assert acme.rows(schema.group_roles) == []
    acme.sync(containers=[container("crew", "p1"), container("held", "p1")])
    crew, held = (model.roles.named(name)["id"] for name in ("crew", "held"))
    for each in (crew, held):
        model.roles.edit(each, permission_sets=[desk])
    y = model.groups.named("y")["id"]
    model.groups.add_role(y, held)
    shapes = type(acme.plan(dry=True).shapes)(
        creating=frozenset({"import roles"}), dropping=frozenset({"import roles"})
    )
    acme.sync(gone=["crew", "held"], shapes=shapes)
    with pytest.raises(NotFound):
        model.roles.named("crew")
    assert model.roles.named("held")["permission_sets"] == [{"id": desk, "name": "Desk"}]
    assert acme.rows(schema.role_permission_sets, role_id=crew) == []
    assert model.permissions.of("p1")["permissions"]["users"] == "view"


def test_somebody_without_a_level_is_refused_nothing_more_than_levels(model: Model) -> None:
    """Groups that give nothing can be filled by anybody who may edit groups."""
    (p1,) = model.people("p1")
    made = model.by(somebody(groups="edit")).groups.create("Team")
    model.by(somebody(groups="edit")).groups.add_member(made["id"], p1)
    with pytest.raises(Refused):
        model.by(somebody(groups="edit")).groups.add_role(made["id"], SUPPORT)


def test_a_group_whose_run_ended_early_takes_its_place(model: Model) -> None:
    """It has no closure yet; put below another it has one at once."""
    acme = model.acme
    (p1,) = model.people("p1")
    sync(acme, containers=[group("x", "p1")])
    x, ours = model.groups.named("x")["id"], model.groups.create("ours", roles=[SUPPORT])["id"]
    acme.execute("delete from group_ancestors where group_id = :group", group=x)
    model.groups.add_child(ours, x)
    assert tree(acme) == {("x", "ours", 1)}
    assert model.levels(p1)["users"] == Level.VIEW
