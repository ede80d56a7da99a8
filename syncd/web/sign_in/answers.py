"""Every answer of the pages goes this way: cookies are given, and errors become pages."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from starlette.responses import RedirectResponse

from syncd import logging
from syncd.errors import (
    DirectoryError,
    NotFound,
    ProviderUnavailable,
    Refused,
    SignInRefused,
    StoreError,
    SyncdError,
    TooManyAttempts,
)
from syncd.web.frame import alert, page
from syncd.web.sign_in import cookies, pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response

    from syncd.web.sign_in.visit import Visit

# What cannot be had at the moment; it says nothing about the person.
AWAY: Final = (ProviderUnavailable, DirectoryError, StoreError)
REFUSED: Final = (
    "You could not be signed in: perhaps it took longer than ten minutes, or your account may not "
    "be used here"
)
NOT_NOW: Final = "This is not available at the moment. Please try again in a few minutes"
NO_FORM: Final = (
    "This form is too old, or your browser keeps no cookies for this site. Please allow them and "
    "send it again"
)
_SECONDS: Final = 60


def answered(visit: Visit, call: Callable[[], Response]) -> Response:
    """Return what a call returns, or the page of its error; a new browser gets its cookie."""
    try:
        response = call()
    except Exception as error:  # noqa: BLE001 - nobody else would tell it as a page
        response = failed(error)
    if not visit.known and visit.may_have_cookie:
        cookies.keep(response, cookies.VISIT, visit.browser)
    return response


def failed(error: Exception) -> Response:
    """Return the page of an error that no other page tells of."""
    if isinstance(error, NotFound):
        return nothing_here()
    if isinstance(error, Refused) and error.reason == "unknown_portal":
        return unknown_portal()
    if isinstance(error, TooManyAttempts):
        return page(
            "Too many attempts",
            alert(too_many(error)) + pages.reference_line(reference(error)),
            HTTPStatus.TOO_MANY_REQUESTS,
            wrong=True,
            headers=retry_after(error),
        )
    if isinstance(error, AWAY):
        _log(error, "page_unavailable")
        title, text, status = "Not available", NOT_NOW, HTTPStatus.SERVICE_UNAVAILABLE
    elif isinstance(error, SignInRefused):
        title, text, status = "You are not signed in", REFUSED, HTTPStatus.FORBIDDEN
    else:
        _log(error, "internal_error")
        title, status = "It failed here", HTTPStatus.INTERNAL_SERVER_ERROR
        text = "Please tell your administrator when it happened; the log says why"
    body = alert(text) + pages.reference_line(reference(error))
    return page(title, body, status, wrong=True)


def nothing_here() -> Response:
    """Return the page of an address that is none."""
    body = "<p>Check the address, or go back to where you came from.</p>"
    return page("There is nothing here", body, HTTPStatus.NOT_FOUND, wrong=True)


def unknown_portal() -> Response:
    """Return the page for a link that no portal registered; it leads nowhere."""
    body = (
        f"{alert('The application that sent you here is not registered for this organization ID')}"
        "<p>Go back and check the organization ID. If it is right, tell whoever runs the "
        "application.</p>"
    )
    return page("This link does not work", body, HTTPStatus.BAD_REQUEST, wrong=True)


def see(url: str) -> Response:
    """Return the redirect to another of our own pages."""
    return RedirectResponse(url, HTTPStatus.SEE_OTHER)


def too_many(error: TooManyAttempts) -> str:
    """Return the sentence for whoever has to wait."""
    minutes = max(1, math.ceil(error.retry_after / _SECONDS))
    wait = "a minute" if minutes == 1 else f"{minutes} minutes"
    return f"There were too many attempts. Please wait {wait} and try again"


def retry_after(error: TooManyAttempts) -> dict[str, str]:
    """Return the header that says the same to programs."""
    return {"Retry-After": str(max(1, math.ceil(error.retry_after)))}


def reference(error: Exception) -> str | None:
    """Return what stands beside an error in the log, too."""
    found = getattr(error, "reference", None)
    return None if found is None else str(found)


def _log(error: Exception, action: str) -> None:
    log = logging.get_logger()
    if action == "internal_error":
        log.error("a page failed unexpectedly", action=action, exc_info=error)
    elif reference(error) is None:
        # What has a reference is in the log already.
        code = error.code if isinstance(error, SyncdError) else ""
        log.warning(str(error), action=action, code=code)
