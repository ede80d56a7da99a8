"""Filling the stage and comparing with what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.records import Shapes
from syncd.store import planning, schema
from syncd.store.staging import StoredPerson, allocate, bulk_insert
from tests.store.organization import (
    MAPPER,
    Organization,
    container,
    digest,
    fingerprint,
    record,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ODD = {
    "tab": "a\tb",
    "line": "a\nb\r\nc",
    "backslash": r"a\b \. \N \\ \x41 \t",
    "end of copy": "\\.",
    "null word": r"\N",
    "quotes": 'O\'Brien "the" `one` %s %(x)s :name ? $1 {x}',
    "separators": "a,b;c|d\x01\x02\x1f\x7f",
    "emoji": "👩‍👩‍👧‍👦 Zoë ﷽ \U0010ffff",
    "bidi": "\u202eabc\u202c \ufeff",
    "empty": "",
    "blank": "  ",
    "long": "ä" * 100_000,
}


def test_odd_values_come_through_the_stage_and_the_plan_unchanged(acme: Organization) -> None:
    """What a directory may write in a name arrives byte for byte on both ways of bulk staging."""
    people = [
        record(f"id {value[:200]!r}", f"u{number}", last_name=value, attributes={"note": [value]})
        for number, value in enumerate(ODD.values())
    ]

    acme.sync(*people)

    for number, (name, value) in enumerate(ODD.items()):
        user = acme.user(f"u{number}")
        assert (user["last_name"], user["attributes"]["note"]) == (value, [value]), name
        assert user["external_id"] == people[number].external_id


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), max_size=20))
def test_any_text_survives_bulk_staging(acme: Organization, texts: list[str]) -> None:
    """Whatever UTF-8 text without NUL is staged is read back as it was."""
    rows = [
        (0, number, MAPPER, b"\x00\xff", "dn", b"", text, None) for number, text in enumerate(texts)
    ]
    refs = schema.stage_refs
    with acme.database.stage() as connection:
        schema.stage_metadata.create_all(connection)
        connection.execute(refs.delete())
        bulk_insert(acme.database, connection, refs, rows)
    with acme.database.read() as connection:
        found = connection.execute(
            refs.select().with_only_columns(refs.c.value).order_by(refs.c.number)
        )
        assert list(found.scalars()) == texts


def test_bytes_booleans_and_nulls_keep_their_meaning(acme: Organization) -> None:
    """Keys of any bytes, both truths and absent values are stored as what they are."""
    run_id = acme.begin()
    keys = [bytes(range(16)), b"\\x00" * 4, b"\xff" * 16]
    people = [
        record(f"p{number}", dn_key=key, email=None, first_name=None, email_verified=bool(number))
        for number, key in enumerate(keys)
    ]
    acme.stage(run_id, people)
    rows = sorted(acme.rows(schema.stage_users), key=lambda row: int(row["number"]))
    assert [bytes(row["dn_key"]) for row in rows] == keys
    assert [row["email_verified"] for row in rows] == [False, True, True]
    assert {(row["email"], row["email_key"], row["first_name"]) for row in rows} == {
        (None, None, None)
    }


def test_digests_of_living_people_are_known_again(acme: Organization) -> None:
    """A digest that was stored marks its person; another one nobody; the rest count as unseen."""
    people = [record(f"p{number}") for number in range(5)]
    acme.sync(*people)
    ids = [acme.user(person.username)["id"] for person in people]

    table = acme.store.digests()

    assert len(table) == 5
    assert [table.mark(digest(person)) for person in people[:3]] == [True] * 3
    assert not table.mark(digest("somebody else"))
    assert table.seen == 3
    assert sorted(table.unseen()) == ids[3:]
    assert table.seen_among({ids[0], ids[4]}) == {ids[0]}


def test_a_digest_is_forgotten_with_the_absence_and_after_a_conflict(acme: Organization) -> None:
    """Somebody missing has no digest, so that his return is looked at anew."""
    acme.sync(record("p1"), record("p2"))
    acme.sync(absent=["p1"])
    table = acme.store.digests()
    assert len(table) == 1
    assert not table.mark(digest(record("p1")))


def test_containers_without_a_digest_are_told(acme: Organization) -> None:
    """A container that was not read whole is listed among the keys and never marked as seen."""
    acme.sync(
        record("p1"), containers=[container("whole", "p1"), container("torn", "p1", whole=False)]
    )

    table, keys = acme.store.container_digests(MAPPER)

    assert len(keys) == 2
    assert len(table) == 1
    torn = table.undigested(len(keys))
    assert [keys[index] for index in torn] == [container("torn").container_key]
    assert table.mark(digest(container("whole", "p1")))
    assert table.unseen() == []


def test_stored_people_are_found_by_their_ids_alone(acme: Organization) -> None:
    """Ids, fingerprints and lives come back for those who are stored, nothing for the others."""
    acme.sync(record("p1"), record("p2"))
    acme.sync(absent=["p2"])
    one, two = acme.user("p1")["id"], acme.user("p2")["id"]

    assert acme.store.stored_people([]) == {}
    assert acme.store.stored_people(["p2", "P1", "p1", "nobody"]) == {
        "p1": StoredPerson(
            one, fingerprint(record("p1")), living=True, digest=digest(record("p1"))
        ),
        "p2": StoredPerson(two, fingerprint(record("p2")), living=False, digest=None),
    }


@pytest.mark.rule("K2", server="sqlite")
@pytest.mark.rule("K2", server="postgresql")
def test_another_organizations_people_are_nobody_here(store_url: str) -> None:
    """The same external ids, usernames and roles in two organizations do not meet."""
    acme, other = Organization(store_url), Organization(store_url, "other")
    for organization in (acme, other):
        with organization.leased():
            organization.sync(record("p1"), containers=[container("staff", "p1")])

    assert acme.user("p1")["id"] != other.user("p1")["id"]
    assert len(acme.store.digests()) == 1
    assert [role["members"] for role in acme.people.roles() if role["name"] == "staff"] == [1]
    with other.leased():
        other.sync(absent=["p1"])
    assert acme.user("p1")["enabled"]
    assert acme.roles_of("p1") == ["staff"]
    # Each run is in the books of its own organization alone.
    assert [len(each.people.runs()) for each in (acme, other)] == [1, 2]
    for organization in (acme, other):
        organization.database.close()


def test_ids_are_handed_out_once(acme: Organization) -> None:
    """Blocks of ids follow each other without a gap or an overlap."""
    with acme.database.write() as connection:
        first = allocate(connection, "change_sets", 3)
        second = allocate(connection, "change_sets", 1)
    assert second == first + 3
    ids = [acme.store.new_user_id() for _ in range(5_002)]
    assert ids == list(range(ids[0], ids[0] + 5_002))


def _stored_people(acme: Organization, ids: list[int]) -> None:
    acme.store.stored_people([str(number) for number in ids])


def _mark(acme: Organization, ids: list[int]) -> None:
    with acme.database.stage() as connection:
        planning.mark(connection, 1, ids, "protected")
        planning.mark(connection, 1, ids, "protected")
    assert len(acme.rows(schema.stage_marks)) == len(ids)


def _unstage(acme: Organization, ids: list[int]) -> None:
    assert acme.store.unstage(1, ids, "duplicate_id") == []


def _mark_stale(acme: Organization, ids: list[int]) -> None:
    acme.store.mark_stale(1, ids)


def _settle_absent(acme: Organization, ids: list[int]) -> None:
    acme.store.settle_absent(1, dict.fromkeys(ids, "gone: all of them"))


@pytest.mark.parametrize(
    "ask", [_stored_people, _mark, _unstage, _mark_stale, _settle_absent], ids=lambda f: f.__name__
)
def test_no_list_is_too_long_for_a_statement(
    acme: Organization, ask: Callable[[Organization, list[int]], None]
) -> None:
    """Lists longer than a statement's variables (32,766 or 65,535) are sent in parts."""
    ask(acme, list(range(66_000)))


def test_the_last_of_two_sights_of_one_entry_counts(acme: Organization) -> None:
    """A listing that moved under the reader shows a DN twice: the later entry is taken."""
    run_id = acme.begin()
    acme.stage(run_id, [record("p1", last_name="old"), record("p2")])
    acme.stage(run_id, [record("p1", last_name="new")])
    assert acme.store.drop_duplicates(run_id) == []
    acme.store.plan(run_id, mappers=(), revoking=(), purge_before=None, shapes=Shapes())
    rows = acme.rows(schema.plan_people, run_id=run_id)
    assert sorted((row["username"], row["last_name"]) for row in rows) == [
        ("p1", "new"),
        ("p2", "p2"),
    ]


def test_one_id_on_different_entries_is_nobodys(acme: Organization) -> None:
    """Two DNs under one id are both left out, and whoever had the id is protected."""
    acme.sync(record("p1"))
    known = acme.user("p1")["id"]
    run_id = acme.begin()
    acme.stage(run_id, [record("p1", "one", last_name="x"), record("p1", "two"), record("p2")])

    found = acme.store.drop_duplicates(run_id)

    assert [(each.reason, each.username) for each in found] == [
        ("duplicate_id", "one"),
        ("duplicate_id", "two"),
    ]
    assert acme.absent(run_id, [known]) == 0
    assert [row["username"] for row in acme.rows(schema.stage_users)] == ["p2"]
