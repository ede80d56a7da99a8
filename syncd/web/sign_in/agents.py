"""Names browsers in a few words, so that people know their sessions apart."""

from __future__ import annotations

from typing import Final

# The first that fits counts: most browsers also name those that they are like.
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("Windows", "Windows"),
    ("iPhone", "an iPhone"),
    ("iPad", "an iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def browser_name(agent: str) -> str:
    """Return what a User-Agent is called; nothing of its text is repeated."""
    browser = next((name for sign, name in _BROWSERS if sign in agent), "Another browser")
    system = next((name for sign, name in _SYSTEMS if sign in agent), None)
    return browser if system is None else f"{browser} on {system}"
