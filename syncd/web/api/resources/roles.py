"""Roles: section roles."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from syncd.permissions import Level
from syncd.web.api.calls import Answer, Caller, Route, needs
from syncd.web.api.people import Belonging
from syncd.web.api.shapes import (
    Asked,
    Id,
    Name,
    Named,
    Page,
    PageQuery,
    Parameters,
    PathId,
    Shown,
    Text,
    Why,
)

router = APIRouter(prefix="/organizations/{org}/roles", tags=["roles"], route_class=Route)
Viewer = Annotated[Caller, needs("roles", Level.VIEW)]
Editor = Annotated[Caller, needs("roles", Level.EDIT)]
MOST_SETS = 100


class Role(Shown):
    """A role."""

    id: int
    name: str
    kind: str = Field(description="preconfigured, custom or imported.")
    mapper: str | None = Field(description="The mapper that imports it.")
    description: str
    permission_sets: list[Named]


class RoleQuery(PageQuery):
    """By what roles are looked for."""

    name_prefix: str | None = Field(default=None, max_length=200)
    kind: str | None = Field(default=None, max_length=20)


class HolderQuery(PageQuery):
    """Which holders are meant."""

    effective: bool = Field(default=False, description="Those who have it by groups, too.")


class NewRole(Asked):
    """A role to be made."""

    name: Name
    description: Text = ""
    permission_sets: list[Id] = Field(default=[], max_length=MOST_SETS)
    why: Why = None


class RoleFields(Asked):
    """What is changed; what is left out stays."""

    name: Name | None = None
    description: Text | None = None
    permission_sets: list[Id] | None = Field(default=None, max_length=MOST_SETS)
    why: Why = None


class DeleteQuery(Parameters):
    """How something is deleted."""

    force: bool = Field(default=False, description="Also while somebody has it.")
    why: Why = None


@router.get("", response_model=Page[Role])
def list_roles(caller: Viewer, query: Annotated[RoleQuery, Query()]) -> Answer:
    """List roles by name."""
    found = caller.management.pages.roles(query.limit, query.after, query.filters())
    return caller.paged(query, found)


@router.post("", response_model=Role, status_code=HTTPStatus.CREATED)
def create_role(caller: Editor, body: NewRole) -> Answer:
    """Make a role."""
    shape = caller.management.roles.create(
        body.name,
        description=body.description,
        permission_sets=body.permission_sets,
        why=body.why,
    )
    return caller.made(shape)


@router.get("/{role_id}", response_model=Role)
def get_role(caller: Viewer, role_id: PathId) -> Answer:
    """Return a role."""
    return caller.tagged(caller.management.roles.get(role_id))


@router.patch("/{role_id}", response_model=Role)
def edit_role(caller: Editor, role_id: PathId, body: RoleFields) -> Answer:
    """Change a role."""
    shape = caller.management.roles.edit(
        role_id,
        name=body.name,
        description=body.description,
        permission_sets=body.permission_sets,
        if_match=caller.expected,
        why=body.why,
    )
    return caller.tagged(shape)


@router.delete("/{role_id}", status_code=HTTPStatus.NO_CONTENT)
def delete_role(caller: Editor, role_id: PathId, query: Annotated[DeleteQuery, Query()]) -> None:
    """Delete a role."""
    caller.management.roles.delete(
        role_id, force=query.force, if_match=caller.expected, why=query.why
    )


@router.get("/{role_id}/holders", response_model=Page[Belonging])
def list_role_holders(
    caller: Viewer,
    role_id: PathId,
    query: Annotated[HolderQuery, Query()],
) -> Answer:
    """List who has a role."""
    caller.management.roles.get(role_id)
    found = caller.management.pages.role_holders(
        role_id, query.limit, query.after, effective=query.effective
    )
    return caller.paged(query, found)
