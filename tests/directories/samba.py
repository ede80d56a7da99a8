"""Samba as Active Directory, behind the proxy that limits pages and ranges as the original does."""

from __future__ import annotations

import struct
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.directories.directory import Directory
from tests.servers.ad_limits import AdLimits, Limits
from tests.servers.samba import ADMIN, PASSWORD, SUFFIX, SambaAD, group, user

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# Small enough for a handful of entries to be more than a page, and of members to be several ranges.
PAGE, VALUES = 6, 5
ENABLED, DISABLED, NEVER = "544", "546", "0"
STARTED = datetime(1601, 1, 1, tzinfo=UTC)


class Samba(Directory):
    """One domain controller."""

    name = "samba"
    suffix = SUFFIX
    username_attribute = "sAMAccountName"

    def __init__(self, server: SambaAD, proxy: AdLimits) -> None:
        super().__init__(server)
        self.proxy = proxy
        self.url = proxy.url
        self._groups = 0

    @classmethod
    @contextmanager
    def running(cls, template: Path) -> Iterator[Samba]:
        """Start one, and the proxy."""
        limits = Limits(page=PAGE, values=VALUES)
        with SambaAD(template) as server, AdLimits((server.address, server.port), limits) as proxy:
            yield cls(server, proxy)

    def settings(self) -> dict[str, Any]:
        """Return what the product needs beside the places of people and groups."""
        return {
            "vendor": "active_directory",
            "bind_dn": ADMIN,
            "bind_credential": PASSWORD,
        }

    def bound(self) -> Any:
        """Bind as the administrator."""
        return self.server.bound()

    def person(self, username: str, **attributes: Any) -> dict[str, Any]:
        """Return a person's attributes."""
        attributes = dict(user(username, **attributes))
        # It is unique in the domain, and nobody's username here.
        del attributes["userPrincipalName"]
        return attributes

    def group(self, name: str, members: Sequence[str]) -> dict[str, Any]:
        """Return a group's attributes."""
        # In all of the domain no two may have one account name.
        del name
        self._groups += 1
        return dict(group(f"group{self._groups}", members))

    def disable(self, dn: str) -> None:
        """Disable an account."""
        self.modify(dn, userAccountControl=[DISABLED])

    def enable(self, dn: str) -> None:
        """Enable an account."""
        self.modify(dn, userAccountControl=[ENABLED])

    def expire(self, dn: str, when: datetime | None) -> None:
        """Set an account's last day."""
        ticks = NEVER if when is None else str(int((when - STARTED).total_seconds()) * 10_000_000)
        self.modify(dn, accountExpires=[ticks])

    def lock(self, dn: str) -> None:
        """Lock an account as the server itself would."""
        ticks = int((datetime.now(UTC) - STARTED) / timedelta(microseconds=1)) * 10
        self.modify(dn, lockoutTime=[str(ticks)])

    def unlock(self, dn: str) -> None:
        """Take the lock away."""
        self.modify(dn, lockoutTime=["0"])

    @contextmanager
    def unreadable(self, unit: str) -> Iterator[None]:
        """Hide what is below a unit from the account that syncs."""
        sid = _sid(self.server.read(ADMIN, "objectSid")["objectSid"][0])
        before = self.server.read(unit, "nTSecurityDescriptor")["nTSecurityDescriptor"]
        # A right that is refused counts before one that is given.
        self.server.tool("dsacl", "set", f"--objectdn={unit}", f"--sddl=(D;;LC;;;{sid})")
        try:
            yield
        finally:
            self.modify(unit, nTSecurityDescriptor=before)


def _sid(octets: bytes) -> str:
    authority = int.from_bytes(octets[2:8], "big")
    parts = struct.unpack(f"<{octets[1]}I", octets[8:])
    return "-".join(["S", str(octets[0]), str(authority), *map(str, parts)])
