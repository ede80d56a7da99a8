"""Opens the store: engines for SQLite and PostgreSQL, transactions, and the border to SQLAlchemy.

A transaction is one of three: ``read``, ``write`` (on SQLite BEGIN IMMEDIATE, so that it waits for
the lock at its beginning and never fails in its middle) and ``stage`` (on SQLite a deferred BEGIN
that locks nothing but the attached stage).

On PostgreSQL each transaction says of which organization it is, and row-level security shows it
that organization's rows alone; see ``Database.of``.
"""

from __future__ import annotations

import contextlib
import copy
import os
import sqlite3
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool

from syncd.errors import ConstraintViolated, StoreError, StoreUnavailable, UsageError, cut
from syncd.store import schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from sqlalchemy import Connection, Engine

# The setting of a PostgreSQL transaction that its policies ask, and its value for the daemon's own
# work across organizations. Without it nothing is seen.
ORGANIZATION, EVERY = "syncd.organization", "*"
# What several statements find is of one moment: as on SQLite, where every transaction is so.
BEGIN_BY_KEY = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
BY_KEY = "".join(
    f"; SET LOCAL {name} = {value}"
    for name, value in (
        ("enable_seqscan", "off"),
        ("enable_bitmapscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("max_parallel_workers_per_gather", "0"),
        # A plan for whatever role or group is one for the middling: a large one takes it seconds.
        ("plan_cache_mode", "force_custom_plan"),
    )
)
# What lists of ids lead to is found in one way, whichever ids they are.
PLAN_ONCE = "SET LOCAL plan_cache_mode = force_generic_plan"
BUSY_TIMEOUT_SECONDS = 30
SQLITE_NEEDED = (3, 35)
# Tells SQLite's stage of one program from that of another, which may lack a column.
STAGE_VERSION = (
    zlib.crc32(
        repr(
            [(table.name, *table.columns.keys()) for table in schema.stage_metadata.sorted_tables]
        ).encode()
    )
    >> 1
)


class Database:
    """One store, opened; ``stage`` names the folder-mate file that SQLite attaches as its stage."""

    def __init__(self, url: str, *, stage: str = "stage") -> None:
        try:
            self.url = make_url(url)
        except sqlalchemy.exc.ArgumentError as error:
            message = (
                "store.url is not a database URL; write sqlite:///PATH or postgresql+psycopg://…"
            )
            raise StoreError(message) from error
        self.dialect = self.url.get_backend_name()
        if self.dialect not in {"sqlite", "postgresql"}:
            message = f"store.url names {self.dialect}; sqlite and postgresql+psycopg are supported"
            raise StoreError(message)
        self.stage_path: Path | None = None
        self.organization_id = EVERY
        if self.dialect == "sqlite":
            self.engine = self._sqlite(stage)
        else:
            self.engine = self._postgresql()

    @property
    def name(self) -> str:
        """The store as an operator knows it, without its password."""
        return self.url.render_as_string(hide_password=True)

    def of(self, organization_id: str) -> Self:
        """Return the same store as one organization's work sees it; its connections are shared.

        On PostgreSQL its transactions see and write rows of this organization alone, and read what
        the product brings. On SQLite there is no such wall.
        """
        if organization_id == self.organization_id:
            return self
        other = copy.copy(self)
        other.organization_id = organization_id
        return other

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def _sqlite(self, stage: str) -> Engine:
        if sqlite3.sqlite_version_info < SQLITE_NEEDED:
            message = f"SQLite {sqlite3.sqlite_version} is too old; 3.35 or later is needed"
            raise StoreError(message)
        if not self.url.database or self.url.database == ":memory:":
            message = "store.url must name a file, as in sqlite:///var/syncd.db"
            raise StoreError(message)
        path = Path(self.url.database)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._error(error) from error
        self.stage_path = path.with_name(f"{path.name}-{stage}")
        for file in (path, self.stage_path):
            self._create_private(file)
        engine = sqlalchemy.create_engine(
            self.url,
            # Kept open: closing the last connection makes SQLite write its whole log back.
            poolclass=QueuePool,
            pool_size=2,
            # A failed statement's message goes to the log: without addresses and hashes in it.
            hide_parameters=True,
            # An operator may set another one: sqlite:///PATH?timeout=SECONDS.
            connect_args={"check_same_thread": False}
            | ({} if "timeout" in self.url.query else {"timeout": BUSY_TIMEOUT_SECONDS}),
        )

        @event.listens_for(engine, "connect")
        def connect(connection: sqlite3.Connection, _record: object) -> None:
            # The driver must not begin transactions by itself: ``begin`` below does.
            connection.isolation_level = None
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA cache_size = -24000")
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
            # The stage is worth nothing after a power cut: it is filled anew by the next run.
            try:
                connection.execute("ATTACH DATABASE ? AS stage", (str(self.stage_path),))
                connection.execute("PRAGMA stage.journal_mode = WAL")
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
                    raise
                self._drop_stage()
                connection.execute("ATTACH DATABASE ? AS stage", (str(self.stage_path),))
                connection.execute("PRAGMA stage.journal_mode = WAL")
            connection.execute("PRAGMA stage.synchronous = OFF")
            # It is filled once, in order, and read a few times: four times as much won no time.
            connection.execute("PRAGMA stage.cache_size = -4000")

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            write = connection.get_execution_options().get("syncd_write", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

        return engine

    def _create_private(self, path: Path) -> None:
        """Make a new file that only its owner may read: people and keys are in it."""
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            return
        except OSError as error:
            raise self._error(error) from error

    def _postgresql(self) -> Engine:
        url = self.url
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        engine = sqlalchemy.create_engine(
            url,
            pool_pre_ping=True,
            hide_parameters=True,
            pool_size=2,
            max_overflow=8,
            connect_args={"connect_timeout": 10, "application_name": "syncd"},
        )
        # As on SQLite, whoever holds a lock for ever must not hold a sync for ever. An operator may
        # set another one: ?options=-c%20lock_timeout=SECONDSs.
        timeout = "lock_timeout" not in str(url.query.get("options", ""))

        @event.listens_for(engine, "connect")
        def connect(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own
            connection.autocommit = True
            # Compiling a plan's statements takes longer than running them.
            connection.execute("SET jit = off")
            if timeout:
                connection.execute(f"SET lock_timeout = '{BUSY_TIMEOUT_SECONDS}s'")
            # And stays so: ``begin`` below begins transactions, in one round trip with what they
            # are of; the driver would take one of its own.

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            whose = str(connection.get_execution_options().get("syncd_organization", EVERY))
            quoted = whose.replace("'", "''").replace("%", "%%")
            setting = f"SET LOCAL {ORGANIZATION} = '{quoted}'"
            if connection.get_execution_options().get("syncd_by_key", False):
                words = f"{BEGIN_BY_KEY}; {setting}{BY_KEY}"
            else:
                words = f"BEGIN; {setting}"
            connection.exec_driver_sql(words)

        return engine.execution_options(schema_translate_map={schema.STAGE: None})

    def ensure_stage(self) -> None:
        """Make sure that SQLite's stage is there, and is this program's.

        A restored store comes without one, an upgraded one with that of the program before.
        """
        if self.stage_path is None:
            return
        with self.stage() as connection:
            if connection.exec_driver_sql("PRAGMA stage.user_version").scalar() == STAGE_VERSION:
                schema.stage_metadata.create_all(connection)
                return
        self.empty_stage()

    def empty_stage(self) -> None:
        """Throw SQLite's attached stage away and make it anew; the caller holds the lease."""
        if self.stage_path is None:
            return
        self.engine.dispose()
        self._drop_stage()
        with self.stage() as connection:
            schema.stage_metadata.create_all(connection)
            connection.exec_driver_sql(f"PRAGMA stage.user_version = {STAGE_VERSION}")

    def _drop_stage(self) -> None:
        if self.stage_path is None:
            return
        try:
            for suffix in ("", "-wal", "-shm", "-journal"):
                self.stage_path.with_name(self.stage_path.name + suffix).unlink(missing_ok=True)
        except OSError as error:
            raise self._error(error) from error
        self._create_private(self.stage_path)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Connection]:
        with self.translated(), self.engine.connect() as connection:
            yield connection.execution_options(syncd_organization=self.organization_id)

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection for reading."""
        with self._connected() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def read_by_key(self) -> Iterator[Connection]:
        """Yield a connection for reading what few keys lead to, however much there is.

        PostgreSQL goes from index to index then. By itself it reads a table of ten thousand groups
        whole rather than looking a hundred of them up, and is slower by that.
        """
        with self._connected() as connection:
            keyed = connection.execution_options(syncd_by_key=True)
            with keyed.begin():
                yield keyed

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection in a write transaction, committed at the end."""
        with self._connected() as connection:
            writing = connection.execution_options(syncd_write=True)
            with writing.begin():
                yield writing

    @contextlib.contextmanager
    def write_ahead(self) -> Iterator[Connection]:
        """Yield a write transaction whose commit need not be on disk yet when it returns.

        Commits reach the disk in order: a later ``write`` takes these with it, and a crash before
        that loses the newest of them whole, as if they had not been made.
        """
        with self.write() as connection:
            if self.dialect == "postgresql":
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            yield connection

    @contextlib.contextmanager
    def stage(self) -> Iterator[Connection]:
        """Yield a connection in a transaction that writes the stage only."""
        with self._connected() as connection, connection.begin():
            yield connection

    def analyze(self, connection: Connection, *tables: sqlalchemy.Table) -> None:
        """Tell the planner what has just been filled."""
        if self.dialect == "sqlite":
            connection.exec_driver_sql("PRAGMA analysis_limit = 400")
            for table in tables:
                name = f"{table.schema}." if table.schema else ""
                connection.exec_driver_sql(f"ANALYZE {name}{table.name}")
            return
        # A tenth of the usual sample: these tables are even, and there are many of them. Another
        # organization that plans now keeps the tables' locks until its plan is made; what it found
        # out about them will do.
        connection.exec_driver_sql("SET LOCAL default_statistics_target = 10")
        # A function of the owner's: an account that only uses the tables may not ANALYZE them.
        connection.execute(
            sqlalchemy.text("SELECT syncd_analyze(:names)"),
            {"names": [table.name for table in tables]},
        )

    def give_room(self, connection: Connection) -> None:
        """Let PostgreSQL sort and join what a plan is made of in memory, for this transaction."""
        if self.dialect == "postgresql":
            connection.exec_driver_sql("SET LOCAL work_mem = '64MB'")

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Turn what the database and its driver raise into the project's errors."""
        try:
            yield
        except sqlalchemy.exc.IntegrityError as error:
            message = (
                f"the store {self.name} has another writer's row in the way: {cut(error.orig)}"
            )
            raise ConstraintViolated(message) from error
        except sqlalchemy.exc.DBAPIError as error:
            raise self._error(error.orig or error) from error
        except sqlalchemy.exc.SQLAlchemyError as error:
            message = f"the store {self.name} failed: {cut(error)}"
            raise StoreError(message) from error
        except sqlite3.Error as error:
            raise self._error(error) from error
        except UnicodeEncodeError as error:
            # The drivers encode what they are given; only an argument can be other than text.
            raise UsageError(
                "something that was given is not in UTF-8; write it in that encoding"
            ) from error
        except Exception as error:
            # COPY goes through the driver itself, whose errors SQLAlchemy does not wrap.
            if type(error).__module__.partition(".")[0] != "psycopg":
                raise
            raise self._error(error) from error

    def _error(self, error: BaseException) -> StoreError:
        text = cut(error)
        low = text.lower()
        advice = "see the database's own log"
        unavailable = True
        if "locked" in low or "busy" in low or "lock timeout" in low:
            advice = "another process holds it; wait for it to end, or find it with `syncd status`"
        elif "readonly" in low or "read-only" in low or "read only" in low:
            advice = (
                "give this user the right to write the file and its folder"
                if self.dialect == "sqlite"
                else "let store.url name a database that may be written, not a standby"
            )
        elif "disk i/o error" in low:
            # Also what SQLite says of a file that has reached the largest size allowed.
            advice = "look at the disk, its free space and this user's limits, then run again"
        elif self.dialect == "postgresql" and "permission denied" in low:
            advice = "give the role in store.url the right to it, as `syncd db upgrade` does"
            unavailable = False
        elif "full" in low or "no space" in low:
            advice = "free some space on its disk and run again; nothing is lost"
        elif "unable to open" in low or isinstance(error, PermissionError):
            advice = "check that the folder exists and this user may write there"
        elif "malformed" in low or "not a database" in low:
            advice = "the file is damaged or not a database; restore it from a backup"
            unavailable = False
        elif self.dialect == "postgresql" and _is_connection_loss(error):
            advice = "check that it runs and that store.url is right; then run again"
        elif self.dialect == "postgresql":
            unavailable = False
        kind: type[StoreError] = StoreUnavailable if unavailable else StoreError
        return kind(f"the store {self.name} cannot be used: {text}; {advice}")


def _is_connection_loss(error: BaseException) -> bool:
    import psycopg  # noqa: PLC0415 - only a PostgreSQL store pays for the driver

    silent = psycopg.errors.IdleInTransactionSessionTimeout
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | silent)


def plan_once(connection: Connection) -> None:
    """Let a statement of this transaction be planned once and not for each list of ids anew.

    Planning is dearer than looking a hundred ids up. Statements that the values decide about, such
    as a walk through whatever role, had better be executed before.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(PLAN_ONCE)


def driver(connection: Connection) -> Any:  # noqa: ANN401 - the DBAPI's own connection
    """Return the driver's connection below SQLAlchemy's, for bulk work."""
    return connection.connection.driver_connection
