"""Links by mail, sent by hand: section users."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from syncd.permissions import Level
from syncd.web.api import shapes
from syncd.web.api.answers import refuse_cursor
from syncd.web.api.calls import Answer, Caller, Route, needs
from syncd.web.api.people import Mail
from syncd.web.api.resources.users import Reason
from syncd.web.api.shapes import Page, PageQuery, PathId, Shown, Time

router = APIRouter(prefix="/organizations/{org}", tags=["invitations"], route_class=Route)
Viewer = Annotated[Caller, needs("users", Level.VIEW)]
Editor = Annotated[Caller, needs("users", Level.EDIT)]


class Invitation(Shown):
    """Somebody who has not taken his invitation yet."""

    user_id: int
    username: str
    email: str | None
    since: Time
    created_at: Time | None = Field(description="Of the newest one; null: none was sent.")
    expires_at: Time | None
    expired: bool


@router.get("/invitations", response_model=Page[Invitation])
def list_invitations(caller: Viewer, query: Annotated[PageQuery, Query()]) -> Answer:
    """List who has not taken his invitation yet, by username."""
    invited = caller.management.invitations.list()
    at = 0
    if query.after is not None:
        if not query.after.isdecimal() or len(query.after) > shapes.ID_LIMIT:
            raise refuse_cursor(query.after)
        at = int(query.after)
    items = list(invited[at : at + query.limit])
    more = len(invited) > at + len(items)
    found = {"items": items, "next": str(at + len(items)) if more else None}
    return caller.paged(query, found)


@router.post("/users/{user_id}/invitation", response_model=Mail)
def send_invitation(caller: Editor, user_id: PathId, body: Reason) -> Answer:
    """Send a person the invitation, or the link that verifies an address, once more."""
    return caller.management.invitations.send(user_id, why=body.why)


@router.post("/users/{user_id}/password-link", response_model=Mail)
def send_password_link(caller: Editor, user_id: PathId, body: Reason) -> Answer:
    """Send a person a link with which a new password is chosen."""
    return caller.management.invitations.send_password(user_id, why=body.why)
