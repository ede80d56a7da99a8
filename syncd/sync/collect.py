"""Collect: read a listing, leave what did not change, map and stage what did.

An entry whose raw bytes have the digest stored for somebody under this organization's key and
mapper configuration is that person unchanged: it is neither decoded nor written. Anything else is
decoded, mapped and compared by fingerprint; source timestamps are not part of that, so an entry of
which only they moved is unchanged too.
"""

from __future__ import annotations

import time
from array import array
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeAlias

from syncd.errors import MappingError, cut
from syncd.records import Quarantined, Whereabouts, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from syncd.records import ContainerRecord, Entry, ListingOutcome, UserRecord
    from syncd.sync.ports import (
        ContainerMapping,
        Decode,
        Directory,
        Listing,
        NameConflict,
        Progress,
        Store,
        UserMapping,
    )

# A changed container: its number in the run, the record, the role's name key, the digest.
StagedContainer: TypeAlias = "tuple[int, ContainerRecord, str, int | None]"

USERS = "users"
STAGE_ROWS = 2_000
# A container's members are staged with it, so fewer of them make a full load.
STAGE_MEMBERS = 20_000
MOST_QUARANTINED = 10_000
# Beyond this many absent people a lookup one by one tells nothing that a person need not judge.
MOST_LOCATED = 2_000


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
    known: array[int] = field(default_factory=lambda: array("q"))
    containers: int = 0

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
            record.disabled,
            "1" if record.email_verified else "0",
        )
    ]
    if record.member_keys or record.memberships:
        parts += [f"{name}={key.hex()}" for name, key in sorted(record.member_keys)]
        parts += sorted(f"{mapper}\x02{key.hex()}" for mapper, key, _ in record.memberships)
    return blake2b("\x00".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Collector:
    """Reads the listings of one run into the stage."""

    def __init__(
        self,
        *,
        store: Store,
        run_id: int,
        decode: Decode,
        dn_key: Callable[[str], bytes],
        progress: Progress,
    ) -> None:
        self._store = store
        self.run_id = self._run_id = run_id
        self._decode = decode
        self._dn_key = dn_key
        self._progress = progress
        self._key = store.digest_key()
        self.collected = Collected()
        self.gone_containers: list[bytes] = []
        self.known_containers = 0
        self._unseen: list[int] = []

    def _reject(
        self, source: str, error: MappingError, entry: Entry | None, mapping: object
    ) -> None:
        """Put an entry into quarantine, with all that tells whose it may be."""
        collected = self.collected
        collected.bad += 1
        if entry is None:
            collected.unnamed += 1
        if len(collected.quarantined) >= MOST_QUARANTINED:
            collected.unnamed += 1
            return
        external_id = username_key = dn_key = None
        if entry is not None:
            dn_key = self._dn_key(entry.dn)
            identify = getattr(mapping, "identify", None)
            if identify is not None:
                external_id, username_key = identify(entry)
        collected.quarantined.append(
            Quarantined(
                source=source,
                reason=error.reason,
                dn=entry.dn if entry is not None else "",
                external_id=external_id,
                attribute=error.attribute,
                detail=cut(error.detail),
                username_key=username_key,
                dn_key=dn_key,
            )
        )

    def _digest_key(self, fingerprint: str) -> bytes:
        """Return a key that changes with the mappers: a changed one sees all entries anew."""
        return blake2b(fingerprint.encode(), key=self._key, digest_size=32).digest()

    def people(
        self, listing: Listing, mapping: UserMapping, *, alone: bool = False
    ) -> ListingOutcome:
        """Collect the people; return how their listing ended.

        ``alone`` says that these few are not compared with everybody's digests.
        """
        collected, seconds = self.collected, self.collected.seconds
        clock = time.perf_counter
        started = clock()
        digests = self._store.no_digests() if alone else self._store.digests()
        seconds["stage"] += clock() - started
        key = self._digest_key(mapping.fingerprint)
        mark, to_int = digests.mark, int.from_bytes
        changed: list[tuple[bytes, int]] = []
        started = clock()
        for page in listing:
            arrived = clock()
            seconds["directory"] += arrived - started
            for raw in page:
                digest = to_int(blake2b(raw, digest_size=8, key=key).digest(), "big", signed=True)
                if not mark(digest):
                    changed.append((raw, digest))
            collected.read += len(page)
            collected.unchanged = digests.seen
            seconds["map"] += clock() - arrived
            if len(changed) >= STAGE_ROWS:
                self._people(changed, mapping)
                changed.clear()
            self._progress(USERS, collected.read, None)
            started = clock()
        seconds["directory"] += clock() - started
        if changed:
            self._people(changed, mapping)
        started = clock()
        # Somebody whose entry was seen unchanged cannot be another, changed entry as well.
        twice = digests.seen_among(set(collected.known) if digests.seen else set())
        if twice:
            collected.reject_conflicts(
                self._store.unstage(self._run_id, sorted(twice), "duplicate_id")
            )
        collected.reject_conflicts(self._store.drop_duplicates(self._run_id))
        self._unseen = digests.unseen()
        seconds["stage"] += clock() - started
        collected.outcomes.append(listing.outcome)
        return listing.outcome

    def _people(self, raws: Sequence[tuple[bytes, int]], mapping: UserMapping) -> None:
        collected = self.collected
        clock = time.perf_counter
        started = clock()
        decode = self._decode
        mapped: list[tuple[UserRecord, bytes, int]] = []
        for raw, digest in raws:
            entry = None
            try:
                entry = decode(raw)
                record = mapping(entry)
            except MappingError as error:
                self._reject(USERS, error, entry, mapping)
                continue
            mapped.append((record, fingerprint_of(record), digest))
        now = clock()
        collected.seconds["map"] += now - started
        stored = self._store.stored_people([record.external_id for record, _, _ in mapped])
        people: list[tuple[int, bool, UserRecord, bytes, int]] = []
        seen: list[tuple[int, int]] = []
        for record, fingerprint, digest in mapped:
            person = stored.get(record.external_id)
            if person is None:
                user_id = self._store.new_user_id()
                people.append((user_id, False, record, fingerprint, digest))
            elif person.living and person.fingerprint == fingerprint:
                seen.append((person.user_id, digest))
                collected.known.append(person.user_id)
                collected.unchanged += 1
            else:
                people.append((person.user_id, True, record, fingerprint, digest))
                collected.known.append(person.user_id)
        self._store.stage_people(self._run_id, people, seen)
        collected.seconds["stage"] += clock() - now

    def containers(
        self, listing: Listing, mapping: ContainerMapping, mapper: str
    ) -> ListingOutcome:
        """Collect the containers of one mapper; return how their listing ended."""
        collected, seconds = self.collected, self.collected.seconds
        clock = time.perf_counter
        started = clock()
        digests, keys = self._store.container_digests(mapper)
        seconds["stage"] += clock() - started
        key = self._digest_key(mapping.fingerprint)
        found: set[bytes] = set()
        load: list[StagedContainer] = []
        members = 0
        # Bad entries, by the keys of the containers they are; None may be any.
        kept: set[bytes | None] = set()
        started = clock()
        for page in listing:
            seconds["directory"] += clock() - started
            for raw in page:
                started = clock()
                digest = int.from_bytes(
                    blake2b(raw, digest_size=8, key=key).digest(), "big", signed=True
                )
                if digests.mark(digest):
                    seconds["map"] += clock() - started
                    continue
                record = self._container(raw, mapping, mapper, found, kept)
                seconds["map"] += clock() - started
                if record is None:
                    continue
                collected.containers += 1
                load.append((collected.containers, record, fold(record.role_name), digest))
                members += len(record.members)
                # Within the page: a page of large roles holds hundreds of thousands of members.
                if members >= STAGE_MEMBERS or len(load) >= STAGE_ROWS:
                    self._stage_containers(load)
                    members = 0
            self._progress("roles", collected.containers + digests.seen, None)
            started = clock()
        seconds["directory"] += clock() - started
        self._stage_containers(load)
        outcome = listing.outcome
        collected.outcomes.append(outcome)
        gone = {keys[index] for index in digests.unseen()}
        gone |= {keys[index] for index in digests.undigested(len(keys))}
        self.gone_containers = [] if None in kept else sorted(gone - found - kept)
        self.known_containers = len(keys)
        return outcome

    def _container(
        self,
        raw: bytes,
        mapping: ContainerMapping,
        mapper: str,
        found: set[bytes],
        kept: set[bytes | None],
    ) -> ContainerRecord | None:
        """Map one container; a bad one goes to quarantine, and its key into ``kept``."""
        entry = None
        try:
            entry = self._decode(raw)
            record = mapping(entry)
            if record.container_key in found:
                raise MappingError("duplicate_id", f"another role entry has its id: {record.dn}")
        except MappingError as error:
            self._reject(mapper, error, entry, mapping)
            kept.add(mapping.key_of(entry) if entry is not None else None)
            return None
        found.add(record.container_key)
        return record

    def _stage_containers(self, load: list[StagedContainer]) -> None:
        started = time.perf_counter()
        self._store.stage_containers(self.run_id, load)
        load.clear()
        self.collected.seconds["stage"] += time.perf_counter() - started

    def absences(self, directory: Directory, outcome: ListingOutcome) -> int:
        """Stage who is missing from a complete listing, each looked up by id first."""
        store, run_id = self._store, self._run_id
        started = time.perf_counter()
        store.protect(run_id, [bad for bad in self.collected.quarantined if bad.source == USERS])
        count = store.stage_absent_people(run_id, self._unseen)
        self.collected.seconds["stage"] += time.perf_counter() - started
        if not count:
            return 0
        if count > MOST_LOCATED or not outcome.entries:
            return count
        started = time.perf_counter()
        absent = store.absent_people(run_id)
        located = directory.locate([(external_id, dn) for _, external_id, dn in absent])
        causes: dict[int, str | None] = {}
        for user_id, external_id, _ in absent:
            found = located[external_id]
            if found.whereabouts in {Whereabouts.UNREADABLE, Whereabouts.PRESENT}:
                causes[user_id] = None
            else:
                causes[user_id] = f"{found.whereabouts.value}: {found.detail}"
        self.collected.seconds["directory"] += time.perf_counter() - started
        store.settle_absent(run_id, causes)
        return sum(cause is not None for cause in causes.values())

    def hardcoded(self, record: ContainerRecord) -> None:
        """Collect a container that no directory holds; it changes with its role only."""
        digests, _ = self._store.container_digests(record.mapper)
        digest = int.from_bytes(
            blake2b(record.role_name.encode(), digest_size=8, key=self._key).digest(),
            "big",
            signed=True,
        )
        if digests.mark(digest):
            return
        self.collected.containers += 1
        staged = [(self.collected.containers, record, fold(record.role_name), digest)]
        self._store.stage_containers(self.run_id, staged)
