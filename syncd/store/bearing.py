"""On whom and on what else that bears which a run of the changed entries read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, except_, exists, func, or_, select, tuple_

from syncd.records import batched
from syncd.store import schema

if TYPE_CHECKING:
    from sqlalchemy import Select

    from syncd.store.database import Database

S, R, A = schema.stage_users, schema.stage_refs, schema.stage_absent
K = schema.stage_keys
C, CT, MR = schema.stage_containers, schema.containers, schema.membership_refs
U, I, IK, Q = schema.users, schema.identities, schema.identity_keys, schema.quarantine

IN_LIST = 500
# Somebody stored: user id, external id, last known DN.
Person = tuple[int, str, str]


class BearingReads:
    """Those questions as part of ``SyncStore``."""

    database: Database
    organization_id: str
    source: str

    def losing_people(self, run_id: int, most: int) -> list[Person]:
        """Return at most ``most`` living people whom changed containers do not name any more.

        They may have another name by now of which the directory said nothing.
        """
        were = (
            select(MR.c.mapper, MR.c.container_key, MR.c.kind, MR.c.member_key)
            .select_from(C)
            .join(
                MR,
                and_(
                    MR.c.organization_id == self.organization_id,
                    MR.c.mapper == C.c.mapper,
                    MR.c.container_key == C.c.container_key,
                ),
            )
            .where(C.c.run_id == run_id, C.c.whole, MR.c.kind != "of")
        )
        are = select(R.c.mapper, R.c.container_key, R.c.kind, R.c.member_key).where(
            R.c.run_id == run_id, R.c.number > 0
        )
        lost = except_(were, are).subquery()
        named = tuple_(IK.c.kind, IK.c.key).in_(select(lost.c.kind, lost.c.member_key))
        return self._people(select(IK.c.user_id).where(named), most)

    def place_holders(self, run_id: int) -> list[Person]:
        """Return the living under whose last known DN this run found somebody else."""
        places = select(S.c.dn_key).where(S.c.run_id == run_id)
        staged = exists().where(S.c.run_id == run_id, S.c.user_id == IK.c.user_id)
        there = and_(IK.c.kind == "dn", IK.c.key.in_(places), ~staged)
        return self._people(select(IK.c.user_id).where(there))

    def strangers(self, run_id: int, mapper: str) -> list[str]:
        """Return the DNs that changed containers of a mapper name and that are nothing known."""
        person = and_(
            IK.c.organization_id == self.organization_id,
            IK.c.kind == "dn",
            IK.c.key == R.c.member_key,
        )
        staged = and_(K.c.run_id == run_id, K.c.kind == "dn", K.c.key == R.c.member_key)
        container = and_(
            CT.c.organization_id == self.organization_id,
            CT.c.mapper == mapper,
            CT.c.dn_key == R.c.member_key,
        )
        staged_container = and_(
            C.c.run_id == run_id, C.c.mapper == mapper, C.c.dn_key == R.c.member_key
        )
        # Outer joins and not NOT EXISTS, for which SQLite would walk the stage's keys each time: a
        # join it gives an index of its own.
        query = (
            select(R.c.value)
            .select_from(R)
            .outerjoin(IK, person)
            .outerjoin(K, staged)
            .outerjoin(CT, container)
            .outerjoin(C, staged_container)
            .where(
                R.c.run_id == run_id,
                R.c.mapper == mapper,
                R.c.kind == "dn",
                IK.c.user_id.is_(None),
                K.c.user_id.is_(None),
                CT.c.container_key.is_(None),
                C.c.number.is_(None),
            )
            .distinct()
        )
        with self.database.stage() as connection:
            self.database.analyze(connection, R, C, K)
            return list(connection.scalars(query))

    def moved_people(self, run_id: int) -> list[tuple[int, str, str, bytes]]:
        """Return (user id, external id, old DN, new DN's key) of known people in a new place."""
        same = exists().where(
            IK.c.organization_id == self.organization_id,
            IK.c.kind == "dn",
            IK.c.key == S.c.dn_key,
            IK.c.user_id == S.c.user_id,
        )
        query = (
            select(S.c.user_id, S.c.external_id, I.c.dn, S.c.dn_key)
            .join(I, and_(I.c.user_id == S.c.user_id, I.c.source == self.source))
            .where(S.c.run_id == run_id, S.c.known, I.c.dn.is_not(None), ~same)
            .order_by(S.c.number)
        )
        with self.database.stage() as connection:
            rows = connection.execute(query).all()
        return [(user_id, external_id, dn, bytes(key)) for user_id, external_id, dn, key in rows]

    def quarantined_alike(self, run_id: int, source: str) -> list[tuple[str, str, str, str | None]]:
        """Return, as ``due_quarantine`` does, who wants the name or the id of somebody staged."""
        names = select(S.c.username_key).where(S.c.run_id == run_id)
        ids = select(S.c.external_id).where(S.c.run_id == run_id)
        query = select(Q.c.source, Q.c.entry, Q.c.dn, Q.c.external_id).where(
            Q.c.organization_id == self.organization_id,
            Q.c.source == source,
            or_(Q.c.username_key.in_(names), Q.c.external_id.in_(ids)),
        )
        with self.database.stage() as connection:
            rows = connection.execute(query).all()
        return [(name, entry, dn, external_id) for name, entry, dn, external_id in rows]

    def renamed_containers(self, run_id: int, mapper: str) -> list[tuple[bytes, str, str]]:
        """Return (key, external id, DN) under which staged containers were known before."""
        query = (
            select(CT.c.container_key, CT.c.external_id, CT.c.dn)
            .join(
                C,
                and_(
                    C.c.mapper == CT.c.mapper,
                    C.c.external_id == CT.c.external_id,
                    C.c.container_key != CT.c.container_key,
                ),
            )
            .where(
                C.c.run_id == run_id,
                CT.c.organization_id == self.organization_id,
                CT.c.mapper == mapper,
            )
        )
        with self.database.stage() as connection:
            rows = connection.execute(query).all()
        return [(bytes(key), external_id, dn) for key, external_id, dn in rows]

    def absent_containers(self, run_id: int) -> list[tuple[str, bytes, str, bool]]:
        """Return what a plan takes for gone: mapper, key, DN, outside of the mapper's base."""
        gone = and_(A.c.mapper == CT.c.mapper, A.c.container_key == CT.c.container_key)
        query = (
            select(CT.c.mapper, CT.c.container_key, CT.c.dn, CT.c.outside)
            .join(A, gone)
            .where(A.c.run_id == run_id, CT.c.organization_id == self.organization_id)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        return [(mapper, bytes(key), dn, bool(outside)) for mapper, key, dn, outside in rows if dn]

    def _people(self, ids: Select[Any], most: int | None = None) -> list[Person]:
        # One after the other: in one statement SQLite may begin with everybody.
        ids = ids.where(IK.c.organization_id == self.organization_id).distinct().limit(most)
        people = (
            select(U.c.id, I.c.external_id, func.coalesce(I.c.dn, ""))
            .join(I, and_(I.c.user_id == U.c.id, I.c.source == self.source))
            .where(U.c.organization_id == self.organization_id, U.c.living)
        )
        found: list[Person] = []
        with self.database.stage() as connection:
            self.database.analyze(connection, S, C, R)
            for part in batched(list(connection.scalars(ids)), IN_LIST):
                rows = connection.execute(people.where(U.c.id.in_(part)))
                found += [(user_id, external_id, dn) for user_id, external_id, dn in rows]
        return found
