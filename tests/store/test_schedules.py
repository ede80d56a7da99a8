"""What is due is taken by exactly one, and what syncs came to is kept with it."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from syncd.records import ListingOutcome, Verdict
from syncd.store import schema
from syncd.store.database import Database
from syncd.store.schedules import Due, Schedules
from tests.store.organization import Organization, record

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPLETE = ListingOutcome("users", Verdict.COMPLETE, 0, 1, 1, 0)
TRUNCATED = ListingOutcome("import roles", Verdict.TRUNCATED, 4, 1, 1, 0, "sizeLimitExceeded")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
CLAIM = """
import sys
from datetime import timedelta
from syncd.store.database import Database
from syncd.store.schedules import Schedules
database = Database(sys.argv[1])
schedules = Schedules(database)
(due,) = schedules.read()
until = schedules.now() + timedelta(minutes=5)
print("ready", flush=True)
sys.stdin.readline()
print(schedules.claim(due, by=sys.argv[2], until=until))
database.close()
"""


@pytest.fixture
def schedules(store_url: str) -> Iterator[Schedules]:
    """The schedules of a store that has none yet."""
    database = Database(store_url)
    yield Schedules(database)
    database.close()


def only(schedules: Schedules) -> Due:
    """Return the one schedule that there is."""
    (due,) = schedules.read()
    return due


def scheduled(schedules: Schedules, ago: timedelta = MINUTE) -> Due:
    """Schedule a full sync that has been due for so long."""
    schedules.ensure("acme", "full", schedules.now() - ago)
    return only(schedules)


def test_a_schedule_is_made_once(schedules: Schedules) -> None:
    """The first to schedule says when; whoever comes later changes nothing."""
    now = schedules.now()
    schedules.ensure("acme", "full", now)
    schedules.ensure("acme", "full", now + HOUR)
    schedules.ensure("acme", "changed", now + MINUTE)
    schedules.ensure("aaa", "full", now)
    assert schedules.read() == [
        Due("aaa", "full", now, 0, None, None, None, None),
        Due("acme", "changed", now + MINUTE, 0, None, None, None, None),
        Due("acme", "full", now, 0, None, None, None, None),
    ]


def test_a_claim_is_taken_once(schedules: Schedules) -> None:
    """The second caller with the same sight of it gets False, and it is not due meanwhile."""
    due = scheduled(schedules)
    until = schedules.now() + HOUR
    assert schedules.claim(due, by="one", until=until)
    assert not schedules.claim(due, by="two", until=until)
    held = only(schedules)
    assert (held.next_due, held.claimed_by, held.claimed_until) == (until, "one", until)
    assert not schedules.claim(held, by="two", until=until + HOUR)
    assert only(schedules) == held


def test_nothing_is_claimed_before_it_is_due(schedules: Schedules) -> None:
    """The database's clock decides, and what nobody scheduled is never due."""
    early = scheduled(schedules, -HOUR)
    assert not schedules.claim(early, by="one", until=schedules.now() + HOUR)
    assert schedules.unschedule("acme", "full")
    unscheduled = only(schedules)
    assert unscheduled.next_due is None
    assert not schedules.claim(unscheduled, by="one", until=schedules.now() + HOUR)


def test_a_claim_of_the_dead_is_due_again(schedules: Schedules) -> None:
    """Once its time is over another may take it, and the first finds it gone."""
    due = scheduled(schedules)
    over = schedules.now() - timedelta(seconds=1)
    assert schedules.claim(due, by="dead", until=over)
    assert schedules.claim(only(schedules), by="heir", until=schedules.now() + HOUR)
    later = schedules.now() + 2 * HOUR
    assert not schedules.extend("acme", "full", by="dead", until=later)
    assert not schedules.settle("acme", "full", by="dead", next_due=later, failures=3)
    held = only(schedules)
    assert (held.claimed_by, held.failures) == ("heir", 0)


def test_a_claim_is_kept_and_given_back(schedules: Schedules) -> None:
    """Its owner moves its end on, then says when it is due next and how it went."""
    due = scheduled(schedules)
    now = schedules.now()
    assert schedules.claim(due, by="one", until=now + MINUTE)
    assert schedules.extend("acme", "full", by="one", until=now + HOUR)
    held = only(schedules)
    assert (held.next_due, held.claimed_until) == (now + HOUR, now + HOUR)
    assert not schedules.extend("acme", "changed", by="one", until=now + HOUR)
    assert schedules.settle("acme", "full", by="one", next_due=now + 2 * HOUR, failures=2)
    assert only(schedules) == Due("acme", "full", now + 2 * HOUR, 2, None, None, None, None)
    assert not schedules.settle("acme", "full", by="one", next_due=now, failures=0)


@pytest.mark.parametrize(
    ("claimed", "later", "brought"),
    [(None, True, True), (None, False, False), (HOUR, True, False), (-MINUTE, True, True)],
    ids=["later", "sooner", "claimed", "claim over"],
)
def test_only_what_is_later_and_free_is_brought_forward(
    schedules: Schedules, *, claimed: timedelta | None, later: bool, brought: bool
) -> None:
    """A sync under way is left alone, and nothing is put off."""
    now = schedules.now()
    due = scheduled(schedules, MINUTE)
    if claimed is not None:
        assert schedules.claim(due, by="one", until=now + claimed)
    to = now - HOUR if later else now + HOUR
    before = only(schedules)
    assert schedules.bring_forward("acme", "full", to) == brought
    after = only(schedules)
    assert after.next_due == (to if brought else before.next_due)


def test_a_schedule_under_way_is_not_taken_away(schedules: Schedules) -> None:
    """Whoever runs it settles it; after that it can be unscheduled, and scheduled anew."""
    due = scheduled(schedules)
    assert schedules.claim(due, by="one", until=schedules.now() + HOUR)
    assert not schedules.unschedule("acme", "full")
    assert schedules.settle("acme", "full", by="one", next_due=schedules.now(), failures=1)
    assert schedules.unschedule("acme", "full")
    schedules.ensure("acme", "full", schedules.now())
    assert only(schedules).next_due is not None
    assert not schedules.unschedule("globex", "full")


def test_of_many_threads_one_claims(schedules: Schedules) -> None:
    """However many see it due at the same moment, it is run once, round after round."""
    count, rounds = 12, 5
    for turn in range(rounds):
        due = scheduled(schedules) if turn == 0 else only(schedules)
        won: list[str] = []
        until = schedules.now() + HOUR
        barrier = threading.Barrier(count)

        def claim(name: str, due: Due = due, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(60)
            if schedules.claim(due, by=name, until=until):  # noqa: B023 - joined in this round
                won.append(name)  # noqa: B023 - the same

        threads = [threading.Thread(target=claim, args=(f"r{turn}-{n}",)) for n in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert len(won) == 1
        assert only(schedules).claimed_by == won[0]
        past = schedules.now() - MINUTE
        assert schedules.settle("acme", "full", by=won[0], next_due=past, failures=0)


@pytest.mark.rule("2.14.2", server="sqlite postgresql")
def test_of_several_replicas_one_claims(store_url: str, schedules: Schedules) -> None:
    """Processes that all look and then all reach for it: one has it."""
    scheduled(schedules)
    replicas = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, store_url, f"replica {number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for replica in replicas:
        assert replica.stdout is not None
        assert replica.stdout.readline() == "ready\n"
    for replica in replicas:
        assert replica.stdin is not None
        replica.stdin.write("go\n")
        replica.stdin.flush()
    answers = [replica.communicate(timeout=120) for replica in replicas]
    assert [err for _, err in answers] == [""] * 4
    assert sorted(out.strip() for out, _ in answers) == ["False", "False", "False", "True"]
    assert only(schedules).claimed_by == f"replica {[o.strip() for o, _ in answers].index('True')}"


def test_several_may_make_a_schedule_at_once(schedules: Schedules) -> None:
    """Nobody fails because somebody else was quicker."""
    failed: list[BaseException] = []
    barrier = threading.Barrier(8)

    def ensure() -> None:
        try:
            barrier.wait(60)
            schedules.ensure("acme", "full", schedules.now())
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=ensure) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failed == []
    assert only(schedules).next_due is not None


# --- what syncs came to ---------------------------------------------------------------------


def times(acme: Organization) -> dict[str, tuple[bool, bool]]:
    """Return whether syncs of each mode have been tried, and have succeeded."""
    return {
        due.mode: (due.last_attempt_at is not None, due.last_success_at is not None)
        for due in Schedules(acme.database).read()
    }


def test_a_manual_sync_is_not_scheduled_by_it(acme: Organization) -> None:
    """It tells when it was, and whoever schedules the mode later says when it is due."""
    acme.begin()
    (due,) = Schedules(acme.database).read()
    assert (due.mode, due.next_due, due.failures) == ("full", None, 0)
    assert due.last_attempt_at is not None
    soon = due.last_attempt_at + HOUR
    Schedules(acme.database).ensure("acme", "full", soon)
    (after,) = Schedules(acme.database).read()
    assert (after.next_due, after.last_attempt_at) == (soon, due.last_attempt_at)


@pytest.mark.parametrize(
    ("mode", "dry", "expected"),
    [
        ("full", False, {"full": (True, False)}),
        ("changed", False, {"changed": (True, False)}),
        ("user", False, {}),
        ("full", True, {}),
        ("changed", True, {}),
    ],
)
def test_a_run_that_begins_is_an_attempt(
    acme: Organization, *, mode: str, dry: bool, expected: dict[str, tuple[bool, bool]]
) -> None:
    """Plans and syncs of one person are none."""
    acme.begin(mode, dry=dry)
    assert times(acme) == expected


@pytest.mark.parametrize(
    ("status", "outcomes", "report", "expected"),
    [
        ("done", [COMPLETE], {}, {"full": (True, True)}),
        ("done", [COMPLETE, TRUNCATED], {}, {"full": (True, False)}),
        ("done", [], {}, {"full": (True, False)}),
        ("blocked", [COMPLETE], {}, {"full": (True, False)}),
        ("failed", [COMPLETE], {}, {"full": (True, False)}),
        (
            "done",
            [COMPLETE],
            {"promoted_because": "the ground moved"},
            {"full": (True, True), "changed": (True, True)},
        ),
        (
            "blocked",
            [COMPLETE],
            {"promoted_because": "the ground moved"},
            {"full": (True, False), "changed": (True, False)},
        ),
    ],
    ids=["done", "truncated", "no listing", "blocked", "failed", "promoted", "promoted, blocked"],
)
def test_success_is_done_with_complete_listings(
    acme: Organization,
    status: str,
    outcomes: list[ListingOutcome],
    report: dict[str, Any],
    expected: dict[str, tuple[bool, bool]],
) -> None:
    """Only that moves the last success; a run that had to be promoted counts as both modes."""
    run_id = acme.begin()
    acme.store.finish(run_id, status, {"mode": "full", **report}, outcomes=outcomes)
    assert times(acme) == expected


def test_the_last_success_moves_with_each(acme: Organization) -> None:
    """It is the newest that counts, and a failure in between leaves it where it was."""
    moments: list[datetime] = []
    for status in ("done", "failed", "done"):
        run_id = acme.plan(record("p1")).run_id
        acme.store.finish(run_id, status, {"mode": "full"}, outcomes=[COMPLETE])
        (due,) = Schedules(acme.database).read()
        assert due.last_success_at is not None
        moments.append(due.last_success_at)
    assert moments[0] == moments[1] < moments[2]
    (row,) = acme.rows(schema.schedules)
    assert row["claimed_by"] is None
