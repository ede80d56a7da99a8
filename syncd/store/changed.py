"""What a run of the changed entries asks the store: about those it read, never about everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, func, literal, or_, select, union

from syncd.records import batched
from syncd.store import plan_counts, schema
from syncd.store.accounts import LOCKED
from syncd.store.bearing import BearingReads
from syncd.store.plan_scope import ACCOUNT_STATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement, Connection, Select

    from syncd.store.bearing import Person

S, K = schema.stage_users, schema.stage_keys
U, I, IK = schema.users, schema.identities, schema.identity_keys
X = schema.restrictions
C, CT = schema.stage_containers, schema.containers
MR, RUNS = schema.membership_refs, schema.runs

IN_LIST = 500
# A container as a directory is asked for it: key, external id, DN.
Container = tuple[bytes, str, str]


class ChangedReads(BearingReads):
    """The part of ``SyncStore`` that a run of the changed entries asks."""

    def stored_containers(self, mapper: str, keys: Sequence[bytes]) -> dict[bytes, int | None]:
        """Return the digests of those of a mapper's containers that are stored."""
        found: dict[bytes, int | None] = {}
        with self.database.read() as connection:
            for part in batched(keys, IN_LIST):
                query = select(CT.c.container_key, CT.c.digest).where(
                    self._of_mapper(mapper), CT.c.container_key.in_(part)
                )
                found |= {bytes(key): digest for key, digest in connection.execute(query)}
        return found

    def containers_but(
        self, mapper: str, *, deleted: Sequence[str], present: frozenset[str] | None
    ) -> list[Container]:
        """Return those of a mapper's containers that are said to be gone."""
        if present is None and not deleted:
            return []
        wanted = set(deleted)
        return [
            each
            for each in self._containers(mapper)
            if each[1] in wanted or (present is not None and each[1] not in present)
        ]

    def outside_containers(self, mapper: str) -> list[Container]:
        """Return the containers outside of a mapper's base that hand their members on to it."""
        return self._containers(mapper, outside=True)

    def containers_naming(self, mapper: str, keys: Iterable[bytes]) -> list[Container]:
        """Return those in a mapper's base that name one of these stored containers by its DN."""
        named = CT.alias("named")
        query = (
            select(CT.c.container_key, CT.c.external_id, CT.c.dn)
            .select_from(named)
            .join(
                MR,
                and_(
                    MR.c.organization_id == named.c.organization_id,
                    MR.c.kind == "dn",
                    MR.c.member_key == named.c.dn_key,
                ),
            )
            .join(CT, CT.c.container_key == MR.c.container_key)
            .where(
                named.c.organization_id == self.organization_id,
                named.c.mapper == mapper,
                MR.c.mapper == mapper,
                self._of_mapper(mapper),
                func.coalesce(CT.c.outside, False) == False,  # noqa: E712 - SQL
            )
        )
        found: dict[bytes, Container] = {}
        with self.database.read() as connection:
            for part in batched(list(keys), IN_LIST):
                for key, name, dn in connection.execute(
                    query.where(named.c.container_key.in_(part))
                ):
                    found[bytes(key)] = (bytes(key), name, dn)
        return list(found.values())

    def _containers(self, mapper: str, *, outside: bool = False) -> list[Container]:
        query = select(CT.c.container_key, CT.c.external_id, CT.c.dn).where(
            self._of_mapper(mapper),
            # Null is what programs wrote that knew of no such containers.
            func.coalesce(CT.c.outside, False) == outside,
            CT.c.dn != "",
        )
        with self.database.read() as connection:
            return [(bytes(key), name, dn) for key, name, dn in connection.execute(query)]

    def _of_mapper(self, mapper: str) -> ColumnElement[bool]:
        return and_(CT.c.organization_id == self.organization_id, CT.c.mapper == mapper)

    def living(self, external_ids: Sequence[str]) -> list[Person]:
        """Return those of these people who are living."""
        found: list[Person] = []
        with self.database.read() as connection:
            for part in batched(external_ids, IN_LIST):
                query = self._living_people().where(I.c.external_id.in_(part))
                found += people(connection, query)
        return found

    def living_but(self, present: frozenset[str], most: int) -> list[Person]:
        """Return at most ``most`` living people who are not in ``present``."""
        found: list[Person] = []
        options = {"stream_results": True, "max_row_buffer": 20_000}
        with (
            self.database.read() as connection,
            connection.execute(self._living_people(), execution_options=options) as rows,
        ):
            for user_id, external_id, dn in rows:
                if external_id not in present:
                    found.append((user_id, external_id, dn))
                    if len(found) >= most:
                        break
        return found

    def some_living(self, start: str, most: int) -> list[Person]:
        """Return at most ``most`` living people in the order of their ids from ``start`` around."""
        found: list[Person] = []
        with self.database.read() as connection:
            for part in (I.c.external_id >= start, I.c.external_id < start):
                query = self._living_people().where(part).order_by(I.c.external_id)
                found += people(connection, query.limit(most - len(found)))
        return found

    def left_undone(self, most: int) -> list[Person]:
        """Return at most ``most`` living people of whom an earlier run left something undone.

        They have no digest. Without an index to find them by, so only behind runs that wrote
        something and did not move the watermark: of these alone the changes since then do not tell
        everything.
        """
        W = schema.watermarks
        marked = (
            select(func.coalesce(func.max(W.c.run_id), 0))
            .where(W.c.organization_id == self.organization_id, W.c.source == self.source)
            .scalar_subquery()
        )
        wrote = select(RUNS.c.id).where(
            RUNS.c.organization_id == self.organization_id,
            RUNS.c.id > marked,
            RUNS.c.change_set_id.is_not(None),
            RUNS.c.mode != "user",
        )
        with self.database.read() as connection:
            if connection.execute(wrote.limit(1)).first() is None:
                return []
            query = self._living_people().where(I.c.digest.is_(None)).order_by(I.c.user_id)
            return people(connection, query.limit(most))

    def locked_out(self, most: int) -> list[Person]:
        """Return at most ``most`` living people locked until the directory says otherwise."""
        query = (
            self._living_people()
            .join(X, X.c.user_id == U.c.id)
            .where(
                X.c.organization_id == self.organization_id,
                X.c.source == ACCOUNT_STATE,
                X.c.reason == LOCKED,
                X.c.until.is_(None),
            )
            .order_by(X.c.since, X.c.user_id)
        )
        with self.database.read() as connection:
            return people(connection, query.limit(most))

    def name_holders(self, run_id: int) -> list[Person]:
        """Return unread people whose usernames staged others want."""
        other = S.alias("other")
        staged = exists().where(other.c.run_id == run_id, other.c.user_id == U.c.id)
        wanted = and_(
            U.c.organization_id == self.organization_id,
            U.c.username_key == S.c.username_key,
            U.c.living,
            U.c.id != S.c.user_id,
        )
        query = (
            select(U.c.id, I.c.external_id, func.coalesce(I.c.dn, ""))
            .select_from(S)
            .join(U, wanted)
            .join(I, and_(I.c.user_id == U.c.id, I.c.source == self.source))
            .where(S.c.run_id == run_id, ~staged)
            .distinct()
        )
        with self.database.stage() as connection:
            return people(connection, query)

    def naming_containers(self, run_id: int) -> list[tuple[str, bytes, str]]:
        """Return (mapper, key, DN) of the stored containers that name something new or moved.

        That is somebody, who may have come back, or another container.

        Directories mend memberships of moved and deleted people without touching the container's
        time of modification, so what is stored of these containers may be out of date.
        """
        # Who was gone too: with a deleted entry its memberships go, and do not come back with it.
        moved = or_(
            ~S.c.known,
            S.c.dn != func.coalesce(I.c.dn, ""),
            ~func.coalesce(U.c.living, False),
        )
        person = and_(
            I.c.organization_id == self.organization_id,
            I.c.source == self.source,
            I.c.external_id == S.c.external_id,
        )
        named = (
            select(K.c.kind.label("kind"), K.c.key.label("key"))
            .select_from(S)
            .join(K, and_(K.c.run_id == S.c.run_id, K.c.user_id == S.c.user_id))
            .outerjoin(I, person)
            .outerjoin(U, U.c.id == S.c.user_id)
            .where(S.c.run_id == run_id, moved)
        )
        was_named = (
            select(IK.c.kind, IK.c.key)
            .select_from(S)
            .join(IK, IK.c.user_id == S.c.user_id)
            .outerjoin(I, person)
            .outerjoin(U, U.c.id == S.c.user_id)
            .where(S.c.run_id == run_id, moved, IK.c.organization_id == self.organization_id)
        )
        same = and_(CT.c.mapper == C.c.mapper, CT.c.container_key == C.c.container_key)
        of_mapper = and_(CT.c.organization_id == self.organization_id, same)
        elsewhere = or_(CT.c.container_key.is_(None), CT.c.dn_key != C.c.dn_key)
        containers = (
            select(literal("dn"), C.c.dn_key)
            .outerjoin(CT, of_mapper)
            .where(C.c.run_id == run_id, C.c.kind != "outside", elsewhere)
        )
        were = (
            select(literal("dn"), CT.c.dn_key)
            .select_from(C)
            .join(CT, of_mapper)
            .where(C.c.run_id == run_id, CT.c.dn_key != C.c.dn_key)
        )
        keys = union(named, was_named, containers, were).subquery()
        naming = and_(
            MR.c.member_key == keys.c.key,
            MR.c.kind == keys.c.kind,
            MR.c.organization_id == self.organization_id,
        )
        container = and_(
            CT.c.organization_id == self.organization_id,
            CT.c.mapper == MR.c.mapper,
            CT.c.container_key == MR.c.container_key,
            # Those outside are read in each run.
            func.coalesce(CT.c.outside, False) == False,  # noqa: E712 - SQL
        )
        query = (
            select(CT.c.mapper, CT.c.container_key, CT.c.dn)
            .select_from(keys)
            .join(MR, naming)
            .join(CT, container)
            .distinct()
        )
        with self.database.stage() as connection:
            self.database.analyze(connection, S, K, C)
            return [(mapper, bytes(key), dn) for mapper, key, dn in connection.execute(query)]

    def arrivals(self, run_id: int) -> tuple[list[str], list[str]]:
        """Return the DNs of staged people and of staged containers that are new in their place.

        Whoever was not here may have become a member of anything meanwhile, under a DN that the
        store never knew.
        """
        person = and_(
            I.c.organization_id == self.organization_id,
            I.c.source == self.source,
            I.c.external_id == S.c.external_id,
        )
        # Whoever is new stands in no row of either.
        arrived = or_(func.coalesce(I.c.dn, "") != S.c.dn, ~func.coalesce(U.c.living, False))
        people = (
            select(S.c.dn)
            .outerjoin(I, person)
            .outerjoin(U, U.c.id == I.c.user_id)
            .where(S.c.run_id == run_id, arrived)
        )
        same = and_(
            CT.c.organization_id == self.organization_id,
            CT.c.mapper == C.c.mapper,
            CT.c.container_key == C.c.container_key,
        )
        elsewhere = or_(CT.c.container_key.is_(None), CT.c.dn_key != C.c.dn_key)
        containers = (
            select(C.c.dn)
            .outerjoin(CT, same)
            .where(C.c.run_id == run_id, C.c.kind != "outside", C.c.dn != "", elsewhere)
            .distinct()
        )
        with self.database.stage() as connection:
            return (
                list(connection.scalars(people)),
                list(connection.scalars(containers)),
            )

    def stating_people(self, mapper: str, container_keys: Iterable[bytes]) -> list[Person]:
        """Return the living who by their own entry are in one of these containers."""
        found: dict[int, Person] = {}
        with self.database.read() as connection:
            for key in container_keys:
                query = (
                    select(I.c.user_id, I.c.external_id, func.coalesce(I.c.dn, ""))
                    .select_from(MR)
                    .join(I, and_(I.c.user_id == MR.c.user_id, I.c.source == self.source))
                    .join(U, U.c.id == I.c.user_id)
                    .where(
                        MR.c.organization_id == self.organization_id,
                        MR.c.mapper == mapper,
                        MR.c.container_key == key,
                        MR.c.kind == "of",
                        U.c.living,
                    )
                )
                found |= {each[0]: each for each in people(connection, query)}
        return list(found.values())

    def at_most(self, mappers: Sequence[str], most: int) -> tuple[int, int]:
        """Count living people and grants of these mappers, each up to ``most``."""
        with self.database.read() as connection:
            return plan_counts.population(connection, self.organization_id, mappers, most)

    def _living_people(self) -> Select[Any]:
        return (
            select(I.c.user_id, I.c.external_id, func.coalesce(I.c.dn, ""))
            .join(U, U.c.id == I.c.user_id)
            .where(
                I.c.organization_id == self.organization_id, I.c.source == self.source, U.c.living
            )
        )


def people(connection: Connection, query: Select[Any]) -> list[Person]:
    """Return the people of a query for (user id, external id, DN)."""
    return [(user_id, external_id, dn) for user_id, external_id, dn in connection.execute(query)]
