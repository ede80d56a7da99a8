"""Writing who holds which role and is in which group, for the people of one batch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, case, cast, delete, exists, func, insert, literal, select, update

from syncd.store import schema
from syncd.store.sides import SIDES

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select

    from syncd.store.batch import Batch
    from syncd.store.sides import Side

J, U = schema.journal, schema.users


def grant(batch: Batch, side: Side, *, fresh: bool) -> None:
    """Give and take what the plan says; ``fresh`` people hold nothing that could be in the way."""
    planned, held = side.planned, side.held
    mine = batch.of_batch(planned)
    granting = (
        select(
            planned.c.user_id,
            side.of(planned),
            planned.c.mapper,
            literal(batch.organization_id),
            planned.c.run_id,
            U.c.username_key,
        )
        .outerjoin(U, U.c.id == planned.c.user_id)
        .where(mine, planned.c.granted)
    )
    if not fresh:
        revoked = exists().where(
            planned.c.run_id == batch.run_id,
            planned.c.user_id == held.c.user_id,
            side.of(planned) == side.of(held),
            planned.c.mapper == held.c.source,
            ~planned.c.granted,
        )
        ids = select(planned.c.user_id).where(mine, ~planned.c.granted)
        batch.connection.execute(delete(held).where(held.c.user_id.in_(ids), revoked))
        present = exists().where(
            held.c.user_id == planned.c.user_id,
            side.of(held) == side.of(planned),
            held.c.source == planned.c.mapper,
        )
        granting = granting.where(~present)
    columns = ["user_id", side.column, "source", "organization_id", "run_id", "username_key"]
    batch.connection.execute(insert(held).from_select(columns, granting))
    _journal(batch, side, mine)


def put_in_order(connection: Connection, people: Select[Any]) -> None:
    """Let what these people hold be listed by the usernames that they have by now."""
    for side in SIDES:
        held = side.held
        key = select(U.c.username_key).where(U.c.id == held.c.user_id).scalar_subquery()
        connection.execute(update(held).where(held.c.user_id.in_(people)).values(username_key=key))


def _journal(batch: Batch, side: Side, mine: ColumnElement[bool]) -> None:
    """Write one row a person: ids and mappers granted and revoked."""
    planned = side.planned
    quoted = case(
        *((planned.c.mapper == mapper, literal(json.dumps(mapper))) for mapper in batch.mappers),
        else_="null",
    )
    pair = literal("[").concat(cast(side.of(planned), Text)).concat(",").concat(quoted).concat("]")
    granted = func.aggregate_strings(case((planned.c.granted, pair)), ",")
    revoked = func.aggregate_strings(case((~planned.c.granted, pair)), ",")
    after = (
        literal('{"granted":[')
        .concat(func.coalesce(granted, ""))
        .concat('],"revoked":[')
        .concat(func.coalesce(revoked, ""))
        .concat("]}")
    )
    query = (
        select(
            literal(batch.organization_id),
            planned.c.user_id,
            literal(batch.change_set_id),
            literal(side.journal_kind),
            after,
            literal(batch.commit_id),
        )
        .where(mine)
        .group_by(planned.c.user_id)
    )
    columns = ["organization_id", "user_id", "change_set_id", "kind", "after", "commit_id"]
    batch.connection.execute(insert(J).from_select(columns, query))
