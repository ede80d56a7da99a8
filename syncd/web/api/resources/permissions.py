"""Decisions: whether somebody may do something."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from syncd.permissions import Level
from syncd.web.api import shapes
from syncd.web.api.calls import Answer, Caller, Route, needs
from syncd.web.api.shapes import Asked, Id, Shown

router = APIRouter(
    prefix="/organizations/{org}/permissions", tags=["permissions"], route_class=Route
)
Viewer = Annotated[Caller, needs("users", Level.VIEW)]
MOST_QUESTIONS = 100


class Question(Asked):
    """Whether somebody may do this."""

    user: Id | Annotated[str, Field(min_length=1, max_length=200)] = Field(
        description="The id as a number, or the username."
    )
    section: shapes.Section
    level: shapes.Level


class Questions(Asked):
    """Up to a hundred questions."""

    questions: list[Question] = Field(min_length=1, max_length=MOST_QUESTIONS)


class Decision(Shown):
    """What is said to one question."""

    allowed: bool
    because: str = Field(
        description="granted, lacks_permission, restricted, missing or unknown_user."
    )


class Decisions(Shown):
    """The answers, in the order of the questions."""

    answers: list[Decision]


@router.post("/check", response_model=Decisions)
def check_permissions(caller: Viewer, body: Questions) -> Answer:
    """Decide up to a hundred questions at once, as of now; it changes nothing."""
    questions = [question.model_dump() for question in body.questions]
    return {"answers": caller.management.decide(questions)}
