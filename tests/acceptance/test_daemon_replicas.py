"""Several daemons on one PostgreSQL store, and what becomes of it when one of them stops."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from syncd.schedule import Rhythm, next_due
from tests.acceptance.daemons import PATIENCE_SECONDS, Daemon, Manager
from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import ORGANIZATION
from tests.servers.postgres import Postgres
from tests.servers.slapd import person

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ["tests.acceptance.quick"]

ON_POSTGRESQL = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
PERIOD_SECONDS = 2
PEOPLE = 700
# What a batch of the first sync does between taking the lease's row and its commit.
INSIDE = """
    select count(*) from pg_stat_activity
    where datname = current_database() and state = 'idle in transaction'
    and pid in (select pid from pg_locks join pg_class on pg_class.oid = relation
                where relname = 'leases' and mode = 'RowShareLock')
"""


@ON_POSTGRESQL
@pytest.mark.rule("2.14.1", server="postgresql")
def test_two_replicas_run_each_thing_once(quick_world: MakeQuickWorld) -> None:
    """Between two moments of the schedule there is one run, whichever replica has it."""
    world = quick_world(person("u1"))
    world.configure(ldap={"full_sync_period": PERIOD_SECONDS, "periodic_changed_users_sync": False})
    first = world.organization_file.read_text()
    for name in ("second", "third", "fourth"):
        other = first.replace(f"id: {ORGANIZATION}", f"id: {name}")
        world.organization_file.with_name(f"{name}.yaml").write_text(other)
    with Daemon(world, "--only", "sync") as one, Daemon(world, "--only", "sync", name="two") as two:
        for daemon in (one, two):
            daemon.wait_for("sync", 6)
        assert (one.stop(), two.stop()) == (0, 0)
        runs = len(one.events("sync")) + len(two.events("sync"))
        assert not one.events("run_failed") + two.events("run_failed")
    assert world.sql("select count(*) from runs") == [runs]
    rhythm = Rhythm(PERIOD_SECONDS)
    slots = [
        (name, next_due(rhythm, name, "full", started))
        for name in world.sql("select distinct organization_id from runs")
        for started in world.sql("select started_at from runs where organization_id = :n", n=name)
    ]
    assert len(set(slots)) == len(slots)


@ON_POSTGRESQL
@pytest.mark.timeout(300)
@pytest.mark.rule("2.14.1", server="postgresql")
def test_a_replica_that_stops_inside_a_batch_writes_nothing_after_the_takeover(
    quick_world: MakeQuickWorld,
) -> None:
    """Another takes over within the expiry and ends the run; who comes back finds it lost."""
    ldif = "".join(person(f"u{number:04}") for number in range(PEOPLE))
    world = quick_world(ldif, overlays=("syncprov",))
    world.configure(ldap={"batch_size": 1, "periodic_changed_users_sync": False})
    with (
        Daemon(world, "--only", "sync", SYNCD_SYNC__WORKERS="1") as stopped,
        Daemon(world, "--only", "sync", name="other", SYNCD_SYNC__WORKERS="1") as other,
    ):
        first, second = _stop_inside_a_batch(world, stopped, other)
        written = world.sql("select count(*) from identities")[0]
        assert 0 < written < PEOPLE
        # PostgreSQL's time-out ends the open batch first, then the lease and the claim expire.
        second.until(
            lambda: second.events("sync", mode="full", status="done"),
            "the run's end",
            seconds=3 * PATIENCE_SECONDS,
        )
        after = _people(world)
        assert len(after) == PEOPLE
        first.signal_all(signal.SIGCONT)
        # PostgreSQL itself may have ended what stood still inside a transaction for so long.
        first.until(
            lambda: (
                (
                    first.events("claim_lost")
                    or first.events("run_failed", because="store_unavailable")
                )
                and not _busy(world)
            ),
            "the lost claim noticed",
        )
        assert (first.stop(), second.stop()) == (0, 0)
        assert not first.events("sync")
    assert _people(world) == after
    assert set(world.sql("select status from runs")) == {"done"}


@ON_SQLITE
def test_a_store_that_goes_and_comes_back_is_waited_for(quick_world: MakeQuickWorld) -> None:
    """Before the start or in the middle of everything: not ready, because; then on as before."""
    world = quick_world(person("u1"), overlays=("syncprov",))
    with Postgres() as cluster:
        world.store_url = cluster.url(cluster.create())
        world.configure(ldap={"changed_sync_period": 1})
        world.upgrade()
        cluster.pause()
        with Manager(world.folder) as manager, Daemon(world, NOTIFY_SOCKET=manager.address) as it:
            it.wait_for("store_unavailable")
            it.until(lambda: it.ready()[0] == 503, "that it is not ready")
            assert not manager.has_heard("READY=1")
            for turn in (1, 2):
                cluster.start()
                it.wait_for("store_available", turn)
                it.until(lambda: it.ready()[0] == 200, "readiness")
                assert manager.has_heard("READY=1")
                done = len(it.events("sync", mode="changed"))
                it.wait_for("sync", done + 2, mode="changed", status="done")
                cluster.pause()
                it.until(lambda: it.ready()[0] == 503, "that it is not ready")
                assert "cannot be used" in it.ready()[1]["because"][0]
            cluster.start()
            it.wait_for("store_available", 3)
            it.until(lambda: it.ready()[0] == 200, "readiness")
            assert it.stop() == 0
        failed = {event["because"] for event in it.events("run_failed")}
        assert failed <= {"store_unavailable"}
        assert len(world.living()) == 1


def _stop_inside_a_batch(world: QuickWorld, one: Daemon, other: Daemon) -> tuple[Daemon, Daemon]:
    """Stop the replica that has the run while a batch of it is open; return it and the other."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not world.sql("select 1 from runs where applied_number > 20"):
        assert time.monotonic() < end
    (holder,) = world.sql("select holder from leases")
    process = int(holder.rsplit(" ", 1)[1])
    first, second = (one, other) if process in one.children() else (other, one)
    while True:
        first.signal_all(signal.SIGSTOP)
        # What was on its way to the server has arrived by then.
        time.sleep(0.05)
        if world.sql(INSIDE)[0]:
            return first, second
        assert time.monotonic() < end
        first.signal_all(signal.SIGCONT)
        time.sleep(0.003)


def _people(world: QuickWorld) -> list[int]:
    return sorted(world.sql("select id * 1000 + version from users"))


def _busy(world: QuickWorld) -> list[str]:
    return world.sql("select mode from schedules where claimed_by is not null")
