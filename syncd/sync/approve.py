"""Approve: apply a plan that the guard held, as far as it still holds.

Only the entries that the plan names are read again. What the directory says otherwise by now is
left out and counted; the next sync plans it anew.
"""

from __future__ import annotations

import time
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from syncd.errors import LastOwner, MappingError
from syncd.records import Whereabouts
from syncd.sync import guard
from syncd.sync.collected import fingerprint_of
from syncd.sync.report import make_report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from syncd.records import Located
    from syncd.sync.run import SyncRun
    from syncd.sync.store_ports import PlanRow

ROWS = 1_000


def approve(run: SyncRun, run_id: int, actor: str) -> dict[str, Any]:
    """Apply what still holds of a blocked plan; return the run's report."""
    store = run.store
    started = time.perf_counter()
    with store.lease:
        store.release_held(run_id)
        stale = _stale_people(run, run_id)
        stale_mappers = _stale_mappers(run, run_id)
        dropped = sum(store.drop_grants(run_id, mapper) for mapper in stale_mappers)
        if owners := store.lost_owners(run_id):
            raise LastOwner(guard.last_owner(run.organization_id, owners))
        watermark = store.waiting_watermark(run_id)
        checked = time.perf_counter()
        settles = not stale_mappers
        store.begin_apply(run_id, actor, f"approval of {run.run_name(run_id)}", settles=settles)
        for done, total in store.apply(run_id, run.options.batch_size):
            run.progress("apply", done, total)
        if settles:
            if stale or store.conflicts(run_id):
                store.keep_removed(run_id, run.mappers)
            store.settle(run_id)
        counts = store.counts(run_id)
        reasons = []
        if stale:
            reasons.append(f"{stale} of the people are not as planned any more and were left out")
        if dropped:
            reasons.append(
                f"{dropped} changes of roles and groups of {', '.join(stale_mappers)} were left "
                "out: their entries have changed since"
            )
        now = time.perf_counter()
        report = make_report(
            run=run.run_name(run_id),
            organization=run.options.organization_id,
            mode=store.mode_of(run_id),
            status="done",
            outcomes=(),
            absences="applied" if counts.kinds.get("missing") else "none",
            promoted_because=None,
            read=0,
            unchanged=0,
            quarantined=0,
            counts=counts,
            unresolved=store.unresolved(),
            reasons=reasons,
            seconds={
                "directory": checked - started,
                "map": 0.0,
                "stage": 0.0,
                "plan": 0.0,
                "apply": now - checked,
                "total": now - started,
            },
        )
        store.finish(
            run_id,
            "done",
            report,
            # What was left out has to be looked for again, on the old ground.
            watermark=None if stale or dropped or counts.conflicts else watermark,
            keep_listings=True,
        )
    return report


def _stale_people(run: SyncRun, run_id: int) -> int:
    """Mark the rows of people whom the directory shows otherwise than planned."""
    after = stale = 0
    while rows := run.store.plan_rows(run_id, after, ROWS):
        after = rows[-1].number
        asked = [(row.external_id, row.dn) for row in rows if row.external_id is not None]
        located = run.directory.locate(asked)
        numbers = [row.number for row in rows if not _holds(run, row, located)]
        run.store.mark_stale(run_id, numbers)
        stale += len(numbers)
        run.progress("users", after, None)
    return stale


def _holds(run: SyncRun, row: PlanRow, located: Mapping[str, Located]) -> bool:
    if row.external_id is None:
        return True
    found = located[row.external_id]
    if row.absent:
        return found.whereabouts not in {Whereabouts.PRESENT, Whereabouts.UNREADABLE}
    if found.whereabouts is not Whereabouts.PRESENT or found.entry is None:
        return False
    if row.fingerprint is None:
        return True
    try:
        return fingerprint_of(run.users(run.decode(found.entry))) == row.fingerprint
    except MappingError:
        return False


def _stale_mappers(run: SyncRun, run_id: int) -> list[str]:
    """Return the mappers of which a container that the plan rests on has changed."""
    by_mapper: dict[str, dict[str, int | None]] = {}
    # Of containers that the mapper's listing does not show.
    outside: dict[str, dict[str, int | None]] = {}
    back = _back_again(run, run_id)
    for mapper in back:
        by_mapper[mapper] = {}
    for mapper, dn, digest, is_outside in run.store.staged_containers(run_id):
        by_mapper.setdefault(mapper, {})
        (outside if is_outside else by_mapper).setdefault(mapper, {})[dn] = digest
    organization_key = run.store.digest_key()
    stale = []
    for mapper, digests in by_mapper.items():
        if mapper not in run.containers:
            stale.append(mapper)
            continue
        fingerprint = run.containers[mapper].fingerprint
        key = blake2b(fingerprint.encode(), key=organization_key, digest_size=32).digest()
        raws = list(run.directory.read_containers(mapper, list(digests)))
        if mapper in outside:
            raws += run.directory.read_outside(mapper, list(outside[mapper]))
        planned = {*digests.values(), *outside.get(mapper, {}).values()}
        if mapper in back or _digests(raws, key) != planned - {None}:
            stale.append(mapper)
    return stale


def _back_again(run: SyncRun, run_id: int) -> set[str]:
    """Return the mappers of which a container is there that the plan takes for gone."""
    gone: dict[str, dict[bytes, tuple[str, bool]]] = {}
    for mapper, key, dn, outside in run.store.absent_containers(run_id):
        gone.setdefault(mapper, {})[key] = dn, outside
    back = set()
    for mapper, keys in gone.items():
        mapping = run.containers.get(mapper)
        if mapping is None:
            continue
        # One of its own that its listing does not show is gone, wherever it may be.
        raws = list(
            run.directory.read_containers(
                mapper, [dn for dn, outside in keys.values() if not outside]
            )
        )
        if named := [dn for dn, outside in keys.values() if outside]:
            raws += run.directory.read_outside(mapper, named)
        if any(mapping.key_of(run.decode(raw)) in keys for raw in raws):
            back.add(mapper)
    return back


def _digests(raws: Sequence[bytes], key: bytes) -> set[int]:
    return {
        int.from_bytes(blake2b(raw, digest_size=8, key=key).digest(), "big", signed=True)
        for raw in raws
    }
