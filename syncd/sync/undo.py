"""Undo: the reverse of a change set, planned, guarded and applied as any other run.

Reads no directory. What a sync would do again pauses the organization, so that somebody looks
first.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from syncd.errors import Interrupted, LastOwner, SyncdError
from syncd.sync import guard
from syncd.sync.report import make_report
from syncd.sync.resuming import resume
from syncd.sync.run import amounts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from syncd.sync.ports import Progress
    from syncd.sync.store_ports import PlanCounts, Store, UndoneChange

REDONE = "`syncd resume {org}` lets syncs go on; the next one reads everybody and may do it again"


class Later(NamedTuple):
    """What is too much to be applied while somebody waits: plans of more rows than ``above``."""

    above: int
    # Takes the run, whose plan waits then: lets somebody else apply it soon.
    ask: Callable[[int], None]


class UndoRun:
    """Takes one change set back."""

    def __init__(
        self,
        *,
        store: Store,
        organization_id: str,
        batch_size: int,
        limits: guard.Limits,
        run_name: Callable[[int], str],
        change_set_name: Callable[[int], str],
        progress: Progress | None = None,
        allowed: Callable[[int], None] | None = None,
    ) -> None:
        """Take what it needs; ``allowed`` raises if whoever undoes may not do what a run plans."""
        self.store, self.organization_id = store, organization_id
        self.batch_size, self.limits = batch_size, limits
        self.run_name, self.change_set_name = run_name, change_set_name
        self.progress: Progress = progress or (lambda _phase, _done, _total: None)
        self.allowed = allowed or (lambda _run_id: None)

    def undo(
        self,
        undone: UndoneChange,
        *,
        actor: str,
        why: str | None,
        dry: bool = False,
        later: Later | None = None,
    ) -> dict[str, Any]:
        """Take a change set back, or say what that would change; return the run's report.

        With ``later`` a large one is only planned, and left to whoever applies it.

        Raises:
            LastOwner: Nobody would own the organization any more.

        """
        store = self.store
        started = time.perf_counter()
        with store.lease:
            if not dry:
                resumed = self._resume()
                if resumed is not None and store.undone_by(resumed[0]) == undone.id:
                    return resumed[1]
            run_id = store.begin_run("undo", dry=dry)
            try:
                return self._steps(
                    run_id, undone, actor=actor, why=why, dry=dry, later=later, started=started
                )
            except (KeyboardInterrupt, Interrupted) as error:
                with suppress(SyncdError):
                    store.give_up(run_id, "interrupted", self._early(run_id, "interrupted", ""))
                raise Interrupted("interrupted; nothing is half done, run it again") from error
            except SyncdError as error:
                error.report = self._early(run_id, "failed", str(error))
                with suppress(SyncdError):
                    store.give_up(run_id, "failed", error.report)
                raise

    def approve(self, run_id: int, actor: str) -> dict[str, Any]:
        """Apply a blocked undo as far as it still holds; return its report."""
        store = self.store
        started = time.perf_counter()
        with store.lease:
            self.allowed(run_id)
            self._require_owner(run_id)
            told = store.undo_report(run_id)
            name = self.run_name(run_id)
            why = f"approval of {name}: undo of {told['undoes']}"
            if given := told.pop("why", None):
                why += f": {given}"
            return self._apply(run_id, told, actor=actor, why=why, started=started)

    def _resume(self) -> tuple[int, dict[str, Any]] | None:
        return resume(
            self.store,
            organization_id=self.organization_id,
            batch_size=self.batch_size,
            run_name=self.run_name,
            progress=self.progress,
        )

    def _steps(
        self,
        run_id: int,
        undone: UndoneChange,
        *,
        actor: str,
        why: str | None,
        dry: bool,
        later: Later | None,
        started: float,
    ) -> dict[str, Any]:
        store = self.store
        self.progress("plan", 0, None)
        made = store.plan_undo(run_id, undone)
        self.allowed(run_id)
        self._require_owner(run_id)
        counts = store.counts(run_id)
        name = self.change_set_name(undone.id)
        left = made.left
        told: dict[str, Any] = {
            "change_set": None,
            "undoes": name,
            "left_alone": left.told,
            "left_alone_count": left.count,
            "paused": None,
            "pauses": made.pauses,
        }
        reasons = [each.because for each in self._excess(run_id, counts)]
        large = later is not None and not dry and not reasons and counts.rows > later.above
        if large:
            reasons.append(f"it concerns {counts.rows} people; a worker of the daemon applies it")
        if dry or reasons:
            status = "blocked" if reasons else "planned"
            if not dry and made.pauses:
                told["paused"] = f"undo of {name} waits for approval ({self.run_name(run_id)})"
                store.pause(str(told["paused"]))
            if why and not dry:
                told["why"] = why
            report = self._report(run_id, status, counts, reasons, started) | told
            report["dry"] = dry
            store.finish(run_id, "planned" if dry else "blocked", report)
            if store.kept_plan is not None:
                report["run"] = self.run_name(store.kept_plan)
            if later is not None and large:
                later.ask(store.kept_plan or run_id)
            return report
        if not counts.rows and not store.planned_objects(run_id):
            reasons.append("nothing of it is left to be undone")
            report = self._report(run_id, "done", counts, reasons, started) | told
            store.finish(run_id, "done", report)
            return report
        because = f"undo of {name}"
        if why:
            because += f": {why}"
        return self._apply(run_id, told, actor=actor, why=because, started=started)

    def _apply(
        self, run_id: int, told: Mapping[str, Any], *, actor: str, why: str, started: float
    ) -> dict[str, Any]:
        store = self.store
        told = dict(told)
        planned = time.perf_counter()
        paused = f"undo of {told['undoes']} by {actor}" if told["pauses"] else None
        told["paused"] = paused
        store.keep_report(run_id, told)
        change_set_id = store.begin_undo(run_id, actor, why, pause=paused)
        told["change_set"] = self.change_set_name(change_set_id)
        for done, total in store.apply(run_id, self.batch_size):
            self.progress("apply", done, total)
        store.settle_undo(run_id)
        left = [*store.left_people(run_id), *store.left_objects(run_id)]
        told["left_alone"] = [*told["left_alone"], *left]
        told["left_alone_count"] += len(left)
        counts = store.counts(run_id)
        reasons = []
        if paused is not None:
            org = self.organization_id
            reasons.append(f"{org} is paused: {REDONE.format(org=org)}")
        report = self._report(run_id, "done", counts, reasons, started, applied=planned) | told
        store.finish(run_id, "done", report)
        return report

    def _require_owner(self, run_id: int) -> None:
        if owners := self.store.lost_owners(run_id):
            raise LastOwner(guard.last_owner(self.organization_id, owners))

    def _excess(self, run_id: int, counts: PlanCounts) -> list[guard.Excess]:
        amounts = amounts_of(counts)
        people, grants = self.store.everybody(guard.enough(amounts, self.limits))
        return guard.exceeded(
            amounts,
            people=people,
            grants=grants,
            limits=self.limits,
            shrinking=self.store.shrinking_targets(run_id) if counts.revoked else (),
        )

    def _early(self, run_id: int, status: str, because: str) -> dict[str, Any]:
        reasons = [because] if because else []
        return self._report(run_id, status, None, reasons, time.perf_counter())

    def _report(
        self,
        run_id: int,
        status: str,
        counts: PlanCounts | None,
        reasons: Sequence[str],
        started: float,
        *,
        applied: float | None = None,
    ) -> dict[str, Any]:
        now = time.perf_counter()
        since = now if applied is None else applied
        return make_report(
            run=self.run_name(run_id),
            organization=self.organization_id,
            mode="undo",
            status=status,
            outcomes=(),
            absences="none",
            promoted_because=None,
            read=0,
            unchanged=0,
            quarantined=0,
            counts=counts,
            unresolved=0,
            reasons=reasons,
            seconds={"plan": since - started, "apply": now - since, "total": now - started},
        )
