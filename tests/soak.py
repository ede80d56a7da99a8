"""How much more than usual the tests of sudden ends do: nothing, but for ``make soak``.

``SYNCD_SOAK`` is how many random moments each of them adds, and ``SYNCD_SOAK_SEED`` makes them the
same again.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

# Read here, before the tests forget whatever a person has set for syncd.
MOMENTS = int(os.environ.get("SYNCD_SOAK") or 0)
SEED = int(os.environ.get("SYNCD_SOAK_SEED") or 1)

Whose = TypeVar("Whose")


def dice(name: str) -> random.Random:
    """Return the source of chance for one purpose; the same for the same seed."""
    return random.Random(f"{SEED} {name}")  # noqa: S311 - it decides when a test kills


def moments(name: str, whose: Sequence[Whose], count: int) -> list[tuple[Whose, str, int]]:
    """Return random (whose, part of the run, thousandths of that part)."""
    chance = dice(name)
    return [
        (chance.choice(whose), chance.choice(("collect", "plan", "apply")), chance.randrange(1000))
        for _ in range(count)
    ]


def seeds(*usual: int) -> list[int]:
    """Return the usual seeds of made-up histories, and in a soak as many more as fit it."""
    chance = dice("histories")
    return [*usual, *(chance.randrange(1_000, 1_000_000) for _ in range(MOMENTS // 40))]
