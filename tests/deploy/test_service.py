"""The service as its unit describes it, run in the service manager's place, and watched."""

from __future__ import annotations

import re
import signal
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import yaml

from tests.acceptance.daemons import Daemon, Manager
from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import member_dn
from tests.deploy.queries import FAMILIES, OTHERS
from tests.deploy.shipping import check_shipped
from tests.deploy.units import INSTALLED, SYNCD, UNITS
from tests.deploy.watching import Watching, firing
from tests.servers.slapd import READER, people

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ("tests.acceptance.quick",)

SERVICE = next(unit for unit in UNITS if unit.path.name == "syncd.service")


def here(words: list[str], world: QuickWorld) -> list[str]:
    """Return a command of the unit with this world's program and configuration in it."""
    places = {INSTALLED: str(SYNCD), "/etc/syncd/syncd.yaml": str(world.config)}
    return [places.get(word, word) for word in words]


def store_credentials(world: QuickWorld, folder: Path) -> dict[str, str]:
    """Move the world's secrets to where the manager puts credentials; return what it tells."""
    folder.mkdir()
    ldap = {"bind_credential": ..., "changed_sync_period": 4}
    world.configure(ldap=ldap, limits={"missing": {"count": 2}})
    daemon = yaml.safe_load(world.config.read_text())
    (folder / "store_url").write_text(daemon.pop("store")["url"])
    (folder / "acme.bind_credential").write_text(f"{READER.password}\n")
    world.config.write_text(yaml.safe_dump(daemon | {"sync": {"workers": 1}}))
    return {"CREDENTIALS_DIRECTORY": str(folder)}


class Service(Daemon):
    """The daemon as the unit starts it."""

    def __init__(self, world: QuickWorld, manager: Manager, credentials: dict[str, str]) -> None:
        (words,) = SERVICE.commands()["ExecStart"]
        assert here(words, world) == world.command("run")
        super().__init__(
            world,
            NOTIFY_SOCKET=manager.address,
            # Its unit's seconds would make the test wait half a minute for the first one.
            WATCHDOG_USEC=str(SERVICE.seconds("WatchdogSec") * 1_000_000 // 60),
            **credentials,
        )

    def reload(self) -> None:
        """Do what the unit says for a reload."""
        (words,) = SERVICE.commands()["ExecReload"]
        told = [word.replace("$MAINPID", str(self.process.pid)) for word in words]
        subprocess.run(told, check=True)


@ON_SQLITE
def test_the_unit_under_its_manager_and_prometheus(
    quick_world: MakeQuickWorld, tmp_path: Path
) -> None:
    """Schema, readiness, watchdog, reload and end are told; alerts fire and are cleared.

    One daemon for all of it: a held plan is told until it is approved as the runbook says, and the
    end as well; and its log can be shipped as the page on monitoring says.
    """
    world = quick_world(people(30), overlays=("syncprov",))
    (tmp_path / "store.db").unlink()
    credentials, since = store_credentials(world, tmp_path / "credentials"), datetime.now(UTC)
    (before,) = SERVICE.commands()["ExecStartPre"]
    world.syncd(*here(before, world)[3:], code=0, **credentials)
    with (
        Manager(tmp_path) as manager,
        Service(world, manager, credentials) as daemon,
        Watching(daemon.metrics) as prometheus,
    ):
        daemon.until(lambda: manager.has_heard("READY=1"), "READY=1")
        assert daemon.wait_for("sync", mode="full")["people_created"] == 30
        daemon.until(lambda: manager.has_heard("WATCHDOG=1"), "WATCHDOG=1")
        daemon.until(lambda: daemon.ready()[0] == 200, "readiness")
        daemon.wait_for("sync", mode="changed")
        prometheus.wait_for("up == 1 and on() syncd_users > 0")
        assert prometheus.query('ALERTS{alertstate="firing"}') == []
        world.slapd.delete(*(member_dn(f"u{number:05}") for number in range(10, 15)))
        told = prometheus.wait_for(firing("SyncdPlanBlocked"))
        assert told[0]["metric"]["organization"] == "acme"
        words = ("approve", daemon.wait_for("plan_blocked")["run"])
        # With code 6 somebody is told to wait: a sync is under way every few seconds here.
        daemon.until(lambda: world.syncd(*words, code=None, **credentials).code == 0, "approval")
        prometheus.wait_for(f"absent({firing('SyncdPlanBlocked')})")
        families = set(re.findall(r"^# TYPE (\w+)", daemon.scrape(), re.MULTILINE))
        daemon.reload()
        daemon.until(lambda: manager.has_heard("RELOADING=1"), "RELOADING=1")
        daemon.wait_for("config_reloaded")
        # KillMode=mixed: the supervisor alone is told to end.
        daemon.signal(signal.SIGTERM)
        assert daemon.ended() == 0
        assert manager.has_heard("STOPPING=1")
        prometheus.wait_for(firing("SyncdDown"))
    assert READER.password not in daemon.log.read_text()
    check_shipped(daemon.log.read_text(), since)
    # What the checks of queries take for exported is what is really told.
    assert {name for name in families if name.startswith("syncd_")} == FAMILIES
    assert {name for name in OTHERS if name.startswith("process_")} <= families


@ON_SQLITE
def test_a_bad_configuration_ends_with_the_code_that_prevents_a_restart(
    quick_world: MakeQuickWorld,
) -> None:
    """Both commands of the unit end with the exit code that RestartPreventExitStatus names."""
    world = quick_world()
    world.configure(ldap={"pages": 3})
    code = int(SERVICE.one("RestartPreventExitStatus"))
    for name in ("ExecStartPre", "ExecStart"):
        (words,) = SERVICE.commands()[name]
        assert "ldap.pages" in world.syncd(*here(words, world)[3:], code=code).err
