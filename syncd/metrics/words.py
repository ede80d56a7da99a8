"""The words that labels may have: few, ours, and none that a directory or a person chose."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Container

OTHER: Final = "other"
# So many values of an open label in one organization; whatever comes later is OTHER.
MOST_WORDS: Final = 64

MODES: Final = ("full", "changed", "user")
SCHEDULED: Final = ("full", "changed")
# Each is told from the start, so that a first failure is a step from 0 to 1.
STATUSES: Final = ("done", "blocked", "failed", "interrupted")
STAGES: Final = ("directory", "map", "stage", "plan", "apply")
VERDICTS: Final = ("complete", "truncated", "unverified")
OPERATIONS: Final = ("connect", "start_tls", "bind", "search")
STATES: Final = ("enabled", "disabled", "missing")
USES: Final = ("trust", "directory")
TOKEN_OUTCOMES: Final = ("accepted", "refused")
FETCH_OUTCOMES: Final = ("fetched", "failed")
# The last one: provider or directory could not be asked, which says nothing of the person.
SIGN_IN_OUTCOMES: Final = ("accepted", "refused", "unavailable")
# The reason of what went well.
NONE: Final = "none"

# Where a report has a kind of entry or change, and how the label calls it.
ENTRY_KINDS: Final = (
    ("users", "read", "read"),
    ("users", "unchanged", "unchanged"),
    ("users", "quarantined", "quarantined"),
    ("users", "conflicts", "conflicts"),
    ("users", "excluded", "excluded"),
    ("memberships", "unresolved", "unresolved"),
)
CHANGE_KINDS: Final = (
    *(
        ("users", kind, kind)
        for kind in (
            *("created", "updated", "renamed", "missing", "disabled", "enabled", "deleted"),
        )
    ),
    *(("roles", kind, f"role_{kind}") for kind in ("created", "updated", "deleted")),
    *(("groups", kind, f"group_{kind}") for kind in ("created", "updated", "deleted")),
    *(("memberships", kind, f"membership_{kind}") for kind in ("added", "removed")),
)

_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


def one_of(value: object, words: Container[str]) -> str:
    """Return a word of a closed list; anything else is OTHER."""
    return value if isinstance(value, str) and value in words else OTHER


def word(value: object) -> str:
    """Return a word of an open list if it looks like one of ours."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else OTHER
