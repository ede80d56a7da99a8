"""Switch: another provider for an organization, as a plan that the guard looks at.

A directory is read before anything is changed: one that does not answer must not be the reason why
nobody can sign in, and who would be taken over shows in its people.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from syncd.errors import LastOwner, SyncdError
from syncd.records import Verdict
from syncd.sync import guard
from syncd.sync.collect import Collector
from syncd.sync.report import make_report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from syncd.records import ListingOutcome
    from syncd.sync.ports import Progress
    from syncd.sync.run import SyncRun
    from syncd.sync.store_ports import SwitchStore

MODE = "switch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants a switch to be."""

    organization_id: str
    was: str
    # "username", "verified-email"; None is by hand alone.
    link_by: str | None
    # Usernames of administrators who are taken along.
    owners: Sequence[str]
    limits: guard.Limits
    batch_size: int
    actor: str
    # Apply it although it is over a limit.
    sure: bool


class Switch:
    """One switch, or the approval of one that was held."""

    def __init__(
        self,
        wish: Wish,
        store: SwitchStore,
        *,
        run_name: Callable[[int], str],
        reader: SyncRun | None,
        progress: Progress | None = None,
    ) -> None:
        """``reader`` reads the directory of the new provider, where it is one."""
        self.wish = wish
        self.store = store
        self.run_name = run_name
        self.reader = reader
        self.progress: Progress = progress or (lambda _phase, _done, _total: None)
        self._started = time.perf_counter()

    def plan(self, *, dry: bool = False) -> dict[str, Any]:
        """Plan the switch, and apply it unless the guard objects; a dry run says what it means."""
        store, wish = self.store, self.wish
        with store.lease:
            named = store.require_named(wish.owners)
            run_id = store.begin_run(MODE, dry=dry)
            try:
                return self._plan(run_id, named, dry=dry)
            except SyncdError as error:
                report = error.report = self._report(run_id, "failed", [str(error)], {})
                store.give_up(run_id, "failed", report)
                raise

    def _plan(self, run_id: int, named: Sequence[int], *, dry: bool) -> dict[str, Any]:
        store, wish = self.store, self.wish
        outcomes, reasons, arrivals = self._read(run_id, named)
        switched = store.plan_switch(run_id, named)
        reasons += [
            excess.because.replace(guard.PHRASES["disable"], "people would lose their sign-in")
            for excess in guard.exceeded(
                {"disable": switched.leaving}, people=switched.people, grants=0, limits=wish.limits
            )
        ]
        owners = store.lost_owners(run_id)
        if owners:
            reasons.insert(
                0,
                f"{guard.last_owner(wish.organization_id, owners)}, or take one along with --owner",
            )
        told = {
            "from": wish.was,
            "to": store.provider,
            "link": wish.link_by,
            "owners": list(wish.owners),
            **switched._asdict(),
            "arrivals": arrivals,
        }
        blocked = bool(owners) or bool(reasons and not wish.sure)
        if dry or blocked:
            status = "blocked" if reasons and (blocked or not wish.sure) else "planned"
            report = self._report(run_id, status, reasons, told, outcomes)
            report["dry"] = dry
            store.finish(run_id, "planned" if dry else "blocked", report, outcomes=outcomes)
            if store.kept_plan is not None:
                report["run"] = self.run_name(store.kept_plan)
            return report
        return self._apply(run_id, named, reasons, told, outcomes)

    def _read(
        self, run_id: int, named: Sequence[int]
    ) -> tuple[list[ListingOutcome], list[str], dict[str, int] | None]:
        reader = self.reader
        if reader is None:
            return [], [], None
        collector = Collector(
            store=self.store,
            run_id=run_id,
            decode=reader.decode,
            dn_key=reader.dn_key,
            progress=self.progress,
        )
        outcome = collector.people(reader.directory.users(), reader.users)
        reasons = []
        if outcome.verdict is not Verdict.COMPLETE:
            reasons.append(f"the users listing of the new provider is not whole: {outcome.because}")
        elif not outcome.entries:
            reasons.append(
                "the users listing of the new provider is empty; look at the users DN, the filter "
                "and the rights of the bind account"
            )
        found = self.store.newcomers(run_id, self.wish.link_by, named)
        return collector.collected.outcomes, reasons, {"read": outcome.entries, **found._asdict()}

    def approve(self, run_id: int, told: dict[str, Any]) -> dict[str, Any]:
        """Apply a switch that was held; ``told`` is what its report said of it."""
        store, wish = self.store, self.wish
        with store.lease:
            named = store.require_named(wish.owners)
            if owners := store.lost_owners(run_id):
                raise LastOwner(guard.last_owner(wish.organization_id, owners))
            return self._apply(run_id, named, [], told, ())

    def _apply(
        self,
        run_id: int,
        named: Sequence[int],
        reasons: Sequence[str],
        told: dict[str, Any],
        outcomes: Sequence[ListingOutcome],
    ) -> dict[str, Any]:
        store, wish = self.store, self.wish
        store.begin_switch(run_id, wish.actor, named)
        for done, total in store.apply(run_id, wish.batch_size):
            self.progress("apply", done, total)
        store.complete_switch(run_id, wish.link_by, named)
        report = self._report(run_id, "done", reasons, told, outcomes)
        store.finish(run_id, "done", report, outcomes=outcomes)
        return report

    def _report(
        self,
        run_id: int,
        status: str,
        reasons: Sequence[str],
        told: dict[str, Any],
        outcomes: Sequence[ListingOutcome] = (),
    ) -> dict[str, Any]:
        report = make_report(
            run=self.run_name(run_id),
            organization=self.wish.organization_id,
            mode=MODE,
            status=status,
            outcomes=outcomes,
            absences="none",
            promoted_because=None,
            read=sum(outcome.entries for outcome in outcomes),
            unchanged=0,
            quarantined=0,
            counts=self.store.counts(run_id),
            unresolved=0,
            reasons=reasons,
            seconds={"total": time.perf_counter() - self._started},
        )
        return {**report, "switch": told}
