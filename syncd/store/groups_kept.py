"""Groups that were met are kept from page to page until something changes in their organization.

Whatever changes anything takes the organization's next position in the feed, in the same
transaction (``syncd.store.feed``). So what was read at a position holds for every transaction that
sees this position, in whichever process the changes are made.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import bindparam, select

from syncd.store import schema
from syncd.store.groups_met import GroupsMet

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Select

    from syncd.store.database import Database

HEADS = schema.feed_heads
# As many groups of one organization, and as many organizations.
MOST_GROUPS, MOST_ORGANIZATIONS = 20_000, 32
ORGANIZATION = "organization"


class _Kept(NamedTuple):
    position: int
    met: GroupsMet


_kept: WeakKeyDictionary[Engine, dict[str, _Kept]] = WeakKeyDictionary()


def groups_met(database: Database, connection: Connection, organization_id: str) -> GroupsMet:
    """Return the groups met so far, as they are at the moment that the transaction sees.

    ``connection`` is of ``read_by_key``, whose statements all see one moment.
    """
    position: int | None = connection.scalar(_position(), {ORGANIZATION: organization_id})
    if position is None:
        return GroupsMet()
    several = _kept.setdefault(database.engine, {})
    found = several.get(organization_id)
    if found is not None and found.position == position and len(found.met.roles) <= MOST_GROUPS:
        return found.met
    met = GroupsMet()
    # A transaction that began before the change must not bring back what was.
    if found is None or found.position <= position:
        several.pop(organization_id, None)
        while len(several) >= MOST_ORGANIZATIONS:
            several.pop(next(iter(several), ""), None)
        several[organization_id] = _Kept(position, met)
    return met


@cache
def _position() -> Select[Any]:
    return select(HEADS.c.position).where(HEADS.c.organization_id == bindparam(ORGANIZATION))
