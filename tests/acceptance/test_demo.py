"""The demo as a newcomer runs it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


@pytest.fixture
def short() -> Iterator[Path]:
    """A temporary folder whose path leaves room for a unix socket's name."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        yield Path(folder)


def test_the_demo_tells_its_story_to_the_end(short: Path) -> None:
    """Every command of the story ends as it should, and nothing is left behind."""
    done = subprocess.run(
        [sys.executable, "-m", "demo"],
        check=False,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(short), "TMPDIR": str(short)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert done.stderr == ""
    first, _, monday = done.stdout.partition("== Monday morning")
    assert "Lindström" in first
    assert "Geräteprüfer" in first
    assert "Front Desk Phone" in first
    assert "noeberg" in monday
    assert "mbrandt" in monday
    assert "/Engineering/Software" in monday
    assert list(short.iterdir()) == []
