"""What queries for Prometheus ask for, held against what the daemon exports."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from syncd.metrics import families, words
from syncd.metrics.families import ORGANIZATION, Family

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Of a scrape itself, of the blackbox exporter, and of prometheus_client's own collector.
OTHERS: Mapping[str, frozenset[str]] = {
    "up": frozenset(),
    "probe_success": frozenset(),
    "process_resident_memory_bytes": frozenset(),
    "process_cpu_seconds_total": frozenset(),
    "process_open_fds": frozenset(),
    "process_start_time_seconds": frozenset(),
}
# What every scraped series has.
SCRAPED = frozenset({"job", "instance"})
# Those that are of the process, not of an organization.
PROCESS = frozenset({families.STORE_ERRORS, families.BUILD, families.RELOADED})
# Labels with a closed list of values.
VALUES: Mapping[str, frozenset[str]] = {
    "mode": frozenset(words.MODES),
    "status": frozenset(words.STATUSES),
    "verdict": frozenset(words.VERDICTS),
    "use": frozenset(words.USES),
    "state": frozenset(words.STATES),
    "stage": frozenset(words.STAGES),
    "outcome": frozenset({*words.TOKEN_OUTCOMES, *words.FETCH_OUTCOMES, "unavailable"}),
}

FAMILIES = frozenset(
    family.name for family in vars(families).values() if isinstance(family, Family)
)

NAME = re.compile(r"\b(?:syncd_\w+|process_\w+|probe_success|up)\b")
SELECTOR = re.compile(r"\b([a-z_:]\w*)\s*\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")


def exported() -> dict[str, frozenset[str]]:
    """Return the series that a daemon may export, each with its labels."""
    found = dict(OTHERS)
    for family in vars(families).values():
        if isinstance(family, Family):
            own = () if family in PROCESS else (ORGANIZATION,)
            labels = frozenset((*own, *family.labels))
            if family.bounds:
                found[f"{family.name}_bucket"] = labels | {"le"}
                found[f"{family.name}_sum"] = found[f"{family.name}_count"] = labels
            else:
                found[family.name] = labels
    return found


def faults(query: str) -> Iterator[str]:
    """Yield what a query asks for that nobody tells."""
    known = exported()
    names = set(NAME.findall(query))
    if not names:
        yield f"no series is named: {query}"
    for name in sorted(names - known.keys()):
        yield f"{name} is not exported"
    for name, matchers in SELECTOR.findall(query):
        for label, operator, value in MATCHER.findall(matchers):
            if label not in known.get(name, frozenset()) | SCRAPED:
                yield f"{name} has no label {label}"
            one_value = operator in {"=", "!="} and "$" not in value
            if one_value and label in VALUES and value not in VALUES[label]:
                yield f"{name} never has {label}={value}"
    labels = frozenset.union(SCRAPED, *(known.get(name, frozenset()) for name in names))
    for grouping in GROUPING.findall(query):
        for label in filter(None, map(str.strip, grouping.split(","))):
            if label not in labels:
                yield f"nothing in the query has the label {label}"
