"""Permission sets: section permission_sets."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from syncd.permissions import SECTIONS, Level
from syncd.web.api import shapes
from syncd.web.api.calls import Answer, Caller, Route, needs
from syncd.web.api.resources.roles import DeleteQuery, RoleQuery
from syncd.web.api.shapes import Asked, Id, Name, Named, Page, PathId, Shown, Text, Why

router = APIRouter(
    prefix="/organizations/{org}/permission-sets", tags=["permission sets"], route_class=Route
)
Viewer = Annotated[Caller, needs("permission_sets", Level.VIEW)]
Editor = Annotated[Caller, needs("permission_sets", Level.EDIT)]
MOST_ROLES = 100


class PermissionSet(Shown):
    """A permission set."""

    id: int
    name: str
    kind: str = Field(description="preconfigured or custom.")
    description: str
    sections: shapes.Levels = Field(description="Section to level.")
    roles: list[Named] = Field(description="The roles that have it.")


class NewPermissionSet(Asked):
    """A permission set to be made."""

    name: Name
    description: Text = ""
    sections: shapes.Levels = Field(max_length=len(SECTIONS))
    roles: list[Id] = Field(default=[], max_length=MOST_ROLES)
    why: Why = None


class PermissionSetFields(Asked):
    """What is changed; what is left out stays."""

    name: Name | None = None
    description: Text | None = None
    sections: shapes.Levels | None = Field(
        default=None,
        max_length=len(SECTIONS),
        description="Those that are named change.",
    )
    why: Why = None


@router.get("", response_model=Page[PermissionSet])
def list_permission_sets(caller: Viewer, query: Annotated[RoleQuery, Query()]) -> Answer:
    """List permission sets by name."""
    found = caller.management.pages.permission_sets(query.limit, query.after, query.filters())
    return caller.paged(query, found)


@router.post("", response_model=PermissionSet, status_code=HTTPStatus.CREATED)
def create_permission_set(caller: Editor, body: NewPermissionSet) -> Answer:
    """Make a permission set."""
    shape = caller.management.permission_sets.create(
        body.name,
        description=body.description,
        sections=body.sections,
        roles=body.roles,
        why=body.why,
    )
    return caller.made(shape)


@router.get("/{set_id}", response_model=PermissionSet)
def get_permission_set(caller: Viewer, set_id: PathId) -> Answer:
    """Return a permission set."""
    return caller.tagged(caller.management.permission_sets.get(set_id))


@router.patch("/{set_id}", response_model=PermissionSet)
def edit_permission_set(caller: Editor, set_id: PathId, body: PermissionSetFields) -> Answer:
    """Change a permission set, and so what everybody may do who has a role with it."""
    shape = caller.management.permission_sets.edit(
        set_id,
        name=body.name,
        description=body.description,
        sections=body.sections,
        if_match=caller.expected,
        why=body.why,
    )
    return caller.tagged(shape)


@router.delete("/{set_id}", status_code=HTTPStatus.NO_CONTENT)
def delete_permission_set(
    caller: Editor, set_id: PathId, query: Annotated[DeleteQuery, Query()]
) -> None:
    """Delete a permission set."""
    caller.management.permission_sets.delete(
        set_id, force=query.force, if_match=caller.expected, why=query.why
    )
