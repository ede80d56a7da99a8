"""What is old goes, and nothing that anybody still needs goes with it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from syncd.records import ListingOutcome, Quarantined, Verdict
from syncd.store import retention, schema, sessions, sign_ins, waiting
from syncd.store.schedules import Schedules
from tests.store.organization import Organization, container, member_keys, member_of, record
from tests.store.signed_in import open_for

if TYPE_CHECKING:
    from sqlalchemy import Table

    from syncd.records import UserRecord

COMPLETE = ListingOutcome("users", Verdict.COMPLETE, 0, 1, 1, 0)
DAY = 86_400
NOTHING = {
    "journal": 0,
    "change_sets": 0,
    "runs": 0,
    "plan_rows": 0,
    "stage": 0,
    "quarantine": 0,
    "commits": 0,
    "links": 0,
    "tokens": 0,
    "idempotency_keys": 0,
    "sessions": 0,
    "sign_ins": 0,
    "expired": 0,
}
PLAN_TABLES = (
    schema.plan_people,
    schema.plan_keys,
    schema.plan_refs,
    schema.plan_roles,
    schema.plan_grants,
)


def prune(acme: Organization, *, after_days: float = 0, **ages: float) -> dict[str, int]:
    """Prune as if so many days had gone by; ages not given keep everything."""
    keep: dict[str, float] = {
        "journal": 1e9,
        "runs": 1e9,
        "stage": 1e9,
        "quarantine": 1e9,
    }
    now = Schedules(acme.database).now() + timedelta(days=after_days)
    return retention.prune(acme.database, **(keep | ages), now=now)


def removed(**counts: int) -> dict[str, int]:
    """Return what pruning answers when it removed only this."""
    return NOTHING | counts


def plan_rows(acme: Organization, run_id: int) -> int:
    """Return how many rows the plan of a run has."""
    return sum(len(acme.rows(table, run_id=run_id)) for table in PLAN_TABLES)


def ids(acme: Organization, table: Table = schema.runs, column: str = "id") -> set[Any]:
    """Return the ids that a table has."""
    return {row[column] for row in acme.rows(table)}


def p1(**fields: Any) -> UserRecord:
    """Return a person who has keys and says of himself where he belongs."""
    keys = member_keys("uid", "p1")
    return record("p1", member_keys=keys, memberships=member_of("a"), **fields)


def rich(acme: Organization) -> int:
    """Sync something that fills every table of a plan; return the run."""
    return acme.sync(
        p1(),
        record("p2"),
        containers=[container("a", "p2"), container("b", "p1")],
    ).run_id


def test_what_is_young_stays(acme: Organization) -> None:
    """Nothing is removed before its time, to the second."""
    rich(acme)
    acme.sync(record("p1", first_name="Other"))
    week = 7 * DAY
    ages = {"journal": week, "runs": week, "stage": week, "quarantine": week}
    assert prune(acme, after_days=6.999, **ages) == NOTHING
    assert prune(acme, after_days=7.001, **ages) != NOTHING


def test_old_runs_go_with_plans_and_listings(acme: Organization) -> None:
    """All but the newest and the newest that was done, which say how the organization is."""
    first = rich(acme)
    rows = plan_rows(acme, first)
    assert rows > 8
    second = acme.begin()
    acme.store.finish(second, "done", {}, outcomes=[COMPLETE])
    third = acme.begin()
    acme.store.finish(third, "failed", {}, outcomes=[COMPLETE])
    fourth = acme.plan(record("p3")).run_id
    acme.store.finish(fourth, "failed", {}, outcomes=[COMPLETE])
    dry = acme.plan(record("p4"), dry=True).run_id
    acme.store.finish(dry, "planned", {}, outcomes=[COMPLETE])
    answer = prune(acme, after_days=1, runs=0)
    assert answer == removed(runs=2, plan_rows=rows)
    assert ids(acme) == {second, fourth, dry}
    assert ids(acme, schema.listings, "run_id") == {second, fourth, dry}
    assert plan_rows(acme, first) == 0
    assert plan_rows(acme, fourth) > 0
    assert prune(acme, after_days=1, runs=0) == NOTHING
    last = acme.people.status()["last_run"]
    assert last is not None
    assert last["status"] == "failed"


@pytest.mark.parametrize("status", ["running", "applying", "blocked"])
def test_what_is_under_way_or_waits_is_not_touched(acme: Organization, status: str) -> None:
    """Run, plan, listings, journal and stage stay, whatever the settings say."""
    rich(acme)
    planned = acme.plan(record("p1", first_name="Other"), record("p3"), absent=["p2"])
    if status == "applying":
        acme.store.begin_apply(planned.run_id, "sync", None, settles=True)
        next(acme.store.apply(planned.run_id, 1))
    if status == "blocked":
        acme.store.approval_seconds = 1e9
        acme.store.finish(planned.run_id, "blocked", {"mode": "full"}, outcomes=[COMPLETE])
    # So that it does not stay for being the newest.
    acme.execute(
        "INSERT INTO runs (id, organization_id, mode, status, started_at, finished_at) "
        "SELECT id + 1000, organization_id, mode, 'failed', started_at, started_at FROM runs "
        "WHERE id = :id",
        id=planned.run_id,
    )
    plan = plan_rows(acme, planned.run_id)
    staged = len(acme.rows(schema.stage_users, run_id=planned.run_id))
    written = [row for row in acme.rows(schema.journal) if row["change_set_id"] != 1]
    assert (plan > 0, staged) == (True, 2)
    assert (written != []) == (status == "applying")
    prune(acme, after_days=1, journal=0, runs=0, stage=0, quarantine=0)
    assert planned.run_id in ids(acme)
    assert plan_rows(acme, planned.run_id) == plan
    assert len(acme.rows(schema.stage_users, run_id=planned.run_id)) == staged
    assert acme.rows(schema.journal) == written
    if status == "blocked":
        acme.store.begin_apply(planned.run_id, "approval", None, settles=True)
    if status != "running":
        list(acme.store.apply(planned.run_id, 10))
        assert acme.user("p1")["first_name"] == "Other"
        assert not acme.user("p2")["enabled"]


@pytest.mark.rule("2.15.4", server="sqlite postgresql")
def test_the_journal_goes_by_its_own_age(acme: Organization) -> None:
    """Old change sets go with their rows, of everybody, also of the purged; younger ones stay."""
    rich(acme)
    acme.sync(absent=["p2"])
    far = Schedules(acme.database).now() + timedelta(days=1)
    acme.sync(purge_before=far)
    assert acme.people.user("p2") is None
    age(acme, days=10)
    acme.sync(p1(first_name="Other"))
    before = len(acme.rows(schema.journal))
    objects = len(acme.rows(schema.object_journal))
    assert objects > 0
    answer = prune(acme, journal=9 * DAY)
    commits = answer.pop("commits")
    assert commits >= 3
    expected = removed(journal=before - 1 + objects, change_sets=3)
    assert answer == {name: count for name, count in expected.items() if name != "commits"}
    assert acme.rows(schema.object_journal) == []
    (row,) = acme.rows(schema.journal)
    assert (row["user_id"], row["kind"]) == (acme.user("p1")["id"], "update")
    assert ids(acme, schema.change_sets) == {row["change_set_id"]}
    assert len(ids(acme)) == 4


def age(acme: Organization, *, days: float) -> None:
    """Make the change sets that there are older, with their transactions."""
    for table, key in ((schema.change_sets, "id"), (schema.commits, "position")):
        for row in acme.rows(table):
            then: datetime = row["at"] - timedelta(days=days)
            with acme.database.write() as connection:
                which = table.c[key] == row[key]
                connection.execute(table.update().where(which).values(at=then))


def test_large_books_go_in_small_transactions(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many rows are old, a transaction takes a few; those between them stay."""
    monkeypatch.setattr(waiting, "ROWS_PER_TRANSACTION", 3)
    names = [f"p{number:02}" for number in range(20)]
    acme.sync(*(record(name) for name in names))
    age(acme, days=10)
    acme.sync(*(record(name, first_name="Other") for name in names[::2]))
    first, second = sorted(ids(acme))
    answer = prune(acme, journal=9 * DAY)
    assert answer == removed(journal=20, change_sets=1, commits=1)
    assert len(acme.rows(schema.journal)) == 10
    acme.store.finish(acme.begin(), "done", {})
    rows = plan_rows(acme, first) + plan_rows(acme, second)
    assert prune(acme, after_days=1, runs=0) == removed(runs=2, plan_rows=rows)


def test_a_neighbours_books_are_pruned_alike(acme: Organization) -> None:
    """Every organization in the store is looked at, and each keeps its own newest run."""
    rich(acme)
    other = Organization(acme.url, "globex")
    with other.leased():
        other.sync(record("p1"))
        kept = other.sync(record("p1", first_name="Other")).run_id
    mine = max(ids(acme) - {kept, kept - 1})
    answer = prune(acme, after_days=1, runs=0, journal=0, stage=0)
    assert answer["runs"] == 1
    assert answer["change_sets"] == 3
    assert ids(acme) == {mine, kept}
    assert acme.rows(schema.journal) == []
    assert answer["stage"] > 0
    for table in schema.stage_metadata.sorted_tables:
        assert acme.rows(table) == other.rows(table) == []
    other.database.close()


def test_left_overs_of_the_stage_go_by_their_runs_age(acme: Organization) -> None:
    """What a run that is over had read goes when that is old enough, and so does a lost run's."""
    failed = acme.plan(record("p1"), containers=[container("a", "p1")])
    acme.store.finish(failed.run_id, "failed", {})
    assert prune(acme, after_days=0.9, stage=DAY) == NOTHING
    answer = prune(acme, after_days=1.1, stage=DAY)
    assert answer["stage"] >= 4
    assert acme.rows(schema.stage_users) == acme.rows(schema.stage_refs) == []
    lost = acme.plan(record("p2")).run_id
    acme.execute("DELETE FROM runs WHERE id = :id", id=lost)
    assert prune(acme, stage=DAY)["stage"] > 0
    assert acme.rows(schema.stage_users) == []
    acme.sync(record("p3"))
    assert acme.user("p3")["enabled"]


def test_old_quarantine_goes(acme: Organization) -> None:
    """An entry that no run has seen for so long is not waited for any more."""
    found = [
        Quarantined("users", "not_utf8", f"cn={name}", None, None, "") for name in ("old", "new")
    ]
    acme.store.finish(acme.begin(), "done", {}, outcomes=[COMPLETE], quarantined=found)
    for row in acme.rows(schema.quarantine, dn="cn=old"):
        with acme.database.write() as connection:
            table = schema.quarantine
            then = row["last_seen"] - timedelta(days=90)
            connection.execute(table.update().where(table.c.dn == "cn=old").values(last_seen=then))
    assert prune(acme, quarantine=90 * DAY) == removed(quarantine=1)
    assert ids(acme, schema.quarantine, "dn") == {"cn=new"}


def test_plans_that_waited_too_long_end(acme: Organization) -> None:
    """Pruning ends them although no run begins; their rows go, the run stays for its time."""
    acme.sync(record("p1"), record("p2"))
    planned = acme.plan(absent=["p1"])
    acme.store.finish(planned.run_id, "blocked", {"mode": "full"})
    assert prune(acme, after_days=6.9) == NOTHING
    assert prune(acme, after_days=7.1) == removed(expired=1, plan_rows=1)
    (row,) = acme.rows(schema.runs, id=planned.run_id)
    assert row["status"] == "expired"
    assert plan_rows(acme, planned.run_id) == 0


def test_an_empty_store_has_nothing_to_prune(acme: Organization) -> None:
    """Before the first run, with nothing kept at all, nothing is removed and nothing fails."""
    assert prune(acme, after_days=1, journal=0, runs=0, stage=0, quarantine=0) == NOTHING


def test_the_feeds_beginning_goes_whole(acme: Organization) -> None:
    """A change set whose last transaction is young stays with all that was written behind it."""
    acme.sync(record("p1"))
    age(acme, days=10)
    acme.sync(*(record(name) for name in ("p2", "p3")), batch_size=1)
    acme.sync(record("p4"))
    old, slow, young = sorted(ids(acme, schema.change_sets))
    # It began before the journal's time, and so did its first transaction.
    first = min(row["position"] for row in acme.rows(schema.commits, change_set_id=slow))
    for table, key, value in (
        (schema.change_sets, "id", slow),
        (schema.commits, "position", first),
    ):
        (row,) = acme.rows(table, **{key: value})
        with acme.database.write() as connection:
            then = row["at"] - timedelta(days=10)
            which = table.c[key] == value
            connection.execute(table.update().where(which).values(at=then))
    answer = prune(acme, journal=9 * DAY)
    assert (answer["commits"], answer["change_sets"], answer["journal"]) == (2, 1, 1)
    assert ids(acme, schema.change_sets) == {slow, young}
    assert {row["change_set_id"] for row in acme.rows(schema.journal)} == {slow, young}
    left = sorted(row["position"] for row in acme.rows(schema.commits))
    assert left == list(range(first + 1, first + 3))
    assert old not in {row["change_set_id"] for row in acme.rows(schema.commits)}


def test_links_and_tokens_that_are_over_go(acme: Organization) -> None:
    """Those that still let somebody in stay."""
    now = Schedules(acme.database).now()
    day = timedelta(days=1)
    links: dict[bytes, tuple[timedelta, timedelta | None]] = {
        b"over": (-5 * day, None),
        b"used": (5 * day, -5 * day),
        b"just used": (5 * day, -day),
        b"good": (5 * day, None),
    }
    for secret, (expires, used) in links.items():
        with acme.database.write() as connection:
            connection.execute(
                schema.links.insert().values(
                    hash=secret,
                    organization_id=acme.id,
                    user_id=1,
                    purpose="password",
                    email="a@example.test",
                    created_at=now,
                    expires_at=now + expires,
                    used_at=None if used is None else now + used,
                )
            )
    tokens: dict[int, tuple[timedelta, timedelta | None]] = {
        1: (-5 * day, None),
        2: (5 * day, -5 * day),
        3: (-day, None),
        4: (5 * day, None),
    }
    for number, (expires, revoked) in tokens.items():
        with acme.database.write() as connection:
            connection.execute(
                schema.api_tokens.insert().values(
                    id=number,
                    organization_id=acme.id,
                    name=str(number),
                    hash=b"",
                    scopes="{}",
                    created_at=now,
                    created_by="operator",
                    expires_at=now + expires,
                    revoked_at=None if revoked is None else now + revoked,
                )
            )
    answer = prune(acme, runs=2 * DAY, journal=2 * DAY)
    assert (answer["links"], answer["tokens"]) == (2, 2)
    assert ids(acme, schema.links, "hash") == {b"just used", b"good"}
    assert ids(acme, schema.api_tokens) == {3, 4}


def test_what_is_left_of_sign_ins_goes(acme: Organization) -> None:
    """Sessions a day after their end, the rest with its time; what holds or is new stays."""
    acme.sync(record("ada"))
    user_id = acme.user("ada")["id"]
    over, holds = (open_for(acme.database, acme.id, user_id) for _ in range(2))
    sessions.end(acme.database, acme.id, "signed_out", session_id=over.id)
    for number in range(2):
        by = {"state": b"state %d" % number, "browser": b"browser"}
        sign_ins.start(acme.database, acme.id, **by, destination=None)
    acme.execute("UPDATE sign_ins SET expires_at = started_at WHERE hash = :hash", hash=b"state 1")
    assert prune(acme, sessions=DAY) == removed(sign_ins=1)
    assert prune(acme, sessions=DAY, after_days=2) == removed(sessions=1, sign_ins=1)
    assert ids(acme, schema.sessions) == {holds.id}
