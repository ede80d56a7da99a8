"""The report of a run in the contract's shape. Pure."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import TYPE_CHECKING, Any

from syncd.records import worst

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from syncd.records import ListingOutcome
    from syncd.sync.store_ports import PlanCounts


def peak_rss_bytes() -> int:
    """Return the most memory that this process has held resident (VmHWM)."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def make_report(
    *,
    run: str,
    organization: str,
    mode: str,
    status: str,
    outcomes: Sequence[ListingOutcome],
    absences: str,
    promoted_because: str | None,
    read: int,
    unchanged: int,
    quarantined: int,
    counts: PlanCounts | None,
    unresolved: int,
    reasons: Sequence[str],
    seconds: Mapping[str, float],
    excluded: int = 0,
) -> dict[str, Any]:
    """Put a report together."""
    kinds = counts.kinds if counts else {}
    granted = counts.granted if counts else 0
    revoked = counts.revoked if counts else 0
    return {
        "run": run,
        "organization": organization,
        "mode": mode,
        "status": status,
        "listing": worst(outcome.verdict for outcome in outcomes).value,
        "listings": [
            {
                "source": outcome.source,
                "verdict": outcome.verdict.value,
                "result_code": outcome.result_code,
                "pages": outcome.pages,
                "entries": outcome.entries,
                "references": outcome.references,
                "because": outcome.because,
            }
            for outcome in outcomes
        ],
        "absences": absences,
        "promoted_because": promoted_because,
        "users": {
            "read": read,
            "created": kinds.get("create", 0),
            "updated": counts.updated if counts else 0,
            "unchanged": unchanged,
            "renamed": kinds.get("rename", 0),
            "missing": kinds.get("missing", 0),
            "disabled": kinds.get("disable", 0),
            "enabled": kinds.get("enable", 0) + kinds.get("return", 0),
            "deleted": kinds.get("delete", 0),
            "quarantined": quarantined,
            "conflicts": counts.conflicts if counts else 0,
            "excluded": excluded,
        },
        "roles": _targets(counts.roles if counts else {}),
        "groups": _targets(counts.groups if counts else {}),
        "memberships": {"added": granted, "removed": revoked, "unresolved": unresolved},
        "reasons": list(reasons),
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
        "peak_rss_bytes": peak_rss_bytes(),
    }


def _targets(counts: Mapping[str, int]) -> dict[str, int]:
    return {f"{action}d": counts.get(action, 0) for action in ("create", "update", "delete")}
