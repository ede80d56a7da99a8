"""Owns the supervisor's dealings with the store: one round settles, extends, looks and claims.

A round may wait for a store that is slow or gone, so it runs in a thread of its own; the main loop
hands it what to do and takes what came of it. Nothing of it is lost by a store that fails: what was
not done is handed to the next round.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from syncd.daemon.messages import APPROVE, EVERYBODY, FULL
from syncd.errors import SchemaMismatch, StoreError
from syncd.schedule import Rhythm, Timetable, choose, first_due, forward, moments, next_due

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.app import App
    from syncd.store.schedules import Due, Schedules

# A claim is believed for so long without a further word: a little longer than a lease, so that
# whoever takes it over finds the lease run out.
CLAIM_SECONDS = 35
# Of what is done because somebody asked for it, or whose organization is not configured any more.
NEVER = Rhythm(36_500 * 86_400)

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Settlement:
    """A claim to give back."""

    organization: str
    mode: str
    # By the store's clock.
    next_due: datetime
    failures: int
    # The run saw what a changed one would have seen, so that one's turn is over too.
    covers: str | None = None


@dataclass(slots=True)
class Orders:
    """What the next round does beside looking."""

    settlements: list[Settlement] = field(default_factory=list)
    # Whose next sync is brought forward to now.
    forward: set[Key] = field(default_factory=set)
    # Whose settings are others: what failed until now is tried at once.
    retry: set[str] = field(default_factory=set)
    # Let every row agree with the settings, as after a start or a reload.
    align: bool = False

    def put_back(self, undone: Orders) -> None:
        """Take on what an earlier round could not do."""
        self.settlements = undone.settlements + self.settlements
        self.forward |= undone.forward
        self.retry |= undone.retry
        self.align |= undone.align


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a round may claim."""

    timetables: Mapping[str, Timetable]
    # The runs under way here.
    held: frozenset[Key]
    free: int
    per_directory: int


@dataclass(slots=True)
class Answer:
    """What came of a round; with an error, of the part before it."""

    claimed: list[Due] = field(default_factory=list)
    # Runs under way whose claim another replica has taken.
    lost: set[Key] = field(default_factory=set)
    moments: Mapping[Key, datetime] = field(default_factory=dict)
    # The store's time when it looked, and that less this machine's: never more than it is, so that
    # whoever waits for a moment does not come too early.
    now: datetime | None = None
    ahead: timedelta = timedelta()
    undone: Orders = field(default_factory=Orders)
    error: StoreError | None = None


class Books:
    """The schedule in one store, as one replica uses it."""

    def __init__(self, app: App, *, by: str) -> None:
        self._app = app
        self._by = by

    def round(self, orders: Orders, question: Question) -> Answer:
        """Do one round; an error of the store is in the answer, a mismatched schema is raised."""
        answer = Answer(undone=orders)
        try:
            schedules = self._app.schedules()
            now = schedules.now()
            answer.now, answer.ahead = now, now - datetime.now(UTC)
            self._settle(schedules, orders, question, now)
            until = now + timedelta(seconds=CLAIM_SECONDS)
            answer.lost = {
                key
                for key in sorted(question.held)
                if not schedules.extend(*key, by=self._by, until=until)
            }
            if orders.align:
                self._align(schedules, question.timetables, now)
                orders.align = False
            self._bring_forward(schedules, orders, now)
            self._claim(schedules, question, answer, now, until)
        except SchemaMismatch:
            raise
        except StoreError as error:
            answer.error = error
        return answer

    def _bring_forward(self, schedules: Schedules, orders: Orders, now: datetime) -> None:
        for row in schedules.read() if orders.retry else ():
            if row.failures and row.organization_id in orders.retry:
                orders.forward.add((row.organization_id, row.mode))
        orders.retry.clear()
        for key in sorted(orders.forward):
            schedules.bring_forward(*key, now)
            orders.forward.discard(key)

    def _claim(
        self,
        schedules: Schedules,
        question: Question,
        answer: Answer,
        now: datetime,
        until: datetime,
    ) -> None:
        rows = schedules.read()
        answer.moments = moments(rows, question.timetables)
        timetables = self._with_approvals(schedules, question, rows, now)
        if timetables is not question.timetables:
            rows = schedules.read()
        chosen = choose(
            rows,
            timetables,
            now=now,
            running={organization for organization, _ in question.held},
            free=question.free,
            per_directory=question.per_directory,
        )
        for due in chosen:
            if schedules.claim(due, by=self._by, until=until):
                answer.claimed.append(due)

    def _with_approvals(
        self, schedules: Schedules, question: Question, rows: list[Due], now: datetime
    ) -> Mapping[str, Timetable]:
        """Make due what somebody approved through the web process; one that failed is backed off.

        Return the timetables with it.
        """
        asked = self._app.asked_approvals() if question.timetables else []
        if not asked:
            return question.timetables
        failed = {row.organization_id for row in rows if row.mode == APPROVE and row.failures}
        timetables = dict(question.timetables)
        for organization in asked:
            own = timetables.get(organization, Timetable(organization, {}))
            timetables[organization] = replace(own, rhythms={**own.rhythms, APPROVE: NEVER})
            if organization not in failed:
                schedules.ensure(organization, APPROVE, now)
                schedules.bring_forward(organization, APPROVE, now)
        return timetables

    def _settle(
        self, schedules: Schedules, orders: Orders, question: Question, now: datetime
    ) -> None:
        while orders.settlements:
            each = orders.settlements[0]
            ours = schedules.settle(
                each.organization,
                each.mode,
                by=self._by,
                next_due=each.next_due,
                failures=each.failures,
            )
            if ours and each.covers is not None:
                self._cover(schedules, question, each, now)
            orders.settlements.pop(0)

    def _cover(
        self, schedules: Schedules, question: Question, full: Settlement, now: datetime
    ) -> None:
        """Move what a full sync has done as well, if it is due, to its next moment."""
        timetable = question.timetables.get(full.organization)
        rhythm = timetable.rhythms.get(full.covers or "") if timetable else None
        if rhythm is None:
            return
        for due in schedules.read():
            if (due.organization_id, due.mode) != (full.organization, full.covers):
                continue
            if schedules.claim(due, by=self._by, until=now + timedelta(seconds=CLAIM_SECONDS)):
                moment = next_due(rhythm, due.organization_id, due.mode, now)
                schedules.settle(
                    due.organization_id, due.mode, by=self._by, next_due=moment, failures=0
                )

    def _align(
        self, schedules: Schedules, timetables: Mapping[str, Timetable], now: datetime
    ) -> None:
        """Let the rows be those that the settings ask for; what is not configured here stays."""
        rows = {(row.organization_id, row.mode): row for row in schedules.read()}
        for name, timetable in timetables.items():
            first: datetime | None = None
            # The first full sync comes first, and changed ones follow it.
            for mode, rhythm in sorted(timetable.rhythms.items(), key=lambda each: each[0] != FULL):
                row = rows.get((name, mode))
                if row is not None and row.next_due is not None:
                    continue
                never = (row is None or row.last_success_at is None) and name != EVERYBODY
                if never and first is None:
                    due = first_due(name, mode, now, organizations=len(timetables))
                    first = due
                else:
                    due = next_due(rhythm, name, mode, now if first is None else first)
                schedules.ensure(name, mode, due)
            for (organization, mode), row in rows.items():
                if organization == name and mode not in timetable.rhythms and row.next_due:
                    schedules.unschedule(organization, mode)
        # What is new was put where it belongs just now: behind the first full sync.
        for row, moment in forward(rows.values(), timetables, now):
            schedules.bring_forward(row.organization_id, row.mode, moment)
