"""Opens an organization's model: to look at it, or to change it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from syncd.store import effective
from syncd.store.editing.change import Change, change
from syncd.store.editing.matching import require_match
from syncd.store.feed import new_ids

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from sqlalchemy import Connection

    from syncd.permissions import Level
    from syncd.store.database import Database


class Scope(Protocol):
    """One organization in one transaction: a look, or a change."""

    @property
    def connection(self) -> Connection:
        """The transaction."""

    @property
    def organization_id(self) -> str:
        """The organization."""


class Look(NamedTuple):
    """A transaction that only reads."""

    connection: Connection
    organization_id: str


class Editing:
    """Opens what the writers and readers of ``syncd.store.editing`` work on."""

    def __init__(self, database: Database, organization_id: str, *, actor: str) -> None:
        self.database = database.of(organization_id)
        self.organization_id = organization_id
        self.actor = actor

    @contextmanager
    def look(self) -> Iterator[Look]:
        """Open the model for reading."""
        with self.database.read() as connection:
            yield Look(connection, self.organization_id)

    @contextmanager
    def change(self, why: str | None = None) -> Iterator[Change]:
        """Open a change, committed with its journal at the end."""
        with change(self.database, self.organization_id, actor=self.actor, why=why) as opened:
            yield opened

    def new_id(self, allocator: str) -> int:
        """Take an id; before the change that uses it, which would keep other writers waiting."""
        return new_ids(self.database, allocator)[0]

    @staticmethod
    def role_levels(at: Scope, role_ids: Collection[int]) -> dict[int, dict[str, Level]]:
        """Return what each of these roles allows."""
        return effective.role_levels(at.connection, role_ids)

    @staticmethod
    def set_levels(at: Scope, set_ids: Collection[int]) -> dict[int, dict[str, Level]]:
        """Return what each of these permission sets allows."""
        return effective.set_levels(at.connection, set_ids)

    @staticmethod
    def require_match(shape: Mapping[str, object], if_match: str | None) -> None:
        """Refuse to change what is not any more as it was seen."""
        require_match(shape, if_match)
