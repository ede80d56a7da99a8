"""The three directories, each started once a process, and a company in one of them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.acceptance.preloaded import Commands
from tests.directories.company import Company
from tests.directories.directory import EVERY
from tests.directories.ds389 import Ds389
from tests.directories.openldap import OpenLdap
from tests.directories.samba import Samba
from tests.servers.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.directories.directory import Directory


class MakeCompany(Protocol):
    """Makes companies of one directory, each with a store of its own."""

    def __call__(self) -> Company:
        """Make one."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Refuse the mark of a rule that names a directory on which its test does not run."""
    servers = set(EVERY)
    for mark in metafunc.definition.iter_markers("parametrize"):
        if mark.args[0] == "directory":
            servers = set(mark.args[1])
    for mark in metafunc.definition.iter_markers("rule"):
        claimed = set(mark.kwargs["server"].split())
        if not claimed <= servers:
            message = f"{metafunc.definition.nodeid} does not run on {claimed - servers}"
            raise pytest.UsageError(message)


@pytest.fixture(scope="session")
def openldap() -> Iterator[Directory]:
    """An OpenLDAP server."""
    with OpenLdap.running() as directory:
        yield directory


@pytest.fixture(scope="session", name="samba_directory")
def samba(samba_template: Path) -> Iterator[Directory]:
    """An Active Directory domain."""
    with Samba.running(samba_template) as directory:
        yield directory


@pytest.fixture(scope="session", name="ds389_directory")
def ds389(ds389_template: Path) -> Iterator[Directory]:
    """A 389 Directory Server."""
    with Ds389.running(ds389_template) as directory:
        yield directory


@pytest.fixture(params=EVERY)
def directory(request: pytest.FixtureRequest) -> Directory:
    """Each of the directories in turn."""
    fixtures = {"openldap": "openldap", "samba": "samba_directory", "389ds": "ds389_directory"}
    found: Directory = request.getfixturevalue(fixtures[request.param])
    return found


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """The process that commands are forked from."""
    with Commands(tmp_path_factory.mktemp("commands")) as process:
        yield process


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The PEM of an authority to trust."""
    return Authority(tmp_path_factory.mktemp("authority")).pem


@pytest.fixture
def make_company(
    directory: Directory,
    commands: Commands,
    sqlite_template: Path,
    tmp_path: Path,
    certificate: str,
) -> MakeCompany:
    """Make companies in the directory."""

    def make() -> Company:
        folder = tmp_path / f"company-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        shutil.copy(sqlite_template, folder / "store.db")
        url = f"sqlite:///{folder}/store.db"
        return Company(directory, folder, url, commands, certificate)

    return make


@pytest.fixture
def company(make_company: MakeCompany) -> Company:
    """An empty company in each of the directories in turn."""
    return make_company()
