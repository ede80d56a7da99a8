"""What requests and answers are made of: strict requests, whole pages, texts that a store takes."""

from __future__ import annotations

from typing import Annotated, Any, Final, Generic, TypeVar

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, model_validator

from syncd.permissions import SECTIONS

Item = TypeVar("Item")
# Ids are 64-bit integers; nothing with more digits is one.
LARGEST_ID: Final = 2**63 - 1
ID_LIMIT: Final = 19
MOST_ITEMS: Final = 500
LONGEST_CURSOR: Final = 2_000

Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
PathId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=2_000)]
Why = Annotated[str | None, Field(max_length=1_000, description="The reason, for the journal.")]
Level = Annotated[str, Field(pattern="^(none|view|edit)$")]
# Whether there is such a section the services say; the description names them.
Section = Annotated[str, Field(max_length=50, json_schema_extra={"enum": list(SECTIONS)})]
Levels = Annotated[
    dict[str, Level], Field(json_schema_extra={"propertyNames": {"enum": list(SECTIONS)}})
]
Email = Annotated[str, Field(min_length=3, max_length=320, json_schema_extra={"format": "email"})]
Time = Annotated[str, Field(description="UTC, ISO 8601, with Z.")]


def _storable(value: object) -> object:
    """Refuse texts that no database can hold, wherever they stand."""
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= sign <= "\udfff" for sign in value):
            raise ValueError("has a character that cannot be stored")
    elif isinstance(value, dict):
        for key, each in value.items():
            _storable(key)
            _storable(each)
    elif isinstance(value, list):
        for each in value:
            _storable(each)
    return value


class Asked(BaseModel):
    """A request's body: nothing unknown, nothing of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def storable(cls, value: Any) -> Any:  # noqa: ANN401 - whatever was sent
        """Refuse texts that no database can hold."""
        return _storable(value)


class Parameters(BaseModel):
    """A request's query: nothing unknown."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def storable(cls, value: Any) -> Any:  # noqa: ANN401 - whatever was sent
        """Refuse texts that no database can hold."""
        return _storable(value)


class PageQuery(Parameters):
    """How much of a list, and from where."""

    limit: int = Field(default=100, ge=1, le=MOST_ITEMS, description="The most items in a page.")
    after: str | None = Field(
        default=None, max_length=LONGEST_CURSOR, description="`next` of the page before."
    )

    def filters(self) -> dict[str, Any]:
        """Return the filters that were given."""
        return self.model_dump(exclude={"limit", "after"}, exclude_none=True)


class Shown(BaseModel):
    """A part of an answer."""


class Page(Shown, Generic[Item]):
    """A page of a list."""

    items: list[Item]
    next: str | None = Field(
        description="Give it as `after` for the next page; null on the last one."
    )


class Named(Shown):
    """Something by its id and name."""

    id: int
    name: str
