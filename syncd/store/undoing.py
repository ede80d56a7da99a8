"""Undo as the store has it: planning the reverse of a change set, beginning and ending its writing.

People go the road of every run: plan rows, guard, batches. What is no person is written in the
transaction that opens the undo's change set, and what has been made goes in its last one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, exists, func, insert, or_, select, update

from syncd.store import feed, plan_counts, runs, schema
from syncd.store.change_sets import ChangeSet, change_set_name, objects_of, people_of
from syncd.store.editing.change import Change
from syncd.store.editing.opening import Look
from syncd.store.kinds import Kind
from syncd.store.leases import clock
from syncd.store.sides import SIDES
from syncd.store.undo_objects import ObjectsUndo, word, write_objects
from syncd.store.undo_people import PeopleUndo
from syncd.store.undo_values import Left

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from syncd.store.database import Database
    from syncd.store.leases import Lease

P, I, U = schema.plan_people, schema.identities, schema.users
RUNS, CS, OJ, PO = (
    schema.runs,
    schema.change_sets,
    schema.object_journal,
    schema.plan_objects,
)
ORG, M, W = schema.organizations, schema.stage_marks, schema.watermarks
PEOPLE_PER_TRANSACTION = 10_000
OWNER = 1
# What the report of an undo has besides that of every run.
TOLD = ("change_set", "undoes", "left_alone", "left_alone_count", "paused", "pauses", "why")


class UndoPlan:
    """What planning an undo found beside its rows."""

    def __init__(self, left: Left) -> None:
        self.left = left
        # A sync would do it again: it made the change, or something of a directory's is taken back.
        self.pauses = False


class Undoing:
    """The part of ``SyncStore`` that undoes change sets."""

    database: Database
    organization_id: str
    source: str
    lease: Lease

    def undone_by(self, run_id: int) -> int | None:
        """Return which change set a run undoes."""
        with self.database.read() as connection:
            found: int | None = connection.scalar(select(RUNS.c.undoes).where(RUNS.c.id == run_id))
        return found

    def plan_undo(self, run_id: int, undone: ChangeSet) -> UndoPlan:
        """Plan the reverse of a change set under a run that has begun."""
        made = UndoPlan(Left())
        with self.database.write() as connection:
            self.lease.hold(connection)
            connection.execute(update(RUNS).where(RUNS.c.id == run_id).values(undoes=undone.id))
            now = clock(connection)
            at = Look(connection, self.organization_id)
            objects = ObjectsUndo(at, run_id=run_id, left=made.left)
            objects.plan(objects_of(connection, self.organization_id, undone.id))
            targets = objects.targets()
            for side in SIDES:
                targets[side.journal_kind] |= set(connection.scalars(self._own(side.targets)))
        people = PeopleUndo(
            run_id=run_id,
            change_set_id=undone.id,
            organization_id=self.organization_id,
            left=made.left,
            now=now,
            targets=targets,
        )
        for page in people_of(self.database, self.organization_id, undone.id):
            with self.database.write() as connection:
                self.lease.hold(connection)
                people.plan(connection, page)
        with self.database.write() as connection:
            self.lease.hold(connection)
            self._settle_names(connection, run_id, made.left)
            self._together(connection, run_id)
            self.database.analyze(connection, P, *(side.planned for side in SIDES))
        made.pauses = undone.run_id is not None or people.of_source
        return made

    def _own(self, table: Any) -> Any:  # noqa: ANN401 - tables and a query
        return select(table.c.id).where(
            or_(table.c.organization_id == self.organization_id, table.c.organization_id.is_(None))
            if table is schema.roles
            else table.c.organization_id == self.organization_id
        )

    def _settle_names(self, connection: Connection, run_id: int, left: Left) -> None:
        """Take those out of the plan whose username belongs to somebody else by now."""
        wanting = Kind.RENAME | Kind.RETURN
        freeing = Kind.RENAME | Kind.MISSING | Kind.DELETE
        holder, other = U.alias("holder"), P.alias("other")
        frees = exists().where(
            other.c.run_id == run_id,
            other.c.user_id == holder.c.id,
            other.c.kinds.op("&")(int(freeing)) != 0,
        )
        rival = exists().where(
            other.c.run_id == run_id,
            other.c.user_id != P.c.user_id,
            other.c.user_id < P.c.user_id,
            other.c.username_key == P.c.username_key,
            other.c.kinds.op("&")(int(wanting)) != 0,
        )
        taken = exists().where(
            holder.c.organization_id == self.organization_id,
            holder.c.username_key == P.c.username_key,
            holder.c.living,
            holder.c.id != P.c.user_id,
            ~frees,
        )
        query = select(P.c.user_id, P.c.username, P.c.old_username).where(
            P.c.run_id == run_id, P.c.kinds.op("&")(int(wanting)) != 0, or_(taken, rival)
        )
        # Whoever stays out keeps his name, which another may want.
        while rows := connection.execute(query).all():
            for user_id, username, called in rows:
                left.tell(
                    f"person {called}", f"the username {username} belongs to somebody else by now"
                )
                for table in (
                    P,
                    schema.plan_restrictions,
                    *(side.planned for side in SIDES),
                ):
                    connection.execute(
                        delete(table).where(table.c.run_id == run_id, table.c.user_id == user_id)
                    )

    def _together(self, connection: Connection, run_id: int) -> None:
        """Put those first whose names change hands, so that they go in one transaction."""
        holder, other = U.alias("holder"), P.alias("other")
        wants = exists().where(
            holder.c.organization_id == self.organization_id,
            holder.c.username_key == P.c.username_key,
            holder.c.living,
            holder.c.id != P.c.user_id,
        )
        wanted = exists().where(
            other.c.run_id == run_id,
            other.c.user_id != P.c.user_id,
            other.c.username_key == U.c.username_key,
            other.c.kinds.op("&")(int(Kind.RENAME | Kind.RETURN)) != 0,
        )
        renaming = and_(wants, P.c.kinds.op("&")(int(Kind.RENAME | Kind.RETURN)) != 0)
        query = (
            select(P.c.number, P.c.user_id)
            .join(U, U.c.id == P.c.user_id)
            .where(P.c.run_id == run_id, or_(renaming, and_(wanted, U.c.living)))
            .order_by(P.c.number)
        )
        movers = connection.execute(query).all()
        if not movers:
            return
        mine = P.c.run_id == run_id
        # Through numbers that no plan has, so that no two rows have one meanwhile.
        connection.execute(update(P).where(mine).values(number=-P.c.number))
        for number, (was, user_id) in enumerate(movers, 1):
            connection.execute(update(P).where(mine, P.c.number == -was).values(number=number))
            connection.execute(insert(M).values(run_id=run_id, user_id=user_id, mark="mover"))
        connection.execute(
            update(P).where(mine, P.c.number < 0).values(number=len(movers) - P.c.number)
        )

    # --- writing --------------------------------------------------------------------------

    def begin_undo(self, run_id: int, actor: str, why: str | None, *, pause: str | None) -> int:
        """Open the undo's change set and write what is no person; from here on it is resumed.

        ``pause`` says why no sync may begin, as it would do what is undone again. Return the change
        set.

        Raises:
            LastOwner: Nobody would own the organization any more.

        """
        if pause is not None:
            self._look_anew(run_id)
        (commit_id,) = feed.new_ids(self.database, "commits")
        with self.database.write() as connection:
            self.lease.hold(connection)
            runs.require_applicable(connection, run_id)
            self._lock(connection)
            change_set_id = runs.begin_change_set(
                connection, self.organization_id, run_id, actor, why
            )
            opened = self._change(connection, change_set_id, commit_id, actor, why)
            opened.watch_owners()
            write_objects(opened, run_id, deletions=False)
            opened.close()
            if pause is not None:
                self._pause(connection, pause)
            runs.set_status(
                connection,
                run_id,
                "applying",
                change_set_id=change_set_id,
                settles=False,
                together=runs.movers(connection, run_id),
            )
        return change_set_id

    def settle_undo(self, run_id: int) -> None:
        """Delete what the undone change had made, as far as nothing uses it any more."""
        (commit_id,) = feed.new_ids(self.database, "commits")
        with self.database.write() as connection:
            self.lease.hold(connection)
            self._lock(connection)
            change_set_id, actor, why = connection.execute(
                select(CS.c.id, CS.c.actor, CS.c.why)
                .join(RUNS, RUNS.c.change_set_id == CS.c.id)
                .where(RUNS.c.id == run_id)
            ).one()
            opened = self._change(connection, change_set_id, commit_id, actor, why)
            opened.watch_owners()
            write_objects(opened, run_id, deletions=True)
            opened.close()

    def _lock(self, connection: Connection) -> None:
        """Let no change by hand come between."""
        query = select(ORG.c.id).where(ORG.c.id == self.organization_id).with_for_update()
        connection.execute(query)

    def _change(
        self,
        connection: Connection,
        change_set_id: int,
        commit_id: int,
        actor: str,
        why: str | None,
    ) -> Change:
        mine = and_(
            OJ.c.organization_id == self.organization_id, OJ.c.change_set_id == change_set_id
        )
        query = select(func.coalesce(func.max(OJ.c.number), 0)).where(mine)
        return Change(
            connection,
            organization_id=self.organization_id,
            change_set_id=change_set_id,
            commit_id=commit_id,
            actor=actor,
            why=why,
            opened=True,
            written=int(connection.execute(query).scalar_one()),
        )

    def _look_anew(self, run_id: int) -> None:
        """Let the next sync look at everybody, and at those of the plan as if they had changed."""
        with self.database.read() as connection:
            last = runs.last_number(connection, run_id)
        for first in range(1, last + 1, PEOPLE_PER_TRANSACTION):
            with self.database.write() as connection:
                self.lease.hold(connection)
                people = select(P.c.user_id).where(
                    P.c.run_id == run_id,
                    P.c.number.between(first, first + PEOPLE_PER_TRANSACTION - 1),
                )
                connection.execute(
                    update(I)
                    .where(I.c.source == self.source, I.c.user_id.in_(people))
                    .values(digest=None, fingerprint=b"")
                )
        with self.database.write() as connection:
            self.lease.hold(connection)
            connection.execute(delete(W).where(W.c.organization_id == self.organization_id))

    def pause(self, because: str) -> None:
        """Let no sync begin. Another's pause keeps its reason."""
        with self.database.write() as connection:
            self.lease.hold(connection)
            self._pause(connection, because)

    def _pause(self, connection: Connection, because: str) -> None:
        connection.execute(
            update(ORG)
            .where(ORG.c.id == self.organization_id, ORG.c.paused_at.is_(None))
            .values(paused_at=clock(connection), paused_because=because)
        )

    def keep_report(self, run_id: int, told: Mapping[str, Any]) -> None:
        """Keep what planning found, for whoever brings the undo to its end."""
        with self.database.write() as connection:
            self.lease.hold(connection)
            report = json.dumps(dict(told), ensure_ascii=False)
            connection.execute(update(RUNS).where(RUNS.c.id == run_id).values(report=report))

    # --- looking --------------------------------------------------------------------------

    def undo_report(self, run_id: int) -> dict[str, Any]:
        """Return what was told of an undo when it was planned."""
        with self.database.read() as connection:
            report, change_set_id = connection.execute(
                select(RUNS.c.report, RUNS.c.change_set_id).where(RUNS.c.id == run_id)
            ).one()
        stored = json.loads(report or "{}")
        told = {name: stored[name] for name in TOLD if name in stored}
        if change_set_id is not None:
            told["change_set"] = change_set_name(change_set_id)
        return told

    def left_objects(self, run_id: int) -> list[dict[str, str]]:
        """Return the planned objects that were left as they are, and why."""
        query = (
            select(PO.c.object, PO.c.name, PO.c.because)
            .where(PO.c.run_id == run_id, PO.c.state == "left")
            .order_by(PO.c.number)
        )
        with self.database.read() as connection:
            return [
                {"what": word(object_, name), "why": because}
                for object_, name, because in connection.execute(query)
            ]

    def left_people(self, run_id: int, most: int = 1_000) -> list[dict[str, str]]:
        """Return the planned people who were left as they are."""
        query = (
            select(P.c.old_username)
            .where(P.c.run_id == run_id, P.c.state == "conflict")
            .order_by(P.c.number)
            .limit(most)
        )
        with self.database.read() as connection:
            return [
                {"what": f"person {name}", "why": "changed meanwhile"}
                for name in connection.scalars(query)
            ]

    def planned_objects(self, run_id: int) -> int:
        """Return how many things that are no people an undo sets back."""
        with self.database.read() as connection:
            query = select(func.count()).select_from(PO).where(PO.c.run_id == run_id)
            return int(connection.execute(query).scalar_one())

    def everybody(self, most: int) -> tuple[int, int]:
        """Return how many people and how many roles and groups given there are, up to a number."""
        with self.database.read() as connection:
            return plan_counts.everybody(connection, self.organization_id, most)

    def touches_owners(self, run_id: int) -> bool:
        """Return whether a plan gives or takes the role Owner, or bears on somebody who has it."""
        G, PG, GR = schema.grants, schema.plan_grants, schema.group_roles
        owners = select(G.c.user_id).where(
            G.c.role_id == OWNER, G.c.organization_id == self.organization_id
        )
        groups = select(GR.c.group_id).where(
            GR.c.role_id == OWNER, GR.c.organization_id == self.organization_id
        )
        PM = schema.plan_members
        queries = (
            select(PG.c.user_id).where(PG.c.run_id == run_id, PG.c.role_id == OWNER),
            select(PM.c.user_id).where(PM.c.run_id == run_id, PM.c.group_id.in_(groups)),
            select(P.c.user_id).where(P.c.run_id == run_id, P.c.user_id.in_(owners)),
            select(PO.c.number).where(
                PO.c.run_id == run_id,
                PO.c.object == "group",
                or_(PO.c.before.like(_OWNER_ROLE), PO.c.after.like(_OWNER_ROLE)),
            ),
        )
        with self.database.read() as connection:
            return any(connection.execute(query.limit(1)).first() for query in queries)


_OWNER_ROLE = f'%"roles": [[{OWNER}, %'
