"""A small world over an Active Directory domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import yaml

from tests.acceptance.preloaded import QuickWorld
from tests.acceptance.world import ORGANIZATION
from tests.servers.samba import ADMIN, PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.preloaded import Commands
    from tests.integration.ldap.domains import Place
    from tests.servers.slapd import Slapd


class DomainWorld(QuickWorld):
    """One organization over a part of a domain and one store."""

    def __init__(
        self, folder: Path, place: Place, store_url: str, commands: Commands | None = None
    ) -> None:
        self.place = place
        if commands is not None:
            self.commands = commands
        # Of the server a world needs its certificate and what ``configure`` takes of it.
        super().__init__(folder, cast("Slapd", place.ad), store_url)

    def configure(self, *, ldap: dict[str, Any] | None = None, **organization: Any) -> None:
        """Write the configuration anew: the defaults with these keys laid over them."""
        section = {
            "vendor": "active_directory",
            "connection_url": self.place.ad.ldaps_url,
            "bind_dn": ADMIN,
            "bind_credential": PASSWORD,
            "users_dn": self.place.people,
            "user_search_filter": "(!(employeeType=former))",
            "connect_timeout": 5,
            "read_timeout": 20,
            "import_roles": {"roles_dn": self.place.groups},
        }
        document = {
            "organization": {"id": ORGANIZATION, "name": "Acme Corp"},
            "provider": "ldap",
            "certificates": [str(self.folder / "ca.pem")],
            "ldap": section | (ldap or {}),
            **organization,
        }
        self.organization_file.write_text(yaml.safe_dump(document, sort_keys=False))
        daemon = {"store": {"url": self.store_url}, "organizations": "organizations/*.yaml"}
        self.config.write_text(yaml.safe_dump(daemon))

    def changed(self) -> Any:
        """Run a changed-user sync."""
        return self.json("sync", ORGANIZATION, "--changed")

    def living_names(self) -> dict[str, set[str]]:
        """Return the roles of everybody who is not missing, under the names that a test uses."""
        bare = self.place.bare
        return {
            bare(name): {bare(role) for role in roles} for name, roles in self.roles_held().items()
        }
