"""What portals ask: who signed in, whether that still holds, and that it shall not any more."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from syncd.web.api import shapes
from syncd.web.api.calls import Answer
from syncd.web.api.clients import AnyClient, ClientRoute, Identified
from syncd.web.api.people import User
from syncd.web.api.problems import Problem
from syncd.web.api.shapes import Shown, Time

router = APIRouter(
    prefix="/sign-ins",
    tags=["sign-ins"],
    route_class=ClientRoute,
    responses={429: {"model": Problem, "description": "Too Many Requests"}},
)
_AS_CLIENT: dict[str, Any] = {"security": [{"client": []}, {}]}
SessionId = Annotated[str, Field(min_length=1, max_length=100)]


class Redemption(Identified):
    """A code to be exchanged."""

    code: str = Field(max_length=500, description="As it came with the browser; it works once.")
    redirect_uri: str = Field(max_length=2_000, description="Where the browser brought it.")


class Known(Identified):
    """A session that the portal was told of."""

    organization: str = Field(max_length=100, description="Its `organization.id`.")
    session: SessionId = Field(description="Its `session.id`.")


class Leaving(Known):
    """A session to be ended."""

    everywhere: bool = Field(default=False, description="And all others of the person.")


class InOrganization(Shown):
    """The organization of a person."""

    id: str
    name: str


class SessionTold(Shown):
    """A session as portals know it."""

    id: str = Field(description="To check or end it by; no secret.")
    way: str = Field(description="How the person signed in: idp, ldap or admin.")
    started_at: Time
    idle_until: Time = Field(description="When it ends without use; checking it is use.")
    expires_at: Time = Field(description="When it ends in any case.")


class SignIn(Shown):
    """Who signed in, as of now."""

    organization: InOrganization
    session: SessionTold
    user: User
    permissions: shapes.Levels = Field(description="Section to level.")


class Redeemed(SignIn):
    """Who signed in, and by what the portal asks on the person's behalf."""

    access_token: str | None = Field(
        description="Opens this API with the person's own permissions while the session holds; "
        "null unless the portal has `api_access`."
    )


class Checked(Shown):
    """Whether a session holds; the rest is there only if it does."""

    active: bool
    organization: InOrganization | None = None
    session: SessionTold | None = None
    user: User | None = None
    permissions: shapes.Levels | None = None


class Ended(Shown):
    """What became of a session."""

    ended: bool = Field(description="False: it had ended already.")
    location: str | None = Field(
        description="Where the browser has to go, so that the identity provider's session ends "
        "as well."
    )


@router.post("/redeem", response_model=Redeemed, openapi_extra=_AS_CLIENT)
def redeem_sign_in(client: AnyClient, body: Redemption) -> Answer:
    """Exchange a code for the person who signed in. A second time, it ends the session."""
    return client.call(
        body, lambda app, name, secret: app.redeem(name, secret, body.code, body.redirect_uri)
    )


@router.post(
    "/check", response_model=Checked, response_model_exclude_unset=True, openapi_extra=_AS_CLIENT
)
def check_sign_in(client: AnyClient, body: Known) -> Answer:
    """Say whether a session still holds, and who its person is now."""
    return client.call(
        body,
        lambda app, name, secret: app.check_sign_in(body.organization, name, secret, body.session),
    )


@router.post("/end", response_model=Ended, openapi_extra=_AS_CLIENT)
def end_sign_in(client: AnyClient, body: Leaving) -> Answer:
    """End a session that the portal was told of."""
    return client.call(
        body,
        lambda app, name, secret: app.end_sign_in(
            body.organization, name, secret, body.session, everywhere=body.everywhere
        ),
    )
