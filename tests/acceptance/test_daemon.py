"""The daemon on one store: from its start to its end, whatever is done to it in between."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.acceptance.daemons import Daemon, Manager, command_line, sockets
from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.trouble import told
from tests.acceptance.world import ORGANIZATION, member_dn, role
from tests.servers.fault_proxy import FaultProxy, Faults
from tests.servers.slapd import PEOPLE, READER, person

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ["tests.acceptance.quick"]

COMPANY = "".join(person(f"u{number}") for number in range(12)) + role("crew", "u1", "u2")
OFTEN = {"changed_sync_period": 1}


@pytest.fixture
def world(quick_world: MakeQuickWorld) -> QuickWorld:
    """A small company; its changed people are read every second, everybody once a day."""
    made = quick_world(COMPANY, overlays=("syncprov",))
    made.configure(ldap=OFTEN)
    return made


@contextmanager
def held(world: QuickWorld, **environment: str) -> Iterator[tuple[Daemon, FaultProxy]]:
    """Run a daemon whose first full sync waits in the middle of a page."""
    with FaultProxy(world.slapd.port, Faults(base=PEOPLE, hold_page=1)) as proxy:
        world.url = proxy.url
        world.configure(ldap={"read_timeout": 50, "periodic_changed_users_sync": False})
        with Daemon(world, "--only", "sync", SYNCD_SYNC__WORKERS="1", **environment) as daemon:
            daemon.until(proxy.reached.is_set, "the listing's middle")
            yield daemon, proxy


def runs(world: QuickWorld) -> list[str]:
    """Return how the runs stand, in their order."""
    return world.sql("select status from runs order by id")


@pytest.mark.rule("2.14.2", server="openldap")
def test_the_daemon_syncs_and_tells_how_it_is(world: QuickWorld) -> None:
    """It reads everybody at first and changed people soon after, and ends in order on SIGTERM."""
    with (
        Manager(world.folder) as manager,
        Daemon(world, NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="2000000") as daemon,
    ):
        assert daemon.wait_for("sync", mode="full")["people_created"] == 12
        daemon.until(lambda: manager.has_heard("READY=1"), "READY=1")
        daemon.wait_for("sync", mode="changed")
        world.slapd.modify(member_dn("u3"), {"sn": ["Changed"]})
        daemon.wait_for("sync", mode="changed", people_updated=1)
        daemon.until(lambda: daemon.ready()[0] == 200, "readiness")
        metrics = daemon.scrape()
        assert 'syncd_sync_runs_total{mode="full",organization="acme",status="done"} 1.0' in metrics
        workers = daemon.workers()
        assert len(workers) == 3
        for pid in (daemon.process.pid, *workers):
            environment = Path(f"/proc/{pid}/environ").read_text()
            assert READER.password not in command_line(pid) + environment
        # Spawned, not forked: nobody has a connection of the supervisor's.
        assert not any(sockets(daemon.process.pid) & sockets(pid) for pid in workers)
        assert daemon.stop() == 0
        for message in ("WATCHDOG=1", "STATUS=", "STOPPING=1"):
            assert manager.has_heard(message)
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert READER.password not in daemon.log.read_text()
    assert [event["organization"] for event in daemon.events("organization_scheduled")] == ["acme"]
    assert [event["action"] for event in daemon.events()][-1] == "stopped"
    assert world.living()["u3"]["last_name"] == "Changed"
    assert set(runs(world)) == {"done"}
    # Nothing is claimed any more, and what is due next is in the books.
    assert not world.sql("select mode from schedules where claimed_by is not null")


@ON_SQLITE
def test_a_run_may_end_by_itself_when_the_daemon_is_stopped(world: QuickWorld) -> None:
    """SIGTERM begins nothing more and lets the run under way come to its end."""
    with held(world) as (daemon, proxy):
        daemon.signal(signal.SIGTERM)
        daemon.wait_for("draining", runs=1)
        proxy.go.set()
        assert daemon.ended() == 0
    assert runs(world) == ["done"]
    assert len(world.living()) == 12


@ON_SQLITE
def test_a_run_that_does_not_end_is_interrupted_in_order(world: QuickWorld) -> None:
    """After the drain the run is interrupted, its turn given back, and another goes on at once."""
    with held(world, SYNCD_SYNC__DRAIN="0.3s") as (daemon, _):
        # A terminal's Ctrl-C reaches every process of the group.
        daemon.signal_all(signal.SIGINT)
        assert daemon.ended() == 0
        assert daemon.events("run_interrupted")
    assert runs(world) == ["interrupted"]
    assert world.sql("select failures from schedules where mode = 'full'") == [0]
    world.url = None
    world.configure()
    with Daemon(world, "--only", "sync") as again:
        assert again.wait_for("sync", mode="full")["people_created"] == 12
        assert again.stop() == 0


@ON_SQLITE
def test_a_second_signal_ends_at_once(world: QuickWorld) -> None:
    """Whoever asks twice gets the end now; exit code 130, and no worker is left."""
    with held(world) as (daemon, _):
        (worker,) = daemon.workers()
        daemon.signal(signal.SIGTERM)
        daemon.wait_for("draining")
        daemon.signal(signal.SIGTERM)
        assert daemon.ended() == 130
        assert not Path(f"/proc/{worker}").exists()


@ON_SQLITE
def test_workers_do_not_outlive_their_supervisor(world: QuickWorld) -> None:
    """The supervisor is killed; its worker stops the run in order and ends."""
    with held(world) as (daemon, _):
        (worker,) = daemon.workers()
        daemon.process.kill()
        daemon.process.wait()
        # One that has ended and waits to be reaped has no words any more.
        daemon.until(lambda: not command_line(worker), "the worker's end", lives=False)
    assert runs(world) == ["interrupted"]


def test_a_killed_worker_is_replaced_and_its_run_done_later(world: QuickWorld) -> None:
    """A worker's death counts as a failed run that is backed off; mending settings try at once."""
    with held(world) as (daemon, proxy):
        (worker,) = daemon.workers()
        os.kill(worker, signal.SIGKILL)
        daemon.wait_for("worker_replaced", organization=ORGANIZATION)
        failed = daemon.wait_for("run_failed", because="worker_ended")
        assert (failed["failures"], failed["retryable"]) == (1, True)
        assert 'mode="full",organization="acme",status="failed"} 1.0' in daemon.scrape()
        proxy.faults = Faults()
        world.configure(ldap={"read_timeout": 49, "periodic_changed_users_sync": False})
        daemon.wait_for("config_reloaded", changed=[ORGANIZATION])
        assert daemon.wait_for("sync", mode="full")["people_created"] == 12
        assert daemon.stop() == 0
    assert runs(world) == ["interrupted", "done"]


@pytest.mark.rule("2.15.3", server="openldap")
@ON_SQLITE
def test_changed_configuration_is_checked_before_it_is_used(world: QuickWorld) -> None:
    """A bad one is refused with all its faults, the old one stays; a good one leads to a sync."""
    file = world.organization_file
    good = yaml.safe_load(file.read_text())
    with (
        Manager(world.folder) as manager,
        Daemon(world, "--only", "sync", NOTIFY_SOCKET=manager.address) as daemon,
    ):
        daemon.wait_for("sync", mode="full")
        daemon.until(lambda: manager.has_heard("READY=1"), "READY=1")
        before = reloaded_at(daemon)
        bad: dict[str, Any] = good["ldap"] | {"batch_size": "many", "pages": 3}
        file.write_text(yaml.safe_dump(good | {"ldap": bad}))
        daemon.signal(signal.SIGHUP)
        refused = daemon.wait_for("config_refused")
        assert [fault.split(": ")[1] for fault in refused["faults"]] == [
            "ldap.batch_size",
            "ldap.pages",
        ]
        daemon.until(lambda: manager.has_heard("RELOADING=1\nMONOTONIC_USEC="), "RELOADING=1")
        assert reloaded_at(daemon) == before
        # Old settings are still in use.
        changed = len(daemon.events("sync", mode="changed"))
        daemon.wait_for("sync", changed + 1, mode="changed")
        # What loading lets pass and the filter's grammar does not.
        never = {**good["ldap"], "full_sync_at": "0 0 31 2 *"}
        file.write_text(yaml.safe_dump(good | {"ldap": never}))
        daemon.wait_for("config_refused", 2)
        mappers = [
            {"name": "n", "type": "user-attribute", "user_attribute": "a", "ldap_attribute": "l"}
        ]
        file.write_text(yaml.safe_dump(good | {"mappers": mappers}))
        daemon.wait_for("config_reloaded", changed=[ORGANIZATION])
        daemon.wait_for("sync", 2, mode="full")
        assert reloaded_at(daemon) > before
        assert daemon.stop() == 0


def reloaded_at(daemon: Daemon) -> float:
    """Return when the configuration in use was read, as the metrics tell it."""
    name = "syncd_config_last_reload_success_timestamp_seconds "
    (found,) = [line for line in daemon.scrape().splitlines() if line.startswith(name)]
    return float(found.removeprefix(name))


@ON_SQLITE
def test_a_paused_organization_is_told_once(world: QuickWorld) -> None:
    """Nothing is synced or counted as failed, the log says it one time; the rest goes on."""
    world.sql(
        "insert into schedules (organization_id, mode, next_due, failures)"
        " values ('*', 'prune', '2020-01-01 00:00:00.000000', 0)"
    )
    world.syncd("pause", ORGANIZATION, "--reason", "moving house", code=0)
    with Daemon(world, "--only", "sync") as daemon:
        stopped = daemon.wait_for("organization_stopped", level="warning")
        assert stopped["because"] == "organization_paused"
        daemon.until(
            lambda: len(world.sql("select mode from schedules where claimed_by is null")) == 3,
            "the claims given back",
        )
        daemon.wait_for("prune")
        assert daemon.stop() == 0
    assert len(daemon.events("organization_stopped")) == 1
    assert not runs(world)
    assert set(world.sql("select failures from schedules")) == {0}


@ON_SQLITE
def test_the_web_half_alone_syncs_nothing(world: QuickWorld) -> None:
    """It answers whether the store is there, and leaves what is due to the other half."""
    with Daemon(world, "--only", "web") as daemon:
        daemon.until(lambda: daemon.ready()[0] == 200, "readiness")
        assert len(daemon.workers()) == 1
        # A service manager may signal the whole group.
        daemon.signal_all(signal.SIGTERM)
        assert daemon.ended() == 0
    assert not daemon.events("web_replaced")
    assert not runs(world)


@ON_SQLITE
def test_what_is_wrong_at_the_start_is_told_in_one_sentence(world: QuickWorld) -> None:
    """A taken port, a store without schema and a day that never comes end it with exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for section in ("METRICS", "HTTP"):
            answer = world.syncd("run", code=None, **{f"SYNCD_{section}__PORT": port})
            assert answer.code == 2, answer.err
            assert f"{section.lower()} cannot listen on 127.0.0.1:{port}" in answer.err
    answer = world.syncd("run", SYNCD_STORE__URL=f"sqlite:///{world.folder}/empty.db")
    assert answer.code == 2
    assert "run `syncd db upgrade` once" in told(answer.err)[-1]
    world.configure(ldap={"full_sync_at": "0 0 31 2 *"})
    answer = world.syncd("run")
    assert answer.code == 2
    assert "there is no such day" in told(answer.err)[-1]
