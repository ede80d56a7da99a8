from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from syncd.daemon.reload import Watch
from syncd.daemon.timetables import changed_organizations, timetables
from syncd.settings import Settings, load

if TYPE_CHECKING:
    from pathlib import Path

LDAP: dict[str, Any] = {
    "connection_url": ["ldaps://one.example.org", "ldap://Two.example.org:1389"],
    "bind_dn": "cn=reader",
    "bind_credential_file": "bind.secret",
    "certificate_trust": "with_system",
    "users_dn": "ou=people",
}


class Folder:
    """A configuration in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "organizations").mkdir()
        (path / "syncd.yaml").write_text("store: {url: 'sqlite:///store.db'}\n")
        (path / "organizations" / "bind.secret").write_text("hidden-bind-password\n")
        self.write("acme")

    def write(self, name: str, mappers: Any = (), **ldap: Any) -> None:
        """Write an organization's file; keywords are keys of its directory."""
        document = {
            "organization": {"id": name, "name": name},
            "provider": "ldap",
            "ldap": LDAP | ldap,
            "mappers": list(mappers),
        }
        (self.path / "organizations" / f"{name}.yaml").write_text(yaml.safe_dump(document))

    def load(self) -> Settings:
        """Read it."""
        return load(str(self.path / "syncd.yaml"), {}, container_secrets=self.path / "none")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """One organization, with its password in a file."""
    return Folder(tmp_path)


def test_a_snapshot_of_the_settings_travels_with_its_secrets(folder: Folder) -> None:
    """A worker gets what the supervisor read, and the secrets stay hidden when shown."""
    settings = folder.load()
    copy: Settings = pickle.loads(pickle.dumps(settings))  # noqa: S301 - made a moment ago
    assert copy.daemon == settings.daemon
    assert copy.organizations == settings.organizations
    ldap = copy.organizations["acme"].ldap
    assert ldap is not None
    assert ldap.bind_credential is not None
    assert ldap.bind_credential.get_secret_value() == "hidden-bind-password"
    assert "hidden-bind-password" not in repr(copy)


def test_timetables_say_when_and_where(folder: Folder) -> None:
    """Rhythms by mode, and every server that a run may search."""
    folder.write("second", full_sync_at="30 2 * * *", periodic_changed_users_sync=False)
    found = timetables(folder.load())
    assert found["acme"].servers == {"one.example.org:636", "two.example.org:1389"}
    assert {mode: rhythm.period for mode, rhythm in found["acme"].rhythms.items()} == {
        "full": 86_400,
        "changed": 300,
    }
    assert {mode: rhythm.cron for mode, rhythm in found["second"].rhythms.items()} == {
        "full": "30 2 * * *"
    }


@pytest.mark.parametrize(
    ("change", "differ"),
    [
        ({"changed_sync_period": 60}, False),
        ({"read_timeout": 10}, False),
        ({"user_search_filter": "(l=here)"}, True),
        ({"users_dn": "ou=others"}, True),
        ({"trust_email": True}, True),
        ({"mappers": [{"name": "n", "type": "full-name"}]}, True),
        ({}, None),
    ],
)
def test_only_what_bears_on_people_asks_for_a_full_sync(
    folder: Folder, change: dict[str, Any], differ: object
) -> None:
    """Another filter or mapper may change everybody; another period changes nobody."""
    before = folder.load()
    folder.write("acme", **change)
    expected = {} if differ is None else {"acme": differ}
    assert changed_organizations(before, folder.load()) == expected


def test_every_file_of_the_configuration_is_watched(folder: Folder) -> None:
    """A file that is changed, replaced, added or removed is told once, when it stands still."""
    watch = Watch(folder.load())
    assert [watch.changed() for _ in range(3)] == [False] * 3
    organizations = folder.path / "organizations"

    def replace() -> None:
        (folder.path / "fresh").write_text("another-password\n")
        (folder.path / "fresh").rename(organizations / "bind.secret")

    for change in (
        lambda: (folder.path / "syncd.yaml").write_text("store: {url: 'sqlite:///s.db'}\n"),
        lambda: folder.write("acme", read_timeout=7),
        lambda: folder.write("added"),
        (organizations / "added.yaml").unlink,
        replace,
    ):
        change()
        assert [watch.changed() for _ in range(4)] == [False, True, False, False]
