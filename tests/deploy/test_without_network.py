"""The way without a network: what the page says to type, and whether the locked file is enough.

The download itself is not run here; scripts/image-test installs all of the file by its hashes.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
LOCKED = (ROOT / "requirements/run.txt").read_text(encoding="utf-8")
CHAPTER = re.search(
    r"^## Without a network\n(.*?)^## ",
    (ROOT / "docs/deploy.md").read_text(encoding="utf-8"),
    re.DOTALL | re.MULTILINE,
)
assert CHAPTER is not None
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"^```\n(.*?)^```", CHAPTER[1], re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]
PIP = [words for words in COMMANDS if "pip" in (Path(words[0]).name, *words[2:3])]
# One requirement with all that continues it.
PINNED = re.compile(
    r"([\w.-]+)(?:\[[\w,-]+\])?==([\w.]+)(?: ;[^\\]*)?((?: --hash=sha256:[0-9a-f]{64})+)"
)


def locked() -> dict[str, str]:
    """Return the locked versions by name; every line has to be one of them."""
    text = re.sub(r"\s*#.*", "", LOCKED).replace("\\\n", " ")
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        match = PINNED.fullmatch(re.sub(r"\s+", " ", line))
        assert match is not None, f"not a version with its hashes: {line[:80]}"
        found[canonicalize_name(match[1])] = match[2]
    return found


def needed(name: str, extras: frozenset[str] = frozenset()) -> Iterator[tuple[str, Requirement]]:
    """Yield who needs what, all the way down, for the Python that runs this."""
    for text in distribution(name).requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": each}) for each in extras | {""}):
            yield name, requirement
            yield from needed(requirement.name, frozenset(requirement.extras))


def test_the_locked_file_is_all_that_is_needed_and_names_no_address() -> None:
    """Whatever syncd and its builder import is in it, in a version that fits, with hashes."""
    versions = locked()
    assert "://" not in re.sub(r"\s*#.*", "", LOCKED)
    wanted = [
        *needed("syncd"),
        ("the last command", Requirement("hatchling")),
        *needed("hatchling"),
    ]
    assert len(wanted) > 20
    for who, requirement in wanted:
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is missing, which {who} needs"
        assert requirement.specifier.contains(version, prereleases=True), f"{who}: {requirement}"


def test_pip_knows_the_commands() -> None:
    """Each command of the chapter is one that pip takes, and what is installed is checked."""
    assert [words[1] for words in PIP if words[0].endswith("/pip")] == ["install", "install"]
    assert len(PIP) == len(COMMANDS) - 1
    calls = [words[words.index("pip") + 1 :] if "pip" in words else words[1:] for words in PIP]
    read = "from json import loads; from sys import argv; from pip._internal import commands\n"
    read += "for one, *more in loads(argv[1]): commands.create_command(one).parse_args(more)"
    subprocess.run([sys.executable, "-c", read, json.dumps(calls)], check=True, cwd=ROOT)
    for command, *options in calls:
        whole = {"--require-hashes", "requirements/run.txt"} <= set(options)
        alone = {"--no-deps", "--no-build-isolation"} <= set(options)
        assert whole or alone, options
        assert command == "download" or "--no-index" in options


@pytest.fixture
def unreachable(tmp_path: Path) -> dict[str, str]:
    """An environment in which whoever asks the network fails at once, with an address of ours."""
    nowhere = "http://127.0.0.1:9"
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PIP_INDEX_URL": f"{nowhere}/simple",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "HTTPS_PROXY": nowhere,
        "HTTP_PROXY": nowhere,
    }


def test_without_the_wheels_nothing_is_asked_for_elsewhere(
    tmp_path: Path, unreachable: dict[str, str]
) -> None:
    """The command for the libraries looks into its folder and nowhere else."""
    (tmp_path / "wheels").mkdir()
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    words = next(words for words in PIP if "--find-links" in words)
    pip = [sys.executable, "-m", "pip", *words[1:], "--dry-run", "--ignore-installed"]
    done = subprocess.run(
        pip, cwd=tmp_path, env=unreachable, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "No matching distribution found" in done.stderr
    assert "127.0.0.1:9" not in done.stderr


def test_syncd_is_built_without_a_network(tmp_path: Path, unreachable: dict[str, str]) -> None:
    """The last command makes the package from the checkout with what is installed by then."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "syncd").mkdir()
    shutil.copy(ROOT / "syncd/__init__.py", tmp_path / "syncd")
    pip = [sys.executable, "-m", "pip", *PIP[-1][1:]]
    done = subprocess.run(
        [*pip, "--target", str(tmp_path / "installed")],
        cwd=tmp_path,
        env=unreachable,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "installed/syncd/__init__.py").is_file()
