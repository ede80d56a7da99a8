"""Groups: section groups."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from syncd.permissions import Level
from syncd.web.api.calls import Answer, Caller, Route, needs
from syncd.web.api.people import Belonging
from syncd.web.api.resources.users import ReasonQuery
from syncd.web.api.shapes import Asked, Id, Name, Page, PageQuery, PathId, Shown, Text, Why

router = APIRouter(prefix="/organizations/{org}/groups", tags=["groups"], route_class=Route)
Viewer = Annotated[Caller, needs("groups", Level.VIEW)]
Editor = Annotated[Caller, needs("groups", Level.EDIT)]
Reasoned = Annotated[ReasonQuery, Query()]
MOST_ROLES = 100


class RelatedGroup(Shown):
    """A group above or below, and who says so."""

    id: int
    name: str
    path: str
    sources: list[str] = Field(description="manual, or a mapper's name.")


class GroupRole(Shown):
    """A role of a group, and who gave it."""

    id: int
    name: str
    sources: list[str]


class GroupInList(Shown):
    """A group."""

    id: int
    name: str
    path: str
    kind: str = Field(description="custom or imported.")
    mapper: str | None
    external_id: str | None
    description: str
    attributes: dict[str, Any]
    parents: list[RelatedGroup]
    roles: list[GroupRole]


class Group(GroupInList):
    """A group with those directly below it."""

    children: list[RelatedGroup]


class GroupQuery(PageQuery):
    """By what groups are looked for."""

    name_prefix: str | None = Field(default=None, max_length=200)
    kind: str | None = Field(default=None, max_length=20)
    parent: Id | None = Field(default=None, description="Is directly below this group.")
    role: Id | None = Field(default=None, description="Was given this role.")
    roots: bool | None = Field(default=None, description="Has no group above it.")


class MemberQuery(PageQuery):
    """Which members are meant."""

    tree: bool = Field(default=False, description="Those of the groups below, too.")


class NewGroup(Asked):
    """A group to be made."""

    name: Name
    description: Text = ""
    roles: list[Id] = Field(default=[], max_length=MOST_ROLES)
    why: Why = None


class GroupFields(Asked):
    """What is changed; what is left out stays."""

    name: Name | None = None
    description: Text | None = None
    why: Why = None


@router.get("", response_model=Page[GroupInList])
def list_groups(caller: Viewer, query: Annotated[GroupQuery, Query()]) -> Answer:
    """List groups by name."""
    found = caller.management.pages.groups(query.limit, query.after, query.filters())
    return caller.paged(query, found)


@router.post("", response_model=Group, status_code=HTTPStatus.CREATED)
def create_group(caller: Editor, body: NewGroup) -> Answer:
    """Make a group."""
    shape = caller.management.groups.create(
        body.name, description=body.description, roles=body.roles, why=body.why
    )
    return caller.made(shape)


@router.get("/{group_id}", response_model=Group)
def get_group(caller: Viewer, group_id: PathId) -> Answer:
    """Return a group."""
    return caller.tagged(caller.management.groups.get(group_id))


@router.patch("/{group_id}", response_model=Group)
def edit_group(caller: Editor, group_id: PathId, body: GroupFields) -> Answer:
    """Change a group."""
    shape = caller.management.groups.edit(
        group_id,
        name=body.name,
        description=body.description,
        if_match=caller.expected,
        why=body.why,
    )
    return caller.tagged(shape)


@router.delete("/{group_id}", status_code=HTTPStatus.NO_CONTENT)
def delete_group(caller: Editor, group_id: PathId, query: Reasoned) -> None:
    """Delete a group; its members lose what it gave them."""
    caller.management.groups.delete(group_id, if_match=caller.expected, why=query.why)


@router.get("/{group_id}/members", response_model=Page[Belonging])
def list_group_members(
    caller: Viewer, group_id: PathId, query: Annotated[MemberQuery, Query()]
) -> Answer:
    """List who is in a group, and who says so."""
    caller.management.groups.get(group_id)
    found = caller.management.pages.group_members(
        group_id, query.limit, query.after, tree=query.tree
    )
    return caller.paged(query, found)


@router.put("/{group_id}/members/{user_id}", response_model=Group)
def add_group_member(caller: Editor, group_id: PathId, user_id: PathId, query: Reasoned) -> Answer:
    """Put a person into a group by hand."""
    return caller.tagged(caller.management.groups.add_member(group_id, user_id, why=query.why))


@router.delete("/{group_id}/members/{user_id}", response_model=Group)
def remove_group_member(
    caller: Editor, group_id: PathId, user_id: PathId, query: Reasoned
) -> Answer:
    """Take a person out who was put in by hand; whom a directory puts in stays."""
    return caller.tagged(caller.management.groups.remove_member(group_id, user_id, why=query.why))


@router.put("/{group_id}/roles/{role_id}", response_model=Group)
def add_group_role(caller: Editor, group_id: PathId, role_id: PathId, query: Reasoned) -> Answer:
    """Give a role to all who are in a group or below it."""
    return caller.tagged(caller.management.groups.add_role(group_id, role_id, why=query.why))


@router.delete("/{group_id}/roles/{role_id}", response_model=Group)
def remove_group_role(caller: Editor, group_id: PathId, role_id: PathId, query: Reasoned) -> Answer:
    """Take a role from a group that was given by hand."""
    return caller.tagged(caller.management.groups.remove_role(group_id, role_id, why=query.why))


@router.put("/{group_id}/children/{child_id}", response_model=Group)
def add_group_child(caller: Editor, group_id: PathId, child_id: PathId, query: Reasoned) -> Answer:
    """Put a group below another one; circles are refused."""
    return caller.tagged(caller.management.groups.add_child(group_id, child_id, why=query.why))


@router.delete("/{group_id}/children/{child_id}", response_model=Group)
def remove_group_child(
    caller: Editor, group_id: PathId, child_id: PathId, query: Reasoned
) -> Answer:
    """Take a group from below another one, if it was put there by hand."""
    return caller.tagged(caller.management.groups.remove_child(group_id, child_id, why=query.why))
