"""Who and what a run did not find: staged as absent, and settled once somebody has looked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, exists, func, insert, literal, select, update

from syncd.store import planning, schema, staging

if TYPE_CHECKING:
    from array import array
    from collections.abc import Sequence

    from syncd.store.database import Database

S, A, SEEN = schema.stage_users, schema.stage_absent, schema.stage_seen
U, I = schema.users, schema.identities

IN_LIST = 500
# The cause of an absence that nobody looked into person by person.
UNSEEN = "not in the listing, and not looked up one by one"


class Absences:
    """The part of ``SyncStore`` that stages who is absent."""

    database: Database
    organization_id: str
    source: str

    def stage_absent_people(
        self, run_id: int, unseen: array[int] | Sequence[int], *, everybody: bool = True
    ) -> int:
        """Stage as absent who was not seen, staged or protected; return how many those are.

        ``everybody`` says that the listing was of all people, so that whoever has no digest to be
        marked as seen is absent, too.
        """
        marks = schema.stage_marks
        with self.database.stage() as connection:
            rows = ((run_id, user_id, None, None, UNSEEN) for user_id in unseen)
            staging.bulk_insert(self.database, connection, A, rows)
            undigested = (
                select(literal(run_id), U.c.id, literal(UNSEEN))
                .join(I, I.c.user_id == U.c.id)
                .where(
                    I.c.organization_id == self.organization_id,
                    I.c.source == self.source,
                    I.c.digest.is_(None),
                    U.c.living,
                )
            )
            if everybody:
                connection.execute(
                    insert(A).from_select(["run_id", "user_id", "cause"], undigested)
                )
            self.database.analyze(connection, A, S, SEEN, marks)
            for table, more in (
                (S, literal(True)),
                (SEEN, literal(True)),
                (marks, marks.c.mark == "protected"),
            ):
                there = exists().where(
                    table.c.run_id == run_id, table.c.user_id == A.c.user_id, more
                )
                connection.execute(delete(A).where(A.c.run_id == run_id, there))
            return connection.execute(
                select(func.count()).where(A.c.run_id == run_id, A.c.user_id.is_not(None))
            ).scalar_one()

    def absent_people(self, run_id: int) -> list[tuple[int, str, str]]:
        """Return (user id, external id, DN) of the people staged as absent."""
        with self.database.read() as connection:
            query = (
                select(A.c.user_id, I.c.external_id, I.c.dn)
                .join(I, and_(I.c.user_id == A.c.user_id, I.c.source == self.source))
                .where(A.c.run_id == run_id)
                .order_by(A.c.user_id)
            )
            return [(row[0], row[1], row[2] or "") for row in connection.execute(query)]

    def settle_absent(self, run_id: int, causes: dict[int, str | None]) -> None:
        """Give absent people their cause; a cause of None says that they are not absent."""
        with self.database.stage() as connection:
            here = [user_id for user_id, cause in causes.items() if cause is None]
            for start in range(0, len(here), IN_LIST):
                part = here[start : start + IN_LIST]
                connection.execute(delete(A).where(A.c.run_id == run_id, A.c.user_id.in_(part)))
                planning.mark(connection, run_id, part, "protected")
            by_cause: dict[str, list[int]] = {}
            for user_id, cause in causes.items():
                if cause is not None:
                    by_cause.setdefault(cause, []).append(user_id)
            for cause, ids in by_cause.items():
                for start in range(0, len(ids), IN_LIST):
                    connection.execute(
                        update(A)
                        .where(A.c.run_id == run_id, A.c.user_id.in_(ids[start : start + IN_LIST]))
                        .values(cause=cause)
                    )

    def forget_absent(self, run_id: int) -> None:
        """Drop all absences: the listing was not complete."""
        with self.database.stage() as connection:
            connection.execute(delete(A).where(A.c.run_id == run_id, A.c.user_id.is_not(None)))

    def stage_absent_containers(self, run_id: int, mapper: str, keys: Sequence[bytes]) -> None:
        """Stage containers as gone."""
        with self.database.stage() as connection:
            rows = [(run_id, None, mapper, key, "not in the directory any more") for key in keys]
            staging.bulk_insert(self.database, connection, A, rows)
