"""The daemon as Prometheus sees it: a blocked plan, a bad entry, a directory that is away."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.daemons import Daemon
from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import member_dn, role
from tests.servers.authority import program
from tests.servers.prometheus import Prometheus
from tests.servers.slapd import PEOPLE, people

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld

pytest_plugins = ("tests.acceptance.quick",)

PROMISED = (
    "syncd_sync_last_attempt_timestamp_seconds",
    "syncd_sync_last_success_timestamp_seconds",
    "syncd_sync_next_timestamp_seconds",
    "syncd_sync_runs_total",
    "syncd_sync_duration_seconds_bucket",
    "syncd_sync_stage_seconds_total",
    "syncd_sync_entries_total",
    "syncd_sync_changes_total",
    "syncd_sync_listing_total",
    "syncd_sync_promoted_total",
    "syncd_sync_lag_seconds_bucket",
    "syncd_plans_blocked",
    "syncd_quarantine_entries",
    "syncd_users",
    "syncd_lease_held",
    "syncd_directory_requests_total",
    "syncd_directory_request_seconds_bucket",
    "syncd_certificate_not_after_timestamp_seconds",
    "syncd_build_info",
    "syncd_config_last_reload_success_timestamp_seconds",
)
LAST_SUCCESS = 'syncd_sync_last_success_timestamp_seconds{organization="acme",mode="changed"}'
LAST_ATTEMPT = 'syncd_sync_last_attempt_timestamp_seconds{organization="acme",mode="changed"}'


@ON_SQLITE
@pytest.mark.rule("2.16.1", server="openldap")
@pytest.mark.rule("2.16.2", server="openldap")
def test_prometheus_tells_what_the_daemon_meets(quick_world: MakeQuickWorld) -> None:
    """Each metric has its value in a real Prometheus, success moves on success alone, no names."""
    world = quick_world(people(30) + role("staff", "u00000", "u00001"), overlays=("syncprov",))
    world.configure(ldap={"changed_sync_period": 1}, limits={"missing": {"count": 2}})
    with Daemon(world) as daemon, Prometheus([daemon.metrics]) as prometheus:
        prometheus.wait_for(f"{LAST_SUCCESS} > 0")
        prometheus.wait_for('syncd_users{organization="acme",state="enabled"} == 30')
        # A second person of one name, and a change whose lag is told.
        world.slapd.add(
            f"cn=twin,{PEOPLE}", objectClass="inetOrgPerson", uid="u00000", cn="twin", sn="Twin"
        )
        world.slapd.modify(member_dn("u00007"), {"sn": ["Changed"]})
        prometheus.wait_for('syncd_quarantine_entries{reason="username_taken"} == 1')
        prometheus.wait_for("syncd_sync_lag_seconds_count > 0")
        world.slapd.delete(*(member_dn(f"u{number:05}") for number in range(10, 15)))
        prometheus.wait_for('syncd_plans_blocked{organization="acme"} == 1')
        assert daemon.wait_for("plan_blocked")["level"] == "warning"
        prometheus.wait_for('syncd_sync_promoted_total{reason="blocked_plan"} > 0')
        succeeded = prometheus.value(LAST_SUCCESS)
        world.slapd.stop()
        prometheus.wait_for('sum(syncd_sync_runs_total{status="failed"}) > 0')
        prometheus.wait_for('syncd_directory_requests_total{result!="success"} > 0')
        prometheus.wait_for(f"{LAST_ATTEMPT} > {LAST_SUCCESS}")
        assert prometheus.value(LAST_SUCCESS) == succeeded
        assert prometheus.value('syncd_users{organization="acme",state="enabled"}') == 30
        told = daemon.scrape()
        missing = [name for name in PROMISED if not prometheus.query(name)]
        assert missing == []
        assert not any(name in told for name in ("u00000", "twin", "staff", "dc=example"))
        checked = subprocess.run(
            [program("promtool"), "check", "metrics"],
            input=told,
            text=True,
            capture_output=True,
            check=False,
        )
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
        assert daemon.stop() == 0
