"""Collecting containers: the directory's entries that stand for roles and groups.

Like people, one that did not change is told by the digest of its bytes and neither decoded nor
staged. Containers that lie outside of what a mapper lists, but are in one that it lists, are read
one by one, level for level: they only hand their members on.
"""

from __future__ import annotations

import time
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeAlias

from syncd.errors import DirectoryError, MappingError
from syncd.records import Verdict, fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from syncd.records import ContainerRecord, ListingOutcome
    from syncd.sync.collect import Collector
    from syncd.sync.ports import ContainerMapping, Directory, Listing
    from syncd.sync.store_ports import Digests

# A changed container: its number in the run, the record, its target's key, the digest.
StagedContainer: TypeAlias = "tuple[int, ContainerRecord, str, int | None]"

STAGE_ROWS = 2_000
# A container's members are staged with it, so fewer of them make a full load.
STAGE_MEMBERS = 20_000


class Containers:
    """Reads the containers of one run into the stage."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._store = collector.store
        # Of the mapper that was listed last: those that are gone, and how many there were.
        self.gone: list[bytes] = []
        self.known = 0
        # By mapper, the keys and DNs of the containers that were read one by one, those outside of
        # its base, and the keys of all DNs that were looked at there.
        self._found: dict[str, dict[bytes, str]] = {}
        self._outside: dict[str, dict[bytes, str]] = {}
        self._asked: dict[str, set[bytes]] = {}

    def listed(
        self, listing: Listing, mapping: ContainerMapping, mapper: str, directory: Directory
    ) -> ListingOutcome:
        """Collect all containers of one mapper; return how their listing ended."""
        collector, collected = self._collector, self._collector.collected
        seconds, clock = collected.seconds, time.perf_counter
        started = clock()
        digests, keys = self._store.container_digests(mapper)
        seconds["stage"] += clock() - started
        key = collector.digest_key(mapping.fingerprint)
        found: set[bytes] = set()
        load: list[StagedContainer] = []
        members = 0
        # Bad entries, by the keys of the containers they are; None may be any.
        kept: set[bytes | None] = set()
        for record in mapping.fixed:
            self._fixed(record, digests, load)
            found.add(record.container_key)
        started = clock()
        for page in listing:
            seconds["directory"] += clock() - started
            for index in range(len(page)):
                started = clock()
                digest = _digest(page[index], key)
                if digests.mark(digest):
                    seconds["map"] += clock() - started
                    continue
                each = self._record(_taken(page, index), mapping, mapper, found, kept)
                seconds["map"] += clock() - started
                if each is None:
                    continue
                load.append(self._numbered(each, digest))
                members += len(each.members)
                # A large one is not kept beside the next.
                del each
                # Within the page: a page of large ones holds hundreds of thousands of members.
                if members >= STAGE_MEMBERS or len(load) >= STAGE_ROWS:
                    self._stage(load)
                    members = 0
            collector.progress(f"{mapping.kind}s", collected.containers + digests.seen, None)
            started = clock()
        seconds["directory"] += clock() - started
        self._stage(load)
        outcome = listing.outcome
        if outcome.verdict is Verdict.COMPLETE and (mapping.nested or mapping.hierarchy):
            try:
                found |= self._hand_on(mapping, mapper, directory).keys()
            except DirectoryError as error:
                # What hangs on them is unknown, and nobody loses anything by it.
                outcome = replace(outcome, verdict=Verdict.TRUNCATED, because=str(error))
        collected.outcomes.append(outcome)
        gone = {keys[index] for index in digests.unseen()}
        gone |= {keys[index] for index in digests.undigested(len(keys))}
        self.gone = [] if None in kept else sorted(gone - found - kept)
        # An empty listing never held those that only the configuration has.
        self.known = len(set(keys).difference(record.container_key for record in mapping.fixed))
        return outcome

    def changed(
        self,
        listing: Listing,
        mapping: ContainerMapping,
        mapper: str,
        directory: Directory,
        *,
        keep: bool = True,
    ) -> ListingOutcome:
        """Collect containers that may have changed; return how their listing ended.

        ``keep`` says that the outcome belongs to the run's listings.

        Raises:
            DirectoryError: What hangs on them outside of the mapper's base could not be read.

        """
        collector = self._collector
        found = self._found.setdefault(mapper, {})
        key = collector.digest_key(mapping.fingerprint)
        records: list[tuple[ContainerRecord, int]] = []
        members = 0
        names: set[bytes] = set()
        for page in listing:
            for index in range(len(page)):
                digest = _digest(page[index], key)
                record = self._record(_taken(page, index), mapping, mapper, names, set())
                if record is not None and record.container_key not in found:
                    records.append((record, digest))
                    found[record.container_key] = record.dn
                    collector.collected.looked_at |= {
                        (mapper, record.external_id),
                        (mapper, record.dn),
                    }
                    members += len(record.members)
                # A large one is not kept beside the next.
                del record
                if members >= STAGE_MEMBERS:
                    self._stage_changed(mapper, records)
                    records.clear()
                    members = 0
        self._stage_changed(mapper, records)
        records.clear()
        if mapping.nested or mapping.hierarchy:
            self._hand_on(mapping, mapper, directory)
        if keep:
            collector.collected.outcomes.append(listing.outcome)
        return listing.outcome

    def outside(self, mapper: str) -> dict[bytes, str]:
        """Return the keys and DNs of the containers outside of a mapper's base that were read."""
        return self._outside.get(mapper, {})

    def _hand_on(
        self, mapping: ContainerMapping, mapper: str, directory: Directory
    ) -> dict[bytes, str]:
        """Collect the containers outside of a mapper's base that its own hang on, level for level.

        They are looked for among the members that are nobody and nothing known; those known from
        earlier runs are read as well.
        """
        collector = self._collector
        key = collector.digest_key(mapping.fingerprint)
        found = self._outside.setdefault(mapper, {})
        asked = self._asked.setdefault(mapper, set())
        level = [dn for _, _, dn in self._store.outside_containers(mapper)]
        level += self._store.strangers(collector.run_id, mapper)
        while wanted := self._not_asked(level, asked):
            records: list[tuple[ContainerRecord, int]] = []
            for raw in directory.read_outside(mapper, wanted):
                try:
                    record = mapping.outside(collector.decode(raw))
                except MappingError:
                    # Whatever it may be: it stays as it is known, or unknown.
                    continue
                if record.container_key not in found:
                    found[record.container_key] = record.dn
                    records.append((record, _digest(raw, key)))
            self._stage_changed(mapper, records)
            level = self._store.strangers(collector.run_id, mapper) if records else []
        return found

    def _not_asked(self, dns: Iterable[str], asked: set[bytes]) -> list[str]:
        wanted: list[str] = []
        for dn in dns:
            try:
                dn_key = self._collector.dn_key(dn)
            except ValueError:
                continue
            if dn_key not in asked:
                asked.add(dn_key)
                wanted.append(dn)
        return wanted

    def found(self, mapper: str) -> dict[bytes, str]:
        """Return the keys and DNs of a mapper's containers that were read one by one."""
        return self._found.get(mapper, {})

    def keys_of(self, raws: Sequence[bytes], mapping: ContainerMapping) -> set[bytes]:
        """Return the keys of container entries."""
        keys = (mapping.key_of(self._collector.decode(raw)) for raw in raws)
        return {key for key in keys if key is not None}

    def hardcoded(self, record: ContainerRecord) -> None:
        """Collect a container that no directory holds; it changes with its target only."""
        digests, _ = self._store.container_digests(record.mapper)
        load: list[StagedContainer] = []
        self._fixed(record, digests, load)
        self._stage(load)

    def _fixed(
        self, record: ContainerRecord, digests: Digests, load: list[StagedContainer]
    ) -> None:
        said = b"".join((record.container_key, record.target.encode(), *record.parents))
        key = self._collector.digest_key(record.kind)
        digest = _digest(said, key)
        if not digests.mark(digest):
            load.append(self._numbered(record, digest))

    def _record(
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
            entry = self._collector.decode(raw)
            # A large one is not held twice while it is mapped.
            del raw
            record = mapping(entry)
            if record.container_key in found:
                detail = f"another {mapping.kind} entry has its id: {record.dn}"
                raise MappingError("duplicate_id", detail)
        except MappingError as error:
            self._collector.reject(mapper, error, entry, mapping)
            kept.add(mapping.key_of(entry) if entry is not None else None)
            return None
        found.add(record.container_key)
        return record

    def _stage_changed(self, mapper: str, records: Sequence[tuple[ContainerRecord, int]]) -> None:
        """Stage those of these containers that are not stored as they are."""
        stored = self._store.stored_containers(mapper, [each.container_key for each, _ in records])
        load = [
            self._numbered(record, digest)
            for record, digest in records
            if stored.get(record.container_key) != digest
        ]
        self._stage(load)

    def _numbered(self, record: ContainerRecord, digest: int) -> StagedContainer:
        self._collector.collected.containers += 1
        # A group is the container's own, whatever it is called.
        target_key = fold(record.target) if record.kind == "role" else record.container_key.hex()
        return self._collector.collected.containers, record, target_key, digest

    def _stage(self, load: list[StagedContainer]) -> None:
        if not load:
            return
        started = time.perf_counter()
        self._store.stage_containers(self._collector.run_id, load)
        load.clear()
        self._collector.collected.seconds["stage"] += time.perf_counter() - started


def _taken(page: list[bytes], index: int) -> bytes:
    raw, page[index] = page[index], b""
    return raw


def _digest(raw: bytes, key: bytes) -> int:
    return int.from_bytes(blake2b(raw, digest_size=8, key=key).digest(), "big", signed=True)
