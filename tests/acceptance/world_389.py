"""A world over 389 Directory Server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.acceptance.preloaded import QuickWorld
from tests.acceptance.world import ORGANIZATION

if TYPE_CHECKING:
    from tests.servers.ds389 import DS389

STAFF = "(!(employeeType=robot))"


class World389(QuickWorld):
    """A world over 389 Directory Server, in clear text on loopback."""

    slapd: DS389  # type: ignore[assignment]

    def __post_init__(self) -> None:
        (self.folder / "organizations").mkdir(parents=True, exist_ok=True)
        self.url = self.slapd.url
        self.configure()

    def configure(self, *, ldap: dict[str, Any] | None = None, **organization: Any) -> None:
        """Write the configuration for a 389 Directory Server."""
        section = {"vendor": "389ds", "user_search_filter": STAFF, "page_size": 100, **(ldap or {})}
        super().configure(ldap=section, **{"certificates": [], **organization})

    def changed(self, code: int = 0) -> Any:
        """Run a changed-user sync."""
        return self.json("sync", ORGANIZATION, "--changed", code=code)
