"""Providers on loopback for the tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.oidc.keeping import ONLY_FIRST, World
from tests.integration.oidc.reaching import BODY, NAME
from tests.servers.answering import AnsweringServer, answer
from tests.servers.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def nobody_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A system without authorities of its own: reading the real ones takes most of a test."""
    (tmp_path / "none.pem").write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that the organization trusts."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def certificate(authority: Authority) -> tuple[Path, Path]:
    """A certificate for the provider's name, for localhost, and for its address."""
    return authority.issue("login", names=f"DNS:{NAME},DNS:localhost,IP:127.0.0.1")


@pytest.fixture
def server(certificate: tuple[Path, Path]) -> Iterator[AnsweringServer]:
    """A provider that answers as it should until a test says otherwise."""
    with AnsweringServer(answer(BODY), certificate) as running:
        yield running


@pytest.fixture
def world() -> Iterator[World]:
    """A provider with the first key, and an empty cache."""
    with AnsweringServer(ONLY_FIRST) as running:
        yield World(running)
