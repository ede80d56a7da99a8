"""Addresses of our own pages, behind whatever path the base URL has."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import yaml
from fastapi import Request

from syncd.app import App
from syncd.web.sign_in.visit import Visit

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("base_url", "before"),
    [("https://syncd.example.test", ""), ("https://example.test/people/", "/people")],
)
def test_addresses(base_url: str, before: str, tmp_path: Path) -> None:
    """They begin with the base URL's path, and what is not ours in them is escaped."""
    organization = {"organization": {"id": "acme", "name": "Acme"}, "provider": "admin"}
    (tmp_path / "acme.yaml").write_text(yaml.safe_dump(organization))
    config = tmp_path / "syncd.yaml"
    daemon = {"organizations": "acme.yaml", "http": {"base_url": base_url}}
    config.write_text(yaml.safe_dump(daemon))
    scope = {"type": "http", "headers": [(b"host", b"evil.example.test")], "path": "/x"}
    with closing(App.load(str(config), environ={})) as app:
        visit = Visit.of(app, Request(scope))
        assert visit.at() == f"{before}/"
        assert visit.at("sign-in", "acme") == f"{before}/sign-in/acme"
        assert visit.at("a/b?", state="c&d") == f"{before}/a%2Fb%3F?state=c%26d"
