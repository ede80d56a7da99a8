"""A throw-away Prometheus that has the alerts of deploy/prometheus."""

from __future__ import annotations

import json

import yaml

from tests.deploy.test_alerts import RULES
from tests.servers.prometheus import Prometheus

SOON = frozenset({"SyncdPlanBlocked", "SyncdDown"})


def firing(alert: str) -> str:
    """Return the query that finds an alert while it fires."""
    return f'ALERTS{{alertname="{alert}",alertstate="firing"}}'


class Watching(Prometheus):
    """It evaluates the alerts each second, and two of them have not to wait for minutes."""

    def __init__(self, port: int) -> None:
        super().__init__([port])
        document = json.loads(self._configuration.read_text())
        document["global"]["evaluation_interval"] = "1s"
        document["rule_files"] = [RULES.name]
        self._configuration.write_text(json.dumps(document))
        rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
        for rule in (rule for group in rules["groups"] for rule in group["rules"]):
            if rule["alert"] in SOON:
                rule["for"] = "1s"
        (self.folder / RULES.name).write_text(json.dumps(rules))
