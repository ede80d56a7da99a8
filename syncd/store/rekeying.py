"""New ids for the people whom a directory was rebuilt around, or knows by another attribute.

Whoever is not listed under the id that is stored is paired with the one entry under a new id that
has his username, or his DN. Groups are paired by DN along with them, and exclusions by username, so
that nothing that hangs on an id falls off it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, delete, exists, func, insert, literal, or_, select, update

from syncd.records import fold
from syncd.store import feed, schema
from syncd.store.kinds import Kind
from syncd.store.snapshots import ObjectJournal
from syncd.store.sync_store import SyncStore

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select

S, A, C = schema.stage_users, schema.stage_absent, schema.stage_containers
U, I, IK = schema.users, schema.identities, schema.identity_keys
P, CT, G, EX = schema.plan_people, schema.containers, schema.groups, schema.exclusions

BY_USERNAME, BY_DN = "username", "dn"
# Of those who could not be paired, as many as a report lists.
MOST_LISTED = 1_000


class Paired(NamedTuple):
    """What came of pairing people with entries."""

    paired: int
    # They match no entry under a new id.
    unpaired: int
    # They match several, or share one.
    ambiguous: int
    # Entries under new ids that are nobody's.
    newcomers: int


class RekeyStore(SyncStore):
    """One organization in the store, whose people get new ids."""

    def plan_rekey(self, run_id: int, by: str) -> Paired:
        """Pair the people who are absent with entries under new ids, and plan their new ids."""
        new = and_(S.c.run_id == run_id, ~S.c.known)
        absent = and_(A.c.run_id == run_id, A.c.user_id == U.c.id)
        with self.database.write() as connection:
            self.lease.hold(connection)
            self.database.analyze(connection, S, A)
            match, entries, people = self._match(by, new, run_id)
            pairs = (
                select(
                    literal(run_id),
                    func.row_number().over(order_by=U.c.id),
                    U.c.id,
                    S.c.external_id,
                    I.c.external_id,
                    literal(int(Kind.REKEY)),
                    U.c.version,
                    U.c.username,
                    U.c.username_key,
                    S.c.dn,
                    I.c.dn,
                    literal(f"paired by {by}"),
                )
                .select_from(S)
                .join(U, match)
                .join(A, absent)
                .join(I, and_(I.c.user_id == U.c.id, I.c.source == self.source))
                .where(new, *entries, *people)
            )
            if by == BY_DN:
                pairs = pairs.join(IK, _dn_of(self.organization_id))
            columns = ["run_id", "number", "user_id", "external_id", "old_external_id", "kinds"]
            columns += ["version", "username", "username_key", "dn", "old_dn", "cause"]
            connection.execute(insert(P).from_select(columns, pairs))
            return self._counted(connection, run_id, by, new)

    def _match(
        self, by: str, new: ColumnElement[bool], run_id: int
    ) -> tuple[ColumnElement[bool], list[ColumnElement[bool]], list[ColumnElement[bool]]]:
        """Return what pairs an entry with a person, and what tells that either has no other."""
        here = and_(
            U.c.organization_id == self.organization_id, U.c.living, U.c.provider == self.source
        )
        once: Select[Any] = (
            select(S.c.username_key if by == BY_USERNAME else S.c.dn_key)
            .where(new)
            .group_by(S.c.username_key if by == BY_USERNAME else S.c.dn_key)
            .having(func.count() == 1)
        )
        if by == BY_USERNAME:
            # Of living people one has a username.
            match = and_(here, U.c.username_key == S.c.username_key)
            return match, [S.c.username_key.in_(once)], []
        alone = (
            select(IK.c.key)
            .join(A, and_(A.c.run_id == run_id, A.c.user_id == IK.c.user_id))
            .where(IK.c.organization_id == self.organization_id, IK.c.kind == "dn")
            .group_by(IK.c.key)
            .having(func.count() == 1)
        )
        return here, [S.c.dn_key.in_(once)], [IK.c.key.in_(alone)]

    def _counted(
        self, connection: Connection, run_id: int, by: str, new: ColumnElement[bool]
    ) -> Paired:
        def count(query: Select[Any]) -> int:
            return int(connection.execute(query).scalar_one())

        paired = count(select(func.count()).where(P.c.run_id == run_id))
        absent = count(select(func.count()).where(A.c.run_id == run_id, A.c.user_id.is_not(None)))
        newcomers = count(select(func.count()).where(new)) - paired
        is_paired = exists().where(P.c.run_id == run_id, P.c.user_id == A.c.user_id)
        if by == BY_USERNAME:
            alike = exists().where(new, S.c.username_key == U.c.username_key, U.c.id == A.c.user_id)
        else:
            alike = exists().where(
                new,
                _dn_of(self.organization_id),
                IK.c.user_id == A.c.user_id,
                U.c.id == A.c.user_id,
            )
        several = select(func.count()).where(A.c.run_id == run_id, ~is_paired, alike)
        ambiguous = count(several)
        return Paired(paired, absent - paired - ambiguous, ambiguous, newcomers)

    def unpaired(self, run_id: int) -> list[dict[str, Any]]:
        """Return people whom no entry, or more than one, could be; the first of them."""
        is_paired = exists().where(P.c.run_id == run_id, P.c.user_id == U.c.id)
        query = (
            select(U.c.username, I.c.external_id, I.c.dn)
            .join(A, and_(A.c.run_id == run_id, A.c.user_id == U.c.id))
            .join(I, and_(I.c.user_id == U.c.id, I.c.source == self.source))
            .where(~is_paired)
            .order_by(U.c.username_key)
            .limit(MOST_LISTED)
        )
        with self.database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def complete_rekey(self, run_id: int) -> dict[str, int]:
        """Give groups and exclusions their new ids, and let the next sync read everything."""
        (commit_id,) = feed.new_ids(self.database, "commits")
        marks = schema.watermarks
        with self.database.write() as connection:
            self.lease.hold(connection)
            change_set_id = connection.execute(
                select(schema.runs.c.change_set_id).where(schema.runs.c.id == run_id)
            ).scalar_one()
            groups = self._groups(connection, run_id, int(change_set_id), commit_id)
            excluded = self._exclusions(connection, run_id)
            connection.execute(
                delete(marks).where(
                    marks.c.organization_id == self.organization_id, marks.c.source == self.source
                )
            )
        return {"groups": groups, "exclusions": excluded}

    def _groups(
        self, connection: Connection, run_id: int, change_set_id: int, commit_id: int
    ) -> int:
        taken = G.alias("taken")
        query = (
            select(G.c.id, C.c.external_id)
            .select_from(C)
            .join(
                CT,
                and_(
                    CT.c.organization_id == self.organization_id,
                    CT.c.mapper == C.c.mapper,
                    CT.c.dn_key == C.c.dn_key,
                ),
            )
            .join(G, and_(G.c.id == CT.c.group_id, G.c.mapper == C.c.mapper))
            .where(
                C.c.run_id == run_id,
                C.c.kind == "group",
                C.c.dn != "",
                G.c.external_id != C.c.external_id,
                ~exists().where(
                    taken.c.organization_id == self.organization_id,
                    taken.c.mapper == C.c.mapper,
                    taken.c.external_id == C.c.external_id,
                ),
            )
        )
        pairs = dict(iter(connection.execute(query)))
        if not pairs:
            return 0
        journal = ObjectJournal(connection, roles=(), groups=pairs.keys())
        for group_id, external_id in sorted(pairs.items()):
            connection.execute(update(G).where(G.c.id == group_id).values(external_id=external_id))
        journal.write(self.organization_id, lambda: change_set_id, commit_id)
        return len(pairs)

    def _exclusions(self, connection: Connection, run_id: int) -> int:
        """Keep the exclusions of people whose entry has a new id; each by its username."""
        mine = and_(EX.c.organization_id == self.organization_id, EX.c.source == self.source)
        listed = exists().where(S.c.run_id == run_id, S.c.external_id == EX.c.external_id)
        rows = connection.execute(select(EX.c.external_id, EX.c.username).where(mine, ~listed))
        moved = 0
        for external_id, username in rows.all():
            entry = select(S.c.external_id).where(
                S.c.run_id == run_id, ~S.c.known, S.c.username_key == fold(username)
            )
            found = list(connection.scalars(entry.limit(2)))
            paired = select(P.c.user_id).where(
                P.c.run_id == run_id, or_(*(P.c.external_id == each for each in found))
            )
            if len(found) == 1 and connection.execute(paired.limit(1)).first() is None:
                connection.execute(
                    update(EX)
                    .where(mine, EX.c.external_id == external_id)
                    .values(external_id=found[0])
                )
                moved += 1
        return moved


def _dn_of(organization_id: str) -> ColumnElement[bool]:
    return and_(
        IK.c.organization_id == organization_id,
        IK.c.kind == "dn",
        IK.c.user_id == U.c.id,
        IK.c.key == S.c.dn_key,
    )
