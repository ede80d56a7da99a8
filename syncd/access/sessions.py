"""How long a session relies on what a provider said."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

# A provider that says nothing of it is asked so often; and how often at most and at least.
UNSAID: Final = timedelta(minutes=5)
SHORTEST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(hours=1)


def refresh_in(expires_in: int | None) -> timedelta:
    """Return when the provider is asked again, by how long its access token lasts in seconds."""
    if expires_in is None:
        return UNSAID
    lasts = min(max(expires_in, 0), LONGEST.total_seconds())
    return max(timedelta(seconds=lasts), SHORTEST)
