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
    app = FastAPI(
        title="syncd", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )

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
        from syncd.web.api.application import PREFIX, api  # noqa: PLC0415
        from syncd.web.links import links  # noqa: PLC0415
        from syncd.web.nowhere import nowhere  # noqa: PLC0415
        from syncd.web.proxies import OwnName, Proxies  # noqa: PLC0415
        from syncd.web.sign_in.routes import sign_in  # noqa: PLC0415

        app.include_router(links(serving))
        app.include_router(sign_in(serving))
        app.mount(PREFIX, api(serving))
        app.add_exception_handler(HTTPException, nowhere)
        app.add_middleware(OwnName, serving=serving, besides=PREFIX)
        app.add_middleware(SecurityHeaders)
        # The outermost: the headers depend on how the client came.
        app.add_middleware(Proxies, serving=serving)
    else:
        app.add_middleware(SecurityHeaders)
    return app
