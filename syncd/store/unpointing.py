"""Taking people out of what directories' groups and roles say of their members."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, func, select, update

from syncd.store import schema

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

IK, MR = schema.identity_keys, schema.membership_refs


def unpoint(connection: Connection, organization_id: str, people: Select[tuple[int]]) -> None:
    """Drop what people said of their containers; containers' own words mean somebody else.

    Others may have the same key: a newcomer under a leaver's DN, a number given twice. To be called
    before the people's keys are deleted.
    """
    other = IK.alias()
    somebody = (
        select(func.min(other.c.user_id))
        .where(
            other.c.organization_id == organization_id,
            other.c.kind == MR.c.kind,
            other.c.key == MR.c.member_key,
            other.c.user_id.not_in(people),
        )
        .scalar_subquery()
    )
    # Without the organization, which the person's id implies: given that, SQLite would rather
    # walk all of the organization's references than look the few keys up.
    theirs = and_(
        MR.c.member_key.in_(select(IK.c.key).where(IK.c.user_id.in_(people))),
        MR.c.user_id.in_(people),
    )
    connection.execute(delete(MR).where(theirs, MR.c.kind == "of"))
    connection.execute(update(MR).where(theirs).values(user_id=somebody))
