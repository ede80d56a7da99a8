"""Bulk work around the stage: what is stored already, and filling the stage fast.

Nothing here decides anything. COPY on PostgreSQL, one prepared multi-row insert on SQLite.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select, update

from syncd.records import batched
from syncd.store import schema
from syncd.store.database import driver

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Select, Table

    from syncd.store.database import Database


# More than a page of any server, fewer than a statement of any database takes.
IN_LIST = 10_000


class StoredPerson(NamedTuple):
    """What a comparison needs of a stored person."""

    user_id: int
    fingerprint: bytes
    living: bool
    # Of the raw entry; None when it has to be read anew.
    digest: int | None


class DigestTable:
    """The stored digests of one listing, sorted, with a mark for each that was seen again.

    17 bytes an entry, so that a million people fit beside everything else. A digest is 64 bits of a
    keyed hash: that a changed entry meets somebody's stored digest by chance happens once in
    10**13 changed entries among a million, and nobody without the key can make it happen.
    """

    __slots__ = ("digests", "ids", "marks", "seen")

    def __init__(self, digests: array[int], ids: array[int]) -> None:
        self.digests, self.ids = digests, ids
        self.marks = bytearray(len(digests))
        self.seen = 0

    def __len__(self) -> int:
        return len(self.digests)

    def mark(self, digest: int) -> bool:
        """Mark the entry with this digest as seen; False when no such entry is stored."""
        digests = self.digests
        position = bisect_left(digests, digest)
        if position == len(digests) or digests[position] != digest:
            return False
        self.marks[position] = 1
        self.seen += 1
        return True

    def unseen(self) -> list[int]:
        """Return the ids of all entries without a mark."""
        ids = self.ids
        return [ids[i] for i, mark in enumerate(self.marks) if not mark]

    def undigested(self, count: int) -> list[int]:
        """Return which of the ids below ``count`` have no digest."""
        return sorted(set(range(count)).difference(self.ids))

    def seen_among(self, ids: set[int]) -> set[int]:
        """Return those of ``ids`` that were marked."""
        if not ids or not self.seen:
            return set()
        own = self.ids
        return {own[i] for i, mark in enumerate(self.marks) if mark and own[i] in ids}


def load_digests(connection: Connection, organization: str, source: str) -> DigestTable:
    """Read the digests of all living people of a source, in their order."""
    identities = schema.identities
    query = (
        select(identities.c.digest, identities.c.user_id)
        .where(
            identities.c.organization_id == organization,
            identities.c.source == source,
            identities.c.digest.is_not(None),
        )
        .order_by(identities.c.digest)
    )
    digests, ids = array("q"), array("q")
    for rows in _partitions(connection, query):
        for digest, user_id in rows:
            digests.append(digest)
            ids.append(user_id)
    return DigestTable(digests, ids)


def load_container_digests(
    connection: Connection, organization: str, mapper: str
) -> tuple[DigestTable, list[bytes]]:
    """Read the digests of a mapper's containers; the table's ids index the list of keys."""
    containers = schema.containers
    query = (
        select(containers.c.digest, containers.c.container_key)
        .where(containers.c.organization_id == organization, containers.c.mapper == mapper)
        .order_by(containers.c.digest)
    )
    digests, ids = array("q"), array("q")
    keys: list[bytes] = []
    for rows in _partitions(connection, query):
        for digest, key in rows:
            keys.append(bytes(key))
            if digest is not None:
                digests.append(digest)
                ids.append(len(keys) - 1)
    return DigestTable(digests, ids), keys


def is_empty(connection: Connection, organization: str, source: str) -> bool:
    """Tell whether nobody of a source is stored."""
    identities = schema.identities
    query = (
        select(identities.c.user_id)
        .where(identities.c.organization_id == organization, identities.c.source == source)
        .limit(1)
    )
    return connection.execute(query).first() is None


def stored_people(
    connection: Connection, organization: str, source: str, external_ids: Sequence[str]
) -> dict[str, StoredPerson]:
    """Read what is stored of the people with these external ids, in one query or very few."""
    found: dict[str, StoredPerson] = {}
    for part in batched(external_ids, IN_LIST):
        found |= _stored_people(connection, organization, source, part)
    return found


def _stored_people(
    connection: Connection, organization: str, source: str, external_ids: Sequence[str]
) -> dict[str, StoredPerson]:
    identities, users = schema.identities, schema.users
    query = (
        select(
            identities.c.external_id,
            identities.c.user_id,
            identities.c.fingerprint,
            users.c.living,
            identities.c.digest,
        )
        .join(users, users.c.id == identities.c.user_id)
        .where(
            identities.c.organization_id == organization,
            identities.c.source == source,
            identities.c.external_id.in_(external_ids),
        )
    )
    return {
        row[0]: StoredPerson(row[1], bytes(row[2]), bool(row[3]), row[4])
        for row in connection.execute(query)
    }


def allocate(connection: Connection, name: str, count: int) -> int:
    """Take ``count`` ids of a kind; return the first. Runs in a write transaction."""
    allocators = schema.allocators
    statement = (
        update(allocators)
        .where(allocators.c.name == name)
        .values(next=allocators.c.next + count)
        .returning(allocators.c.next)
    )
    after: int = connection.execute(statement).scalar_one()
    return after - count


@lru_cache(maxsize=4096)
def time_of(text: str, dialect: str) -> object:
    """Return a time of a record as a bulk insert writes it."""
    moment = datetime.fromisoformat(text).astimezone(UTC)
    if dialect == "sqlite":
        # As SQLAlchemy writes it, so that times compare as text.
        return moment.replace(tzinfo=None).isoformat(" ", "microseconds")
    return moment


def bulk_insert(
    database: Database, connection: Connection, table: Table, rows: Iterable[Sequence[Any]]
) -> None:
    """Insert rows (values in the order of the table's columns) as fast as the database can."""
    if database.dialect == "postgresql":
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        with driver(connection).cursor().copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            write = copy.write_row
            for row in rows:
                write(row)
        return
    schema_name = f"{table.schema}." if table.schema else ""
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    marks = ", ".join("?" * len(table.columns))
    statement = f"INSERT INTO {schema_name}{table.name} ({names}) VALUES ({marks})"  # noqa: S608
    driver(connection).executemany(statement, rows)


def _partitions(connection: Connection, query: Select[Any]) -> Iterable[Sequence[Any]]:
    """Stream a large result in parts, so that it never stands in memory whole."""
    options = {"stream_results": True, "max_row_buffer": 20_000}
    yield from connection.execute(query, execution_options=options).partitions(20_000)
