"""Whole commands, measured from start to end, and what several runs of them amount to."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class CommandFailed(Exception):
    """A measured command did not do its work; a figure of it would mean nothing."""


@dataclass(slots=True)
class Series:
    """The runs of one command."""

    name: str
    wall: list[float] = field(default_factory=list)
    stages: list[dict[str, float]] = field(default_factory=list)
    peak_rss_bytes: int = 0

    @property
    def median(self) -> float:
        """The median of the wall times, in seconds."""
        return statistics.median(self.wall)

    def stage_medians(self) -> dict[str, float]:
        """Return the median seconds of each stage that the command reported."""
        names = dict.fromkeys(name for stages in self.stages for name in stages)
        return {
            name: round(statistics.median(stages.get(name, 0.0) for stages in self.stages), 3)
            for name in names
        }

    def run(self, words: Sequence[str | Path], *, reports: bool, exits: tuple[int, ...]) -> None:
        """Run the command once more; one that ``reports`` prints JSON with stages and memory."""
        environment = {n: v for n, v in os.environ.items() if not n.startswith(("SYNCD_", "LDAP"))}
        started = time.perf_counter()
        done = subprocess.run(
            words,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if reports else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
        )
        seconds = time.perf_counter() - started
        if done.returncode not in exits:
            said = done.stderr.decode("utf-8", "replace").strip()[-2000:]
            message = f"{self.name} ended with {done.returncode}: {said}"
            raise CommandFailed(message)
        self.wall.append(seconds)
        if reports:
            self._take(json.loads(done.stdout))

    def run_warm(self, words: Sequence[str | Path]) -> None:
        """Run a program that does the work several times in one process and prints each time."""
        done = subprocess.run(words, check=False, capture_output=True)
        if done.returncode:
            message = f"{self.name} failed: {done.stderr.decode('utf-8', 'replace')[-2000:]}"
            raise CommandFailed(message)
        for one in json.loads(done.stdout):
            self.wall.append(one["wall"])
            self._take(one["report"])

    def _take(self, report: dict[str, Any]) -> None:
        if report.get("status", "done") != "done":
            message = f"{self.name} is {report['status']}: {report.get('reasons')}"
            raise CommandFailed(message)
        if "seconds" in report:
            self.stages.append(report["seconds"])
        self.peak_rss_bytes = max(self.peak_rss_bytes, int(report.get("peak_rss_bytes") or 0))

    def as_json(self) -> dict[str, Any]:
        """Return everything that was measured."""
        return {
            "wall_seconds": [round(seconds, 4) for seconds in self.wall],
            "median_seconds": round(self.median, 4),
            "stage_seconds": self.stage_medians(),
            "peak_rss_bytes": self.peak_rss_bytes or None,
        }
