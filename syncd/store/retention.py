"""Prunes the store's books: journal, runs with plans, the stage's left-overs, quarantine, secrets.

In transactions of bounded size, so that it may run beside syncs and sign-ins. Nothing that belongs
to a run that is under way or whose plan waits is touched, and no lease is needed for it: what has
ended does not begin again.
"""

from __future__ import annotations

from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import and_, delete, exists, func, or_, select

from syncd.errors import StoreUnavailable
from syncd.store import schema, waiting
from syncd.store.database import Database, driver
from syncd.store.idempotency import prune_keys
from syncd.store.shutting_out import tidy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Table

J, CS, RUNS = schema.journal, schema.change_sets, schema.runs
Q, L = schema.quarantine, schema.listings
OJ, COMMITS = schema.object_journal, schema.commits
LINKS, TOKENS = schema.links, schema.api_tokens
SESSIONS = schema.sessions
ACTIVE = ("running", "applying", "blocked")
RUNS_PER_TRANSACTION = 500
# Whether "expired" plans or things that are removed.
COUNTED = (
    "journal",
    "change_sets",
    "commits",
    "runs",
    "plan_rows",
    "stage",
    "quarantine",
    "links",
    "tokens",
    "idempotency_keys",
    "sessions",
    "sign_ins",
    "expired",
)


class Ages(NamedTuple):
    """How old, in seconds, what is kept may be; 0 keeps nothing that has ended."""

    journal: float
    runs: float
    stage: float
    quarantine: float
    sessions: float


def prune(
    database: Database,
    *,
    journal: float,
    runs: float,
    stage: float,
    quarantine: float,
    sessions: float = 86_400,
    now: datetime,
) -> dict[str, int]:
    """Remove what is older than these many seconds; return how much of each that was.

    ``expired`` counts blocked plans that had waited too long; their rows go at once. Each
    organization's newest run, newest run that was not a dry one and newest done run always stay.
    Links that are over go by the age of runs, tokens that are over by that of the journal, which
    names them. ``sign_ins`` counts all that is left of sign-ins but sessions: states, codes,
    counters and used logout tokens whose time is over.
    """
    ages = Ages(journal, runs, stage, quarantine, sessions)
    removed = dict.fromkeys(COUNTED, 0)
    with database.read() as connection:
        organizations = list(connection.scalars(select(schema.organizations.c.id)))
    for organization_id in sorted(organizations):
        one = _Pruning(database, organization_id, ages, now)
        for name, count in one.prune().items():
            removed[name] += count
    removed["sign_ins"] = tidy(database, now)
    removed["stage"] = _prune_stages(database, organizations, now - timedelta(seconds=stage))
    return removed


class _Pruning:
    """What is too old of one organization."""

    def __init__(self, database: Database, organization_id: str, ages: Ages, now: datetime) -> None:
        self.database = database.of(organization_id)
        self.organization_id = organization_id
        self.ages = ages
        self.now = now

    def prune(self) -> dict[str, int]:
        with self.database.write() as connection:
            expired = waiting.expire(connection, self.organization_id, self.now)
        plan_rows = waiting.forget_plans(self.database, expired)
        commits = self._commits()
        journal, change_sets = self._journal()
        runs, more = self._runs()
        with self.database.write() as connection:
            keys = prune_keys(connection, self.now)
        return {
            "journal": journal,
            "change_sets": change_sets,
            "commits": commits,
            "links": self._links(),
            "tokens": self._tokens(),
            "idempotency_keys": keys,
            "sessions": self._sessions(),
            "runs": runs,
            "plan_rows": plan_rows + more,
            "quarantine": self._quarantine(),
            "expired": len(expired),
        }

    def _before(self, seconds: float) -> datetime:
        return self.now - timedelta(seconds=seconds)

    # --- the journal ------------------------------------------------------------------------

    def _commits(self) -> int:
        """Remove the feed's beginning, whole up to the first transaction that stays.

        Before the journal: a follower is told that history is gone by its missing commit.
        """
        mine = COMMITS.c.organization_id == self.organization_id
        active = exists().where(
            RUNS.c.organization_id == self.organization_id,
            RUNS.c.change_set_id == COMMITS.c.change_set_id,
            RUNS.c.status.in_(ACTIVE),
        )
        with self.database.read() as connection:
            stays = or_(COMMITS.c.at >= self._before(self.ages.journal), active)
            first = connection.scalar(select(func.min(COMMITS.c.position)).where(mine, stays))
        old = mine if first is None else and_(mine, COMMITS.c.position < first)
        return waiting.drop_rows(self.database, COMMITS.c.position, old)

    def _journal(self) -> tuple[int, int]:
        active = exists().where(RUNS.c.id == CS.c.run_id, RUNS.c.status.in_(ACTIVE))
        # One that began long ago may have written until a short time ago.
        young = exists().where(
            COMMITS.c.organization_id == self.organization_id, COMMITS.c.change_set_id == CS.c.id
        )
        old = and_(
            CS.c.organization_id == self.organization_id,
            CS.c.at < self._before(self.ages.journal),
            ~active,
            ~young,
        )
        with self.database.read() as connection:
            if connection.execute(select(CS.c.id).where(old).limit(1)).first() is None:
                return 0, 0
        rows = and_(
            J.c.organization_id == self.organization_id,
            J.c.change_set_id.in_(select(CS.c.id).where(old)),
        )
        journal = waiting.drop_rows(self.database, J.c.user_id, rows)
        objects = and_(
            OJ.c.organization_id == self.organization_id,
            OJ.c.change_set_id.in_(select(CS.c.id).where(old)),
        )
        journal += waiting.drop_rows(self.database, OJ.c.change_set_id, objects)
        return journal, waiting.drop_rows(self.database, CS.c.id, old)

    # --- runs and their plans ---------------------------------------------------------------

    def _runs(self) -> tuple[int, int]:
        mine = RUNS.c.organization_id == self.organization_id
        with self.database.read() as connection:
            kept = {
                connection.scalar(select(func.max(RUNS.c.id)).where(mine, which))
                for which in (RUNS.c.id > 0, ~RUNS.c.dry, RUNS.c.status == "done")
            }
            query = select(RUNS.c.id).where(mine, _over(self._before(self.ages.runs)))
            old = [each for each in connection.scalars(query) if each not in kept]
        plan_rows = 0
        for start in range(0, len(old), RUNS_PER_TRANSACTION):
            part = old[start : start + RUNS_PER_TRANSACTION]
            plan_rows += waiting.drop_plans(self.database, part)
            with self.database.write() as connection:
                connection.execute(delete(L).where(L.c.run_id.in_(part)))
                connection.execute(delete(RUNS).where(RUNS.c.id.in_(part)))
        return len(old), plan_rows

    # --- what lets people and programs in -----------------------------------------------------

    def _links(self) -> int:
        before = self._before(self.ages.runs)
        mine = LINKS.c.organization_id == self.organization_id
        old = or_(LINKS.c.expires_at < before, LINKS.c.used_at < before)
        with self.database.write() as connection:
            return connection.execute(delete(LINKS).where(mine, old)).rowcount

    def _tokens(self) -> int:
        before = self._before(self.ages.journal)
        mine = TOKENS.c.organization_id == self.organization_id
        old = or_(TOKENS.c.expires_at < before, TOKENS.c.revoked_at < before)
        with self.database.write() as connection:
            return connection.execute(delete(TOKENS).where(mine, old)).rowcount

    def _sessions(self) -> int:
        old = SESSIONS.c.ended_at < self._before(self.ages.sessions)
        mine = SESSIONS.c.organization_id == self.organization_id
        return waiting.drop_rows(self.database, SESSIONS.c.ended_at, and_(mine, old))

    def _quarantine(self) -> int:
        old = Q.c.last_seen < self._before(self.ages.quarantine)
        mine = Q.c.organization_id == self.organization_id
        return waiting.drop_rows(self.database, Q.c.entry, and_(mine, old))


def _over(before: datetime) -> ColumnElement[bool]:
    ended = func.coalesce(RUNS.c.finished_at, RUNS.c.started_at)
    return and_(RUNS.c.status.not_in(ACTIVE), ended < before)


# --- the stage --------------------------------------------------------------------------------


def _prune_stages(database: Database, organizations: Sequence[str], before: datetime) -> int:
    """Remove what runs that are over, or not on record any more, have left in the stage."""
    removed = _prune_stage(database, before)
    if database.stage_path is None:
        return removed
    # On SQLite each organization has a stage of its own.
    for organization_id in organizations:
        name = f"stage-{organization_id}"
        if Path(f"{database.url.database}-{name}").exists():
            url = database.url.render_as_string(hide_password=False)
            with closing(Database(url, stage=name)) as other:
                removed += _prune_stage(other, before)
    return removed


def _prune_stage(database: Database, before: datetime) -> int:
    removed = 0
    # A restored store comes without its stage.
    database.ensure_stage()
    for table in schema.stage_metadata.sorted_tables:
        with database.read() as connection:
            staged = _runs_in(connection, table)
            known = select(RUNS.c.id).where(RUNS.c.id.in_(staged), ~_over(before))
            kept = set(connection.scalars(known))
        for run_id in staged:
            if run_id not in kept:
                # Whole: nobody but this organization's next sync waits for a lock on the stage.
                with database.stage() as connection:
                    statement = delete(table).where(table.c.run_id == run_id)
                    removed += connection.execute(statement).rowcount
    if removed and database.stage_path is not None:
        # Gives its room back, unless somebody works in it.
        with (
            suppress(StoreUnavailable),
            database.translated(),
            database.engine.connect() as connection,
        ):
            driver(connection).execute("VACUUM stage")
            driver(connection).execute("PRAGMA stage.wal_checkpoint(TRUNCATE)")
    return removed


def _runs_in(connection: Connection, table: Table) -> list[int]:
    """Return the runs that have rows in a stage table, without a walk through all rows."""
    found: list[int] = []
    while True:
        query = select(func.min(table.c.run_id)).where(table.c.run_id > (found[-1] if found else 0))
        run_id = connection.scalar(query)
        if run_id is None:
            return found
        found.append(run_id)
