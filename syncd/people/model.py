"""What the rules about roles, permission sets, groups and address books need of the store.

An opened look or change is made by the store and handed back to it; nothing here looks into it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from contextlib import AbstractContextManager

    from syncd.permissions import Level

Shape = dict[str, Any]
# A look or a change that the store has opened: whoever opens it knows its type.
Opened = Any


class Opening(Protocol):
    """An organization's model, to be looked at or changed."""

    @property
    def organization_id(self) -> str:
        """The organization."""

    def look(self) -> AbstractContextManager[Any]:
        """Open it for reading."""

    def change(self, why: str | None = None) -> AbstractContextManager[Any]:
        """Open a change, committed with its journal at the end."""

    def new_id(self, allocator: str) -> int:
        """Take an id, before the change that uses it."""

    def require_match(self, shape: Mapping[str, object], if_match: str | None) -> None:
        """Refuse to change what is not any more as it was seen."""

    def role_levels(self, at: Opened, role_ids: Collection[int]) -> dict[int, dict[str, Level]]:
        """Return what each of these roles allows."""

    def set_levels(self, at: Opened, set_ids: Collection[int]) -> dict[int, dict[str, Level]]:
        """Return what each of these permission sets allows."""


class RowsOf(Protocol):
    """What there is of each kind: read as shown, read as journaled, written whole."""

    def shape(self, at: Opened, number: int, /) -> Shape | None:
        """Return it as it is shown; None if the organization has no such thing."""

    def snapshot(self, at: Opened, number: int, /) -> Shape | None:
        """Return what of it the organization may change, as the journal has it."""

    def write(self, change: Opened, number: int, after: Mapping[str, Any] | None, /) -> None:
        """Make it what the snapshot says; with None delete it."""


class NamedRows(RowsOf, Protocol):
    """Of kinds whose names are unique."""

    def named(self, at: Opened, name: str, /) -> int | None:
        """Return the one of a name."""

    def all_ids(self, at: Opened, /) -> list[int]:
        """Return all of the organization's, by name."""


class Use(Protocol):
    """What hangs on a role."""

    @property
    def people(self) -> bool:
        """Somebody holds it."""

    @property
    def groups(self) -> bool:
        """A group has it."""

    @property
    def containers(self) -> bool:
        """A directory's entry stands for it."""


class RoleRows(NamedRows, Protocol):
    """``syncd.store.editing.roles``."""

    def use(self, at: Opened, role_id: int, /) -> Use:
        """Return what hangs on a role."""


class SetRows(NamedRows, Protocol):
    """``syncd.store.editing.permission_sets``."""


class GroupRows(RowsOf, Protocol):
    """``syncd.store.editing.groups``."""

    def named(self, at: Opened, name: str, /) -> list[tuple[int, str]]:
        """Return the groups of a name or a path, each with its path."""

    def conferred(self, at: Opened, group_id: int, /) -> list[int]:
        """Return the roles that a group's members have by it and the groups above it."""

    def would_circle(self, at: Opened, parent: int, child: int, /) -> bool:
        """Return whether a group cannot come below another."""

    def held_by_directory(self, at: Opened, group_id: int, /) -> bool:
        """Return whether a directory's entry stands for the group."""


class Members(Protocol):
    """``syncd.store.editing.belonging``."""

    def person(self, at: Opened, user_id: int, /) -> str | None:
        """Return the username of somebody who is there."""

    def join(self, change: Opened, group_id: int, user_id: int, /) -> None:
        """Put somebody into a group by hand."""

    def leave(self, change: Opened, group_id: int, user_id: int, /) -> None:
        """Take somebody out of a group into which he was put by hand."""

    def sources_of(self, at: Opened, group_id: int, user_id: int, /) -> list[str]:
        """Return who says that somebody is in a group."""


class BookRows(RowsOf, Protocol):
    """Of ``syncd.store.editing.address_books`` what concerns books."""

    def shared(self, at: Opened, /) -> list[Shape]:
        """Return the shared books, by name."""

    def named(self, at: Opened, name: str, /) -> int | None:
        """Return the shared book of a name."""

    def owned_by(self, at: Opened, user_id: int, /) -> int | None:
        """Return somebody's own book, if it has been made."""

    def entry(self, at: Opened, entry_id: int, /) -> Shape | None:
        """Return an entry as it is shown."""

    def entry_snapshot(self, at: Opened, entry_id: int, /) -> Shape | None:
        """Return an entry as the journal has it."""

    def write_entry(
        self, change: Opened, entry_id: int, after: Mapping[str, Any] | None, /
    ) -> None:
        """Make an entry what the snapshot says; with None delete it."""

    def entries(
        self,
        at: Opened,
        book_id: int,
        /,
        *,
        limit: int,
        after: str | None = None,
        tag: str | None = None,
        prefix: str | None = None,
    ) -> Shape:
        """Return a page of a book."""

    def tags(self, at: Opened, book_id: int, /) -> list[str]:
        """Return the tags in a book."""
