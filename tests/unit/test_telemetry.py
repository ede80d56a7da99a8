"""What the metrics are told of a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from syncd.ldap.validity import first_end
from syncd.metrics import Configured
from syncd.settings import load
from syncd.telemetry import configured
from tests.servers.authority import Authority

if TYPE_CHECKING:
    from pathlib import Path

LDAP = {
    "connection_url": "ldaps://ldap.example.test",
    "bind_type": "anonymous",
    "users_dn": "ou=people,dc=example,dc=test",
    "import_roles": {"roles_dn": "ou=roles,dc=example,dc=test"},
}


def _configured(folder: Path, **organization: Any) -> tuple[Configured, ...]:
    (folder / "organizations").mkdir()
    document = {"organization": {"id": "acme", "name": "Acme"}, **organization}
    (folder / "organizations" / "acme.yaml").write_text(yaml.safe_dump(document))
    (folder / "syncd.yaml").write_text(yaml.safe_dump({"organizations": "organizations/*.yaml"}))
    return configured(load(str(folder / "syncd.yaml"), {}))


def test_a_directory_has_both_modes_and_the_end_of_its_trust(tmp_path: Path) -> None:
    """An organization with a directory is told with its modes and its first certificate's end."""
    authority = Authority(tmp_path / "tls")
    short, _ = authority.issue("short", days=2)
    pems = [str(authority.certificate), short.read_text()]
    assert _configured(tmp_path, provider="ldap", ldap=LDAP, certificates=pems) == (
        Configured(
            id="acme", modes=("full", "changed"), trust_not_after=first_end(short.read_text())
        ),
    )


@pytest.mark.parametrize("certificates", [[], None])
def test_without_a_directory_there_are_no_syncs(tmp_path: Path, certificates: Any) -> None:
    """Nobody is alarmed by a sync that cannot happen, or by trust that nobody configured."""
    extra = {} if certificates is None else {"certificates": certificates}
    found = _configured(tmp_path, provider="admin", **extra)
    assert found == (Configured(id="acme", modes=(), trust_not_after=None),)
