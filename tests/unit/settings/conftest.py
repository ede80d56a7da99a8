from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from syncd.errors import ConfigurationError
from syncd.settings import OrganizationSettings, Settings, load

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LDAP = """\
organization: {id: acme, name: Acme Corp}
provider: ldap
ldap:
  connection_url: ldaps://ldap.example.org
  certificate_trust: with_system
  bind_dn: cn=reader,dc=example,dc=org
  bind_credential: hunter2
  users_dn: ou=users,dc=example,dc=org
"""


@dataclass
class Place:
    """A folder with a daemon's file and organizations' files, and how they are loaded."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def daemon(self, text: str) -> Path:
        """Write the daemon's file."""
        return self.write("syncd.yaml", text)

    def organization(self, text: str = LDAP, name: str = "acme") -> Path:
        """Write an organization's file."""
        return self.write(f"organizations/{name}.yaml", text)

    def ldap(self, *lines: str) -> Path:
        """Write the usual organization with further lines in its ``ldap`` section."""
        return self.organization(LDAP + "".join(f"  {line}\n" for line in lines))

    def write(self, name: str, text: str, mode: int = 0o600) -> Path:
        """Write any file, readable for its owner only."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def load(self, environ: Mapping[str, str] | None = None) -> Settings:
        """Load what was written."""
        if not (self.folder / "syncd.yaml").exists():
            self.daemon("")
        return load(
            str(self.folder / "syncd.yaml"),
            {**self.environ, **(environ or {})},
            container_secrets=self.folder / "run-secrets",
        )

    def acme(self, environ: Mapping[str, str] | None = None) -> OrganizationSettings:
        """Load what was written and return the usual organization."""
        return self.load(environ).organizations["acme"]

    def faults(self, environ: Mapping[str, str] | None = None) -> list[str]:
        """Return what is wrong, each fault as the command line shows it, without the folder."""
        with pytest.raises(ConfigurationError) as caught:
            self.load(environ)
        return [str(fault).replace(f"{self.folder}/", "") for fault in caught.value.faults]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return an empty place."""
    return Place(tmp_path)
