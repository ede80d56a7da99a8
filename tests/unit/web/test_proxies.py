"""Who asks, by what proxies say that are trusted, and by what anybody can write."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from syncd.settings import load
from syncd.web.proxies import Proxies
from syncd.web.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRUSTED = ["10.0.0.0/8", "fd00::/8", "127.0.0.1"]


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A process' serving, with trusted proxies."""
    folder: Path = tmp_path_factory.mktemp("proxies")
    (folder / "acme.yaml").write_text(
        yaml.safe_dump({"organization": {"id": "acme", "name": "Acme"}, "provider": "admin"})
    )
    config = folder / "syncd.yaml"
    document = {
        "organizations": "acme.yaml",
        "store": {"url": f"sqlite:///{folder}/store.db"},
        "http": {"trusted_proxies": TRUSTED},
    }
    config.write_text(yaml.safe_dump(document))
    with closing(Serving(load(str(config), {}))) as made:
        yield made


def seen(serving: Serving, peer: str, *lines: tuple[str, str]) -> tuple[str, str]:
    """Return the client's address and the scheme that an application sees."""
    found: dict[str, Any] = {}

    async def application(scope: Any, receive: Any, send: Any) -> None:
        found.update(scope)

    scope = {
        "type": "http",
        "scheme": "http",
        "client": (peer, 50_000),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in lines],
    }
    asyncio.run(Proxies(application, serving)(scope, None, None))  # type: ignore[arg-type]
    return found["client"][0], found["scheme"]


@pytest.mark.rule("H5", server="pure")
@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.1", ["198.51.100.1"], "203.0.113.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        # Of several, what the nearest proxies wrote; a client may write whatever it likes before.
        ("10.0.0.1", ["127.0.0.1, 1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        ("10.0.0.1", ["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["2001:DB8:0::1"], "2001:db8::1"),
        ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("fd00::1", ["198.51.100.1"], "198.51.100.1"),
        # What cannot be read is not believed, nor what stands before it.
        ("10.0.0.1", ["1.1.1.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1, _hidden, 10.3.3.3"], "10.3.3.3"),
        ("10.0.0.1", ["<script>"], "10.0.0.1"),
        ("10.0.0.1", ["\xe4, , ,"], "10.0.0.1"),
        ("10.0.0.1", [", ".join(["1.1.1.1"] + ["10.4.4.4"] * 500)], "10.4.4.4"),
    ],
)
def test_the_client(serving: Serving, peer: str, forwarded: list[str], client: str) -> None:
    """It is the nearest that is no trusted proxy."""
    lines = [("x-forwarded-for", each) for each in forwarded]
    assert seen(serving, peer, *lines)[0] == client


@pytest.mark.rule("H5", server="pure")
@pytest.mark.parametrize(
    ("peer", "told", "scheme"),
    [
        ("10.0.0.1", ["https"], "https"),
        ("10.0.0.1", ["http, HTTPS"], "https"),
        ("10.0.0.1", ["https", "http"], "http"),
        ("10.0.0.1", ["gopher"], "http"),
        ("10.0.0.1", [], "http"),
        ("203.0.113.1", ["https"], "http"),
    ],
)
def test_the_scheme(serving: Serving, peer: str, told: list[str], scheme: str) -> None:
    """It is what the nearest trusted proxy says."""
    assert seen(serving, peer, *(("x-forwarded-proto", each) for each in told))[1] == scheme
