"""What a run reads: everybody, or one person. What changed since the last run is in ``changed``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from syncd.errors import (
    ChangesUnavailable,
    DirectoryError,
    DirectoryUnavailable,
    NotFound,
    UsageError,
)
from syncd.records import ListingOutcome, Remark, Verdict, Watermark
from syncd.sync.collected import USERS
from syncd.sync.evidence import SHIFTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from syncd.sync.collect import Collector
    from syncd.sync.evidence import Evidence
    from syncd.sync.run import SyncRun


class Reading(Protocol):
    """One way to read a directory into the stage."""

    @property
    def mode(self) -> str:
        """Full, changed or user."""

    def read(self, collector: Collector, evidence: Evidence) -> Watermark | None:
        """Stage what changed; return how far the directory has been read by it."""


def grounded(watermark: Watermark, around: SyncRun) -> Watermark:
    """Return a directory's watermark with the mappers' configuration as part of its ground."""
    parts = [watermark.ground, around.users.fingerprint]
    parts += [f"{name}:{mapping.fingerprint}" for name, mapping in around.containers.items()]
    return Watermark(watermark.kind, watermark.value, " ".join(parts))


class Everybody:
    """A full sync: all listings, and who is missing from them."""

    mode = "full"

    def __init__(self, around: SyncRun) -> None:
        self._around = around

    def read(self, collector: Collector, evidence: Evidence) -> Watermark | None:
        """Read everybody and all roles; look up who is missing."""
        around, directory, store = self._around, self._around.directory, self._around.store
        watermark = grounded(directory.watermark(), around)
        people, evidence.grants = store.population(around.mappers)
        evidence.people = people
        # Before the listing: a directory that is lost from here on still brought whom it listed.
        self._doubt(evidence, watermark)
        outcome = collector.people(directory.users(), around.users)
        if outcome.result_code is None and not outcome.entries and not outcome.pages:
            raise DirectoryError(
                f"the directory brought nobody: {outcome.because}; nothing was changed"
            )
        if people and not outcome.entries:
            evidence.doubts.append(
                f"the users listing is empty while {people} people are known; look at the users "
                "DN, the filter and the rights of the bind account"
            )
        gone = self._containers(collector, evidence)
        if outcome.verdict is not Verdict.COMPLETE:
            evidence.held.append(f"users: {outcome.because}")
        elif collector.collected.unnamed:
            evidence.held.append(unnamed(collector))
        if evidence.held:
            # A person whom the listing did not show may have moved: nothing is taken from anybody.
            evidence.revoking.clear()
            return watermark
        evidence.absent = collector.absences(directory, outcome)
        if around.deletion_policy == "keep":
            store.forget_absent(collector.run_id)
            evidence.absent = 0
        for mapper, keys in gone:
            if keys:
                store.stage_absent_containers(collector.run_id, mapper, keys)
        return watermark

    def _doubt(self, evidence: Evidence, watermark: Watermark) -> None:
        store = self._around.store
        stored = store.watermark()
        # The plan that waits under such a doubt gives way to this run's; its doubt does not.
        waiting = store.waiting_doubts(store.waiting_run())
        if stored is not None and stored.ground != watermark.ground:
            evidence.doubts.append(
                "the server, base, filter, account or mappers are not those of the last run, so "
                "who is missing now may only be out of sight"
            )
        elif evidence.promoted is not None and evidence.promoted.reason in SHIFTED:
            evidence.lasting.append(f"it became a full sync because {evidence.promoted}")
        elif stored is not None and not waiting and (because := self._went_back(stored, watermark)):
            evidence.lasting.append(f"the directory is older than the last run: {because}")
        evidence.lasting += [doubt for doubt in waiting if doubt not in evidence.lasting]
        evidence.doubts += evidence.lasting

    def _went_back(self, stored: Watermark, watermark: Watermark) -> str | None:
        """Return the sentence on a directory that was restored to an earlier state."""
        if stored.kind != watermark.kind:
            return None
        try:
            self._around.directory.changes(stored)
        except ChangesUnavailable as error:
            return str(error) if error.reason == "clock_backwards" else None
        return None

    def _containers(
        self, collector: Collector, evidence: Evidence
    ) -> list[tuple[str, list[bytes]]]:
        """Collect all role entries; return those of complete listings that are gone."""
        gone: list[tuple[str, list[bytes]]] = []
        for mapper, mapping in self._around.containers.items():
            try:
                listing = self._around.directory.containers(mapper)
                result = collector.containers.listed(
                    listing, mapping, mapper, self._around.directory
                )
            except DirectoryUnavailable as error:
                # It went away behind the people: who was read is taken all the same.
                result = ListingOutcome(mapper, Verdict.TRUNCATED, None, 0, 0, 0, str(error))
                collector.collected.outcomes.append(result)
            if result.verdict is not Verdict.COMPLETE:
                evidence.held.append(f"{mapper}: {result.because}")
                continue
            if collector.containers.known and not result.entries:
                evidence.doubts.append(
                    f"the listing of {mapper} is empty while {collector.containers.known} "
                    f"{mapping.kind}s are known from it; look at its DN, the filter and the "
                    "account's rights"
                )
            evidence.revoking.append(mapper)
            gone.append((mapper, collector.containers.gone))
        hardcoded(self._around, collector, evidence)
        return gone + self._removed(collector, evidence)

    def _removed(self, collector: Collector, evidence: Evidence) -> list[tuple[str, list[bytes]]]:
        """Return the containers of mappers that are not configured any more: all are gone."""
        store = self._around.store
        gone: list[tuple[str, list[bytes]]] = []
        for mapper in sorted(store.stored_mappers() - set(self._around.mappers)):
            _, keys = store.container_digests(mapper)
            gone.append((mapper, keys))
            evidence.removed.append(mapper)
            evidence.revoking.append(mapper)
            detail = "it is not configured any more, and what it gave is taken back"
            collector.collected.remarks.append(Remark("removed_mapper", mapper, "", detail))
        return gone


class OnePerson:
    """A sync of one person by username; nobody is taken away by it."""

    mode = "user"

    def __init__(self, around: SyncRun, username: str) -> None:
        self._around = around
        self._username = username

    def read(self, collector: Collector, evidence: Evidence) -> Watermark | None:
        """Read the entry of this username."""
        del evidence  # nothing is concluded from who is not read
        around, username = self._around, self._username
        found = around.directory.find(username)
        if not found:
            raise NotFound(
                f"no person {username} is in the users listing of {around.organization_id}; "
                f"`syncd explain {around.organization_id} {username}` says why"
            )
        if len(found) > 1:
            raise UsageError(
                f"{len(found)} entries have the username {username}; a full sync puts them into "
                "quarantine and lists them"
            )
        page = Page(found)
        collector.people(page, around.users, alone=True)
        collector.settle_people()
        collector.collected.outcomes.append(page.outcome)
        return None


class Page:
    """Entries that were looked up, in the shape of a listing that proves nothing."""

    def __init__(self, raws: Sequence[bytes], source: str = USERS) -> None:
        self._raws = raws
        self._source = source

    def __iter__(self) -> Iterator[list[bytes]]:
        yield list(self._raws)

    @property
    def outcome(self) -> ListingOutcome:
        """Nothing is concluded from who is not in it."""
        return ListingOutcome(self._source, Verdict.COMPLETE, 0, 1, len(self._raws), 0)


def hardcoded(around: SyncRun, collector: Collector, evidence: Evidence) -> None:
    """Collect what stands for the roles that everybody gets by configuration."""
    for record in around.users.containers:
        collector.containers.hardcoded(record)
        evidence.revoking.append(record.mapper)


def unnamed(collector: Collector) -> str:
    """Return the sentence on entries that may be anybody's."""
    return (
        f"users: {collector.collected.unnamed} entries could not even be told by name, so "
        "anybody may be among them"
    )
