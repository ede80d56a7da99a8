"""What browsers are called."""

from __future__ import annotations

import pytest

from syncd.web.sign_in.agents import browser_name

CHROME = "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (CHROME.format("X11; Linux x86_64"), "Chrome on Linux"),
        (CHROME.format("Linux; Android 16; Pixel"), "Chrome on Android"),
        (CHROME.format("X11; CrOS x86_64 1"), "Chrome on ChromeOS"),
        (CHROME.format("Windows NT 10.0") + " Edg/156.0", "Edge on Windows"),
        (CHROME.format("Macintosh; Intel Mac OS X 10_15_7") + " OPR/1", "Opera on macOS"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 "
            "(KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
            "Safari on an iPhone",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Firefox on Linux",
        ),
        ("curl/8.1", "Another browser"),
        ("<script>", "Another browser"),
        ("", "Another browser"),
    ],
)
def test_the_name(agent: str, name: str) -> None:
    """It is that of the browser and its system, and repeats nothing of what was sent."""
    assert browser_name(agent) == name
