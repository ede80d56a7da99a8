"""What people may do: their roles, by whatever way, and what those come to.

One statement for one person and for many: grants, the roles of a person's groups and of all groups
above them by the stored closure, everyone's default role, and the permission sets of these.
Permissions only add up. Of people who are not there the caller has to take care: whether somebody
may sign in is another question than what he may do then.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import BigInteger, Text, cast, func, literal, null, select, union_all

from syncd.permissions import Level
from syncd.records import batched
from syncd.store import schema
from syncd.store.source_reads import DEFAULT_ROLE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy import CompoundSelect, Connection

U, G, GM = schema.users, schema.grants, schema.group_members
GA, GR, ROLES, GROUPS = (
    schema.group_ancestors,
    schema.group_roles,
    schema.roles,
    schema.groups,
)
RPS, PS, PSS = (
    schema.role_permission_sets,
    schema.permission_sets,
    schema.permission_set_sections,
)
IN_LIST = 500
DEFAULT_ROLE_ID = next(
    number for number, name, _ in schema.PRECONFIGURED_ROLES if name == DEFAULT_ROLE
)


class HeldRole(NamedTuple):
    """A role that somebody holds, by one way."""

    user_id: int
    role_id: int
    # "default", "manual", or a mapper; of a group's role, who gave it to the group.
    source: str
    # The group that has the role, and the group by which the person is in it; None for a grant.
    group_id: int | None
    member_group_id: int | None


class HeldPermission(NamedTuple):
    """What one permission set of one role gives in one section."""

    role_id: int
    permission_set_id: int
    permission_set: str
    section: str
    level: Level


def _ways(user_ids: Collection[int]) -> CompoundSelect[Any]:
    """Return (person, role, source, group with the role, group of the person) of all ways."""
    nothing = cast(null(), BigInteger)
    direct = select(G.c.user_id, G.c.role_id, G.c.source, nothing, nothing).where(
        G.c.user_id.in_(user_ids)
    )
    by_groups = (
        select(GM.c.user_id, GR.c.role_id, GR.c.source, GR.c.group_id, GM.c.group_id)
        .join(GA, GA.c.group_id == GM.c.group_id)
        .join(GR, GR.c.group_id == GA.c.ancestor_id)
        .where(GM.c.user_id.in_(user_ids))
    )
    default = select(
        U.c.id, literal(DEFAULT_ROLE_ID), cast(literal("default"), Text), nothing, nothing
    ).where(U.c.id.in_(user_ids))
    return union_all(direct, by_groups, default)


def roles_held(connection: Connection, user_ids: Collection[int]) -> Iterator[HeldRole]:
    """Yield each way by which these people hold roles, in a stable order."""
    for part in batched(sorted(set(user_ids)), IN_LIST):
        found = {HeldRole._make(row) for row in connection.execute(_ways(part))}
        yield from sorted(
            found,
            key=lambda way: (
                way.user_id,
                way.role_id,
                way.group_id or 0,
                way.source,
                way.member_group_id or 0,
            ),
        )


def levels(connection: Connection, user_ids: Collection[int]) -> dict[int, dict[str, Level]]:
    """Return what each of these people may do, sections without access left out."""
    found: dict[int, dict[str, Level]] = {user_id: {} for user_id in user_ids}
    for part in batched(sorted(set(user_ids)), IN_LIST):
        ways = _ways(part).subquery()
        user_id, role_id = list(ways.c)[:2]
        query = (
            select(user_id, PSS.c.section, func.max(PSS.c.level))
            .select_from(ways)
            .join(RPS, RPS.c.role_id == role_id)
            .join(PSS, PSS.c.permission_set_id == RPS.c.permission_set_id)
            .group_by(user_id, PSS.c.section)
        )
        for person, section, level in connection.execute(query):
            found[person][section] = Level(level)
    return found


def role_permissions(
    connection: Connection, role_ids: Collection[int]
) -> dict[int, list[HeldPermission]]:
    """Return what each of these roles allows, set by set."""
    found: dict[int, list[HeldPermission]] = defaultdict(list)
    for part in batched(sorted(set(role_ids)), IN_LIST):
        query = (
            select(RPS.c.role_id, PS.c.id, PS.c.name, PSS.c.section, PSS.c.level)
            .join(PS, PS.c.id == RPS.c.permission_set_id)
            .join(PSS, PSS.c.permission_set_id == PS.c.id)
            .where(RPS.c.role_id.in_(part))
            .order_by(RPS.c.role_id, PS.c.id, PSS.c.section)
        )
        for role_id, set_id, name, section, level in connection.execute(query):
            found[role_id].append(HeldPermission(role_id, set_id, name, section, Level(level)))
    return found
