"""Whoever asks: one's own profile (section personal_profile) and what one may do."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from syncd.errors import Refused
from syncd.permissions import SECTIONS, Level
from syncd.web.api import shapes
from syncd.web.api.calls import Answer, AnyCaller, Caller, Route, needs
from syncd.web.api.people import User
from syncd.web.api.shapes import Asked, Shown

router = APIRouter(prefix="/organizations/{org}/me", tags=["me"], route_class=Route)
Viewer = Annotated[Caller, needs("personal_profile", Level.VIEW)]
Editor = Annotated[Caller, needs("personal_profile", Level.EDIT)]


class Myself(Shown):
    """On whose behalf the caller speaks, and what for."""

    name: str = Field(description="As the journal names it.")
    organization: str
    user_id: int | None = Field(description="The person, if it is one's.")
    token_id: int | None
    owner: bool = Field(description="May do what only an Owner may.")
    permissions: shapes.Levels = Field(description="Section to level.")


class ProfileFields(Asked):
    """What is changed of one's profile; what is left out stays."""

    first_name: str | None = Field(default=None, max_length=200)
    last_name: str | None = Field(default=None, max_length=200)


@router.get("", response_model=Myself)
def get_myself(caller: AnyCaller) -> Answer:
    """Return on whose behalf the token speaks, and what it may do."""
    principal = caller.principal
    return {
        "name": principal.name,
        "organization": caller.organization,
        "user_id": principal.user_id,
        "token_id": principal.token_id,
        "owner": principal.owner,
        "permissions": {
            section: principal.levels.get(section, Level.NONE).word for section in SECTIONS
        },
    }


@router.get("/profile", response_model=User)
def get_profile(caller: Viewer) -> Answer:
    """Return one's own record."""
    user_id = caller.principal.user_id
    if user_id is None:
        raise Refused("this token acts for nobody; only a person has a profile", "not_allowed")
    return caller.tagged(caller.management.users.get(user_id))


@router.patch("/profile", response_model=User)
def edit_profile(caller: Editor, body: ProfileFields) -> Answer:
    """Change one's own first and last name."""
    fields = body.model_dump(exclude_unset=True)
    users = caller.management.users
    return caller.tagged(users.edit_profile(fields, if_match=caller.expected))
