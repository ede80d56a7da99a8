"""The one way every request goes: limit, token, organization, idempotency, endpoint, problem."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from syncd.errors import NotFound, SyncdError
from syncd.permissions import Level, Principal
from syncd.web.api import answers, idempotency, problems
from syncd.web.api.shapes import ID_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from starlette.types import Message

    from syncd.app import App
    from syncd.managing import Management
    from syncd.web.api.shapes import PageQuery
    from syncd.web.serving import Serving

BODY_LIMIT: Final = 2**20
CSV_LIMIT: Final = 5 * 2**20
CSV: Final = "text/csv"


# What an endpoint returns; its response model is the shape.
Answer: TypeAlias = Any


@dataclass(frozen=True)
class Caller:
    """Who asks, the organization that belongs to them, and how they are answered."""

    app: App
    organization: str
    principal: Principal
    request: Request
    response: Response

    @cached_property
    def management(self) -> Management:
        """What can be done there on their behalf."""
        return self.app.manage(self.organization, self.principal)

    @property
    def expected(self) -> str | None:
        """The state that a change is meant for; None for any."""
        return answers.expected(self.request)

    def paged(self, query: PageQuery, found: Mapping[str, Any]) -> Answer:
        """Return a page, and say where the next one is."""
        return answers.paged(self.request, self.response, query, found)

    def tagged(self, shape: dict[str, Any], *, without: str | None = None) -> Answer:
        """Return what is shown with its ETag; ``without`` is no part of the thing."""
        return answers.tagged(self.request, self.response, shape, without=without)

    def made(self, shape: dict[str, Any], *, without: str | None = None) -> Answer:
        """Return what was made, and say where it is."""
        self.response.headers["Location"] = f"{self.request.url.path}/{shape['id']}"
        return self.tagged(shape, without=without)


async def caller_of(request: Request, response: Response) -> Caller:
    """Return who asks, with the answer that headers are put on."""
    caller: Caller = request.state.caller
    return replace(caller, response=response)


def needs(section: str, level: Level, *viewed: str) -> Any:  # noqa: ANN401 - FastAPI's own return type
    """Return the dependency that lets those in who may do this, and view the other sections."""

    async def allowed(caller: AnyCaller) -> Caller:
        for name, least in ((section, level), *((each, Level.VIEW) for each in viewed)):
            if not caller.principal.may(name, least):
                raise problems.Lacking(name, least.word)
        return caller

    return Depends(allowed)


# For routes whose rule depends on the thing itself: its service knows it.
AnyCaller = Annotated[Caller, Depends(caller_of)]


class Route(APIRoute):
    """A route of the API."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        answer = super().get_route_handler()
        endpoint = self.endpoint
        without_parameters = not self.dependant.query_params

        async def handle(request: Request) -> Response:
            try:
                caller = await run_in_threadpool(_authenticated, request)
                if caller is None:
                    return problems.missing_token()
                request.state.caller = caller
                if without_parameters and request.query_params:
                    raise RequestValidationError(unknown_parameters(request))
                request = await with_body(request, _limit(request))
                if request.method == "POST" and idempotency.HEADER in request.headers:
                    return await idempotency.once(request, caller, answer, endpoint)
                return await answer(request)
            except problems.Lacking as error:
                return problems.lacking(error.section, error.level)
            except SyncdError as error:
                return problems.of_error(error)
            except (HTTPException, RequestValidationError):
                raise
            except Exception as error:  # noqa: BLE001 - nobody else would tell it as a problem
                return problems.of_fault(error)

        return handle


def _authenticated(request: Request) -> Caller | None:
    """Return who asks; None without a token.

    Raises:
        NotAuthenticated: The token lets nobody in.
        InsufficientScope: The identity provider made it for something else.
        ProviderUnavailable: The identity provider's keys cannot be had.
        NotFound: It belongs to another organization than the one in the path, of which nothing is
            said, not even that it exists.

    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    serving: Serving = request.app.state.serving
    app = serving.app
    asked: str | None = request.path_params.get("org")
    organization, principal = app.authenticate(token.strip(), asked)
    wanted = organization if asked is None else asked
    if wanted != organization or organization not in app.settings.organizations:
        raise NotFound(f"there is no organization {wanted}")
    if principal.token_id is not None:
        serving.token_used(principal.token_id)
    return Caller(app, organization, principal, request, Response())


def _limit(request: Request) -> int:
    return CSV_LIMIT if request.headers.get("content-type", "").startswith(CSV) else BODY_LIMIT


async def with_body(request: Request, limit: int) -> Request:
    """Return the request with its body read, unless that is too large."""
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length[:ID_LIMIT]) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)

    async def receive() -> Message:
        return {"type": "http.request", "body": bytes(body), "more_body": False}

    return Request(request.scope, receive)


def _too_large(limit: int) -> HTTPException:
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"a request has at most {limit} bytes; send it in parts",
    )


def unknown_parameters(request: Request) -> list[dict[str, Any]]:
    """Return the faults of a request whose route takes no query."""
    return [
        {"loc": ("query", name), "msg": "there is no such parameter here"}
        for name in request.query_params
    ]
