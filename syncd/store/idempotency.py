"""What was answered to requests that may be sent again: kept for a day, under the sender's key."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import and_, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from syncd.store import schema
from syncd.store.leases import clock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from syncd.store.database import Database

K = schema.idempotency_keys
KEPT = timedelta(hours=24)


class Kept(NamedTuple):
    """What is known of an earlier request under the same key."""

    # Whether it asked the same.
    same: bool
    # None while it is under way, or when nobody knows how it ended.
    status: int | None
    headers: dict[str, str]
    body: str


class IdempotencyKeys:
    """The keys of one sender in one organization."""

    def __init__(self, database: Database, organization_id: str, principal: str) -> None:
        self.database = database
        self.organization_id = organization_id
        self.principal = principal

    def begin(self, key: str, request_hash: bytes) -> Kept | None:
        """Take a key for a request; None if it is new, else what is known of the earlier one."""
        with self.database.write() as connection:
            now = clock(connection)
            old = K.c.at < now - KEPT
            connection.execute(delete(K).where(self._row(key), old))
            kind = postgresql if connection.dialect.name == "postgresql" else sqlite
            taken = kind.insert(K).values(
                organization_id=self.organization_id,
                principal=self.principal,
                key=key,
                request_hash=request_hash,
                at=now,
            )
            if connection.execute(taken.on_conflict_do_nothing()).rowcount == 1:
                return None
            row = connection.execute(select(K).where(self._row(key))).one()
        return Kept(
            same=bytes(row.request_hash) == request_hash,
            status=row.status,
            headers=json.loads(row.headers or "{}"),
            body=row.body or "",
        )

    def end(self, key: str, status: int, headers: Mapping[str, str], body: str) -> None:
        """Keep the answer."""
        with self.database.write() as connection:
            connection.execute(
                update(K)
                .where(self._row(key))
                .values(status=status, headers=json.dumps(dict(headers)), body=body)
            )

    def forget(self, key: str) -> None:
        """Let the key be new again: nothing was done."""
        with self.database.write() as connection:
            connection.execute(delete(K).where(self._row(key)))

    def _row(self, key: str) -> ColumnElement[bool]:
        return and_(
            K.c.organization_id == self.organization_id,
            K.c.principal == self.principal,
            K.c.key == key,
        )


def prune_keys(connection: Connection, now: datetime) -> int:
    """Remove the keys that are too old; return how many they were."""
    return connection.execute(delete(K).where(K.c.at < now - KEPT)).rowcount
