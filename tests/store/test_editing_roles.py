"""Roles and permission sets by hand: who may do what with them, and what the journal has of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from syncd.errors import NotFound, Refused
from syncd.permissions import SECTIONS
from syncd.store import schema
from tests.store.model import ADMIN, OWNER, USER, Model, match, somebody
from tests.store.organization import container, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.store.organization import Organization

NO_ACCESS = dict.fromkeys(SECTIONS, "none")


@pytest.fixture
def model(acme: Organization) -> Model:
    """The model, for whoever has the machine."""
    return Model(acme)


def refused(do: Callable[[], object]) -> tuple[str, str]:
    """Return reason and sentence of a refusal."""
    with pytest.raises(Refused) as caught:
        do()
    return caught.value.reason, str(caught.value)


def test_a_role_is_created_changed_and_deleted(model: Model) -> None:
    """Each step is shown, is journaled whole on both sides, and says who did it and why."""
    books = model.sets.create("Books", sections={"address_books": "edit", "users": "none"})
    assert books == {
        "id": books["id"],
        "name": "Books",
        "kind": "custom",
        "description": "",
        "sections": NO_ACCESS | {"address_books": "edit"},
        "roles": [],
    }
    made = model.roles.create(
        " Keeper ", description="Keeps", permission_sets=[books["id"]], why="as asked"
    )
    assert made == {
        "id": made["id"],
        "name": "Keeper",
        "kind": "custom",
        "mapper": None,
        "description": "Keeps",
        "permission_sets": [{"id": books["id"], "name": "Books"}],
    }
    assert made == model.roles.get(made["id"]) == model.roles.named("kEEPER")
    assert model.sets.get(books["id"])["roles"] == [{"id": made["id"], "name": "Keeper"}]
    changed = model.roles.edit(made["id"], name="Warden", permission_sets=[])
    assert (changed["name"], changed["description"], changed["permission_sets"]) == (
        "Warden",
        "Keeps",
        [],
    )
    model.roles.delete(made["id"])
    first = {"name": "Keeper", "description": "Keeps", "kind": "custom"}
    second = {**first, "name": "Warden", "permission_sets": []}
    first["permission_sets"] = [books["id"]]  # type: ignore[assignment]
    assert model.journal("role") == [
        ("Keeper", "create", None, first),
        ("Warden", "update", first, second),
        ("Warden", "delete", second, None),
    ]
    sets = model.acme.rows(schema.change_sets)
    assert {row["actor"] for row in sets if row["run_id"] is None} == {"operator root"}
    assert [row["why"] for row in sets if row["why"]] == ["as asked"]
    with pytest.raises(NotFound, match="syncd roles acme"):
        model.roles.get(made["id"])


def test_a_permission_set_is_changed_section_by_section(model: Model) -> None:
    """Sections that are not named stay; "none" takes access away; what changes nothing is none."""
    made = model.sets.create("Desk", sections={"users": "view", "groups": "edit"})
    changed = model.sets.edit(made["id"], sections={"users": "edit", "groups": "none"})
    assert changed["sections"] == NO_ACCESS | {"users": "edit"}
    before = len(model.journal("permission_set"))
    assert model.sets.edit(made["id"], name="Desk", sections={"users": "edit"}) == changed
    assert len(model.journal("permission_set")) == before
    assert [row[2:] for row in model.journal("permission_set")][-1] == (
        {"name": "Desk", "description": "", "sections": {"groups": "edit", "users": "view"}},
        {"name": "Desk", "description": "", "sections": {"users": "edit"}},
    )


def test_preconfigured_roles_and_sets_stay(model: Model) -> None:
    """Nobody renames, deletes or rates them anew, nor gives them another set."""
    books = model.sets.create("Books", sections={"address_books": "edit"})
    changes: list[Callable[[int], object]] = [
        lambda role_id: model.roles.edit(role_id, description="other"),
        lambda role_id: model.roles.edit(role_id, permission_sets=[books["id"]]),
        lambda role_id: model.roles.delete(role_id, force=True),
        lambda role_id: model.sets.edit(role_id, sections={"users": "edit"}),
        lambda role_id: model.sets.delete(role_id, force=True),
        lambda role_id: model.sets.create("Other", sections={}, roles=[role_id]),
    ]
    for role_id in range(OWNER, USER + 1):
        for do in changes:
            assert refused(partial(do, role_id))[0] == "preconfigured"


def test_reserved_names_are_taken(model: Model) -> None:
    """What reads like a preconfigured role is no name for another one, nor for a set."""
    made = model.roles.create("Keeper")
    rated = model.sets.create("Desk", sections={})
    changes: list[Callable[[str], object]] = [
        model.roles.create,
        lambda name: model.roles.edit(made["id"], name=name),
        lambda name: model.sets.create(name, sections={}),
        lambda name: model.sets.edit(rated["id"], name=name),
    ]
    for name in ("Owner", "owner", "DATA  protection officer", "Us\u200ber"):
        for do in changes:
            assert refused(partial(do, name))[0] in {"name_taken", "invalid"}, name
    assert len(model.acme.rows(schema.roles)) == USER + 1


def test_names_can_be_read(model: Model) -> None:
    """Empty, endless and invisible names are refused with a sentence."""
    changes: list[Callable[[str], object]] = [
        model.roles.create,
        lambda name: model.sets.create(name, sections={}),
        model.groups.create,
        model.books.create,
    ]
    for name in ("", "  ", "a\nb", "x" * 256, "a\x00b"):
        for do in changes:
            assert refused(partial(do, name))[0] == "invalid", name


def test_names_are_unique_whatever_their_case(model: Model) -> None:
    """A second role or set of one name is refused; a thing may keep its own name."""
    one, other = model.roles.create("Straße"), model.roles.create("Weg")
    assert refused(lambda: model.roles.create("STRASSE"))[0] == "name_taken"
    assert refused(lambda: model.roles.edit(other["id"], name="strasse"))[0] == "name_taken"
    assert model.roles.edit(one["id"], name="STRASSE")["name"] == "STRASSE"
    model.sets.create("Desk", sections={})
    assert refused(lambda: model.sets.create("desk", sections={}))[0] == "name_taken"


def test_what_is_in_use_goes_by_force_only(model: Model) -> None:
    """People and groups keep a role until somebody says that they shall lose it; so with sets."""
    (p1,) = model.people("p1")
    desk = model.sets.create("Desk", sections={"users": "view"})
    role = model.roles.create("Keeper", permission_sets=[desk["id"]])
    group = model.groups.create("Team", roles=[role["id"]])
    model.grant(p1, role["id"])
    reason, said = refused(lambda: model.roles.delete(role["id"]))
    assert (reason, "people and groups have the role Keeper" in said) == ("in_use", True)
    reason, said = refused(lambda: model.sets.delete(desk["id"]))
    assert (reason, "Keeper" in said) == ("in_use", True)
    model.sets.delete(desk["id"], force=True)
    assert model.roles.get(role["id"])["permission_sets"] == []
    assert model.journal("role")[-1][1] == "update"
    model.roles.delete(role["id"], force=True)
    assert model.acme.rows(schema.grants) == model.acme.rows(schema.group_roles) == []
    assert model.acme.rows(schema.role_permission_sets, role_id=role["id"]) == []
    assert model.groups.get(group["id"])["roles"] == []
    pair = [role["id"], "manual"]
    assert model.acme.journal("p1", "grants") == [
        (None, {"granted": [pair], "revoked": []}),
        (None, {"granted": [], "revoked": [pair]}),
    ]


def test_an_imported_role_is_named_by_its_source(model: Model) -> None:
    """Its name and its life are the directory's, its permission sets and description are ours."""
    acme = model.acme
    acme.sync(record("p1"), containers=[container("Crew", "p1")])
    crew = model.roles.named("Crew")
    assert (crew["kind"], crew["mapper"]) == ("imported", "import roles")
    assert refused(lambda: model.roles.edit(crew["id"], name="Other"))[0] == "source_rules"
    assert refused(lambda: model.roles.delete(crew["id"], force=True))[0] == "source_rules"
    desk = model.sets.create("Desk", sections={"users": "edit"})
    model.roles.edit(crew["id"], description="On board", permission_sets=[desk["id"]])
    assert model.permissions.of("p1")["permissions"]["users"] == "edit"
    # A sync that renames nothing leaves it, and one that drops the role takes all of it along.
    acme.sync(containers=[container("Crew", "p1", uids=["x"])])
    assert model.roles.get(crew["id"])["permission_sets"] == [{"id": desk["id"], "name": "Desk"}]


def test_a_deleted_role_is_what_no_entry_stands_for(model: Model) -> None:
    """A custom role that a directory's entry fills is read anew once it is gone or renamed."""
    acme = model.acme
    made = model.roles.create("Keeper")
    acme.sync(record("p1"), containers=[container("keepers", "p1", role="Keeper")])
    assert acme.roles_of("p1") == ["Keeper"]
    assert acme.rows(schema.containers)[0]["digest"] is not None
    model.roles.edit(made["id"], name="Warden")
    assert acme.rows(schema.containers)[0]["digest"] is None
    model.roles.delete(made["id"], force=True)
    assert acme.rows(schema.containers)[0]["role_id"] == 0
    assert acme.roles_of("p1") == []
    acme.sync(record("p1", last_name="Other"))
    assert acme.rows(schema.grants) == []


def test_a_plan_that_waits_does_not_give_what_is_gone(model: Model) -> None:
    """Applying it later puts nobody into a role that was deleted meanwhile."""
    acme = model.acme
    acme.sync(record("p1"))
    made = model.roles.create("Keeper")
    planned = acme.plan(containers=[container("keepers", "p1", role="Keeper")])
    model.roles.delete(made["id"])
    acme.apply(planned)
    assert acme.rows(schema.grants) == []


GRANTS: list[tuple[str, Callable[[Model, dict[str, int]], object]]] = [
    ("a set", lambda m, _: m.sets.create("New", sections={"license": "view"})),
    ("a raised section", lambda m, at: m.sets.edit(at["low"], sections={"license": "view"})),
    ("a raised level", lambda m, at: m.sets.edit(at["low"], sections={"users": "edit"})),
    ("a role with a set", lambda m, at: m.roles.create("New", permission_sets=[at["high"]])),
    ("a set of a role", lambda m, at: m.roles.edit(at["role"], permission_sets=[at["high"]])),
    ("a strong role's name", lambda m, at: m.roles.edit(at["strong"], name="Other")),
    ("a group with a role", lambda m, at: m.groups.create("New", roles=[at["strong"]])),
    ("a role of a group", lambda m, at: m.groups.add_role(at["group"], at["strong"])),
    ("a preconfigured role", lambda m, at: m.groups.add_role(at["group"], ADMIN)),
    ("a member", lambda m, at: m.groups.add_member(at["above"], at["person"])),
    ("a member below", lambda m, at: m.groups.add_member(at["below"], at["person"])),
    ("a child", lambda m, at: m.groups.add_child(at["above"], at["group"])),
    ("a child below", lambda m, at: m.groups.add_child(at["below"], at["group"])),
]
ALLOWED: list[tuple[str, Callable[[Model, dict[str, int]], object]]] = [
    ("a set", lambda m, _: m.sets.create("New", sections={"users": "view", "groups": "edit"})),
    ("what everybody has", lambda m, _: m.sets.create("Newer", sections={"builds": "view"})),
    ("a lowered section", lambda m, at: m.sets.edit(at["high"], sections={"license": "none"})),
    ("another section", lambda m, at: m.sets.edit(at["high"], sections={"users": "view"})),
    ("a name", lambda m, at: m.sets.edit(at["high"], name="Higher")),
    ("a weak role's name", lambda m, at: m.roles.edit(at["role"], name="Weaker")),
    ("a role with a set", lambda m, at: m.roles.create("Newer", permission_sets=[at["low"]])),
    ("a role of a group", lambda m, at: m.groups.add_role(at["group"], at["role"])),
    ("a member", lambda m, at: m.groups.add_member(at["group"], at["person"])),
    ("a child", lambda m, at: m.groups.add_child(at["group"], at["above"])),
    ("less of a role", lambda m, at: m.roles.edit(at["strong"], permission_sets=[])),
]


def scene(model: Model) -> dict[str, int]:
    """Return a person, sets, roles and groups: some within a support desk's reach, some above."""
    low = model.sets.create("Low", sections={"users": "view"})["id"]
    high = model.sets.create("High", sections={"license": "edit"})["id"]
    role = model.roles.create("Weak", permission_sets=[low])["id"]
    strong = model.roles.create("Strong", permission_sets=[low, high])["id"]
    groups = {name: model.groups.create(name)["id"] for name in ("group", "above", "below")}
    model.groups.add_role(groups["above"], strong)
    model.groups.add_child(groups["above"], groups["below"])
    (person,) = model.people("p1")
    return {"low": low, "high": high, "role": role, "strong": strong, "person": person, **groups}


DESK = somebody(users="view", groups="edit", roles="edit", permission_sets="edit")


def test_nobody_grants_more_than_he_holds(model: Model) -> None:
    """In no way; the refusal names the section, and nothing is changed."""
    at = scene(model)
    desk = model.by(DESK)
    before = {table: model.acme.rows(table) for table in STATE}
    for name, do in GRANTS:
        reason, said = refused(partial(do, desk, at))
        assert (name, reason) == (name, "exceeds_own")
        assert "license" in said or "users (edit)" in said
    assert {table: model.acme.rows(table) for table in STATE} == before


def test_what_one_holds_one_may_give(model: Model) -> None:
    """And take away, and rename, whatever it is."""
    at = scene(model)
    desk = model.by(DESK)
    for _, do in ALLOWED:
        do(desk, at)


STATE: list[Any] = [
    schema.roles,
    schema.role_permission_sets,
    schema.permission_sets,
    schema.permission_set_sections,
    schema.groups,
    schema.group_roles,
    schema.group_parents,
    schema.group_members,
    schema.group_ancestors,
    schema.object_journal,
]


def test_a_set_is_given_to_roles_by_those_who_may_edit_roles(model: Model) -> None:
    """With the set itself, if the one who makes it may edit roles."""
    role = model.roles.create("Keeper")
    by = model.by(somebody(permission_sets="edit", users="view"))
    sections = {"users": "view"}
    do = partial(by.sets.create, "Desk", sections=sections, roles=[role["id"]])
    assert refused(do)[0] == "not_allowed"
    made = model.sets.create("Desk", sections=sections, roles=[role["id"]])
    assert made["roles"] == [{"id": role["id"], "name": "Keeper"}]
    with pytest.raises(NotFound):
        model.sets.create("Other", sections={}, roles=[10_000])
    with pytest.raises(NotFound):
        model.roles.create("Other", permission_sets=[10_000])


def test_sections_and_levels_are_known_ones(model: Model) -> None:
    """Anything else is refused, with what there is."""
    for section, word in (("nothing", "view"), ("users", "admin"), ("users", "VIEW")):
        do = partial(model.sets.create, "Desk", sections={section: word})
        reason, said = refused(do)
        assert reason == "invalid"
        assert "users" in said


def test_what_changed_meanwhile_is_not_changed(model: Model) -> None:
    """Whoever says what he has seen is refused when it is so no more."""
    role = model.roles.create("Keeper")
    rated = model.sets.create("Desk", sections={})
    seen, seen_set = match(role), match(rated)
    model.roles.edit(role["id"], description="new", if_match=seen)
    model.sets.edit(rated["id"], description="new", if_match=seen_set)
    for do in (
        lambda: model.roles.edit(role["id"], name="Other", if_match=seen),
        lambda: model.roles.delete(role["id"], if_match=seen),
        lambda: model.sets.edit(rated["id"], name="Other", if_match=seen_set),
        lambda: model.sets.delete(rated["id"], if_match=seen_set),
    ):
        assert refused(do)[0] == "stale"


def test_another_organizations_are_not_there(model: Model) -> None:
    """By no id and no name; and each may use a name of the other's."""
    role = model.roles.create("Keeper")
    desk = model.sets.create("Desk", sections={})
    group = model.groups.create("Team")
    other = type(model.acme)(model.acme.url, "globex")
    try:
        theirs = Model(other)
        for do in (
            lambda: theirs.roles.get(role["id"]),
            lambda: theirs.roles.named("Keeper"),
            lambda: theirs.roles.edit(role["id"], name="Mine"),
            lambda: theirs.roles.delete(role["id"], force=True),
            lambda: theirs.sets.get(desk["id"]),
            lambda: theirs.sets.delete(desk["id"]),
            lambda: theirs.roles.create("Mine", permission_sets=[desk["id"]]),
            lambda: theirs.groups.get(group["id"]),
            lambda: theirs.groups.delete(group["id"]),
            lambda: theirs.groups.create("Mine", roles=[role["id"]]),
        ):
            with pytest.raises(NotFound):
                do()
        assert theirs.roles.create("Keeper")["id"] != role["id"]
        assert {each["name"] for each in theirs.roles.all()} == {
            "Owner",
            "Admin",
            "Support agent",
            "Data protection officer",
            "Accountant",
            "User",
            "Keeper",
        }
    finally:
        other.database.close()
