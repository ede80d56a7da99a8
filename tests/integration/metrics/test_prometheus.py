"""A real Prometheus server scrapes what real syncs of a real directory were counted as."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncd.app import App
from syncd.errors import BindRejected
from syncd.ldap.validity import first_end
from syncd.metrics import Metrics
from syncd.telemetry import configured
from tests.acceptance.world import ORGANIZATION, World, role
from tests.servers.prometheus import Prometheus
from tests.servers.slapd import READER, Slapd, people, person

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNT = 30
ACME = f'organization="{ORGANIZATION}"'
QUICK_SEARCHES = (
    f'syncd_directory_request_seconds_bucket{{{ACME},operation="search",result="success"}}'
)
NOBODY = "uid=nobody-there,ou=people,dc=example,dc=test"


@pytest.fixture
def world(store_url: str, tmp_path: Path) -> Iterator[World]:
    """People, and a role with a member who is nowhere."""
    ldif = people(COUNT) + person("ada") + role("dev", "ada", NOBODY)
    with Slapd(ldif=ldif) as slapd:
        yield World(tmp_path / "syncd", slapd, store_url)


def _app(world: World) -> App:
    return App.load(str(world.config), environ={})


@pytest.mark.rule("2.16.1", server="openldap")
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_sync_can_be_watched(world: World) -> None:
    """What a dashboard asks Prometheus for is what the directory holds and the syncs did."""
    app = _app(world)
    metrics = Metrics(version="0")
    metrics.organizations(configured(app.settings))
    metrics.share(app.overview)
    listener = metrics.listen("127.0.0.1", 0)
    try:
        with Prometheus([listener.port]) as prometheus:
            success = f'syncd_sync_last_success_timestamp_seconds{{{ACME},mode="full"}}'
            prometheus.wait_for(f"{success} == 0")
            for _ in range(2):
                metrics.record_run(app.sync(ORGANIZATION))
            _fail(world, metrics)
            prometheus.wait_for(f'syncd_sync_runs_total{{{ACME},status="failed"}} == 1')
            expected = {
                f'syncd_sync_runs_total{{{ACME},mode="full",status="done"}}': 2,
                f'syncd_sync_runs_total{{{ACME},mode="changed",status="done"}}': 0,
                f'syncd_sync_duration_seconds_count{{{ACME},mode="full"}}': 2,
                f'syncd_sync_entries_total{{{ACME},kind="read"}}': 2 * (COUNT + 1),
                f'syncd_sync_entries_total{{{ACME},kind="unchanged"}}': COUNT + 1,
                f'syncd_sync_changes_total{{{ACME},kind="created"}}': COUNT + 1,
                f'syncd_sync_changes_total{{{ACME},kind="role_created"}}': 1,
                f'syncd_sync_changes_total{{{ACME},kind="membership_added"}}': 1,
                f'syncd_sync_listing_total{{{ACME},verdict="complete"}}': 4,
                f'syncd_directory_requests_total{{{ACME},operation="bind",result="success"}}': 2,
                f'syncd_directory_requests_total{{{ACME},result="invalidCredentials"}}': 1,
                f'syncd_directory_requests_total{{{ACME},operation="connect"}}': 3,
                f'syncd_sync_stage_seconds_total{{{ACME},mode="full",stage="map"}} > bool 0': 1,
                f"histogram_quantile(0.9, {QUICK_SEARCHES}) < bool 60": 1,
                "syncd_store_read_errors_total": 0,
            }
            assert {name: prometheus.value(name) for name in expected} == expected
            # What replicas share is kept for a while; telling where to read forgets it.
            metrics.share(app.overview)
            prometheus.wait_for(f'syncd_users{{{ACME},state="enabled"}} == {COUNT + 1}')
            ends = prometheus.query(f"syncd_certificate_not_after_timestamp_seconds{{{ACME}}}")
            told = {each["metric"]["use"]: float(each["value"][1]) for each in ends}
            assert told == {
                "trust": _end(world.slapd.ca_pem),
                "directory": _end(world.slapd.certificate.read_text()),
            }
            (target,) = prometheus.targets()
            assert (target["health"], target["lastError"]) == ("up", "")
            # Whoever is removed is gone from the next scrape on.
            metrics.organizations([])
            prometheus.wait_for(f"absent(syncd_sync_runs_total{{{ACME}}})")
    finally:
        listener.close()
        app.close()


def _fail(world: World, metrics: Metrics) -> None:
    """Sync with a wrong password; the error's report is recorded as a run."""
    world.configure(ldap={"bind_credential": "wrong"})
    app = _app(world)
    try:
        with pytest.raises(BindRejected) as refused:
            app.sync(ORGANIZATION)
    finally:
        app.close()
    report = refused.value.report
    assert report is not None
    assert READER.password not in str(report)
    metrics.record_run(report)


def _end(pem: str) -> float:
    end = first_end(pem)
    assert end is not None
    return end.timestamp()


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_report_tells_of_the_directory(world: World) -> None:
    """The command's report has requests and certificates, few and without any name."""
    report = world.sync()
    operations = {(each["operation"], each["result"]) for each in report["requests"]}
    assert operations == {("connect", "success"), ("bind", "success"), ("search", "success")}
    assert list(report["certificates"]) == ["directory"]
    assert READER.dn not in str(report["requests"])
    world.configure(ldap={"bind_credential": "wrong"})
    answer = world.syncd("--json", "sync", ORGANIZATION, code=2)
    assert answer.document["error"]["code"] == "bind_rejected"
    assert (answer.document["mode"], answer.document["status"]) == ("full", "failed")
    refused = [each["result"] for each in answer.document["requests"]]
    assert "invalidCredentials" in refused
