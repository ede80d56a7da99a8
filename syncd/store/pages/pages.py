"""All lists of one organization, for whoever may view them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syncd.errors import Refused
from syncd.permissions import Level
from syncd.store.pages import belonging, books, people
from syncd.store.people import People

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.permissions import Principal
    from syncd.store.database import Database

DEFAULT = 100
NO_FILTERS: Mapping[str, object] = {}


class Pages:
    """Each method returns ``{"items": […], "next": a cursor, or None at the end}``.

    A page of people may have fewer than ``limit`` although it goes on: whoever wants all of them
    asks until ``next`` is None. Who comes or goes meanwhile is in the list or not; nobody else is
    missed or met twice. A limit, cursor or filter that is none is Refused as ``invalid``, and what
    the principal may not view as ``not_allowed``.
    """

    def __init__(self, database: Database, organization_id: str, principal: Principal) -> None:
        self._people = People(database, organization_id)
        self._principal = principal

    def users(
        self,
        limit: int = DEFAULT,
        after: str | None = None,
        filters: Mapping[str, object] = NO_FILTERS,
    ) -> dict[str, Any]:
        """Return people in the contract's shape, in order of username.

        Filters: ``username_prefix``, ``email``, ``role`` (as a grant), ``effective_role`` (also by
        groups), ``group``, ``group_tree`` (also in groups below), ``enabled`` (now), ``missing``,
        ``provider``, ``restriction`` (a reason that holds now), ``external_id``, ``ids``.
        """
        self._require("users")
        return people.users(self._people, limit=limit, after=after, filters=filters)

    def group_members(
        self, group_id: int, limit: int = DEFAULT, after: str | None = None, *, tree: bool = False
    ) -> dict[str, Any]:
        """Return who is in a group, and with ``tree`` in the groups below, and who says so."""
        self._require("groups")
        return people.group_members(self._people, group_id, limit=limit, after=after, tree=tree)

    def role_holders(
        self,
        role_id: int,
        limit: int = DEFAULT,
        after: str | None = None,
        *,
        effective: bool = False,
    ) -> dict[str, Any]:
        """Return who has a role as a grant, or ``effective`` also by groups, and by which."""
        self._require("roles")
        return people.role_holders(
            self._people, role_id, limit=limit, after=after, effective=effective
        )

    def roles(
        self,
        limit: int = DEFAULT,
        after: str | None = None,
        filters: Mapping[str, object] = NO_FILTERS,
    ) -> dict[str, Any]:
        """Return roles by name; filters: ``name_prefix``, ``kind``."""
        self._require("roles")
        return belonging.roles(self._people, limit=limit, after=after, filters=filters)

    def permission_sets(
        self,
        limit: int = DEFAULT,
        after: str | None = None,
        filters: Mapping[str, object] = NO_FILTERS,
    ) -> dict[str, Any]:
        """Return permission sets by name; filters: ``name_prefix``, ``kind``."""
        self._require("permission_sets")
        return belonging.permission_sets(self._people, limit=limit, after=after, filters=filters)

    def groups(
        self,
        limit: int = DEFAULT,
        after: str | None = None,
        filters: Mapping[str, object] = NO_FILTERS,
    ) -> dict[str, Any]:
        """Return groups by name.

        Filters: ``name_prefix``, ``kind``, ``parent``, ``role``, ``roots``.
        """
        self._require("groups")
        return belonging.groups(self._people, limit=limit, after=after, filters=filters)

    def runs(
        self,
        limit: int = DEFAULT,
        after: str | None = None,
        filters: Mapping[str, object] = NO_FILTERS,
    ) -> dict[str, Any]:
        """Return runs, the newest first; filters: ``status``, ``mode``."""
        self._require("organization")
        return books.runs(self._people, limit=limit, after=after, filters=filters)

    def plans(self, limit: int = DEFAULT, after: str | None = None) -> dict[str, Any]:
        """Return the plans that wait for somebody, the newest first."""
        self._require("organization")
        return books.plans(self._people, limit=limit, after=after)

    def quarantine(
        self,
        limit: int = DEFAULT,
        after: str | None = None,
        filters: Mapping[str, object] = NO_FILTERS,
    ) -> dict[str, Any]:
        """Return the entries that could not be taken; filters: ``source``, ``reason``."""
        self._require("organization")
        # They name people.
        self._require("users")
        return books.quarantine(self._people, limit=limit, after=after, filters=filters)

    def exclusions(
        self,
        limit: int = DEFAULT,
        after: str | None = None,
        filters: Mapping[str, object] = NO_FILTERS,
    ) -> dict[str, Any]:
        """Return whom somebody deleted although a source still has them; filter: ``source``."""
        self._require("users")
        return books.exclusions(self._people, limit=limit, after=after, filters=filters)

    def _require(self, section: str) -> None:
        if not self._principal.may(section, Level.VIEW):
            raise Refused(
                f"{self._principal.name} may not view {section}; "
                f"a role that views {section} allows it",
                "not_allowed",
            )
