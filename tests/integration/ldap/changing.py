"""How the tests of changes read them: who was sent, who was named, and where to go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.integration.ldap.sources import read

if TYPE_CHECKING:
    from syncd.ldap.source import LdapSource
    from syncd.records import ListingOutcome, Signals, Watermark

IMPORT = "import roles"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one reading of changes brought."""

    people: list[str]
    roles: list[str]
    signals: Signals
    role_signals: Signals
    outcomes: tuple[ListingOutcome, ListingOutcome]
    watermark: Watermark


def changed(source: LdapSource, since: Watermark) -> Seen:
    """Read all changes since a watermark, as a sync does."""
    changes = source.changes(since)
    users = changes.users()
    people = sorted(entry.values("uid")[0].decode() for entry in read(users))
    containers = changes.containers(IMPORT)
    roles = sorted(entry.values("cn")[0].decode() for entry in read(containers))
    return Seen(
        people,
        roles,
        changes.signals("users"),
        changes.signals(IMPORT),
        (users.outcome, containers.outcome),
        changes.watermark,
    )


def ids_of(source: LdapSource) -> dict[str, str]:
    """Return everybody's id by uid."""
    return {
        entry.values("uid")[0].decode(): entry.values("entryUUID")[0].decode()
        for entry in read(source.users())
    }
