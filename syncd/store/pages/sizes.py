"""What was found large is remembered for a minute, so that a list is not counted page by page.

Only what decides on the way to an answer, and never the answer itself: what has changed meanwhile
is looked for as it would have been a minute before.
"""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Hashable

    from sqlalchemy import Connection, Engine

SECONDS = 60.0
# As many for one store.
MOST = 2_000


class _Noted(NamedTuple):
    value: str
    until: float


_lock = Lock()
_noted: WeakKeyDictionary[Engine, dict[Hashable, _Noted]] = WeakKeyDictionary()


def noted(connection: Connection, key: Hashable) -> str | None:
    """Return what was noted under a key, None if nothing was or it is too long ago."""
    with _lock:
        found = _noted.get(connection.engine, {}).get(key)
    return None if found is None or found.until < time.monotonic() else found.value


def note(connection: Connection, key: Hashable, value: str) -> None:
    """Note something; what was noted first is forgotten first."""
    with _lock:
        several = _noted.setdefault(connection.engine, {})
        several.pop(key, None)
        while len(several) >= MOST:
            del several[next(iter(several))]
        several[key] = _Noted(value, time.monotonic() + SECONDS)
