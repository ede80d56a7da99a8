"""Pages of what the syncs keep: runs, plans that wait, the quarantine, who is excluded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import literal, select, tuple_

from syncd.store import schema
from syncd.store.leases import clock
from syncd.store.pages.cursor import asked, page, wanted_filters
from syncd.store.run_reads import iso, run_shape
from syncd.store.waiting import is_waiting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Table

    from syncd.store.pages.cursor import Page
    from syncd.store.people import People

RUNS, Q, E = schema.runs, schema.quarantine, schema.exclusions


def runs(
    people: People, *, limit: object, after: object, filters: Mapping[str, object]
) -> dict[str, Any]:
    """Return a page of runs as reports, the newest first."""
    wanted = asked("runs", limit, after, (int,))
    given = wanted_filters(filters, {"status": str, "mode": str})
    # What is written down as applying is one that was interrupted, to whoever looks.
    word = {"interrupted": ("interrupted", "applying")}
    where = []
    if "status" in given:
        where.append(RUNS.c.status.in_(word.get(given["status"], (given["status"],))))
    if "mode" in given:
        where.append(RUNS.c.mode == given["mode"])
    with people.database.read() as connection:
        return _runs(connection, people.organization_id, "runs", wanted, where)


def plans(people: People, *, limit: object, after: object) -> dict[str, Any]:
    """Return a page of the plans that wait for somebody to approve them, the newest first."""
    wanted = asked("plans", limit, after, (int,))
    with people.database.read() as connection:
        where = [is_waiting(clock(connection))]
        return _runs(connection, people.organization_id, "plans", wanted, where)


def _runs(
    connection: Connection,
    organization_id: str,
    name: str,
    wanted: Page,
    where: Sequence[ColumnElement[bool]],
) -> dict[str, Any]:
    query = select(RUNS).where(RUNS.c.organization_id == organization_id, *where)
    if wanted.after is not None:
        query = query.where(RUNS.c.id < wanted.after[0])
    rows = connection.execute(query.order_by(RUNS.c.id.desc()).limit(wanted.limit + 1)).all()
    shown = rows[: wanted.limit]
    goes_on = (shown[-1].id,) if len(rows) > wanted.limit else None
    return page(name, [run_shape(row) for row in shown], goes_on)


def quarantine(
    people: People, *, limit: object, after: object, filters: Mapping[str, object]
) -> dict[str, Any]:
    """Return a page of the entries that could not be taken."""
    wanted = asked("quarantine", limit, after, (str, str))
    given = wanted_filters(filters, {"source": str, "reason": str})
    key = ("source", "entry")
    with people.database.read() as connection:
        rows = _keyed(connection, people.organization_id, Q, key=key, wanted=wanted, given=given)
    items = [
        {
            "source": row.source,
            "dn": row.dn,
            "external_id": row.external_id,
            "reason": row.reason,
            "attribute": row.attribute,
            "detail": row.detail,
            "first_seen": iso(row.first_seen),
            "last_seen": iso(row.last_seen),
            "attempts": row.attempts,
            "next_retry": iso(row.next_retry),
        }
        for row in rows[: wanted.limit]
    ]
    return page("quarantine", items, _last(rows, wanted, key))


def exclusions(
    people: People, *, limit: object, after: object, filters: Mapping[str, object]
) -> dict[str, Any]:
    """Return a page of whom somebody deleted although a source still has them."""
    wanted = asked("exclusions", limit, after, (str, str))
    given = wanted_filters(filters, {"source": str})
    key = ("source", "external_id")
    with people.database.read() as connection:
        rows = _keyed(connection, people.organization_id, E, key=key, wanted=wanted, given=given)
    items = [
        {
            "source": row.source,
            "external_id": row.external_id,
            "username": row.username,
            "since": iso(row.since),
            "actor": row.actor,
            "why": row.why,
        }
        for row in rows[: wanted.limit]
    ]
    return page("exclusions", items, _last(rows, wanted, key))


def _keyed(
    connection: Connection,
    organization_id: str,
    table: Table,
    *,
    key: tuple[str, str],
    wanted: Page,
    given: Mapping[str, Any],
) -> Sequence[Any]:
    """Return the rows of one page and one more, in the order of their key."""
    places = [table.c[name] for name in key]
    query = select(table).where(
        table.c.organization_id == organization_id,
        *(table.c[name] == value for name, value in given.items()),
    )
    if wanted.after is not None:
        query = query.where(tuple_(*places) > tuple_(*map(literal, wanted.after)))
    return connection.execute(query.order_by(*places).limit(wanted.limit + 1)).all()


def _last(rows: Sequence[Any], wanted: Page, key: tuple[str, str]) -> tuple[str, ...] | None:
    if len(rows) <= wanted.limit:
        return None
    row = rows[wanted.limit - 1]
    return tuple(getattr(row, name) for name in key)
