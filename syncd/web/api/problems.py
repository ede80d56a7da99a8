"""Every error as ``application/problem+json`` (RFC 9457): one shape, closed lists of words."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from syncd import logging
from syncd.errors import (
    ConstraintViolated,
    InsufficientScope,
    LeaseHeld,
    NotAuthenticated,
    NotFound,
    OrganizationPaused,
    OrganizationPending,
    PlanNotApprovable,
    ProviderUnavailable,
    Refused,
    StoreUnavailable,
    SyncdError,
    TooManyAttempts,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:syncd:problem:"
REALM: Final = 'Bearer realm="syncd"'
RETRY_SECONDS: Final = 5
_SCOPE: Final = re.compile(r"[!#-\[\]-~]+(?: [!#-\[\]-~]+)*", re.ASCII)

# By the reason of a refusal; the others are conflicts with what there is.
_REFUSED: Final = {
    "not_allowed": HTTPStatus.FORBIDDEN,
    "exceeds_own": HTTPStatus.FORBIDDEN,
    "owner_only": HTTPStatus.FORBIDDEN,
    "insufficient_scope": HTTPStatus.FORBIDDEN,
    "stale": HTTPStatus.PRECONDITION_FAILED,
    "invalid": HTTPStatus.UNPROCESSABLE_ENTITY,
    "expired": HTTPStatus.GONE,
}
_STATUS: Final[tuple[tuple[type[SyncdError], HTTPStatus], ...]] = (
    (NotAuthenticated, HTTPStatus.UNAUTHORIZED),
    (NotFound, HTTPStatus.NOT_FOUND),
    (UsageError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (TooManyAttempts, HTTPStatus.TOO_MANY_REQUESTS),
    (StoreUnavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (ProviderUnavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (ConstraintViolated, HTTPStatus.CONFLICT),
    (LeaseHeld, HTTPStatus.CONFLICT),
    (PlanNotApprovable, HTTPStatus.CONFLICT),
    (OrganizationPaused, HTTPStatus.CONFLICT),
    (OrganizationPending, HTTPStatus.CONFLICT),
)


class Fault(BaseModel):
    """One thing that is wrong in a request."""

    where: str = Field(description="Such as body/name or query/limit.")
    message: str


class Problem(BaseModel):
    """What went wrong."""

    type: str = Field(description="urn:syncd:problem: and the reason.")
    title: str = Field(description="The status in words.")
    status: int
    detail: str = Field(description="One sentence that tells the next step.")
    reason: str = Field(description="A word of a closed list, for programs.")
    faults: list[Fault] | None = Field(default=None, description="What is wrong in the request.")


class Lacking(Exception):
    """The caller may not do this; turned into an answer, never into a message."""

    def __init__(self, section: str, level: str) -> None:
        self.section, self.level = section, level
        super().__init__(section)


def problem(
    status: int,
    reason: str,
    detail: str,
    *,
    faults: Sequence[Fault] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return an answer that tells a problem."""
    found = Problem(
        type=TYPE_PREFIX + reason,
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        reason=reason,
        faults=list(faults) or None,
    )
    return JSONResponse(
        found.model_dump(exclude_none=True),
        status,
        headers=None if headers is None else dict(headers),
        media_type=MEDIA_TYPE,
    )


def of_error(error: SyncdError) -> JSONResponse:
    """Return the problem that one of the project's errors is to whoever asked."""
    if isinstance(error, Refused):
        status = _REFUSED.get(error.reason, HTTPStatus.CONFLICT)
        headers = None
        if isinstance(error, InsufficientScope):
            headers = _lacking(error.scope)
        return problem(status, error.reason, str(error), headers=headers)
    for kind, status in _STATUS:
        if isinstance(error, kind):
            headers = _headers(status)
            if isinstance(error, TooManyAttempts):
                headers = {"Retry-After": str(error.retry_after)}
            return problem(status, error.code, str(error), headers=headers)
    return of_fault(error)


def of_fault(error: Exception) -> JSONResponse:
    """Return the problem that a fault of the program is; the log has what it was."""
    logging.get_logger().error(
        "a request failed unexpectedly", action="internal_error", exc_info=error
    )
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "it failed here; the daemon's log says why",
    )


def missing_token() -> JSONResponse:
    """Return the problem of a request without a token (RFC 6750 section 3)."""
    return problem(
        HTTPStatus.UNAUTHORIZED,
        "not_authenticated",
        "send an API token: Authorization: Bearer syncd_…; `syncd token create` makes one; or an "
        "access token of the organization's identity provider, where it takes those",
        headers={"WWW-Authenticate": REALM},
    )


def lacking(section: str, level: str) -> JSONResponse:
    """Return the problem of a token, or person, that may not do this."""
    return problem(
        HTTPStatus.FORBIDDEN,
        "not_allowed",
        f"this needs the permission to {level} the section {section}",
        headers=_lacking(f"{section}:{level}"),
    )


def of_invalid(errors: Sequence[Any]) -> JSONResponse:
    """Return the problem of a request that is not shaped as described; no value is repeated."""
    faults = [
        Fault(where="/".join(map(str, error["loc"])), message=str(error["msg"])) for error in errors
    ]
    told = "; ".join(f"{fault.where}: {fault.message}" for fault in faults[:3])
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"the request is wrong: {told}", faults=faults
    )


def _lacking(scope: str) -> dict[str, str]:
    """Return the header that names the scope that is lacking (RFC 6750 section 3)."""
    # A scope has neither quotes nor backslashes (RFC 6749 section 3.3); a header could not.
    named = f', scope="{scope}"' if _SCOPE.fullmatch(scope) else ""
    return {"WWW-Authenticate": f'{REALM}, error="insufficient_scope"{named}'}


def _headers(status: HTTPStatus) -> dict[str, str]:
    if status is HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": f'{REALM}, error="invalid_token"'}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        return {"Retry-After": str(RETRY_SECONDS)}
    return {}
