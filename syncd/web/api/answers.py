"""Headers that belong to an answer: where the next page is, and which state was shown."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from fastapi.responses import Response

from syncd.errors import Refused
from syncd.records import etag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import Request

    from syncd.web.api.shapes import PageQuery

# What no state is: a weak tag, or several at once, never fits (RFC 9110 section 13.1.1).
_NO_STATE: Final = "-"


def paged(
    request: Request, response: Response, query: PageQuery, found: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a page, and say in the Link header where the next one is (RFC 8288)."""
    if found["next"] is not None:
        kept = [(name, value) for name, value in request.query_params.multi_items()]
        asked = [(name, value) for name, value in kept if name not in {"after", "limit"}]
        asked += [("limit", str(query.limit)), ("after", found["next"])]
        response.headers["Link"] = f'<{request.url.path}?{urlencode(asked)}>; rel="next"'
    return {"items": found["items"], "next": found["next"]}


def tagged(
    request: Request, response: Response, shape: dict[str, Any], *, without: str | None = None
) -> dict[str, Any] | Response:
    """Return what is shown with its ETag; only that it is still so to whoever knows it already.

    ``without`` names what is in this one answer and no part of the thing.
    """
    shown = {name: value for name, value in shape.items() if name != without}
    tag = f'"{etag(shown)}"'
    if request.method == "GET" and _known(request.headers.get("if-none-match"), tag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": tag})
    response.headers["ETag"] = tag
    return shape


def expected(request: Request) -> str | None:
    """Return the state that a change is meant for, as ``If-Match`` says; None for any."""
    given = request.headers.get("if-match")
    if given is None or given.strip() == "*":
        return None
    tag = given.strip()
    whole = len(tag) > 1 and tag[0] == tag[-1] == '"' and '"' not in tag[1:-1]
    return tag[1:-1] if whole else _NO_STATE


def _known(header: str | None, tag: str) -> bool:
    if header is None:
        return False
    tags = [each.strip().removeprefix("W/") for each in header.split(",")]
    return "*" in tags or tag in tags


def refuse_cursor(cursor: str) -> Refused:
    """Return the refusal of a cursor that is none."""
    return Refused(f"{cursor[:40]!r} is no cursor; give `next` of the page before as it is")
