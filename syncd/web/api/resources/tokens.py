"""API tokens: section organization."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from syncd.errors import Refused
from syncd.permissions import SECTIONS, Level
from syncd.web.api import shapes
from syncd.web.api.answers import refuse_cursor
from syncd.web.api.calls import Answer, Caller, Route, needs
from syncd.web.api.idempotency import answers_with_a_secret
from syncd.web.api.shapes import Asked, Id, Name, Page, PageQuery, PathId, Shown, Time, Why

router = APIRouter(prefix="/organizations/{org}/tokens", tags=["tokens"], route_class=Route)
Viewer = Annotated[Caller, needs("organization", Level.VIEW)]
Editor = Annotated[Caller, needs("organization", Level.EDIT)]
DAY_SECONDS = 86_400


class Person(Shown):
    """Whom a token acts for."""

    id: int
    username: str | None = Field(description="Null when the person is gone.")


class Token(Shown):
    """A token, without its secret."""

    id: int
    name: str
    scopes: shapes.Levels = Field(description="Section to level.")
    user: Person | None
    created_at: Time
    created_by: str
    expires_at: Time
    last_used_at: Time | None = Field(description="At most a minute late.")
    revoked_at: Time | None


class MadeToken(Token):
    """A token that has just been made."""

    token: str = Field(description="To be shown this once.")


class NewToken(Asked):
    """What a token is made of."""

    name: Name
    scopes: shapes.Levels = Field(
        min_length=1, max_length=len(SECTIONS), description="Section to level."
    )
    expires_in: Annotated[int, Field(ge=1, le=36_500 * DAY_SECONDS)] = Field(
        description="Seconds that it lives."
    )
    user_id: Id | None = Field(default=None, description="Whom it acts for: the caller, or nobody.")
    why: Why = None


@router.get("", response_model=Page[Token])
def list_tokens(caller: Viewer, query: Annotated[PageQuery, Query()]) -> Answer:
    """List tokens in the order in which they were made, those that have ended too."""
    after = 0
    if query.after is not None:
        if not query.after.isdecimal() or len(query.after) >= shapes.ID_LIMIT:
            raise refuse_cursor(query.after)
        after = int(query.after)
    found = caller.management.tokens.page(limit=query.limit + 1, after=after)
    items = found[: query.limit]
    more = len(found) > len(items)
    page = {"items": items, "next": str(items[-1]["id"]) if more else None}
    return caller.paged(query, page)


@router.post("", response_model=MadeToken, status_code=HTTPStatus.CREATED)
@answers_with_a_secret
def create_token(caller: Editor, body: NewToken) -> Answer:
    """Make a token for no more than the caller may do."""
    try:
        scopes = {section: Level.of(word) for section, word in body.scopes.items()}
    except ValueError as error:
        raise Refused(str(error)) from error
    made = caller.management.tokens.create(
        body.name,
        scopes,
        lifetime=timedelta(seconds=body.expires_in),
        user_id=body.user_id,
        why=body.why,
    )
    return caller.made(made, without="token")


@router.get("/{token_id}", response_model=Token)
def get_token(caller: Viewer, token_id: PathId) -> Answer:
    """Return a token, without its secret."""
    return caller.management.tokens.get(token_id)


@router.delete("/{token_id}", response_model=Token)
def revoke_token(caller: Editor, token_id: PathId) -> Answer:
    """End a token at once; it stays in the list."""
    return caller.management.tokens.revoke(token_id)
