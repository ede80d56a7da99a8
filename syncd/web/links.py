"""The pages behind links that were sent by mail: plain HTML, no script, nothing from elsewhere.

Opening a link changes nothing, because mail servers open links as well; its button does.
"""

from __future__ import annotations

from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from syncd import logging
from syncd.errors import NotFound, Refused, StoreUnavailable, SyncdError
from syncd.web.forms import TooLarge, fields
from syncd.web.frame import alert, page, sentence

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.web.serving import Serving

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
        try:
            given = await fields(request)
        except TooLarge:
            return page("This form is too large", "", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return await run_in_threadpool(_used, serving, secret, given)

    return router


def _used(serving: Serving, secret: str, given: dict[str, str]) -> HTMLResponse:
    def use() -> HTMLResponse:
        told = serving.app.link(secret)
        password = given.get("password") if told["needs_password"] else None
        if told["needs_password"] and password != given.get("again"):
            return _form(told, "The two passwords differ.")
        try:
            done = serving.app.redeem_link(secret, password)
        except Refused as error:
            if error.reason != "invalid":
                raise
            return _form(told, str(error))
        done_now = _DONE[done["purpose"]].format(username=done["username"])
        return page(_title(told), f"<p>{escape(done_now)}</p>")

    return _answered(use)


def _answered(call: Callable[[], HTMLResponse]) -> HTMLResponse:
    try:
        return call()
    except NotFound as error:
        return _problem("There is no such link", error, HTTPStatus.NOT_FOUND)
    except Refused as error:
        return _problem("This link does not work any more", error, HTTPStatus.GONE)
    except StoreUnavailable:
        again = "<p>Please try again in a few minutes.</p>"
        return page("Not available at the moment", again, HTTPStatus.SERVICE_UNAVAILABLE)
    except SyncdError as error:
        logging.get_logger().error("a link failed", action="link_failed", exc_info=error)
        tell = "<p>Please tell whoever sent you the link.</p>"
        return page("It failed here", tell, HTTPStatus.INTERNAL_SERVER_ERROR)


def _form(told: dict[str, Any], wrong: str | None = None) -> HTMLResponse:
    """Return the page with the one button; ``wrong`` says what was wrong at the first try."""
    parts = [alert(wrong)] if wrong else []
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
    return page(_title(told), "".join(parts), status, wrong=wrong is not None)


def _title(told: dict[str, Any]) -> str:
    return _TITLES[told["purpose"]].format(organization=told["organization_name"])


def _problem(title: str, error: SyncdError, status: HTTPStatus) -> HTMLResponse:
    return page(title, f"<p>{sentence(str(error))}</p>", status)
