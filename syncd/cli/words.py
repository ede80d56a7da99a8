"""How numbers, times and foreign text are written for people."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

# Control characters would move the cursor or recolour the terminal, and the bidirectional ones
# make a name read as another: a directory's text must not be able to do either.
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    """Return text with its control characters written out as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return UNSEEN.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def cells(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(_cell(character) for character in text)


def _cell(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Cf", "Me", "Mn"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shorten(text: str, width: int) -> str:
    """Cut a text to ``width`` columns, the last of them an ellipsis."""
    return text if cells(text) <= width else take(text, width - 1) + "…"


def take(text: str, width: int) -> str:
    """Return the beginning of a text that fits ``width`` columns."""
    used = 0
    for at, character in enumerate(text):
        used += _cell(character)
        if used > width:
            return text[:at]
    return text


def number(value: float) -> str:
    """Return a number with its thousands parted."""
    return f"{value:,}"


def count(value: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: ``1 role``, ``1,204 people``."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def seconds(value: float) -> str:
    """Return a duration: ``0.4 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if value < 59.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def size(value: float) -> str:
    """Return a size in bytes as ``93 MB``."""
    return f"{value / 1_000_000:,.0f} MB"


def parse_time(value: str | None) -> datetime | None:
    """Return the moment of an ISO 8601 text, or nothing when it is none."""
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def moment(value: str | None) -> str:
    """Return a time of a report as ``2026-03-01 14:05 UTC``; what is no time, as it is."""
    parsed = parse_time(value)
    if parsed is None:
        return value or ""
    return parsed.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def listed(names: Sequence[str], limit: int = 5) -> str:
    """Return names in a row, the later ones only counted."""
    if len(names) <= limit:
        return ", ".join(names)
    return f"{', '.join(names[:limit])} and {number(len(names) - limit)} more"


def sentence(text: str) -> str:
    """Return text that ends as a sentence does."""
    text = text.strip()
    return text if not text or text[-1] in ".!?:" else f"{text}."
