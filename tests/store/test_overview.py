"""What all replicas share of an organization's state, read at once."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import event

from syncd.records import ListingOutcome, Quarantined, Verdict
from syncd.store import schema
from syncd.store.overview import overview
from syncd.store.schedules import Schedules
from tests.store.organization import SHUT, Organization, record

if TYPE_CHECKING:
    from typing import Any

COMPLETE = ListingOutcome("users", Verdict.COMPLETE, 0, 1, 1, 0)


def state(acme: Organization) -> dict[str, Any]:
    """Return the organization's own state."""
    return overview(acme.database, [acme.id])[acme.id]


def block(acme: Organization, *absent: str) -> int:
    """Have a plan wait that would call these people missing."""
    run_id = acme.plan(absent=absent).run_id
    acme.store.finish(run_id, "blocked", {"mode": "full"})
    return run_id


def test_an_organization_nobody_has_seen_is_told_too(acme: Organization) -> None:
    """Whatever is asked for is there from the first moment, with nothing in it."""
    found = overview(acme.database, ["globex", "initech"])
    assert list(found) == ["globex", "initech"]
    none = {"full": None, "changed": None}
    assert found["globex"] == {
        "last_attempt": none,
        "last_success": none,
        "next": none,
        "failures": {"full": 0, "changed": 0},
        "blocked": 0,
        "blocked_run": None,
        "blocked_since": None,
        "quarantine": {},
        "users": {"enabled": 0, "disabled": 0, "missing": 0},
        "lease_held": False,
    }
    assert overview(acme.database, []) == {}


def test_times_of_both_modes_are_told(acme: Organization) -> None:
    """When each was last tried, last succeeded, is due next, and how often it failed in a row."""
    schedules = Schedules(acme.database)
    run_id = acme.begin()
    acme.store.finish(run_id, "done", {}, outcomes=[COMPLETE])
    soon = schedules.now() + timedelta(hours=1)
    schedules.ensure(acme.id, "changed", schedules.now() - timedelta(hours=1))
    schedules.ensure("globex", "full", soon)
    (due,) = [each for each in schedules.read() if each.mode == "changed"]
    assert schedules.claim(due, by="one", until=soon)
    schedules.settle(acme.id, "changed", by="one", next_due=soon, failures=2)
    found = state(acme)
    (full,) = acme.rows(schema.schedules, organization_id=acme.id, mode="full")
    assert found["last_attempt"] == {"full": full["last_attempt_at"], "changed": None}
    assert found["last_success"] == {"full": full["last_success_at"], "changed": None}
    assert found["next"] == {"full": None, "changed": soon}
    assert found["failures"] == {"full": 0, "changed": 2}
    status = acme.people.status()
    assert status["next"] == {"changed": soon.strftime("%Y-%m-%dT%H:%M:%SZ")}
    assert status["failures"] == {"changed": 2, "full": 0}
    assert status["last_success"]["full"] is not None


def test_people_are_counted_by_state(acme: Organization) -> None:
    """Each is in one state, as their own rows have it, however many reasons he has."""
    names = ("works", "works too", "locked", "locked twice", "gone", "gone and locked")
    acme.sync(*(record(name) for name in names))
    acme.sync(
        *(record(name, account=SHUT) for name in ("locked", "locked twice", "gone and locked"))
    )
    acme.sync(absent=["gone", "gone and locked"])
    acme.execute(
        "INSERT INTO restrictions (user_id, source, reason, organization_id, since) "
        "SELECT user_id, 'admin', 'manual', organization_id, since FROM restrictions "
        "WHERE user_id = :id",
        id=acme.user("locked twice")["id"],
    )
    naive = Counter(
        "missing" if not row["living"] else "enabled" if row["enabled"] else "disabled"
        for row in acme.rows(schema.users)
    )
    assert state(acme)["users"] == dict(naive) == {"enabled": 2, "disabled": 2, "missing": 2}


def test_plans_that_wait_are_counted(acme: Organization) -> None:
    """Those that may still be approved, with the newest run and since when."""
    acme.sync(record("p1"), record("p2"))
    first = block(acme, "p1")
    block(acme, "p1")
    found = state(acme)
    (row,) = acme.rows(schema.runs, id=first)
    assert (found["blocked"], found["blocked_run"]) == (1, first)
    assert found["blocked_since"] == row["finished_at"]
    second = block(acme, "p2")
    assert state(acme)["blocked_run"] == second
    past = schema.runs.update().values(expires_at=row["started_at"])
    with acme.database.write() as connection:
        connection.execute(past)
    assert (state(acme)["blocked"], state(acme)["blocked_run"]) == (0, None)


def test_quarantine_and_lease_are_told(acme: Organization) -> None:
    """Entries by reason, and whether somebody syncs at this moment."""
    found = [
        Quarantined("users", "not_utf8", "cn=a", None, None, ""),
        Quarantined("users", "not_utf8", "cn=b", None, None, ""),
        Quarantined("import roles", "missing_name", "cn=c", None, None, ""),
    ]
    acme.store.finish(acme.begin(), "done", {}, outcomes=[COMPLETE], quarantined=found)
    assert state(acme)["quarantine"] == {"missing_name": 1, "not_utf8": 2}
    assert state(acme)["lease_held"]
    acme.store.lease.release()
    assert not state(acme)["lease_held"]


def test_a_thousand_organizations_cost_no_more_queries_than_one(acme: Organization) -> None:
    """What is asked of the database does not grow with who is asked for."""
    asked: list[str] = []

    @event.listens_for(acme.database.engine, "before_cursor_execute")
    def count(_c: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    overview(acme.database, [acme.id])
    one = len(asked)
    overview(acme.database, [f"org-{number}" for number in range(1_000)])
    assert len(asked) == 2 * one
