"""What a run knows of itself while it goes on, and the report that it makes of that."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from syncd.errors import SyncdError
from syncd.sync.evidence import Evidence
from syncd.sync.report import make_report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.sync.collect import Collector
    from syncd.sync.run import SyncRun
    from syncd.sync.store_ports import PlanCounts

# Of a run's lags: enough for a histogram, whatever the run's size.
MOST_LAGS = 1_000


class RunState:
    """What a run knows of itself, for its report."""

    def __init__(
        self, run: SyncRun, run_id: int, mode: str, collector: Collector, started: float
    ) -> None:
        self.run = run
        self.run_id = run_id
        self.mode = mode
        self.collector = collector
        self.started = started
        self.counts: PlanCounts | None = None
        # Rows of the plan: committed, and in all; once the first batch is through.
        self.applied = (0, 0)
        self.evidence = Evidence()

    def report(self, status: str, *, reasons: Sequence[str]) -> dict[str, Any]:
        """Return the report of the run as it stands, with ``reasons`` before those of evidence."""
        collected = self.collector.collected
        evidence = self.evidence
        if evidence.held or (status == "blocked" and evidence.absent):
            absences = "held"
        elif evidence.absent:
            absences = "applied"
        else:
            absences = "none"
        promoted = evidence.promoted
        seconds = dict(collected.seconds)
        seconds["total"] = time.perf_counter() - self.started
        try:
            unresolved = self.run.store.unresolved() if status in {"done", "planned"} else 0
        except SyncdError:
            unresolved = 0
        report = make_report(
            run=self.run.run_name(self.run_id),
            organization=self.run.options.organization_id,
            mode=self.mode,
            status=status,
            outcomes=collected.outcomes,
            absences=absences,
            promoted_because=str(promoted) if promoted else None,
            read=collected.read,
            unchanged=collected.unchanged,
            quarantined=collected.bad,
            excluded=collected.excluded,
            counts=self.counts,
            unresolved=unresolved,
            reasons=[*reasons, *evidence.held],
            seconds=seconds,
        )
        report["remarks"] = [remark._asdict() for remark in collected.remarks]
        if promoted is not None:
            report["promoted_reason"] = promoted.reason
        if evidence.lasting:
            report["doubts"] = evidence.lasting
        if status == "done" and self.mode == "changed":
            report["lag_seconds"] = lags(collected.modified, self.run.now())
        return report


def lags(modified: Sequence[str], now: datetime) -> list[float]:
    """Return how long ago each of these times was, in seconds; at most some of them."""
    return [
        round(max((now - datetime.fromisoformat(stamp)).total_seconds(), 0.0), 1)
        for stamp in modified[:MOST_LAGS]
    ]
