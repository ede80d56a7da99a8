"""The sync's own books: quarantine, watermark, listings, runs, and what people read of them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from syncd.records import ListingOutcome, Quarantined, Shapes, Verdict, Watermark
from syncd.store import books, runs, schema
from syncd.store.run_reads import find_run, run_changes
from syncd.store.sides import ROLES
from tests.store.organization import (
    MAPPER,
    SHUT,
    Organization,
    container,
    digest,
    member_keys,
    record,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

USERS = ListingOutcome("users", Verdict.COMPLETE, 0, 3, 250, 0)


def bad(name: str, *, source: str = "users", external_id: str | None = None) -> Quarantined:
    """Return an entry that could not be taken."""
    return Quarantined(
        source, "not_utf8", f"cn={name}", external_id, "mail", "é", username_key=name.lower()
    )


def listed(
    acme: Organization, *found: Quarantined, outcomes: Sequence[ListingOutcome] = (USERS,)
) -> int:
    """Finish a run that found these entries bad."""
    run_id = acme.begin()
    acme.store.finish(run_id, "done", {}, outcomes=outcomes, quarantined=found)
    return run_id


def attempts(acme: Organization) -> dict[str, int]:
    """Return how often each quarantined entry was tried, by DN."""
    return {row["dn"]: row["attempts"] for row in acme.people.quarantine()}


def test_quarantine_counts_attempts_from_the_first_sight(acme: Organization) -> None:
    """An entry found bad again keeps its first time, by id when it has one even if it moved."""
    listed(acme, bad("a"), bad("b", external_id="7"))
    # Long enough ago to tell the two sights apart.
    acme.execute("UPDATE quarantine SET first_seen = :then", then=_long_ago(acme))
    listed(acme, bad("a"), bad("moved", external_id="7"), bad("c"))
    assert attempts(acme) == {"cn=a": 2, "cn=moved": 2, "cn=c": 1}
    rows = {row["dn"]: row for row in acme.rows(schema.quarantine)}
    assert rows["cn=a"]["first_seen"] < rows["cn=a"]["last_seen"]
    assert rows["cn=c"]["first_seen"] == rows["cn=c"]["last_seen"]
    (shape,) = [row for row in acme.people.quarantine() if row["dn"] == "cn=moved"]
    assert (shape["reason"], shape["attribute"], shape["detail"]) == ("not_utf8", "mail", "é")
    assert shape["first_seen"].endswith("Z")


def _long_ago(acme: Organization) -> Any:
    (row,) = acme.rows(schema.organizations)
    then = row["created_at"] - timedelta(days=1)
    return then.replace(tzinfo=None) if acme.database.dialect == "sqlite" else then


def test_a_complete_listing_releases_those_it_did_not_find_bad(acme: Organization) -> None:
    """Only of its own source, and only when it was complete."""
    listed(acme, bad("a"), bad("b"), bad("r", source=MAPPER))
    truncated = ListingOutcome("users", Verdict.TRUNCATED, 4, 1, 10, 0, "sizeLimitExceeded")
    listed(acme, bad("b"), outcomes=[truncated])
    assert attempts(acme) == {"cn=a": 1, "cn=b": 2, "cn=r": 1}
    listed(acme, bad("b"))
    assert attempts(acme) == {"cn=b": 3, "cn=r": 1}
    listed(acme, outcomes=[ListingOutcome(MAPPER, Verdict.COMPLETE, 0, 1, 1, 0)])
    assert attempts(acme) == {"cn=b": 3}


def test_a_run_for_one_person_releases_nobody_else(acme: Organization) -> None:
    """The others of the quarantine were not read, so nothing is known of them."""
    listed(acme, bad("a"), bad("p1", external_id="p1"))
    run_id = acme.begin("user")
    acme.stage(run_id, [record("p1")])
    acme.store.plan(run_id, mappers=(), revoking=(), purge_before=None, shapes=Shapes())
    acme.store.begin_apply(run_id, "sync", None, settles=True)
    list(acme.store.apply(run_id, 10))
    acme.store.finish(run_id, "done", {}, outcomes=[USERS], quarantined=[])
    assert attempts(acme) == {"cn=a": 1}


@pytest.mark.parametrize(
    ("looked_at", "left"),
    [
        ((), {"cn=a": 1, "cn=b": 1, "cn=r": 1}),
        ({("users", "cn=a")}, {"cn=b": 1, "cn=r": 1}),
        ({("users", "cn=a"), ("users", "7"), ("users", "never")}, {"cn=r": 1}),
        ({("users", "cn=r")}, {"cn=a": 1, "cn=b": 1, "cn=r": 1}),
    ],
    ids=["nobody", "one", "two", "of another source"],
)
def test_a_run_of_the_changed_releases_whom_it_looked_at(
    acme: Organization, looked_at: set[tuple[str, str]], left: dict[str, int]
) -> None:
    """A complete listing of changed entries says nothing of those that did not change."""
    listed(acme, bad("a"), bad("b", external_id="7"), bad("r", source=MAPPER))
    outcomes = [USERS, ListingOutcome(MAPPER, Verdict.COMPLETE, 0, 1, 1, 0)]
    run_id = acme.begin("changed")
    acme.store.finish(
        run_id, "done", {}, outcomes=outcomes, quarantined=[], looked_at=frozenset(looked_at)
    )
    assert attempts(acme) == left


def test_a_run_of_the_changed_counts_what_it_found_bad_again(acme: Organization) -> None:
    """Looked at and still bad is one more try; whom it wrote is out, looked for or not."""
    listed(acme, bad("a"), bad("b"), bad("p1", external_id="p1"))
    run_id = acme.begin("changed")
    acme.stage(run_id, [record("p1")])
    acme.store.plan(run_id, mappers=(), revoking=(), purge_before=None, shapes=Shapes())
    acme.store.begin_apply(run_id, "sync", None, settles=True)
    list(acme.store.apply(run_id, 10))
    acme.store.finish(
        run_id,
        "done",
        {},
        outcomes=[USERS],
        quarantined=[bad("a"), bad("new")],
        looked_at={("users", "cn=a"), ("users", "cn=new")},
    )
    assert attempts(acme) == {"cn=a": 2, "cn=b": 1, "cn=new": 1}


def test_the_next_try_is_put_off_more_each_time(acme: Organization) -> None:
    """Five minutes after the first sight, doubled with each further one, never past a day."""
    waits = []
    for _ in range(11):
        listed(acme, bad("a"))
        (row,) = acme.rows(schema.quarantine)
        waits.append((row["next_retry"] - row["last_seen"]).total_seconds() / 60)
    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]
    (row,), (shown,) = acme.rows(schema.quarantine), acme.people.quarantine()
    assert shown["next_retry"] == row["next_retry"].strftime("%Y-%m-%dT%H:%M:%SZ")
    assert books.retry_after(10**9) == timedelta(days=1)


def test_what_is_due_is_tried_again_longest_due_first(acme: Organization) -> None:
    """By how the quarantine knows it; rows of an older version, which have no time, come first."""
    listed(acme, *(bad(name, external_id=name[1:]) for name in ("x1", "x2", "x3", "x4")))
    listed(acme, bad("r", source=MAPPER), outcomes=[])
    assert acme.store.due_quarantine() == []
    (first, *_) = acme.rows(schema.quarantine)
    table, seen = schema.quarantine, first["last_seen"]
    for name, due in (
        ("cn=x1", seen - timedelta(minutes=1)),
        ("cn=x2", None),
        ("cn=x3", seen - timedelta(minutes=2)),
        ("cn=x4", seen + timedelta(hours=1)),
        ("cn=r", seen - timedelta(minutes=3)),
    ):
        with acme.database.write() as connection:
            connection.execute(table.update().where(table.c.dn == name).values(next_retry=due))
    due_now = [
        ("users", "2", "cn=x2", "2"),
        (MAPPER, "cn=r", "cn=r", None),
        ("users", "3", "cn=x3", "3"),
        ("users", "1", "cn=x1", "1"),
    ]
    assert acme.store.due_quarantine() == due_now
    assert acme.store.due_quarantine(2) == due_now[:2]


def test_a_quarantined_person_is_found_by_name_dn_and_id(acme: Organization) -> None:
    """Whoever asks why somebody is not there gets his quarantine row."""
    listed(acme, bad("a", external_id="7"))
    find = acme.people.quarantined
    assert find("A", None, None).dn == "cn=a"
    assert find("?", "cn=a", None).dn == "cn=a"
    assert find("?", None, "7").dn == "cn=a"
    assert find("?", "cn=b", "8") is None


def test_the_watermark_is_replaced_and_read_back(acme: Organization) -> None:
    """What the directory said before the search stands until a run says something newer."""
    assert acme.store.watermark() is None
    first = Watermark("modify_timestamp", "20260101000000Z", "ground ä")
    second = Watermark("modify_timestamp", "20260202000000Z", "other")
    run_id = 0
    for mark in (first, None, second):
        run_id = acme.begin()
        acme.store.finish(run_id, "done", {}, watermark=mark)
        assert acme.store.watermark() == (mark or first)
    (row,) = acme.rows(schema.watermarks)
    assert row["run_id"] == run_id


def test_listings_are_kept_with_their_run(acme: Organization) -> None:
    """How each listing ended is read back as it was, and written once a run."""
    broken = ListingOutcome(MAPPER, Verdict.TRUNCATED, None, 2, 20, 1, "the connection broke")
    run_id = listed(acme, outcomes=[USERS, broken])
    acme.store.finish(run_id, "done", {}, keep_listings=True)
    rows = {row["source"]: row for row in acme.rows(schema.listings, run_id=run_id)}
    assert (rows["users"]["verdict"], rows["users"]["entries"]) == ("complete", 250)
    assert (rows[MAPPER]["result_code"], rows[MAPPER]["because"]) == (None, "the connection broke")


def test_digests_of_entries_that_only_look_new_are_kept(acme: Organization) -> None:
    """Read anew and found unchanged: the next run knows the new digest."""
    acme.sync(record("p1"))
    run_id = acme.begin()
    acme.store.stage_people(run_id, [], [(acme.user("p1")["id"], 1234)])
    acme.store.finish(run_id, "done", {}, digests=True)
    table = acme.store.digests()
    assert table.mark(1234)
    assert not table.mark(digest(record("p1")))


def test_a_newer_result_supersedes_plans_that_wait(acme: Organization) -> None:
    """Full runs, done or blocked, end older blocked ones; failed, dry and single runs do not."""
    waiting = acme.plan(record("p1")).run_id
    acme.store.finish(waiting, "blocked", {"reasons": ["too many"]})
    for status in ("failed", "planned"):
        assert acme.store.finish(acme.begin(), status, {"mode": "full"}) == []
    assert acme.store.finish(acme.begin("user"), "done", {"mode": "user"}) == []
    newer = acme.begin()
    assert acme.store.finish(newer, "blocked", {"mode": "full"}) == [waiting]
    last = acme.begin()
    assert acme.store.finish(last, "done", {"mode": "full"}) == [newer]
    statuses = {row["id"]: row["status"] for row in acme.rows(schema.runs)}
    assert [statuses[each] for each in (waiting, newer, last)] == [
        "superseded",
        "superseded",
        "done",
    ]


def test_a_waiting_plan_keeps_its_stage(acme: Organization) -> None:
    """What a blocked plan rests on is there after another run has begun, and gone with it."""
    planned = acme.plan(record("p1"), containers=[container("a", "p1")])
    acme.store.finish(planned.run_id, "blocked", {})
    other = acme.plan(record("p2"), dry=True).run_id
    assert len(acme.store.staged_containers(planned.run_id)) == 1
    acme.store.finish(other, "failed", {})
    acme.begin()
    assert acme.rows(schema.stage_users, run_id=other) == []
    acme.apply(planned)
    assert acme.roles_of("p1") == ["a"]
    acme.begin()
    assert acme.rows(schema.stage_containers, run_id=planned.run_id) == []


def test_a_killed_collect_is_called_interrupted_by_the_next_run(acme: Organization) -> None:
    """A run that neither ended nor began to apply is over when another one begins."""
    killed = acme.begin()
    acme.begin()
    (row,) = acme.rows(schema.runs, id=killed)
    assert row["status"] == "interrupted"
    assert row["finished_at"] is not None


def test_giving_up_leaves_a_half_applied_plan_to_be_resumed(acme: Organization) -> None:
    """A failure while collecting ends the run, one while applying leaves it for the next."""
    collecting = acme.begin()
    acme.store.give_up(collecting, "failed", {"reasons": ["x"]})
    planned = acme.plan(record("p1"))
    acme.store.begin_apply(planned.run_id, "sync", None, settles=True)
    acme.store.give_up(planned.run_id, "failed", {})
    statuses = {row["id"]: row["status"] for row in acme.rows(schema.runs)}
    assert (statuses[collecting], statuses[planned.run_id]) == ("failed", "applying")
    assert acme.store.unfinished() == planned.run_id


def test_a_plan_is_counted_by_kind(acme: Organization) -> None:
    """Each kind once a person, updates once a person however many fields, rows in all."""
    names = ("moved", "renamed", "both", "gone", "locked", "keys")
    acme.sync(*(record(name) for name in names))
    planned = acme.plan(
        record("moved", dn="cn=x"),
        record("renamed", "new name"),
        record("both", first_name="X", dn="cn=y", email="z@z.test"),
        record("locked", account=SHUT),
        record("keys", member_keys=member_keys("uid", "9")),
        record("n1"),
        record("n2", account=SHUT),
        absent=["gone"],
        containers=[container("a", "n1", "moved"), container("b")],
    )
    counts = acme.store.counts(planned.run_id)
    assert {kind: count for kind, count in counts.kinds.items() if count} == {
        "create": 2,
        "move": 3,
        "rename": 1,
        "email_change": 2,
        "update": 1,
        "disable": 2,
        "missing": 1,
    }
    assert counts.updated == 3
    assert (counts.granted, counts.granted_to_known, counts.revoked) == (1, 0, 0)
    assert (counts.roles["create"], counts.conflicts) == (2, 0)
    assert counts.rows == 8


@pytest.mark.rule("2.15.2", server="sqlite")
@pytest.mark.rule("2.15.2", server="postgresql")
def test_changes_come_most_dangerous_first(acme: Organization) -> None:
    """Privileged grants, deletions, absences, … and at last newcomers and ordinary grants."""
    acme.sync(record("a"), record("gone"), record("r"), containers=[container("x", "a", "r")])
    planned = acme.plan(
        record("a", last_name="New"),
        record("n", account=SHUT),
        absent=["gone"],
        containers=[container("x", "a"), container("boss", "a", role="Owner"), container("y", "a")],
    )
    changes = run_changes(acme.database, planned.run_id)
    assert [(each["kind"], each["username"], each["new"]) for each in changes] == [
        ("grant", "a", "Owner"),
        ("missing", "gone", None),
        ("disable", "n", None),
        ("revoke", "r", None),
        ("update", "a", "New"),
        ("create", "n", record("n").dn),
        ("grant", "a", "y"),
    ]
    assert changes[1]["cause"] == "gone: looked up"
    assert changes[3]["cause"] == f"mapper {MAPPER}"
    assert "disabled" in changes[2]["cause"]
    for limit in range(len(changes) + 1):
        assert run_changes(acme.database, planned.run_id, limit) == changes[:limit]


def test_a_change_that_did_not_hold_says_so(acme: Organization) -> None:
    """What was left out when the plan was applied is still listed, with the reason."""
    acme.sync(record("p1"))
    planned = acme.plan(record("p1", last_name="X"))
    acme.execute("UPDATE users SET version = version + 1")
    acme.apply(planned)
    (change,) = run_changes(acme.database, planned.run_id)
    assert change["cause"] == "left out: the person changed since the plan was made"


def test_rows_marked_stale_are_not_applied(acme: Organization) -> None:
    """An approval leaves out what the directory has otherwise by now, and looks at it again."""
    acme.sync(record("p1"), record("p2"))
    planned = acme.plan(
        record("p1", last_name="X"), record("p2", last_name="X"), record("n"), absent=[]
    )
    rows = acme.store.plan_rows(planned.run_id, 0, 2)
    more = acme.store.plan_rows(planned.run_id, rows[-1].number, 10)
    assert [row.username for row in (*rows, *more)] == ["p1", "p2", "n"]
    acme.store.mark_stale(planned.run_id, [row.number for row in rows if row.username == "p1"])
    acme.apply(planned)
    assert (acme.user("p1")["last_name"], acme.user("p2")["last_name"]) == ("p1", "X")
    assert acme.store.counts(planned.run_id).conflicts == 1
    assert acme.store.stored_people(["p1"])["p1"].fingerprint == b""


@pytest.mark.parametrize(
    ("name", "number"),
    [("r-000017", 17), ("17", 17), ("r-1234567", 1234567), ("r-", None), ("x", None), ("", None)],
)
def test_runs_have_names(name: str, number: int | None) -> None:
    """A run is called r- and its number; anything else is no run."""
    assert runs.run_number(name) == number


def test_a_run_is_found_by_its_name(acme: Organization) -> None:
    """A run's row by name; no row for another name or one too large for a number."""
    run_id = acme.begin()
    assert find_run(acme.database, runs.run_name(run_id)).id == run_id
    for name in ("r-999999", "nonsense", "r-" + "9" * 30):
        assert find_run(acme.database, name) is None


def test_runs_are_told_as_reports(acme: Organization) -> None:
    """Newest first, each its own report with id, times and status as they are now."""
    planned = acme.plan(record("p1"))
    acme.store.finish(planned.run_id, "blocked", {"status": "blocked", "reasons": ["äöü"]})
    acme.store.finish(acme.begin(), "done", {"status": "done", "mode": "full"})
    first, second = acme.people.runs()
    assert (first["status"], second["status"], second["reasons"]) == ("done", "superseded", ["äöü"])
    assert second["run"] == runs.run_name(planned.run_id)
    assert first["started_at"].endswith("Z")
    assert len(acme.people.runs(limit=1)) == 1


@pytest.mark.rule("2.16.1", server="sqlite")
@pytest.mark.rule("2.16.1", server="postgresql")
def test_the_status_says_what_waits_and_who_holds(acme: Organization) -> None:
    """Counts, the last real run, blocked plans with their reasons, the lease, the quarantine."""
    acme.sync(record("p1"), record("p2", account=SHUT))
    listed(acme, bad("a"), bad("b"))
    planned = acme.plan(record("p3"))
    acme.store.finish(planned.run_id, "blocked", {"reasons": ["too many"]})
    acme.store.finish(acme.begin(dry=True), "planned", {})
    status = acme.people.status()
    assert status["users"] == {"enabled": 1, "disabled": 1}
    assert status["last_run"]["run"] == runs.run_name(planned.run_id)
    assert [(each["run"], each["reasons"]) for each in status["blocked_plans"]] == [
        (runs.run_name(planned.run_id), ["too many"])
    ]
    assert status["quarantine"] == {"not_utf8": 2}
    assert "process" in status["lease"]["holder"]
    assert acme.people.planned_change("P3") == runs.run_name(planned.run_id)
    assert acme.people.planned_change("p1") is None


def test_an_organization_is_written_once_and_paused_and_resumed(acme: Organization) -> None:
    """Its key never changes; a pause keeps its reason; nothing else is touched."""
    before = acme.people.organization()
    acme.people.create_organization("Other name", "idp")
    assert acme.people.organization() == before
    assert before is not None
    assert len(acme.store.digest_key()) == 32
    acme.people.pause("an audit")
    paused = acme.people.organization()
    assert paused is not None
    assert (paused["paused_because"], paused["paused_at"].utcoffset()) == ("an audit", timedelta(0))
    acme.people.resume()
    assert acme.people.organization() == before


def test_population_counts_the_living_and_what_mappers_gave(acme: Organization) -> None:
    """The guard's denominators: people of the directory who are not missing, grants of mappers."""
    assert acme.store.population((MAPPER,)) == (0, 0)
    acme.sync(record("p1"), record("p2"), record("p3"), containers=[container("a", "p1", "p2")])
    acme.sync(absent=["p3"])
    assert acme.store.population((MAPPER,)) == (2, 2)
    assert acme.store.population(()) == (2, 0)


def test_people_are_listed_by_username_with_roles_and_reasons(acme: Organization) -> None:
    """Everybody in order of the folded name, the default role beside the others."""
    acme.sync(
        record("1", "b"), record("2", "Ä"), record("3", "A"), containers=[container("x", "b")]
    )
    users = list(acme.people.users())
    assert [user["username"] for user in users] == ["A", "b", "Ä"]
    assert users[1]["roles"] == [
        {"name": "User", "sources": ["default"]},
        {"name": "x", "sources": [MAPPER]},
    ]
    assert acme.people.user("ä") == users[2]
    assert acme.people.user("nobody") is None
    assert acme.people.user_by_external_id("2") == users[2]
    assert acme.people.user_by_external_id("9") is None


def test_a_living_person_goes_before_a_missing_one_of_his_name(acme: Organization) -> None:
    """By a reused username the living person is meant."""
    acme.sync(record("old", "same"))
    acme.sync(record("new", "same"), absent=["old"])
    assert acme.user("same")["external_id"] == "new"
    acme.sync(absent=["new"])
    assert acme.user("same")["external_id"] == "new"


def test_why_somebody_holds_a_role_is_told_with_the_entry(acme: Organization) -> None:
    """The mapper, the role entry's DN, what it says of the person, and the run that granted."""
    planned = acme.sync(
        record("p1", member_keys=member_keys("uid", "7")),
        containers=[container("a", "p1", role="staff"), container("b", uids=["7"], role="staff")],
    )
    (staff,) = [
        role for role in acme.people.role_sources(acme.user("p1")["id"]) if role["name"] == "staff"
    ]
    assert [(each["container_dn"], each["member_value"]) for each in staff["sources"]] == [
        (container("a").dn, record("p1").dn),
        (container("b").dn, "7"),
    ]
    assert {each["run"] for each in staff["sources"]} == {runs.run_name(planned.run_id)}
    assert acme.people.written_by(acme.user("p1")["id"]) == planned.run_id
    (target,) = acme.people.targets(ROLES, "STAFF")
    assert [each.dn for each in acme.people.containers_of(ROLES, [target.id])] == [
        container("a").dn,
        container("b").dn,
    ]


def test_roles_are_listed_with_their_living_members(acme: Organization) -> None:
    """The preconfigured six are there from the first day; missing people do not count."""
    acme.sync(record("p1"), record("p2"), containers=[container("x", "p1", "p2")])
    acme.sync(absent=["p2"])
    roles = acme.people.roles()
    assert [role["name"] for role in roles] == sorted(
        [*(name for _, name, _ in schema.PRECONFIGURED_ROLES), "x"]
    )
    (imported,) = [role for role in roles if role["kind"] == "imported"]
    assert (imported["members"], imported["mapper"]) == (1, MAPPER)


def test_reports_keep_their_text(acme: Organization) -> None:
    """A run's report is stored as JSON that any reader understands."""
    run_id = acme.begin()
    acme.store.finish(run_id, "done", {"reasons": ['"ä"\n']})
    (row,) = acme.rows(schema.runs, id=run_id)
    assert json.loads(row["report"])["reasons"] == json.loads(row["reasons"]) == ['"ä"\n']
