"""The books of the containers behind an applied plan, in transactions of bounded size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from syncd.store import container_books, feed, runs, schema, targets
from syncd.store.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.store.database import Database
    from syncd.store.leases import Lease

A, R = schema.stage_absent, schema.stage_refs
U, I = schema.users, schema.identities

# Rows of a plan from which on the planner has to be told.
MANY_ROWS = 5_000


class Settling:
    """The part of ``SyncStore`` that settles what containers say."""

    database: Database
    lease: Lease
    organization_id: str

    def keep_removed(self, run_id: int, configured: Sequence[str]) -> None:
        """Let a run keep the books of mappers that are not configured any more.

        Somebody was left out of its plan: without those books no later run would know of what he
        was given by them.
        """
        with self.database.write() as connection:
            self.lease.hold(connection)
            connection.execute(
                delete(A).where(
                    A.c.run_id == run_id, A.c.mapper.is_not(None), A.c.mapper.not_in(configured)
                )
            )

    def settle(self, run_id: int, *, few: bool = False) -> None:
        """Write the books that belong to the applied plan, in transactions of bounded size.

        ``few`` says that the containers are not worth a look through everybody's keys.
        """
        with self.database.read() as connection:
            last = container_books.last_container(connection, run_id)
            gone = container_books.any_gone_container(connection, run_id)
            shared_keys = bool(last) and (
                few or container_books.has_shared_keys(connection, self.organization_id)
            )
        if gone:
            with self.database.write() as connection:
                self.lease.hold(connection)
                container_books.drop_gone_containers(connection, self.organization_id, run_id)
        step = container_books.CONTAINERS_PER_TRANSACTION[self.database.dialect]
        for first in range(1, last + 1, step):
            with self.database.write_ahead() as connection:
                self.lease.hold(connection)
                self.database.give_room(connection)
                container_books.settle_containers(
                    connection,
                    self.organization_id,
                    run_id,
                    first=first,
                    last=first + step - 1,
                    shared_keys=shared_keys,
                )
        with self.database.read() as connection:
            planned = targets.any_planned(connection, run_id)
        commit_id = feed.new_ids(self.database, "commits")[0] if planned else None
        with self.database.write() as connection:
            self.lease.hold(connection)
            targets.settle_targets(connection, self.organization_id, run_id, commit_id=commit_id)
        self._tell_the_planner(run_id)

    def _tell_the_planner(self, run_id: int) -> None:
        """Let PostgreSQL know of many new people before its own vacuum comes by.

        Without that the next run joins tables that the planner believes to be empty.
        """
        if self.database.dialect != "postgresql":
            return
        with self.database.write() as connection:
            if runs.last_number(connection, run_id) >= MANY_ROWS:
                held = (side.held for side in SIDES)
                self.database.analyze(connection, U, I, schema.identity_keys, *held)
            many = select(R.c.run_id).where(R.c.run_id == run_id).offset(MANY_ROWS).limit(1)
            if connection.execute(many).first() is not None:
                self.database.analyze(connection, schema.containers, schema.membership_refs)
