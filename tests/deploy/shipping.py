"""The log as docs/monitoring.md promises it to whoever ships it, and the commands of that page."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.servers.authority import program

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
_, LOGS = (ROOT / "docs/monitoring.md").read_text(encoding="utf-8").split("\n## Logs\n")
# Of every line of a log; `organization` is there where it is about one.
PROMISED = frozenset(re.findall(r"`(\w+)`", LOGS.partition(", and\n")[0]))


def filters() -> list[str]:
    """Return what the page has jq choose."""
    (block,) = re.findall(r"^```\n(journalctl .*?)^```", LOGS, re.DOTALL | re.MULTILINE)
    (other,) = re.findall(r"^```\n(kubectl .*?)^```", LOGS, re.DOTALL | re.MULTILINE)
    found = []
    for line in (block + other).splitlines():
        words = shlex.split(line, comments=True)
        if "jq" in words:
            assert words[-3:-1] == ["jq", "-c"], line
            found.append(words[-1])
    return found


def chosen(log: str, words: str) -> list[Mapping[str, Any]]:
    """Return the lines of a log that jq chooses."""
    jq = [program("jq"), "-c", words]
    done = subprocess.run(jq, input=log, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def shipper() -> dict[str, Any]:
    """Return the example for an agent."""
    (block,) = re.findall(r"^```yaml\n(.*?)^```", LOGS, re.DOTALL | re.MULTILINE)
    found: dict[str, Any] = yaml.safe_load(block)
    return found


def check_shipped(log: str, since: datetime) -> None:
    """Check that every line of a running daemon's log is as the page says, for its commands too."""
    events = [json.loads(line) for line in log.splitlines()]
    assert set(PROMISED) == {"timestamp", "level", "event", "action"}
    (parser,) = shipper()["parsers"]
    for event in events:
        assert event.keys() >= PROMISED, event
        assert re.fullmatch(r"[a-z0-9_]+", event["action"]), event
        assert event["level"] in {"debug", "info", "warning", "error", "critical"}, event
        # Fluent Bit's %L are the fractions of a second, which Python calls %f.
        form = parser["time_format"].replace("%L", "%f")
        told = datetime.strptime(event[parser["time_key"]], form).replace(tzinfo=UTC)
        assert since <= told <= datetime.now(UTC), event
    severe, of_acme = filters()
    grave = [event for event in events if event["level"] in {"warning", "error"}]
    about = [event for event in events if event.get("organization") == "acme"]
    assert grave
    assert about
    assert chosen(log, severe) == grave
    assert chosen(log, of_acme) == about
