"""Rekey: new ids for people, from a whole listing of a directory that knows them by new ones.

The share of people who get another id is expected to be everybody. What the guard looks at is how
many could not be paired: those would be missing at the next sync.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from syncd.errors import DirectoryUnavailable, SyncdError
from syncd.records import Verdict
from syncd.sync import guard
from syncd.sync.collect import Collector
from syncd.sync.report import make_report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.records import ListingOutcome
    from syncd.sync.run import SyncRun
    from syncd.sync.store_ports import RekeyStore

MODE = "rekey"
PHRASE = "people could not be paired with an entry and would be missing"


class Rekey:
    """One rekeying, or the approval of one that was held."""

    def __init__(self, run: SyncRun, store: RekeyStore, actor: str) -> None:
        self.run = run
        self.store = store
        self.actor = actor
        self._started = time.perf_counter()

    def plan(self, by: str, *, dry: bool = False) -> dict[str, Any]:
        """Pair people with entries, and write their new ids unless the guard objects."""
        with self.store.lease:
            run_id = self.store.begin_run(MODE, dry=dry)
            try:
                return self._plan(run_id, by, dry=dry)
            except SyncdError as error:
                report = error.report = self._report(run_id, "failed", [str(error)], {}, ())
                self.store.give_up(run_id, "failed", report)
                raise

    def _plan(self, run_id: int, by: str, *, dry: bool) -> dict[str, Any]:
        store, limits = self.store, self.run.options.limits
        outcomes = self._read(run_id)
        people, _ = store.population(())
        paired = store.plan_rekey(run_id, by)
        lost = paired.unpaired + paired.ambiguous
        reasons = [
            excess.because.replace(guard.PHRASES["missing"], PHRASE)
            for excess in guard.exceeded({"missing": lost}, people=people, grants=0, limits=limits)
        ]
        told = {"by": by, **paired._asdict(), "people": store.unpaired(run_id)}
        if dry or reasons:
            report = self._report(
                run_id, "blocked" if reasons else "planned", reasons, told, outcomes
            )
            report["dry"] = dry
            store.finish(run_id, "planned" if dry else "blocked", report, outcomes=outcomes)
            if store.kept_plan is not None:
                report["run"] = self.run.run_name(store.kept_plan)
            return report
        return self._apply(run_id, told, outcomes)

    def approve(self, run_id: int, told: dict[str, Any]) -> dict[str, Any]:
        """Write the new ids of a plan that was held; ``told`` is what its report said of it."""
        with self.store.lease:
            return self._apply(run_id, told, ())

    def _read(self, run_id: int) -> Sequence[ListingOutcome]:
        run = self.run
        collector = Collector(
            store=self.store,
            run_id=run_id,
            decode=run.decode,
            dn_key=run.dn_key,
            progress=run.progress,
        )
        outcome = collector.people(run.directory.users(), run.users)
        if outcome.verdict is not Verdict.COMPLETE or not outcome.entries:
            because = outcome.because or f"it has {outcome.entries} entries"
            raise DirectoryUnavailable(
                f"the users listing is {outcome.verdict.value} ({because}), and new ids need a "
                "whole one; nothing was changed"
            )
        collector.absences(run.directory, outcome)
        for mapper, mapping in run.containers.items():
            if mapping.kind == "group":
                listing = run.directory.containers(mapper)
                collector.containers.listed(listing, mapping, mapper, run.directory)
        return collector.collected.outcomes

    def _apply(
        self, run_id: int, told: dict[str, Any], outcomes: Sequence[ListingOutcome]
    ) -> dict[str, Any]:
        store = self.store
        store.begin_apply(run_id, self.actor, f"new ids, paired by {told['by']}", settles=False)
        for done, total in store.apply(run_id, self.run.options.batch_size):
            self.run.progress("apply", done, total)
        told = {**told, **store.complete_rekey(run_id)}
        report = self._report(run_id, "done", [], told, outcomes)
        store.finish(run_id, "done", report, outcomes=outcomes)
        return report

    def _report(
        self,
        run_id: int,
        status: str,
        reasons: Sequence[str],
        told: dict[str, Any],
        outcomes: Sequence[ListingOutcome],
    ) -> dict[str, Any]:
        report = make_report(
            run=self.run.run_name(run_id),
            organization=self.run.organization_id,
            mode=MODE,
            status=status,
            outcomes=outcomes,
            absences="none",
            promoted_because=None,
            read=sum(outcome.entries for outcome in outcomes if outcome.source == "users"),
            unchanged=0,
            quarantined=0,
            counts=self.store.counts(run_id),
            unresolved=0,
            reasons=reasons,
            seconds={"total": time.perf_counter() - self._started},
        )
        return {**report, "rekey": told}
