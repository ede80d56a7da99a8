"""One run of one organization: collect, plan, guard, apply, finish.

The one place that knows the order of the road. It decides what the evidence of the listings allows
and leaves how things are read, mapped and written to what it is handed.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from syncd.errors import (
    DirectoryError,
    DirectoryUnavailable,
    Interrupted,
    NotFound,
    SyncdError,
    UsageError,
)
from syncd.records import ListingOutcome, Verdict, Watermark
from syncd.sync import guard
from syncd.sync.collect import USERS, Collector
from syncd.sync.report import make_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from syncd.sync.ports import (
        ContainerMapping,
        Decode,
        Directory,
        PlanCounts,
        Progress,
        Store,
        UserMapping,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """What an organization wants of its syncs."""

    organization_id: str
    batch_size: int
    limits: guard.Limits
    # keep | disable | delete
    deletion_policy: str
    grace_seconds: float


@dataclass(slots=True)
class _Evidence:
    """What the listings of a run allow to conclude."""

    # Sentences that make every absence one for a person to look at.
    doubts: list[str] = field(default_factory=list)
    # Sentences on why absences were left out of the plan.
    held: list[str] = field(default_factory=list)
    revoking: list[str] = field(default_factory=list)
    absent: int = 0


class SyncRun:
    """A full run, a dry run, or a run for one person."""

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
        self.mappers = (*containers, *(record.mapper for record in users.containers))

    def full(self, *, dry: bool = False) -> dict[str, Any]:
        """Sync everybody, or say what that would change."""
        with self.store.lease:
            if not dry:
                self._resume()
            return self._run("full", dry=dry, username=None)

    def one(self, username: str) -> dict[str, Any]:
        """Sync one person by username; nobody is taken away by it."""
        with self.store.lease:
            self._resume()
            return self._run("user", dry=False, username=username)

    def _resume(self) -> None:
        """Bring a plan to its end whose process ended while it was being applied.

        Its books stay unwritten: what they would hold was in the stage, and a stage may have
        suffered with the process. The run that follows reads those entries anew.
        """
        run_id = self.store.unfinished()
        if run_id is None:
            return
        for done, total in self.store.apply(run_id, self.options.batch_size):
            self.progress("apply", done, total)
        counts = self.store.counts(run_id)
        report = make_report(
            run=self.run_name(run_id),
            organization=self.options.organization_id,
            mode="full",
            status="done",
            outcomes=(),
            absences="none",
            promoted_because=None,
            read=0,
            unchanged=0,
            quarantined=0,
            counts=counts,
            unresolved=self.store.unresolved(),
            reasons=["its process ended while it was applied; the next run brought it to its end"],
            seconds={},
        )
        self.store.finish(run_id, "done", report)

    def _run(self, mode: str, *, dry: bool, username: str | None) -> dict[str, Any]:
        started = time.perf_counter()
        run_id = self.store.begin_run(mode, dry=dry)
        collector = Collector(
            store=self.store,
            run_id=run_id,
            decode=self.decode,
            dn_key=self.dn_key,
            progress=self.progress,
        )
        state = _State(self, run_id, mode, collector, started)
        try:
            return self._steps(state, dry=dry, username=username)
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

    def _half_applied(self, state: _State) -> list[str]:
        """Let the report of a run that ended early count what it wrote, not what it planned."""
        (done, total), state.counts = state.applied, None
        if not total:
            return []
        with suppress(SyncdError):
            state.counts = self.store.counts(state.run_id, last=done)
        return [f"{done} of {total} people were written; the next sync writes the others"]

    def _steps(self, state: _State, *, dry: bool, username: str | None) -> dict[str, Any]:
        store, run_id, collector = self.store, state.run_id, state.collector
        before = self.directory.watermark()
        evidence = _Evidence()
        people, grants = store.population(self.mappers)
        if username is None:
            watermark = Watermark(
                before.kind, before.value, f"{before.ground} {self._mapping_fingerprint()}"
            )
            self._collect(collector, evidence, watermark, people)
        else:
            self._collect_one(collector, username)
            watermark = None
        now = time.perf_counter()
        self.progress("plan", 0, None)
        purge_before = self._purge_before(evidence) if username is None else None
        conflicts = store.plan(
            run_id,
            mappers=self.mappers,
            revoking=tuple(evidence.revoking),
            purge_before=purge_before,
        )
        collector.collected.reject_conflicts(conflicts)
        counts = store.counts(run_id)
        amounts = amounts_of(counts)
        reasons = guard.exceeded(
            amounts,
            people=people,
            grants=grants,
            limits=self.options.limits,
            doubts=evidence.doubts,
            shrinking=store.shrinking_roles(run_id) if counts.revoked else (),
        )
        collector.collected.seconds["plan"] += time.perf_counter() - now
        state.counts, state.evidence = counts, evidence
        if dry or reasons:
            status = "blocked" if reasons else "planned"
            report = state.report(status, reasons=reasons)
            report["dry"] = dry
            store.finish(
                run_id,
                status if not dry else "planned",
                report,
                outcomes=collector.collected.outcomes,
                quarantined=None if dry else collector.collected.quarantined,
                watermark=None if dry else self._proven(state, watermark),
            )
            return report
        return self._apply(state, watermark)

    def _apply(self, state: _State, watermark: Watermark | None) -> dict[str, Any]:
        store, run_id, collected = self.store, state.run_id, state.collector.collected
        counts = state.counts
        now = time.perf_counter()
        # A role that nobody holds yet is written too: its container will refer to it. And where
        # only containers are to be settled, the next run must see a sudden end as well.
        if counts is not None and (counts.rows or counts.roles_created or collected.containers):
            store.begin_apply(run_id, "sync", None, settles=True)
            for done, total in store.apply(run_id, self.options.batch_size):
                state.applied = done, total
                self.progress("apply", done, total)
            if store.conflicts(run_id):
                state.counts = store.counts(run_id)
        store.settle(run_id)
        collected.seconds["apply"] += time.perf_counter() - now
        report = state.report("done", reasons=())
        store.finish(
            run_id,
            "done",
            report,
            outcomes=collected.outcomes,
            quarantined=collected.quarantined,
            watermark=self._proven(state, watermark),
            digests=True,
        )
        return report

    @staticmethod
    def _proven(state: _State, watermark: Watermark | None) -> Watermark | None:
        """Return the watermark if the listings prove that everything up to it was seen."""
        outcomes = state.collector.collected.outcomes
        complete = all(outcome.verdict is Verdict.COMPLETE for outcome in outcomes)
        return watermark if complete and not state.evidence.held else None

    # --- what the evidence allows ---------------------------------------------------------

    def _collect(
        self, collector: Collector, evidence: _Evidence, watermark: Watermark, people: int
    ) -> None:
        outcome = collector.people(self.directory.users(), self.users)
        if outcome.result_code is None and not outcome.entries and not outcome.pages:
            raise DirectoryError(
                f"the directory brought nobody: {outcome.because}; nothing was changed"
            )
        stored = self.store.watermark()
        if stored is not None and stored.ground != watermark.ground:
            evidence.doubts.append(
                "the server, base, filter, account or mappers are not those of the last run, so "
                "who is missing now may only be out of sight"
            )
        if people and not outcome.entries:
            evidence.doubts.append(
                f"the users listing is empty while {people} people are known; look at the users "
                "DN, the filter and the rights of the bind account"
            )
        gone = self._collect_containers(collector, evidence)
        if outcome.verdict is not Verdict.COMPLETE:
            evidence.held.append(f"users: {outcome.because}")
        elif collector.collected.unnamed:
            evidence.held.append(
                f"users: {collector.collected.unnamed} entries could not even be told by name, so "
                "anybody may be among them"
            )
        if evidence.held:
            # A person whom the listing did not show may have moved: nothing is taken from anybody.
            evidence.revoking.clear()
            return
        evidence.absent = collector.absences(self.directory, outcome)
        if self.options.deletion_policy == "keep":
            self.store.forget_absent(collector.run_id)
            evidence.absent = 0
        for mapper, keys in gone:
            if keys:
                self.store.stage_absent_containers(collector.run_id, mapper, keys)

    def _collect_containers(
        self, collector: Collector, evidence: _Evidence
    ) -> list[tuple[str, list[bytes]]]:
        """Collect all role entries; return those of complete listings that are gone."""
        gone: list[tuple[str, list[bytes]]] = []
        for mapper, mapping in self.containers.items():
            try:
                result = collector.containers(self.directory.containers(mapper), mapping, mapper)
            except DirectoryUnavailable as error:
                # It went away behind the people: who was read is taken all the same.
                result = ListingOutcome(mapper, Verdict.TRUNCATED, None, 0, 0, 0, str(error))
                collector.collected.outcomes.append(result)
            if result.verdict is not Verdict.COMPLETE:
                evidence.held.append(f"{mapper}: {result.because}")
                continue
            if collector.known_containers and not result.entries:
                evidence.doubts.append(
                    f"the listing of {mapper} is empty while {collector.known_containers} roles "
                    "are known from it; look at the roles DN, the filter and the account's rights"
                )
            evidence.revoking.append(mapper)
            gone.append((mapper, collector.gone_containers))
        for record in self.users.containers:
            collector.hardcoded(record)
            evidence.revoking.append(record.mapper)
        return gone

    def _collect_one(self, collector: Collector, username: str) -> None:
        found = self.directory.find(username)
        if not found:
            raise NotFound(
                f"no person {username} is in the users listing of {self.options.organization_id}; "
                f"`syncd explain {self.options.organization_id} {username}` says why"
            )
        if len(found) > 1:
            raise UsageError(
                f"{len(found)} entries have the username {username}; a full sync puts them into "
                "quarantine and lists them"
            )
        collector.people(_OnePage(found), self.users, alone=True)

    def _purge_before(self, evidence: _Evidence) -> datetime | None:
        if self.options.deletion_policy != "delete" or evidence.held or evidence.doubts:
            return None
        return self.now() - timedelta(seconds=self.options.grace_seconds)

    def _mapping_fingerprint(self) -> str:
        parts = [self.users.fingerprint]
        parts += [f"{name}:{mapping.fingerprint}" for name, mapping in self.containers.items()]
        return " ".join(parts)


class _OnePage:
    """Entries that were looked up, in the shape of a listing that proves nothing."""

    def __init__(self, raws: list[bytes]) -> None:
        self._raws = raws

    def __iter__(self) -> Iterator[list[bytes]]:
        yield self._raws

    @property
    def outcome(self) -> ListingOutcome:
        """Nothing is concluded from who is not in it."""
        return ListingOutcome(USERS, Verdict.COMPLETE, 0, 1, len(self._raws), 0)


class _State:
    """What a run knows of itself, for its report."""

    def __init__(
        self, run: SyncRun, run_id: int, mode: str, collector: Collector, started: float
    ) -> None:
        self.run = run
        self.run_id = run_id
        self.mode = mode
        self.collector = collector
        self.started = started
        self.counts: PlanCounts | None = None
        # Rows of the plan: committed, and in all; once the first batch is through.
        self.applied = (0, 0)
        self.evidence = _Evidence()

    def report(self, status: str, *, reasons: Sequence[str]) -> dict[str, Any]:
        collected = self.collector.collected
        evidence = self.evidence
        if evidence.held or (status == "blocked" and evidence.absent):
            absences = "held"
        elif evidence.absent:
            absences = "applied"
        else:
            absences = "none"
        seconds = dict(collected.seconds)
        seconds["total"] = time.perf_counter() - self.started
        try:
            unresolved = self.run.store.unresolved() if status in {"done", "planned"} else 0
        except SyncdError:
            unresolved = 0
        return make_report(
            run=self.run.run_name(self.run_id),
            organization=self.run.options.organization_id,
            mode=self.mode,
            status=status,
            outcomes=collected.outcomes,
            absences=absences,
            promoted_because=None,
            read=collected.read,
            unchanged=collected.unchanged,
            quarantined=collected.bad,
            counts=self.counts,
            unresolved=unresolved,
            reasons=[*reasons, *evidence.held],
            seconds=seconds,
        )


def amounts_of(counts: PlanCounts) -> dict[str, int]:
    """Return a plan's counts under the names of the limits."""
    amounts = {kind: counts.kinds.get(kind, 0) for kind in guard.PHRASES}
    amounts["update"] = counts.updated
    amounts["enable"] += counts.kinds.get("return", 0)
    amounts["grant"] = counts.granted_to_known
    amounts["revoke"] = counts.revoked
    return amounts


__all__ = ["SyncOptions", "SyncRun", "amounts_of"]
