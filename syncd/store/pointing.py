"""What people say of their containers, and whom containers mean by their members' names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, insert, literal, select, update

from syncd.store import schema

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from syncd.store.batch import Batch

IK, P = schema.identity_keys, schema.plan_people
PR, MR = schema.plan_refs, schema.membership_refs


def unresolved(organization_id: str) -> ColumnElement[bool]:
    """Return what tells the references that are nobody known yet.

    By way of an expression, for which no database has an index but the one of these few alone:
    given the plain column SQLite would walk all of the organization's references.
    """
    return and_(MR.c.organization_id.concat("") == organization_id, MR.c.user_id.is_(None))


def refer(batch: Batch, staged: ColumnElement[bool]) -> None:
    """Store what people say of their containers, and find out whom containers mean by them."""
    columns = [
        "organization_id",
        "mapper",
        "container_key",
        "kind",
        "member_key",
        "value",
        "user_id",
    ]
    query = select(
        literal(batch.organization_id),
        PR.c.mapper,
        PR.c.container_key,
        literal("of"),
        PR.c.member_key,
        PR.c.value,
        PR.c.user_id,
    ).where(batch.of_batch(PR, staged))
    batch.connection.execute(insert(MR).from_select(columns, query))
    # Their own key among the others, so that what they said is found again without an index.
    batch.connection.execute(
        insert(IK).from_select(
            ["organization_id", "kind", "key", "user_id"],
            select(literal(batch.organization_id), literal("of"), PR.c.member_key, PR.c.user_id)
            .where(batch.of_batch(PR, staged))
            .distinct(),
        )
    )
    waiting = select(literal(1)).where(unresolved(batch.organization_id)).limit(1)
    if batch.connection.execute(waiting).first() is None:
        return
    batch.connection.execute(
        update(MR)
        .where(
            unresolved(batch.organization_id),
            MR.c.kind == IK.c.kind,
            MR.c.member_key == IK.c.key,
            IK.c.organization_id == batch.organization_id,
            IK.c.user_id.in_(select(P.c.user_id).where(staged)),
        )
        .values(user_id=IK.c.user_id)
    )
