"""Collect: read a listing, leave what did not change, map and stage what did.

An entry whose raw bytes have the digest stored for somebody under this organization's key and
mapper configuration is that person unchanged: it is neither decoded nor written. Anything else is
decoded, mapped and compared by fingerprint; source timestamps are not part of that, so an entry of
which only they moved is unchanged too.
"""

from __future__ import annotations

import time
from hashlib import blake2b
from typing import TYPE_CHECKING

from syncd.errors import MappingError, cut
from syncd.records import Quarantined, Whereabouts
from syncd.sync.collected import USERS, Collected, fingerprint_of
from syncd.sync.containers import Containers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from syncd.records import Entry, ListingOutcome, UserRecord
    from syncd.sync.ports import Decode, Directory, Listing, Progress, UserMapping
    from syncd.sync.store_ports import Store

STAGE_ROWS = 2_000
MOST_QUARANTINED = 10_000
# Beyond this many absent people a lookup one by one tells nothing that a person need not judge.
MOST_LOCATED = 2_000


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
        self.store = store
        self.run_id = run_id
        self.decode = decode
        self.dn_key = dn_key
        self.progress = progress
        self._key = store.digest_key()
        # Whom somebody deleted for good although the directory has them.
        self._excluded = store.excluded()
        self.collected = Collected()
        self.containers = Containers(self)
        self._unseen: list[int] = []
        # Of the entries that were read one by one: id and DN; and the ids of the bad ones.
        self.read_ids: dict[str, str] = {}
        self.bad_ids: set[str] = set()

    def reject(
        self, source: str, error: MappingError, entry: Entry | None, mapping: object
    ) -> None:
        """Put an entry into quarantine, with all that tells whose it may be."""
        collected = self.collected
        external_id = username_key = dn_key = None
        if entry is not None:
            dn_key = self.dn_key(entry.dn)
            identify = getattr(mapping, "identify", None)
            if identify is not None:
                external_id, username_key = identify(entry)
        if external_id in self._excluded:
            collected.excluded += 1
            return
        collected.bad += 1
        if entry is None:
            collected.unnamed += 1
        if len(collected.quarantined) >= MOST_QUARANTINED:
            collected.unnamed += 1
            return
        if external_id is not None:
            self.bad_ids.add(external_id)
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

    def digest_key(self, fingerprint: str) -> bytes:
        """Return a key that changes with the mappers: a changed one sees all entries anew."""
        return blake2b(fingerprint.encode(), key=self._key, digest_size=32).digest()

    def people(
        self, listing: Listing, mapping: UserMapping, *, alone: bool = False
    ) -> ListingOutcome:
        """Collect the people; return how their listing ended.

        ``alone`` says that these few are not compared with everybody's digests, and that
        ``settle_people`` follows when all of them are read.
        """
        collected, seconds = self.collected, self.collected.seconds
        clock = time.perf_counter
        started = clock()
        digests = self.store.no_digests() if alone else self.store.digests()
        seconds["stage"] += clock() - started
        key = self.digest_key(mapping.fingerprint)
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
                self._people(changed, mapping, alone=alone)
                changed.clear()
            self.progress(USERS, collected.read, None)
            started = clock()
        seconds["directory"] += clock() - started
        if changed:
            self._people(changed, mapping, alone=alone)
        if alone:
            return listing.outcome
        started = clock()
        # Somebody whose entry was seen unchanged cannot be another, changed entry as well.
        twice = digests.seen_among(set(collected.known) if digests.seen else set())
        if twice:
            collected.reject_conflicts(
                self.store.unstage(self.run_id, sorted(twice), "duplicate_id")
            )
        self._unseen = digests.unseen()
        seconds["stage"] += clock() - started
        self.settle_people()
        collected.outcomes.append(listing.outcome)
        return listing.outcome

    def settle_people(self) -> None:
        """Settle people who were read more than once."""
        started = time.perf_counter()
        self.collected.reject_conflicts(self.store.drop_duplicates(self.run_id))
        self.collected.seconds["stage"] += time.perf_counter() - started

    def _people(
        self, raws: Sequence[tuple[bytes, int]], mapping: UserMapping, *, alone: bool
    ) -> None:
        collected = self.collected
        clock = time.perf_counter
        started = clock()
        decode = self.decode
        mapped: list[tuple[UserRecord, bytes, int]] = []
        for raw, digest in raws:
            entry = None
            try:
                entry = decode(raw)
                record = mapping(entry)
            except MappingError as error:
                self.reject(USERS, error, entry, mapping)
                continue
            if alone and not self._first(record.external_id, record.dn):
                continue
            if record.external_id in self._excluded:
                collected.excluded += 1
                continue
            mapped.append((record, fingerprint_of(record), digest))
        now = clock()
        collected.seconds["map"] += now - started
        stored = self.store.stored_people([record.external_id for record, _, _ in mapped])
        people: list[tuple[int, bool, UserRecord, bytes, int]] = []
        seen: list[tuple[int, int]] = []
        for record, fingerprint, digest in mapped:
            person = stored.get(record.external_id)
            if person is None:
                user_id = self.store.new_user_id()
                people.append((user_id, False, record, fingerprint, digest))
            elif person.living and person.fingerprint == fingerprint:
                if person.digest != digest:
                    seen.append((person.user_id, digest))
                collected.known.append(person.user_id)
                collected.unchanged += 1
            else:
                people.append((person.user_id, True, record, fingerprint, digest))
                collected.known.append(person.user_id)
        if people or seen:
            self.store.stage_people(self.run_id, people, seen)
        if alone:
            collected.modified += [
                record.source_modified_at
                for _, _, record, _, _ in people
                if record.source_modified_at
            ]
        collected.seconds["stage"] += clock() - now

    def _first(self, external_id: str, dn: str) -> bool:
        """Note an entry that is read one by one; tell whether it is the first time."""
        if self.read_ids.get(external_id) == dn:
            return False
        self.read_ids[external_id] = dn
        self.collected.looked_at |= {(USERS, external_id), (USERS, dn)}
        return True

    def absences(self, directory: Directory, outcome: ListingOutcome) -> int:
        """Stage who is missing from a complete listing, each looked up by id first."""
        store, run_id = self.store, self.run_id
        started = time.perf_counter()
        self.protect()
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

    def protect(self) -> None:
        """Take nothing from whoever may be behind an entry that could not be taken."""
        bad = [each for each in self.collected.quarantined if each.source == USERS]
        self.store.protect(self.run_id, bad)

    def absent(self, causes: dict[int, str]) -> int:
        """Stage people as absent who were looked up one by one; return how many those are."""
        store, run_id = self.store, self.run_id
        if not causes:
            return 0
        count = store.stage_absent_people(run_id, sorted(causes), everybody=False)
        store.settle_absent(run_id, dict(causes))
        return count
