"""Builds the web application: routes and headers, and no rule of its own."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from syncd.web.headers import SecurityHeaders

if TYPE_CHECKING:
    from syncd.web.health import Health
    from syncd.web.serving import Serving

PROBED = ["GET", "HEAD"]


def application(health: Health, serving: Serving | None = None) -> FastAPI:
    """Return the application; ``health`` is read anew for each request.

    Without ``serving`` there is nothing but health.
    """
    # The API has a description of its own; nobody needs to see every other path.
    app = FastAPI(title="syncd", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(SecurityHeaders)

    @app.api_route("/healthz", methods=PROBED)
    async def healthz() -> JSONResponse:
        """Whether the process answers at all."""
        return JSONResponse({"alive": True})

    @app.api_route("/readyz", methods=PROBED)
    async def readyz() -> JSONResponse:
        """Whether requests should be sent here."""
        now = health.now
        status = HTTPStatus.OK if now.ready else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse({"ready": now.ready, "because": list(now.because)}, status)

    if serving is not None:
        # What only answers health does not pay for the API's models.
        from syncd.web.api.application import PREFIX, api, not_served  # noqa: PLC0415
        from syncd.web.links import links  # noqa: PLC0415

        app.include_router(links(serving))
        app.mount(PREFIX, api(serving))
        # A path that no mount takes, because it has a line's end in it, is told of alike.
        app.add_exception_handler(HTTPException, not_served)
    return app
