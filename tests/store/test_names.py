"""Who may have which username, when several want it or somebody has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncd.records import Shapes
from syncd.store import schema
from tests.store.organization import record

if TYPE_CHECKING:
    from tests.store.organization import Organization, Planned

DUPLICATE, TAKEN = "duplicate_username", "username_taken"


def left_out(planned: Planned) -> set[tuple[str, str]]:
    """Return (external id, reason) of those whose names kept them out."""
    return {(each.external_id, each.reason) for each in planned.conflicts}


def living(acme: Organization) -> dict[str, str]:
    """Return the external ids of enabled people by username."""
    enabled = [user for user in acme.people.users() if user["enabled"]]
    return {user["username"]: user["external_id"] for user in enabled}


def test_of_newcomers_who_want_one_name_none_gets_it(acme: Organization) -> None:
    """Two entries with one username, however spelled, are both left out; the others come."""
    planned = acme.sync(record("p1", "straße"), record("p2", "STRASSE"), record("p3", "free"))
    assert left_out(planned) == {("p1", DUPLICATE), ("p2", DUPLICATE)}
    assert living(acme) == {"free": "p3"}


def test_whoever_has_a_name_keeps_it(acme: Organization) -> None:
    """A newcomer who wants the name of somebody changed or unchanged stays out, nobody else."""
    acme.sync(record("p1", "one"), record("p2", "two"))
    planned = acme.sync(
        record("p1", "one", last_name="Changed"), record("n1", "ONE"), record("n2", "two")
    )
    assert left_out(planned) == {("n1", DUPLICATE), ("n2", TAKEN)}
    assert living(acme) == {"one": "p1", "two": "p2"}
    assert acme.user("one")["last_name"] == "Changed"


def test_a_conflict_cascades_until_nothing_moves(acme: Organization) -> None:
    """Who is refused a new name keeps his old one, which then is not free for the next."""
    acme.sync(record("p1", "a"), record("p2", "b"), record("p3", "c"), record("p4", "x"))
    planned = acme.sync(
        record("p1", "x", last_name="1"),
        record("p2", "a", last_name="2"),
        record("p3", "b", last_name="3"),
        record("n1", "c"),
    )
    assert left_out(planned) == {("p1", TAKEN), ("p2", TAKEN), ("p3", TAKEN), ("n1", TAKEN)}
    assert living(acme) == {"a": "p1", "b": "p2", "c": "p3", "x": "p4"}
    assert acme.user("a")["last_name"] == "p1"


def test_two_known_people_who_want_one_name_both_keep_their_own(acme: Organization) -> None:
    """A name that two leave theirs for is given to neither, and both stay as they were."""
    acme.sync(record("p1", "a"), record("p2", "b"))
    planned = acme.sync(record("p1", "same"), record("p2", "same"))
    assert left_out(planned) == {("p1", DUPLICATE), ("p2", DUPLICATE)}
    assert living(acme) == {"a": "p1", "b": "p2"}


@pytest.mark.parametrize("batch_size", [1, 2, 1_000])
def test_names_change_hands_in_one_transaction(acme: Organization, batch_size: int) -> None:
    """Swaps, cycles and chains come out right, whatever the batch size."""
    hands = {
        # A swap, a cycle, a chain into a free name, and one the other way round.
        "a": "b",
        "b": "a",
        "c": "d",
        "d": "e",
        "e": "c",
        "f": "g",
        "g": "h",
        "h": "new",
        "i": "other",
        "j": "i",
        "k": "j",
    }
    others = [f"o{number}" for number in range(3)]
    acme.sync(*(record(f"p{name}", name, dn=f"cn={name}") for name in hands), *map(record, others))

    planned = acme.sync(
        *(record(name, last_name="Changed") for name in others),
        *(record(f"p{old}", new, dn=f"cn={old}") for old, new in hands.items()),
        batch_size=batch_size,
    )

    assert planned.conflicts == []
    assert living(acme) == {
        **{new: f"p{old}" for old, new in hands.items()},
        **{name: name for name in others},
    }
    assert {acme.user(name)["last_name"] for name in others} == {"Changed"}


def test_a_leavers_name_is_free_for_a_newcomer_in_the_same_run(acme: Organization) -> None:
    """A reused username is a new person: the old one keeps the name as missing, with his roles."""
    acme.sync(record("old", "same"), record("p2"))
    planned = acme.sync(record("new", "same"), absent=["old"], batch_size=1)
    assert planned.conflicts == []
    users = [user for user in acme.people.users() if user["username"] == "same"]
    assert {(user["external_id"], user["enabled"]) for user in users} == {
        ("old", False),
        ("new", True),
    }
    assert acme.user("same")["external_id"] == "new"


def test_only_those_whose_names_move_share_a_transaction(acme: Organization) -> None:
    """A newcomer under a leaver's name does not draw everybody else into one long transaction."""
    acme.sync(record("old", "same"))
    planned = acme.plan(
        record("new", "same"), *(record(f"p{number}") for number in range(20)), absent=["old"]
    )
    assert acme.apply(planned, batch_size=5) == [(5, 22), (10, 22), (15, 22), (20, 22), (22, 22)]
    assert living(acme)["same"] == "new"


def test_somebody_back_finds_his_name_taken(acme: Organization) -> None:
    """A return whose name somebody else has by now stays out until the name is free."""
    acme.sync(record("old", "same"))
    acme.sync(record("new", "same"), absent=["old"])
    planned = acme.sync(record("old", "same", last_name="Back"))
    assert left_out(planned) == {("old", TAKEN)}
    assert living(acme) == {"same": "new"}
    acme.sync(record("old", "other"))
    assert living(acme) == {"same": "new", "other": "old"}


def test_a_person_left_out_for_his_name_is_not_absent(acme: Organization) -> None:
    """Somebody whose new name is refused is protected from counting as missing."""
    acme.sync(record("p1", "a"), record("p2", "b"))
    run_id = acme.begin()
    acme.stage(run_id, [record("p1", "b")])
    conflicts, _ = acme.store.plan(
        run_id, mappers=(), revoking=(), purge_before=None, shapes=Shapes()
    )
    assert [each.known for each in conflicts] == [True]
    marks = acme.rows(schema.stage_marks, mark="protected")
    assert [mark["user_id"] for mark in marks] == [acme.user("a")["id"]]


def test_people_of_the_portal_keep_their_names(acme: Organization) -> None:
    """Somebody who was not made by the directory is never renamed or doubled by it."""
    acme.sync(record("p1", "local"))
    acme.execute("UPDATE users SET provider = 'admin'")
    acme.execute("DELETE FROM identities")
    planned = acme.sync(record("n1", "LOCAL"), record("n2", "free"))
    assert left_out(planned) == {("n1", TAKEN)}
    assert sorted(living(acme)) == ["free", "local"]
