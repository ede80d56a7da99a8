"""What the process knows of its own health: one value in memory, told to it from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether requests should be sent here, and if not, why: sentences for an operator."""

    ready: bool
    because: tuple[str, ...] = ()


STARTING = Readiness(ready=False, because=("starting",))


class Health:
    """The newest readiness; replaced as a whole, so that no reader sees half of one."""

    def __init__(self) -> None:
        self.now = STARTING

    def tell(self, told: Mapping[str, object]) -> None:
        """Take what the supervisor says: ``{"ready": bool, "because": [sentences]}``."""
        because = told.get("because")
        sentences = tuple(map(str, because)) if isinstance(because, list | tuple) else ()
        self.now = Readiness(ready=told.get("ready") is True, because=sentences)
