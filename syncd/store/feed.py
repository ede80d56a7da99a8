"""The order in which changes were committed, for those who follow them.

A transaction that changes something ends with ``take_position``. The organization's head is locked
by it until the commit, so positions are taken and committed in one order: whoever has read up to a
position has missed nothing below it, however long another transaction took.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, text, update

from syncd.store import schema
from syncd.store.leases import clock
from syncd.store.staging import allocate

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from syncd.store.database import Database

COMMITS, HEADS = schema.commits, schema.feed_heads
# On PostgreSQL those who listen are told of each commit; the payload is the organization's id.
CHANNEL = "syncd_changes"


def new_ids(database: Database, *kinds: str) -> list[int]:
    """Take one id of each kind, in a transaction of their own.

    Not in the caller's, which would keep every other writer waiting until its end.
    """
    with database.write_ahead() as connection:
        return [allocate(connection, kind, 1) for kind in kinds]


def take_position(
    connection: Connection, organization_id: str, commit_id: int, change_set_id: int
) -> int:
    """Give the transaction its place in the feed; the last thing that it does."""
    step = (
        update(HEADS)
        .where(HEADS.c.organization_id == organization_id)
        .values(position=HEADS.c.position + 1)
        .returning(HEADS.c.position)
    )
    position: int | None = connection.execute(step).scalar_one_or_none()
    if position is None:
        begin_feed(connection, organization_id)
        position = int(connection.execute(step).scalar_one())
    connection.execute(
        insert(COMMITS).values(
            organization_id=organization_id,
            position=position,
            commit_id=commit_id,
            change_set_id=change_set_id,
            at=clock(connection),
        )
    )
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_notify(%s, %s)", (CHANNEL, organization_id))
    return position


def begin_feed(connection: Connection, organization_id: str) -> None:
    """Make sure that the organization has a head; two may try at once."""
    statement = (
        "INSERT INTO feed_heads (organization_id, position) VALUES (:organization_id, 0) "
        "ON CONFLICT DO NOTHING"
    )
    connection.execute(text(statement), {"organization_id": organization_id})
