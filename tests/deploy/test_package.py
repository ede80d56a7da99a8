"""What is handed out: the source archive, and the wheel made of it, used without the source."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import syncd

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 110
CONFIGURATION = """
organization: {id: acme, name: Acme Corp}
provider: ldap
ldap:
  vendor: openldap
  connection_url: ldaps://ldap.example.org
  certificate_trust: with_system
  bind_type: anonymous
  users_dn: ou=people,dc=example,dc=org
"""


def run(*words: str | Path, folder: Path, code: int = 0) -> str:
    """Run a program away from the source; return what it says on standard output."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, words)),
        text=True,
        capture_output=True,
        check=False,
        cwd=folder,
        env=environment,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def sources() -> set[str]:
    """Return the files of the package as they lie in the source tree."""
    return {
        str(path.relative_to(ROOT))
        for path in (ROOT / "syncd").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The archive made of the tree, and the wheel made of the unpacked archive."""
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, folder=ROOT)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as content:
        content.extractall(folder, filter="data")
    tree = folder / archive.name.removesuffix(".tar.gz")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, folder=tree)
    (wheel,) = folder.glob("*.whl")
    return archive, wheel


def test_both_have_all_that_belongs_to_them(built: tuple[Path, Path]) -> None:
    """The wheel is the package and nothing else; the archive has also what operators need."""
    archive, wheel = built
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
    packaged = {name for name in names if ".dist-info/" not in name}
    assert packaged == sources()
    (licence,) = (name for name in names if name.endswith("/LICENSE"))
    assert ".dist-info/licenses/" in licence
    with tarfile.open(archive) as content:
        files = {name.partition("/")[2] for name in content.getnames()}
    assert sources() <= files
    wanted = {"docs/operations.md", "deploy/systemd/syncd.service", "requirements/run.txt"}
    assert {"LICENSE", "README.md", "CHANGELOG.md", *wanted} <= files
    assert not any(name.startswith("tests/") for name in files)


def test_the_wheel_works_without_the_source(built: tuple[Path, Path], tmp_path: Path) -> None:
    """In an environment of its own the command knows its version, mappers, schema and checks."""
    home = tmp_path / "environment"
    venv.create(home, symlinks=True)
    (packages,) = home.glob("lib/python*/site-packages")
    words = ("--disable-pip-version-check", "--no-input", "--python", home / "bin/python")
    pip = (
        sys.executable,
        "-m",
        "pip",
        *words,
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-compile",
    )
    run(*pip, built[1], folder=tmp_path)
    # The libraries are those of the tests' environment; its own link to the source is not followed.
    others = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "libraries.pth").write_text("\n".join(others))
    asked = "from syncd import permissions as p; print(p.__file__, *p.preconfigured())"
    place, *roles = run(home / "bin/python", "-c", asked, folder=tmp_path).split()
    assert place.startswith(str(packages))
    assert "Owner" in roles
    command = home / "bin/syncd"
    assert run(command, "--version", folder=tmp_path).split()[-1] == syncd.__version__
    etc = tmp_path / "etc"
    (etc / "organizations").mkdir(parents=True)
    (etc / "organizations/acme.yaml").write_text(CONFIGURATION)
    (etc / "syncd.yaml").write_text("store: {url: 'sqlite:///store.db'}\n")
    syncd_here = (command, "--config", etc / "syncd.yaml")
    run(*syncd_here, "db", "upgrade", folder=tmp_path)
    run(*syncd_here, "check", folder=tmp_path)
