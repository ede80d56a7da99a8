"""Who owns an organization: people with the role Owner who are not shut out for good.

A lockout ends by itself and does not take an owner away; every other restriction does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exists, select, union

from syncd.store import schema
from syncd.store.accounts import LOCKED
from syncd.store.leases import clock
from syncd.store.restricting import holds

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

U, X, G = schema.users, schema.restrictions, schema.grants
GM, GA, GR = schema.group_members, schema.group_ancestors, schema.group_roles
OWNER_ROLE = 1


def holders(role_id: int, organization_id: str) -> Select[tuple[int]]:
    """Return the people who hold a role, directly or by their groups and the groups above them."""
    direct = select(G.c.user_id).where(
        G.c.role_id == role_id, G.c.organization_id == organization_id
    )
    by_groups = (
        select(GM.c.user_id)
        .join(GA, GA.c.group_id == GM.c.group_id)
        .join(GR, GR.c.group_id == GA.c.ancestor_id)
        .where(GR.c.role_id == role_id, GR.c.organization_id == organization_id)
    )
    both = union(direct, by_groups).subquery()
    return select(both.c.user_id)


def has_owner(connection: Connection, organization_id: str) -> bool:
    """Return whether anybody is left who may do everything."""
    shut = exists().where(X.c.user_id == U.c.id, X.c.reason != LOCKED, holds(clock(connection)))
    return connection.execute(_living(organization_id).where(~shut).limit(1)).first() is not None


def ownership(connection: Connection, organization_id: str) -> int:
    """Return 2 where an owner is left, 1 where only those who are shut out are, 0 without any."""
    if has_owner(connection, organization_id):
        return 2
    anybody = _living(organization_id).limit(1)
    return 0 if connection.execute(anybody).first() is None else 1


def _living(organization_id: str) -> Select[tuple[int]]:
    return select(U.c.id).where(
        U.c.organization_id == organization_id,
        U.c.id.in_(holders(OWNER_ROLE, organization_id)),
        U.c.living,
    )
