"""Whom somebody deleted although a directory still has them: syncs pass over them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from syncd.store import schema
from syncd.store.run_reads import iso

if TYPE_CHECKING:
    from syncd.store.editing.change import Change
    from syncd.store.editing.opening import Scope

EX, I, Q = schema.exclusions, schema.identities, schema.quarantine
# Of identities: people of this one are made here, and nobody brings them back.
ADMIN = "admin"


def exclude(change: Change, user_id: int, username: str) -> int:
    """Let syncs pass over somebody who is about to be deleted; return under how many ids.

    To be called while his identities are there still.
    """
    query = select(I.c.source, I.c.external_id).where(I.c.user_id == user_id, I.c.source != ADMIN)
    found = change.connection.execute(query.order_by(I.c.source, I.c.external_id)).all()
    for source, external_id in found:
        of_entry = (Q.c.organization_id == change.organization_id, Q.c.external_id == external_id)
        change.connection.execute(delete(Q).where(*of_entry))
        # Two stores may have had the same id one after the other.
        change.connection.execute(delete(EX).where(*_of(change, source, external_id)))
        change.connection.execute(
            insert(EX).values(
                organization_id=change.organization_id,
                source=source,
                external_id=external_id,
                username=username,
                since=change.now,
                actor=change.actor,
                why=change.why,
            )
        )
        after = {"source": source, "external_id": external_id, "username": username}
        change.of_object("exclusion", user_id, username, before=None, after=after)
    return len(found)


def include(change: Change, source: str, external_id: str) -> bool:
    """Let syncs bring somebody again; return whether they passed over him."""
    where = _of(change, source, external_id)
    username = change.connection.execute(select(EX.c.username).where(*where)).scalar_one_or_none()
    if username is None:
        return False
    change.connection.execute(delete(EX).where(*where))
    before = {"source": source, "external_id": external_id, "username": username}
    change.of_object("exclusion", 0, username, before=before, after=None)
    return True


def listed(at: Scope) -> list[dict[str, Any]]:
    """Return the exclusions by username."""
    query = select(EX).where(EX.c.organization_id == at.organization_id)
    rows = at.connection.execute(query.order_by(EX.c.username, EX.c.source, EX.c.external_id))
    return [
        {
            "source": row.source,
            "external_id": row.external_id,
            "username": row.username,
            "since": iso(row.since),
            "actor": row.actor,
            "why": row.why,
        }
        for row in rows
    ]


def _of(change: Change, source: str, external_id: str) -> tuple[Any, ...]:
    return (
        EX.c.organization_id == change.organization_id,
        EX.c.source == source,
        EX.c.external_id == external_id,
    )
