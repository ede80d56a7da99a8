"""Nested values as an indented outline that is also YAML."""

from __future__ import annotations

import json
import re

PLAIN = re.compile(r"[A-Za-z0-9_/.$][A-Za-z0-9_/.@+=,() -]*(:[A-Za-z0-9_/.@+=,()-]+)*\Z")
# Words and numbers that YAML would read as something other than text.
READ_OTHERWISE = re.compile(
    r"(?i:null|true|false|yes|no|on|off|y|n|~)\Z|[-+.]?[0-9][0-9_.:,exob+-]*\Z", re.IGNORECASE
)


def outline(value: object, indent: int = 0) -> list[str]:
    """Return the lines of a value."""
    space = " " * indent
    if isinstance(value, dict) and value:
        lines = []
        for key, each in value.items():
            if isinstance(each, dict | list) and each and not _short(each):
                lines += [f"{space}{scalar(key)}:", *outline(each, indent + 2)]
            else:
                lines.append(f"{space}{scalar(key)}: {scalar(each)}")
        return lines
    if isinstance(value, list) and value:
        lines = []
        for each in value:
            inner = outline(each, indent + 2)
            lines += [f"{space}- {inner[0].lstrip()}", *inner[1:]]
        return lines
    return [space + scalar(value)]


def _short(value: object) -> bool:
    """Tell whether a list is better read on one line."""
    return (
        isinstance(value, list)
        and all(not isinstance(each, dict | list) for each in value)
        and len(scalar(value)) <= 60
    )


def scalar(value: object) -> str:
    """Return a value on one line, quoted where YAML asks for it."""
    if isinstance(value, str):
        if PLAIN.match(value) and not value.endswith(" ") and not READ_OTHERWISE.match(value):
            return value
        return _quoted(value)
    if isinstance(value, list):
        return f"[{', '.join(_flow(each) for each in value)}]"
    return json.dumps(value, ensure_ascii=False, default=str)


def _flow(value: object) -> str:
    text = scalar(value)
    if isinstance(value, str) and text == value and set(value) & set(",[]{}"):
        return _quoted(value)
    return text


def _quoted(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    if quoted.isprintable():
        return quoted
    return "".join(each if each.isprintable() else _escape(ord(each)) for each in quoted)


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
