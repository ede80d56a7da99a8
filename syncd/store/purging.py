"""Purging people: what the store knew of somebody goes, by whatever road he is deleted.

What remains is one journal row which says that somebody was purged, and when; whoever deletes
writes it. Exclusions and what people typed as the reason of a change keep their words.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import Select, and_, delete, select, update

from syncd.records import batched
from syncd.store import schema
from syncd.store.sides import SIDES
from syncd.store.unpointing import unpoint

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import ColumnElement, Connection

U, OJ = schema.users, schema.object_journal
AB, ABE, ABT = schema.address_books, schema.address_book_entries, schema.address_book_tags
RUNS = schema.runs
IN_LIST = 500
# How a report names somebody as a whole.
PERSON = "person "

# Tables that know people by ``user_id`` and nothing else of interest.
OF_PEOPLE = (
    *(side.held for side in SIDES),
    schema.restrictions,
    schema.identity_keys,
    schema.identities,
    schema.passwords,
    schema.links,
    schema.api_tokens,
    schema.handoffs,
    schema.sessions,
)
PLANS = (
    schema.plan_people,
    schema.plan_keys,
    schema.plan_refs,
    schema.plan_restrictions,
    *(side.planned for side in SIDES),
)


def purge(
    connection: Connection,
    organization_id: str,
    people: Select[tuple[int]] | Collection[int],
    *,
    but_run: int | None = None,
) -> None:
    """Delete people with everything of theirs, and scrub journal and plans of them.

    ``but_run`` is the run that does it, whose own plan is still needed. The journal row of the
    deletion is the caller's, and so is an exclusion.
    """
    if isinstance(people, Select):
        _purge(connection, organization_id, people, but_run)
        return
    for part in batched(sorted(people), IN_LIST):
        query = select(U.c.id).where(U.c.id.in_(part), U.c.organization_id == organization_id)
        _purge(connection, organization_id, query, but_run)


def _purge(
    connection: Connection, organization_id: str, people: Select[tuple[int]], run_id: int | None
) -> None:
    ids = select(people.subquery().c[0])
    unpoint(connection, organization_id, ids)
    for table in OF_PEOPLE:
        connection.execute(delete(table).where(table.c.user_id.in_(ids)))
    _purge_books(connection, organization_id, ids)
    scrub(connection, organization_id, ids, but_run=run_id)
    # Last, as ``people`` may be asked of this very table.
    connection.execute(delete(U).where(U.c.id.in_(ids)))


def _purge_books(connection: Connection, organization_id: str, ids: Select[tuple[int]]) -> None:
    """Delete people's own address books, and what the journal has of what stands in them."""
    books = select(AB.c.id).where(AB.c.owner_id.in_(ids))
    own = list(connection.execute(books).scalars())
    for part in batched(own, IN_LIST):
        entries = select(ABE.c.id).where(ABE.c.address_book_id.in_(part))
        of_entry = and_(OJ.c.object == "address_book_entry", OJ.c.object_id.in_(entries))
        of_book = and_(OJ.c.object == "address_book", OJ.c.object_id.in_(part))
        # Of entries that are gone already only the snapshots know whose book they were in.
        gone = and_(
            OJ.c.object == "address_book_entry",
            OJ.c.object_id.in_(_former_entries(connection, organization_id, part)),
        )
        for which in (of_entry, of_book, gone):
            statement = delete(OJ).where(OJ.c.organization_id == organization_id, which)
            connection.execute(statement)
        for table in (ABT, ABE):
            connection.execute(delete(table).where(table.c.address_book_id.in_(part)))
        connection.execute(delete(AB).where(AB.c.id.in_(part)))


def _former_entries(
    connection: Connection, organization_id: str, books: Collection[int]
) -> list[int]:
    """Return the entries that the journal has as deleted from these books."""
    found: list[int] = []
    for book_id in books:
        query = select(OJ.c.object_id).where(
            OJ.c.organization_id == organization_id,
            OJ.c.object == "address_book_entry",
            OJ.c.kind == "delete",
            OJ.c.before.like(f'%"address_book_id": {book_id}%'),
        )
        found += connection.scalars(query)
    return found


def scrub(
    connection: Connection,
    organization_id: str,
    ids: Select[tuple[int]],
    *,
    but_run: int | None = None,
) -> None:
    """Take people out of the journal and of plans: nothing old may still tell who they were."""
    J = schema.journal
    connection.execute(
        delete(J).where(J.c.organization_id == organization_id, J.c.user_id.in_(ids))
    )
    for table in PLANS:
        theirs: ColumnElement[bool] = table.c.user_id.in_(ids)
        if but_run is not None:
            theirs = and_(table.c.run_id != but_run, theirs)
        connection.execute(delete(table).where(theirs))
    _scrub_reports(connection, organization_id, ids)


def _scrub_reports(connection: Connection, organization_id: str, ids: Select[tuple[int]]) -> None:
    """Take people out of the reports of undos, the only ones that name people."""
    mine = and_(RUNS.c.organization_id == organization_id, RUNS.c.undoes.is_not(None))
    query = select(RUNS.c.id, RUNS.c.report).where(mine, RUNS.c.report.is_not(None))
    for run_id, text in connection.execute(query).all():
        report = json.loads(text)
        told = report.get("left_alone") or []
        names = {_named(each) for each in told}
        gone: set[str] = set()
        for part in batched(sorted(names), IN_LIST):
            theirs = select(U.c.username).where(U.c.id.in_(ids), U.c.username.in_(part))
            gone |= set(connection.scalars(theirs))
        if gone:
            report["left_alone"] = [each for each in told if _named(each) not in gone]
            values = {"report": json.dumps(report, ensure_ascii=False)}
            connection.execute(update(RUNS).where(RUNS.c.id == run_id).values(values))


def _named(left: Mapping[str, str]) -> str:
    """Return the person of "person mia" or of "first_name of mia"."""
    whole, _, of = left["what"].partition(" of ")
    return of or whole.removeprefix(PERSON)
