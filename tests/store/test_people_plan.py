"""What a plan says of people: kinds by field, absence, purge and protection."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from syncd.records import AccountState, Quarantined, Shapes
from syncd.store import schema
from syncd.store.run_reads import run_changes
from tests.store.organization import OPEN, SHUT, Organization, dn_of, record

PAST = datetime(2001, 1, 1, tzinfo=UTC)
FUTURE = datetime(2101, 1, 1, tzinfo=UTC)
# What each case begins with; a # stands for the case's number.
BASE: dict[str, Any] = {
    "username": "p#",
    "dn": "cn=p#",
    "email": "a@x.test",
    "first_name": "Ann",
    "last_name": "Lee",
    "attributes": {"a": ["1"]},
}
NOBODY: dict[str, Any] = {"first_name": None, "last_name": None, "email": None}
Change = tuple[str, str | None, Any, Any]
CASES: list[tuple[dict[str, Any], dict[str, Any], list[Change]]] = [
    ({}, {}, []),
    (NOBODY, NOBODY, []),
    ({}, {"first_name": "Eve"}, [("update", "first_name", "Ann", "Eve")]),
    ({}, {"first_name": None}, [("update", "first_name", "Ann", None)]),
    ({"last_name": None}, {"last_name": "Lee"}, [("update", "last_name", None, "Lee")]),
    ({"last_name": ""}, {"last_name": None}, [("update", "last_name", "", None)]),
    ({}, {"attributes": {"a": ["2"]}}, [("update", "attributes.a", ["1"], ["2"])]),
    (
        {},
        {"attributes": {"b": ["x"]}},
        [("update", "attributes.a", ["1"], None), ("update", "attributes.b", None, ["x"])],
    ),
    ({}, {"username": "P#"}, [("update", "username", "p#", "P#")]),
    ({}, {"username": "q#"}, [("rename", "username", "p#", "q#")]),
    ({}, {"email": "A@X.test"}, [("update", "email", "a@x.test", "A@X.test")]),
    ({}, {"email": "x@y.test"}, [("email_change", "email", "a@x.test", "x@y.test")]),
    ({}, {"email": None}, [("email_change", "email", "a@x.test", None)]),
    ({"email": None}, {"email": "x@y.test"}, [("email_change", "email", None, "x@y.test")]),
    ({}, {"email_verified": True}, [("update", "email_verified", False, True)]),
    ({"email_verified": True}, {"email_verified": False}, []),
    ({}, {"dn": "cn=elsewhere#"}, [("move", "dn", "cn=p#", "cn=elsewhere#")]),
    ({}, {"account": SHUT}, [("disable", None, None, None)]),
    ({"account": SHUT}, {"account": OPEN}, [("enable", None, None, None)]),
    ({"account": SHUT}, {"account": AccountState()}, []),
    ({"account": SHUT}, {"account": SHUT}, []),
    ({}, {"account": OPEN}, []),
    ({}, {"source_modified_at": "2026-01-01T00:00:00Z"}, []),
]


def numbered(value: Any, number: int) -> Any:
    """Return a value with the case's number in it."""
    if isinstance(value, dict):
        return {key: numbered(each, number) for key, each in value.items()}
    return value.replace("#", str(number)) if isinstance(value, str) else value


@pytest.mark.rule("2.15.2", server="sqlite")
@pytest.mark.rule("2.15.2", server="postgresql")
def test_each_field_has_its_kind(acme: Organization) -> None:
    """A plan names exactly what differs, absent values told from empty ones."""
    before = [numbered(BASE | was, number) for number, (was, _, _) in enumerate(CASES)]
    after = [numbered(BASE | was | now, number) for number, (was, now, _) in enumerate(CASES)]
    acme.sync(*(record(str(number), **fields) for number, fields in enumerate(before)))
    people = [record(str(number), **fields) for number, fields in enumerate(after)]
    planned = acme.plan(*people)

    found: dict[str, list[Change]] = {}
    for each in run_changes(acme.database, planned.run_id):
        change = (each["kind"], each["field"], each["old"], each["new"])
        found.setdefault(each["external_id"], []).append(change)
    for number, (_, _, changes) in enumerate(CASES):
        wanted = [tuple(numbered(value, number) for value in change) for change in changes]
        told = found.get(str(number), [])
        assert sorted(told, key=repr) == sorted(wanted, key=repr), CASES[number]

    acme.apply(planned)
    for fields in after:
        user = acme.user(fields["username"])
        names = ("username", "email", "first_name", "last_name", "dn", "attributes")
        assert {name: user[name] for name in names} == {name: fields[name] for name in names}
    assert acme.changes(acme.plan(*people)) == []


Address = tuple[str | None, bool]
ADDRESSES: list[tuple[Address, Address, bool]] = [
    (("a@x.test", True), ("a@x.test", False), True),
    (("a@x.test", True), ("A@x.test", False), True),
    (("a@x.test", True), ("b@x.test", False), False),
    (("a@x.test", False), ("a@x.test", True), True),
    (("a@x.test", False), ("b@x.test", True), True),
    (("a@x.test", True), (None, False), False),
    ((None, False), ("a@x.test", False), False),
]


def test_an_address_stays_verified_as_long_as_it_stays(acme: Organization) -> None:
    """A verified address is not unverified by a mapper; a new one is what the mapper says."""
    for addresses in zip(*((before, after) for before, after, _ in ADDRESSES), strict=True):
        acme.sync(
            *(
                record(f"p{number}", email=email, email_verified=verified)
                for number, (email, verified) in enumerate(addresses)
            )
        )
    found = [acme.user(f"p{number}") for number in range(len(ADDRESSES))]
    assert [(user["email"], user["email_verified"]) for user in found] == [
        (after[0], verified) for _, after, verified in ADDRESSES
    ]


def test_a_first_sight_is_a_create_and_says_who_is_disabled(acme: Organization) -> None:
    """A newcomer whom the directory calls disabled is created and cannot sign in."""
    planned = acme.sync(record("p1"), record("p2", account=SHUT), record("p3", account=OPEN))
    assert acme.kinds(planned) == {"p1": {"create"}, "p2": {"create", "disable"}, "p3": {"create"}}
    assert [acme.user(name)["enabled"] for name in ("p1", "p2", "p3")] == [True, False, True]
    (because,) = acme.user("p2")["disabled_because"]
    assert (because["source"], because["reason"]) == ("account-state", "disabled")


def test_the_absent_get_a_restriction_and_the_returned_lose_exactly_it(acme: Organization) -> None:
    """Missing is one reason among others: a return lifts it and leaves an admin's in place."""
    acme.sync(record("p1"), record("p2"))
    planned = acme.sync(absent=["p1", "p2"])
    assert acme.kinds(planned) == {"p1": {"missing"}, "p2": {"missing"}}
    (because,) = acme.user("p1")["disabled_because"]
    assert (because["source"], because["reason"]) == ("directory", "missing")
    acme.execute(
        "INSERT INTO restrictions (user_id, source, reason, organization_id, since)"
        " VALUES (:id, 'admin', 'left on bad terms', 'acme', '2026-01-01 00:00:00')",
        id=acme.user("p2")["id"],
    )

    planned = acme.sync(record("p1"), record("p2"))

    assert acme.kinds(planned) == {"p1": {"return"}, "p2": {"return"}}
    assert (acme.user("p1")["enabled"], acme.user("p2")["enabled"]) == (True, False)
    assert [each["source"] for each in acme.user("p2")["disabled_because"]] == ["admin"]


def test_somebody_missing_is_not_missed_twice(acme: Organization) -> None:
    """Who is missing already is not planned again, and not counted among the absent."""
    acme.sync(record("p1"), record("p2"))
    gone = acme.user("p1")["id"]
    acme.sync(absent=["p1"])
    run_id = acme.begin()
    assert acme.absent(run_id, acme.store.digests().unseen()) == 1
    acme.store.forget_absent(run_id)
    assert acme.changes(acme.plan(absent=["p1"])) == []
    assert acme.user("p1")["id"] == gone


def test_whoever_was_seen_staged_or_protected_is_not_absent(acme: Organization) -> None:
    """Seen unchanged, staged as changed, or hidden behind a bad entry: none of them is missing."""
    names = ("seen", "staged", "by id", "by dn", "by name", "gone")
    acme.sync(*(record(name) for name in names))
    ids = {name: acme.user(name)["id"] for name in names}
    run_id = acme.begin()
    acme.stage(run_id, [record("staged", last_name="New")])
    acme.store.stage_people(run_id, [], [(ids["seen"], 1)])
    bad = [
        Quarantined("users", "x", "?", "by id", None, ""),
        Quarantined("users", "x", "?", None, None, "", dn_key=record("by dn").dn_key),
        Quarantined("users", "x", "?", None, None, "", username_key="by name"),
        Quarantined("users", "x", "?", "nobody", None, "", username_key="nobody", dn_key=b"none"),
    ]
    assert acme.store.protect(run_id, bad) == 3

    assert acme.store.stage_absent_people(run_id, list(ids.values())) == 1
    assert acme.store.absent_people(run_id) == [(ids["gone"], "gone", dn_of("gone"))]


def test_people_without_a_digest_are_looked_for_too(acme: Organization) -> None:
    """Somebody whose digest was taken back is absent like anybody else when he is not seen."""
    acme.sync(record("p1"), record("p2"))
    acme.execute("UPDATE identities SET digest = NULL WHERE external_id = 'p1'")
    run_id = acme.begin()
    table = acme.store.digests()
    table.mark(int(acme.rows(schema.identities, external_id="p2")[0]["digest"]))
    assert acme.store.stage_absent_people(run_id, table.unseen()) == 1
    assert [name for _, name, _ in acme.store.absent_people(run_id)] == ["p1"]


def test_a_lookup_that_finds_somebody_takes_him_out_of_the_absent(acme: Organization) -> None:
    """A cause of none protects; the others keep their own causes for people to read."""
    acme.sync(record("p1"), record("p2"), record("p3"))
    ids = [acme.user(f"p{number}")["id"] for number in (1, 2, 3)]
    run_id = acme.begin()
    acme.store.stage_absent_people(run_id, ids)
    acme.store.settle_absent(run_id, {ids[0]: None, ids[1]: "gone: it is", ids[2]: "out: of base"})
    acme.store.plan(run_id, mappers=(), revoking=(), purge_before=None, shapes=Shapes())
    rows = acme.rows(schema.plan_people, run_id=run_id)
    assert {row["username"]: row["cause"] for row in rows} == {
        "p2": "gone: it is",
        "p3": "out: of base",
    }


def test_absences_of_a_listing_in_doubt_are_forgotten(acme: Organization) -> None:
    """Forgotten absences plan nothing."""
    acme.sync(record("p1"))
    run_id = acme.begin()
    acme.absent(run_id, [acme.user("p1")["id"]])
    acme.store.forget_absent(run_id)
    acme.store.plan(run_id, mappers=(), revoking=(), purge_before=None, shapes=Shapes())
    assert acme.store.counts(run_id).rows == 0


def test_purge_removes_those_long_missing_for_good(acme: Organization) -> None:
    """After the grace period the person goes with all that hung on him; that he went is kept."""
    acme.sync(record("p1"), record("p2"), record("p3"))
    acme.sync(absent=["p1", "p2"])
    ids = {name: acme.user(name)["id"] for name in ("p1", "p2", "p3")}
    assert acme.changes(acme.plan(purge_before=PAST)) == []

    planned = acme.sync(record("p2"), purge_before=FUTURE)

    assert acme.kinds(planned) == {"p1": {"delete"}, "p2": {"return"}}
    for table in (schema.identities, schema.identity_keys, schema.restrictions, schema.grants):
        assert acme.rows(table, user_id=ids["p1"]) == []
    assert acme.people.user("p1") is None
    (row,) = acme.rows(schema.journal, user_id=ids["p1"])
    assert (row["kind"], row["before"], row["after"]) == ("delete", None, None)
    plans = acme.rows(schema.plan_people, user_id=ids["p1"])
    assert [row["run_id"] for row in plans] == [planned.run_id]
    again = acme.sync(record("p1"))
    assert acme.kinds(again) == {"p1": {"create"}}
    assert acme.user("p1")["id"] not in ids.values()


def test_times_are_utc_whatever_is_handed_in(acme: Organization) -> None:
    """A restriction's time comes back aware and in UTC; a time without a zone is refused."""
    acme.sync(record("p1"))
    acme.sync(absent=["p1"])
    (row,) = acme.rows(schema.restrictions)
    assert row["since"].utcoffset() == timedelta(0)
    assert abs(row["since"] - datetime.now(UTC)) < timedelta(minutes=10)
    assert acme.user("p1")["disabled_because"][0]["since"].endswith("Z")
    with pytest.raises(ValueError, match="without time zone"):
        schema.UtcTime().process_bind_param(datetime(2026, 1, 1), acme.database.engine.dialect)  # noqa: DTZ001
