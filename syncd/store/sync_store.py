"""The store as the sync engine sees it: one organization's runs, from lease to watermark."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update

from syncd.errors import ConstraintViolated
from syncd.store import (
    books,
    container_books,
    feed,
    holding,
    last_owner,
    ownership,
    plan_counts,
    planning,
    runs,
    schedules,
    schema,
    targets,
    waiting,
)
from syncd.store.absences import Absences
from syncd.store.applying import PeopleBatch
from syncd.store.approving import Approving
from syncd.store.changed import ChangedReads
from syncd.store.collecting import Collecting
from syncd.store.leases import Lease, clock
from syncd.store.planning import PlanScope
from syncd.store.settling import Settling
from syncd.store.undoing import Undoing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from syncd.records import (
        ListingOutcome,
        Quarantined,
        Shapes,
        Watermark,
    )
    from syncd.store.database import Database
    from syncd.store.plan_counts import PlanCounts

S, K, R, C = schema.stage_users, schema.stage_keys, schema.stage_refs, schema.stage_containers
A, SEEN = schema.stage_absent, schema.stage_seen
U, I = schema.users, schema.identities


# Modes whose end in a status leaves the plan that waits alone.
_SILENT = {"done": ("user",), "blocked": ("user", "undo")}
# A week.
APPROVAL_SECONDS = 604_800


class SyncStore(
    Collecting, Absences, ChangedReads, Approving, Settling, Undoing, waiting.WaitingReads
):
    """One organization in the store, for one process at a time (see ``lease``)."""

    def __init__(
        self,
        database: Database,
        organization_id: str,
        source: str = "ldap",
        *,
        approval_seconds: float = APPROVAL_SECONDS,
    ) -> None:
        """``approval_seconds`` is how long a blocked plan waits for somebody to approve it."""
        self.database = database.of(organization_id)
        self.approval_seconds = approval_seconds
        # The older run that waits with the plan of the run that ended last.
        self.kept_plan: int | None = None
        self.organization_id = organization_id
        self.source = source
        self.lease = Lease(self.database, organization_id)

    # --- beginning ------------------------------------------------------------------------

    def digest_key(self) -> bytes:
        """Return the organization's own key for digests of raw entries."""
        table = schema.organizations
        with self.database.read() as connection:
            query = select(table.c.digest_key).where(table.c.id == self.organization_id)
            return bytes(connection.execute(query).scalar_one())

    def begin_run(self, mode: str, *, dry: bool) -> int:
        """Write a new run down and empty the stage of what earlier ones left there."""
        run_id = runs.begin(self.database, self.organization_id, mode, dry=dry)
        self.forget_collected()
        table = schema.runs
        with self.database.read() as connection:
            # The stage of a plan that waits, for approval or after a sudden end for the next sync,
            # says what that plan rests on.
            waits = table.c.status.in_(("blocked", "applying"))
            waiting = connection.execute(
                select(table.c.id).where(table.c.organization_id == self.organization_id, waits)
            ).first()
        if self.database.stage_path is not None and waiting is None:
            self.database.empty_stage()
            return run_id
        with self.database.stage() as connection:
            over = select(table.c.id).where(
                table.c.organization_id == self.organization_id,
                table.c.id < run_id,
                ~waits,
            )
            for stage in schema.stage_metadata.sorted_tables:
                connection.execute(delete(stage).where(stage.c.run_id.in_(over)))
        return run_id

    def unfinished(self) -> int | None:
        """Return the run whose plan was being applied when its process ended."""
        table = schema.runs
        with self.database.read() as connection:
            found: int | None = connection.execute(
                select(func.max(table.c.id)).where(
                    table.c.organization_id == self.organization_id,
                    table.c.status == "applying",
                    table.c.mode.not_in(runs.PLANNED_ANEW),
                )
            ).scalar_one()
        return found

    def mode_of(self, run_id: int) -> str:
        """Return whether a run is a full one, of what changed, or of one person."""
        with self.database.read() as connection:
            return runs.mode_of(connection, run_id)

    def stored_mappers(self) -> set[str]:
        """Return the mappers of which the store has containers."""
        with self.database.read() as connection:
            return ownership.stored_mappers(connection, self.organization_id)

    def rename_mappers(self, former: Mapping[str, str]) -> dict[str, str]:
        """Let mappers have what they gave under former names; return which had something."""
        return ownership.rename_mappers(self.database, self.lease, self.organization_id, former)

    def due_quarantine(self, limit: int = 1_000) -> list[tuple[str, str, str, str | None]]:
        """Return (source, entry, DN, external id) of entries that are to be tried again now."""
        with self.database.read() as connection:
            return books.due_quarantine(connection, self.organization_id, clock(connection), limit)

    def watermark(self) -> Watermark | None:
        """Return how far the directory has been read."""
        with self.database.read() as connection:
            return books.read_watermark(connection, self.organization_id, self.source)

    def population(self, mappers: tuple[str, ...]) -> tuple[int, int]:
        """Return how many living people and grants of these mappers there are."""
        with self.database.read() as connection:
            return plan_counts.population(connection, self.organization_id, mappers)

    def unresolved(self) -> int:
        """Return how many members that containers name are nobody known."""
        with self.database.read() as connection:
            return container_books.unresolved_members(connection, self.organization_id)

    # --- planning and applying ------------------------------------------------------------

    def plan(
        self,
        run_id: int,
        *,
        mappers: tuple[str, ...],
        revoking: tuple[str, ...],
        purge_before: datetime | None,
        shapes: Shapes,
    ) -> planning.Planned:
        """Make the plan of a run; return whose names kept them out of it, and remarks."""
        scope = PlanScope(
            run_id=run_id,
            organization_id=self.organization_id,
            source=self.source,
            mappers=mappers,
            revoking=revoking,
            purge_before=purge_before,
            shapes=shapes,
            accounts=self._accounts,
        )
        return planning.make_plan(self.database, scope)

    def counts(self, run_id: int, *, last: int | None = None) -> PlanCounts:
        """Count the plan of a run, up to its row ``last`` or whole."""
        with self.database.read() as connection:
            return plan_counts.counts(connection, run_id, last)

    def conflicts(self, run_id: int) -> int:
        """Return how many people of a plan were left out when it was applied."""
        P = schema.plan_people
        with self.database.read() as connection:
            left_out = P.c.state.not_in(("planned", holding.HELD))
            query = select(func.count()).where(P.c.run_id == run_id, left_out)
            return int(connection.execute(query).scalar_one())

    def shrinking_targets(self, run_id: int) -> list[tuple[str, int, int]]:
        """Return (role or group, members that would go, members now) of those that lose any."""
        with self.database.read() as connection:
            return plan_counts.shrinking_targets(connection, run_id, self.organization_id)

    def begin_apply(self, run_id: int, actor: str, why: str | None, *, settles: bool) -> None:
        """Open the change set and create new roles; from here on a killed run is resumed."""
        with self.database.read() as connection:
            planned = targets.any_planned(connection, run_id, "create")
        commit_id = feed.new_ids(self.database, "commits")[0] if planned else None
        with self.database.write() as connection:
            self.lease.hold(connection)
            runs.require_applicable(connection, run_id)
            change_set_id = runs.begin_change_set(
                connection, self.organization_id, run_id, actor, why
            )
            targets.create_targets(
                connection,
                run_id,
                self.organization_id,
                change_set_id=change_set_id,
                commit_id=commit_id,
            )
            runs.set_status(
                connection,
                run_id,
                "applying",
                change_set_id=change_set_id,
                settles=settles,
                together=runs.movers(connection, run_id),
            )

    def lost_owners(self, run_id: int) -> list[tuple[int, str]]:
        """Return the owners whom a plan would take while nobody else would be one any more."""
        with self.database.read() as connection:
            return last_owner.lost_owners(
                connection, self.organization_id, run_id, clock(connection)
            )

    def hold(
        self, run_id: int, kinds: Sequence[str], people: Sequence[int] = ()
    ) -> tuple[int, int]:
        """Hold everybody whom these kinds of change concern, and these people; let others through.

        Return the number up to which the plan may be applied, and how many people are held.
        """
        with self.database.write() as connection:
            self.lease.hold(connection)
            return holding.hold(connection, run_id, kinds, people)

    def apply(
        self, run_id: int, batch_size: int, *, last: int | None = None
    ) -> Iterator[tuple[int, int]]:
        """Apply what is left of a plan, up to the row ``last`` or whole.

        Yield (rows applied, rows in all) after each batch.
        """
        table = schema.runs
        with self.database.read() as connection:
            done, change_set_id, together = connection.execute(
                select(table.c.applied_number, table.c.change_set_id, table.c.together).where(
                    table.c.id == run_id
                )
            ).one()
            total = runs.last_number(connection, run_id) if last is None else last
            mappers = runs.planned_mappers(connection, run_id)
        while done < total:
            step = max(together - done, batch_size) if done < together else batch_size
            end = min(done + step, total)
            try:
                self._apply_batch(run_id, change_set_id, done + 1, end, mappers, careful=False)
            except ConstraintViolated:
                self._apply_batch(run_id, change_set_id, done + 1, end, mappers, careful=True)
            done = end
            yield done, total

    def _apply_batch(
        self,
        run_id: int,
        change_set_id: int,
        first: int,
        last: int,
        mappers: Sequence[str],
        *,
        careful: bool,
    ) -> None:
        (commit_id,) = feed.new_ids(self.database, "commits")
        with self.database.write_ahead() as connection:
            self.lease.hold(connection)
            PeopleBatch(
                connection,
                run_id=run_id,
                organization_id=self.organization_id,
                source=self.source,
                change_set_id=change_set_id,
                commit_id=commit_id,
                first=first,
                last=last,
                now=clock(connection),
                mappers=mappers,
                careful=careful,
            ).apply()
            runs.set_status(connection, run_id, "applying", applied_number=last)
            feed.take_position(connection, self.organization_id, commit_id, change_set_id)

    def finish(
        self,
        run_id: int,
        status: str,
        report: dict[str, Any],
        *,
        outcomes: Sequence[ListingOutcome] = (),
        quarantined: Sequence[Quarantined] | None = None,
        watermark: Watermark | None = None,
        digests: bool = False,
        keep_listings: bool = False,
        looked_at: Collection[tuple[str, str]] = (),
    ) -> list[int]:
        """End a run in one transaction; return the runs whose blocked plans it supersedes.

        A blocked plan that is that of an older run gives way to it: ``kept_plan`` is then the older
        run, which goes on waiting. ``looked_at`` are the (source, entry) of the quarantine that a
        run read again although it did not list everybody.
        """
        self.kept_plan = plan_digest = expires_at = None
        if status == "blocked":
            with self.database.read() as connection:
                plan_digest = waiting.plan_digest(connection, run_id)
        with self.database.write() as connection:
            self.lease.hold(connection)
            now = clock(connection)
            if digests:
                books.settle_digests(connection, self.organization_id, self.source, run_id)
            # Where a held kind left something undone, too.
            if status == "done" or digests:
                books.look_again(connection, self.source, run_id)
            mark = None
            if watermark is not None and status == "blocked":
                mark = json.dumps([watermark.kind, watermark.value, watermark.ground])
            elif watermark is not None:
                books.write_watermark(
                    connection,
                    self.organization_id,
                    self.source,
                    mark=watermark,
                    run_id=run_id,
                    now=now,
                )
            if not keep_listings:
                books.write_listings(connection, run_id, outcomes)
            if quarantined is not None:
                books.write_quarantine(
                    connection,
                    self.organization_id,
                    run_id,
                    found=quarantined,
                    outcomes=outcomes,
                    now=now,
                    looked_at=looked_at,
                )
            if plan_digest is not None:
                expires_at = now + timedelta(seconds=self.approval_seconds)
                self.kept_plan = waiting.same_plan(connection, run_id, plan_digest, mark, now)
            superseded: list[int] = []
            if self.kept_plan is not None:
                status, report = waiting.given_way(report, runs.run_name(self.kept_plan))
            # A sync of one person says nothing of the plan that waits, and an undo only once done.
            elif status in {"done", "blocked"} and report.get("mode") not in _SILENT[status]:
                superseded = waiting.supersede(connection, self.organization_id, run_id, now)
            runs.set_status(
                connection,
                run_id,
                status,
                finished_at=now,
                report=json.dumps(report, ensure_ascii=False),
                reasons=json.dumps(report.get("reasons", []), ensure_ascii=False),
                watermark=mark,
                plan_digest=plan_digest,
                expires_at=expires_at,
            )
            promoted = bool(report.get("promoted_because"))
            schedules.ended(
                connection, run_id, status, promoted=promoted, outcomes=outcomes, now=now
            )
        if self.kept_plan is not None:
            waiting.forget_plans(self.database, [run_id])
            with self.database.stage() as connection:
                books.clear_stage(connection, run_id)
        return superseded

    def give_up(self, run_id: int, status: str, report: dict[str, Any]) -> None:
        """End a run that wrote nothing; quiet about a plan that is half applied: it is resumed."""
        table = schema.runs
        with self.database.write() as connection:
            connection.execute(
                update(table)
                .where(table.c.id == run_id, table.c.status == "running")
                .values(
                    status=status,
                    finished_at=clock(connection),
                    report=json.dumps(report, ensure_ascii=False),
                )
            )
