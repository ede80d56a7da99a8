"""What a scrape gets after given reports."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from typing import Any

import pytest

from syncd.errors import StoreUnavailable
from syncd.ldap.traffic import BOUNDS
from syncd.metrics import Configured, Metrics, families
from tests.servers.authority import program

ACME = Configured(id="acme")
REPORT: dict[str, Any] = {
    "run": "acme-1",
    "organization": "acme",
    "mode": "changed",
    "status": "done",
    "listing": "truncated",
    "listings": [
        {"source": "users", "verdict": "complete", "result_code": 0},
        {"source": "import roles", "verdict": "truncated", "result_code": 4},
    ],
    "promoted_reason": "cookie_refused",
    "users": {
        "read": 7,
        "created": 1,
        "updated": 2,
        "unchanged": 3,
        "renamed": 4,
        "missing": 5,
        "disabled": 6,
        "enabled": 7,
        "deleted": 8,
        "quarantined": 9,
        "conflicts": 10,
    },
    "roles": {"created": 11, "updated": 12, "deleted": 13},
    "groups": {"created": 14, "updated": 15, "deleted": 16},
    "memberships": {"added": 17, "removed": 18, "unresolved": 19},
    "seconds": {"directory": 0.5, "map": 0.25, "stage": 1, "plan": 2, "apply": 3, "total": 8},
    "lag_seconds": [0.4, 59, 100_000, -3],
    "requests": [
        {
            "operation": "search",
            "result": "success",
            "count": 3,
            "seconds": 2.25,
            "within": {"0.005": 1, "1": 1, "+Inf": 1},
        },
        {"operation": "bind", "result": "busy", "count": 2, "seconds": 1, "within": {"0.5": 2}},
    ],
    "certificates": {"directory": "2030-01-01T00:00:00Z"},
}
ACME_LABEL = 'organization="acme"'


def _metrics(*reports: dict[str, Any], configured: tuple[Configured, ...] = (ACME,)) -> Metrics:
    metrics = Metrics(version="1.2.3")
    metrics.organizations(configured)
    for report in reports:
        metrics.record_run(report)
    return metrics


def _samples(metrics: Metrics) -> dict[str, float]:
    """Return the samples by name and labels as they are written."""
    lines = [line for line in metrics.text().splitlines() if line.startswith("syncd_")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@pytest.mark.rule("2.16.1", server="pure")
@pytest.mark.parametrize(
    "line",
    [
        'syncd_sync_runs_total{mode="changed",organization="acme",status="done"} 1.0',
        'syncd_sync_runs_total{mode="full",organization="acme",status="failed"} 0.0',
        'syncd_sync_duration_seconds_bucket{le="5.0",mode="changed",organization="acme"} 0.0',
        'syncd_sync_duration_seconds_bucket{le="10.0",mode="changed",organization="acme"} 1.0',
        'syncd_sync_duration_seconds_bucket{le="+Inf",mode="changed",organization="acme"} 1.0',
        'syncd_sync_duration_seconds_sum{mode="changed",organization="acme"} 8.0',
        'syncd_sync_stage_seconds_total{mode="changed",organization="acme",stage="map"} 0.25',
        'syncd_sync_entries_total{kind="read",organization="acme"} 7.0',
        'syncd_sync_entries_total{kind="unresolved",organization="acme"} 19.0',
        'syncd_sync_changes_total{kind="created",organization="acme"} 1.0',
        'syncd_sync_changes_total{kind="deleted",organization="acme"} 8.0',
        'syncd_sync_changes_total{kind="role_created",organization="acme"} 11.0',
        'syncd_sync_changes_total{kind="group_deleted",organization="acme"} 16.0',
        'syncd_sync_changes_total{kind="membership_removed",organization="acme"} 18.0',
        'syncd_sync_listing_total{organization="acme",verdict="complete"} 1.0',
        'syncd_sync_listing_total{organization="acme",verdict="truncated"} 1.0',
        'syncd_sync_listing_total{organization="acme",verdict="unverified"} 0.0',
        'syncd_sync_promoted_total{organization="acme",reason="cookie_refused"} 1.0',
        'syncd_sync_lag_seconds_bucket{le="1.0",organization="acme"} 2.0',
        'syncd_sync_lag_seconds_bucket{le="60.0",organization="acme"} 3.0',
        'syncd_sync_lag_seconds_bucket{le="86400.0",organization="acme"} 3.0',
        'syncd_sync_lag_seconds_count{organization="acme"} 4.0',
        'syncd_directory_requests_total{operation="search",organization="acme",result="success"}'
        " 3.0",
        'syncd_directory_requests_total{operation="bind",organization="acme",result="busy"} 2.0',
        'syncd_directory_request_seconds_bucket{le="0.0025",operation="search",'
        'organization="acme",result="success"} 0.0',
        'syncd_directory_request_seconds_bucket{le="0.005",operation="search",'
        'organization="acme",result="success"} 1.0',
        'syncd_directory_request_seconds_bucket{le="60.0",operation="search",'
        'organization="acme",result="success"} 2.0',
        'syncd_directory_request_seconds_count{operation="search",organization="acme",'
        'result="success"} 3.0',
        'syncd_directory_request_seconds_sum{operation="search",organization="acme",'
        'result="success"} 2.25',
        'syncd_certificate_not_after_timestamp_seconds{organization="acme",use="directory"}'
        " 1.893456e+09",
        'syncd_build_info{version="1.2.3"} 1.0',
    ],
)
def test_a_report_is_counted(line: str) -> None:
    """Each part of a report ends in the sample that the contract names."""
    assert line in _metrics(REPORT).text().splitlines()


def test_reports_add_up() -> None:
    """Counters and histograms go on from report to report, also when one lacks most parts."""
    short = {"organization": "acme", "mode": "changed", "status": "done", "users": {"read": 1}}
    samples = _samples(_metrics(REPORT, REPORT, short))
    assert samples[f'syncd_sync_runs_total{{mode="changed",{ACME_LABEL},status="done"}}'] == 3
    assert samples[f'syncd_sync_entries_total{{kind="read",{ACME_LABEL}}}'] == 15
    assert samples[f'syncd_sync_duration_seconds_count{{mode="changed",{ACME_LABEL}}}'] == 2
    assert samples[f"syncd_sync_lag_seconds_count{{{ACME_LABEL}}}"] == 8


@pytest.mark.parametrize(
    ("ended", "written"),
    [
        ({"status": "done"}, 1),
        ({"status": "failed"}, 1),
        ({"status": "interrupted"}, 1),
        ({"status": "blocked", "dry": False}, 0),
        ({"status": "planned", "dry": True}, 0),
        # Only some kinds were held; the report counts the others, which were written.
        ({"status": "blocked"}, 1),
    ],
)
def test_only_what_was_written_is_a_change(ended: dict[str, Any], written: int) -> None:
    """What a held or dry plan would change is not counted as changed."""
    samples = _samples(_metrics(REPORT | ended))
    assert samples[f'syncd_sync_changes_total{{kind="created",{ACME_LABEL}}}'] == written
    assert samples[f'syncd_sync_entries_total{{kind="read",{ACME_LABEL}}}'] == 7


def test_a_failure_without_a_report_is_a_run() -> None:
    """A worker that died is counted by the status that it is given."""
    metrics = _metrics()
    metrics.record_failure("acme", "full", "failed")
    metrics.record_failure("acme", "full", "worker_died")
    samples = _samples(metrics)
    for status in ("failed", "worker_died"):
        assert samples[f'syncd_sync_runs_total{{mode="full",{ACME_LABEL},status="{status}"}}'] == 1


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"mode": "cn=ada"}, 'syncd_sync_runs_total{mode="other",organization="acme",'
         'status="done"}'),
        ({"status": "uid=x,dc=y"}, 'syncd_sync_runs_total{mode="changed",organization="acme",'
         'status="other"}'),
        ({"promoted_reason": "Ada Lovelace left"}, 'syncd_sync_promoted_total{'
         'organization="acme",reason="other"}'),
        ({"listings": [{"verdict": "odd"}]}, 'syncd_sync_listing_total{organization="acme",'
         'verdict="other"}'),
        ({"seconds": {"tea": 1}}, 'syncd_sync_stage_seconds_total{mode="changed",'
         'organization="acme",stage="other"}'),
        ({"requests": [{"operation": "modify", "result": "a b", "count": 1}]},
         'syncd_directory_requests_total{operation="other",organization="acme",result="other"}'),
        ({"certificates": {"ada": "2030-01-01T00:00:00Z"}},
         'syncd_certificate_not_after_timestamp_seconds{organization="acme",use="other"}'),
    ],
)  # fmt: skip
def test_strange_words_do_not_become_labels(change: dict[str, Any], line: str) -> None:
    """What is no word of ours is told as "other", so nobody's name ends up in a label."""
    samples = _samples(_metrics(REPORT | change))
    assert samples[line]
    assert not [name for name in samples if "ada" in name.lower() or "uid=" in name]


def test_labels_are_bounded() -> None:
    """However many reasons there are, an organization has only so many series of them."""
    reports = [REPORT | {"promoted_reason": f"reason_{number}"} for number in range(1000)]
    names = [name for name in _samples(_metrics(*reports)) if "promoted_total" in name]
    assert len(names) == 65
    assert 'syncd_sync_promoted_total{organization="acme",reason="other"}' in names


class TestOrganizations:
    def test_have_their_series_from_the_start(self) -> None:
        """Before anything has happened each counter and histogram of a sync is there with 0."""
        started = _samples(_metrics(configured=(ACME, Configured(id="idle", modes=()))))
        counted = {name for name, value in started.items() if "acme" in name and value == 0}
        later = _samples(_metrics(REPORT | {"promoted_reason": None}))
        first_seen = {name for name in later if "acme" in name} - counted
        # Results and certificates of a directory are known once it was asked.
        assert first_seen
        assert all("syncd_directory_" in name or "certificate" in name for name in first_seen)
        assert not [name for name in started if "idle" in name]

    def test_vanish_when_they_are_removed(self) -> None:
        """A reload drops removed organizations, keeps the counts of the others, adds new ones."""
        metrics = _metrics(REPORT, configured=(ACME, Configured(id="old")))
        metrics.organizations([ACME, Configured(id="new")])
        metrics.record_run(REPORT | {"organization": "old"})
        samples = _samples(metrics)
        assert not [name for name in samples if '"old"' in name]
        assert samples['syncd_sync_entries_total{kind="read",organization="new"}'] == 0
        assert samples['syncd_sync_entries_total{kind="read",organization="acme"}'] == 7

    def test_trust_follows_the_configuration(self) -> None:
        """The end of the trusted certificates is told as configured; without any it is absent."""
        name = 'syncd_certificate_not_after_timestamp_seconds{organization="acme",use="trust"}'
        end = datetime(2031, 5, 1, tzinfo=UTC)
        metrics = _metrics(configured=(Configured(id="acme", trust_not_after=end),))
        assert _samples(metrics)[name] == end.timestamp()
        metrics.organizations([ACME])
        assert name not in _samples(metrics)

    def test_a_reload_is_told(self) -> None:
        """The time of the last good reload is what it was told, and 0 before."""
        metrics = _metrics()
        assert _samples(metrics)["syncd_config_last_reload_success_timestamp_seconds"] == 0
        metrics.reloaded(1_700_000_000.5)
        told = _samples(metrics)["syncd_config_last_reload_success_timestamp_seconds"]
        assert told == 1_700_000_000.5


class TestShared:
    """Values that all replicas read from the store."""

    MOMENT = datetime(2026, 1, 2, tzinfo=UTC)

    @pytest.mark.rule("2.16.1", server="pure")
    @pytest.mark.parametrize(
        ("overview", "expected"),
        [
            (
                {},
                {
                    'syncd_sync_last_attempt_timestamp_seconds{mode="full",%s}': 0,
                    'syncd_sync_last_success_timestamp_seconds{mode="full",%s}': 0,
                    'syncd_sync_last_success_timestamp_seconds{mode="changed",%s}': 0,
                    'syncd_sync_next_timestamp_seconds{mode="full",%s}': None,
                    "syncd_plans_blocked{%s}": 0,
                    'syncd_users{%s,state="missing"}': 0,
                    "syncd_lease_held{%s}": 0,
                },
            ),
            (
                {
                    "last_attempt": {"full": MOMENT, "changed": None},
                    "last_success": {"full": MOMENT.replace(tzinfo=None), "changed": None},
                    "next": {"full": None, "changed": MOMENT},
                    "blocked": 1,
                    "quarantine": {"bad_dn": 3, "no word of ours": 2, "neither this": 1},
                    "users": {"enabled": 40, "disabled": 5, "missing": 2},
                    "lease_held": True,
                },
                {
                    'syncd_sync_last_attempt_timestamp_seconds{mode="full",%s}': 1767312000,
                    'syncd_sync_last_attempt_timestamp_seconds{mode="changed",%s}': 0,
                    'syncd_sync_last_success_timestamp_seconds{mode="full",%s}': 1767312000,
                    'syncd_sync_last_success_timestamp_seconds{mode="changed",%s}': 0,
                    'syncd_sync_next_timestamp_seconds{mode="full",%s}': None,
                    'syncd_sync_next_timestamp_seconds{mode="changed",%s}': 1767312000,
                    "syncd_plans_blocked{%s}": 1,
                    'syncd_quarantine_entries{%s,reason="bad_dn"}': 3,
                    'syncd_quarantine_entries{%s,reason="other"}': 3,
                    'syncd_users{%s,state="enabled"}': 40,
                    'syncd_users{%s,state="disabled"}': 5,
                    'syncd_users{%s,state="missing"}': 2,
                    "syncd_lease_held{%s}": 1,
                },
            ),
        ],
    )
    def test_are_told_as_the_store_says(
        self, overview: dict[str, Any], expected: dict[str, float | None]
    ) -> None:
        """A never is 0, what is not scheduled is absent, and strangers are left out."""
        metrics = _metrics()
        metrics.share(lambda: {"acme": overview, "stranger": {"blocked": 9}})
        samples = _samples(metrics)
        found = {name: samples.get(name % ACME_LABEL) for name in expected}
        assert found == expected
        assert not [name for name in samples if "stranger" in name]

    def test_are_absent_while_the_store_fails(self) -> None:
        """A failing store costs its own values only, is counted, and is asked again later."""
        now = [0.0]
        failing = [True]
        calls: list[None] = []

        def read() -> dict[str, dict[str, Any]]:
            calls.append(None)
            if failing[0]:
                raise StoreUnavailable("the store is away; start it")
            return {"acme": {"blocked": 2}}

        metrics = Metrics(version="1", clock=lambda: now[0])
        metrics.organizations([ACME])
        metrics.record_run(REPORT)
        metrics.share(read)
        blocked = f"syncd_plans_blocked{{{ACME_LABEL}}}"
        for _ in range(3):
            samples = _samples(metrics)
            assert blocked not in samples
            assert samples[f'syncd_sync_entries_total{{kind="read",{ACME_LABEL}}}'] == 7
            assert samples["syncd_store_read_errors_total"] == len(calls) == 1
        now[0], failing[0] = 11, False
        assert _samples(metrics)[blocked] == 2


def test_promtool_has_nothing_to_complain_about() -> None:
    """Prometheus' own linter accepts names, types, help texts and units of all that is told."""
    metrics = _metrics(REPORT)
    metrics.share(
        lambda: {"acme": {"quarantine": {"bad_dn": 1}, "next": {"full": TestShared.MOMENT}}}
    )
    checked = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=metrics.text(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_the_rooms_count_requests_in_the_same_buckets() -> None:
    """The directory's room counts in the bounds that the metrics tell, so nothing is rounded up."""
    assert families.REQUEST_BOUNDS == BOUNDS


def test_what_the_web_process_counts_is_added_up() -> None:
    """Tokens and fetches are sums by outcome and reason, and what is no word of ours is other."""
    login = Configured(id="login", token_reasons=("expired",), fetch_reasons=("timeout",))
    metrics = _metrics(configured=(login, ACME))
    tokens = 'syncd_tokens_validated_total{organization="login",outcome="%s",reason="%s"}'
    fetches = 'syncd_jwks_fetches_total{organization="login",outcome="%s",reason="%s"}'
    known = _samples(metrics)
    assert known[tokens % ("accepted", "none")] == known[tokens % ("refused", "expired")] == 0
    assert known[fetches % ("fetched", "none")] == known[fetches % ("failed", "timeout")] == 0
    assert not [name for name in known if "tokens_validated" in name and ACME_LABEL in name]
    for _ in range(2):
        metrics.record_counted(
            [
                ("tokens", "login", "accepted", "none", 3),
                ("tokens", "login", "refused", "expired", 1),
                ("jwks", "login", "failed", "timeout", 2),
                ("jwks", "login", "made up", "no word at all", 1),
                ("tokens", "nowhere", "accepted", "none", 1),
                ("nonsense", "login", "accepted", "none", 1),
            ]
        )
    found = _samples(metrics)
    assert found[tokens % ("accepted", "none")] == 6
    assert found[tokens % ("refused", "expired")] == 2
    assert found[fetches % ("failed", "timeout")] == 4
    assert found[fetches % ("other", "other")] == 2
    assert not [name for name in found if "nowhere" in name or "nonsense" in name]


def test_sign_ins_and_shut_out_sessions_are_told() -> None:
    """Outcomes are known from the start where people sign in, and times fall into their buckets."""
    login = Configured(
        id="login", modes=(), sign_in_reasons=("wrong_password", "store_unavailable")
    )
    metrics = _metrics(configured=(login, ACME))
    sign_ins = 'syncd_sign_ins_total{organization="login",outcome="%s",reason="%s"}'
    within = 'syncd_revocation_seconds_bucket{le="%s",organization="login"}'
    known = _samples(metrics)
    assert known[sign_ins % ("accepted", "none")] == 0
    assert known[sign_ins % ("refused", "wrong_password")] == 0
    assert known[sign_ins % ("unavailable", "store_unavailable")] == 0
    assert known[within % "+Inf"] == 0
    assert not [name for name in known if "sign_ins" in name and ACME_LABEL in name]
    metrics.record_counted(
        [
            ("sign_ins", "login", "accepted", "none", 2),
            ("sign_ins", "login", "refused", "wrong_password", 1),
            ("sign_ins", "login", "refused", "ada@example.org", 1),
            ("sign_ins", "login", "unavailable", "directory_unavailable", 1),
        ]
    )
    metrics.record_observed(
        [
            ("revocations", "login", 0.4),
            ("revocations", "login", -0.1),
            ("revocations", "login", 301.0),
            ("revocations", "nowhere", 1.0),
            ("nonsense", "login", 1.0),
        ]
    )
    metrics.share(lambda: {"login": {"sessions": 5}})
    found = _samples(metrics)
    assert found[sign_ins % ("accepted", "none")] == 2
    assert found[sign_ins % ("refused", "wrong_password")] == 1
    assert found[sign_ins % ("refused", "other")] == 1
    counts = [found[within % bound] for bound in ("0.1", "0.25", "0.5", "300.0", "+Inf")]
    assert counts == [1, 1, 2, 2, 3]
    assert found['syncd_sessions_active{organization="login"}'] == 5
    assert found['syncd_sessions_active{organization="acme"}'] == 0
    assert not [name for name in found if "nowhere" in name or "nonsense" in name or "ada" in name]
