"""The frame of every page: one look in light and dark, no script, nothing from elsewhere."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from fastapi.responses import HTMLResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

STYLE: Final = (
    ":root{color-scheme:light dark;--ground:#f3f4f6;--card:#fff;--ink:#1b1f24;--soft:#57606a;"
    "--line:#6e7781;--act:#0b57d0;--on:#fff;--wrong:#b3261e}"
    "@media(prefers-color-scheme:dark){:root{--ground:#0f1318;--card:#1a2027;--ink:#e9edf1;"
    "--soft:#a9b4c0;--line:#7d8996;--act:#8ab4f8;--on:#0b1a33;--wrong:#f2b8b5}}"
    "*{box-sizing:border-box}"
    "body{margin:0;padding:2em 1em;background:var(--ground);color:var(--ink);"
    "font:1.05em/1.5 system-ui,sans-serif;overflow-wrap:anywhere}"
    "main{max-width:28em;margin:0 auto;padding:1.5em;background:var(--card);border-radius:.6em}"
    "h1{margin:0 0 .6em;font-size:1.5em;line-height:1.25}h2{margin:1.6em 0 .4em;font-size:1.15em}"
    "p{margin:.6em 0}a{color:var(--act)}"
    ".soft{color:var(--soft)}"
    "label{display:block;margin-top:1em;font-weight:600}"
    "input,button{width:100%;padding:.55em .7em;border:1px solid var(--line);border-radius:.35em;"
    "background:var(--card);color:var(--ink);font:inherit}"
    "input{margin-top:.3em}input[aria-invalid]{border-color:var(--wrong)}"
    "button{margin-top:1.3em;border-color:var(--act);background:var(--act);color:var(--on);"
    "font-weight:600;cursor:pointer}"
    "button.plain{background:var(--card);color:var(--act)}"
    ":focus-visible{outline:3px solid var(--act);outline-offset:2px}"
    "[role=alert]{border-left:.3em solid var(--wrong);padding-left:.7em}"
    "ul.rows{margin:0;padding:0;list-style:none}"
    ".rows li{padding:.8em 0;border-top:1px solid var(--line)}"
    ".rows button{margin-top:.6em}"
)
_HASH: Final = b64encode(sha256(STYLE.encode()).digest()).decode()
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


def page(
    title: str,
    body: str,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    wrong: bool = False,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Return a page; ``body`` is HTML already, ``wrong`` says so in the window's title."""
    shown = f"Error: {title}" if wrong else title
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(shown)}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return HTMLResponse(
        html, status, headers={"Content-Security-Policy": POLICY} | dict(headers or {})
    )


def sentence(text: str) -> str:
    """Return an error's message as a sentence of a page, escaped."""
    return escape(text[:1].upper() + text[1:].rstrip(".") + ".")


def alert(text: str) -> str:
    """Return the paragraph that says what was wrong, and is read out first."""
    return f'<p role="alert" id="wrong">{sentence(text)}</p>'
