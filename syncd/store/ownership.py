"""To which mapper belongs what mappers gave: under which name it stands in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from syncd.store import schema
from syncd.store.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Column, Connection

    from syncd.store.database import Database
    from syncd.store.leases import Lease

CT = schema.containers
# Everything that carries a mapper's name and its organization.
NAMED: tuple[Column[str], ...] = (
    schema.containers.c.mapper,
    schema.container_ancestors.c.mapper,
    schema.membership_refs.c.mapper,
    schema.group_parents.c.source,
    schema.group_roles.c.source,
    *(side.held.c.source for side in SIDES),
    *(side.targets.c.mapper for side in SIDES),
    schema.quarantine.c.source,
)


def stored_mappers(connection: Connection, organization_id: str) -> set[str]:
    """Return the mappers of which the store has containers, hardcoded ones too."""
    query = select(CT.c.mapper).where(CT.c.organization_id == organization_id).distinct()
    return set(connection.scalars(query))


def rename_mappers(
    database: Database, lease: Lease, organization_id: str, former: Mapping[str, str]
) -> dict[str, str]:
    """Let mappers have what they gave under their former names; return those that had something.

    ``former`` has a mapper's former name by its present one. All of it in one transaction: a store
    in which half of it has another owner would lose the other half at the next sync.
    """
    with database.read() as connection:
        there = stored_mappers(connection, organization_id)
    # One that has something under its present name, too, was not renamed: it was there before.
    done = {now: was for now, was in former.items() if was in there and now not in there}
    if not done:
        return {}
    with database.write() as connection:
        lease.hold(connection)
        for now, was in done.items():
            for column in NAMED:
                table = column.table
                connection.execute(
                    update(table)
                    .where(table.c.organization_id == organization_id, column == was)
                    .values({column: now})
                )
    return done
