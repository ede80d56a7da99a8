"""What a run reads goes through here into the stage: people, and entries of roles and groups."""

from __future__ import annotations

from array import array
from itertools import chain, pairwise, starmap
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select

from syncd.records import EVER, NEVER, AccountState, key_of
from syncd.store import planning, schema, staging
from syncd.store.accounts import BITS, DISABLED
from syncd.store.nesting import PARENT
from syncd.store.planning import NameConflict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from syncd.records import ContainerRecord, Member, Quarantined, UserRecord
    from syncd.store.database import Database
    from syncd.store.staging import DigestTable, StoredPerson

S, K, R, C = schema.stage_users, schema.stage_keys, schema.stage_refs, schema.stage_containers
SEEN = schema.stage_seen
U, I = schema.users, schema.identities

ID_BLOCK = 5_000
IN_LIST = 500
NO_STATEMENT = (None,) * 5
NOTHING_HOLDS = AccountState(False, EVER, NEVER, EVER)


class Collecting:
    """The part of ``SyncStore`` that fills the stage."""

    database: Database
    organization_id: str
    source: str
    _ids: Iterator[int] = iter(())
    _staged: int = 0
    # Whether anybody's record speaks of the account.
    _accounts: bool = False
    # Whether the run began with nobody stored; only a run adds people of a source.
    _nobody: bool | None = None

    def forget_collected(self) -> None:
        """Begin a new run: nothing is staged, and who is stored has to be looked at anew."""
        self._nobody = None
        self._staged = 0
        self._accounts = False

    def digests(self) -> DigestTable:
        """Load the digests of all living people."""
        with self.database.read() as connection:
            return staging.load_digests(connection, self.organization_id, self.source)

    def excluded(self) -> frozenset[str]:
        """Read the ids of those whom somebody deleted for good."""
        table = schema.exclusions
        query = select(table.c.external_id).where(
            table.c.organization_id == self.organization_id, table.c.source == self.source
        )
        with self.database.read() as connection:
            return frozenset(connection.scalars(query))

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
                account,
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
                    *self._said(account, known=known),
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

    def _said(self, account: AccountState | None, *, known: bool) -> tuple[object, ...]:
        """Return what is staged of an account."""
        if account is None:
            # Nobody looks at accounts, so that what somebody stored of one does not hold any more.
            if not known:
                return NO_STATEMENT
            account = NOTHING_HOLDS
        else:
            self._accounts = True
        disabled, *times, absent = account
        dialect = self.database.dialect
        when = [None if each is None else staging.time_of(each, dialect) for each in times]
        return (
            None if disabled is None else DISABLED if disabled else "",
            *when,
            sum(BITS[reason] for reason in absent),
        )

    def stage_containers(
        self,
        run_id: int,
        containers: Sequence[tuple[int, ContainerRecord, str, int | None]],
    ) -> None:
        """Stage changed containers (number, record, target's key, digest) with their members."""
        rows = [
            (
                run_id,
                number,
                record.mapper,
                record.container_key,
                record.external_id,
                record.dn,
                record.name,
                record.target,
                target_key,
                None,
                digest,
                record.whole,
                record.dn_key,
                record.kind,
                record.attributes,
            )
            for number, record, target_key, digest in containers
        ]
        if not rows:
            return
        with self.database.stage() as connection:
            staging.bulk_insert(self.database, connection, C, rows)
            refs = _references(run_id, containers)
            if (first := next(refs, None)) is not None:
                staging.bulk_insert(self.database, connection, R, chain((first,), refs))

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


def _references(
    run_id: int, containers: Sequence[tuple[int, ContainerRecord, str, int | None]]
) -> Iterator[tuple[object, ...]]:
    """Yield a row for each member and each parent of these containers.

    One by one: rows for all members of a large container would be more than the rest of the run.
    """
    for number, record, _, _ in containers:
        mapper, key = record.mapper, record.container_key
        members: Iterable[Member] = record.members
        if not all(starmap(_is_before, pairwise(record.members))):
            # Two spellings of one DN are one member.
            members = {each[:2]: each for each in record.members}.values()
        for kind, member_key, value in members:
            yield run_id, number, mapper, key, kind, member_key, value, None
        for parent in dict.fromkeys(record.parents):
            yield run_id, number, mapper, key, PARENT, parent, "", None


def _is_before(one: Member, other: Member) -> bool:
    """Tell whether two members come in the order in which a member is told from all others."""
    return one[0] < other[0] or (one[0] == other[0] and one[1] < other[1])
