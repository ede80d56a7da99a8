"""Lets all stores of a test process share what SQLAlchemy has compiled.

Each test opens a store of its own, and a new engine compiles every statement anew: that was more
than a third of what the store's tests cost. Engines of one dialect and one process differ in
nothing that a compiled statement holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

if TYPE_CHECKING:
    from sqlalchemy import Connection

STATEMENTS = 5_000


def share() -> None:
    """Let engines of one dialect take each other's statements from now on."""
    compiled: LRUCache[Any, Any] = LRUCache(STATEMENTS)
    for dialect in (SQLiteDialect_pysqlite, PGDialect_psycopg):
        # A statement is found by its dialect among others, which is the engine's own object.
        dialect.__hash__ = lambda self: hash(type(self))  # type: ignore[method-assign]
        dialect.__eq__ = lambda self, other: type(self) is type(other)  # type: ignore[method-assign]

    @event.listens_for(Engine, "engine_connect")
    def connected(connection: Connection) -> None:
        connection.engine._compiled_cache = compiled
