"""People as the API shows them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pydantic import Field
from starlette.exceptions import HTTPException

from syncd.web.api.shapes import Shown, Time

if TYPE_CHECKING:
    from fastapi import Request

TABLES = ("text/csv", "text/plain")


class Restriction(Shown):
    """Why somebody may not sign in."""

    reason: str
    source: str
    since: Time
    until: Time | None


class HeldRole(Shown):
    """A role, and who gives it."""

    name: str
    sources: list[str] = Field(description="manual, default, or a mapper's name.")


class HeldGroup(HeldRole):
    """A group, and who put the person there."""

    path: str


class User(Shown):
    """A person."""

    id: int
    organization: str
    provider: str
    external_id: str | None
    username: str
    email: str | None
    email_verified: bool
    first_name: str | None
    last_name: str | None
    enabled: bool
    disabled_because: list[Restriction]
    upcoming: list[Restriction] = Field(description="What will shut the person out later.")
    dn: str | None
    source_created_at: Time | None
    source_modified_at: Time | None
    attributes: dict[str, Any]
    roles: list[HeldRole]
    groups: list[HeldGroup]
    last_sign_in: Time | None


class Mail(Shown):
    """What became of a mail."""

    purpose: str
    to: str
    expires_at: Time
    sent: bool
    because: str | None


class CreatedUser(User):
    """A person who was made or changed, and what became of the mail that he gets."""

    mail: Mail | None


class ImportedRow(Shown):
    """What became of a row."""

    row: int
    email: str | None
    username: str | None
    status: str = Field(description="created, exists or invalid.")
    reason: str | None
    id: int | None
    mail: Mail | None


class ImportedMails(Shown):
    """How many mails there were."""

    sent: int
    not_sent: int


class Imported(Shown):
    """What became of a table."""

    dry: bool
    rows: list[ImportedRow]
    counts: dict[str, int]
    mails: ImportedMails


class ShortUser(Shown):
    """A person in a list of members."""

    id: int
    username: str
    email: str | None
    first_name: str | None
    last_name: str | None
    missing: bool


class Way(Shown):
    """How somebody is in something."""

    source: str
    group_id: int | None


class Belonging(Shown):
    """Somebody, and the ways by which he is there."""

    user: ShortUser
    ways: list[Way]


def require_table(request: Request) -> None:
    """Refuse what is not sent as a table."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in TABLES:
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send it as {' or '.join(TABLES)}, in UTF-8"
        )
