"""Writing whose people are: a link and a switch give them another provider, a rekey another id."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import and_, insert, select, update

from syncd.records import provider_of
from syncd.store import schema
from syncd.store.kinds import Kind

if TYPE_CHECKING:
    from syncd.store.batch import Batch

U, I, P, J = schema.users, schema.identities, schema.plan_people, schema.journal

TAKES_OVER = Kind.LINK | Kind.REJOIN


def take_over(batch: Batch) -> None:
    """Let the batch's people be those of its source, with a journal row where they were not."""
    provider = provider_of(batch.source)
    query = (
        select(P.c.user_id, U.c.provider, P.c.external_id)
        .join(U, U.c.id == P.c.user_id)
        .where(batch.having(TAKES_OVER), U.c.provider != provider)
        .order_by(P.c.number)
    )
    rows = [
        {
            "organization_id": batch.organization_id,
            "user_id": user_id,
            "change_set_id": batch.change_set_id,
            "kind": "identity",
            "before": json.dumps({"provider": was}),
            "after": json.dumps(
                {"provider": provider, "source": batch.source, "external_id": external_id},
                ensure_ascii=False,
            ),
            "commit_id": batch.commit_id,
        }
        for user_id, was, external_id in batch.connection.execute(query)
    ]
    if rows:
        batch.connection.execute(insert(J), rows)
    batch.connection.execute(
        update(U).where(U.c.id.in_(batch.ids(TAKES_OVER))).values(provider=provider)
    )
    # Those of whom nothing else is written: a restriction that is lifted counts by itself.
    quiet = and_(batch.having(Kind.REJOIN), P.c.kinds.op("&")(int(Kind.RESTRICT)) == 0)
    batch.connection.execute(
        update(U)
        .where(U.c.id.in_(select(P.c.user_id).where(quiet)))
        .values(version=U.c.version + 1)
    )
    # What was done to them by hand meanwhile is the source's again at its next word.
    batch.connection.execute(
        update(I)
        .where(I.c.source == batch.source, I.c.user_id.in_(batch.ids(Kind.REJOIN)))
        .values(digest=None, fingerprint=b"")
    )


def rekey(batch: Batch) -> None:
    """Let the source know the batch's people by their new ids, and look at them anew."""
    mine = and_(I.c.organization_id == batch.organization_id, I.c.source == batch.source)
    query = (
        select(P.c.user_id, I.c.external_id, P.c.external_id)
        .join(I, and_(mine, I.c.user_id == P.c.user_id))
        .where(batch.having(Kind.REKEY))
        .order_by(P.c.number)
    )
    rows = [
        {
            "organization_id": batch.organization_id,
            "user_id": user_id,
            "change_set_id": batch.change_set_id,
            "kind": "identity",
            "before": json.dumps({"source": batch.source, "external_id": was}, ensure_ascii=False),
            "after": json.dumps({"source": batch.source, "external_id": now}, ensure_ascii=False),
            "commit_id": batch.commit_id,
        }
        for user_id, was, now in batch.connection.execute(query)
    ]
    if not rows:
        return
    batch.connection.execute(insert(J), rows)
    batch.connection.execute(
        update(I)
        .where(mine, I.c.user_id == P.c.user_id, batch.having(Kind.REKEY))
        .values(external_id=P.c.external_id, digest=None, fingerprint=b"")
    )
    batch.connection.execute(
        update(U).where(U.c.id.in_(batch.ids(Kind.REKEY))).values(version=U.c.version + 1)
    )
