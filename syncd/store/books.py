"""The sync's own books: how its listings ended, what is in quarantine, how far it has read.

Written after the people, so that a run which ends early leaves nothing behind that would make the
next one believe it had seen more than it applied.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, insert, or_, select, update

from syncd.records import ListingOutcome, Quarantined, Verdict, Watermark
from syncd.store import schema

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

SEEN = schema.stage_seen
I = schema.identities

# How long an entry of the quarantine waits for its next try: doubled each time, at most a day.
FIRST_RETRY = timedelta(minutes=5)
LAST_RETRY = timedelta(days=1)
# Of somebody who was refused when he signed in: no run finds him again.
NO_RUN = 0


def settle_digests(connection: Connection, organization_id: str, source: str, run_id: int) -> None:
    """Store the new digests of entries that were read anew and turned out unchanged."""
    connection.execute(
        update(I)
        .where(
            I.c.organization_id == organization_id,
            I.c.source == source,
            I.c.user_id == SEEN.c.user_id,
            SEEN.c.run_id == run_id,
        )
        .values(digest=SEEN.c.digest)
    )


def look_again(connection: Connection, source: str, run_id: int) -> None:
    """Let the next run take those for changed about whom this one left something undone."""
    M = schema.stage_marks
    withheld = select(M.c.user_id).where(M.c.run_id == run_id, M.c.mark == "withheld")
    connection.execute(
        update(I)
        .where(I.c.source == source, I.c.user_id.in_(withheld))
        .values(digest=None, fingerprint=b"")
    )


def write_watermark(
    connection: Connection,
    organization_id: str,
    source: str,
    *,
    mark: Watermark,
    run_id: int,
    now: datetime,
) -> None:
    """Replace the watermark of a source."""
    W = schema.watermarks
    connection.execute(
        delete(W).where(W.c.organization_id == organization_id, W.c.source == source)
    )
    connection.execute(
        insert(W).values(
            organization_id=organization_id,
            source=source,
            kind=mark.kind,
            value=mark.value,
            ground=mark.ground,
            run_id=run_id,
            at=now,
        )
    )


def read_watermark(connection: Connection, organization_id: str, source: str) -> Watermark | None:
    """Read the watermark of a source."""
    W = schema.watermarks
    row = connection.execute(
        select(W.c.kind, W.c.value, W.c.ground).where(
            W.c.organization_id == organization_id, W.c.source == source
        )
    ).one_or_none()
    return None if row is None else Watermark(*row)


def write_listings(connection: Connection, run_id: int, outcomes: Sequence[ListingOutcome]) -> None:
    """Keep how each listing of a run ended."""
    L = schema.listings
    connection.execute(delete(L).where(L.c.run_id == run_id))
    rows = [
        {
            "run_id": run_id,
            "source": outcome.source,
            "verdict": outcome.verdict.value,
            "result_code": outcome.result_code,
            "pages": outcome.pages,
            "entries": outcome.entries,
            "references": outcome.references,
            "because": outcome.because,
        }
        for outcome in outcomes
    ]
    if rows:
        connection.execute(insert(L), rows)


def write_quarantine(
    connection: Connection,
    organization_id: str,
    run_id: int,
    *,
    found: Sequence[Quarantined],
    outcomes: Sequence[ListingOutcome],
    now: datetime,
    looked_at: Collection[tuple[str, str]] = (),
) -> None:
    """Keep who could not be taken; a complete listing releases those it did not find bad again.

    A run for one person or of the changed entries looked at few: it releases whom it wrote, and of
    the (source, entry) that it ``looked_at`` again those that were not bad any more.
    """
    Q, RUNS = schema.quarantine, schema.runs
    complete = [outcome.source for outcome in outcomes if outcome.verdict is Verdict.COMPLETE]
    mode = connection.scalar(select(RUNS.c.mode).where(RUNS.c.id == run_id))
    if mode in {"user", "changed"}:
        complete = []
        taken = exists().where(
            I.c.organization_id == organization_id,
            I.c.external_id == Q.c.external_id,
            I.c.run_id == run_id,
        )
        connection.execute(delete(Q).where(Q.c.organization_id == organization_id, taken))
    was = {
        (row.source, row.entry): row
        for row in connection.execute(select(Q).where(Q.c.organization_id == organization_id))
    }
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for bad in found:
        # An id that several entries have tells none of them apart.
        shared = bad.reason == "duplicate_id"
        entry = bad.dn if shared else bad.external_id or bad.dn
        before = was.get((bad.source, entry))
        attempts = before.attempts + 1 if before else 1
        rows[bad.source, entry] = {
            "organization_id": organization_id,
            "source": bad.source,
            "entry": entry,
            "dn": bad.dn,
            "external_id": bad.external_id,
            "reason": bad.reason,
            "attribute": bad.attribute,
            "detail": bad.detail,
            "first_seen": before.first_seen if before else now,
            "last_seen": now,
            "attempts": attempts,
            "username_key": bad.username_key,
            "run_id": run_id,
            "next_retry": now + retry_after(attempts),
        }
    stale = [key for key in was if key in rows or key[0] in complete or key in looked_at]
    for start in range(0, len(stale), 500):
        part = stale[start : start + 500]
        for source in {key[0] for key in part}:
            entries = [key[1] for key in part if key[0] == source]
            connection.execute(
                delete(Q).where(
                    Q.c.organization_id == organization_id,
                    Q.c.source == source,
                    Q.c.entry.in_(entries),
                )
            )
    if rows:
        connection.execute(insert(Q), list(rows.values()))


def retry_after(attempts: int) -> timedelta:
    """Return how long an entry is left alone that could not be taken this many times."""
    return min(FIRST_RETRY * (1 << min(attempts - 1, 20)), LAST_RETRY)


def due_quarantine(
    connection: Connection, organization_id: str, now: datetime, limit: int
) -> list[tuple[str, str, str, str | None]]:
    """Return (source, entry, DN, external id) of entries to be tried again, the longest due first.

    At most ``limit`` of them. ``entry`` is by what the quarantine knows it.
    """
    Q = schema.quarantine
    query = (
        select(Q.c.source, Q.c.entry, Q.c.dn, Q.c.external_id)
        .where(
            Q.c.organization_id == organization_id,
            Q.c.run_id != NO_RUN,
            or_(Q.c.next_retry.is_(None), Q.c.next_retry <= now),
        )
        .order_by(Q.c.next_retry.is_not(None), Q.c.next_retry, Q.c.source, Q.c.entry)
        .limit(limit)
    )
    return [(source, entry, dn, key) for source, entry, dn, key in connection.execute(query)]


def clear_stage(connection: Connection, run_id: int) -> None:
    """Remove a run's rows from the stage."""
    for table in schema.stage_metadata.sorted_tables:
        connection.execute(delete(table).where(table.c.run_id == run_id))
