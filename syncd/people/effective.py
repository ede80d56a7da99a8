"""Who may ask what somebody may do: whoever may view people, and everybody of himself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from syncd.errors import NotFound, Refused
from syncd.permissions import Level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syncd.permissions import Principal

    Shape = dict[str, Any]


class EffectiveStore(Protocol):
    """Effective permissions as the store has them."""

    @property
    def organization_id(self) -> str:
        """The organization."""

    def of(self, username: str) -> Shape | None:
        """Return what somebody may do, and by what."""

    def of_all(self) -> Iterator[Shape]:
        """Yield what everybody may do who is there."""


class EffectivePermissions:
    """What people may do, asked on somebody's behalf."""

    def __init__(self, store: EffectiveStore, principal: Principal) -> None:
        self._store = store
        self._principal = principal

    def of(self, username: str) -> Shape:
        """Return what one person may do, with all roles and sets that it comes from.

        Raises:
            NotFound: The organization has nobody of this name.
            Refused: The principal may not view people, and is not this one.

        """
        org = self._store.organization_id
        found = self._store.of(username)
        if found is None or found["id"] != self._principal.user_id:
            self._require_view()
        if found is None:
            raise NotFound(
                f"there is no person {username} in {org}; `syncd users {org}` lists them"
            )
        return found

    def of_all(self) -> Iterator[Shape]:
        """Yield what everybody may do who is there, by username.

        Raises:
            Refused: The principal may not view people.

        """
        self._require_view()
        return self._store.of_all()

    def _require_view(self) -> None:
        if not self._principal.may("users", Level.VIEW):
            raise Refused(
                "you may not view people; ask an admin of the organization", "not_allowed"
            )
