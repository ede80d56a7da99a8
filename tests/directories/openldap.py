"""OpenLDAP with the overlays memberof, refint, ppolicy and syncprov."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.directories.directory import Directory
from tests.servers.slapd import OPEN_ACCESS, OVERLAYS, READER, SUFFIX, Slapd

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# What is below a unit of a test's part is hidden from the members of a group beside that unit.
ACCESS = f"""
access to dn.regex="^.+,(ou=[a-z]+,ou=t[0-9]+,{SUFFIX})$"
  by group.expand="cn=kept out,$1" none
  by * break
{OPEN_ACCESS.strip()}
"""
FOR_GOOD = "000001010000Z"
PLACEHOLDER = "cn=empty-membership-placeholder"


class OpenLdap(Directory):
    """One slapd."""

    name = "openldap"
    suffix = SUFFIX

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[OpenLdap]:
        """Start one."""
        with Slapd(overlays=OVERLAYS, access=ACCESS) as server:
            yield cls(server)

    def settings(self) -> dict[str, Any]:
        """Return what the product needs beside the places of people and groups."""
        return {
            "vendor": "openldap",
            "bind_dn": READER.dn,
            "bind_credential": READER.password,
        }

    def bound(self) -> Any:
        """Bind as the administrator."""
        return self.server._admin()

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
        # The schema wants a member.
        return {"objectClass": ["groupOfNames"], "member": list(members) or [PLACEHOLDER]}

    def leave(self, group: str, *members: str) -> None:
        """Take members out, and put the placeholder in when nobody is left."""
        with self.bound() as admin:
            admin.search(group, "(objectClass=*)", "BASE", attributes=["member"])
            held = admin.response[0]["raw_attributes"]["member"]
        rest = [each for each in held if each.decode() not in members]
        self.modify(group, member=rest or [PLACEHOLDER.encode()])

    def disable(self, dn: str) -> None:
        """Disable an account."""
        self.modify(dn, pwdAccountLockedTime=[FOR_GOOD])

    def enable(self, dn: str) -> None:
        """Enable an account."""
        self.modify(dn, pwdAccountLockedTime=[])

    def prepare(self, dn: str) -> None:
        """Give an account the class of attributes that ends it."""
        self.modify(dn, objectClass=["inetOrgPerson", "shadowAccount"])

    def expire(self, dn: str, when: datetime | None) -> None:
        """Set an account's last day."""
        days = [] if when is None else [str(int(when.timestamp()) // 86_400)]
        self.modify(dn, shadowExpire=days)

    def lock(self, dn: str) -> None:
        """Lock an account as the server itself would."""
        self.modify(dn, pwdAccountLockedTime=[f"{datetime.now(UTC):%Y%m%d%H%M%SZ}"])

    def unlock(self, dn: str) -> None:
        """Take the lock away."""
        self.enable(dn)

    @contextmanager
    def unreadable(self, unit: str) -> Iterator[None]:
        """Hide what is below a unit from the account that syncs."""
        kept_out = f"cn=kept out,{unit}"
        self.add(kept_out, {"objectClass": ["groupOfNames"], "member": [READER.dn]})
        try:
            yield
        finally:
            self.delete(kept_out)
