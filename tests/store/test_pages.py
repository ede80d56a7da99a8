"""Lists a page at a time: what a page holds, and what it costs."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import pytest
from sqlalchemy import event, text

from bench.population import EVERYBODYS, FIRST_GROUP, LARGE, RARE, Population, fill
from bench.population import ORGANIZATION as BENCH
from syncd.errors import Refused
from syncd.permissions import Level, Principal, operator
from syncd.store import schema
from syncd.store.database import Database
from syncd.store.editing.belonging import hold
from syncd.store.editing.change import change
from syncd.store.editing.users import update_fields
from syncd.store.migrate import upgrade
from syncd.store.pages import filters as user_filters
from syncd.store.pages import sizes, walking
from syncd.store.pages.cursor import after_prefix, cursor
from syncd.store.pages.pages import Pages
from syncd.store.sides import ROLES
from tests.store.organization import MAPPER, container, dn_of, record
from tests.store.townspeople import ACME, OTHER, USER_ROLE, Townspeople, made_up, store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.postgres import Postgres
    from tests.store.organization import Organization

OPERATOR = operator("tester")
# What each filter means, in plain Python.
MEANING: dict[str, Callable[[Townspeople, dict[str, Any], Any], bool]] = {
    "username_prefix": lambda _, one, value: one["username_key"].startswith(value.casefold()),
    "email": lambda _, one, value: one["email_key"] == value.casefold(),
    "role": lambda town, one, value: value == USER_ROLE or (one["id"], value) in town.grants,
    "effective_role": lambda town, one, value: value in town.effective_roles(one["id"]),
    "group": lambda town, one, value: (one["id"], value) in town.members,
    "group_tree": lambda town, one, value: value in town.in_tree(one["id"]),
    "enabled": lambda town, one, value: value is not bool(town.held_now(one["id"])),
    "missing": lambda _, one, value: value is not one["living"],
    "provider": lambda _, one, value: one["provider"] == value,
    "restriction": lambda town, one, value: value in town.held_now(one["id"]),
    "external_id": lambda _, one, value: f"id-{one['id'] % 400}" == value,
    "ids": lambda _, one, value: one["id"] in value,
}


def values(town: Townspeople) -> list[tuple[str, Any]]:
    """Return filters with values: of many, of few, of nobody, and of somebody else's."""
    people = town.of(ACME)
    others = town.of(OTHER)
    top = next(group for group in town.groups if group not in town.parent)
    return [
        ("username_prefix", "ad"),
        ("username_prefix", "BEN-"),
        ("username_prefix", "nobody"),
        ("email", people[3]["email"].upper()),
        ("role", USER_ROLE),
        *(("role", role) for role in town.roles[:3]),
        *(("effective_role", role) for role in town.roles[1:4]),
        ("group", town.groups[0]),
        ("group", town.groups[-1]),
        ("group_tree", top),
        ("enabled", True),
        ("enabled", False),
        ("missing", True),
        ("missing", False),
        ("provider", "admin"),
        ("provider", "idp"),
        *(("restriction", each) for each in ("disabled", "expired", "locked", "not_yet_valid")),
        ("external_id", f"id-{people[5]['id'] % 400}"),
        ("ids", [one["id"] for one in people[::9]] + [others[0]["id"], 999_999]),
    ]


def walked(pages: Pages, filters: dict[str, Any], limit: int) -> list[int]:
    """Return whom all pages of a list hold, and see that each page is one."""
    found: list[int] = []
    after = None
    for _ in range(1_000):
        page = pages.users(limit, after, filters)
        assert len(page["items"]) <= limit
        found += [one["id"] for one in page["items"]]
        after = page["next"]
        if after is None:
            return found
    pytest.fail("the list has no end")


@pytest.fixture
def town() -> Townspeople:
    """People whom nobody else touches."""
    return made_up(7)


@pytest.fixture
def database(store_url: str, town: Townspeople) -> Iterator[Database]:
    """The store that they are in."""
    opened = store(town, store_url)
    yield opened
    opened.close()


def bounds_of(monkeypatch: pytest.MonkeyPatch, few: int, members: int, judged: int) -> None:
    """Set how much is done for a page, as if the organization were larger by as much."""
    monkeypatch.setattr(walking, "FEW", few)
    monkeypatch.setattr(walking, "FEW_MEMBERS", members)
    monkeypatch.setattr(walking, "JUDGED", judged)
    monkeypatch.setattr(walking, "JUDGED_CHEAPLY", judged)
    monkeypatch.setattr(walking, "JUDGED_DEARLY", judged)


@pytest.mark.parametrize("bound", [2_000, 6], ids=["few people", "a crowd"])
def test_a_filter_and_a_pair_of_filters_list_whom_they_mean(
    town: Townspeople, database: Database, bound: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each filter and each pair, page by page, gives exactly those whom plain Python finds."""
    bounds_of(monkeypatch, bound, 2 * bound, 5 * bound)
    # To a crowd any tree is too large to be read whole.
    monkeypatch.setattr(user_filters, "FEW_GROUPS", bound - 6)
    pages = Pages(database, ACME, OPERATOR)
    single = [[each] for each in values(town)]
    pairs = [
        [one, other] for one, other in itertools.combinations(values(town), 2) if one[0] != other[0]
    ]
    # Every pair of kinds of filter, some of the values.
    chosen = random.Random(1).sample(pairs, 40)  # noqa: S311 - the same each time
    wrong = []
    for several in [[], *single, *chosen]:
        meant = [
            one["id"]
            for one in town.of(ACME)
            if all(MEANING[name](town, one, value) for name, value in several)
        ]
        found = walked(pages, dict(several), 20)
        if found != meant:
            wrong.append((several, found, meant))
    assert not wrong


def test_the_filters_of_the_reference_are_all_there_are() -> None:
    """A filter that is added is compared with plain Python here too."""
    from syncd.store.pages.filters import KINDS  # noqa: PLC0415

    assert KINDS.keys() == MEANING.keys()


def test_a_page_has_the_shape_of_everywhere(town: Townspeople, database: Database) -> None:
    """An item is what one person's own look-up gives."""
    from syncd.store.people import People  # noqa: PLC0415

    item = Pages(database, ACME, OPERATOR).users(1, None, {"missing": False})["items"][0]
    assert item == People(database, ACME).user(item["username"])
    assert item["id"] == next(one["id"] for one in town.of(ACME) if one["living"])


@pytest.mark.parametrize("filters", [{}, {"role": 2_000}], ids=["all", "of a role"])
def test_whoever_stays_is_met_once_while_others_come_and_go(
    town: Townspeople, database: Database, filters: dict[str, Any]
) -> None:
    """Between pages people are added, deleted and renamed; who stays as he is appears once."""
    pages, chance = Pages(database, ACME, OPERATOR), random.Random(3)  # noqa: S311 - as above
    ids = [one["id"] for one in town.of(ACME)]
    going = set(chance.sample(ids, 40))
    staying = [user_id for user_id in ids if user_id not in going]
    found: list[int] = []
    after, number = None, 10_000
    while True:
        page = pages.users(9, after, filters)
        found += [one["id"] for one in page["items"]]
        after = page["next"]
        if after is None:
            break
        with database.write() as connection:
            if going:
                gone = {"gone": going.pop()}
                for table, column in (("users", "id"), ("grants", "user_id")):
                    connection.execute(text(f"DELETE FROM {table} WHERE {column} = :gone"), gone)
            number += 1
            key = chance.choice("abmz") + str(number)
            connection.execute(
                text(
                    "INSERT INTO users (id, organization_id, version, provider, username,"
                    " username_key, email_verified, attributes, living, enabled) VALUES"
                    " (:id, 'acme', 1, 'ldap', :key, :key, false, '{}', true, true)"
                ),
                {"id": number, "key": key},
            )
    assert [user_id for user_id in found if user_id in set(staying)] == staying
    assert len(set(found)) == len(found)


def counts(database: Database, pages: Pages, filters: dict[str, Any]) -> tuple[int, list[int]]:
    """Return how many statements of one page count, and whom it holds."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    found = [one["id"] for one in pages.users(20, None, filters)["items"]]
    event.remove(database.engine, "before_cursor_execute", note)
    return sum("count(" in statement for statement in asked), found


def test_what_was_found_large_is_not_counted_again_and_may_become_small(
    town: Townspeople, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list is counted on its first page; whoever left meanwhile is in none of the next."""
    bounds_of(monkeypatch, 3, 3, 1_000)
    pages = Pages(database, ACME, OPERATOR)
    top = next(group for group in town.groups if group not in town.parent)
    filters = {"group_tree": top, "missing": False}
    counted, before = counts(database, pages, filters)
    again, same = counts(database, pages, filters)
    assert counted > again == 0
    assert before == same
    assert len(before) > 3
    gone, stays = before[:-1], before[-1]
    with database.write() as connection:
        members = schema.group_members
        connection.execute(members.delete().where(members.c.user_id.in_(gone)))
    _, found = counts(database, pages, filters)
    assert found[0] == stays
    assert not set(found) & set(gone)
    monkeypatch.setattr(sizes, "_noted", WeakKeyDictionary())
    assert counts(database, pages, filters)[1] == found


def test_members_and_holders_are_told_by_which_way(town: Townspeople, database: Database) -> None:
    """Members of a group, of its tree, holders of a role, and by groups: with source and group."""
    pages = Pages(database, ACME, OPERATOR)
    top = next(group for group in town.groups if group not in town.parent)
    for tree in (False, True):
        items = []
        after = None
        while True:
            page = pages.group_members(top, 7, after, tree=tree)
            items += page["items"]
            after = page["next"]
            if after is None:
                break
        found = {(item["user"]["id"], way["group_id"]) for item in items for way in item["ways"]}
        assert found == {
            pair
            for pair in town.members
            if (top in town.above(pair[1]) if tree else pair[1] == top)
        }
        assert {way["source"] for item in items for way in item["ways"]} == {"manual", "mapper"}
    role = town.roles[3]
    direct = pages.role_holders(role, 500)["items"]
    assert {item["user"]["id"] for item in direct} == {
        user_id for user_id, each in town.grants if each == role
    }
    effective = pages.role_holders(role, 500, effective=True)["items"]
    assert {item["user"]["id"] for item in effective} == {
        one["id"] for one in town.of(ACME) if role in town.effective_roles(one["id"])
    }
    assert all(item["ways"] for item in effective)


def test_roles_sets_and_groups_are_listed_by_name(town: Townspeople, database: Database) -> None:
    """Page by page, each once, with what belongs to each; the product's own among them."""
    pages = Pages(database, ACME, OPERATOR)

    def all_of(method: Callable[..., dict[str, Any]], **filters: Any) -> list[dict[str, Any]]:
        found, after = [], None
        while True:
            page = method(2, after, filters)
            found += page["items"]
            after = page["next"]
            if after is None:
                return found

    roles = all_of(pages.roles)
    assert [role["id"] for role in roles if role["kind"] == "custom"] == town.roles
    assert len(roles) == len(town.roles) + 6
    assert [role["name"].lower() for role in roles] == sorted(
        role["name"].lower() for role in roles
    )
    assert {
        role["id"]: {each["id"] for each in role["permission_sets"]} for role in roles
    } == town.role_sets | {number: {number} for number in range(1, 7)}
    sets = all_of(pages.permission_sets, kind="custom")
    assert {each["id"]: each["sections"] for each in sets} == {
        set_id: {name: Level(level).word for name, level in levels.items()}
        for set_id, levels in town.sets.items()
    }
    assert {(role["id"], each["id"]) for each in sets for role in each["roles"]} == {
        (role, set_id) for role, several in town.role_sets.items() for set_id in several
    }
    groups = all_of(pages.groups)
    assert [group["id"] for group in groups] == town.groups
    assert {group["id"]: [parent["id"] for parent in group["parents"]] for group in groups} == {
        each: [town.parent[each]] if each in town.parent else [] for each in town.groups
    }
    assert {
        (group["id"], role["id"]) for group in groups for role in group["roles"]
    } == town.group_roles
    parent = next(iter(town.parent.values()))
    children = {each for each, above in town.parent.items() if above == parent}
    assert {group["id"] for group in all_of(pages.groups, parent=parent)} == children
    roots = {group["id"] for group in all_of(pages.groups, roots=True)}
    assert roots == set(town.groups) - town.parent.keys()
    assert [each["id"] for each in all_of(pages.groups, name_prefix="G100")] == town.groups[:10]


def test_the_books_are_listed_by_key(town: Townspeople, database: Database) -> None:
    """Runs newest first, plans that wait, the quarantine and exclusions: each row on one page."""
    with database.write() as connection:
        for number in range(1, 8):
            status = "blocked" if number in {2, 5} else "done"
            connection.execute(
                text(
                    "INSERT INTO runs (id, organization_id, mode, status, started_at)"
                    " VALUES (:id, :org, 'full', :status, CURRENT_TIMESTAMP)"
                ),
                {"id": number, "org": OTHER if number == 7 else ACME, "status": status},
            )
            row = {"entry": f"e{number}", "reason": "missing_username" if number % 2 else "other"}
            connection.execute(
                text(
                    "INSERT INTO quarantine (organization_id, source, entry, dn, reason, detail,"
                    " first_seen, last_seen, attempts, run_id) VALUES ('acme', 'users', :entry,"
                    " :entry, :reason, '', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, 1, 1)"
                ),
                row,
            )
            connection.execute(
                text(
                    "INSERT INTO exclusions (organization_id, source, external_id, username, since,"
                    " actor) VALUES ('acme', 'ldap', :entry, :entry, CURRENT_TIMESTAMP, 'x')"
                ),
                {"entry": row["entry"]},
            )
    pages = Pages(database, ACME, OPERATOR)
    lists: dict[str, tuple[Callable[..., dict[str, Any]], dict[str, Any], str]] = {
        "runs": (pages.runs, {"filters": {}}, "started_at"),
        "blocked": (pages.runs, {"filters": {"status": "blocked"}}, "started_at"),
        "plans": (pages.plans, {}, "started_at"),
        "quarantine": (pages.quarantine, {"filters": {}}, "dn"),
        "of a reason": (pages.quarantine, {"filters": {"reason": "other"}}, "dn"),
        "exclusions": (pages.exclusions, {"filters": {"source": "ldap"}}, "external_id"),
    }
    counted = {}
    for name, (method, more, key) in lists.items():
        found: list[Any] = []
        after = None
        while True:
            page = method(limit=2, after=after, **more)
            found += [item.get("run", item[key]) for item in page["items"]]
            after = page["next"]
            if after is None:
                break
        assert len(set(found)) == len(found), name
        counted[name] = len(found)
    assert counted == {
        "runs": 6,
        "blocked": 2,
        "plans": 2,
        "quarantine": 7,
        "of a reason": 3,
        "exclusions": 7,
    }
    assert town.people


BAD: dict[str, dict[str, Any]] = {
    "no number": {"limit": "many"},
    "nobody": {"limit": 0},
    "too many": {"limit": 501},
    "true": {"limit": True},
    "no cursor": {"after": "§"},
    "no JSON": {"after": "aaaa"},
    "another list's": {"after": cursor("roles", ("a", 1))},
    "another shape": {"after": cursor("users", ("a", "b"))},
    "a zero": {"after": cursor("users", ("a\0", 1))},
    "too large": {"after": cursor("users", ("a", 2**70))},
    "unknown": {"filters": {"shoe_size": 42}},
    "text for an id": {"filters": {"role": "1"}},
    "true for an id": {"filters": {"role": True}},
    "a large id": {"filters": {"group": 2**64}},
    "a zero in text": {"filters": {"username_prefix": "a\0"}},
    "half a sign": {"filters": {"email": "\ud800"}},
    "text among ids": {"filters": {"ids": [1, "2"]}},
    "too many ids": {"filters": {"ids": list(range(501))}},
}


def test_what_is_no_limit_cursor_or_filter_is_refused(database: Database) -> None:
    """It is refused as invalid before the database is asked."""
    pages = Pages(database, ACME, OPERATOR)
    said: dict[str, str] = {}
    for name, asked in BAD.items():
        with pytest.raises(Refused) as refused:
            pages.users(**asked)
        said[name] = refused.value.reason
    assert said == dict.fromkeys(BAD, "invalid")


def test_a_list_is_for_those_who_may_view_it(database: Database) -> None:
    """Somebody who may view groups alone gets groups alone."""
    pages = Pages(database, ACME, Principal("user mia", {"groups": Level.VIEW}))
    assert pages.groups()["items"]
    for method in (pages.users, pages.roles, pages.permission_sets, pages.runs, pages.exclusions):
        with pytest.raises(Refused) as refused:
            method()
        assert refused.value.reason == "not_allowed"


@pytest.mark.parametrize("prefix", ["a", "\x7f", "\ud7ff", "a\U0010ffff", "\U0010ffff"], ids=ascii)
def test_a_beginning_ends_where_no_text_has_it_any_more(prefix: str) -> None:
    """The range holds what begins with the prefix, and not what comes next."""
    below = after_prefix(prefix)
    assert below is None or prefix + "\U0010ffff" < below
    assert below is None or not below.startswith(prefix)
    assert (below is None) == (prefix == "\U0010ffff")


def test_order_and_beginnings_are_by_bytes_in_whatever_language(postgres: Postgres) -> None:
    """A database that sorts as English does still lists and finds as SQLite does."""
    name = postgres.create()
    postgres.drop(name)
    postgres.sql(
        f"create database {name} owner syncd template template0 encoding 'UTF8'"
        " locale 'C' locale_provider icu icu_locale 'en-US'"
    )
    town = made_up(3, 40)
    opened = Database(postgres.url(name))
    upgrade(opened)
    opened.close()
    opened = store(town, postgres.url(name))
    pages = Pages(opened, ACME, OPERATOR)
    try:
        assert walked(pages, {}, 7) == [one["id"] for one in town.of(ACME)]
        role = town.roles[0]
        assert walked(pages, {"role": role}, 7) == [one["id"] for one in town.of(ACME)]
        for prefix in ("ben-", "ad"):
            meant = [o["id"] for o in town.of(ACME) if o["username_key"].startswith(prefix)]
            assert walked(pages, {"username_prefix": prefix}, 7) == meant
    finally:
        opened.close()
        postgres.drop(name)


FEW_PEOPLE, MORE_PEOPLE = 6_000, 12_000
LISTED: dict[str, dict[str, Any]] = {
    "all": {},
    "prefix": {"username_prefix": "el"},
    "email": {"email": "ada.adler.0000000@bench.test"},
    "a role of everybody's": {"role": EVERYBODYS},
    "a rare role": {"role": RARE},
    "a role by groups": {"effective_role": RARE},
    "a large group": {"group": LARGE},
    "nobody": {"group": 1},
    "a tree": {"group_tree": FIRST_GROUP},
    "enabled": {"enabled": True},
    "disabled": {"enabled": False},
    "provider": {"provider": "admin"},
    "restriction": {"restriction": "expired"},
    "external id": {"external_id": "c0ffee00-0000-4000-8000-000000000007"},
    "group and restriction": {"group": LARGE, "restriction": "disabled"},
    "group and role": {"group": LARGE, "role": EVERYBODYS},
    "role and prefix": {"role": EVERYBODYS, "username_prefix": "jonas.j"},
}


def rows_read(database: Database, filters: dict[str, Any]) -> int:
    """Return how many rows the statements of one page look at, by what the database counts."""
    pages = Pages(database, BENCH, OPERATOR)
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values_: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "WITH")):
            asked.append((statement, values_))

    event.listen(database.engine, "before_cursor_execute", note)
    pages.users(100, None, filters)
    event.remove(database.engine, "before_cursor_execute", note)
    assert asked
    total = 0
    with database.of(BENCH).read_by_key() as connection:
        for statement, given in asked:
            explained = connection.exec_driver_sql(
                f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", given
            ).scalar_one()
            total += _looked_at(explained[0]["Plan"])
    return total


def _looked_at(node: dict[str, Any]) -> int:
    found = sum(_looked_at(each) for each in node.get("Plans", ()))
    if "Relation Name" in node or "Index Name" in node:
        rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        rows += node.get("Rows Removed by Index Recheck", 0)
        found += int(rows * node["Actual Loops"])
    return found


def test_what_a_page_costs_does_not_follow_the_number_of_people(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With twice the people a page looks at as many rows: every filter has its index."""
    # The bounds of a million, made as much smaller as the organization is.
    bounds_of(monkeypatch, 100, 600, 600)
    counted: dict[int, dict[str, int]] = {}
    for users in (FEW_PEOPLE, MORE_PEOPLE):
        with postgres.database() as url:
            database = Database(url)
            fill(database, Population(users))
            counted[users] = {
                name: rows_read(database, filters) for name, filters in LISTED.items()
            }
            database.close()
    few, more = counted[FEW_PEOPLE], counted[MORE_PEOPLE]
    assert {name: (few[name], more[name]) for name in LISTED if more[name] > 6_000} == {}
    assert {
        name: (few[name], more[name]) for name in LISTED if more[name] > 1.5 * few[name] + 300
    } == {}


def test_whoever_is_renamed_moves_in_the_lists_of_what_he_holds(acme: Organization) -> None:
    """By a sync and by hand: the people of a role stand under the usernames that they have now."""
    people = {
        name: record(f"id-{name}", name, dn=dn_of(f"entry-{name}")) for name in ("ada", "ben", "cy")
    }
    members = [f"entry-{name}" for name in people]
    acme.sync(*people.values(), containers=[container("staff", *members)])
    (role,) = (row["id"] for row in acme.rows(schema.roles, name="staff"))
    pages = Pages(acme.database, ACME, OPERATOR)

    def listed() -> list[str]:
        return [one["username"] for one in pages.users(10, None, {"role": role})["items"]]

    assert listed() == ["ada", "ben", "cy"]
    acme.sync(record("id-ada", "zoë", dn=dn_of("entry-ada")))
    assert listed() == ["ben", "cy", "zoë"]
    with change(acme.database, ACME, actor="operator tester") as opened:
        update_fields(opened, acme.user("cy")["id"], {"username": "abe"})
        hold(opened, ROLES, acme.user("ben")["id"], granted=[6])
    assert listed() == ["abe", "ben", "zoë"]
    keys = {row["id"]: row["username_key"] for row in acme.rows(schema.users)}
    held = [*acme.rows(schema.grants), *acme.rows(schema.group_members)]
    assert {row["source"] for row in held} == {MAPPER, "manual"}
    assert all(row["username_key"] == keys[row["user_id"]] for row in held)
