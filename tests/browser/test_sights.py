"""Every page, measured in Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.browser.accessibility import faults
from tests.browser.sights import sights

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.browser.world import BrowserWorld

BENT = """<html><head><title> </title><style>p{color:#999;width:90em}*{outline:0!important}</style>
<body style="background:#fff"><h2>Sign in</h2><p id="a">Pale</p><b id="a">twice</b>
<input name="user" aria-invalid="true" aria-describedby="none"
 style="border:0;height:9px;background:#fff"><button style="width:9px"></button>"""


def test_every_page_is_accessible(world: BrowserWorld, chromium: Browser, page: Page) -> None:
    """In light and dark, on a phone and at 400 %: contrast, labels, headings, focus, sizes."""
    found = {name: faults(page) for name in sights(world, chromium, page)}
    assert len(found) > 10
    assert not {name: each for name, each in found.items() if each}


def test_the_measure_finds_what_is_wrong(page: Page) -> None:
    """A page that is bent in every way is told of in every way."""
    page.set_content(BENT)
    told = {each.split()[1] if ":" in each.split()[0] else each.split()[0] for each in faults(page)}
    assert told == {
        *("1.3.1", "1.3.5", "1.4.3", "1.4.4", "1.4.10", "1.4.11"),
        *("2.4.2", "2.4.7", "2.5.8", "3.1.1", "3.3.1", "3.3.2", "4.1.1", "4.1.2"),
    }
