"""People: section users."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Query
from pydantic import Field

from syncd.errors import NotFound
from syncd.permissions import Level
from syncd.web.api import people, shapes
from syncd.web.api.calls import Answer, Caller, Route, needs
from syncd.web.api.people import CreatedUser, Imported, User
from syncd.web.api.shapes import Asked, Id, Page, PageQuery, Parameters, PathId, Shown, Why

router = APIRouter(prefix="/organizations/{org}/users", tags=["users"], route_class=Route)
Viewer = Annotated[Caller, needs("users", Level.VIEW)]
Editor = Annotated[Caller, needs("users", Level.EDIT)]
GroupEditor = Annotated[Caller, needs("groups", Level.EDIT)]
MOST_IDS = 500
MOST_ROLES = 100


class UserQuery(PageQuery):
    """By what people are looked for."""

    username_prefix: str | None = Field(default=None, max_length=200)
    email: str | None = Field(default=None, max_length=320)
    role: Id | None = Field(default=None, description="Has this role as a grant.")
    effective_role: Id | None = Field(default=None, description="Has it also by groups.")
    group: Id | None = Field(default=None, description="Is in this group.")
    group_tree: Id | None = Field(default=None, description="Is in it or in a group below it.")
    enabled: bool | None = Field(default=None, description="May sign in now.")
    missing: bool | None = Field(default=None, description="Is missing from the directory.")
    provider: str | None = Field(default=None, max_length=20)
    restriction: str | None = Field(default=None, max_length=50, description="A reason, as of now.")
    external_id: str | None = Field(default=None, max_length=500)
    ids: list[Id] | None = Field(default=None, max_length=MOST_IDS)


class NewUser(Asked):
    """A person to be made; of organizations of the admin provider."""

    email: shapes.Email
    username: str | None = Field(default=None, max_length=200, description="Default: the address.")
    first_name: str | None = Field(default=None, max_length=200)
    last_name: str | None = Field(default=None, max_length=200)
    roles: list[Id] = Field(default=[], max_length=MOST_ROLES)
    invite: bool = Field(default=True, description="Send an invitation by mail.")
    why: Why = None


class UserFields(Asked):
    """What is changed; what is left out stays."""

    email: shapes.Email | None = None
    username: str | None = Field(default=None, min_length=1, max_length=200)
    first_name: str | None = Field(default=None, max_length=200)
    last_name: str | None = Field(default=None, max_length=200)
    why: Why = None


class Reason(Asked):
    """Why something is done."""

    why: Why = None


class ReasonQuery(Parameters):
    """Why something is done, of requests without a body."""

    why: Why = None


class ImportQuery(ReasonQuery):
    """How a table is read."""

    dry_run: bool = Field(default=False, description="Only tell what would be made.")
    invite: bool = Field(default=True, description="Send each an invitation by mail.")


class RoleWay(Shown):
    """How a person comes to a role."""

    source: str
    group: str | None
    member_of: str | None


class EffectiveRole(Shown):
    """A role that a person has, by whatever way."""

    id: int
    name: str
    sources: list[RoleWay]


class Because(Shown):
    """What gives a permission."""

    section: str
    level: shapes.Level
    role: str
    permission_set: str


class EffectivePermissions(Shown):
    """What a person may do, and why."""

    id: int
    username: str
    enabled: bool
    permissions: shapes.Levels = Field(description="Section to level.")
    roles: list[EffectiveRole]
    because: list[Because]


class Deleted(Shown):
    """Who was deleted."""

    id: int
    username: str
    excluded: bool = Field(description="Syncs pass over this person from now on.")


@router.get("", response_model=Page[User])
def list_users(caller: Viewer, query: Annotated[UserQuery, Query()]) -> Answer:
    """List people by username. A page may be short although there is a next one."""
    found = caller.management.pages.users(query.limit, query.after, query.filters())
    return caller.paged(query, found)


@router.post("", response_model=CreatedUser, status_code=HTTPStatus.CREATED)
def create_user(caller: Editor, body: NewUser) -> Answer:
    """Make a person of the admin provider."""
    return caller.made(caller.management.users.create(**body.model_dump()), without="mail")


@router.post(
    "/import",
    response_model=Imported,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "text/csv": {"schema": {"type": "string"}},
                "text/plain": {"schema": {"type": "string"}},
            },
        }
    },
)
def import_users(
    caller: Editor,
    query: Annotated[ImportQuery, Query()],
    body: Annotated[bytes, Body(media_type="text/csv")],
) -> Answer:
    """Make the people of a CSV file, or of a list of e-mail addresses, one a line."""
    people.require_table(caller.request)
    return caller.management.users.create_many(
        body, dry=query.dry_run, invite=query.invite, why=query.why
    )


@router.get("/{user_id}", response_model=User)
def get_user(caller: Viewer, user_id: PathId) -> Answer:
    """Return a person."""
    return caller.tagged(caller.management.users.get(user_id))


@router.patch("/{user_id}", response_model=CreatedUser)
def edit_user(caller: Editor, user_id: PathId, body: UserFields) -> Answer:
    """Change a person of the admin provider."""
    fields = body.model_dump(exclude_unset=True, exclude={"why"})
    users = caller.management.users
    shape = users.edit(user_id, fields, if_match=caller.expected, why=body.why)
    return caller.tagged(shape, without="mail")


@router.delete("/{user_id}", response_model=Deleted)
def delete_user(caller: Editor, user_id: PathId, query: Annotated[ReasonQuery, Query()]) -> Answer:
    """Delete a person for good."""
    return caller.management.users.delete(user_id, if_match=caller.expected, why=query.why)


@router.post("/{user_id}/disable", response_model=User)
def disable_user(caller: Editor, user_id: PathId, body: Reason) -> Answer:
    """Shut a person out until he is enabled again."""
    users = caller.management.users
    shape = users.disable(user_id, if_match=caller.expected, why=body.why)
    return caller.tagged(shape)


@router.post("/{user_id}/enable", response_model=User)
def enable_user(caller: Editor, user_id: PathId, body: Reason) -> Answer:
    """Let a person in again whom somebody disabled here; other restrictions stay."""
    users = caller.management.users
    shape = users.enable(user_id, if_match=caller.expected, why=body.why)
    return caller.tagged(shape)


@router.put("/{user_id}/roles/{role_id}", response_model=User)
def grant_role(
    caller: Editor,
    user_id: PathId,
    role_id: PathId,
    query: Annotated[ReasonQuery, Query()],
) -> Answer:
    """Give a person a role by hand."""
    users = caller.management.users
    shape = users.grant(user_id, role_id, if_match=caller.expected, why=query.why)
    return caller.tagged(shape)


@router.delete("/{user_id}/roles/{role_id}", response_model=User)
def revoke_role(
    caller: Editor,
    user_id: PathId,
    role_id: PathId,
    query: Annotated[ReasonQuery, Query()],
) -> Answer:
    """Take a role away that was given by hand; what a directory or a group gives stays."""
    users = caller.management.users
    shape = users.revoke(user_id, role_id, if_match=caller.expected, why=query.why)
    return caller.tagged(shape)


@router.put("/{user_id}/groups/{group_id}", response_model=User)
def join_group(
    caller: GroupEditor, user_id: PathId, group_id: PathId, query: Annotated[ReasonQuery, Query()]
) -> Answer:
    """Put a person into a group by hand."""
    caller.management.groups.add_member(group_id, user_id, why=query.why)
    return caller.tagged(caller.management.users.get(user_id))


@router.delete("/{user_id}/groups/{group_id}", response_model=User)
def leave_group(
    caller: GroupEditor, user_id: PathId, group_id: PathId, query: Annotated[ReasonQuery, Query()]
) -> Answer:
    """Take a person out of a group who was put in by hand."""
    caller.management.groups.remove_member(group_id, user_id, why=query.why)
    return caller.tagged(caller.management.users.get(user_id))


@router.get("/{user_id}/permissions", response_model=EffectivePermissions)
def get_user_permissions(caller: Viewer, user_id: PathId) -> Answer:
    """Return what a person may do, and each role and permission set that gives it."""
    username = caller.management.users.get(user_id)["username"]
    found = caller.management.permissions.of(username)
    if found["id"] != user_id:
        raise NotFound(f"person {user_id} is gone, and somebody else is called {username} now")
    return found
