"""One run at a time in an organization: a lease with a fencing token.

The token grows with every holder. A batch of writes holds the row of its own token; a takeover has
to change it and so waits for the batch, after which the old holder finds its token gone. Whether a
lease has run out is for the database's clock to say, not for this machine's.
"""

from __future__ import annotations

import os
import socket
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import func, insert, select, update

from syncd.errors import ConstraintViolated, LeaseHeld, LeaseLost, StoreError
from syncd.store import schema

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from syncd.store.database import Database

L = schema.leases
LEASE_SECONDS = 30
HEARTBEAT_SECONDS = 8
# A batch that says nothing for so long is rolled back by the server: a stopped process must not
# keep the row from those who take over once the lease has run out.
SILENCE_SECONDS = 20


class Lease:
    """The right to sync one organization; a context manager that gives it back."""

    def __init__(self, database: Database, organization_id: str) -> None:
        self.database = database.of(organization_id)
        self.organization_id = organization_id
        self.token = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.acquire()
        try:
            self.database.ensure_stage()
        except BaseException:
            self.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lease, or raise LeaseHeld."""
        try:
            self._take()
        except ConstraintViolated:
            # The organization's very first lease, and another process took it at that moment.
            self._take()
        if self.database.dialect == "postgresql":
            self._thread = threading.Thread(target=self._beat, name="lease heartbeat", daemon=True)
            self._thread.start()

    def _take(self) -> None:
        mine = select(L).where(L.c.organization_id == self.organization_id)
        with self.database.write() as connection:
            now = clock(connection)
            # Looked at before it is locked: a batch of the holder's may keep the row for long.
            row: Any = None
            for query in (mine, mine.with_for_update()):
                row = connection.execute(query).one_or_none()
                if row is not None and is_held(connection, row, now):
                    message = (
                        f"{row.holder} has been syncing {self.organization_id} since "
                        f"{row.acquired_at:%Y-%m-%d %H:%M:%S}Z; wait for it, or see `syncd status`"
                    )
                    raise LeaseHeld(message)
            values = {
                "holder": f"{socket.gethostname()} process {os.getpid()}",
                "process_id": os.getpid(),
                "boot_id": _process_identity(os.getpid()),
                "run_id": None,
                "acquired_at": now,
                "expires_at": now + timedelta(seconds=LEASE_SECONDS),
            }
            if row is None:
                self.token = 1
                connection.execute(
                    insert(L).values(
                        organization_id=self.organization_id, token=self.token, **values
                    )
                )
            else:
                self.token = row.token + 1
                connection.execute(
                    update(L)
                    .where(L.c.organization_id == self.organization_id)
                    .values(token=self.token, **values)
                )

    def hold(self, connection: Connection) -> None:
        """Make sure, inside a write transaction, that the lease is still ours until its end."""
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(
                f"SET LOCAL idle_in_transaction_session_timeout = '{SILENCE_SECONDS}s'"
            )
        held = connection.execute(
            select(L.c.token)
            .where(L.c.organization_id == self.organization_id, L.c.token == self.token)
            .with_for_update(read=True, key_share=True)
        ).one_or_none()
        if held is None:
            message = (
                f"another run has taken {self.organization_id} over; this one stopped and wrote "
                "nothing more"
            )
            raise LeaseLost(message)

    def extend(self, connection: Connection) -> None:
        """Move the expiry on; the token's row lock stays out of it."""
        connection.execute(
            update(L)
            .where(L.c.organization_id == self.organization_id, L.c.token == self.token)
            .values(expires_at=clock(connection) + timedelta(seconds=LEASE_SECONDS))
        )

    def release(self) -> None:
        """Give the lease back; quiet when the store is gone, because the lease then runs out."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(HEARTBEAT_SECONDS)
        try:
            with self.database.write() as connection:
                connection.execute(
                    update(L)
                    .where(L.c.organization_id == self.organization_id, L.c.token == self.token)
                    .values(expires_at=clock(connection), process_id=None)
                )
        except StoreError:
            return

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            try:
                with self.database.write() as connection:
                    self.extend(connection)
            except StoreError:
                # The next batch finds out whether the lease still stands.
                continue


def is_held(connection: Connection, row: Any, now: datetime) -> bool:  # noqa: ANN401 - a row
    """Tell whether a lease stands.

    A heartbeat keeps it on PostgreSQL. SQLite has one writer at a time, whom a heartbeat would have
    to wait for, so there the process itself does.
    """
    if row.process_id is None or _is_dead(row.process_id, row.boot_id):
        return False
    if connection.dialect.name == "sqlite" and row.boot_id is not None:
        alive = _process_identity(row.process_id) == row.boot_id
        return alive or bool(row.expires_at > now)
    return bool(row.expires_at > now)


def clock(connection: Connection) -> datetime:
    """Return the database's time; SQLite has only its machine's."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return now.astimezone(UTC)


def _process_identity(process_id: int) -> str | None:
    """Name a process so that neither a reboot, a re-used id nor another container mistakes it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
        started = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1]
    except OSError:
        return None
    return f"{boot} {namespace} {started.split()[19]}"


def _is_dead(process_id: int | None, identity: str | None) -> bool:
    """Tell whether the holder was a process of this machine that has ended."""
    if process_id is None or identity is None:
        return False
    own = _process_identity(os.getpid())
    if own is None:
        return False
    if own.rsplit(" ", 1)[0] != identity.rsplit(" ", 1)[0]:
        # Another boot of this machine, another machine or another container: only time can tell,
        # except that nothing of an earlier boot is alive on a local file.
        return False
    return _process_identity(process_id) != identity
