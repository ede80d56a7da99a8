from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.schedule import Ending, Rhythm, Timetable, after, choose, forward

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
FULL, CHANGED = "full", "changed"


@dataclass(frozen=True)
class Row:
    organization_id: str
    mode: str
    seconds: float | None
    failures: int = 0
    claimed_by: str | None = None
    claimed_seconds: float = 0

    @property
    def next_due(self) -> datetime | None:
        """When it is due."""
        return None if self.seconds is None else NOW + timedelta(seconds=self.seconds)

    @property
    def claimed_until(self) -> datetime | None:
        """How long a claim holds."""
        return NOW + timedelta(seconds=self.claimed_seconds) if self.claimed_by else None


def timetable(organization: str, *servers: str) -> Timetable:
    """Return the timetable of an organization, whose directory is its own unless named."""
    rhythms = {FULL: Rhythm(86_400), CHANGED: Rhythm(300)}
    return Timetable(organization, rhythms, frozenset(servers or (f"{organization}:636",)))


TABLES = {
    **{name: timetable(name) for name in ("a", "b", "c")},
    **{name: timetable(name, "shared:636") for name in ("x", "y", "z")},
}


def chosen(rows: list[Row], *running: str, free: int = 9, per_directory: int = 2) -> list[str]:
    """Return what is chosen at noon while these organizations run here."""
    found = choose(
        rows, TABLES, now=NOW, running=set(running), free=free, per_directory=per_directory
    )
    return [f"{row.organization_id} {row.mode}" for row in found]


CASES: list[tuple[list[Row], list[str]]] = [
    ([Row("a", FULL, -1), Row("b", FULL, 1)], ["a full"]),
    ([Row("a", FULL, -1), Row("b", CHANGED, -2)], ["b changed", "a full"]),
    # A due full sync goes before the changed one of its organization, however long that waited.
    ([Row("a", CHANGED, -900), Row("a", FULL, -1)], ["a full"]),
    ([Row("a", CHANGED, -900), Row("a", FULL, 1)], ["a changed"]),
    # Somebody runs it; the claim of one who died does not count.
    ([Row("a", FULL, 20, 0, "other", 20), Row("a", CHANGED, -1)], []),
    ([Row("a", FULL, -1, 0, "dead", -1), Row("a", CHANGED, -1)], ["a full"]),
    # At most two runs against one directory, those of other replicas included.
    ([Row("x", FULL, -3), Row("y", FULL, -2), Row("z", FULL, -1)], ["x full", "y full"]),
    ([Row("x", FULL, 9, 0, "other", 9), Row("y", FULL, -2), Row("z", FULL, -1)], ["y full"]),
    # What is not configured, or not scheduled, is left alone.
    ([Row("gone", FULL, -1), Row("a", "prune", -1), Row("a", FULL, None)], []),
]


@pytest.mark.rule("2.14.2", server="pure")
@pytest.mark.parametrize(("rows", "expected"), CASES)
def test_what_is_due_is_chosen_within_the_caps(rows: list[Row], expected: list[str]) -> None:
    """The longest due first, one run an organization, few a directory."""
    assert chosen(rows) == expected


def test_what_runs_here_is_not_chosen_again() -> None:
    """An organization under way is left alone, and counts for its directory."""
    rows = [Row("a", FULL, -1), Row("y", FULL, -2), Row("z", FULL, -1)]
    assert chosen(rows, "a", "x") == ["y full"]


def test_no_more_is_chosen_than_workers_are_free() -> None:
    """The longest due have the free workers."""
    rows = [Row("a", FULL, -1), Row("b", FULL, -3), Row("c", FULL, -2)]
    assert chosen(rows, free=2) == ["b full", "c full"]
    assert chosen(rows, free=0) == []


def test_a_shorter_period_brings_a_moment_forward() -> None:
    """What is due later than its rhythm says is moved, unless it is backed off or runs."""
    rows = [
        Row("a", CHANGED, 80_000),
        Row("b", CHANGED, 80_000, failures=2),
        Row("c", CHANGED, 80_000, 0, "other", 20),
        Row("x", CHANGED, -5),
        Row("y", CHANGED, None),
    ]
    found = forward(rows, TABLES, NOW)
    assert [row.organization_id for row, _ in found] == ["a"]
    assert NOW < found[0][1] <= NOW + timedelta(seconds=300)


def delay(ending: Ending, failures: int, *, period: float = 300, took: float = 0) -> float:
    """Return in how many seconds an organization is due after an end at noon."""
    due, _ = after(
        ending, Rhythm(period), "acme", CHANGED, now=NOW, failures=failures, took_seconds=took
    )
    return (due - NOW).total_seconds()


@given(failures=st.integers(0, 10_000), period=st.floats(1, 1e7), took=st.floats(0, 1e5))
def test_a_failing_directory_is_left_alone_for_longer_and_longer(
    failures: int, period: float, took: float
) -> None:
    """From 15 seconds on, doubled each time, 15 minutes at most, never less than it took."""
    waited = delay(Ending.FAILED, failures, period=period, took=took)
    longer = delay(Ending.FAILED, failures + 1, period=period, took=took)
    assert max(15, took) <= waited + 1e-5
    assert waited <= longer <= max(900, took) + 1e-5
    assert failures > 5 or took > 15 or waited <= 15 * 2**failures * 1.2 + 1e-5


@given(failures=st.integers(0, 50), period=st.floats(1, 1e7))
def test_what_only_a_person_can_mend_locks_no_account_out(failures: int, period: float) -> None:
    """A rejected password is tried again in 15 minutes at the earliest, an hour at the latest."""
    assert 900 <= delay(Ending.REFUSED, failures, period=period) <= 3_600


ENDINGS = [
    (Ending.DONE, 3, 0, 300),
    (Ending.FAILED, 3, 4, 900),
    (Ending.REFUSED, 3, 4, 3_600),
    (Ending.BUSY, 3, 3, 20),
    (Ending.STOPPED, 3, 3, 90),
    (Ending.GIVEN_BACK, 3, 3, 0),
]


@pytest.mark.parametrize(("ending", "before", "expected", "latest"), ENDINGS)
def test_only_failures_are_counted_as_such(
    ending: Ending, before: int, expected: int, latest: float
) -> None:
    """A held lease, a pause and a restart are no failures; a success forgets all of them."""
    due, failures = after(ending, Rhythm(300), "acme", CHANGED, now=NOW, failures=before)
    assert failures == expected
    assert NOW <= due <= NOW + timedelta(seconds=latest)
