"""Makes the pictures of the documentation: `scripts/screenshots` runs this, no other run does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.sights import sights

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.conftest import OpenContext
    from tests.browser.world import BrowserWorld

FOLDER = Path(__file__).parents[2] / "docs" / "images"
SHOWN = {
    "sign-in-organization",
    "sign-in-password",
    "sign-in-provider",
    "sign-in-refused",
    "session",
    "signed-out",
}


def test_pictures(world: BrowserWorld, chromium: Browser, open_context: OpenContext) -> None:
    """Each page once in light and once in dark."""
    FOLDER.mkdir(exist_ok=True)
    page = open_context(viewport={"width": 560, "height": 200}).new_page()
    for name in sights(world, chromium, page):
        for scheme, ending in (("light", ""), ("dark", "-dark")):
            if name in SHOWN:
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                page.screenshot(path=FOLDER / f"{name}{ending}.png", full_page=True)
