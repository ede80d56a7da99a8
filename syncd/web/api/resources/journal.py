"""The journal: who changed what, when and why: sections organization and users.

Of things that are no people only those are shown whose section the caller may view.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, Field

from syncd.permissions import Level
from syncd.web.api.calls import Answer, Caller, Route, needs
from syncd.web.api.resources.changes import viewable
from syncd.web.api.resources.runs import RunWithChanges, run_of
from syncd.web.api.shapes import Asked, Page, PageQuery, Shown, Time, Why

router = APIRouter(prefix="/organizations/{org}/journal", tags=["journal"], route_class=Route)
Viewer = Annotated[Caller, needs("organization", Level.VIEW, "users")]
Editor = Annotated[Caller, needs("organization", Level.EDIT, "users")]
ChangeSetName = Annotated[str, Path(max_length=30, description="Such as c-000012.")]
# What concerns more people is applied by a worker: nobody waits so long for an answer.
AT_ONCE = 1_000
SHOWN_CHANGES = 100
Object = Literal[
    "person",
    "role",
    "group",
    "permission_set",
    "address_book",
    "address_book_entry",
    "token",
    "exclusion",
    "organization",
]


class ChangeSet(Shown):
    """What was done at once: by whom, when and why."""

    change_set: str
    organization: str
    at: Time
    actor: str
    why: str | None
    run: str | None
    mode: str | None = Field(description="Of the run.")
    undoes: str | None = Field(description="The change set that this one takes back.")
    undone_by: str | None
    counts: dict[str, int] = Field(description="By kind of change, and by kind of thing.")


class ObjectChange(Shown):
    """A thing that was changed, whole before and after."""

    object: str
    id: int
    name: str
    kind: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class PersonChange(Shown):
    """What was changed of a person."""

    user_id: int
    person: str | None
    kind: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class WholeChangeSet(ChangeSet):
    """A change set with what it changed, people a page at a time."""

    objects: list[ObjectChange]
    rows: list[PersonChange]
    next: str | None = Field(description="Give it as `after` for more people; null at the end.")


class JournalQuery(PageQuery):
    """By what change sets are looked for."""

    actor: str | None = Field(default=None, max_length=300)
    person: str | None = Field(default=None, max_length=200, description="A username.")
    object: Object | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    run: str | None = Field(default=None, max_length=30)


class UndoWanted(Asked):
    """How a change set is taken back."""

    dry_run: bool = Field(default=False, description="Only say what it would change.")
    why: Why = None


class RowsQuery(PageQuery):
    """Which part of the people."""

    after: str | None = Field(default=None, max_length=18, description="`next` of before.")


@router.get("", response_model=Page[ChangeSet])
def list_change_sets(caller: Viewer, query: Annotated[JournalQuery, Query()]) -> Answer:
    """List change sets, the newest first."""
    found = caller.management.journal.page(
        limit=query.limit, after=query.after, filters=query.filters()
    )
    return caller.paged(query, found)


@router.get("/{change_set}", response_model=WholeChangeSet)
def get_change_set(
    caller: Viewer,
    change_set: ChangeSetName,
    query: Annotated[RowsQuery, Query()],
) -> Answer:
    """Return a change set with what it changed."""
    found = caller.management.journal.one(change_set, limit=query.limit, after=query.after)
    return {**found, "objects": viewable(caller, found["objects"])}


@router.post(
    "/{change_set}/undo",
    response_model=RunWithChanges,
    responses={
        HTTPStatus.ACCEPTED: {
            "model": RunWithChanges,
            "description": "It waits: for a worker of the daemon, or for an owner to approve it.",
        }
    },
)
def undo_change_set(caller: Editor, change_set: ChangeSetName, body: UndoWanted) -> Answer:
    """Take a change set back, or say what that would change. It takes every section.

    What others changed since is left alone, and `left_alone` lists it. An undo of many people is
    planned and then applied by the daemon; one over the guard's limits waits for an owner.
    """
    report = caller.management.undo.take_back(
        change_set, why=body.why, dry=body.dry_run, at_once=AT_ONCE
    )
    found = run_of(caller, report["run"], SHOWN_CHANGES)
    if found["status"] == "blocked":
        caller.response.status_code = HTTPStatus.ACCEPTED
    caller.response.headers["Location"] = (
        f"/api/v1/organizations/{caller.organization}/runs/{found['run']}"
    )
    return found
