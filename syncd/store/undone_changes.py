"""What the plan of an undo changes besides people's fields, roles and groups, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, select

from syncd.store import schema
from syncd.store.kinds import OF_PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

P, PX, PO = schema.plan_people, schema.plan_restrictions, schema.plan_objects


def undone_changes(connection: Connection, run_id: int) -> Iterator[dict[str, Any]]:
    """Yield what is set back of things that are no people, and of restrictions by hand."""
    objects = select(PO).where(PO.c.run_id == run_id).order_by(PO.c.number.desc())
    for row in connection.execute(objects).all():
        gone, made = row.action == "delete", row.action == "create"
        yield {
            "kind": f"{row.action}_{row.object}",
            "username": None,
            "external_id": None,
            "field": f"{row.object}s",
            "old": None if made else row.name,
            "new": None if gone else row.name,
            "cause": f"left as it is: {row.because}" if row.state == "left" else None,
        }
    restrictions = (
        select(P.c.username, P.c.external_id, P.c.cause, PX.c.source, PX.c.reason, PX.c.holds)
        .join(P, and_(P.c.run_id == PX.c.run_id, P.c.user_id == PX.c.user_id))
        .where(PX.c.run_id == run_id, P.c.kinds.op("&")(int(OF_PROVIDERS)) == 0)
        .order_by(P.c.username_key, PX.c.source, PX.c.reason)
    )
    for row in connection.execute(restrictions).all():
        reason = f"{row.source}:{row.reason}"
        yield {
            "kind": "restrict" if row.holds else "lift",
            "username": row.username,
            "external_id": row.external_id,
            "field": "restrictions",
            "old": None if row.holds else reason,
            "new": reason if row.holds else None,
            "cause": row.cause,
        }
