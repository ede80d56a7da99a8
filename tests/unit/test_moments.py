"""Times as people name them: at a moment, or so long ago."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from syncd.errors import UsageError
from syncd.looking import moment_of

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("90s ago", NOW - timedelta(seconds=90)),
        ("3d", NOW - timedelta(days=3)),
        ("2w", NOW - timedelta(weeks=2)),
        ("15m", NOW - timedelta(minutes=15)),
        ("2026-02-01", datetime(2026, 2, 1, tzinfo=UTC)),
        ("2026-02-01T10:00", datetime(2026, 2, 1, 10, tzinfo=UTC)),
        ("2026-02-01T10:00:00Z", datetime(2026, 2, 1, 10, tzinfo=UTC)),
        ("2026-02-01T10:00:00+02:00", datetime(2026, 2, 1, 8, tzinfo=UTC)),
    ],
)
def test_a_time_is_a_moment_or_so_long_ago(text: str, moment: datetime) -> None:
    """ISO 8601, in UTC unless it says otherwise, or a number with s, m, h, d, w."""
    assert moment_of(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2", "h", "-2h", "2y", "999999999w", "26-3-1"])
def test_what_is_no_time_is_said_to_be_none(text: str) -> None:
    """The sentence shows both ways to write one."""
    with pytest.raises(UsageError, match="2026-03-01T14:05:00Z, or how long ago as 2h"):
        moment_of(text, NOW)
