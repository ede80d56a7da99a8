from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import ConfigurationError
from syncd.schedule import Rhythm, first_due, next_due, require_moments
from syncd.schedule.cron import fire_time

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)  # a Wednesday
MOMENTS = st.datetimes(
    datetime(2020, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2060, 1, 1),  # noqa: DTZ001 - the same
    timezones=st.just(UTC),
)
NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
PERIODS = st.floats(0.001, 40_000_000)


@given(organization=NAMES, period=PERIODS, after=MOMENTS)
def test_a_periods_moment_is_the_first_one_behind_a_time(
    organization: str, period: float, after: datetime
) -> None:
    """The next moment lies behind the given time, at most one period."""
    due = next_due(Rhythm(period), organization, "full", after)
    assert after < due <= after + timedelta(seconds=period) + timedelta(microseconds=1)


@pytest.mark.rule("2.14.2", server="pure")
@given(organization=NAMES, period=PERIODS, after=MOMENTS, part=st.floats(0, 0.999))
def test_a_restart_changes_no_moment(
    organization: str, period: float, after: datetime, part: float
) -> None:
    """From any time between two moments, the second of them is the next."""
    rhythm = Rhythm(period)
    first = next_due(rhythm, organization, "changed", after)
    second = next_due(rhythm, organization, "changed", first)
    between = first + (second - first) * part
    assert next_due(rhythm, organization, "changed", between) in {second, first}
    assert next_due(rhythm, organization, "changed", first) == second


@given(organization=NAMES, after=MOMENTS, missed=st.integers(1, 500))
def test_what_was_missed_is_due_once(organization: str, after: datetime, missed: int) -> None:
    """However long nothing ran, one moment follows, and it is one of the usual ones."""
    rhythm = Rhythm(300)
    first = next_due(rhythm, organization, "changed", after)
    late = first + timedelta(seconds=300 * missed)
    assert next_due(rhythm, organization, "changed", late) == late + timedelta(seconds=300)


@pytest.mark.rule("2.14.2", server="pure")
def test_a_thousand_organizations_are_spread_over_the_period() -> None:
    """In no hundredth of the period do more than a few times the mean of them start."""
    rhythm = Rhythm(3_600)
    dues = [next_due(rhythm, f"organization-{n}", "full", NOON) for n in range(1_000)]
    slots = [int((due - NOON).total_seconds() // 36) for due in dues]
    assert max(slots.count(slot) for slot in set(slots)) < 30
    assert len(set(slots)) > 90


CRON = [
    ("30 2 * * *", "2026-03-05T02:30"),
    ("0 12 * * *", "2026-03-04T12:00"),
    ("*/20 * * * *", "2026-03-04T12:00"),
    ("5-10/5 13 * * *", "2026-03-04T13:05"),
    # Weekdays count from Sunday, which is 0 and 7.
    ("0 0 * * 0", "2026-03-08T00:00"),
    ("0 0 * * 7", "2026-03-08T00:00"),
    ("0 0 * * 1", "2026-03-09T00:00"),
    ("0 0 * * sat", "2026-03-07T00:00"),
    ("0 0 * * 5-7", "2026-03-06T00:00"),
    ("0 0 * * */2", "2026-03-05T00:00"),
    ("0 0 * jan,dec *", "2026-12-01T00:00"),
    # Both day fields given: either is enough.
    ("0 0 10 * 6", "2026-03-07T00:00"),
    ("0 0 5 * 6", "2026-03-05T00:00"),
    ("0 0 */2 * 6", "2026-03-07T00:00"),
    # A step wider than its field is the first value alone.
    ("*/90 14 * * *", "2026-03-04T14:00"),
    ("0 0 29 2 *", "2028-02-29T00:00"),
]


@pytest.mark.parametrize(("line", "expected"), CRON)
def test_a_cron_line_means_what_cron_makes_of_it(line: str, expected: str) -> None:
    """Weekdays, steps and the two day fields are read as cron does, in UTC."""
    found = fire_time(line, NOON)
    assert found == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@given(organization=NAMES, after=MOMENTS)
def test_a_cron_line_is_spread_within_its_minute(organization: str, after: datetime) -> None:
    """What a cron line names begins in the named minute, and never twice."""
    rhythm = Rhythm(86_400, "30 2 * * *")
    due = next_due(rhythm, organization, "full", after)
    assert (due.hour, due.minute) == (2, 30)
    assert after < due <= after + timedelta(days=1)
    assert next_due(rhythm, organization, "full", due) == due + timedelta(days=1)


def test_a_day_that_never_comes_is_refused() -> None:
    """The 31st of February is a fault of the configuration, with its key."""
    with pytest.raises(
        ConfigurationError, match=r"organization acme: ldap\.full_sync_at: .* never"
    ):
        require_moments("0 0 31 2 *", file="organization acme", key="ldap.full_sync_at")


@given(organization=NAMES, number=st.integers(1, 100_000))
def test_what_never_ran_is_due_in_a_few_seconds(organization: str, number: int) -> None:
    """A new organization's first sync does not wait for a day, nor for a thousand others."""
    due = first_due(organization, "full", NOON, organizations=number)
    assert NOON <= due <= NOON + timedelta(seconds=min(30, number / 10))
