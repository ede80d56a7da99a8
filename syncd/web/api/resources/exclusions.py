"""Whom syncs pass over: section users."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field

from syncd.permissions import Level
from syncd.web.api.calls import Answer, Caller, Route, needs
from syncd.web.api.resources.users import ReasonQuery
from syncd.web.api.shapes import Page, PageQuery, Shown, Time

router = APIRouter(prefix="/organizations/{org}/exclusions", tags=["exclusions"], route_class=Route)
Viewer = Annotated[Caller, needs("users", Level.VIEW)]
Editor = Annotated[Caller, needs("users", Level.EDIT)]


class Exclusion(Shown):
    """Somebody who was deleted although a source still has him."""

    source: str
    external_id: str
    username: str
    since: Time
    actor: str
    why: str | None


class ExclusionQuery(PageQuery):
    """By what exclusions are looked for."""

    source: str | None = Field(default=None, max_length=100)


@router.get("", response_model=Page[Exclusion])
def list_exclusions(caller: Viewer, query: Annotated[ExclusionQuery, Query()]) -> Answer:
    """List whom syncs pass over."""
    found = caller.management.pages.exclusions(query.limit, query.after, query.filters())
    return caller.paged(query, found)


@router.delete("/{source}/{external_id}", response_model=Exclusion)
def remove_exclusion(
    caller: Editor,
    source: Annotated[str, Path(max_length=100)],
    external_id: Annotated[str, Path(max_length=500)],
    query: Annotated[ReasonQuery, Query()],
) -> Answer:
    """Let the next full sync bring somebody again, as a new person."""
    return caller.management.exclusions.remove(external_id, source=source, why=query.why)
