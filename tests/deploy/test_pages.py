"""The pages on deployment name what is there, and say it as the files do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
PAGES = ("deploy.md", "monitoring.md", "operations.md", "runbook.md", "security.md")
PLACE = re.compile(r"\bdeploy/[\w./*-]*\w/?")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
LINK = re.compile(r"\]\(([\w./]*)#([\w-]+)\)")


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings have."""
    headings = HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_files_and_headings_are_there(name: str) -> None:
    """A path below deploy/ exists, and a link to a heading finds it."""
    page = ROOT / "docs" / name
    text = page.read_text(encoding="utf-8")
    assert [place for place in PLACE.findall(text) if not list(ROOT.glob(place))] == []
    lost = [
        f"{target}#{anchor}"
        for target, anchor in LINK.findall(text)
        if anchor not in anchors(page.parent / target if target else page)
    ]
    assert lost == []


def test_the_way_to_the_service_installs_every_file() -> None:
    """The commands name all that deploy/systemd has."""
    (lines,) = re.findall(r"^```\n(install -m .*?)^```", DEPLOY, re.DOTALL | re.MULTILINE)
    named = set(PLACE.findall(lines))
    there = {str(path.relative_to(ROOT)) for path in ROOT.glob("deploy/systemd/*")}
    assert named == there


def test_the_way_to_the_cluster_applies_every_file() -> None:
    """Configuration and secrets, the migration under its own name, then the rest."""
    (lines,) = re.findall(r"^```\n(kubectl create .*?)^```", DEPLOY, re.DOTALL | re.MULTILINE)
    job = re.search(r"name: (\S+)", (ROOT / "deploy/kubernetes/migrate.yaml").read_text())
    assert job is not None
    assert f"job/{job[1]}" in lines
    assert lines.index("migrate.yaml") < lines.index("-k deploy/kubernetes")


def test_the_commands_are_those_of_the_image() -> None:
    """What the page builds, and the rights that it takes away, are those of the image's test."""
    tried = (ROOT / "scripts/image-test").read_text(encoding="utf-8")
    for word in ("--read-only", "--tmpfs", "--cap-drop", "no-new-privileges", "--format docker"):
        assert word in DEPLOY, word
        assert word in tried, word
    assert "-f deploy/container/Containerfile" in DEPLOY
    for verb in re.findall(r"`make (\w+)`", DEPLOY):
        assert re.search(rf"^{verb}:", (ROOT / "Makefile").read_text(), re.MULTILINE), verb
