"""The sync's own books: what the directory said, how its listings ended, what is in quarantine.

Written after the people, so that a run which ends early leaves nothing behind that would make the
next one believe it had seen more than it applied.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import (
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from syncd.records import ListingOutcome, Quarantined, Verdict, Watermark
from syncd.store import schema
from syncd.store.applying import unresolved
from syncd.store.nesting import PARENT

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

CT, MR = schema.containers, schema.membership_refs
R, C, A = schema.stage_refs, schema.stage_containers, schema.stage_absent
SEEN = schema.stage_seen
I, IK = schema.identities, schema.identity_keys

# How long an entry of the quarantine waits for its next try: doubled each time, at most a day.
FIRST_RETRY = timedelta(minutes=5)
LAST_RETRY = timedelta(days=1)

# A second of SQLite's only write lock; on PostgreSQL nobody waits, and larger sets sort better.
CONTAINERS_PER_TRANSACTION = {"sqlite": 100, "postgresql": 1000}


def last_container(connection: Connection, run_id: int) -> int:
    """Return the number of the last staged container."""
    query = select(func.coalesce(func.max(C.c.number), 0)).where(C.c.run_id == run_id)
    return int(connection.execute(query).scalar_one())


def has_shared_keys(connection: Connection, organization_id: str) -> bool:
    """Tell whether containers may mean several people by one key (a UID that is not unique)."""
    query = (
        select(IK.c.key)
        .where(IK.c.organization_id == organization_id)
        .group_by(IK.c.kind, IK.c.key)
        .having(func.count() > 1)
        .limit(1)
    )
    return connection.execute(query).first() is not None


def settle_containers(
    connection: Connection,
    organization_id: str,
    run_id: int,
    *,
    first: int,
    last: int,
    shared_keys: bool,
) -> None:
    """Store the staged containers ``first`` to ``last`` and what they say of their members.

    A container whose members were not read whole keeps its old references beside the new ones and
    gets no digest, so that it is read again.
    """
    staged = and_(C.c.run_id == run_id, C.c.number >= first, C.c.number <= last)
    same = and_(CT.c.mapper == C.c.mapper, CT.c.container_key == C.c.container_key)
    known = exists().where(CT.c.organization_id == organization_id, same)
    replaced = [
        {"own_mapper": mapper, "own_key": key}
        for mapper, key in connection.execute(
            select(C.c.mapper, C.c.container_key).where(staged, C.c.whole, known)
        )
    ]
    digest = case((C.c.whole, C.c.digest))
    role_id = case((C.c.kind == "role", C.c.target_id), else_=0)
    group_id = case((C.c.kind == "group", C.c.target_id))
    outside = C.c.kind == "outside"
    connection.execute(
        update(CT)
        .where(CT.c.organization_id == organization_id, same, staged)
        .values(
            external_id=C.c.external_id,
            dn=C.c.dn,
            name=C.c.name,
            role_id=role_id,
            digest=digest,
            run_id=C.c.run_id,
            group_id=group_id,
            dn_key=C.c.dn_key,
            outside=outside,
        )
    )
    columns = [
        "organization_id",
        "mapper",
        "container_key",
        "external_id",
        "dn",
        "name",
        "role_id",
        "digest",
        "run_id",
        "group_id",
        "dn_key",
        "outside",
    ]
    connection.execute(
        insert(CT).from_select(
            columns,
            select(
                literal(organization_id),
                C.c.mapper,
                C.c.container_key,
                C.c.external_id,
                C.c.dn,
                C.c.name,
                role_id,
                digest,
                C.c.run_id,
                group_id,
                C.c.dn_key,
                outside,
            ).where(staged, ~known),
        )
    )
    # One statement a container: a set of them in one would read the whole table on SQLite.
    if replaced:
        connection.execute(
            delete(MR).where(
                MR.c.organization_id == organization_id,
                MR.c.mapper == bindparam("own_mapper"),
                MR.c.container_key == bindparam("own_key"),
                MR.c.kind != "of",
            ),
            replaced,
        )
    named = and_(
        IK.c.organization_id == organization_id,
        IK.c.kind == R.c.kind,
        IK.c.key == R.c.member_key,
    )
    resolved: ColumnElement[int] = IK.c.user_id
    if shared_keys:
        resolved = select(func.min(IK.c.user_id)).where(named).correlate(R).scalar_subquery()
    there = exists().where(
        MR.c.organization_id == organization_id,
        MR.c.mapper == R.c.mapper,
        MR.c.container_key == R.c.container_key,
        MR.c.kind == R.c.kind,
        MR.c.member_key == R.c.member_key,
    )
    torn = select(C.c.number).where(staged, ~C.c.whole)
    query = select(
        literal(organization_id),
        R.c.mapper,
        R.c.container_key,
        R.c.kind,
        R.c.member_key,
        R.c.value,
        resolved,
    )
    query = query.select_from(R) if shared_keys else query.select_from(R).outerjoin(IK, named)
    query = query.where(
        R.c.run_id == run_id,
        R.c.number >= first,
        R.c.number <= last,
        or_(R.c.number.not_in(torn), ~there),
    )
    # In the order of the key, so that neighbours go to one page.
    query = query.order_by(R.c.mapper, R.c.container_key, R.c.kind, R.c.member_key)
    connection.execute(insert(MR).from_select(_REF_COLUMNS, query))


_REF_COLUMNS = [
    "organization_id",
    "mapper",
    "container_key",
    "kind",
    "member_key",
    "value",
    "user_id",
]


def unresolved_members(connection: Connection, organization_id: str) -> int:
    """Return how many members that containers name are neither somebody nor a container known.

    Not counted are words about a container itself: that it is in another, and its number as
    somebody's primary group, which most groups are nobody's.
    """
    container = exists().where(
        CT.c.organization_id == organization_id,
        CT.c.mapper == MR.c.mapper,
        CT.c.dn_key == MR.c.member_key,
    )
    query = select(func.count()).where(
        unresolved(organization_id), MR.c.kind.not_in((PARENT, "uid:primarygroup")), ~container
    )
    return int(connection.execute(query.select_from(MR)).scalar_one())


def any_gone_container(connection: Connection, run_id: int) -> bool:
    """Tell whether a run found containers gone."""
    query = select(literal(1)).where(A.c.run_id == run_id, A.c.mapper.is_not(None)).limit(1)
    return connection.execute(query).first() is not None


def drop_gone_containers(connection: Connection, organization_id: str, run_id: int) -> None:
    """Forget containers that a complete listing no longer has."""
    for table in (MR, CT):
        gone = exists().where(
            A.c.run_id == run_id,
            A.c.mapper == table.c.mapper,
            A.c.container_key == table.c.container_key,
        )
        connection.execute(delete(table).where(table.c.organization_id == organization_id, gone))


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
