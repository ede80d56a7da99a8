"""Puts the API together: routers, problems, and the description that clients are made from."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from syncd import __version__
from syncd.web.api import problems, resources
from syncd.web.api.clients import Failures
from syncd.web.api.problems import Problem

if TYPE_CHECKING:
    from fastapi.responses import Response

    from syncd.web.serving import Serving

PREFIX: Final = "/api/v1"
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PROBLEMS: Final = (400, 401, 403, 404, 409, 410, 412, 413, 415, 422, 500, 503)
_REASONS: Final = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
}
_PURPOSE: Final = (
    "Users, roles, groups and permissions of one organization. Requests carry an API token "
    "(`syncd token create` makes one), or an access token of the organization's identity provider, "
    "where it takes those. Every error is a problem (RFC 9457)."
)

_ORGANIZATION: Final = {
    "name": "org",
    "in": "path",
    "required": True,
    "description": "The id of the token's organization.",
    "schema": {"type": "string", "minLength": 1},
}
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Of your making: sent again within a day, it is answered as the first time.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
}
_IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of what you saw: changed only if it is still so.",
    "schema": {"type": "string", "maxLength": 200},
}
# What has no state that anybody could have seen.
_UNCONDITIONAL: Final = {
    "delete_organization",
    "revoke_token",
    "remove_exclusion",
    "add_group_member",
    "remove_group_member",
    "add_group_role",
    "remove_group_role",
    "add_group_child",
    "remove_group_child",
    "join_group",
    "leave_group",
    "end_session",
    "end_sessions_of_user",
}
# What must not be kept anywhere, or has no caller to keep it for.
_WITHOUT_KEY: Final = {"create_token", "redeem_sign_in", "check_sign_in", "end_sign_in"}


class _Described(FastAPI):
    """Adds to the description what FastAPI cannot know."""

    def openapi(self) -> dict[str, Any]:
        """Return the description; it is made once."""
        if self.openapi_schema is None:
            _finish(super().openapi())
        return super().openapi()


def api(serving: Serving) -> FastAPI:
    """Return the application to be mounted at ``PREFIX``."""
    app = _Described(
        title="syncd",
        version=__version__,
        description=_PURPOSE,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        servers=[{"url": PREFIX}],
        root_path_in_servers=False,
        redirect_slashes=False,
        responses={
            status: {"model": Problem, "description": HTTPStatus(status).phrase}
            for status in _PROBLEMS
        },
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.serving = serving
    app.state.failures = Failures()
    for router in resources.ROUTERS:
        app.include_router(router)
    app.add_exception_handler(HTTPException, not_served)
    app.add_exception_handler(RequestValidationError, _invalid)
    return app


def not_served(request: Request, error: Exception) -> Response:
    """Return the problem of a request that no route takes."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    detail = str(getattr(error, "detail", ""))
    if status == HTTPStatus.NOT_FOUND:
        detail = f"there is nothing at {request.url.path[:200]}; see {PREFIX}/openapi.json"
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(_allowed(request))
        headers["Allow"] = allowed
        detail = f"this takes {allowed}"
    reason = _REASONS.get(HTTPStatus(status), "invalid")
    return problems.problem(status, reason, detail, headers=headers)


def _invalid(_request: Request, error: Exception) -> Response:
    errors = error.errors() if isinstance(error, RequestValidationError) else []
    return problems.of_invalid(errors)


def _allowed(request: Request) -> list[str]:
    """Return all methods that this path takes; a route knows only its own."""
    found = []
    for method in METHODS:
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes):
            found.append(method)
    return found


def _finish(description: dict[str, Any]) -> None:
    """Add what FastAPI cannot know: how callers show who they are, and what problems look like."""
    components = description.setdefault("components", {})
    components["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "syncd_<id>_<secret>",
            "description": "An API token, or an access token (RFC 9068) of the organization's "
            "identity provider, where its api_audience is configured.",
        },
        "client": {
            "type": "http",
            "scheme": "basic",
            "description": "A portal's client_id and client_secret (RFC 6749 section 2.3.1), as "
            "they are registered with the organization.",
        },
    }
    description["security"] = [{"token": []}]
    for path, item in description["paths"].items():
        for method, operation in item.items():
            operation.setdefault("parameters", []).extend(_headers(method, operation))
            for status, response in operation["responses"].items():
                content = response.get("content", {})
                if status[0] in "45" and "application/json" in content:
                    content[problems.MEDIA_TYPE] = content.pop("application/json")
        if "{org}" in path:
            item["parameters"] = [_ORGANIZATION]


def _headers(method: str, operation: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the headers that an operation heeds; every route reads them in one place."""
    if method == "post":
        return [] if operation["operationId"] in _WITHOUT_KEY else [_KEY]
    if method in {"put", "patch", "delete"} and operation["operationId"] not in _UNCONDITIONAL:
        return [_IF_MATCH]
    return []
