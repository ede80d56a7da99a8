"""Writing a plan: batches, resuming, people who changed meanwhile, and the journal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from syncd.store import schema
from tests.store.organization import (
    MAPPER,
    OPEN,
    SHUT,
    Organization,
    container,
    dn_of,
    fingerprint,
    member_of,
    record,
)

PEOPLE = [record(f"p{number}") for number in range(7)]
PROBLEM = 'role "x"\\ O\'Brien, ä\n'


def _restarted(acme: Organization) -> Organization:
    """Return the organization as the next process finds it."""
    acme.store.lease.release()
    acme.database.close()
    again = Organization(acme.url)
    again.store.lease.acquire()
    return again


def _state(acme: Organization) -> list[tuple[Any, ...]]:
    return sorted(
        (user["username"], user["last_name"], user["enabled"], str(user["roles"]))
        for user in acme.people.users()
    )


@pytest.mark.parametrize("batches", [0, 1, 3])
def test_a_killed_apply_is_brought_to_its_end_by_the_next_process(
    acme: Organization, batches: int
) -> None:
    """Wherever an apply stopped, applying the rest gives what an apply without a stop gives."""
    acme.sync(*PEOPLE[:3], containers=[container("a", "p0", "p1")])
    planned = acme.plan(
        record("p0", last_name="Changed"),
        *PEOPLE[3:],
        absent=["p1"],
        containers=[container("a", "p2", "p6"), container("b", "p0")],
    )
    acme.store.begin_apply(planned.run_id, "sync", None, settles=True)
    progress = acme.store.apply(planned.run_id, 2)
    done = [next(progress) for _ in range(batches)]
    assert done == [(2 * number, 7) for number in range(1, batches + 1)]

    again = _restarted(acme)
    try:
        assert again.store.unfinished() == planned.run_id
        assert list(again.store.apply(planned.run_id, 2))[-1] == (7, 7)
        assert list(again.store.apply(planned.run_id, 2)) == []
        again.store.finish(planned.run_id, "done", {})
        assert again.store.unfinished() is None
        assert [row[:3] for row in _state(again)] == [
            ("p0", "Changed", True),
            ("p1", "p1", False),
            *((f"p{number}", f"p{number}", True) for number in range(2, 7)),
        ]
        assert [again.roles_of(name) for name in ("p0", "p2", "p6")] == [["b"], ["a"], ["a"]]
        assert len(again.rows(schema.journal, kind="create")) == 7
    finally:
        again.store.lease.release()
        again.database.close()


def test_a_batch_that_fails_leaves_nothing_of_itself(acme: Organization) -> None:
    """An error in a batch rolls back all of it, the mark of progress with it."""
    planned = acme.plan(*PEOPLE)
    acme.store.begin_apply(planned.run_id, "sync", None, settles=True)
    next(acme.store.apply(planned.run_id, 3))
    # Nothing can be written about the fifth: his journal row is there already.
    (row,) = acme.rows(schema.plan_people, username="p4")
    (run,) = acme.rows(schema.runs, id=planned.run_id)
    acme.execute(
        "INSERT INTO journal (organization_id, user_id, change_set_id, kind)"
        " VALUES ('acme', :user, :change_set, 'create')",
        user=row["user_id"],
        change_set=run["change_set_id"],
    )
    with pytest.raises(Exception, match="journal"):
        list(acme.store.apply(planned.run_id, 3))
    assert [row[0] for row in _state(acme)] == ["p0", "p1", "p2"]
    assert acme.rows(schema.runs, id=planned.run_id)[0]["applied_number"] == 3
    acme.execute("DELETE FROM journal WHERE user_id = :user", user=row["user_id"])
    assert list(acme.store.apply(planned.run_id, 3)) == [(6, 7), (7, 7)]


OTHERS = {
    "changed": "UPDATE users SET version = version + 1, last_name = 'Edited' WHERE username = 'p0'",
    "removed": "DELETE FROM users WHERE username = 'p0'",
}


@pytest.mark.parametrize("deed", OTHERS)
def test_somebody_changed_since_the_plan_is_left_out(acme: Organization, deed: str) -> None:
    """A person whose version moved keeps what the other writer wrote, roles too; others go on."""
    acme.sync(*PEOPLE[:2])
    planned = acme.plan(
        record("p0", last_name="Planned"),
        record("p1", last_name="Planned"),
        containers=[container("a", "p0", "p1")],
    )
    acme.execute(OTHERS[deed])

    acme.apply(planned)

    counts = acme.store.counts(planned.run_id)
    assert (counts.conflicts, counts.updated, counts.granted) == (1, 1, 1)
    assert (acme.user("p1")["last_name"], acme.roles_of("p1")) == ("Planned", ["a"])
    if deed == "changed":
        assert (acme.user("p0")["last_name"], acme.roles_of("p0")) == ("Edited", [])
    (left_out,) = [row for row in acme.rows(schema.plan_people) if row["state"] == "conflict"]
    assert left_out["username"] == "p0"


def test_the_next_run_looks_anew_at_whoever_was_left_out(acme: Organization) -> None:
    """A conflict takes digest and fingerprint back, so that the entry counts as changed."""
    acme.sync(*PEOPLE[:2])
    planned = acme.plan(record("p0", last_name="Planned"))
    acme.execute(OTHERS["changed"])
    acme.apply(planned)
    stored = acme.store.stored_people(["p0", "p1"])
    assert stored["p0"].fingerprint == b""
    assert stored["p1"].fingerprint == fingerprint(PEOPLE[1])
    assert len(acme.store.digests()) == 1
    acme.sync(record("p0", last_name="Planned"))
    assert acme.user("p0")["last_name"] == "Planned"


def test_a_role_change_of_somebody_changed_meanwhile_is_left_out(acme: Organization) -> None:
    """A row that brings only roles holds for the version it was planned on, like any other."""
    acme.sync(*PEOPLE[:2])
    planned = acme.plan(containers=[container("a", "p0", "p1")])
    acme.execute(OTHERS["changed"])
    acme.apply(planned)
    assert (acme.roles_of("p0"), acme.roles_of("p1")) == ([], ["a"])


TAKE = (
    "INSERT INTO users (id, organization_id, version, provider, username, username_key,"
    " email_verified, attributes, living, enabled)"
    " VALUES (-1, 'acme', 1, 'admin', 'Wanted', 'wanted', false, '{}', true, true)"
)


@pytest.mark.parametrize("batch_size", [1, 1_000])
@pytest.mark.parametrize("who", ["new", "renamed", "returning"])
def test_a_name_taken_since_the_plan_is_not_taken_twice(
    acme: Organization, who: str, batch_size: int
) -> None:
    """Somebody else got the username meanwhile: the planned one stays as he was, others go on."""
    acme.sync(record("p0", "old"), record("gone", "wanted"), *PEOPLE[1:3])
    acme.sync(absent=["gone"])
    wanted = {
        "new": record("n", "wanted"),
        "renamed": record("p0", "wanted"),
        "returning": record("gone", "wanted"),
    }[who]
    planned = acme.plan(record("p1", last_name="Changed"), wanted, PEOPLE[4])
    acme.execute(TAKE)

    acme.apply(planned, batch_size=batch_size)

    assert acme.store.counts(planned.run_id).conflicts == 1
    assert acme.user("wanted")["provider"] == "admin"
    enabled = {user["username"] for user in acme.people.users() if user["enabled"]}
    assert enabled == {"old", "Wanted", "p1", "p2", "p4"}
    assert acme.user("p1")["last_name"] == "Changed"


def test_whoever_gave_his_name_up_gets_it_back_when_he_stays_out(acme: Organization) -> None:
    """In a cycle that somebody broke, everyone keeps the name he had."""
    acme.sync(record("p0", "a"), record("p1", "b"), record("p2", "c"))
    planned = acme.plan(record("p0", "b"), record("p1", "c"), record("p2", "wanted"))
    acme.execute(TAKE)
    acme.apply(planned)
    assert acme.store.counts(planned.run_id).conflicts == 3
    assert {user["username"]: user["external_id"] for user in acme.people.users()} == {
        "a": "p0",
        "b": "p1",
        "c": "p2",
        "Wanted": None,
    }


def test_an_id_that_arrived_since_the_plan_is_not_created_twice(acme: Organization) -> None:
    """Somebody planned as new who came in by another door meanwhile is left out, not an error."""
    planned = acme.plan(*PEOPLE[:3])
    acme.execute(TAKE)
    acme.execute(
        "INSERT INTO identities (organization_id, source, external_id, user_id, fingerprint)"
        " VALUES ('acme', 'ldap', 'p1', -1, :none)",
        none=b"",
    )
    acme.apply(planned)
    assert acme.store.counts(planned.run_id).conflicts == 1
    assert sorted(user["username"] for user in acme.people.users()) == ["Wanted", "p0", "p2"]


def test_keys_alone_may_change_beside_new_people(acme: Organization) -> None:
    """A batch of newcomers with somebody of whom only unseen keys changed goes through."""
    acme.sync(PEOPLE[0])
    planned = acme.plan(record("p0", member_keys=(("uid", b"k" * 16),)), *PEOPLE[1:3])
    assert acme.kinds(planned) == {"p1": {"create"}, "p2": {"create"}}
    acme.apply(planned)
    keys = acme.rows(schema.identity_keys, user_id=acme.user("p0")["id"])
    assert sorted(row["kind"] for row in keys) == ["dn", "uid:uid"]
    assert acme.store.stored_people(["p0"])["p0"].fingerprint != fingerprint(PEOPLE[0])


def test_the_journal_of_a_create_is_the_row_itself(acme: Organization) -> None:
    """A create has neither before nor after; there is one a person, under one change set."""
    acme.sync(*PEOPLE[:3], batch_size=2)
    rows = acme.rows(schema.journal, kind="create")
    assert {(row["before"], row["after"]) for row in rows} == {(None, None)}
    (change_set,) = acme.rows(schema.change_sets)
    assert {row["change_set_id"] for row in rows} == {change_set["id"]}
    assert (change_set["actor"], change_set["organization_id"]) == ("sync", "acme")


def test_the_journal_of_an_update_has_what_differs_and_no_more(acme: Organization) -> None:
    """Before and after name the changed fields only, absent values as null."""
    acme.sync(record("p0", first_name=None, attributes={"a": ["1"]}))
    acme.sync(record("p0", first_name='Ann "Ä" O\'B', attributes={"a": ["1"]}, dn="cn=moved"))
    assert acme.journal("p0", "update") == [
        (
            {"dn": dn_of("p0"), "first_name": None},
            {"dn": "cn=moved", "first_name": 'Ann "Ä" O\'B'},
        )
    ]


def test_the_journal_says_who_was_shut_out_and_let_in(acme: Organization) -> None:
    """Missing, return, disable and enable each leave a row, with the cause where there is one."""
    acme.sync(record("p0"))
    acme.sync(absent=["p0"])
    acme.sync(record("p0", account=SHUT))
    acme.sync(record("p0", account=OPEN))
    assert acme.journal("p0", "restrictions") == [
        ({"missing": False}, {"missing": True, "because": "gone: looked up"}),
        (
            {"missing": True, "disabled": False},
            {"missing": False, "disabled": True, "because": "the directory says disabled"},
        ),
        ({"disabled": True}, {"disabled": False, "because": "the directory says enabled"}),
    ]


def test_the_journal_of_roles_is_json_whatever_the_mapper_is_called(acme: Organization) -> None:
    """One row a person lists role ids and mappers, with quotes and breaks in a mapper's name."""
    mappers = (MAPPER, PROBLEM)
    first = [container("a", "p0"), container("b", "p0", mapper=PROBLEM)]
    acme.sync(PEOPLE[0], containers=first, mappers=mappers, revoking=mappers)
    acme.sync(
        containers=[container("a", "p0"), container("b", mapper=PROBLEM), container("c", "p0")],
        mappers=mappers,
        revoking=mappers,
    )
    ids = {row["name"]: row["id"] for row in acme.rows(schema.roles, kind="imported")}
    (_, granted), (_, changed) = acme.journal("p0", "grants")
    assert sorted(granted["granted"]) == sorted([[ids["a"], MAPPER], [ids["b"], PROBLEM]])
    assert granted["revoked"] == []
    assert changed == {"granted": [[ids["c"], MAPPER]], "revoked": [[ids["b"], PROBLEM]]}


def test_source_times_are_kept_and_moved_with_other_changes_only(acme: Organization) -> None:
    """Created and modified of the directory's entry are stored beside the person."""
    acme.sync(record("p0", source_created_at="2020-01-01T00:00:00Z"))
    acme.sync(record("p0", last_name="X", source_modified_at="2026-01-01T00:00:00Z"))
    user = acme.user("p0")
    assert (user["source_created_at"], user["source_modified_at"]) == (None, "2026-01-01T00:00:00Z")


def test_an_empty_plan_writes_nothing(acme: Organization) -> None:
    """Nothing staged: no rows, no change set, no batches."""
    planned = acme.plan()
    assert acme.store.counts(planned.run_id).rows == 0
    assert list(acme.store.apply(planned.run_id, 10)) == []
    assert acme.rows(schema.change_sets) == []


def test_a_dry_run_changes_nobody_and_supersedes_nothing(acme: Organization) -> None:
    """A planned run leaves people, roles and books as they are."""
    acme.sync(PEOPLE[0])
    before = _state(acme)
    planned = acme.plan(PEOPLE[1], containers=[container("a", "p0")], dry=True)
    acme.store.finish(planned.run_id, "planned", {"status": "planned"})
    assert _state(acme) == before
    assert acme.rows(schema.roles, kind="imported") == []
    assert json.loads(acme.rows(schema.runs, id=planned.run_id)[0]["report"]) == {
        "status": "planned"
    }


def test_people_of_the_stage_bring_their_own_references(acme: Organization) -> None:
    """What a person says of his containers is stored once and replaced as a whole."""
    acme.sync(record("p0", memberships=member_of("a", "b", "unknown")))
    acme.sync(record("p0", memberships=member_of("b", "c")))
    refs = acme.rows(schema.membership_refs)
    assert {(row["kind"], row["value"]) for row in refs} == {("of", "cn=b"), ("of", "cn=c")}
