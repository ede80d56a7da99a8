"""Owns the value with which a group of keys says that two of its keys contradict each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Conflict:
    """Keys that do not fit together: a fault, or a warning when it only costs something.

    The first key is where the operator is sent; nothing is said when any of the keys is already
    reported for another reason. Keys are dotted and relative to the group.
    """

    keys: tuple[str, ...]
    message: str
    warning: bool = False

    def below(self, prefix: str) -> Self:
        """Return the same conflict as seen from the group above."""
        return replace(self, keys=tuple(f"{prefix}.{key}" for key in self.keys))


def conflict(*keys: str, because: str) -> Conflict:
    """Return a fault about ``keys``."""
    return Conflict(keys, because)


def warning(*keys: str, because: str) -> Conflict:
    """Return a warning about ``keys``."""
    return Conflict(keys, because, warning=True)
