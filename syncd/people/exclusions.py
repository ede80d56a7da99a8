"""Whom syncs pass over, because somebody deleted them here for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

from syncd.errors import NotFound, Refused
from syncd.people.ports import AccountStore, Shape, W
from syncd.records import fold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.permissions import Principal


class Exclusions(Generic[W]):
    """An organization's exclusions, changed on somebody's behalf."""

    def __init__(self, store: AccountStore[W], principal: Principal) -> None:
        self._store = store
        self._principal = principal

    def list(self) -> Sequence[Shape]:
        """Return whom syncs pass over, by username."""
        return self._store.excluded()

    def find(self, name: str) -> Shape:
        """Return the exclusion of an external id, or of the username that somebody had.

        Raises:
            NotFound: Nobody of that name is excluded.
            Refused: Several are, so that only the id says who is meant.

        """
        there = self._store.excluded()
        named = [each for each in there if each["external_id"] == name]
        named = named or [each for each in there if fold(each["username"]) == fold(name)]
        org = self._store.organization_id
        if not named:
            raise NotFound(f"nobody called {name} is excluded; `syncd exclusions {org}` lists them")
        if len(named) > 1:
            ids = ", ".join(each["external_id"] for each in named)
            raise Refused(f"several people called {name} are excluded; give the id: {ids}")
        return named[0]

    def remove(self, external_id: str, *, source: str = "ldap", why: str | None = None) -> Shape:
        """Let the next full sync bring somebody again, as a new person.

        Raises:
            NotFound: The id is not excluded.

        """
        there = self.find(external_id)
        with self._store.change(why) as change:
            if not self._store.include(change, source, external_id):
                raise NotFound(f"nobody of the id {external_id} is excluded from {source}")
        return there
