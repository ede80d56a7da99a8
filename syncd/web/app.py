"""Builds the web application: routes and headers, and no rule of its own."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from syncd.web.headers import SecurityHeaders

if TYPE_CHECKING:
    from syncd.web.health import Health

PROBED = ["GET", "HEAD"]


def application(health: Health) -> FastAPI:
    """Return the application; ``health`` is read anew for each request."""
    # Its description is for those who develop it; nobody else needs to see every path.
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

    return app
