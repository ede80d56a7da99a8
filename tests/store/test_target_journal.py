"""What syncs write into the journal of objects about roles and groups."""

from __future__ import annotations

import json
from typing import Any

import pytest

from syncd.records import ContainerRecord, Member, Shapes, key_of
from syncd.store import schema
from tests.store.organization import MAPPER, Organization, container, dn_of, record

SHAPES = Shapes(
    groups=frozenset({MAPPER}), hierarchical=frozenset({MAPPER}), dropping=frozenset({MAPPER})
)


def _group(name: str, *members: str, called: str | None = None) -> ContainerRecord:
    """Return a group entry that names people, and groups by ``cn=…``, by their DNs."""
    made = container(name, role=called or name)
    dns = [each if each.startswith("cn=") else dn_of(each) for each in members]
    named = tuple(Member("dn", key_of(dn), dn) for dn in dns)
    return made._replace(kind="group", members=named, attributes="{}")


def _journal(acme: Organization) -> list[tuple[str, str, str, Any, Any]]:
    rows = sorted(
        acme.rows(schema.object_journal), key=lambda row: (row["change_set_id"], row["number"])
    )
    return [
        (
            row["object"],
            row["name"],
            row["kind"],
            json.loads(row["before"] or "null"),
            json.loads(row["after"] or "null"),
        )
        for row in rows
    ]


def test_a_role_that_a_sync_makes_and_drops_is_journaled_whole(acme: Organization) -> None:
    """Its creation and its end stand in the journal, each with the role as it was."""
    shapes = Shapes(creating=frozenset({MAPPER}), dropping=frozenset({MAPPER}))
    acme.sync(record("ann"), containers=[container("staff", "ann")], shapes=shapes)
    acme.sync(gone=["staff"], shapes=shapes)
    (made, dropped) = _journal(acme)
    assert made[:4] == ("role", "staff", "create", None)
    assert {key: made[4][key] for key in ("name", "kind", "permission_sets")} == {
        "name": "staff",
        "kind": "imported",
        "permission_sets": [],
    }
    assert dropped == ("role", "staff", "delete", made[4], None)


def test_renamed_moved_and_deleted_groups_are_journaled(acme: Organization) -> None:
    """Each change of a group is one row with all of it before and after, parents among it."""
    acme.sync(
        record("ann"),
        containers=[_group("all", "cn=sub,ou=roles,dc=example,dc=test"), _group("sub", "ann")],
        shapes=SHAPES,
    )
    rows = _journal(acme)
    assert [(name, kind) for _, name, kind, _, _ in rows] == [
        ("all", "create"),
        ("sub", "create"),
        ("sub", "update"),
    ]
    ids = {row["name"]: row["id"] for row in acme.rows(schema.groups)}
    assert rows[2][4]["parents"] == [[ids["all"], MAPPER]]
    acme.sync(containers=[_group("sub", "ann", called="Below")], shapes=SHAPES)
    (renamed,) = _journal(acme)[3:]
    assert (renamed[3]["name"], renamed[4]["name"]) == ("sub", "Below")
    acme.sync(gone=["all"], shapes=SHAPES)
    last = {name: (kind, after) for _, name, kind, _, after in _journal(acme)[4:]}
    assert last["all"] == ("delete", None)
    assert (last["Below"][0], last["Below"][1]["parents"]) == ("update", [])


def test_each_row_has_its_place_in_the_feed(acme: Organization) -> None:
    """Rows of roles stand under commits of their change set."""
    acme.sync(record("ann"), containers=[container("staff", "ann")])
    (row,) = acme.rows(schema.object_journal)
    commits = {(each["commit_id"], each["change_set_id"]) for each in acme.rows(schema.commits)}
    assert (row["commit_id"], row["change_set_id"]) in commits


@pytest.mark.parametrize("again", [(), (container("staff", "ann", "bob"),)], ids=["same", "member"])
def test_nothing_is_journaled_of_what_stays(
    acme: Organization, again: tuple[ContainerRecord, ...]
) -> None:
    """A sync that changes no role or group, only members, leaves no row of objects."""
    acme.sync(record("ann"), record("bob"), containers=[container("staff", "ann")])
    before = _journal(acme)
    acme.sync(containers=again)
    assert _journal(acme) == before
