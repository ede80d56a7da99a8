"""What ``syncd check`` says of the addresses that an identity provider has to be told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import yaml

from syncd.cli.render.configuration import check_blocks
from syncd.doctor import check
from syncd.settings import load
from tests.unit.cli.test_render import shown

if TYPE_CHECKING:
    from pathlib import Path

IDP = {
    "issuer": "https://login.example.test",
    "client_id": "syncd",
    "client_secret": "secret",
    "authorization_url": "https://login.example.test/authorize",
    "token_url": "https://login.example.test/token",
    "jwks_url": "https://login.example.test/jwks",
}
BASE = "https://syncd.example.test/people"


def _checked(folder: Path, base_url: str, **organization: Any) -> dict[str, Any]:
    (folder / "organizations").mkdir(exist_ok=True)
    document = {"organization": {"id": "acme", "name": "Acme"}, **organization}
    (folder / "organizations" / "acme.yaml").write_text(yaml.safe_dump(document))
    (folder / "syncd.yaml").write_text(yaml.safe_dump({"http": {"base_url": base_url}}))
    settings = load(str(folder / "syncd.yaml"), {})
    return check(settings, connect=False, clock=lambda: datetime.now(UTC))


def test_a_provider_is_told_three_addresses(tmp_path: Path) -> None:
    """They start with the base URL, and are there before the provider is the active one."""
    for provider in ("idp", "admin"):
        report = _checked(tmp_path, f"{BASE}/", provider=provider, idp=IDP)
        (organization,) = report["organizations"]
        assert organization["register"] == {
            "redirect_uri": f"{BASE}/sign-in/acme/callback",
            "backchannel_logout_uri": f"{BASE}/sign-in/acme/backchannel-logout",
            "post_logout_redirect_uri": f"{BASE}/signed-out",
        }
        text = shown(check_blocks(report))
        assert f"Redirect URI              {BASE}/sign-in/acme/callback\n" in text
        assert f"Back-channel logout URI   {BASE}/sign-in/acme/backchannel-logout\n" in text


def test_without_a_provider_nothing_is_to_be_registered(tmp_path: Path) -> None:
    """And a base URL that browsers keep no session at is a warning."""
    report = _checked(tmp_path, "http://syncd.example.test", provider="admin")
    assert report["organizations"][0]["register"] is None
    (warning,) = [each for each in report["warnings"] if "base_url" in each]
    assert "is not https: passwords travel in the clear, and browsers keep no session" in warning
