"""What the metrics are told of a configuration."""

from __future__ import annotations

from dataclasses import replace
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
    (found,) = _configured(tmp_path, provider="ldap", ldap=LDAP, certificates=pems)
    assert {"wrong_password", "locked", "directory_unavailable"} <= set(found.sign_in_reasons)
    assert replace(found, sign_in_reasons=()) == Configured(
        id="acme", modes=("full", "changed"), trust_not_after=first_end(short.read_text())
    )


IDP = {
    "issuer": "https://login.example.test",
    "client_id": "syncd",
    "client_secret": "secret",
    "authorization_url": "https://login.example.test/authorize",
    "token_url": "https://login.example.test/token",
    "jwks_url": "https://login.example.test/jwks",
}


@pytest.mark.parametrize("audience", [None, "https://syncd.example.test/api"])
def test_an_identity_provider_has_reasons_and_no_modes(
    tmp_path: Path, audience: str | None
) -> None:
    """Why keys may fail is known in advance, and why tokens may where the API takes them."""
    idp = IDP if audience is None else IDP | {"api_audience": audience}
    (found,) = _configured(tmp_path, provider="idp", idp=idp)
    assert found.modes == ()
    assert {"unreachable", "timeout"} <= set(found.fetch_reasons)
    assert "none" not in found.fetch_reasons
    assert {"access_denied", "provider_unavailable"} <= set(found.sign_in_reasons)
    assert "wrong_password" not in found.sign_in_reasons
    wanted = {"expired", "bad_signature", "unknown_person", "shut_out"}
    assert wanted <= set(found.token_reasons) if audience else not found.token_reasons


@pytest.mark.parametrize("certificates", [[], None])
def test_without_a_directory_there_are_no_syncs(tmp_path: Path, certificates: Any) -> None:
    """Nobody is alarmed by a sync that cannot happen, or by trust that nobody configured."""
    extra = {} if certificates is None else {"certificates": certificates}
    (found,) = _configured(tmp_path, provider="admin", **extra)
    reasons = ("unknown_user", "wrong_password", "disabled", "too_many_attempts")
    assert found == Configured(id="acme", modes=(), sign_in_reasons=reasons, trust_not_after=None)
