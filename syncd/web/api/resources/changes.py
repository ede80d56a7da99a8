"""The feed of changes, for those who follow them: section users, and of each thing its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Final

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Query
from pydantic import Field

from syncd.permissions import Level
from syncd.web.api.calls import Answer, Caller, Route, needs
from syncd.web.api.shapes import LONGEST_CURSOR, Parameters, Shown, Time

router = APIRouter(prefix="/organizations/{org}/changes", tags=["changes"], route_class=Route)
Viewer = Annotated[Caller, needs("users", Level.VIEW)]
# Those who wait must not keep a thread from those who ask; above this they queue.
WAITING: Final = CapacityLimiter(64)
LONGEST_WAIT: Final = 30
# By what is changed: whoever may not view the section does not see that it was.
SECTION_OF: Final = {
    "user": "users",
    "exclusion": "users",
    "role": "roles",
    "group": "groups",
    "permission_set": "permission_sets",
    "address_book": "address_books",
    "address_book_entry": "address_books",
    "token": "organization",
    "organization": "organization",
}


class Change(Shown):
    """One thing that was changed."""

    position: int
    at: Time
    actor: str
    why: str | None
    run: str | None
    object: str
    id: int
    name: str | None
    kind: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Changes(Shown):
    """A part of the feed."""

    changes: list[Change]
    next: str = Field(description="Give it as `after` for what follows, now or later.")
    head: str = Field(description="The end of the feed as it was.")


class FeedQuery(Parameters):
    """From where on, and how long to wait."""

    after: str | None = Field(
        default=None,
        max_length=LONGEST_CURSOR,
        description="`next` of the part before; `now` begins at the end.",
    )
    limit: int = Field(default=100, ge=1, le=1_000)
    wait: int = Field(
        default=0, ge=0, le=LONGEST_WAIT, description="Seconds to wait until there is something."
    )


@router.get("", response_model=Changes)
async def list_changes(caller: Viewer, query: Annotated[FeedQuery, Query()]) -> Answer:
    """Follow what is changed, in the order of the commits; nothing is missed behind a cursor."""
    feed = await run_sync(lambda: caller.management.changes)
    page = partial(feed.page, query.after, query.limit, wait=float(query.wait))
    found = await run_sync(page, limiter=WAITING)
    return {**found, "changes": viewable(caller, found["changes"])}


def viewable(caller: Caller, changes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the changes of things whose section the caller may view."""
    may = caller.principal.may
    return [
        each for each in changes if may(SECTION_OF.get(each["object"], "organization"), Level.VIEW)
    ]
