"""A changed-user sync: what changed in the directory since the last run, and what hangs on it.

A source of changes tells less than a listing of everybody. Directories mend memberships without
touching a time of modification, and forget to say who left. So its words are hints: whoever is
named, missing, or in the way of somebody new is looked up by id, and role entries are read anew
where somebody new or moved is named in them. What cannot be settled that way makes the run a full
one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from syncd.errors import (
    ChangesUnavailable,
    DirectoryError,
    DirectoryUnavailable,
    MappingError,
)
from syncd.records import Verdict, Watermark, batched
from syncd.sync.collect import MOST_LOCATED
from syncd.sync.collected import USERS
from syncd.sync.lookups import Lookups
from syncd.sync.readings import Page, grounded, hardcoded, unnamed
from syncd.sync.witness import require_sight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.records import ListingOutcome, Signals
    from syncd.sync.collect import Collector
    from syncd.sync.evidence import Evidence
    from syncd.sync.ports import Changes, Listing
    from syncd.sync.run import SyncRun

# Newcomers for whose memberships the directory is asked by DN; for more it lists everything.
MOST_NAMED = 500
# Entries in quarantine, and people who are locked out, that one run tries again.
MOST_RETRIED = 500


class Changed:
    """What changed since the stored watermark."""

    mode = "changed"

    def __init__(self, around: SyncRun) -> None:
        self._around = around
        self._since: Watermark | None = None
        self._lookups = Lookups(around)
        # By mapper, the DNs for whose memberships the directory was asked.
        self._named: dict[str, set[str]] = {}

    def require(self, name: str | None) -> None:
        """Make sure that changes can be told at all.

        Args:
            name: The run whose plan waits for approval, if there is one.

        Raises:
            ChangesUnavailable: A full sync has to look at everybody; reason and sentence say why.

        """
        around = self._around
        if name is not None:
            raise ChangesUnavailable(
                "blocked_plan", f"run {name} is blocked and waits for an approval"
            )
        stored = around.store.watermark()
        if stored is None:
            raise ChangesUnavailable(
                "no_watermark", "no full sync has come to its end in order so far"
            )
        kind = around.directory.detection().kind
        if kind != stored.kind:
            raise ChangesUnavailable(
                "detection", f"changes were told by {stored.kind} and are now told by {kind}"
            )
        self._since = stored

    def read(self, collector: Collector, evidence: Evidence) -> Watermark | None:
        """Stage what changed, and look up whatever else it bears on.

        Raises:
            ChangesUnavailable: A full sync has to look at everybody.

        """
        around = self._around
        since = self._since
        if since is None:  # pragma: no cover - require() comes first
            raise RuntimeError("the watermark was not read")
        now = grounded(Watermark(since.kind, since.value, around.directory.ground()), around)
        if now.ground != since.ground:
            raise ChangesUnavailable(
                "ground",
                "the server, base, filter, account or mappers are not those of the last run",
            )
        changes = around.directory.changes(since)
        outcome = collector.people(changes.users(), around.users, alone=True)
        collector.collected.outcomes.append(outcome)
        if outcome.verdict is not Verdict.COMPLETE:
            evidence.held.append(f"users: {outcome.because}")
        gone = self._containers(collector, evidence, changes)
        self._retry(collector, evidence)
        if outcome.verdict is Verdict.COMPLETE:
            self._candidates(collector, changes.signals(USERS))
        self._follow(collector, evidence)
        if outcome.verdict is Verdict.COMPLETE:
            require_sight(
                around.directory,
                around.store,
                collector.run_id,
                collector.read_ids.keys(),
                self._lookups.absent.keys(),
            )
        self._refuse_twins(collector)
        if collector.collected.unnamed:
            evidence.held.append(unnamed(collector))
        collector.settle_people()
        if evidence.held:
            evidence.revoking.clear()
            return None
        collector.protect()
        if around.deletion_policy != "keep":
            evidence.absent = collector.absent(self._lookups.absent)
        for mapper, keys in gone.items():
            if keys:
                around.store.stage_absent_containers(collector.run_id, mapper, keys)
        return Watermark(changes.watermark.kind, changes.watermark.value, now.ground)

    # --- roles ----------------------------------------------------------------------------

    def _containers(
        self, collector: Collector, evidence: Evidence, changes: Changes
    ) -> dict[str, list[bytes]]:
        """Collect the changed role entries; return those that are gone."""
        around = self._around
        gone: dict[str, list[bytes]] = {}
        for mapper, mapping in around.containers.items():
            outcome = self._changed(collector, changes.containers(mapper), mapper)
            if mapping.member_of and (mapping.nested or mapping.hierarchy):
                # A container that is put into another says so itself, without a word of change.
                outcome = self._changed(
                    collector, around.directory.containers(mapper), mapper, keep=False
                )
            if outcome.verdict is not Verdict.COMPLETE:
                evidence.held.append(f"{mapper}: {outcome.because}")
                continue
            evidence.revoking.append(mapper)
            signals = changes.signals(mapper)
            gone[mapper] = self._gone_containers(collector, mapper, signals)
            if mapping.nested or mapping.hierarchy:
                gone[mapper] = self._gone_for_good(collector, mapper, gone[mapper])
            if mapping.member_of:
                changed = list(collector.containers.found(mapper).items())
                self._members(collector, evidence, mapper, changed, gone[mapper])
        hardcoded(around, collector, evidence)
        return gone

    def _changed(
        self, collector: Collector, listing: Listing, mapper: str, *, keep: bool = True
    ) -> ListingOutcome:
        """Collect containers and what hangs on them; a full sync settles what cannot be read."""
        around = self._around
        try:
            return collector.containers.changed(
                listing, around.containers[mapper], mapper, around.directory, keep=keep
            )
        except (ChangesUnavailable, DirectoryUnavailable):
            raise
        except DirectoryError as error:
            raise ChangesUnavailable(
                "role_gone", f"what {mapper} hangs on could not be read: {error}"
            ) from error

    def _gone_containers(self, collector: Collector, mapper: str, signals: Signals) -> list[bytes]:
        store = self._around.store
        said = store.containers_but(mapper, deleted=signals.deleted, present=signals.present)
        found = collector.containers.found(mapper)
        # A container that people name by its DN is another one under another.
        said += store.renamed_containers(collector.run_id, mapper)
        said = [each for each in said if each[0] not in found]
        if not said:
            return []
        raws = self._roles(mapper, [dn for _, _, dn in said])
        there = collector.containers.keys_of(raws, self._around.containers[mapper])
        return [key for key, _, _ in said if key not in there]

    def _gone_for_good(
        self, collector: Collector, mapper: str, left: Sequence[bytes]
    ) -> list[bytes]:
        """Return which of those that left the base, or were outside of it, are nowhere.

        One that was moved hands its members on from where it is now. The directory writes its new
        DN into those that name it, without a word, so they are read again.
        """
        store, containers = self._around.store, collector.containers
        outside = containers.outside(mapper)
        gone = [*left, *(k for k, _, _ in store.outside_containers(mapper) if k not in outside)]
        known = {*gone, *containers.found(mapper)}
        again = [dn for key, _, dn in store.containers_naming(mapper, gone) if key not in known]
        if again:
            self._read_again(collector, mapper, again)
        outside = containers.outside(mapper)
        return [key for key in gone if key not in outside]

    def _roles(self, mapper: str, dns: Sequence[str]) -> Sequence[bytes]:
        """Read role entries; whoever cannot be read for good is for a full sync to settle."""
        try:
            return self._around.directory.read_containers(mapper, dns)
        except DirectoryUnavailable:
            raise
        except DirectoryError as error:
            raise ChangesUnavailable(
                "role_gone", f"role entries of {mapper} could not be read: {error}"
            ) from error

    def _members(
        self,
        collector: Collector,
        evidence: Evidence,
        mapper: str,
        changed: Sequence[tuple[bytes, str]],
        gone: Sequence[bytes] = (),
    ) -> None:
        """Read the people of changed roles that are told by the people's own entries."""
        around = self._around
        if changed:
            members = around.directory.members_of(mapper, [dn for _, dn in changed])
            outcome = collector.people(members, around.users, alone=True)
            if outcome.verdict is not Verdict.COMPLETE:
                source, outcomes = f"members of {mapper}", collector.collected.outcomes
                evidence.held.append(f"{source}: {outcome.because}")
                # It is a listing of the run like the others, though one that most runs have not.
                if all(each.source != source for each in outcomes):
                    outcomes.append(replace(outcome, source=source))
        were = around.store.stating_people(mapper, [*(key for key, _ in changed), *gone])
        self._lookups.settle(collector, were)

    def _trust_roles(self, collector: Collector) -> None:
        """Read the roles that name somebody new or moved: what is stored of them may be old."""
        around = self._around
        naming: dict[str, list[str]] = {}
        for mapper, key, dn in around.store.naming_containers(collector.run_id):
            read = collector.containers.found(mapper), collector.containers.outside(mapper)
            if mapper in around.containers and not any(key in each for each in read):
                naming.setdefault(mapper, []).append(dn)
        for mapper, dns in naming.items():
            self._read_again(collector, mapper, dns)

    def _read_again(self, collector: Collector, mapper: str, dns: Sequence[str]) -> None:
        """Read roles that name somebody, or another role, that is new, moved or gone."""
        raws = self._roles(mapper, dns)
        if len(raws) < len(dns):
            raise ChangesUnavailable(
                "role_gone",
                f"{len(dns) - len(raws)} role entries of {mapper} that name somebody new or "
                "moved are not there any more",
            )
        self._changed(collector, Page(raws, mapper), mapper, keep=False)

    def _ask_for_roles(self, collector: Collector, evidence: Evidence) -> None:
        """Read the roles that name whoever came or moved, as the directory has them now.

        The directory writes the new DN of a moved member into the role without a word, and the
        store never knew the old one of somebody who lived elsewhere.
        """
        around = self._around
        people, containers = around.store.arrivals(collector.run_id)
        for mapper, mapping in around.containers.items():
            if not mapping.names_dns:
                continue
            arrived = set(people)
            if mapping.nested or mapping.hierarchy:
                arrived.update(containers)
            asked = self._named.setdefault(mapper, set())
            if not (wanted := sorted(arrived - asked)):
                continue
            asked.update(wanted)
            if len(wanted) > MOST_NAMED:
                listing = around.directory.containers(mapper)
            else:
                listing = around.directory.naming(mapper, wanted)
            outcome = self._changed(collector, listing, mapper, keep=False)
            if outcome.verdict is not Verdict.COMPLETE:
                evidence.held.append(f"{mapper}: {outcome.because}")

    # --- people ---------------------------------------------------------------------------

    def _candidates(self, collector: Collector, signals: Signals) -> None:
        """Look up who is said to be gone, and whom an earlier run left something undone."""
        store = self._around.store
        people = {each[0]: each for each in store.living(signals.deleted)}
        if signals.present is not None:
            missing = store.living_but(
                signals.present | collector.read_ids.keys() | collector.bad_ids, MOST_LOCATED + 1
            )
            people |= {each[0]: each for each in missing}
        self._lookups.settle(collector, people.values())
        undone = self._lookups.unread(collector, store.left_undone(MOST_LOCATED + 1))
        if len(undone) > MOST_LOCATED:
            raise ChangesUnavailable(
                "too_much_undone", "the last run left more people undone than can be looked up"
            )
        self._lookups.settle(collector, undone)
        # A lockout ends by itself, which changes no entry (Active Directory computes it).
        self._lookups.look_again(collector, store.locked_out(MOST_RETRIED))

    def _follow(self, collector: Collector, evidence: Evidence) -> None:
        """Read whom and what that bears on which was read, until that is nothing new.

        Whoever stands in the way of a name, lived where somebody else lives now, or would lose a
        role is looked up first: the directory may have renamed him without a word.
        """
        store, run_id = self._around.store, collector.run_id
        far = 0
        while far < (far := self._progress(collector)):
            alike = store.quarantined_alike(run_id, USERS)
            self._lookups.read(collector, [(entry, dn) for _, entry, dn, _ in alike])
            self._lookups.settle(collector, store.name_holders(run_id))
            self._lookups.settle(collector, store.place_holders(run_id))
            losing = store.losing_people(run_id, MOST_LOCATED + len(self._lookups.asked) + 1)
            self._lookups.settle(collector, losing)
            self._trust_roles(collector)
            self._ask_for_roles(collector, evidence)

    def _progress(self, collector: Collector) -> int:
        roles = sum(len(collector.containers.found(name)) for name in self._around.containers)
        return len(collector.collected.looked_at) + len(self._lookups.asked) + roles

    def _refuse_twins(self, collector: Collector) -> None:
        """Leave out who has the id of somebody else: his entry is still where it was."""
        around, store = self._around, self._around.store
        twins: list[int] = []
        for part in batched(store.moved_people(collector.run_id), MOST_RETRIED):
            expected = {external_id: (user_id, key) for user_id, external_id, _, key in part}
            for raw in self._lookups.by_dn([dn for _, _, dn, _ in part], set()):
                try:
                    entry = around.decode(raw)
                except MappingError:
                    continue
                external_id, _ = around.users.identify(entry)
                user_id, key = expected.get(external_id or "", (None, b""))
                if user_id is not None and around.dn_key(entry.dn) != key:
                    twins.append(user_id)
        if twins:
            collector.collected.reject_conflicts(
                store.unstage(collector.run_id, twins, "duplicate_id")
            )

    def _retry(self, collector: Collector, evidence: Evidence) -> None:
        """Read the entries in quarantine again that are due."""
        around = self._around
        named: dict[str, list[tuple[str, str]]] = {}
        for source, entry, dn, _ in around.store.due_quarantine(MOST_RETRIED):
            named.setdefault(source, []).append((entry, dn))
        for source, entries in named.items():
            if source == USERS:
                self._lookups.read(collector, entries)
                continue
            if source in around.containers:
                before = set(collector.containers.found(source))
                raws = self._roles(source, [dn for _, dn in entries if dn])
                self._changed(collector, Page(raws, source), source, keep=False)
                if around.containers[source].member_of:
                    found = collector.containers.found(source).items()
                    again = [each for each in found if each[0] not in before]
                    self._members(collector, evidence, source, again)
            collector.collected.looked_at.update((source, entry) for entry, dn in entries if dn)
