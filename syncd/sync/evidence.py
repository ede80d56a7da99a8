"""What the listings of a run allow to conclude."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from syncd.errors import ChangesUnavailable

# A changed sync that became a full one for these reasons stands on other ground than the store:
# whom it does not find may only be out of sight.
SHIFTED = frozenset({"ground", "clock_backwards", "cookie_refused", "history_gap"})


@dataclass(slots=True)
class Evidence:
    """What the listings of a run allow to conclude."""

    # Why a changed sync became this full one.
    promoted: ChangesUnavailable | None = None
    # Sentences that make every absence one for a person to look at.
    doubts: list[str] = field(default_factory=list)
    # Those of them that a later run cannot see again: they stay until somebody has looked.
    lasting: list[str] = field(default_factory=list)
    # Sentences on why absences were left out of the plan.
    held: list[str] = field(default_factory=list)
    # Mappers that are not configured any more and gave something that is still held.
    removed: list[str] = field(default_factory=list)
    # Mappers whose listing may take something away.
    revoking: list[str] = field(default_factory=list)
    absent: int = 0
    # Living people and grants before the run; None where nobody needed to know so far.
    people: int | None = None
    grants: int | None = None
