"""Organizations: a token belongs to one, so there is one to be seen."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from syncd.permissions import Level
from syncd.web.api.calls import Answer, AnyCaller, Caller, Route, needs
from syncd.web.api.shapes import Name, Page, PageQuery, Parameters, Shown

router = APIRouter(prefix="/organizations", tags=["organizations"], route_class=Route)
Viewer = Annotated[Caller, needs("organization", Level.VIEW)]


class Counts(Shown):
    """How many people there are."""

    enabled: int
    disabled: int


class Organization(Shown):
    """An organization as it stands."""

    id: str
    name: str
    provider: str = Field(description="The provider in use: admin, idp or ldap.")
    pending: str | None = Field(description="What the configuration wants otherwise, if anything.")
    paused: str | None = Field(description="Why its syncs stand still, if they do.")
    users: Counts
    quarantine: dict[str, int] = Field(description="Entries that could not be taken, by reason.")
    waiting_plans: list[str] = Field(description="Runs whose plans wait for somebody.")


class Confirmed(Parameters):
    """What makes sure that the right one is meant."""

    name: Name = Field(description="The organization's name, exactly: it cannot be undone.")


class Deleted(Shown):
    """An organization that is no more."""

    organization: str
    name: str
    deleted: bool
    rows: int = Field(description="How many rows of it there were.")


@router.get("", response_model=Page[Organization])
def list_organizations(caller: Viewer, query: Annotated[PageQuery, Query()]) -> Answer:
    """List the organizations that the token is for."""
    found = {"items": [] if query.after else [_shape(caller)], "next": None}
    return caller.paged(query, found)


@router.get("/{org}", response_model=Organization)  # noqa: FAST003 - the caller has it
def get_organization(caller: Viewer) -> Answer:
    """Return the organization."""
    return _shape(caller)


@router.delete("/{org}", response_model=Deleted)  # noqa: FAST003 - the caller has it
def delete_organization(caller: AnyCaller, query: Annotated[Confirmed, Query()]) -> Answer:
    """Delete the organization with everything in it, for good. An owner's alone.

    The token that asks is gone with it. A row stays that keeps syncs from beginning anew.
    """
    return caller.management.organization.delete(query.name)


def _shape(caller: Caller) -> dict[str, Any]:
    (state,) = caller.app.status(caller.organization)
    return {
        "id": state["organization"],
        "name": state["name"],
        "provider": state["provider"],
        "pending": state["pending"],
        "paused": state["paused"],
        "users": state["users"],
        "quarantine": state["quarantine"],
        "waiting_plans": [plan["run"] for plan in state["blocked_plans"]],
    }
