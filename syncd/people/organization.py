"""An organization as a whole: what it is, and its end, which is an Owner's alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from syncd.errors import NotFound, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from syncd.permissions import Principal


class OrganizationStore(Protocol):
    """What is stored of an organization."""

    def row(self) -> Mapping[str, Any] | None:
        """Return its row; None where there is none."""

    def counts(self) -> dict[str, int]:
        """Return how much there is of what."""

    def owner_named(self, username: str) -> bool:
        """Return whether this is one of its owners."""

    def has_owner(self) -> bool:
        """Return whether it has any."""

    def end(self, progress: Callable[[str, int], None] = ...) -> int:
        """Delete everything of it but its row; return how many rows that were."""

    def forget(self) -> None:
        """Remove the row of one that was deleted."""


class OrganizationArea:
    """What is done with an organization as a whole, on somebody's behalf."""

    def __init__(
        self,
        store: OrganizationStore,
        principal: Principal,
        *,
        organization_id: str,
        wanted: Mapping[str, Any],
        certificates: Sequence[Mapping[str, Any]],
        pending: Callable[[Mapping[str, Any]], str | None],
    ) -> None:
        """``wanted`` is the configuration's name and provider."""
        self._store = store
        self._principal = principal
        self._id = organization_id
        self._wanted = wanted
        self._certificates = certificates
        self._pending = pending

    def show(self) -> dict[str, Any]:
        """Return the organization: as it is applied, what is pending, its certificates, counts."""
        row = self._store.row()
        if row is None:
            raise NotFound(f"there is no organization {self._id} in the store yet")
        paused = None
        if row["paused_at"] is not None:
            paused = row["paused_because"] or "no reason given"
        return {
            "id": self._id,
            "name": row["name"],
            "provider": row["provider"],
            "configured_provider": self._wanted["provider"],
            "pending": self._pending(row),
            "link": row["link_by"],
            "paused": paused,
            "created_at": row["created_at"],
            "deleted_at": row["deleted_at"],
            "certificates": [dict(each) for each in self._certificates],
            "counts": self._store.counts(),
        }

    def delete(
        self,
        name: str,
        *,
        owner: str | None = None,
        progress: Callable[[str, int], None] = lambda _what, _rows: None,
    ) -> dict[str, Any]:
        """Delete everything of the organization for good; its row stays and keeps syncs off.

        Args:
            name: The organization's name, as whoever asks has to write it.
            owner: Who of its owners decided so, where an operator asks.
            progress: Called with a table's name and how many rows are gone.

        Raises:
            Refused: ``owner_only``, or the name is another.
            LeaseHeld: A sync is under way.

        """
        if not self._principal.owner:
            raise Refused("only an owner deletes the organization", "owner_only")
        row = self._store.row()
        if row is None:
            raise NotFound(f"there is no organization {self._id} in the store")
        if name != row["name"]:
            raise Refused(
                f"{self._id} has another name than {name!r}; to delete it for good, write its "
                "name exactly as `syncd organization show` has it"
            )
        # What is left of one that was being deleted has no owners any more.
        going = row["deleted_at"] is not None
        if not going and owner is not None and not self._store.owner_named(owner):
            raise Refused(
                f"{owner} is no owner of {self._id}, and only an owner decides", "owner_only"
            )
        if (
            not going
            and owner is None
            and self._principal.user_id is None
            and self._store.has_owner()
        ):
            raise Refused(
                f"say which owner of {self._id} decided so: --owner USERNAME", "owner_only"
            )
        rows = self._store.end(progress)
        return {"organization": self._id, "name": name, "deleted": True, "rows": rows}
