"""What people may do: their roles, by whatever way, and what those come to.

One statement for one person and for many: grants, the roles of a person's groups and of all groups
above them by the stored closure, everyone's default role, and the permission sets of these.
Permissions only add up. Of people who are not there the caller has to take care: whether somebody
may sign in is another question than what he may do then.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Text,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    union,
    union_all,
)

from syncd.permissions import Level, added
from syncd.store import schema
from syncd.store.among import among, among_given

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy import ColumnElement, CompoundSelect, Connection, Select

    from syncd.permissions import Levels

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
STREAMED = 5_000
# The ids of people, as they are given to a statement.
PEOPLE = "people"
DEFAULT_ROLE = "User"
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
        among(G.c.user_id, user_ids)
    )
    default = select(
        U.c.id, literal(DEFAULT_ROLE_ID), cast(literal("default"), Text), nothing, nothing
    ).where(among(U.c.id, user_ids))
    return union_all(direct, _by_groups(among(GM.c.user_id, user_ids)), default)


def _by_groups(people: ColumnElement[bool]) -> Select[Any]:
    return (
        select(GM.c.user_id, GR.c.role_id, GR.c.source, GR.c.group_id, GM.c.group_id)
        .join(GA, GA.c.group_id == GM.c.group_id)
        .join(GR, GR.c.group_id == GA.c.ancestor_id)
        .where(people)
    )


def roles_held(connection: Connection, user_ids: Collection[int]) -> Iterator[HeldRole]:
    """Yield each way by which these people hold roles, in a stable order."""
    found = {HeldRole._make(row) for row in connection.execute(_ways(user_ids))}
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


def roles_by_groups(connection: Connection, user_ids: Collection[int]) -> list[HeldRole]:
    """Return each way by which these people hold roles of groups."""
    rows = connection.execute(_by_groups_given(), {PEOPLE: sorted(set(user_ids))})
    return list(dict.fromkeys(HeldRole._make(row) for row in rows))


@cache
def _by_groups_given() -> Select[Any]:
    """Return the same for every page of people."""
    return _by_groups(among_given(GM.c.user_id, PEOPLE)).order_by(
        GM.c.user_id, GR.c.role_id, GR.c.group_id, GM.c.group_id, GR.c.source
    )


def levels(connection: Connection, user_ids: Collection[int]) -> dict[int, dict[str, Level]]:
    """Return what each of these people may do, sections without access left out."""
    found: dict[int, dict[str, Level]] = {user_id: {} for user_id in user_ids}
    given = {PEOPLE: sorted(found)}
    for person, section, level in connection.execute(_levels(), given).all():
        found[person][section] = Level(level)
    return found


@cache
def _levels() -> Select[Any]:
    """Return (person, section, level) of people who are given; asked too often to be made anew."""
    direct = select(G.c.user_id, G.c.role_id).where(among_given(G.c.user_id, PEOPLE))
    by_groups = (
        select(GM.c.user_id, GR.c.role_id)
        .join(GA, GA.c.group_id == GM.c.group_id)
        .join(GR, GR.c.group_id == GA.c.ancestor_id)
        .where(among_given(GM.c.user_id, PEOPLE))
    )
    default = select(U.c.id, literal(DEFAULT_ROLE_ID)).where(among_given(U.c.id, PEOPLE))
    # Several ways to one role are one.
    held = union(direct, by_groups, default).subquery()
    user_id, role_id = held.c
    return (
        select(user_id, PSS.c.section, func.max(PSS.c.level))
        .select_from(held)
        .join(RPS, RPS.c.role_id == role_id)
        .join(PSS, PSS.c.permission_set_id == RPS.c.permission_set_id)
        .group_by(user_id, PSS.c.section)
    )


def role_permissions(
    connection: Connection, role_ids: Collection[int]
) -> dict[int, list[HeldPermission]]:
    """Return what each of these roles allows, set by set."""
    found: dict[int, list[HeldPermission]] = defaultdict(list)
    query = (
        select(RPS.c.role_id, PS.c.id, PS.c.name, PSS.c.section, PSS.c.level)
        .join(PS, PS.c.id == RPS.c.permission_set_id)
        .join(PSS, PSS.c.permission_set_id == PS.c.id)
        .where(among(RPS.c.role_id, role_ids))
        .order_by(RPS.c.role_id, PS.c.id, PSS.c.section)
    )
    for role_id, set_id, name, section, level in connection.execute(query):
        found[role_id].append(HeldPermission(role_id, set_id, name, section, Level(level)))
    return found


def role_levels(connection: Connection, role_ids: Collection[int]) -> dict[int, dict[str, Level]]:
    """Return what each of these roles allows, by section."""
    found: dict[int, dict[str, Level]] = {role_id: {} for role_id in role_ids}
    for role_id, section, level in connection.execute(_rated(among(RPS.c.role_id, role_ids))):
        found[role_id][section] = Level(level)
    return found


def set_levels(connection: Connection, set_ids: Collection[int]) -> dict[int, dict[str, Level]]:
    """Return what each of these permission sets allows, by section."""
    found: dict[int, dict[str, Level]] = {set_id: {} for set_id in set_ids}
    query = select(PSS.c.permission_set_id, PSS.c.section, PSS.c.level).where(
        among(PSS.c.permission_set_id, set_ids)
    )
    for set_id, section, level in connection.execute(query):
        found[set_id][section] = Level(level)
    return found


def _rated(where: ColumnElement[bool]) -> Select[Any]:
    """Return (role, section, level) of roles."""
    return (
        select(RPS.c.role_id, PSS.c.section, func.max(PSS.c.level))
        .join(PSS, PSS.c.permission_set_id == RPS.c.permission_set_id)
        .where(where)
        .group_by(RPS.c.role_id, PSS.c.section)
    )


class Holder(NamedTuple):
    """Somebody with what he may do."""

    user_id: int
    username: str
    enabled: bool
    # Of the roles that allow anything at all.
    role_ids: frozenset[int]
    levels: Levels


def everybody(connection: Connection, organization_id: str) -> Iterator[Holder]:
    """Yield all people who are there with what they may do, by username, in one pass.

    One statement gives the pairs of person and role; what several roles come to is found once for
    each combination of them. ``connection`` is read from until the last person.
    """
    allowed: dict[int, dict[str, Level]] = defaultdict(dict)
    of_organization = or_(RPS.c.organization_id == organization_id, RPS.c.organization_id.is_(None))
    for role_id, section, level in connection.execute(_rated(of_organization)):
        allowed[role_id][section] = Level(level)
    combined: dict[frozenset[int], Levels] = {}
    options = {"stream_results": True, "max_row_buffer": STREAMED}
    rows = connection.execute(_pairs_of_all(organization_id), execution_options=options)
    for (user_id, username, enabled), theirs in groupby(rows, lambda row: tuple(row[:3])):
        held = frozenset(
            role_id
            for role_id in (DEFAULT_ROLE_ID, *(row.role_id for row in theirs))
            if role_id in allowed
        )
        if held not in combined:
            combined[held] = added(allowed[role_id] for role_id in held)
        yield Holder(user_id, username, bool(enabled), held, combined[held])


def _pairs_of_all(organization_id: str) -> Select[Any]:
    """Return (person, username, whether enabled, role) of all people who are there."""
    direct = select(G.c.user_id, G.c.role_id).where(G.c.organization_id == organization_id)
    by_groups = (
        select(GM.c.user_id, GR.c.role_id)
        .join(GA, GA.c.group_id == GM.c.group_id)
        .join(GR, GR.c.group_id == GA.c.ancestor_id)
        .where(GR.c.organization_id == organization_id)
    )
    held = union(direct, by_groups).subquery()
    return (
        select(U.c.id, U.c.username, U.c.enabled, held.c.role_id)
        .outerjoin(held, held.c.user_id == U.c.id)
        .where(U.c.organization_id == organization_id, U.c.living)
        .order_by(U.c.username_key, U.c.id)
    )
