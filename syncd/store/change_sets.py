"""Change sets: what they are called, whose they are, and their journal rows person by person."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, select

from syncd.store import schema
from syncd.store.runs import run_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from syncd.store.database import Database

CS, J, OJ, COMMITS = (
    schema.change_sets,
    schema.journal,
    schema.object_journal,
    schema.commits,
)
RUNS = schema.runs
# People whose rows are read at once.
PAGE = 500

# Of one person, by kind: before and after.
Rows = dict[str, tuple[dict[str, Any], dict[str, Any]]]


class ChangeSet(NamedTuple):
    """Who changed something, when and why."""

    id: int
    organization_id: str
    run_id: int | None
    actor: str
    why: str | None
    at: datetime
    # The mode of the run, where it was one.
    mode: str | None
    # Of an undo: the change set that it took back.
    undoes: int | None


class ObjectRow(NamedTuple):
    """One object of a change set."""

    number: int
    object: str
    object_id: int
    name: str
    kind: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def change_set_name(change_set_id: int) -> str:
    """Return the id by which people call a change set."""
    return f"c-{change_set_id:06d}"


def change_set_number(name: str) -> int | None:
    """Return the number in a change set's name; None when it is none."""
    digits = name.removeprefix("c-")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 18 else None


def find_change_set(
    database: Database, name: str, organization_id: str | None = None
) -> ChangeSet | None:
    """Return a change set by its name, or by that of the run which made it."""
    if name.startswith("r-"):
        number = run_number(name)
        which = and_(RUNS.c.id == number, RUNS.c.change_set_id == CS.c.id)
    else:
        number = change_set_number(name)
        which = CS.c.id == number
    if number is None:
        return None
    if organization_id is not None:
        which = and_(which, CS.c.organization_id == organization_id)
    with database.read() as connection:
        row = connection.execute(select_change_sets().where(which)).one_or_none()
    return None if row is None else ChangeSet(*row)


def select_change_sets() -> Any:  # noqa: ANN401 - a query
    """Return the query whose rows are those of ``ChangeSet``."""
    return select(
        CS.c.id,
        CS.c.organization_id,
        CS.c.run_id,
        CS.c.actor,
        CS.c.why,
        CS.c.at,
        RUNS.c.mode,
        RUNS.c.undoes,
    ).outerjoin(RUNS, RUNS.c.id == CS.c.run_id)


def commits_of(connection: Connection, organization_id: str, change_set_id: int) -> list[int]:
    """Return the transactions of a change set, in their order."""
    query = (
        select(COMMITS.c.commit_id)
        .where(
            COMMITS.c.organization_id == organization_id, COMMITS.c.change_set_id == change_set_id
        )
        .order_by(COMMITS.c.position)
    )
    return list(connection.scalars(query))


def people_of(
    database: Database, organization_id: str, change_set_id: int, size: int = PAGE
) -> Iterator[dict[int, Rows]]:
    """Yield what a change set did to people, some people at a time with all their rows.

    Found by the transactions; of change sets older than those by a walk through the organization's
    journal.
    """
    mine = and_(J.c.organization_id == organization_id, J.c.change_set_id == change_set_id)
    with database.read() as connection:
        parts: list[ColumnElement[bool]] = [
            and_(mine, J.c.commit_id == commit_id)
            for commit_id in commits_of(connection, organization_id, change_set_id)
        ]
    for part in parts or [mine]:
        after = 0
        while True:
            with database.read() as connection:
                query = select(J.c.user_id).where(part, J.c.user_id > after).distinct()
                ids = list(connection.scalars(query.order_by(J.c.user_id).limit(size)))
                if not ids:
                    break
                rows = connection.execute(
                    select(J.c.user_id, J.c.kind, J.c.before, J.c.after).where(
                        part, J.c.user_id.between(ids[0], ids[-1])
                    )
                ).all()
            yield _by_person(rows)
            after = ids[-1]


def _by_person(rows: Any) -> dict[int, Rows]:  # noqa: ANN401 - rows
    found: dict[int, Rows] = {}
    for user_id, kind, before, after in rows:
        found.setdefault(user_id, {})[kind] = (parsed(before), parsed(after))
    return found


def parsed(text: str | None) -> dict[str, Any]:
    """Return a journal's JSON; nothing is an empty object."""
    value: dict[str, Any] = json.loads(text) if text else {}
    return value


def objects_of(connection: Connection, organization_id: str, change_set_id: int) -> list[ObjectRow]:
    """Return the objects of a change set in their order."""
    query = (
        select(
            OJ.c.number, OJ.c.object, OJ.c.object_id, OJ.c.name, OJ.c.kind, OJ.c.before, OJ.c.after
        )
        .where(OJ.c.organization_id == organization_id, OJ.c.change_set_id == change_set_id)
        .order_by(OJ.c.number)
    )
    return [_object_row(row) for row in connection.execute(query)]


def _object_row(row: Any) -> ObjectRow:  # noqa: ANN401 - a row
    number, object_, object_id, name, kind, before, after = row
    return ObjectRow(
        number,
        object_,
        object_id,
        name,
        kind,
        None if before is None else json.loads(before),
        None if after is None else json.loads(after),
    )


def same(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Return whether two snapshots are alike, in what both of them have."""
    if one is None or other is None:
        return one is other
    return all(one[name] == other[name] for name in one.keys() & other.keys())
