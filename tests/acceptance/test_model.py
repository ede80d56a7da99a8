"""Roles, permission sets, groups and address books by the installed command, beside a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syncd.permissions import SECTIONS
from tests.acceptance.world import ORGANIZATION, role
from tests.servers.slapd import ROLES, people

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ("tests.acceptance.quick",)

BY_DEFAULT = {"personal_profile": "edit", "clients": "view", "builds": "view"}


def sections(**given: str) -> dict[str, str]:
    """Return what is shown of somebody who may do this, and what everybody may."""
    return dict.fromkeys(SECTIONS, "none") | BY_DEFAULT | given


def do(world: QuickWorld, *words: str, code: int = 0) -> Any:
    """Run a command in the organization, which stands behind its name."""
    name = 2 if words[0] in {"role", "permission-set", "group", "book"} else 1
    return world.json(*words[:name], ORGANIZATION, *words[name:], code=code)


def test_a_model_is_built_by_hand_beside_a_directory(quick_world: MakeQuickWorld) -> None:
    """Permissions come by imported roles and by groups in a tree, and stay through a sync."""
    world = quick_world(people(3) + role("crew", "u00000"))
    world.sync()
    do(world, "permission-set", "create", "Desk", "--section", "users:edit", "--why", "as asked")
    do(world, "permission-set", "create", "Books", "--section", "address_books:view")
    do(world, "role", "create", "Keeper", "--set", "Desk", "--description", "Keeps")
    edited = do(world, "role", "edit", "crew", "--add-set", "Books")
    assert [each["name"] for each in edited["permission_sets"]] == ["Books"]
    do(world, "group", "create", "Staff", "--role", "Keeper")
    do(world, "group", "create", "Berlin", "--description", "Those there")
    do(world, "group", "add-child", "Staff", "Berlin")
    joined = do(world, "group", "add-member", "/Staff/Berlin", "u00001")
    assert joined["path"] == "/Staff/Berlin"
    expected = [
        ("u00000", sections(address_books="view")),
        ("u00001", sections(users="edit")),
        ("u00002", sections()),
    ]
    everybody = do(world, "permissions")
    assert [(each["username"], each["permissions"]) for each in everybody] == expected
    # What the directory says changes, and what was done by hand stays.
    world.slapd.modify(f"cn=crew,{ROLES}", {"description": ["Renewed"]})
    world.sync()
    everybody = do(world, "permissions")
    assert [(each["username"], each["permissions"]) for each in everybody] == expected
    one = do(world, "permissions", "u00001")
    assert one["because"][1] == {
        "section": "users",
        "level": "edit",
        "role": "Keeper",
        "permission_set": "Desk",
    }
    shown = do(world, "show", "u00001")
    assert shown["permissions"] == sections(users="edit")
    assert {"name": "Keeper", "sources": ["group:/Staff"]} in shown["roles"]
    explained = do(world, "explain", "u00001", "--role", "keeper")["role"]
    assert explained["held"] is True
    assert [(each["group"], each["member_of"]) for each in explained["sources"]] == [
        ("/Staff", "/Staff/Berlin")
    ]
    told = world.syncd("explain", ORGANIZATION, "u00001", "--role", "keeper", code=0).out
    assert "the group /Staff has it, and the person is in /Staff/Berlin below it" in told
    lacked = do(world, "explain", "u00002", "--role", "keeper")["role"]
    assert (lacked["held"], lacked["reason"]) == (False, "no_container")
    assert [(each["reason"], "'/Staff' u00002" in each["next"]) for each in lacked["notes"]] == [
        ("groups_give", True)
    ]
    listed = {each["name"]: each for each in do(world, "groups")}
    assert [each["name"] for each in listed["Staff"]["roles"]] == ["Keeper"]
    listed = {each["name"]: each for each in do(world, "roles")}
    assert [each["name"] for each in listed["crew"]["permission_sets"]] == ["Books"]
    listed = {each["name"]: each for each in do(world, "permission-set", "list")}
    assert [each["name"] for each in listed["Desk"]["roles"]] == ["Keeper"]


def test_refusals_say_what_to_do(quick_world: MakeQuickWorld) -> None:
    """A broken rule of the model ends with exit code 2, what is not there with 7, one sentence."""
    world = quick_world(people(1) + role("crew", "u00000"))
    world.sync()
    do(world, "role", "create", "Keeper")
    do(world, "group", "create", "a", "--role", "Keeper")
    do(world, "group", "create", "b")
    do(world, "group", "add-child", "a", "b")
    cases: list[tuple[int, str, tuple[str, ...]]] = [
        (2, "preconfigured", ("role", "delete", "Owner", "--force")),
        (2, "preconfigured", ("permission-set", "edit", "Admin", "--section", "users:none")),
        (2, "another one", ("role", "create", "support AGENT")),
        (2, "already", ("role", "create", "keeper")),
        (2, "take it from them", ("role", "delete", "Keeper")),
        (2, "name_map", ("role", "edit", "crew", "--name", "Other")),
        (2, "above which it stands", ("group", "add-child", "b", "a")),
        (
            2,
            "there are none, view and edit",
            ("permission-set", "create", "x", "--section", "users:all"),
        ),
        (2, "--section users:view", ("permission-set", "create", "x", "--section", "users")),
        (7, "syncd roles", ("role", "delete", "Nothing")),
        (7, "syncd groups", ("group", "add-role", "Nothing", "Keeper")),
        (7, "syncd users", ("group", "add-member", "a", "nobody")),
        (7, "syncd book list", ("book", "entries", "Nothing")),
        (7, "permission-set list", ("permission-set", "delete", "Nothing")),
    ]
    for code, said, words in cases:
        answer = do(world, *words, code=code)
        assert said in answer["error"]["message"], words
        assert answer["error"]["code"] == {2: answer["error"]["code"], 7: "not_found"}[code]


def test_an_address_book_is_kept_by_the_command(quick_world: MakeQuickWorld) -> None:
    """Created, filled, looked through by tag and nickname, changed and deleted."""
    world = quick_world(people(1))
    world.sync()
    do(world, "book", "create", "Field")
    crane = do(
        world, "book", "add", "Field", "--nickname", "Crane", "--address", "1", "--tag", "Site"
    )
    do(world, "book", "add", "Field", "--nickname", "Barrow", "--address", "2")
    names = [each["nickname"] for each in do(world, "book", "entries", "field")]
    assert names == ["Barrow", "Crane"]
    assert do(world, "book", "entries", "Field", "--tag", "site") == [crane]
    assert do(world, "book", "entries", "Field", "--prefix", "cr") == [crane]
    number = str(crane["id"])
    changed = do(world, "book", "edit", "Field", number, "--comment", "Left", "--no-tags")
    assert changed == crane | {"comment": "Left", "tags": []}
    assert do(world, "book", "remove", "Field", number) == {"deleted": changed}
    do(world, "book", "delete", "Field")
    assert do(world, "book", "list") == []
