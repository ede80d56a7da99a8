"""What the suite needs of a directory, whichever product it is.

People and groups are named by ``cn`` everywhere, and people have a username beside it. Whatever is
to be had of one product only says so in ``SERVERS_WITH``; everything else runs on all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import ldap3
import pytest

from syncd.ldap.dn import escape_value, parent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

EVERY: Final = ("openldap", "samba", "389ds")

# What a product truly cannot is left out here, with the reason; no test skips by itself.
SERVERS_WITH: Final[dict[str, tuple[str, ...]]] = {
    # The matching rule 1.2.840.113556.1.4.1941 is Active Directory's.
    "in_chain": ("samba",),
    # Values in ranges, which only Active Directory sends.
    "ranges": ("samba",),
    # Elsewhere a primary group is a gidNumber.
    "primary_group": ("samba",),
    "deleted_objects": ("samba",),
    # Active Directory knows memberUid as an attribute of its own groups, but no such class alone.
    "posix_group": ("openldap", "389ds"),
    # Active Directory allows one attribute in an RDN.
    "multi_valued_rdn": ("openldap", "389ds"),
    # Active Directory writes member DNs back in its own spelling, and only those of real entries.
    "free_member_values": ("openldap",),
}


def having(ability: str) -> pytest.MarkDecorator:
    """Run a test on the directories that have what ``SERVERS_WITH`` says."""
    return pytest.mark.parametrize("directory", SERVERS_WITH[ability], indirect=True)


class Directory(ABC):
    """One running server."""

    # As the marks of rules name it.
    name: str
    suffix: str
    # The attribute that holds the username, and what a unit is named by.
    username_attribute: str = "uid"
    # Of an entry.
    unit_class: Sequence[str] = ("organizationalUnit",)

    def __init__(self, server: Any) -> None:
        self.server = server
        self.url: str = server.url

    # --- what the products differ in

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the keys of an organization's ``ldap`` section that belong to the product."""

    @abstractmethod
    def bound(self) -> Any:
        """Return a context manager that gives an administrator's connection."""

    @abstractmethod
    def person(self, username: str, **attributes: Any) -> dict[str, Any]:
        """Return a person's attributes, without the name of the entry."""

    @abstractmethod
    def group(self, name: str, members: Sequence[str]) -> dict[str, Any]:
        """Return a group's attributes, without the name of the entry."""

    @abstractmethod
    def disable(self, dn: str) -> None:
        """Keep somebody out until he is enabled."""

    @abstractmethod
    def enable(self, dn: str) -> None:
        """Let somebody in again."""

    @abstractmethod
    def expire(self, dn: str, when: datetime | None) -> None:
        """Let an account end on a day, or never."""

    @abstractmethod
    def lock(self, dn: str) -> None:
        """Lock an account for a while, as too many wrong passwords do."""

    @abstractmethod
    def unlock(self, dn: str) -> None:
        """Take the lock away."""

    @contextmanager
    @abstractmethod
    def unreadable(self, unit: str) -> Iterator[None]:
        """Take the right to see what is below a unit."""
        yield

    def prepare(self, dn: str) -> None:  # noqa: B027 - most need nothing
        """Do what somebody's account needs before it can be locked or expire."""

    # --- what is the same everywhere

    def add(self, dn: str, attributes: Mapping[str, Any]) -> None:
        """Add an entry."""
        with self.bound() as admin:
            admin.add(dn, None, dict(attributes))

    def unit(self, *dns: str) -> None:
        """Add organizational units."""
        for dn in dns:
            self.add(dn, {"objectClass": list(self.unit_class)})

    def modify(self, dn: str, **changes: Sequence[str | bytes]) -> None:
        """Replace the values of attributes; no values delete one."""
        self.server.modify(dn, changes)

    def rename(self, dn: str, rdn: str, superior: str | None = None) -> str:
        """Rename an entry, and move it; return its new DN."""
        self.server.rename(dn, rdn, superior=superior)
        return f"{rdn},{superior or parent(dn)}"

    def delete(self, *dns: str) -> None:
        """Delete entries."""
        self.server.delete(*dns)

    def join(self, group: str, *members: str) -> None:
        """Add members to a group."""
        with self.bound() as admin:
            admin.modify(group, {"member": [(ldap3.MODIFY_ADD, list(members))]})

    def leave(self, group: str, *members: str) -> None:
        """Take members out of a group."""
        with self.bound() as admin:
            admin.modify(group, {"member": [(ldap3.MODIFY_DELETE, list(members))]})


def cn(name: str) -> str:
    """Return the RDN of an entry."""
    # Samba wants an equals sign escaped, which anybody may do.
    return "cn=" + escape_value(name).replace("=", "\\=")
