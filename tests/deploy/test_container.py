"""The image's recipe: what its linter says, and that it fits the program and the unit."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from syncd.settings.daemon import DaemonSettings
from tests.deploy.units import INSTALLED

ROOT = Path(__file__).parents[2]
RECIPES = sorted(ROOT.glob("deploy/**/Containerfile"))
RECIPE = ROOT / "deploy/container/Containerfile"
USER = "10001:10001"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.parent.name)
def test_the_linter_finds_nothing(recipe: Path) -> None:
    """No warning, and none is silenced but those that stand beside their reason."""
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [linter, "--failure-threshold", "info", recipe], text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    for before, line in pairwise(recipe.read_text().splitlines()):
        if "hadolint ignore" in line:
            assert before.startswith("# "), line


def test_it_is_not_root_and_has_the_programs_places() -> None:
    """User, ports, health check and command are those of the settings and of the unit."""
    text = RECIPE.read_text()
    defaults = DaemonSettings()
    final = text.rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.*)$", final, re.MULTILINE) == [USER]
    ports = f"{defaults.http.port} {defaults.metrics.port}"
    assert re.findall(r"^EXPOSE (.*)$", final, re.MULTILINE) == [ports]
    assert f"127.0.0.1:{defaults.http.port}/healthz" in final
    assert f'ENTRYPOINT ["{INSTALLED}"]' in final
    assert text.count("FROM ${BASE}") == 2


def test_what_is_copied_is_let_through_and_there() -> None:
    """The ignore file lets exactly those files into the build that the recipe copies."""
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", RECIPE.read_text(), re.MULTILINE)
        for source in line.split()[:-1]
    }
    lines = (ROOT / ".containerignore").read_text().splitlines()
    assert {line[1:] for line in lines if line.startswith("!")} == copied
    assert all((ROOT / source).exists() for source in copied)
    assert "*" in lines
    # Under this name docker looks for it.
    assert (ROOT / ".dockerignore").read_text().splitlines() == lines


def test_every_library_is_locked() -> None:
    """Libraries come with hashes, the program without asking for any, and pip does not stay."""
    lines = re.findall(r"pip [^\n]* install [^\n]*", RECIPE.read_text())
    assert lines
    for line in lines:
        assert "--require-hashes -r requirements/run.txt" in line or "--no-deps" in line
    assert "--without-pip /opt/syncd" in RECIPE.read_text()
