"""What a run has read so far, and the fingerprint by which a person counts as unchanged."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from syncd.records import EVER, NEVER, Quarantined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.records import ListingOutcome, Remark, UserRecord
    from syncd.sync.store_ports import NameConflict

USERS = "users"


@dataclass(slots=True)
class Collected:
    """What a run has read so far."""

    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("directory", "map", "stage", "plan", "apply"), 0.0)
    )
    outcomes: list[ListingOutcome] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    bad: int = 0
    # Entries of which not even the name could be read: they may be anybody.
    unnamed: int = 0
    read: int = 0
    unchanged: int = 0
    # People whom somebody deleted for good: they are passed over.
    excluded: int = 0
    known: array[int] = field(default_factory=lambda: array("q"))
    containers: int = 0
    # (source, id or DN) of entries that were read one by one and could be taken.
    looked_at: set[tuple[str, str]] = field(default_factory=set)
    remarks: list[Remark] = field(default_factory=list)
    # When the directory changed the entries that were staged, as it says itself.
    modified: list[str] = field(default_factory=list)

    def reject_conflicts(self, conflicts: Sequence[NameConflict]) -> None:
        """Put people into quarantine whose name or id somebody else has."""
        for conflict in conflicts:
            self.bad += 1
            self.quarantined.append(
                Quarantined(
                    source=USERS,
                    reason=conflict.reason,
                    dn=conflict.dn,
                    external_id=conflict.external_id,
                    attribute=None,
                    detail=CONFLICTS[conflict.reason].format(username=conflict.username),
                    username_key=conflict.username_key,
                )
            )


CONFLICTS = {
    "duplicate_username": "the username {username} is wanted by several entries and nobody has it",
    "username_taken": "the username {username} belongs to somebody else",
    "duplicate_id": "several entries have the same id; {username} is one of them",
}


def fingerprint_of(record: UserRecord) -> bytes:
    """Return the 16-byte hash of everything in a record but the source's timestamps.

    NUL stands in no mapped text, so it separates the fields, and SOH marks the absent ones.
    """
    parts = [
        "\x01" if part is None else part
        for part in (
            record.dn,
            record.username,
            record.email,
            record.first_name,
            record.last_name,
            record.attributes,
            None if record.account is None else _account(record),
            "1" if record.email_verified else "0",
        )
    ]
    if record.member_keys or record.memberships:
        parts += [f"{name}={key.hex()}" for name, key in sorted(record.member_keys)]
        parts += sorted(f"{mapper}\x02{key.hex()}" for mapper, key, _ in record.memberships)
    return blake2b("\x00".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _account(record: UserRecord) -> str:
    """Return what stands for the account's state.

    Where something holds, the entry's own time of change belongs to it: an attribute that goes
    missing lifts a restriction only if that time has moved since it was stored.
    """
    account = record.account
    if account is None:
        return ""
    holds = account.disabled or any(
        value not in {None, free}
        for value, free in (
            (account.locked_until, EVER),
            (account.expires_at, NEVER),
            (account.starts_at, EVER),
        )
    )
    said = "\x02".join(map(str, account))
    return f"{said}\x02{record.source_modified_at}" if holds else said
