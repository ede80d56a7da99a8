"""How many rows a sync writes into the tables that last, counted by the database itself.

PostgreSQL counts them anyway. SQLite is given triggers, after the first sync, which would pay for
them; a sync that writes nothing never meets them.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from tests.servers.postgres import Postgres

# What the directory says and what follows from it; not the books of the runs themselves.
TABLES = (
    "users",
    "identities",
    "identity_keys",
    "containers",
    "membership_refs",
    "container_ancestors",
    "roles",
    "grants",
    "groups",
    "group_parents",
    "group_ancestors",
    "group_members",
    "journal",
)


class Written(Protocol):
    """Counts rows inserted, updated and deleted since it was made."""

    def rows(self) -> int:
        """Return how many so far."""


class WrittenToSqlite:
    """Counts what is written into one SQLite store."""

    def __init__(self, path: str) -> None:
        self._path = path
        with sqlite3.connect(path) as store:
            store.execute("create table bench_written (count integer not null)")
            store.execute("insert into bench_written values (0)")
            for table in TABLES:
                for event in ("insert", "update", "delete"):
                    store.execute(
                        f"create trigger bench_{table}_{event} after {event} on {table}"  # noqa: S608 - the names are ours
                        " begin update bench_written set count = count + 1; end"
                    )

    def rows(self) -> int:
        """Return how many so far."""
        with sqlite3.connect(self._path) as store:
            return int(store.execute("select count from bench_written").fetchone()[0])


class WrittenToPostgresql:
    """Counts what is written into one database of PostgreSQL."""

    def __init__(self, postgres: Postgres, url: str) -> None:
        self._postgres = postgres
        self._database = urlsplit(url).path.lstrip("/")
        self._before = self._sum()

    def rows(self) -> int:
        """Return how many so far, by processes that have ended."""
        return self._sum() - self._before

    def _sum(self) -> int:
        names = ", ".join(f"'{table}'" for table in TABLES)
        found = self._postgres.sql(
            "select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) from pg_stat_user_tables"  # noqa: S608 - the names are ours
            f" where relname in ({names})",
            self._database,
        )
        return int(found.strip())
