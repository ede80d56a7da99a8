"""The people of one batch of a plan: which rows are theirs, and under what they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, select

from syncd.store import schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Select, Table

    from syncd.store.kinds import Kind

P = schema.plan_people


class Batch:
    """The plan rows ``first`` to ``last`` of a run, within the caller's transaction."""

    def __init__(
        self,
        connection: Connection,
        *,
        run_id: int,
        organization_id: str,
        source: str,
        change_set_id: int,
        commit_id: int,
        first: int,
        last: int,
        now: datetime,
        mappers: Sequence[str],
        careful: bool,
    ) -> None:
        self.connection = connection
        self.run_id = run_id
        self.organization_id = organization_id
        self.source = source
        self.change_set_id = change_set_id
        self.commit_id = commit_id
        self.now = now
        # The ids of the batch's people lie between these.
        self.low = self.high = 0
        # Of the plan's role changes; none when there are no role changes at all.
        self.mappers = mappers
        # Look before each write whether somebody else's row stands in its way. A batch of new
        # people leaves that to the constraints, and is done again carefully if one objects.
        self.careful = careful
        self.in_range = and_(P.c.run_id == run_id, P.c.number >= first, P.c.number <= last)
        self.rows = and_(self.in_range, P.c.state == "planned")

    def of_batch(
        self, table: Table, people: ColumnElement[bool] | None = None
    ) -> ColumnElement[bool]:
        """Return the condition that picks a plan table's rows about people of this batch.

        IN and not a join, because SQLite would walk the whole plan for each batch; and the range,
        because PostgreSQL would: people of a batch were numbered together, so it is narrow.
        """
        rows = self.rows if people is None else people
        return and_(
            table.c.run_id == self.run_id,
            table.c.user_id.between(self.low, self.high),
            table.c.user_id.in_(select(P.c.user_id).where(rows)),
        )

    def having(self, kinds: Kind) -> ColumnElement[bool]:
        """Return the condition that picks the batch's rows of these kinds."""
        return and_(self.rows, P.c.kinds.op("&")(int(kinds)) != 0)

    def ids(self, kinds: Kind) -> Select[tuple[int]]:
        """Return the people of the batch who change in these kinds."""
        return select(P.c.user_id).where(self.having(kinds))
