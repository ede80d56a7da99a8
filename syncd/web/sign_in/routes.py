"""The paths of the pages; each request is answered in a thread of its own."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from syncd.web.forms import TooLarge, fields
from syncd.web.frame import page
from syncd.web.sign_in import entering, logout_tokens, sessions
from syncd.web.sign_in.answers import answered, see
from syncd.web.sign_in.visit import Visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.web.serving import Serving

READ: Final = ["GET", "HEAD"]
# Apart from the API's: a sign-in waits for providers and directories, which may be slow.
AT_ONCE: Final = 32
# Of these for one organization, because its provider or directory may be the slow one; and for all
# those together that are none, whose passwords cost as much.
SHARE, SHARE_OF_NONE = 8, 2


class _Pages:
    """Calls what answers, with who asks and what was sent."""

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self.threads = CapacityLimiter(AT_ONCE)
        self._shares: dict[str, CapacityLimiter] = {}

    def share(self, org: str) -> CapacityLimiter:
        """Return what whoever is about to wait for an organization has to have first."""
        known = org in self.serving.app.settings.organizations
        name, most = (org, SHARE) if known else ("", SHARE_OF_NONE)
        return self._shares.setdefault(name, CapacityLimiter(most))

    async def shown(self, request: Request, call: Callable[..., Response], *words: Any) -> Response:  # noqa: ANN401 - of the path and the form
        """Answer a request."""

        def answer() -> Response:
            visit = Visit.of(self.serving.app, request)
            return answered(visit, partial(call, visit, *words))

        return await to_thread.run_sync(answer, limiter=self.threads)

    async def sent(
        self,
        request: Request,
        call: Callable[..., Response],
        *words: str,
        waits_for: str | None = None,
    ) -> Response:
        """Answer a form; ``waits_for`` is the organization whose provider or directory is asked."""
        try:
            given = await fields(request)
        except TooLarge:
            return page("This form is too large", "", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if waits_for is None:
            return await self.shown(request, call, *words, given)
        # Not before: whoever sends slowly keeps nobody else waiting.
        async with self.share(waits_for):
            return await self.shown(request, call, *words, given)


def sign_in(serving: Serving) -> APIRouter:
    """Return the routes of the pages."""
    router, shared = APIRouter(include_in_schema=False), _Pages(serving)
    _entering(router, shared)
    _sessions(router, shared)
    _logout_tokens(router, shared)
    return router


def _entering(router: APIRouter, of: _Pages) -> None:
    @router.api_route("/", methods=READ)
    async def front(request: Request) -> Response:
        return await of.shown(request, lambda visit: see(visit.at("sign-in")))

    @router.api_route("/sign-in", methods=READ)
    async def asked(request: Request) -> Response:
        return await of.shown(request, entering.asked)

    @router.post("/sign-in")
    async def chosen(request: Request) -> Response:
        return await of.sent(request, entering.chosen)

    @router.api_route("/sign-in/{org}", methods=READ)
    async def organization(request: Request, org: str) -> Response:
        return await of.shown(request, entering.shown, org)

    @router.post("/sign-in/{org}")
    async def entered(request: Request, org: str) -> Response:
        return await of.sent(request, entering.entered, org, waits_for=org)

    # Not for HEAD: who only looks whether a page is there must not use up a code.
    @router.get("/sign-in/{org}/callback")
    async def returned(request: Request, org: str) -> Response:
        async with of.share(org):
            return await of.shown(request, entering.returned, org)


def _sessions(router: APIRouter, of: _Pages) -> None:
    @router.api_route("/session", methods=READ)
    async def session(request: Request) -> Response:
        return await of.shown(request, sessions.shown)

    @router.post("/session/{session_id}/end")
    async def ended(request: Request, session_id: str) -> Response:
        return await of.sent(request, sessions.ended, session_id)

    @router.api_route("/sign-out", methods=READ)
    async def leaving(request: Request) -> Response:
        return await of.shown(request, sessions.asked_to_leave)

    @router.post("/sign-out")
    async def left(request: Request) -> Response:
        return await of.sent(request, sessions.left)

    @router.api_route("/signed-out", methods=READ)
    async def signed_out(request: Request) -> Response:
        return await of.shown(request, sessions.signed_out)


def _logout_tokens(router: APIRouter, of: _Pages) -> None:
    @router.post("/sign-in/{org}/backchannel-logout")
    async def told(request: Request, org: str) -> Response:
        token = await logout_tokens.logout_token(request)
        if token is None:
            return logout_tokens.wrong(
                "invalid_request", "send one logout_token as application/x-www-form-urlencoded"
            )
        end = partial(of.serving.app.logout_token, org, token)
        async with of.share(org):
            return await to_thread.run_sync(logout_tokens.answer, end, limiter=of.threads)
