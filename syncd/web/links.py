"""The pages behind links that were sent by mail: plain HTML, no script, nothing from elsewhere.

Opening a link changes nothing, because mail servers open links as well; its button does.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from syncd import logging
from syncd.errors import NotFound, Refused, StoreUnavailable, SyncdError

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.web.serving import Serving

FORM_LIMIT: Final = 16 * 1024
STYLE: Final = (
    "body{font:1.1em/1.5 sans-serif;max-width:32em;margin:3em auto;padding:0 1em}"
    "label{display:block;margin-top:1em}"
    "input,button{font:inherit;padding:.4em;width:100%;box-sizing:border-box;margin-top:.3em}"
    "button{margin-top:1.5em}[role=alert]{border-left:.3em solid;padding-left:.7em}"
)
_HASH: Final = b64encode(sha256(STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
}
_TITLES: Final = {
    "invitation": "Welcome to {organization}",
    "verification": "Confirm your e-mail address",
    "password": "Choose a new password",
}
_DONE: Final = {
    "invitation": "Your account {username} is ready. You can close this page.",
    "verification": "Your e-mail address is confirmed. You can close this page.",
    "password": "Your new password is set. You can close this page.",
}


def links(serving: Serving) -> APIRouter:
    """Return the routes of the pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/links/{secret}")
    def show(secret: str) -> HTMLResponse:
        """Say what a link is for."""
        return _answered(lambda: _form(serving.app.link(secret)))

    @router.post("/links/{secret}")
    async def use(secret: str, request: Request) -> HTMLResponse:
        """Do what a link is for."""
        fields = await _fields(request)
        if fields is None:
            return _page("This form is too large", "", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return await run_in_threadpool(_used, serving, secret, fields)

    return router


def _used(serving: Serving, secret: str, fields: dict[str, str]) -> HTMLResponse:
    def use() -> HTMLResponse:
        told = serving.app.link(secret)
        password = fields.get("password") if told["needs_password"] else None
        if told["needs_password"] and password != fields.get("again"):
            return _form(told, "The two passwords differ.")
        try:
            done = serving.app.redeem_link(secret, password)
        except Refused as error:
            if error.reason != "invalid":
                raise
            return _form(told, str(error))
        sentence = _DONE[done["purpose"]].format(username=done["username"])
        return _page(_title(told), f"<p>{escape(sentence)}</p>")

    return _answered(use)


def _answered(call: Callable[[], HTMLResponse]) -> HTMLResponse:
    try:
        return call()
    except NotFound as error:
        return _problem("There is no such link", error, HTTPStatus.NOT_FOUND)
    except Refused as error:
        return _problem("This link does not work any more", error, HTTPStatus.GONE)
    except StoreUnavailable:
        sentence = "<p>Please try again in a few minutes.</p>"
        return _page("Not available at the moment", sentence, HTTPStatus.SERVICE_UNAVAILABLE)
    except SyncdError as error:
        logging.get_logger().error("a link failed", action="link_failed", exc_info=error)
        sentence = "<p>Please tell whoever sent you the link.</p>"
        return _page("It failed here", sentence, HTTPStatus.INTERNAL_SERVER_ERROR)


def _form(told: dict[str, Any], wrong: str | None = None) -> HTMLResponse:
    """Return the page with the one button; ``wrong`` says what was wrong at the first try."""
    parts = [f'<p role="alert">{escape(_sentence(wrong))}</p>'] if wrong else []
    parts.append(
        f"<p>{escape(str(told['organization_name']))}: account "
        f"<strong>{escape(str(told['username']))}</strong>, {escape(str(told['email']))}.</p>"
    )
    parts.append('<form method="post">')
    if told["needs_password"]:
        parts.append(
            f'<input type="hidden" name="username" autocomplete="username" '
            f'value="{escape(str(told["username"]))}">'
            '<label for="password">New password</label>'
            '<input id="password" name="password" type="password" required '
            'autocomplete="new-password">'
            '<label for="again">The same once more</label>'
            '<input id="again" name="again" type="password" required autocomplete="new-password">'
        )
    word = "Set the password" if told["needs_password"] else "Confirm"
    parts.append(f'<button type="submit">{word}</button></form>')
    status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
    return _page(_title(told), "".join(parts), status)


def _title(told: dict[str, Any]) -> str:
    return _TITLES[told["purpose"]].format(organization=told["organization_name"])


def _problem(title: str, error: SyncdError, status: HTTPStatus) -> HTMLResponse:
    return _page(title, f"<p>{escape(_sentence(str(error)))}</p>", status)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _page(title: str, body: str, status: HTTPStatus = HTTPStatus.OK) -> HTMLResponse:
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return HTMLResponse(html, status, headers=HEADERS)


async def _fields(request: Request) -> dict[str, str] | None:
    """Return what a form has; None when it is too large to be one."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_LIMIT:
            return None
    try:
        found = parse_qs(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=10
        )
    except ValueError:
        return {}
    return {name: values[-1] for name, values in found.items()}
