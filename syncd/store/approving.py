"""What an approval looks at, and what it takes out of a plan that does not hold any more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import and_, case, delete, exists, func, insert, literal, null, select, update

from syncd.records import Watermark
from syncd.store import holding, planning, schema
from syncd.store.kinds import Kind
from syncd.store.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.store.database import Database
    from syncd.store.leases import Lease

C, I, U = schema.stage_containers, schema.identities, schema.users
IN_LIST = 500


class PlanRow(NamedTuple):
    """One person of a stored plan, as an approval looks at him."""

    number: int
    external_id: str | None
    dn: str
    absent: bool
    # Of the record that the plan would write; None where only roles change.
    fingerprint: bytes | None
    username: str


class Approving:
    """The part of ``SyncStore`` that approvals use."""

    database: Database
    organization_id: str
    source: str
    lease: Lease

    def release_held(self, run_id: int) -> None:
        """Let those be applied whom a kind over its limit held back."""
        with self.database.write() as connection:
            self.lease.hold(connection)
            holding.release(connection, run_id)

    def plan_rows(self, run_id: int, after: int, count: int) -> list[PlanRow]:
        """Return the next rows of a plan, to see whether they still hold."""
        P = schema.plan_people
        dn = func.coalesce(P.c.dn, P.c.old_dn, I.c.dn, "")
        # Of somebody who was away before the plan was made the directory has nothing to say.
        away = and_(P.c.kinds == int(Kind.GRANTS), ~U.c.living)
        external_id = case((away, null()), else_=P.c.external_id)
        query = (
            select(P.c.number, external_id, dn, P.c.kinds, P.c.fingerprint, P.c.username)
            .outerjoin(U, U.c.id == P.c.user_id)
            .outerjoin(I, and_(I.c.user_id == P.c.user_id, I.c.source == self.source))
            .where(P.c.run_id == run_id, P.c.number > after, P.c.state == "planned")
            .order_by(P.c.number)
            .limit(count)
        )
        with self.database.read() as connection:
            return [
                PlanRow(
                    number,
                    known_as,
                    name,
                    bool(kinds & Kind.MISSING or kinds & Kind.DELETE),
                    None if fingerprint is None else bytes(fingerprint),
                    username,
                )
                for number, known_as, name, kinds, fingerprint, username in connection.execute(
                    query
                )
            ]

    def waiting_watermark(self, run_id: int) -> Watermark | None:
        """Return how far the directory had been read for a plan that waits."""
        table = schema.runs
        with self.database.read() as connection:
            query = select(table.c.watermark).where(table.c.id == run_id)
            found = connection.execute(query).scalar_one()
        return None if found is None else Watermark(*json.loads(found))

    def mark_stale(self, run_id: int, numbers: Sequence[int]) -> None:
        """Leave rows out of a plan because the directory says something else by now."""
        P = schema.plan_people
        with self.database.write() as connection:
            for start in range(0, len(numbers), IN_LIST):
                rows = and_(P.c.run_id == run_id, P.c.number.in_(numbers[start : start + IN_LIST]))
                connection.execute(update(P).where(rows).values(state="stale"))
                connection.execute(
                    update(I)
                    .where(
                        I.c.source == self.source,
                        I.c.user_id.in_(select(P.c.user_id).where(rows)),
                    )
                    .values(digest=None, fingerprint=b"")
                )

    def staged_containers(self, run_id: int) -> list[tuple[str, str, int | None, bool]]:
        """Return (mapper, DN, digest, outside of its base) of the containers behind a plan."""
        with self.database.read() as connection:
            query = select(C.c.mapper, C.c.dn, C.c.digest, C.c.kind).where(
                C.c.run_id == run_id, C.c.dn != ""
            )
            return [
                (mapper, dn, digest, kind == "outside")
                for mapper, dn, digest, kind in connection.execute(query)
            ]

    def drop_grants(self, run_id: int, mapper: str) -> int:
        """Take a mapper's grants and revocations out of a plan; return how many there were."""
        M = schema.stage_marks
        dropped = 0
        with self.database.write() as connection:
            for side in SIDES:
                planned = side.planned
                of_mapper = and_(planned.c.run_id == run_id, planned.c.mapper == mapper)
                marked = exists().where(
                    M.c.run_id == run_id,
                    M.c.user_id == planned.c.user_id,
                    M.c.mark == planning.WITHHELD,
                )
                theirs = (
                    select(planned.c.run_id, planned.c.user_id, literal(planning.WITHHELD))
                    .where(of_mapper, ~marked)
                    .distinct()
                )
                connection.execute(insert(M).from_select(["run_id", "user_id", "mark"], theirs))
                dropped += connection.execute(delete(planned).where(of_mapper)).rowcount
        return dropped
