"""Runs, the plans that wait, and entries that could not be taken: section organization.

What is said of single people is for those alone who may view users.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import ConfigDict, Field

from syncd.errors import NotFound
from syncd.permissions import Level
from syncd.web.api.calls import Answer, Caller, Route, needs
from syncd.web.api.shapes import Page, PageQuery, Parameters, Shown, Time

router = APIRouter(prefix="/organizations/{org}", tags=["runs"], route_class=Route)
Viewer = Annotated[Caller, needs("organization", Level.VIEW)]
Editor = Annotated[Caller, needs("organization", Level.EDIT)]
PeopleViewer = Annotated[Caller, needs("organization", Level.VIEW, "users")]
RunName = Annotated[str, Path(max_length=30, description="Such as r-000017.")]
MOST_CHANGES = 1_000


class Run(Shown):
    """A run's report; one that failed early has less of it."""

    model_config = ConfigDict(extra="allow")

    run: str
    organization: str
    mode: str
    status: str
    started_at: Time
    finished_at: Time | None
    dry: bool


class RunChange(Shown):
    """One thing that a run did or a plan would do."""

    model_config = ConfigDict(extra="allow")

    kind: str
    username: str | None
    external_id: str | None
    field: str | None
    old: Any
    new: Any
    cause: str | None


class RunWithChanges(Run):
    """A run and what it changed, the most dangerous first; without users:view nothing of it."""

    changes: list[RunChange]
    more_changes: bool = Field(description="There are more than are shown.")


class RunQuery(PageQuery):
    """By what runs are looked for."""

    status: str | None = Field(default=None, max_length=20)
    mode: str | None = Field(default=None, max_length=20)


class ChangesQuery(Parameters):
    """How many changes are shown."""

    changes: int = Field(default=100, ge=0, le=MOST_CHANGES)


class Quarantined(Shown):
    """An entry that could not be taken."""

    source: str
    dn: str
    external_id: str | None
    reason: str
    attribute: str | None
    detail: str
    first_seen: Time
    last_seen: Time
    attempts: int
    next_retry: Time | None


class QuarantineQuery(PageQuery):
    """By what entries are looked for."""

    source: str | None = Field(default=None, max_length=100)
    reason: str | None = Field(default=None, max_length=50)


@router.get("/runs", response_model=Page[Run])
def list_runs(caller: Viewer, query: Annotated[RunQuery, Query()]) -> Answer:
    """List runs, the newest first."""
    found = caller.management.pages.runs(query.limit, query.after, query.filters())
    return caller.paged(query, found)


@router.get("/runs/{run}", response_model=RunWithChanges)
def get_run(caller: Viewer, run: RunName, query: Annotated[ChangesQuery, Query()]) -> Answer:
    """Return a run with its changes."""
    return run_of(caller, run, query.changes)


@router.get("/plans", response_model=Page[Run])
def list_plans(caller: Viewer, query: Annotated[PageQuery, Query()]) -> Answer:
    """List the plans that wait for somebody, the newest first."""
    return caller.paged(query, caller.management.pages.plans(query.limit, query.after))


@router.get("/plans/{run}", response_model=RunWithChanges)
def get_plan(caller: Viewer, run: RunName, query: Annotated[ChangesQuery, Query()]) -> Answer:
    """Return a plan that waits, with what it would change."""
    found = run_of(caller, run, query.changes)
    if found["status"] != "blocked":
        raise NotFound(f"run {run} is {found['status']} and waits for nobody; see /runs/{run}")
    return found


@router.post("/plans/{run}/approve", response_model=Run, status_code=HTTPStatus.ACCEPTED)
def approve_plan(caller: Editor, run: RunName) -> Answer:
    """Approve a plan. The daemon applies it within seconds; the run tells how that went."""
    caller.management.ask_approval(run)
    found = run_of(caller, run, 0)
    caller.response.headers["Location"] = (
        f"/api/v1/organizations/{caller.organization}/runs/{found['run']}"
    )
    return found


@router.get("/quarantine", response_model=Page[Quarantined])
def list_quarantine(caller: PeopleViewer, query: Annotated[QuarantineQuery, Query()]) -> Answer:
    """List the entries that could not be taken."""
    found = caller.management.pages.quarantine(query.limit, query.after, query.filters())
    return caller.paged(query, found)


def run_of(caller: Caller, run: str, changes: int) -> dict[str, Any]:
    """Return one of the organization's runs with so many of its changes.

    Raises:
        NotFound: It has no such run.

    """
    missing = NotFound(f"there is no run {run} in {caller.organization}")
    try:
        found = caller.app.run(run, changes + 1)
    except NotFound:
        raise missing from None
    if found["organization"] != caller.organization:
        raise missing
    there = found["changes"] if caller.principal.may("users", Level.VIEW) else []
    return {**found, "changes": there[:changes], "more_changes": len(there) > changes}
