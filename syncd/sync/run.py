"""One run of one organization: collect, plan, guard, apply, finish.

The one place that knows the order of the road. It decides what the evidence of the listings allows
and leaves how things are read, mapped and written to what it is handed.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from syncd.errors import ChangesUnavailable, Interrupted, SyncdError
from syncd.records import Shapes, Verdict
from syncd.sync import guard
from syncd.sync.changed import Changed
from syncd.sync.collect import Collector
from syncd.sync.readings import Everybody, OnePerson
from syncd.sync.renaming import rename_remarks
from syncd.sync.resuming import resume
from syncd.sync.run_state import RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from syncd.records import ContainerRecord, Remark, Watermark
    from syncd.sync.evidence import Evidence
    from syncd.sync.ports import ContainerMapping, Decode, Directory, Progress, UserMapping
    from syncd.sync.readings import Reading
    from syncd.sync.store_ports import PlanCounts, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """What an organization wants of its syncs."""

    organization_id: str
    batch_size: int
    limits: guard.Limits
    # keep | disable | delete
    deletion_policy: str
    grace_seconds: float


class SyncRun:
    """A run of everybody, of what changed, or of one person; a dry run is only planned."""

    def __init__(
        self,
        *,
        options: SyncOptions,
        directory: Directory,
        store: Store,
        users: UserMapping,
        containers: Mapping[str, ContainerMapping],
        decode: Decode,
        dn_key: Callable[[str], bytes],
        now: Callable[[], datetime],
        run_name: Callable[[int], str],
        renamed: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.options = options
        self.directory = directory
        self.store = store
        self.users = users
        self.containers = containers
        self.decode = decode
        self.dn_key = dn_key
        self.now = now
        self.run_name = run_name
        self.progress: Progress = progress or (lambda _phase, _done, _total: None)
        self.organization_id = options.organization_id
        self.deletion_policy = options.deletion_policy
        self.mappers = (*containers, *(record.mapper for record in users.containers))
        self.shapes = shapes_of(containers, users.containers)
        # A mapper's former name, by its present one.
        self.renamed = dict(renamed or {})
        self._rename_remarks: list[Remark] = []

    def full(self, *, dry: bool = False) -> dict[str, Any]:
        """Sync everybody, or say what that would change."""
        with self.store.lease:
            if not dry:
                self._resume()
            with self._renamed(dry=dry):
                return self._run(Everybody(self), dry=dry)

    def changed(self, *, dry: bool = False) -> dict[str, Any]:
        """Sync what changed since the last run; where that cannot be told, everybody."""
        with self.store.lease:
            if not dry:
                self._resume()
            with self._renamed(dry=dry):
                reading = Changed(self)
                waiting = self.store.waiting_run()
                try:
                    reading.require(None if waiting is None else self.run_name(waiting))
                    return self._run(reading, dry=dry)
                except ChangesUnavailable as promoted:
                    return self._run(Everybody(self), dry=dry, promoted=promoted)

    def one(self, username: str) -> dict[str, Any]:
        """Sync one person by username; nobody is taken away by it."""
        with self.store.lease:
            self._resume()
            with self._renamed(dry=False):
                return self._run(OnePerson(self, username), dry=False)

    @contextmanager
    def _renamed(self, *, dry: bool) -> Iterator[None]:
        """Let renamed mappers have what they gave under their former names.

        A dry run gives the names back: its configuration may not stay.
        """
        there = self.store.stored_mappers() if self.renamed else set()
        done = self.store.rename_mappers(self.renamed) if self.renamed else {}
        self._rename_remarks = rename_remarks(self.renamed, there)
        try:
            yield
        finally:
            if dry and done:
                self.store.rename_mappers({old: new for new, old in done.items()})

    def _resume(self) -> None:
        """Bring a plan to its end whose process ended while it was being applied."""
        resume(
            self.store,
            organization_id=self.options.organization_id,
            batch_size=self.options.batch_size,
            run_name=self.run_name,
            progress=self.progress,
        )

    def _run(
        self, reading: Reading, *, dry: bool, promoted: ChangesUnavailable | None = None
    ) -> dict[str, Any]:
        started = time.perf_counter()
        run_id = self.store.begin_run(reading.mode, dry=dry)
        collector = Collector(
            store=self.store,
            run_id=run_id,
            decode=self.decode,
            dn_key=self.dn_key,
            progress=self.progress,
        )
        state = RunState(self, run_id, reading.mode, collector, started)
        state.evidence.promoted = promoted
        try:
            return self._steps(state, reading, dry=dry)
        except ChangesUnavailable as because:
            # Nothing is planned or written yet; a full run takes this one's place.
            self.store.give_up(
                run_id, "superseded", state.report("superseded", reasons=[str(because)])
            )
            raise
        except (KeyboardInterrupt, Interrupted) as error:
            reasons = ["somebody interrupted it", *self._half_applied(state)]
            report = state.report("interrupted", reasons=reasons)
            # A store that fails now keeps a run that looks alive; the next one sees that it is not.
            with suppress(SyncdError):
                self.store.give_up(run_id, "interrupted", report)
            interrupted = Interrupted("interrupted; nothing is half done, run it again")
            interrupted.report = report
            raise interrupted from error
        except SyncdError as error:
            reasons = [str(error), *self._half_applied(state)]
            report = error.report = state.report("failed", reasons=reasons)
            try:
                self.store.give_up(run_id, "failed", report)
            except SyncdError:
                # The store itself is what failed; the first error is the one to tell.
                raise error from None
            raise

    def _half_applied(self, state: RunState) -> list[str]:
        """Let the report of a run that ended early count what it wrote, not what it planned."""
        (done, total), state.counts = state.applied, None
        if not total:
            return []
        with suppress(SyncdError):
            state.counts = self.store.counts(state.run_id, last=done)
        return [f"{done} of {total} people were written; the next sync writes the others"]

    def _steps(self, state: RunState, reading: Reading, *, dry: bool) -> dict[str, Any]:
        store, run_id, collector = self.store, state.run_id, state.collector
        evidence = state.evidence
        watermark = reading.read(collector, evidence)
        collected = collector.collected
        collected.remarks += self._rename_remarks
        if state.mode != "user" and (because := self._too_many_bad(state)):
            report = state.report("failed", reasons=[because])
            bad = None if dry else collected.quarantined
            store.finish(run_id, "failed", report, outcomes=collected.outcomes, quarantined=bad)
            return report
        now = time.perf_counter()
        self.progress("plan", 0, None)
        purge_before = self._purge_before(evidence) if state.mode == "full" else None
        planned = store.plan(
            run_id,
            mappers=(*self.mappers, *evidence.removed),
            revoking=tuple(evidence.revoking),
            purge_before=purge_before,
            shapes=replace(self.shapes, removed=frozenset(evidence.removed)),
        )
        collected.reject_conflicts(planned.conflicts)
        collected.remarks += planned.remarks
        counts = state.counts = store.counts(run_id)
        excess = self._excess(state, counts)
        owners = store.lost_owners(run_id) if takes(counts) else []
        reasons = [each.because for each in excess]
        if owners:
            reasons.insert(0, guard.last_owner(self.organization_id, owners))
        collected.seconds["plan"] += time.perf_counter() - now
        last, held, blocked = None, 0, bool(reasons)
        if blocked and not dry and self.options.limits.hold_kind:
            kinds = sorted({kind for each in excess for kind in each.kinds})
            last, held = store.hold(run_id, kinds, [user_id for user_id, _ in owners])
            # A group that goes takes the role along, whoever is held.
            blocked = bool(owners and store.lost_owners(run_id))
        if dry or blocked:
            report = state.report("blocked" if reasons else "planned", reasons=reasons)
            report["dry"] = dry
            store.finish(
                run_id,
                "planned" if dry else "blocked",
                report,
                outcomes=collected.outcomes,
                quarantined=None if dry else collected.quarantined,
                watermark=None if dry else self._proven(state, watermark),
                looked_at=collected.looked_at,
            )
            return self._as_waiting(report)
        if last is not None:
            reasons.append(f"{held} people are held for approval; the others were written")
        return self._apply(state, watermark, last=last, reasons=reasons)

    def _excess(self, state: RunState, counts: PlanCounts) -> list[guard.Excess]:
        evidence, limits = state.evidence, self.options.limits
        amounts = amounts_of(counts)
        if evidence.people is None or evidence.grants is None:
            few = guard.enough(amounts, limits)
            evidence.people, evidence.grants = self.store.at_most(self.mappers, few)
        return guard.exceeded(
            amounts,
            people=evidence.people,
            grants=evidence.grants,
            limits=limits,
            doubts=evidence.doubts,
            shrinking=self.store.shrinking_targets(state.run_id) if counts.revoked else (),
        )

    def _too_many_bad(self, state: RunState) -> str | None:
        bad, limits = state.collector.collected.bad, self.options.limits
        people = state.evidence.people
        if people is None:
            people, _ = self.store.at_most((), guard.enough({"quarantine": bad}, limits))
        return guard.too_many_bad(bad, max(people, state.collector.collected.read), limits)

    def _apply(
        self,
        state: RunState,
        watermark: Watermark | None,
        *,
        last: int | None,
        reasons: Sequence[str],
    ) -> dict[str, Any]:
        store, run_id, collected = self.store, state.run_id, state.collector.collected
        counts = state.counts
        now = time.perf_counter()
        # A role that nobody holds yet is written too: its container will refer to it. And where
        # only containers are to be settled, the next run must see a sudden end as well.
        if counts is not None and (counts.rows or counts.targets or collected.containers):
            store.begin_apply(run_id, "sync", None, settles=True)
            for done, total in store.apply(run_id, self.options.batch_size, last=last):
                state.applied = done, total
                self.progress("apply", done, total)
            if last is not None or store.conflicts(run_id):
                state.counts = store.counts(run_id)
                store.keep_removed(run_id, self.mappers)
        store.settle(run_id, few=state.mode != "full")
        collected.seconds["apply"] += time.perf_counter() - now
        status = "done" if last is None else "blocked"
        report = state.report(status, reasons=reasons)
        store.finish(
            run_id,
            status,
            report,
            outcomes=collected.outcomes,
            quarantined=collected.quarantined,
            watermark=self._proven(state, watermark),
            digests=True,
            looked_at=collected.looked_at,
        )
        return self._as_waiting(report)

    def _as_waiting(self, report: dict[str, Any]) -> dict[str, Any]:
        """Name the run under which the plan waits: an older one, if that has the same plan."""
        kept = self.store.kept_plan
        return report if kept is None else {**report, "run": self.run_name(kept)}

    @staticmethod
    def _proven(state: RunState, watermark: Watermark | None) -> Watermark | None:
        """Return the watermark if everything up to it was seen, and was written as planned."""
        outcomes = state.collector.collected.outcomes
        complete = all(outcome.verdict is Verdict.COMPLETE for outcome in outcomes)
        left_out = state.counts.conflicts if state.counts else 0
        return watermark if complete and not state.evidence.held and not left_out else None

    def _purge_before(self, evidence: Evidence) -> datetime | None:
        if self.options.deletion_policy != "delete" or evidence.held or evidence.doubts:
            return None
        return self.now() - timedelta(seconds=self.options.grace_seconds)


def takes(counts: PlanCounts) -> bool:
    """Tell whether a plan shuts anybody out, or takes roles or groups from anybody."""
    shut = any(counts.kinds.get(kind) for kind in ("missing", "disable", "delete"))
    moved = counts.groups.get("update") or counts.groups.get("delete")
    return bool(shut or counts.revoked or moved)


def amounts_of(counts: PlanCounts) -> dict[str, int]:
    """Return a plan's counts under the names of the limits."""
    amounts = {kind: counts.kinds.get(kind, 0) for kind in guard.PHRASES}
    amounts["update"] = counts.updated
    amounts["enable"] += counts.kinds.get("return", 0)
    # Nobody is shut out who was never let in.
    amounts["disable"] -= counts.newcomers_disabled
    amounts["grant"] = counts.granted_to_known
    amounts["revoke"] = counts.revoked
    amounts["remove"] = counts.removed
    return amounts


def shapes_of(
    containers: Mapping[str, ContainerMapping], everybodys: Sequence[ContainerRecord]
) -> Shapes:
    """Return what the mappers make of their containers."""

    def having(trait: str) -> frozenset[str]:
        return frozenset(name for name, each in containers.items() if getattr(each, trait))

    hardcoded = {record.mapper for record in everybodys}
    # Theirs may stand below the groups of a path.
    groups = {record.mapper for record in everybodys if record.kind == "group"}
    return Shapes(
        groups=frozenset(name for name, each in containers.items() if each.kind == "group")
        | groups,
        nested=having("nested"),
        hierarchical=having("hierarchy") | groups,
        creating=having("creates") | hardcoded,
        dropping=having("drops"),
        roots={name: each.root for name, each in containers.items() if each.root is not None},
    )


__all__ = ["SyncOptions", "SyncRun", "amounts_of"]
