"""The views that other services read: their columns, what they tell, and by which index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import inspect, text

from syncd.store import schema
from syncd.store.effective import levels, roles_held
from tests.store.organization import MAPPER, ORGANIZATION, Organization, container, record

if TYPE_CHECKING:
    from sqlalchemy import Connection

# Other programs rely on it: a column may be added at a view's end, and nothing else may change.
PINNED = json.loads(Path(__file__).with_name("views.json").read_text())
GROUPS = "import groups"


def described(connection: Connection) -> dict[str, list[list[str]]]:
    """Return the views' columns in order, each with its type; SQLite's expressions have none."""
    inspector = inspect(connection)
    return {
        name: [[column["name"], str(column["type"])] for column in inspector.get_columns(name)]
        for name in sorted(inspector.get_view_names())
    }


def test_names_order_and_types_are_pinned(acme: Organization) -> None:
    """What the checked-in file says of both databases holds."""
    with acme.database.read() as connection:
        assert described(connection) == PINNED[acme.database.dialect]


def test_the_databases_have_the_same_columns() -> None:
    """A service that knows one of them knows the other."""
    names = [
        {view: [name for name, _ in columns] for view, columns in views.items()}
        for views in PINNED.values()
    ]
    assert names[0] == names[1]


def rows(acme: Organization, view: str, where: str = "true") -> list[dict[str, Any]]:
    """Return a view's rows of the organization."""
    if acme.database.dialect == "sqlite":
        where = where.replace("true", "1")
    query = text(f"SELECT * FROM syncd_v1_{view} WHERE {where}")
    with acme.database.of(ORGANIZATION).read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def many(acme: Organization) -> None:
    """People with roles by every way: directly, by a group, by a group above it, by default."""
    people = [record(f"id-{number}") for number in range(6)]
    acme.sync(*people, containers=[container("staff", "id-0", "id-1"), container("rare", "id-5")])
    roles = {row["name"]: row["id"] for row in acme.rows(schema.roles)}
    users = {row["username"]: row["id"] for row in acme.rows(schema.users)}
    own = {"organization_id": ORGANIZATION}
    named = {"kind": "custom", "description": "", "attributes": "{}", **own}
    groups = [{"id": 500 + n, "name": f"g{n}", "name_key": f"g{n}", **named} for n in range(3)]
    # 502 is below 501, which is below 500.
    above = [(500, 500, 0), (501, 501, 0), (501, 500, 1), (502, 502, 0), (502, 501, 1)]
    above.append((502, 500, 2))
    members = [("id-1", 500), ("id-2", 501), ("id-3", 502), ("id-3", 500)]
    sections = [(700, "users", 1), (700, "groups", 2), (701, "users", 2)]
    sets = [{"id": n, "name": f"s{n}", "name_key": f"s{n}", **named} for n in (700, 701)]
    for each in sets:
        del each["attributes"]
    with acme.database.write() as connection:
        for table, values in (
            (schema.groups, groups),
            (
                schema.group_ancestors,
                [{"group_id": g, "ancestor_id": a, "depth": d, **own} for g, a, d in above],
            ),
            (
                schema.group_parents,
                [
                    {"parent_id": a, "group_id": g, "source": "manual", **own}
                    for g, a, d in above
                    if d == 1
                ],
            ),
            (
                schema.group_members,
                [
                    {"user_id": users[name], "group_id": g, "source": "manual", **own}
                    for name, g in members
                ],
            ),
            (
                schema.group_roles,
                [
                    {"group_id": 500, "role_id": roles["rare"], "source": "manual", **own},
                    {"group_id": 501, "role_id": roles["Support agent"], "source": GROUPS, **own},
                ],
            ),
            (schema.permission_sets, sets),
            (
                schema.permission_set_sections,
                [{"permission_set_id": n, "section": s, "level": x, **own} for n, s, x in sections],
            ),
            (
                schema.role_permission_sets,
                [
                    {"role_id": roles["staff"], "permission_set_id": 700, **own},
                    {"role_id": roles["rare"], "permission_set_id": 701, **own},
                ],
            ),
        ):
            connection.execute(table.insert(), values)


def test_views_tell_what_the_program_itself_says(acme: Organization) -> None:
    """Effective roles and permissions of everybody are those that it decides by."""
    many(acme)
    ids = [row["id"] for row in acme.rows(schema.users)]
    with acme.database.read() as connection:
        wanted = {
            (user, section, level.word)
            for user, found in levels(connection, ids).items()
            for section, level in found.items()
        }
        ways = {tuple(way) for way in roles_held(connection, ids)}
    permissions = rows(acme, "user_permissions")
    assert {(row["user_id"], row["section"], row["level"]) for row in permissions} == wanted
    assert len(permissions) == len(wanted)
    held = rows(acme, "user_roles")
    found = {
        (row["user_id"], row["role_id"], row["source"], row["group_id"], row["member_group_id"])
        for row in held
    }
    assert found == ways
    assert {row["organization"] for row in (*permissions, *held)} == {ORGANIZATION}
    assert {row["role"] for row in held} == {"User", "staff", "rare", "Support agent"}


def test_views_of_people_and_groups(acme: Organization) -> None:
    """State by the clock, members of groups below, and only what is shared of address books."""
    many(acme)
    acme.sync(absent=["id-4"])
    far, past = "2999-01-01 00:00:00.000000", "2001-01-01 00:00:00.000000"
    ids = {row["username"]: row["id"] for row in acme.rows(schema.users)}
    for name, since, until in (("id-0", far, None), ("id-1", past, far), ("id-2", past, past)):
        acme.execute(
            "INSERT INTO restrictions (user_id, source, reason, organization_id, since, until)"
            " VALUES (:id, 'admin', 'disabled', 'acme', :since, :until)",
            id=ids[name],
            since=_time(acme, since),
            until=_time(acme, until),
        )
    acme.execute_all(
        "INSERT INTO address_books VALUES (1, 'acme', 'Shared', 'shared', NULL)",
        "INSERT INTO address_books VALUES (2, 'acme', 'Personal', 'personal', 77)",
        "INSERT INTO address_book_entries VALUES (3, 'acme', 1, 'Zoe', 'zoe', 'z@x.test', '')",
        "INSERT INTO address_book_entries VALUES (4, 'acme', 2, 'Own', 'own', 'o@x.test', '')",
        "INSERT INTO address_book_tags VALUES (1, 'b', 3, 'B', 'acme')",
        "INSERT INTO address_book_tags VALUES (1, 'a', 3, 'A', 'acme')",
    )
    people = {row["username"]: row for row in rows(acme, "users")}
    state = {name: (bool(row["enabled"]), bool(row["missing"])) for name, row in people.items()}
    assert state == {
        "id-0": (True, False),
        "id-1": (False, False),
        "id-2": (True, False),
        "id-3": (True, False),
        "id-4": (False, True),
        "id-5": (True, False),
    }
    assert (people["id-0"]["external_id"], people["id-0"]["provider"]) == ("id-0", "ldap")
    groups = {row["name"]: json.loads(row["parents"]) for row in rows(acme, "groups")}
    assert groups == {"g0": [], "g1": [500], "g2": [501]}
    names = {row["id"]: row["username"] for row in acme.rows(schema.users)}
    members = {
        (names[row["user_id"]], row["member_group_id"], bool(row["inherited"]))
        for row in rows(acme, "group_members", "group_id = 500")
    }
    assert members == {
        ("id-1", 500, False),
        ("id-2", 501, True),
        ("id-3", 502, True),
        ("id-3", 500, False),
    }
    assert [row["name"] for row in rows(acme, "address_books")] == ["Shared"]
    (entry,) = rows(acme, "address_book_entries")
    assert (entry["nickname"], json.loads(entry["tags"])) == ("Zoe", ["A", "B"])
    sets = {row["name"]: json.loads(row["sections"]) for row in rows(acme, "permission_sets")}
    assert sets["s700"] == {"users": "view", "groups": "edit"}
    assert set(sets["Owner"].values()) == {"edit"}
    roles = {row["name"]: row for row in rows(acme, "roles")}
    assert (roles["Owner"]["organization"], roles["staff"]["kind"]) == (None, "imported")
    assert json.loads(roles["staff"]["permission_sets"]) == [700]
    assert MAPPER in {row["source"] for row in rows(acme, "user_roles")}


def _time(acme: Organization, value: str | None) -> str | None:
    return value if value is None or acme.database.dialect == "sqlite" else f"{value}+00"


ONE = {
    "syncd_v1_users": "id = 3",
    "syncd_v1_user_roles": "user_id = 3",
    "syncd_v1_user_permissions": "user_id = 3",
    "syncd_v1_group_members": "user_id = 3",
}
PAGE = {
    "syncd_v1_users": "organization = 'acme' AND username_key > 'b' ORDER BY username_key LIMIT 9",
    "syncd_v1_group_members": "group_id = 500",
    "syncd_v1_user_roles": "role_id = 500",
}


@pytest.mark.parametrize(
    ("view", "where"), [*ONE.items(), *PAGE.items()], ids=lambda each: each.partition(" ")[0]
)
def test_one_person_and_a_page_are_found_by_an_index(
    acme: Organization, view: str, where: str
) -> None:
    """However many people there are, nobody else is walked through."""
    bulk = {"users", "grants", "group_members", "identities", "restrictions"}
    with acme.database.of(ORGANIZATION).read() as connection:
        if acme.database.dialect == "sqlite":
            plan = connection.execute(
                text(f"EXPLAIN QUERY PLAN SELECT * FROM {view} WHERE {where}")
            )
            walked = {row[3].split()[1] for row in plan if row[3].startswith("SCAN")}
            if where.startswith("role_id"):
                # Everybody might have it by default.
                walked -= {"u"}
            # As the views call them.
            assert not walked & {"u", "g", "m", "i"}, walked
            return
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = connection.execute(text(f"EXPLAIN (FORMAT JSON) SELECT * FROM {view} WHERE {where}"))
        walked = {
            node["Relation Name"]
            for node in _nodes(plan.scalar_one()[0]["Plan"])
            if node["Node Type"] in {"Seq Scan", "Index Scan", "Index Only Scan"}
            and "Index Cond" not in node
        }
        assert not walked & bulk, walked


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for below in plan.get("Plans", ()) for node in _nodes(below))]
