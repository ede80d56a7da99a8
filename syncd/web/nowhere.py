"""What is answered to a path or a method that is none: a page to browsers, a problem to others."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from syncd.web.api.application import PREFIX, not_served
from syncd.web.frame import page

if TYPE_CHECKING:
    from fastapi import Request
    from fastapi.responses import Response


def nowhere(request: Request, error: Exception) -> Response:
    """Return the answer where no route takes a request."""
    told = not_served(request, error)
    wants_page = "text/html" in request.headers.get("accept", "")
    if not wants_page or request.url.path.startswith(PREFIX):
        return told
    status = HTTPStatus(error.status_code if isinstance(error, HTTPException) else 500)
    allow = {"Allow": told.headers["allow"]} if "allow" in told.headers else None
    body = "<p>Check the address, or go back to where you came from.</p>"
    return page("There is nothing here", body, status, wrong=True, headers=allow)
