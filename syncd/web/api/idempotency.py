"""``Idempotency-Key``: a POST that is sent again is answered as the first time, and done once."""

from __future__ import annotations

import re
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeVar

from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from syncd.errors import ConstraintViolated, StoreError, SyncdError
from syncd.web.api import problems

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import Request

    from syncd.store.idempotency import Kept
    from syncd.web.api.calls import Caller

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
# Of an answer's headers: the others are made anew.
# What is raised before anything is done.
REFUSALS: Final = (HTTPException, RequestValidationError, problems.Lacking)
KEPT_HEADERS: Final = ("content-type", "etag", "location")
_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)
_MARK: Final = "_answers_with_a_secret"
Endpoint = TypeVar("Endpoint", bound="Callable[..., object]")


def answers_with_a_secret(endpoint: Endpoint) -> Endpoint:
    """Mark an endpoint whose answer must not be kept anywhere."""
    setattr(endpoint, _MARK, True)
    return endpoint


async def once(
    request: Request,
    caller: Caller,
    answer: Callable[[Request], Awaitable[Response]],
    endpoint: Callable[..., object],
) -> Response:
    """Answer a request that has a key.

    Only success is kept. After a refusal nothing was changed, and the key is new again. Where
    nobody knows what was changed, because the store, the program or the client went away in the
    middle, the key stays taken.
    """
    key = request.headers[HEADER]
    if getattr(endpoint, _MARK, False):
        return _refused(f"the answer has a secret that is kept nowhere; leave {HEADER} out")
    if _KEY.fullmatch(key) is None:
        return _refused(f"{HEADER} is 1 to 200 visible ASCII characters, such as a UUID")
    keys = await run_in_threadpool(lambda: caller.management.idempotency)
    kept = await run_in_threadpool(keys.begin, key, await _hash(request))
    if kept is not None:
        return _again(kept)
    try:
        response = await answer(request)
    except REFUSALS:
        await run_in_threadpool(keys.forget, key)
        raise
    except SyncdError as error:
        if not isinstance(error, StoreError) or isinstance(error, ConstraintViolated):
            await run_in_threadpool(keys.forget, key)
        raise
    if response.status_code >= HTTPStatus.BAD_REQUEST:
        await run_in_threadpool(keys.forget, key)
        return response
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    body = bytes(response.body).decode("utf-8")
    await run_in_threadpool(partial(keys.end, key, response.status_code, headers, body))
    return response


def _again(kept: Kept) -> Response:
    if not kept.same:
        return problems.problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            f"another request was sent with this {HEADER}; give each request a key of its own",
        )
    if kept.status is None:
        return problems.problem(
            HTTPStatus.CONFLICT,
            "idempotency_key_in_progress",
            "the first request with this key has not been answered; wait, then look at what it "
            "was to change before you send it with another key",
        )
    return Response(kept.body, kept.status, headers={**kept.headers, REPLAYED: "true"})


def _refused(sentence: str) -> Response:
    return problems.problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", sentence)


async def _hash(request: Request) -> bytes:
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    kind = request.headers.get("content-type", "").encode("latin-1")
    return sha256(asked + kind + b"\n" + await request.body()).digest()
