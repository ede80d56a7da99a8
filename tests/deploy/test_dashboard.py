"""The dashboard of deploy/grafana: its form, its queries, and the files that load it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from syncd.metrics import families
from tests.deploy.queries import FAMILIES, faults
from tests.servers.authority import program

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/grafana"
DASHBOARD: dict[str, Any] = json.loads(
    (FOLDER / "dashboards/syncd.json").read_text(encoding="utf-8")
)
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# What the dashboard may leave out: a count of syncs says the same.
NOT_SHOWN = {families.LAST_ATTEMPT.name}


def queries() -> Iterator[tuple[str, str]]:
    """Yield the titles of panels with their queries."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    """Each is valid with the variables filled in; as rules they are read by promtool."""
    rules = [
        {"record": f"panel:{number}", "expr": query.replace("$organization", "acme|other")}
        for number, (_, query) in enumerate(queries())
    ]
    assert len(rules) > 25
    assert not any("$" in rule["expr"] for rule in rules)
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(
        [program("promtool"), "check", "rules", str(path)],
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_query_asks_for_what_is_exported() -> None:
    """Series, labels and values are those that the daemon tells, in legends as well."""
    wrong = {title: list(faults(query)) for title, query in queries()}
    assert {title: found for title, found in wrong.items() if found} == {}
    for panel in PANELS:
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert label in target["expr"] or label == "instance", panel["title"]


def test_everything_exported_is_shown() -> None:
    """No metric of the daemon is missing from the dashboard."""
    shown = " ".join(query for _, query in queries())
    assert {name for name in FAMILIES if name not in shown} <= NOT_SHOWN


def test_panels_have_a_source_and_a_place() -> None:
    """Each asks the chosen data source, has an id of its own, and lies on no other."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        cells |= own
    for panel in PANELS:
        assert panel["datasource"] == SOURCE, panel["title"]
        assert all(target["datasource"] == SOURCE for target in panel["targets"]), panel["title"]
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == {
        "datasource",
        "organization",
    }


def test_grafana_is_told_where_to_look() -> None:
    """The provisioning files name a Prometheus and the dashboards' folder."""
    (source,) = yaml.safe_load(
        (FOLDER / "provisioning/datasources/syncd.yaml").read_text(encoding="utf-8")
    )["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "${SYNCD_PROMETHEUS_URL}")
    (provider,) = yaml.safe_load(
        (FOLDER / "provisioning/dashboards/syncd.yaml").read_text(encoding="utf-8")
    )["providers"]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
