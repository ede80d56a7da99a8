"""Chromium, and a syncd that it reaches over TLS; both are started once for all tests here."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.world import BrowserWorld
from tests.servers.authority import ToolError, program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

# Only this machine, nothing in the background, and no sandbox, which containers have no room for.
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # Letters with grey edges make smaller pictures than those with coloured ones.
    *("--disable-dev-shm-usage", "--disable-lcd-text"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)


# As long as a busy machine may need.
PATIENCE = 20_000
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def world(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[BrowserWorld]:
    """A running syncd with everything around it."""
    folder = tmp_path_factory.mktemp("browser")
    shutil.copy(sqlite_template, folder / "store.db")
    with BrowserWorld(folder / "syncd", f"sqlite:///{folder}/store.db") as made:
        yield made


def executable() -> str:
    """Return Chromium without a desktop, or the whole one."""
    try:
        return program("chromium-headless-shell")
    except ToolError:
        return program("chromium")


@pytest.fixture(scope="session")
def chromium(world: BrowserWorld) -> Iterator[Browser]:
    """A running Chromium that trusts that syncd's certificate and no other."""
    trusted = f"--ignore-certificate-errors-spki-list={world.trusted_key}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable(), args=[*ARGUMENTS, trusted]
        )
        yield browser
        browser.close()


class OpenContext(Protocol):
    """Opens browsers that share nothing."""

    def __call__(self, **options: Any) -> BrowserContext:
        """Open one, with playwright's options for a context."""


@pytest.fixture
def open_context(world: BrowserWorld, chromium: Browser) -> Iterator[OpenContext]:
    """Browsers of this test's own; what their pages complain of fails the test."""
    opened: list[BrowserContext] = []
    complaints: list[str] = []

    def make(**options: Any) -> BrowserContext:
        context = chromium.new_context(**{"base_url": world.url, **options})
        context.set_default_timeout(PATIENCE)
        opened.append(context)

        def complain(message: Any) -> None:
            # Answers that are no success are told on the console, too.
            ours = message.location["url"].startswith(world.url)
            if ours and "Failed to load resource" not in message.text:
                complaints.append(message.text)

        context.on("console", complain)
        return context

    yield make
    for context in opened:
        context.close()
    assert not complaints


@pytest.fixture
def page(open_context: OpenContext) -> Page:
    """A page of a browser of this test's own."""
    return open_context().new_page()
