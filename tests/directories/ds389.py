"""389 Directory Server with its plug-ins memberOf, referential integrity and retro changelog."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import ldap3

from tests.directories.directory import Directory
from tests.servers.ds389 import DS389
from tests.servers.slapd import READER, SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

REFUSED = f'(targetattr="*")(version 3.0; acl "kept out"; deny (all) userdn="ldap:///{READER.dn}";)'


class Ds389(Directory):
    """One ns-slapd."""

    name = "389ds"
    suffix = SUFFIX

    @classmethod
    @contextmanager
    def running(cls, template: Path) -> Iterator[Ds389]:
        """Start one."""
        with DS389(template) as server:
            server.allow_changelog()
            yield cls(server)

    def settings(self) -> dict[str, Any]:
        """Return what the product needs beside the places of people and groups."""
        return {
            "vendor": "389ds",
            "bind_dn": READER.dn,
            "bind_credential": READER.password,
        }

    def bound(self) -> Any:
        """Bind as the administrator."""
        return self.server.admin()

    def person(self, username: str, **attributes: Any) -> dict[str, Any]:
        """Return a person's attributes."""
        return {
            "objectClass": ["inetOrgPerson"],
            "uid": username,
            "sn": username.capitalize(),
            "givenName": "Person",
            "mail": f"{username}@example.test",
        } | attributes

    def group(self, name: str, members: Sequence[str]) -> dict[str, Any]:
        """Return a group's attributes."""
        attributes: dict[str, Any] = {"objectClass": ["groupOfNames"]}
        return attributes | ({"member": list(members)} if members else {})

    def disable(self, dn: str) -> None:
        """Disable an account."""
        self.modify(dn, nsAccountLock=["true"])

    def enable(self, dn: str) -> None:
        """Enable an account."""
        self.modify(dn, nsAccountLock=[])

    def prepare(self, dn: str) -> None:
        """Give an account the class of attributes that ends it."""
        with self.bound() as admin:
            admin.modify(dn, {"objectClass": [(ldap3.MODIFY_ADD, ["shadowAccount"])]})

    def expire(self, dn: str, when: datetime | None) -> None:
        """Set an account's last day."""
        days = [] if when is None else [str(int(when.timestamp()) // 86_400)]
        self.modify(dn, shadowExpire=days)

    def lock(self, dn: str) -> None:
        """Lock an account as the server itself would."""
        until = datetime.now(UTC) + timedelta(minutes=30)
        self.modify(dn, accountUnlockTime=[f"{until:%Y%m%d%H%M%SZ}"])

    def unlock(self, dn: str) -> None:
        """Take the lock away."""
        self.modify(dn, accountUnlockTime=[])

    @contextmanager
    def unreadable(self, unit: str) -> Iterator[None]:
        """Hide what is below a unit from the account that syncs."""
        self.modify(unit, aci=[REFUSED])
        try:
            yield
        finally:
            self.modify(unit, aci=[])
