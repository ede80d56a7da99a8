"""Who owns an organization: making the first owner, and further ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

from syncd.people.ports import AccountStore, Shape, W
from syncd.people.users import OWNER_ROLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.people.users import Users


class Owners(Generic[W]):
    """An organization's owners."""

    def __init__(self, store: AccountStore[W], users: Users[W]) -> None:
        self._store = store
        self._users = users

    def list(self) -> Sequence[Shape]:
        """Return everybody who has the role Owner, by whatever way, by username."""
        return self._store.owners()

    def add(self, user_id: int, *, why: str | None = None) -> Shape:
        """Make a person an owner.

        Raises:
            Refused: ``owner_only``.

        """
        return self._users.grant(user_id, OWNER_ROLE, why=why)

    def found(
        self,
        *,
        email: str,
        first_name: str | None = None,
        last_name: str | None = None,
        why: str | None = None,
    ) -> Shape:
        """Make a person who is an owner, and invite him; as of ``Users.create``."""
        return self._users.create(
            email=email,
            first_name=first_name,
            last_name=last_name,
            roles=(OWNER_ROLE,),
            why=why,
        )
