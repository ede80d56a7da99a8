"""Owns one file's tree together with what the environment and secret files lay over it.

Each key remembers where its value came from, so that a fault names the place to change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from syncd.errors import Fault
from syncd.settings.document import Document, Key, dotted


@dataclass(slots=True)
class Layers:
    """The tree to validate, where each of its keys came from, and the faults found so far."""

    document: Document
    # Keys that the environment or a secret file set, with the name of that place.
    places: dict[Key, str] = field(default_factory=dict)
    warnings: list[Fault] = field(default_factory=list)

    @property
    def tree(self) -> dict[str, Any]:
        """The values by key."""
        return self.document.tree

    @property
    def faults(self) -> list[Fault]:
        """What is wrong."""
        return self.document.faults

    @property
    def directory(self) -> Path:
        """Where relative paths in the file start."""
        return self.document.directory

    def get(self, key: Key) -> Any:  # noqa: ANN401 - YAML values are anything
        """Return the value at a key; None when there is none."""
        value: Any = self.tree
        for part in key:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def put(self, key: Key, value: object, place: str) -> None:
        """Set a value that came from ``place``; what stands in the way is replaced."""
        section: Any = self.tree
        for part, following in pairwise(key):
            # Only a list that is there is gone into; nobody makes one of its items.
            inner = list if isinstance(following, int) else dict
            if isinstance(section, dict) and not isinstance(section.get(part), inner):
                section[part] = {}
            section = section[part]
        section[key[-1]] = value
        for known in (self.document.lines, self.document.written):
            for below in [each for each in known if each[: len(key)] == key]:
                del known[below]
        self.places[key] = place

    def drop(self, key: Key) -> None:
        """Remove a value."""
        section = self.get(key[:-1])
        if isinstance(section, dict):
            section.pop(key[-1], None)
        self.places.pop(key, None)

    def place(self, key: Key) -> tuple[str, int | None]:
        """Return file and line that a key, or else the group around it, came from."""
        for length in range(len(key), -1, -1):
            part = key[:length]
            if part in self.places:
                return self.places[part], None
            if part in self.document.lines:
                return self.document.file, self.document.lines[part]
        return self.document.file, None

    def fault(self, key: Key, message: str) -> Fault:
        """Return a fault about a key at the place that it came from."""
        file, line = self.place(key)
        return Fault(file, line, dotted(key), message)

    def blame(self, key: Key, message: str) -> None:
        """Note a fault and that nothing else is to be said of the key."""
        self.document.bad.add(key)
        self.faults.append(self.fault(key, message))

    def is_bad(self, key: Key) -> bool:
        """Tell whether a fault was reported for a key or a group around it."""
        return any(key[:length] in self.document.bad for length in range(len(key) + 1))

    def touches_bad(self, key: Key) -> bool:
        """Tell whether a fault was reported for a key, around it or below it."""
        return self.is_bad(key) or any(bad[: len(key)] == key for bad in self.document.bad)
