"""One run at a time in an organization: leases, takeovers and zombies."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from syncd.errors import LeaseHeld, LeaseLost, StoreUnavailable
from syncd.store import schema
from syncd.store.leases import Lease, _process_identity, clock
from tests.store.organization import Organization, record

if TYPE_CHECKING:
    from collections.abc import Iterator

# Another process takes the lease, says so, and holds it until its standard input ends.
HOLDER = """
import sys
from syncd.store.database import Database
from syncd.store.leases import Lease
with Lease(Database(sys.argv[1], stage="stage-acme"), "acme"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def free(store_url: str) -> Iterator[Organization]:
    """An organization that nobody holds."""
    organization = Organization(store_url)
    yield organization
    organization.database.close()


@pytest.fixture
def holder(free: Organization) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the organization."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, free.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def token(organization: Organization) -> int:
    """Return the token of the current holder."""
    (row,) = organization.rows(schema.leases)
    return int(row["token"])


def expire(organization: Organization) -> None:
    """Let the lease's time be over, by the database's clock."""
    with organization.database.write() as connection:
        connection.execute(schema.leases.update().values(expires_at=clock(connection)))


def elsewhere(organization: Organization) -> None:
    """Let the holder be a process of another machine, of which only time can tell."""
    organization.execute("UPDATE leases SET boot_id = 'another machine', holder = 'elsewhere'")


@pytest.mark.rule("2.14.1", server="sqlite")
@pytest.mark.rule("2.14.1", server="postgresql")
def test_a_second_holder_is_refused_and_told_who_holds(
    free: Organization, holder: subprocess.Popen[str]
) -> None:
    """The refusal names the other process; its exit code is that of a run that waits."""
    with pytest.raises(LeaseHeld, match=f"{socket.gethostname()} process {holder.pid}") as caught:
        free.store.lease.acquire()
    assert (caught.value.exit_code, caught.value.retryable) == (6, True)
    lease = free.people.status()["lease"]
    assert lease["holder"].endswith(f"process {holder.pid}")


@pytest.mark.rule("2.14.1", server="sqlite")
@pytest.mark.rule("2.14.1", server="postgresql")
def test_a_lease_that_was_given_back_is_taken_with_a_higher_token(
    free: Organization, holder: subprocess.Popen[str]
) -> None:
    """The end of one run lets the next one in, and the token grows."""
    before = token(free)
    assert holder.stdin is not None
    holder.stdin.close()
    assert holder.wait() == 0
    assert free.people.status()["lease"] is None
    with free.leased():
        assert token(free) == before + 1


def test_a_dead_process_of_this_machine_is_taken_over_at_once(
    free: Organization, holder: subprocess.Popen[str]
) -> None:
    """Nobody waits for a killed process's lease to run out."""
    holder.kill()
    holder.wait()
    with free.leased():
        assert token(free) == 2


def test_a_reused_process_id_is_not_the_holder(free: Organization) -> None:
    """A process that has the dead holder's id but began later does not keep the lease."""
    free.store.lease.acquire()
    boot, namespace, _ = str(_process_identity(os.getpid())).split()
    free.execute("UPDATE leases SET boot_id = :id", id=f"{boot} {namespace} 1")
    again = Lease(free.database, free.id)
    again.acquire()
    assert again.token == 2
    again.release()


def test_a_holder_elsewhere_is_waited_for_until_its_time_is_over(free: Organization) -> None:
    """Another machine's process cannot be looked at: the clock decides."""
    free.store.lease.acquire()
    elsewhere(free)
    other = Organization(free.url)
    with pytest.raises(LeaseHeld, match="elsewhere"):
        other.store.lease.acquire()
    expire(other)
    with other.leased():
        assert token(other) == 2
    other.database.close()


def test_two_who_begin_at_once_end_as_one_holder(free: Organization) -> None:
    """The very first lease of an organization is taken by one of many, the others are refused."""
    ends: list[str] = []
    start = threading.Barrier(4)

    def take() -> None:
        own = Organization(free.url)
        start.wait()
        try:
            own.store.lease.acquire()
            ends.append("held")
        except LeaseHeld:
            ends.append("refused")
        finally:
            own.database.close()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["held", "refused", "refused", "refused"]
    assert token(free) == 1


@pytest.mark.rule("2.14.1", server="sqlite")
@pytest.mark.rule("2.14.1", server="postgresql")
def test_a_zombie_writes_nothing_more(free: Organization) -> None:
    """Whoever was taken over finds his token gone before each write, and stops."""
    free.store.lease.acquire()
    free.sync(record("p1"))
    planned = free.plan(record("p2"), record("p3"))
    free.store.begin_apply(planned.run_id, "sync", None, settles=True)
    progress = free.store.apply(planned.run_id, 1)
    next(progress)
    elsewhere(free)
    expire(free)
    other = Organization(free.url)
    other.store.lease.acquire()

    with pytest.raises(LeaseLost) as caught:
        next(progress)
    assert caught.value.exit_code == 6
    for write in (
        lambda: free.store.begin_apply(planned.run_id, "sync", None, settles=True),
        lambda: free.store.finish(planned.run_id, "done", {}),
    ):
        with pytest.raises(LeaseLost, match="wrote nothing more"):
            write()
    assert sorted(user["username"] for user in free.people.users()) == ["p1", "p2"]
    (row,) = free.rows(schema.runs, id=planned.run_id)
    assert row["status"] == "applying"
    # What the zombie gives back at its end is not the new holder's.
    free.store.lease.release()
    assert other.people.status()["lease"] is not None
    assert list(other.store.apply(planned.run_id, 1)) == [(2, 2)]
    other.store.lease.release()
    other.database.close()


def test_the_heartbeat_moves_the_expiry_of_its_own_lease_only(free: Organization) -> None:
    """Extending keeps the token; after a takeover it does nothing."""
    free.store.lease.acquire()
    expire(free)
    (before,) = free.rows(schema.leases)
    with free.database.write() as connection:
        free.store.lease.extend(connection)
    (after,) = free.rows(schema.leases)
    assert after["expires_at"] > before["expires_at"]
    assert after["token"] == before["token"]
    free.execute("UPDATE leases SET token = token + 1")
    expire(free)
    (before,) = free.rows(schema.leases)
    with free.database.write() as connection:
        free.store.lease.extend(connection)
    assert free.rows(schema.leases) == [before]
    free.store.lease.release()


def test_a_batch_holds_a_takeover_off_but_not_the_heartbeat(
    postgres_template: str, request: pytest.FixtureRequest
) -> None:
    """On PostgreSQL the token's row is locked FOR KEY SHARE: a new token waits, an expiry not."""
    cluster = request.getfixturevalue("postgres")
    with cluster.database(postgres_template) as url:
        acme, other = Organization(url), Organization(url)
        acme.store.lease.acquire()
        with acme.database.write() as batch:
            acme.store.lease.hold(batch)
            with other.database.write() as beat:
                beat.execute(text("SET LOCAL lock_timeout = '50ms'"))
                acme.store.lease.extend(beat)
            with pytest.raises(StoreUnavailable, match="lock timeout"):
                other.execute(
                    "SELECT set_config('lock_timeout', '50ms', true);"
                    " UPDATE leases SET token = token + 1"
                )
            # A newcomer who may not take over is told so at once, batch or no batch.
            with pytest.raises(LeaseHeld):
                other.store.lease.acquire()
        other.execute("UPDATE leases SET token = token + 1")
        with pytest.raises(LeaseLost), acme.database.write() as batch:
            acme.store.lease.hold(batch)
        acme.store.lease.release()
        for each in (acme, other):
            each.database.close()


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_batch_on_sqlite_keeps_every_other_writer_out(store_url: str) -> None:
    """On SQLite the write transaction is the lock: a takeover waits, and gives up in the end."""
    acme, impatient = Organization(store_url), Organization(f"{store_url}?timeout=0")
    acme.store.lease.acquire()
    with acme.database.write() as batch:
        acme.store.lease.hold(batch)
        with pytest.raises(StoreUnavailable, match="locked"):
            impatient.store.lease.acquire()
    acme.store.lease.release()
    with impatient.leased():
        assert token(impatient) == 2
    for each in (acme, impatient):
        each.database.close()
