"""Where identity providers tell of sign-outs (OpenID Connect Back-Channel Logout 1.0, 2.5-2.8)."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from fastapi.responses import JSONResponse
from starlette.responses import Response

from syncd import logging
from syncd.errors import NotFound, Refused, SyncdError
from syncd.web.forms import TooLarge, pairs

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import Request

BODY_LIMIT: Final = 64 * 1024
MOST_FIELDS: Final = 50
MEDIA_TYPE: Final = "application/x-www-form-urlencoded"
_HEADERS: Final = {"Cache-Control": "no-store"}


async def logout_token(request: Request) -> str | None:
    """Return the one logout token of a request; None for a request that is not as specified."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != MEDIA_TYPE:
        return None
    try:
        found = await pairs(request, limit=BODY_LIMIT, most=MOST_FIELDS)
    except TooLarge:
        return None
    # Other fields are for others (2.5).
    tokens = [value for name, value in found or () if name == "logout_token"]
    return tokens[0] if len(tokens) == 1 and tokens[0] else None


def answer(end: Callable[[], object]) -> Response:
    """Return what a provider is told: 200, or 400 for whatever did not end sessions (2.8)."""
    try:
        end()
    except (Refused, NotFound) as error:
        return wrong("invalid_request", str(error))
    except SyncdError as error:
        logging.get_logger().warning(str(error), action="logout_token_failed", code=error.code)
        return wrong("temporarily_unavailable", "it could not be heeded now; send it again")
    except Exception as error:  # noqa: BLE001 - nobody else would tell it
        logging.get_logger().error(
            "a logout token failed unexpectedly", action="internal_error", exc_info=error
        )
        return wrong("server_error", "it failed here")
    return Response(status_code=HTTPStatus.OK, headers=_HEADERS)


def wrong(error: str, description: str) -> Response:
    """Return the answer to a logout token that ended nothing."""
    body = {"error": error, "error_description": description}
    return JSONResponse(body, HTTPStatus.BAD_REQUEST, headers=_HEADERS)
