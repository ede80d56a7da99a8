"""The store as the sync engine sees it: one organization's runs, from lease to watermark."""

from __future__ import annotations

import json
from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, delete, exists, func, insert, literal, or_, select, update

from syncd.errors import ConstraintViolated
from syncd.records import Watermark, key_of
from syncd.store import books, planning, runs, schema, staging
from syncd.store.applying import Batch
from syncd.store.kinds import Kind
from syncd.store.leases import Lease, clock
from syncd.store.planning import NameConflict, PlanScope

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from syncd.records import (
        ContainerRecord,
        ListingOutcome,
        Quarantined,
        UserRecord,
    )
    from syncd.store.database import Database
    from syncd.store.runs import PlanCounts
    from syncd.store.staging import DigestTable, StoredPerson

S, K, R, C = schema.stage_users, schema.stage_keys, schema.stage_refs, schema.stage_containers
A, SEEN = schema.stage_absent, schema.stage_seen
U, I = schema.users, schema.identities


class PlanRow(NamedTuple):
    """One person of a stored plan, as an approval looks at him."""

    number: int
    external_id: str | None
    dn: str
    absent: bool
    # Of the record that the plan would write; None where only roles change.
    fingerprint: bytes | None
    username: str


ID_BLOCK = 5_000
IN_LIST = 500
# The cause of an absence that nobody looked into person by person.
UNSEEN = "not in the listing, and not looked up one by one"


class SyncStore:
    """One organization in the store, for one process at a time (see ``lease``)."""

    def __init__(self, database: Database, organization_id: str, source: str = "ldap") -> None:
        self.database = database
        self.organization_id = organization_id
        self.source = source
        self.lease = Lease(database, organization_id)
        self._ids = iter(range(0))
        self._staged = 0
        # Whether the run began with nobody stored; only a run adds people of a source.
        self._nobody: bool | None = None

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
        self._nobody = None
        self._staged = 0
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
                    table.c.organization_id == self.organization_id, table.c.status == "applying"
                )
            ).scalar_one()
        return found

    def watermark(self) -> Watermark | None:
        """Return how far the directory has been read."""
        with self.database.read() as connection:
            return books.read_watermark(connection, self.organization_id, self.source)

    def population(self, mappers: tuple[str, ...]) -> tuple[int, int]:
        """Return how many living people and grants of these mappers there are."""
        with self.database.read() as connection:
            return runs.population(connection, self.organization_id, mappers)

    def unresolved(self) -> int:
        """Return how many members that containers name are nobody known."""
        table = schema.membership_refs
        with self.database.read() as connection:
            return connection.execute(
                select(func.count()).where(
                    table.c.organization_id == self.organization_id,
                    table.c.user_id.is_(None),
                )
            ).scalar_one()

    # --- collecting -----------------------------------------------------------------------

    def digests(self) -> DigestTable:
        """Load the digests of all living people."""
        with self.database.read() as connection:
            return staging.load_digests(connection, self.organization_id, self.source)

    def no_digests(self) -> DigestTable:
        """Return the empty table, for a run that compares only the people it looked up."""
        return staging.DigestTable(array("q"), array("q"))

    def container_digests(self, mapper: str) -> tuple[DigestTable, list[bytes]]:
        """Load the digests and keys of a mapper's containers."""
        with self.database.read() as connection:
            return staging.load_container_digests(connection, self.organization_id, mapper)

    def stored_people(self, external_ids: Sequence[str]) -> dict[str, StoredPerson]:
        """Read what is stored of these people."""
        with self.database.read() as connection:
            if self._nobody is None:
                self._nobody = staging.is_empty(connection, self.organization_id, self.source)
            if self._nobody:
                return {}
            return staging.stored_people(
                connection, self.organization_id, self.source, external_ids
            )

    def new_user_id(self) -> int:
        """Hand out an id for a new person; ids come from the store in blocks."""
        for user_id in self._ids:
            return user_id
        with self.database.write() as connection:
            first = staging.allocate(connection, "users", ID_BLOCK)
        self._ids = iter(range(first + 1, first + ID_BLOCK))
        return first

    def stage_people(
        self,
        run_id: int,
        people: Sequence[tuple[int, bool, UserRecord, bytes, int]],
        seen: Sequence[tuple[int, int]],
    ) -> None:
        """Stage changed people, and (id, digest) of those read anew and found unchanged.

        A changed person is (id, known, record, fingerprint, digest).
        """
        users, keys, refs = [], [], []
        number = self._staged
        for user_id, known, record, fingerprint, digest in people:
            number += 1
            (
                external_id,
                dn,
                dn_key,
                username,
                username_key,
                email,
                email_key,
                email_verified,
                first_name,
                last_name,
                attributes,
                disabled,
                created,
                modified,
                member_keys,
                memberships,
            ) = record
            users.append(
                (
                    run_id,
                    number,
                    user_id,
                    known,
                    external_id,
                    dn,
                    dn_key,
                    username,
                    username_key,
                    email,
                    email_key,
                    email_verified,
                    first_name,
                    last_name,
                    attributes,
                    disabled,
                    created,
                    modified,
                    fingerprint,
                    digest,
                )
            )
            keys.append((run_id, "dn", dn_key, user_id))
            for attribute, key in member_keys:
                keys.append((run_id, f"uid:{attribute}", key, user_id))
            if memberships:
                own = key_of(external_id)
                for mapper, container_key, value in memberships:
                    refs.append((run_id, 0, mapper, container_key, "of", own, value, user_id))
        self._staged = number
        with self.database.stage() as connection:
            for table, rows in ((S, users), (K, keys), (R, refs)):
                if rows:
                    staging.bulk_insert(self.database, connection, table, rows)
            if seen:
                marks = [(run_id, user_id, digest) for user_id, digest in seen]
                staging.bulk_insert(self.database, connection, SEEN, marks)

    def stage_containers(
        self,
        run_id: int,
        containers: Sequence[tuple[int, ContainerRecord, str, int | None]],
    ) -> None:
        """Stage changed containers (number, record, role key, digest) with their members."""
        rows, refs = [], []
        for number, record, role_key, digest in containers:
            rows.append(
                (
                    run_id,
                    number,
                    record.mapper,
                    record.container_key,
                    record.external_id,
                    record.dn,
                    record.name,
                    record.role_name,
                    role_key,
                    None,
                    digest,
                    record.whole,
                )
            )
            mapper, key = record.mapper, record.container_key
            # Two spellings of one DN are one member.
            members = {(kind, member_key): value for kind, member_key, value in record.members}
            refs += [
                (run_id, number, mapper, key, kind, member_key, value, None)
                for (kind, member_key), value in members.items()
            ]
        with self.database.stage() as connection:
            if rows:
                staging.bulk_insert(self.database, connection, C, rows)
            if refs:
                staging.bulk_insert(self.database, connection, R, refs)

    def drop_duplicates(self, run_id: int) -> list[NameConflict]:
        """Settle people whom the listing showed more than once.

        The same DN twice is a listing that moved under the reader: the last one counts. Different
        DNs under one id are an id that is none: both are left out.
        """
        with self.database.stage() as connection:
            twice = (
                select(S.c.external_id)
                .where(S.c.run_id == run_id)
                .group_by(S.c.external_id)
                .having(func.count() > 1)
            )
            rows = connection.execute(
                select(
                    S.c.external_id,
                    S.c.number,
                    S.c.user_id,
                    S.c.known,
                    S.c.dn,
                    S.c.dn_key,
                    S.c.username,
                    S.c.username_key,
                )
                .where(S.c.run_id == run_id, S.c.external_id.in_(twice))
                .order_by(S.c.external_id, S.c.number)
            ).all()
            by_id: dict[str, list[Any]] = {}
            for row in rows:
                by_id.setdefault(row.external_id, []).append(row)
            found: list[NameConflict] = []
            for external_id, group in by_id.items():
                same = len({bytes(row.dn_key) for row in group}) == 1
                for row in group[:-1] if same else group:
                    connection.execute(
                        delete(S).where(S.c.run_id == run_id, S.c.number == row.number)
                    )
                    if same and row.user_id == group[-1].user_id:
                        continue
                    for table in (K, R):
                        connection.execute(
                            delete(table).where(
                                table.c.run_id == run_id, table.c.user_id == row.user_id
                            )
                        )
                    if not same:
                        found.append(
                            NameConflict(
                                row.user_id,
                                bool(row.known),
                                external_id,
                                row.dn,
                                row.username,
                                row.username_key,
                                "duplicate_id",
                            )
                        )
            planning.mark(
                connection,
                run_id,
                [conflict.user_id for conflict in found if conflict.known],
                "protected",
            )
        return found

    def unstage(self, run_id: int, user_ids: Sequence[int], reason: str) -> list[NameConflict]:
        """Take people out of the stage again and protect them; return who that was."""
        found: list[NameConflict] = []
        with self.database.stage() as connection:
            for start in range(0, len(user_ids), IN_LIST):
                part = user_ids[start : start + IN_LIST]
                query = select(
                    S.c.user_id, S.c.known, S.c.external_id, S.c.dn, S.c.username, S.c.username_key
                ).where(S.c.run_id == run_id, S.c.user_id.in_(part))
                found += [NameConflict(*row, reason) for row in connection.execute(query)]
                for table in (S, K, R):
                    connection.execute(
                        delete(table).where(table.c.run_id == run_id, table.c.user_id.in_(part))
                    )
            planning.mark(connection, run_id, user_ids, "protected")
        return found

    # --- absence --------------------------------------------------------------------------

    def protect(self, run_id: int, bad: Sequence[Quarantined]) -> int:
        """Protect whoever has the id, DN or username of an entry that could not be taken."""
        ids: set[int] = set()
        keys = schema.identity_keys
        with self.database.stage() as connection:
            for start in range(0, len(bad), IN_LIST):
                part = bad[start : start + IN_LIST]
                external = [one.external_id for one in part if one.external_id]
                dn_keys = [one.dn_key for one in part if one.dn_key]
                names = [one.username_key for one in part if one.username_key]
                queries = [
                    select(I.c.user_id).where(
                        I.c.organization_id == self.organization_id,
                        I.c.source == self.source,
                        I.c.external_id.in_(external),
                    ),
                    select(keys.c.user_id).where(
                        keys.c.organization_id == self.organization_id,
                        keys.c.kind == "dn",
                        keys.c.key.in_(dn_keys),
                    ),
                    select(U.c.id).where(
                        U.c.organization_id == self.organization_id,
                        U.c.username_key.in_(names),
                        U.c.living,
                        U.c.provider == self.source,
                    ),
                ]
                for query in queries:
                    ids.update(connection.scalars(query))
            planning.mark(connection, run_id, sorted(ids), "protected")
        return len(ids)

    def stage_absent_people(self, run_id: int, unseen: array[int] | Sequence[int]) -> int:
        """Stage as absent who was not seen, staged or protected; return how many those are."""
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
            connection.execute(insert(A).from_select(["run_id", "user_id", "cause"], undigested))
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

    # --- planning and applying ------------------------------------------------------------

    def plan(
        self,
        run_id: int,
        *,
        mappers: tuple[str, ...],
        revoking: tuple[str, ...],
        purge_before: datetime | None,
    ) -> list[NameConflict]:
        """Make the plan of a run; return those whose names kept them out of it."""
        scope = PlanScope(
            run_id=run_id,
            organization_id=self.organization_id,
            source=self.source,
            mappers=mappers,
            revoking=revoking,
            purge_before=purge_before,
        )
        return planning.make_plan(self.database, scope)

    def counts(self, run_id: int, *, last: int | None = None) -> PlanCounts:
        """Count the plan of a run, up to its row ``last`` or whole."""
        with self.database.read() as connection:
            return runs.counts(connection, run_id, last)

    def conflicts(self, run_id: int) -> int:
        """Return how many people of a plan were left out when it was applied."""
        P = schema.plan_people
        with self.database.read() as connection:
            query = select(func.count()).where(P.c.run_id == run_id, P.c.state != "planned")
            return int(connection.execute(query).scalar_one())

    def shrinking_roles(self, run_id: int) -> list[tuple[str, int, int]]:
        """Return (role, members that would go, members now) of roles that lose somebody."""
        with self.database.read() as connection:
            return runs.shrinking_roles(connection, run_id, self.organization_id)

    def begin_apply(self, run_id: int, actor: str, why: str | None, *, settles: bool) -> None:
        """Open the change set and create new roles; from here on a killed run is resumed."""
        with self.database.write() as connection:
            self.lease.hold(connection)
            change_set_id = runs.begin_change_set(
                connection, self.organization_id, run_id, actor, why
            )
            runs.create_roles(connection, run_id, self.organization_id)
            runs.set_status(
                connection,
                run_id,
                "applying",
                change_set_id=change_set_id,
                settles=settles,
                together=runs.movers(connection, run_id),
            )

    def apply(self, run_id: int, batch_size: int) -> Iterator[tuple[int, int]]:
        """Apply what is left of a plan; yield (rows applied, rows in all) after each batch."""
        table = schema.runs
        with self.database.read() as connection:
            done, change_set_id, together = connection.execute(
                select(table.c.applied_number, table.c.change_set_id, table.c.together).where(
                    table.c.id == run_id
                )
            ).one()
            total = runs.last_number(connection, run_id)
            mappers = runs.planned_mappers(connection, run_id)
        while done < total:
            step = max(together - done, batch_size) if done < together else batch_size
            last = min(done + step, total)
            try:
                self._apply_batch(run_id, change_set_id, done + 1, last, mappers, careful=False)
            except ConstraintViolated:
                self._apply_batch(run_id, change_set_id, done + 1, last, mappers, careful=True)
            done = last
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
        with self.database.write_ahead() as connection:
            self.lease.hold(connection)
            Batch(
                connection,
                run_id=run_id,
                organization_id=self.organization_id,
                source=self.source,
                change_set_id=change_set_id,
                first=first,
                last=last,
                now=clock(connection),
                mappers=mappers,
                careful=careful,
            ).apply()
            runs.set_status(connection, run_id, "applying", applied_number=last)

    def plan_rows(self, run_id: int, after: int, count: int) -> list[PlanRow]:
        """Return the next rows of a plan, to see whether they still hold."""
        P = schema.plan_people
        dn = func.coalesce(P.c.dn, P.c.old_dn, I.c.dn, "")
        query = (
            select(P.c.number, P.c.external_id, dn, P.c.kinds, P.c.fingerprint, P.c.username)
            .outerjoin(I, and_(I.c.user_id == P.c.user_id, I.c.source == self.source))
            .where(P.c.run_id == run_id, P.c.number > after, P.c.state == "planned")
            .order_by(P.c.number)
            .limit(count)
        )
        with self.database.read() as connection:
            return [
                PlanRow(
                    number,
                    external_id,
                    name,
                    bool(kinds & Kind.MISSING or kinds & Kind.DELETE),
                    None if fingerprint is None else bytes(fingerprint),
                    username,
                )
                for number, external_id, name, kinds, fingerprint, username in connection.execute(
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

    def staged_containers(self, run_id: int) -> list[tuple[str, str, int | None]]:
        """Return (mapper, DN, digest) of the containers that a plan was made from."""
        with self.database.read() as connection:
            query = select(C.c.mapper, C.c.dn, C.c.digest).where(C.c.run_id == run_id, C.c.dn != "")
            return [(mapper, dn, digest) for mapper, dn, digest in connection.execute(query)]

    def drop_grants(self, run_id: int, mapper: str) -> int:
        """Take a mapper's grants and revocations out of a plan; return how many there were."""
        PG, M = schema.plan_grants, schema.stage_marks
        marked = exists().where(
            M.c.run_id == run_id, M.c.user_id == PG.c.user_id, M.c.mark == planning.WITHHELD
        )
        theirs = (
            select(PG.c.run_id, PG.c.user_id, literal(planning.WITHHELD))
            .where(PG.c.run_id == run_id, PG.c.mapper == mapper, ~marked)
            .distinct()
        )
        with self.database.write() as connection:
            connection.execute(insert(M).from_select(["run_id", "user_id", "mark"], theirs))
            return connection.execute(
                delete(PG).where(PG.c.run_id == run_id, PG.c.mapper == mapper)
            ).rowcount

    def settle(self, run_id: int) -> None:
        """Write the books that belong to the applied plan, in transactions of bounded size."""
        with self.database.read() as connection:
            last = books.last_container(connection, run_id)
            gone = books.any_gone_container(connection, run_id)
            shared_keys = bool(last) and books.has_shared_keys(connection, self.organization_id)
        if gone:
            with self.database.write() as connection:
                self.lease.hold(connection)
                books.drop_gone_containers(connection, self.organization_id, run_id)
        step = books.CONTAINERS_PER_TRANSACTION[self.database.dialect]
        for first in range(1, last + 1, step):
            with self.database.write_ahead() as connection:
                self.lease.hold(connection)
                self.database.give_room(connection)
                books.settle_containers(
                    connection,
                    self.organization_id,
                    run_id,
                    first=first,
                    last=first + step - 1,
                    shared_keys=shared_keys,
                )

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
    ) -> list[int]:
        """End a run in one transaction; return the runs whose blocked plans it supersedes."""
        with self.database.write() as connection:
            self.lease.hold(connection)
            now = clock(connection)
            if digests:
                books.settle_digests(connection, self.organization_id, self.source, run_id)
            if status == "done":
                books.look_again(connection, self.source, run_id)
            waiting = None
            if watermark is not None and status == "blocked":
                waiting = json.dumps([watermark.kind, watermark.value, watermark.ground])
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
                )
            superseded: list[int] = []
            # A sync of one person says nothing of the plan that waits.
            if status in {"done", "blocked"} and report.get("mode") == "full":
                superseded = runs.supersede(connection, self.organization_id, run_id, now)
            runs.set_status(
                connection,
                run_id,
                status,
                finished_at=now,
                report=json.dumps(report, ensure_ascii=False),
                reasons=json.dumps(report.get("reasons", []), ensure_ascii=False),
                watermark=waiting,
            )
        return superseded

    def give_up(self, run_id: int, status: str, report: dict[str, Any]) -> None:
        """End a run that wrote nothing; quiet about a plan that is half applied: it is resumed."""
        table = schema.runs
        with self.database.write() as connection:
            connection.execute(
                update(table)
                .where(table.c.id == run_id, or_(table.c.status == "running"))
                .values(
                    status=status,
                    finished_at=clock(connection),
                    report=json.dumps(report, ensure_ascii=False),
                )
            )
