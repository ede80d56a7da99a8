"""Reads systemd's unit files, and puts the tests' own command where the installed one would be."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/systemd"
INSTALLED = "/opt/syncd/bin/syncd"
SYNCD = Path(sys.executable).with_name("syncd")
SPAN = re.compile(r"(\d+)\s*(min|h|s|)")
SECONDS = {"": 1, "s": 1, "min": 60, "h": 3600}


class Unit:
    """A unit file's settings; one that stands there several times has all its values."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8")
        self._values: dict[str, list[str]] = {}
        for line in self.text.splitlines():
            name, parted, value = line.partition("=")
            if parted and not line.startswith("#"):
                self._values.setdefault(name, []).append(value)

    def all(self, name: str) -> list[str]:
        """Return a setting's values."""
        return self._values.get(name, [])

    def one(self, name: str) -> str:
        """Return the value of a setting that stands there once."""
        (found,) = self.all(name)
        return found

    def seconds(self, name: str) -> int:
        """Return a setting that is a span of time."""
        match = SPAN.fullmatch(self.one(name))
        assert match is not None, f"{name}={self.one(name)}"
        return int(match[1]) * SECONDS[match[2]]

    def commands(self) -> dict[str, list[list[str]]]:
        """Return the words of each command line, by the setting that it stands in."""
        return {
            name: [value.split() for value in values]
            for name, values in self._values.items()
            if name.startswith("Exec")
        }

    def rendered(self, folder: Path) -> Path:
        """Write the unit as it is, only with the tests' command, into a folder."""
        target = folder / self.path.name
        target.write_text(self.text.replace(INSTALLED, str(SYNCD)), encoding="utf-8")
        return target


UNITS = tuple(Unit(path) for path in sorted(FOLDER.glob("*.service")))
