"""The units of deploy/systemd, read by systemd's own tools and held against the program."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from syncd.settings.daemon import DaemonSettings
from syncd.settings.fields import listed_secrets_of, secrets_of
from syncd.settings.organization import OrganizationSettings
from syncd.settings.secrets import credential_name
from tests.deploy.units import FOLDER, UNITS, Unit
from tests.servers.authority import program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Tenths of the score that systemd-analyze gives: 10 is no protection at all.
MOST_EXPOSED = 20
KEPT_CREDENTIAL = re.compile(r"^#   LoadCredential=(\S+)$", re.MULTILINE)


def told_by(*words: str | Path) -> str:
    """Return all that a program said; it has to end well."""
    command: Sequence[str] = [program(str(words[0])), *map(str, words[1:])]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, f"{words}: {done.returncode}\n{said}"
    return said


@pytest.fixture(params=UNITS, ids=lambda unit: unit.path.name)
def unit(request: pytest.FixtureRequest) -> Unit:
    """Each unit in turn."""
    found: Unit = request.param
    return found


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    """All units together are read without a word."""
    units = [unit.rendered(tmp_path) for unit in UNITS]
    assert len(units) == 2
    words = ("verify", "--man=no", "--recursive-errors=yes")
    assert told_by("systemd-analyze", *words, *units) == ""


def test_a_wrong_unit_is_found(tmp_path: Path) -> None:
    """The tool is asked in a way in which an unknown setting fails."""
    unit = UNITS[0].rendered(tmp_path)
    unit.write_text(unit.read_text().replace("[Service]", "[Service]\nProtectHom=yes"))
    with pytest.raises(AssertionError, match="ProtectHom"):
        told_by("systemd-analyze", "verify", "--man=no", "--recursive-errors=yes", unit)


def test_little_is_exposed(unit: Unit, tmp_path: Path) -> None:
    """The score of exposure is at most 2.0."""
    path = unit.rendered(tmp_path)
    told = told_by(
        "systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", path
    )
    assert unit.path.name in told


def test_the_user_and_the_folders_are_made(tmp_path: Path) -> None:
    """Sysusers makes the units' user, tmpfiles the folders, which nobody else can look into."""
    (tmp_path / "etc").mkdir()
    told_by("systemd-sysusers", f"--root={tmp_path}", FOLDER / "syncd.sysusers")
    made = {line.split(":")[0]: line for line in (tmp_path / "etc/passwd").read_text().splitlines()}
    users = {unit.one("User") for unit in UNITS} | {unit.one("Group") for unit in UNITS}
    assert users == {"syncd"} == set(made)
    assert made["syncd"].endswith(":/var/lib/syncd:/usr/sbin/nologin")
    lines = FOLDER.joinpath("syncd.tmpfiles").read_text()
    if os.getuid():
        # Nobody but root can give a folder away.
        me = pwd.getpwuid(os.getuid()).pw_uid, os.getgid()
        lines = re.sub(r"(07[05]0) \w+ +\w+", rf"\1 {me[0]} {me[1]}", lines)
    folders = tmp_path / "syncd.conf"
    folders.write_text(lines)
    told_by("systemd-tmpfiles", "--create", f"--root={tmp_path}", folders)
    modes = {
        str(path.relative_to(tmp_path)): f"{path.stat().st_mode & 0o777:o}"
        for path in (tmp_path / name for name in ("etc/syncd", "etc/credstore", "var/lib/syncd"))
    }
    assert modes == {"etc/syncd": "750", "etc/credstore": "700", "var/lib/syncd": "700"}
    assert (tmp_path / "etc/syncd/organizations").is_dir()
    if not os.getuid():
        assert str((tmp_path / "var/lib/syncd").stat().st_uid) == made["syncd"].split(":")[2]


def test_only_syncd_and_kill_are_called(unit: Unit) -> None:
    """Each command is the installed one with the configuration of /etc, or the reload's signal."""
    for name, lines in unit.commands().items():
        for words in lines:
            if name == "ExecReload":
                assert words == ["/bin/kill", "-HUP", "$MAINPID"]
            else:
                assert words[:3] == ["/opt/syncd/bin/syncd", "--config", "/etc/syncd/syncd.yaml"]


def test_credentials_have_the_names_that_the_settings_look_for(unit: Unit) -> None:
    """What is loaded, and what the comment suggests for an organization, is read by a setting."""
    daemon = {credential_name(key, None) for key, _ in secrets_of(DaemonSettings)}
    organization = {credential_name(key, "acme") for key, _ in secrets_of(OrganizationSettings)}
    organization |= {
        f"acme.PORTAL.{secret}" for _, _, secret in listed_secrets_of(OrganizationSettings)
    }
    suggested = set(KEPT_CREDENTIAL.findall(unit.text))
    assert set(unit.all("LoadCredential")) <= daemon
    if unit.path.name == "syncd.service":
        assert suggested == organization
        # The owner's URL is for the upgrade alone.
        assert set(unit.all("LoadCredential")) == daemon - {"store_migration_url"}


def test_the_end_waits_for_the_syncs_under_way() -> None:
    """The manager kills later than the daemon interrupts, and only what the daemon left over."""
    unit = next(unit for unit in UNITS if unit.path.name == "syncd.service")
    drain = DaemonSettings().sync.drain
    assert unit.seconds("TimeoutStopSec") >= drain + 20
    assert unit.one("KillMode") == "mixed"


def test_units_differ_only_in_what_they_do() -> None:
    """What holds the daemon in holds the upgrade in."""
    confining = {
        unit.path.name: unit.text.partition("NoNewPrivileges=")[2].partition("[Install]")[0]
        for unit in UNITS
    }
    lines = [
        {line for line in text.splitlines() if line and not line.startswith("#")}
        for text in confining.values()
    ]
    assert lines[0] == lines[1]
    assert len(lines[0]) > 25
