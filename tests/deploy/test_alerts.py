"""The alerts of deploy/prometheus: their form, their unit tests, their names, their runbook."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.queries import exported, faults
from tests.servers.authority import program

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/prometheus"
RULES = FOLDER / "syncd.rules.yml"
CASES = sorted(FOLDER.glob("*.test.yml"))
ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
]
NAMED = re.compile(r"`([a-z]+(?:_[a-z]+)+)`")
PROMETHEUS = frozenset({"rule_files", "runbook_url"})
HEADING = re.compile(r"^### (\w+)$", re.MULTILINE)


@pytest.fixture(params=ALERTS, ids=lambda alert: str(alert["alert"]))
def alert(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each alert in turn."""
    found: dict[str, Any] = request.param
    return found


def told(*words: str | Path) -> str:
    """Return what promtool said; it has to end well."""
    command = [program("promtool"), *map(str, words)]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_files_are_in_order() -> None:
    """Promtool reads the rules and the whole configuration, and has nothing to say."""
    assert f"{len(ALERTS)} rules found" in told("check", "rules", RULES)
    assert "SUCCESS" in told("check", "config", FOLDER / "prometheus.yml")


@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.name)
def test_alerts_fire_and_rest(cases: Path) -> None:
    """Each case has the alerts that it should have, at its moments."""
    assert "SUCCESS" in told("test", "rules", cases)


def test_each_alert_has_a_case_of_each_kind() -> None:
    """One moment at which it fires and one at which it does not, by series that are there."""
    firing: set[str] = set()
    resting: set[str] = set()
    for cases in CASES:
        for case in yaml.safe_load(cases.read_text())["tests"]:
            for check in case["alert_rule_test"]:
                (firing if check["exp_alerts"] else resting).add(check["alertname"])
    names = {alert["alert"] for alert in ALERTS}
    assert len(names) == len(ALERTS)
    assert (firing, resting) == (names, names)


def test_it_asks_for_what_is_exported(alert: dict[str, Any]) -> None:
    """Every series, label and value in the query is one that the daemon tells."""
    assert list(faults(alert["expr"])) == []


def test_it_says_how_bad_and_what_to_do(alert: dict[str, Any]) -> None:
    """It has a severity, a summary, and a heading in the runbook to go to."""
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"]["summary"]
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert anchor == alert["alert"].lower()
    assert alert["alert"] in HEADING.findall((ROOT / page).read_text(encoding="utf-8"))


def test_the_runbook_has_no_alert_that_is_gone() -> None:
    """Every heading of an alert in the runbook is one of the rules."""
    page = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    assert sorted(HEADING.findall(page)) == sorted(alert["alert"] for alert in ALERTS)


@pytest.mark.parametrize("page", ["runbook.md", "monitoring.md"])
def test_pages_name_what_the_program_has(page: str) -> None:
    """Series, keys, reasons and actions of the log that a page names are words of the source."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("syncd/**/*.py"))
    words = set(re.findall(r"\w+", source)) | exported().keys()
    named = set(NAMED.findall((ROOT / "docs" / page).read_text(encoding="utf-8")))
    assert named
    assert sorted(named - words - PROMETHEUS) == []


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("syncd_sync_runs > 0", "syncd_sync_runs is not exported"),
        ('syncd_users{mode="full"}', "syncd_users has no label mode"),
        ('syncd_sync_listing_total{verdict="cut"}', "never has verdict=cut"),
        ("sum by (reason) (syncd_users)", "nothing in the query has the label reason"),
        ("1 + 1", "no series is named"),
    ],
)
def test_a_wrong_query_is_found(query: str, fault: str) -> None:
    """The check of queries names what is wrong."""
    assert any(fault in each for each in faults(query))
    assert "syncd_users" in exported()
