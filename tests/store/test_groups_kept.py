"""Groups that are kept from page to page: never what they were, and whatever the tree is like."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from syncd.permissions import operator
from syncd.store import groups_kept, schema
from syncd.store.database import Database
from syncd.store.editing import groups
from syncd.store.editing.belonging import hold
from syncd.store.editing.change import change
from syncd.store.effective import roles_by_groups
from syncd.store.group_paths import group_paths
from syncd.store.groups_kept import groups_met
from syncd.store.pages.pages import Pages
from syncd.store.sides import GROUPS
from tests.store.by_hand import ByHand
from tests.store.organization import record
from tests.store.test_groups import group, sync

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from tests.store.organization import Organization

STEPS = 30


def shown(database: Database) -> dict[str, tuple[Any, Any]]:
    """Return what a page says of everybody's groups and roles."""
    items = Pages(database, "acme", operator("tester")).users(500)["items"]
    return {one["username"]: (one["groups"], one["roles"]) for one in items}


def expected(acme: Organization) -> dict[str, tuple[Any, Any]]:
    """Return the same, looked up person by person."""
    found = {}
    with acme.database.of(acme.id).read() as connection:
        names = {row["id"]: row["name"] for row in acme.rows(schema.roles)}
        called = {row["id"]: row["name"] for row in acme.rows(schema.groups)}
        paths = group_paths(connection, called)
        for person in acme.rows(schema.users):
            roles: dict[str, set[str]] = {"User": {"default"}}
            for row in acme.rows(schema.grants, user_id=person["id"]):
                roles.setdefault(names[row["role_id"]], set()).add(row["source"])
            for way in roles_by_groups(connection, [person["id"]]):
                assert way.group_id is not None
                roles.setdefault(names[way.role_id], set()).add(f"group:{paths[way.group_id]}")
            members = [
                {
                    "name": called[row["group_id"]],
                    "path": paths[row["group_id"]],
                    "sources": [row["source"]],
                }
                for row in acme.rows(schema.group_members, user_id=person["id"])
            ]
            found[person["username"]] = (
                sorted(members, key=lambda each: (each["name"], each["path"])),
                [{"name": name, "sources": sorted(said)} for name, said in sorted(roles.items())],
            )
    return found


@contextmanager
def acme_open(acme: Organization) -> Iterator[Database]:
    """Yield the same store as another process has it open."""
    opened = Database(acme.url)
    yield opened
    opened.close()


def test_what_is_kept_is_what_is_there(acme: Organization) -> None:
    """After each change by another process, whatever it is, a page says what look-ups say."""
    acme.sync(*(record(f"p{number}") for number in range(8)))
    by_hand = ByHand(acme, random.Random(13))  # noqa: S311 - the same each time
    with acme_open(acme) as reading:
        forked = 0
        for _ in range(STEPS):
            by_hand.step()
            assert shown(reading) == expected(acme)
            # Once more, of what is kept by now.
            assert shown(reading) == expected(acme)
            forked += _members_below_a_fork(acme)
    # Somebody was in a group that has two parents, or below one: what is kept shows also those.
    assert forked


def _members_below_a_fork(acme: Organization) -> int:
    edges = {(row["group_id"], row["parent_id"]) for row in acme.rows(schema.group_parents)}
    parents = Counter(group_id for group_id, _ in edges)
    members = {row["group_id"] for row in acme.rows(schema.group_members)}
    return sum(
        row["group_id"] in members and parents[row["ancestor_id"]] > 1
        for row in acme.rows(schema.group_ancestors)
    )


def test_a_sync_that_moves_a_group_is_seen_at_once(acme: Organization) -> None:
    """The next page has the new place."""
    people = [record("p1")]
    above = group("above", groups=["staff"])
    sync(acme, *people, containers=[group("staff", "p1")], hierarchical=True)
    with acme_open(acme) as reading:
        assert [each["path"] for each in shown(reading)["p1"][0]] == ["/staff"]
        sync(acme, *people, containers=[group("staff", "p1"), above], hierarchical=True)
        assert [each["path"] for each in shown(reading)["p1"][0]] == ["/above/staff"]


def test_a_transaction_that_began_before_sees_and_leaves_what_was_then(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds the old name, and does not put it in the way of those who came later."""
    acme.sync(record("p1"))
    shape = {"description": "", "kind": "custom", "attributes": {}, "roles": [], "parents": []}

    def name(word: str) -> None:
        with change(acme.database, acme.id, actor="operator tester") as c:
            groups.write(c, 700_000, {**shape, "name": word})

    name("before")
    with change(acme.database, acme.id, actor="operator tester") as c:
        hold(c, GROUPS, acme.user("p1")["id"], granted=[700_000])
    database = acme.database.of(acme.id)

    def path(connection: Any) -> str:
        met = groups_met(database, connection, acme.id)
        met.meet(connection, [700_000])
        return met.paths[700_000]

    with database.read_by_key() as old:
        assert path(old) == "/before"
        name("after")
        with database.read_by_key() as new:
            assert path(new) == "/after"
            kept = groups_met(database, new, acme.id)
            assert path(old) == "/before"
            assert groups_met(database, new, acme.id) is kept
    # No more than so many groups are kept.
    monkeypatch.setattr(groups_kept, "MOST_GROUPS", 0)
    with database.read_by_key() as new:
        assert path(new) == "/after"
        assert groups_met(database, new, acme.id) is not kept
