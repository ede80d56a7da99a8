"""Plans that wait: the same plan keeps its run, another takes its place, none waits for ever."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from syncd.errors import PlanNotApprovable
from syncd.records import Watermark
from syncd.store import schema, waiting
from syncd.store.run_reads import find_run, run_changes
from syncd.store.runs import run_name
from syncd.store.schedules import Schedules
from tests.store.organization import Organization, Planned, container, record

if TYPE_CHECKING:
    from collections.abc import Callable

GROUND = Watermark("modify_timestamp", "20260101000000Z", "ground")
LATER = Watermark("modify_timestamp", "20260202000000Z", "ground")
ELSEWHERE = Watermark("modify_timestamp", "20260202000000Z", "another ground")
PLAN_TABLES = (
    schema.plan_people,
    schema.plan_keys,
    schema.plan_refs,
    schema.plan_roles,
    schema.plan_grants,
)


def block(acme: Organization, planned: Planned, mark: Watermark | None = None) -> list[int]:
    """End a run as blocked; return which runs that superseded."""
    report = {
        "run": run_name(planned.run_id),
        "mode": "full",
        "status": "blocked",
        "reasons": ["too many"],
    }
    return acme.store.finish(planned.run_id, "blocked", report, watermark=mark)


def statuses(acme: Organization) -> dict[int, str]:
    """Return the status of each run."""
    return {row["id"]: row["status"] for row in acme.rows(schema.runs)}


def held(acme: Organization, run_id: int) -> dict[str, int]:
    """Return how many rows of the plan and the stage a run has, by table."""
    acme.database.ensure_stage()
    tables = (*PLAN_TABLES, *schema.stage_metadata.sorted_tables)
    found = {table.name: len(acme.rows(table, run_id=run_id)) for table in tables}
    return {name: count for name, count in found.items() if count}


def everything(acme: Organization, order: int = 1, **more: Any) -> Planned:
    """Plan something of each kind: a change, a newcomer, a leaver, new roles with members."""
    people = [record("p1", first_name="Other"), record("new"), record("newer")]
    containers = [container("a", "p1", "new"), container("b", "p3")]
    return acme.plan(*people[::order], absent=["p2"], containers=containers[::order], **more)


def start(acme: Organization) -> None:
    """Have three people stored."""
    acme.sync(record("p1"), record("p2"), record("p3"))


def test_the_same_plan_keeps_its_run(acme: Organization) -> None:
    """Found again in another order, with new ids and another cause, it is the older one's."""
    start(acme)
    first = everything(acme)
    assert block(acme, first, GROUND) == []
    rows, staged = held(acme, first.run_id), acme.store.staged_containers(first.run_id)
    shown = list(run_changes(acme.database, first.run_id))
    again = everything(acme, order=-1)
    acme.execute("UPDATE plan_people SET cause = 'other' WHERE run_id = :run", run=again.run_id)
    assert block(acme, again, LATER) == []
    assert acme.store.kept_plan == first.run_id
    found = statuses(acme)
    assert (found[first.run_id], found[again.run_id]) == ("blocked", "superseded")
    row = find_run(acme.database, run_name(again.run_id))
    report = json.loads(row.report)
    assert report["status"] == "superseded"
    assert f"its plan is that of {run_name(first.run_id)}" in report["reasons"][0]
    assert json.loads(row.reasons) == report["reasons"]
    assert held(acme, again.run_id) == {}
    assert held(acme, first.run_id) == rows
    assert acme.store.staged_containers(first.run_id) == staged
    assert list(run_changes(acme.database, first.run_id)) == shown
    acme.begin()
    assert acme.store.staged_containers(first.run_id) == staged


def test_an_older_plan_that_kept_its_run_can_be_applied(acme: Organization) -> None:
    """What is applied is what was looked at, roles and members included."""
    start(acme)
    first = everything(acme)
    block(acme, first)
    block(acme, everything(acme))
    acme.apply(first)
    assert acme.user("p1")["first_name"] == "Other"
    assert acme.roles_of("new") == ["a"]
    assert acme.roles_of("p3") == ["b"]
    assert not acme.user("p2")["enabled"]
    assert statuses(acme)[first.run_id] == "done"


@pytest.mark.parametrize(
    "other",
    [
        lambda acme: acme.plan(record("p1", first_name="Third"), absent=["p2"]),
        lambda acme: acme.plan(record("p1", first_name="Other"), absent=["p3"]),
        lambda acme: acme.plan(record("p1", first_name="Other")),
        lambda acme: acme.plan(record("p1", first_name="Other"), record("new"), absent=["p2"]),
        lambda acme: acme.plan(
            record("p1", first_name="Other"), absent=["p2"], containers=[container("a", "p1")]
        ),
        lambda acme: acme.plan(
            record("p1", first_name="Other"), absent=["p2"], containers=[container("a", "nobody")]
        ),
    ],
    ids=["value", "person", "fewer", "newcomer", "grant", "role"],
)
def test_another_plan_takes_its_place(
    acme: Organization, other: Callable[[Organization], Planned]
) -> None:
    """Whatever else it would change: the older one is superseded, the newer waits."""
    start(acme)
    first = acme.plan(record("p1", first_name="Other"), absent=["p2"])
    block(acme, first)
    newer = other(acme)
    assert block(acme, newer) == [first.run_id]
    assert acme.store.kept_plan is None
    found = statuses(acme)
    assert (found[first.run_id], found[newer.run_id]) == ("superseded", "blocked")


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (container("a", "p1"), container("a", "p1"), True),
        (container("a", "p1"), container("a", "p1", "p3"), False),
        (container("a", "p1"), container("b", "p1"), False),
        (container("a", "p1"), container("a", "p1", "nobody"), False),
        (container("a", "nobody"), container("a", "nobody", "nobody else"), True),
    ],
    ids=["same", "member", "role", "entry changed", "nothing rests on it"],
)
def test_role_changes_are_told_by_role_and_what_they_rest_on(
    acme: Organization, first: Any, second: Any, *, same: bool
) -> None:
    """An approval leaves out what rests on a changed entry, so a plan of it is another plan."""
    start(acme)
    waits = acme.plan(record("p2", first_name="X"), containers=[first])
    block(acme, waits)
    block(acme, acme.plan(record("p2", first_name="X"), containers=[second]))
    assert acme.store.kept_plan == (waits.run_id if same else None)


def test_a_person_who_changed_since_makes_another_plan(acme: Organization) -> None:
    """The older plan would leave him out, so it is not kept."""
    start(acme)
    first = acme.plan(record("p1", first_name="Other"))
    block(acme, first)
    acme.execute("UPDATE users SET version = version + 1 WHERE username = 'p1'")
    newer = acme.plan(record("p1", first_name="Other"))
    assert block(acme, newer) == [first.run_id]


@pytest.mark.parametrize(
    ("older", "newer", "kept"),
    [
        (GROUND, LATER, True),
        (GROUND, None, True),
        (None, None, True),
        (GROUND, ELSEWHERE, False),
        (None, GROUND, False),
    ],
)
def test_the_older_run_stays_only_with_evidence_as_good(
    acme: Organization, *, older: Watermark | None, newer: Watermark | None, kept: bool
) -> None:
    """An approval settles the ground, so the plan of another ground is another plan."""
    start(acme)
    first = acme.plan(absent=["p1"])
    block(acme, first, older)
    block(acme, acme.plan(absent=["p1"]), newer)
    assert (acme.store.kept_plan is not None) == kept


def test_a_plan_let_through_in_part_is_known_by_the_rest(acme: Organization) -> None:
    """What was held back is the plan; the next run, which finds only that, gives way."""
    start(acme)
    first = acme.plan(record("p1", first_name="Other"), absent=["p2"])
    last, count = acme.store.hold(first.run_id, ["missing"])
    assert count == 1
    acme.store.begin_apply(first.run_id, "sync", None, settles=True)
    list(acme.store.apply(first.run_id, 10, last=last))
    acme.store.settle(first.run_id)
    block(acme, first)
    assert acme.user("p1")["first_name"] == "Other"
    again = acme.plan(absent=["p2"])
    acme.store.hold(again.run_id, ["missing"])
    block(acme, again)
    assert acme.store.kept_plan == first.run_id
    assert held(acme, again.run_id) == {}


def test_what_a_run_wrote_stays_on_record(acme: Organization) -> None:
    """Of a plan let through in part only the rest is forgotten."""
    start(acme)
    planned = acme.plan(record("p1", first_name="Other"), absent=["p2"])
    last, _ = acme.store.hold(planned.run_id, ["missing"])
    acme.store.begin_apply(planned.run_id, "sync", None, settles=True)
    list(acme.store.apply(planned.run_id, 10, last=last))
    block(acme, planned)
    assert waiting.forget_plans(acme.database, [planned.run_id]) == 1
    assert acme.kinds(planned) == {"p1": {"update"}}


# --- expiry ---------------------------------------------------------------------------------


def let_pass(acme: Organization, run_id: int, seconds: float) -> None:
    """Let this much of a plan's time pass."""
    (row,) = acme.rows(schema.runs, id=run_id)
    with acme.database.write() as connection:
        earlier = row["expires_at"] - timedelta(seconds=seconds)
        connection.execute(
            schema.runs.update().where(schema.runs.c.id == run_id).values(expires_at=earlier)
        )


def test_a_plan_waits_as_long_as_it_is_told_to(acme: Organization) -> None:
    """Its end is counted from its beginning to wait, and shown; no other run has one."""
    start(acme)
    acme.store.approval_seconds = 3600
    planned = acme.plan(absent=["p1"])
    block(acme, planned)
    (row,) = acme.rows(schema.runs, id=planned.run_id)
    assert row["expires_at"] - row["finished_at"] == timedelta(hours=1)
    (shown,) = acme.people.status()["blocked_plans"]
    assert shown["expires"] == row["expires_at"].strftime("%Y-%m-%dT%H:%M:%SZ")
    dry = acme.plan(absent=["p1"], dry=True)
    acme.store.finish(dry.run_id, "planned", {"mode": "full"})
    assert [r["id"] for r in acme.rows(schema.runs) if r["expires_at"]] == [planned.run_id]


def test_a_run_that_begins_ends_what_waited_too_long(acme: Organization) -> None:
    """One second before its time it waits, one second after it is over and its rows are gone."""
    start(acme)
    planned = everything(acme)
    block(acme, planned)
    let_pass(acme, planned.run_id, 604_799)
    acme.begin()
    assert statuses(acme)[planned.run_id] == "blocked"
    assert held(acme, planned.run_id)["stage_containers"] == 2
    let_pass(acme, planned.run_id, 2)
    assert acme.people.status()["blocked_plans"] == []
    assert acme.store.waiting_run() == planned.run_id
    acme.begin()
    assert statuses(acme)[planned.run_id] == "expired"
    assert held(acme, planned.run_id) == {}
    assert acme.people.status()["blocked_plans"] == []


def test_the_survivor_keeps_its_time(acme: Organization) -> None:
    """Found again and again, a plan waits no longer than it would have."""
    start(acme)
    first = acme.plan(absent=["p1"])
    block(acme, first)
    (before,) = acme.rows(schema.runs, id=first.run_id)
    block(acme, acme.plan(absent=["p1"]))
    (after,) = acme.rows(schema.runs, id=first.run_id)
    assert after == before


def test_only_the_own_organizations_plans_end(acme: Organization) -> None:
    """A neighbour's plan is no business of this organization's run."""
    start(acme)
    planned = acme.plan(absent=["p1"])
    block(acme, planned)
    let_pass(acme, planned.run_id, 604_801)
    assert waiting.end_overdue(acme.database, "globex") == []
    assert statuses(acme)[planned.run_id] == "blocked"
    assert waiting.end_overdue(acme.database, acme.id) == [planned.run_id]


@pytest.mark.parametrize("status", ["expired", "superseded", "done"])
def test_a_plan_that_is_over_is_not_applied(acme: Organization, status: str) -> None:
    """Somebody approves it at the very moment that it ends: nothing is written."""
    start(acme)
    planned = acme.plan(absent=["p1"])
    block(acme, planned)
    acme.execute("UPDATE runs SET status = :s WHERE id = :id", s=status, id=planned.run_id)
    with pytest.raises(PlanNotApprovable, match=f"is {status} by now, and nothing of it"):
        acme.store.begin_apply(planned.run_id, "approval", None, settles=True)
    assert acme.user("p1")["enabled"]
    assert statuses(acme)[planned.run_id] == status


def test_a_plan_being_applied_does_not_end(acme: Organization) -> None:
    """An approval that began in time goes on to its end, however long it takes."""
    start(acme)
    planned = acme.plan(absent=["p1"])
    block(acme, planned)
    acme.store.begin_apply(planned.run_id, "approval", None, settles=True)
    let_pass(acme, planned.run_id, 604_801)
    acme.begin()
    assert statuses(acme)[planned.run_id] == "applying"
    list(acme.store.apply(planned.run_id, 10))
    assert not acme.user("p1")["enabled"]


def test_an_attempt_is_noted_although_a_plan_expires(acme: Organization) -> None:
    """Beginning a run does both in one transaction."""
    start(acme)
    planned = acme.plan(absent=["p1"])
    block(acme, planned)
    let_pass(acme, planned.run_id, 604_801)
    (before,) = Schedules(acme.database).read()
    acme.begin()
    (after,) = Schedules(acme.database).read()
    assert before.last_attempt_at is not None
    assert after.last_attempt_at is not None
    assert after.last_attempt_at > before.last_attempt_at
