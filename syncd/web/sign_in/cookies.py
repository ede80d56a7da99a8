"""The two cookies: who a browser is before anybody signs in, and the session of who has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from syncd.access.visits import SECRET_CHARACTERS

if TYPE_CHECKING:
    from fastapi import Request
    from starlette.responses import Response

# `__Host-`: browsers take it over TLS only, for this host alone, and for every path (RFC 6265bis).
# Loopback counts as safe to them without TLS.
VISIT: Final = "__Host-syncd-visit"
SESSION: Final = "__Host-syncd-session"
_SECRET: Final = re.compile(rf"[A-Za-z0-9_-]{{{SECRET_CHARACTERS}}}")


def secret_of(request: Request, name: str) -> str | None:
    """Return a cookie's secret; None for what cannot be one of ours."""
    found = request.cookies.get(name, "")
    return found if _SECRET.fullmatch(found) else None


def keep(response: Response, name: str, secret: str) -> None:
    """Let the browser have a secret until it is closed; the store knows when it ends."""
    response.set_cookie(name, secret, path="/", secure=True, httponly=True, samesite="lax")


def forget(response: Response, name: str) -> None:
    """Let the browser forget a secret."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")
