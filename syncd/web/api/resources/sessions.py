"""Sessions of people who have signed in: section users."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from syncd.permissions import Level
from syncd.web.api import shapes
from syncd.web.api.answers import refuse_cursor
from syncd.web.api.calls import Answer, Caller, Route, needs
from syncd.web.api.shapes import Page, PageQuery, PathId, Shown, Time

router = APIRouter(prefix="/organizations/{org}", tags=["sessions"], route_class=Route)
Viewer = Annotated[Caller, needs("users", Level.VIEW)]
Editor = Annotated[Caller, needs("users", Level.EDIT)]


class SessionUser(Shown):
    """Whose session it is."""

    id: int
    username: str


class Session(Shown):
    """A session that holds."""

    id: int
    user: SessionUser
    way: str = Field(description="How the person signed in: idp, ldap or admin.")
    started_at: Time
    seen_at: Time = Field(description="The last use, at most a minute late.")
    idle_until: Time = Field(description="When it ends without use.")
    expires_at: Time = Field(description="When it ends in any case.")
    address: str = Field(description="The network address of the browser.")
    agent: str = Field(description="What the browser calls itself.")


class EndedSessions(Shown):
    """How many sessions were ended."""

    ended: int


@router.get("/sessions", response_model=Page[Session])
def list_sessions(caller: Viewer, query: Annotated[PageQuery, Query()]) -> Answer:
    """List the sessions that hold, in the order in which they began."""
    return caller.paged(query, _page(caller, query, None))


@router.delete("/sessions/{session_id}", response_model=Session)
def end_session(caller: Editor, session_id: PathId) -> Answer:
    """End a session at once."""
    return caller.management.sessions.end(session_id)


@router.get("/users/{user_id}/sessions", response_model=Page[Session])
def list_sessions_of_user(
    caller: Viewer, user_id: PathId, query: Annotated[PageQuery, Query()]
) -> Answer:
    """List the sessions of a person."""
    username = caller.management.users.get(user_id)["username"]
    return caller.paged(query, _page(caller, query, username))


@router.delete("/users/{user_id}/sessions", response_model=EndedSessions)
def end_sessions_of_user(caller: Editor, user_id: PathId) -> Answer:
    """End all sessions of a person at once; he may sign in again unless he is disabled."""
    username = caller.management.users.get(user_id)["username"]
    return {"ended": caller.management.sessions.end_all(username)}


def _page(caller: Caller, query: PageQuery, username: str | None) -> dict[str, Any]:
    after = 0
    if query.after is not None:
        if not query.after.isdecimal() or len(query.after) >= shapes.ID_LIMIT:
            raise refuse_cursor(query.after)
        after = int(query.after)
    found = caller.management.sessions.page(limit=query.limit + 1, after=after, username=username)
    items = found[: query.limit]
    more = len(found) > len(items)
    return {"items": items, "next": str(items[-1]["id"]) if more else None}
