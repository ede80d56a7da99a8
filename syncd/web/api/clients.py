"""How portals ask: as a registered client with its secret (RFC 6749 section 2.3.1), not a token.

Wrong secrets are counted by client and network address, so that nobody tries them out; each process
counts on its own, which a secret of 32 characters forgives.
"""

from __future__ import annotations

import binascii
import math
import threading
import time
from base64 import b64decode
from collections import OrderedDict
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeVar
from urllib.parse import unquote_plus

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import Field
from starlette.exceptions import HTTPException

from syncd.errors import NotAuthenticated, SyncdError, TooManyAttempts
from syncd.web.api import problems
from syncd.web.api.calls import unknown_parameters, with_body
from syncd.web.api.shapes import Asked

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fastapi.responses import Response

    from syncd.app import App
    from syncd.web.serving import Serving

Result = TypeVar("Result")
REALM: Final = 'Basic realm="syncd", charset="UTF-8"'
BODY_LIMIT: Final = 16_384
LONGEST_HEADER: Final = 4_096
MOST_FAILURES, WITHIN_SECONDS, MOST_KNOWN = 20, 60.0, 10_000
NO_CLIENT: Final = (
    "send client_id and client_secret: Authorization: Basic, or both as members of the document"
)
TWO_CLIENTS: Final = "send client_id and client_secret once: as a header or in the document"


class Failures:
    """Who showed wrong secrets lately, and how often."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # When each of the last failures was, the newest ones' keys last.
        self._known: OrderedDict[tuple[str, str], list[float]] = OrderedDict()

    def check(self, key: tuple[str, str]) -> None:
        """Refuse whoever has failed too often.

        Raises:
            TooManyAttempts: With the seconds until it is not too often any more.

        """
        with self._lock:
            recent = self._recent(key)
            if len(recent) >= MOST_FAILURES:
                wait = math.ceil(recent[-MOST_FAILURES] + WITHIN_SECONDS - self._clock())
                raise TooManyAttempts(
                    f"too many wrong secrets; try again in {wait} seconds", max(wait, 1)
                )

    def add(self, key: tuple[str, str]) -> None:
        """Count a failure."""
        with self._lock:
            self._known[key] = [*self._recent(key), self._clock()]
            self._known.move_to_end(key)
            while len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)

    def _recent(self, key: tuple[str, str]) -> list[float]:
        since = self._clock() - WITHIN_SECONDS
        return [each for each in self._known.get(key, ()) if each > since]


class Identified(Asked):
    """A request whose client may name itself in the document."""

    client_id: str | None = Field(
        default=None, max_length=100, description="Where there is no Authorization header."
    )
    client_secret: str | None = Field(
        default=None,
        max_length=1_000,
        description="Where there is no Authorization header.",
        json_schema_extra={"format": "password"},
    )


class Client(NamedTuple):
    """A portal that asks; ``call`` says who it is."""

    app: App
    failures: Failures
    address: str
    header: str | None

    def call(self, body: Identified, asked: Callable[[App, str, str], Result]) -> Result:
        """Ask the application as the client that header or document name.

        Raises:
            NotAuthenticated: They name none, or the secret is another.
            TooManyAttempts: That happened too often.

        """
        client_id, secret = self._credentials(body)
        # A name that cannot be registered must not fill the memory.
        key = client_id[:64], _network(self.address)
        try:
            # Whoever has the right secret is held up by nobody's wrong ones.
            return asked(self.app, client_id, secret)
        except NotAuthenticated:
            self.failures.check(key)
            self.failures.add(key)
            raise

    def _credentials(self, body: Identified) -> tuple[str, str]:
        inside = body.client_id is not None or body.client_secret is not None
        if self.header is not None:
            if inside:
                raise RequestValidationError([{"loc": ("body", "client_id"), "msg": TWO_CLIENTS}])
            return _basic(self.header)
        if body.client_id is None or body.client_secret is None:
            raise NotAuthenticated(NO_CLIENT)
        return body.client_id, body.client_secret


async def client_of(request: Request) -> Client:
    """Return who asks, as far as the header tells."""
    serving: Serving = request.app.state.serving
    address = "" if request.client is None else request.client.host
    failures: Failures = request.app.state.failures
    return Client(serving.app, failures, address, request.headers.get("authorization"))


AnyClient = Annotated[Client, Depends(client_of)]


class ClientRoute(APIRoute):
    """A route of the API that portals ask with their own credentials."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        answer = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                if request.query_params:
                    # Secrets and codes do not belong into addresses, which are logged.
                    raise RequestValidationError(unknown_parameters(request))
                return await answer(await with_body(request, BODY_LIMIT))
            except NotAuthenticated as error:
                return problems.problem(
                    HTTPStatus.UNAUTHORIZED,
                    error.code,
                    str(error),
                    headers={"WWW-Authenticate": REALM},
                )
            except SyncdError as error:
                return problems.of_error(error)
            except (HTTPException, RequestValidationError):
                raise
            except Exception as error:  # noqa: BLE001 - nobody else would tell it as a problem
                return problems.of_fault(error)

        return answered


def _basic(header: str) -> tuple[str, str]:
    """Return client id and secret of a header; each half was written as in a form first."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic" or len(header) > LONGEST_HEADER:
        raise NotAuthenticated(NO_CLIENT)
    try:
        text = b64decode(encoded.strip(), validate=True).decode()
        client_id, colon, secret = text.partition(":")
        halves = unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError):
        raise NotAuthenticated(NO_CLIENT) from None
    if not colon:
        raise NotAuthenticated(NO_CLIENT)
    return halves


def _network(address: str) -> str:
    """Return whom an address stands for: one machine has a whole /64 of IPv6."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return str(IPv6Address(int(found) >> 64 << 64))
    return str(found)
