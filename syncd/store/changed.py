"""What a run of the changed entries asks the store: about those it read, never about everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, exists, func, or_, select, union

from syncd.records import batched
from syncd.store import schema
from syncd.store.bearing import BearingReads

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from syncd.store.database import Database

S, K = schema.stage_users, schema.stage_keys
U, I, IK = schema.users, schema.identities, schema.identity_keys
CT, MR, RUNS = schema.containers, schema.membership_refs, schema.runs

IN_LIST = 500


def stored_containers(
    connection: Connection, organization_id: str, mapper: str, keys: Sequence[bytes]
) -> dict[bytes, int | None]:
    """Return the digests of those of a mapper's containers that are stored."""
    found: dict[bytes, int | None] = {}
    for part in batched(keys, IN_LIST):
        query = select(CT.c.container_key, CT.c.digest).where(
            CT.c.organization_id == organization_id,
            CT.c.mapper == mapper,
            CT.c.container_key.in_(part),
        )
        found |= {bytes(key): digest for key, digest in connection.execute(query)}
    return found


def containers_but(
    connection: Connection,
    organization_id: str,
    mapper: str,
    *,
    deleted: Sequence[str] = (),
    present: frozenset[str] | None = None,
) -> list[tuple[bytes, str, str]]:
    """Return (key, external id, DN) of a mapper's containers that are said to be gone."""
    query = select(CT.c.container_key, CT.c.external_id, CT.c.dn).where(
        CT.c.organization_id == organization_id, CT.c.mapper == mapper
    )
    if present is None and not deleted:
        return []
    wanted = set(deleted)
    return [
        (bytes(key), external_id, dn)
        for key, external_id, dn in connection.execute(query)
        if external_id in wanted or (present is not None and external_id not in present)
    ]


def living(
    connection: Connection, organization_id: str, source: str, external_ids: Sequence[str]
) -> list[tuple[int, str, str]]:
    """Return (user id, external id, DN) of those of these people who are living."""
    found: list[tuple[int, str, str]] = []
    for part in batched(external_ids, IN_LIST):
        query = (
            select(I.c.user_id, I.c.external_id, func.coalesce(I.c.dn, ""))
            .join(U, U.c.id == I.c.user_id)
            .where(
                I.c.organization_id == organization_id,
                I.c.source == source,
                I.c.external_id.in_(part),
                U.c.living,
            )
        )
        found += [
            (user_id, external_id, dn) for user_id, external_id, dn in connection.execute(query)
        ]
    return found


def living_but(
    connection: Connection, organization_id: str, source: str, present: frozenset[str], most: int
) -> list[tuple[int, str, str]]:
    """Return at most ``most`` living people, as ``living`` does, who are not in ``present``."""
    query = (
        select(I.c.user_id, I.c.external_id, func.coalesce(I.c.dn, ""))
        .join(U, U.c.id == I.c.user_id)
        .where(I.c.organization_id == organization_id, I.c.source == source, U.c.living)
    )
    found: list[tuple[int, str, str]] = []
    options = {"stream_results": True, "max_row_buffer": 20_000}
    with connection.execute(query, execution_options=options) as rows:
        for user_id, external_id, dn in rows:
            if external_id not in present:
                found.append((user_id, external_id, dn))
                if len(found) >= most:
                    break
    return found


def some_living(
    connection: Connection, organization_id: str, source: str, start: str, most: int
) -> list[tuple[int, str, str]]:
    """Return at most ``most`` living people, as ``living`` does, by id from ``start`` around."""
    found: list[tuple[int, str, str]] = []
    for part in (I.c.external_id >= start, I.c.external_id < start):
        query = (
            select(I.c.user_id, I.c.external_id, func.coalesce(I.c.dn, ""))
            .join(U, U.c.id == I.c.user_id)
            .where(I.c.organization_id == organization_id, I.c.source == source, part, U.c.living)
            .order_by(I.c.external_id)
            .limit(most - len(found))
        )
        found += [
            (user_id, external_id, dn) for user_id, external_id, dn in connection.execute(query)
        ]
    return found


def left_undone(
    connection: Connection, organization_id: str, source: str, most: int
) -> list[tuple[int, str, str]]:
    """Return at most ``most`` living people, as ``living`` does, of whom a run left something.

    They have no digest. Without an index to find them by, so only behind runs that wrote something
    and did not move the watermark: of these alone the changes since then do not tell everything.
    """
    W = schema.watermarks
    marked = (
        select(func.coalesce(func.max(W.c.run_id), 0))
        .where(W.c.organization_id == organization_id, W.c.source == source)
        .scalar_subquery()
    )
    wrote = select(RUNS.c.id).where(
        RUNS.c.organization_id == organization_id,
        RUNS.c.id > marked,
        RUNS.c.change_set_id.is_not(None),
        RUNS.c.mode != "user",
    )
    if connection.execute(wrote.limit(1)).first() is None:
        return []
    query = (
        select(I.c.user_id, I.c.external_id, func.coalesce(I.c.dn, ""))
        .join(U, U.c.id == I.c.user_id)
        .where(
            I.c.organization_id == organization_id,
            I.c.source == source,
            I.c.digest.is_(None),
            U.c.living,
        )
        .order_by(I.c.user_id)
        .limit(most)
    )
    return [(user_id, external_id, dn) for user_id, external_id, dn in connection.execute(query)]


def name_holders(
    connection: Connection, organization_id: str, source: str, run_id: int
) -> list[tuple[int, str, str]]:
    """Return (user id, external id, DN) of unread people whose usernames staged others want."""
    other = S.alias("other")
    staged = exists().where(other.c.run_id == run_id, other.c.user_id == U.c.id)
    query = (
        select(U.c.id, I.c.external_id, func.coalesce(I.c.dn, ""))
        .select_from(S)
        .join(
            U,
            and_(
                U.c.organization_id == organization_id,
                U.c.username_key == S.c.username_key,
                U.c.living,
                U.c.id != S.c.user_id,
            ),
        )
        .join(I, and_(I.c.user_id == U.c.id, I.c.source == source))
        .where(S.c.run_id == run_id, ~staged)
        .distinct()
    )
    return [(user_id, external_id, dn) for user_id, external_id, dn in connection.execute(query)]


def naming_containers(
    connection: Connection, organization_id: str, source: str, run_id: int
) -> list[tuple[str, bytes, str]]:
    """Return (mapper, key, DN) of stored containers that name somebody new or moved of this run.

    Directories mend memberships of moved and deleted people without touching the container's time
    of modification, so what is stored of these containers may be out of date.
    """
    moved = or_(~S.c.known, S.c.dn != func.coalesce(I.c.dn, ""))
    person = and_(
        I.c.organization_id == organization_id,
        I.c.source == source,
        I.c.external_id == S.c.external_id,
    )
    named = (
        select(K.c.kind.label("kind"), K.c.key.label("key"))
        .select_from(S)
        .join(K, and_(K.c.run_id == S.c.run_id, K.c.user_id == S.c.user_id))
        .outerjoin(I, person)
        .where(S.c.run_id == run_id, moved)
    )
    was_named = (
        select(IK.c.kind, IK.c.key)
        .select_from(S)
        .join(IK, IK.c.user_id == S.c.user_id)
        .outerjoin(I, person)
        .where(S.c.run_id == run_id, moved, IK.c.organization_id == organization_id)
    )
    keys = union(named, was_named).subquery()
    query = (
        select(CT.c.mapper, CT.c.container_key, CT.c.dn)
        .select_from(keys)
        .join(
            MR,
            and_(
                MR.c.member_key == keys.c.key,
                MR.c.kind == keys.c.kind,
                MR.c.organization_id == organization_id,
            ),
        )
        .join(
            CT,
            and_(
                CT.c.organization_id == organization_id,
                CT.c.mapper == MR.c.mapper,
                CT.c.container_key == MR.c.container_key,
            ),
        )
        .distinct()
    )
    return [(mapper, bytes(key), dn) for mapper, key, dn in connection.execute(query)]


def stating_people(
    connection: Connection,
    organization_id: str,
    source: str,
    mapper: str,
    container_keys: Iterable[bytes],
) -> list[tuple[int, str, str]]:
    """Return (user id, external id, DN) of the living who by their own entry are in a container."""
    found: dict[int, tuple[int, str, str]] = {}
    for key in container_keys:
        query = (
            select(I.c.user_id, I.c.external_id, func.coalesce(I.c.dn, ""))
            .select_from(MR)
            .join(I, and_(I.c.user_id == MR.c.user_id, I.c.source == source))
            .join(U, U.c.id == I.c.user_id)
            .where(
                MR.c.organization_id == organization_id,
                MR.c.mapper == mapper,
                MR.c.container_key == key,
                MR.c.kind == "of",
                U.c.living,
            )
        )
        for user_id, external_id, dn in connection.execute(query):
            found[user_id] = (user_id, external_id, dn)
    return list(found.values())


def waiting_run(connection: Connection, organization_id: str) -> int | None:
    """Return the run whose plan waits for somebody to approve it."""
    found: int | None = connection.execute(
        select(func.max(RUNS.c.id)).where(
            RUNS.c.organization_id == organization_id, RUNS.c.status == "blocked", ~RUNS.c.dry
        )
    ).scalar_one()
    return found


def at_most(connection: Connection, organization_id: str, most: int) -> int:
    """Count the living people of the directory, up to ``most``."""
    few = (
        select(U.c.id)
        .where(U.c.organization_id == organization_id, U.c.living, U.c.provider == "ldap")
        .limit(most)
        .subquery()
    )
    return int(connection.execute(select(func.count()).select_from(few)).scalar_one())


def grants_at_most(
    connection: Connection, organization_id: str, mappers: Sequence[str], most: int
) -> int:
    """Count the grants of these mappers, up to ``most``."""
    G = schema.grants
    few = (
        select(G.c.user_id)
        .where(G.c.organization_id == organization_id, G.c.source.in_(mappers or ("",)))
        .limit(most)
        .subquery()
    )
    return int(connection.execute(select(func.count()).select_from(few)).scalar_one())


class ChangedReads(BearingReads):
    """The same questions as part of ``SyncStore``."""

    database: Database
    organization_id: str
    source: str

    def stored_containers(self, mapper: str, keys: Sequence[bytes]) -> dict[bytes, int | None]:
        """Return the digests of those of a mapper's containers that are stored."""
        with self.database.read() as connection:
            return stored_containers(connection, self.organization_id, mapper, keys)

    def containers_but(
        self, mapper: str, *, deleted: Sequence[str], present: frozenset[str] | None
    ) -> list[tuple[bytes, str, str]]:
        """Return (key, external id, DN) of a mapper's containers that are said to be gone."""
        with self.database.read() as connection:
            return containers_but(
                connection, self.organization_id, mapper, deleted=deleted, present=present
            )

    def living(self, external_ids: Sequence[str]) -> list[tuple[int, str, str]]:
        """Return (user id, external id, DN) of those of these people who are living."""
        with self.database.read() as connection:
            return living(connection, self.organization_id, self.source, external_ids)

    def living_but(self, present: frozenset[str], most: int) -> list[tuple[int, str, str]]:
        """Return at most ``most`` living people who are not in ``present``."""
        with self.database.read() as connection:
            return living_but(connection, self.organization_id, self.source, present, most)

    def some_living(self, start: str, most: int) -> list[tuple[int, str, str]]:
        """Return at most ``most`` living people in the order of their ids from ``start`` around."""
        with self.database.read() as connection:
            return some_living(connection, self.organization_id, self.source, start, most)

    def left_undone(self, most: int) -> list[tuple[int, str, str]]:
        """Return at most ``most`` living people of whom an earlier run left something undone."""
        with self.database.read() as connection:
            return left_undone(connection, self.organization_id, self.source, most)

    def name_holders(self, run_id: int) -> list[tuple[int, str, str]]:
        """Return unread people whose usernames staged others want."""
        with self.database.stage() as connection:
            return name_holders(connection, self.organization_id, self.source, run_id)

    def naming_containers(self, run_id: int) -> list[tuple[str, bytes, str]]:
        """Return (mapper, key, DN) of the stored containers that name somebody new or moved."""
        with self.database.stage() as connection:
            self.database.analyze(connection, S, K)
            return naming_containers(connection, self.organization_id, self.source, run_id)

    def stating_people(
        self, mapper: str, container_keys: Sequence[bytes]
    ) -> list[tuple[int, str, str]]:
        """Return the living who by their own entry are in one of these containers."""
        with self.database.read() as connection:
            return stating_people(
                connection, self.organization_id, self.source, mapper, container_keys
            )

    def waiting_run(self) -> int | None:
        """Return the run whose plan waits for somebody to approve it."""
        with self.database.read() as connection:
            return waiting_run(connection, self.organization_id)

    def at_most(self, mappers: Sequence[str], most: int) -> tuple[int, int]:
        """Count living people and grants of these mappers, each up to ``most``."""
        with self.database.read() as connection:
            return (
                at_most(connection, self.organization_id, most),
                grants_at_most(connection, self.organization_id, mappers, most),
            )
