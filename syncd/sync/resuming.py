"""Bringing a plan to its end whose process ended while it was being applied.

Its books stay unwritten: what they would hold was in the stage, and a stage may have suffered with
the process. The run that follows reads those entries anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syncd.sync.report import make_report

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.sync.ports import Progress
    from syncd.sync.store_ports import Store


def resume(
    store: Store,
    *,
    organization_id: str,
    batch_size: int,
    run_name: Callable[[int], str],
    progress: Progress,
) -> tuple[int, dict[str, Any]] | None:
    """Apply what is left of the organization's unfinished plan; return its run and report."""
    run_id = store.unfinished()
    if run_id is None:
        return None
    for done, total in store.apply(run_id, batch_size):
        progress("apply", done, total)
    mode = store.mode_of(run_id)
    if mode == "undo":
        store.settle_undo(run_id)
    report = make_report(
        run=run_name(run_id),
        organization=organization_id,
        mode=mode,
        status="done",
        outcomes=(),
        absences="none",
        promoted_because=None,
        read=0,
        unchanged=0,
        quarantined=0,
        counts=store.counts(run_id),
        unresolved=store.unresolved(),
        reasons=["its process ended while it was applied; the next run brought it to its end"],
        seconds={},
    )
    if mode == "undo":
        report |= store.undo_report(run_id)
    store.finish(run_id, "done", report)
    return run_id, report
