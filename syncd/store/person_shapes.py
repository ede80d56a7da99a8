"""A person as everybody is shown him: the contract's shape, with what he holds and what shuts out.

Four statements for however many people, each always the same text: prepared once, and planned once
where the transaction says so.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, Text, bindparam, cast, func, literal_column, null, select, union_all

from syncd.store import schema
from syncd.store.among import among_given
from syncd.store.effective import DEFAULT_ROLE
from syncd.store.identifying import is_shown
from syncd.store.run_reads import iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import BindParameter, CompoundSelect, Connection, Select

    from syncd.store.groups_met import GroupsMet

U, I, X = schema.users, schema.identities, schema.restrictions
G, GM, ROLES = schema.grants, schema.group_members, schema.roles
# What is given to statements that are made once.
ORGANIZATION, IDS = "organization", "ids"

# By id of a role or group what it is called and the sources that somebody has it from.
Held = dict[int, tuple[str, list[str]]]


def select_people(organization_id: str | BindParameter[str]) -> Select[Any]:
    """Return people with the identity that they are shown by, as ``shapes`` takes them."""
    return (
        select(
            U.c.id,
            U.c.provider,
            U.c.username,
            U.c.email,
            U.c.email_verified,
            U.c.first_name,
            U.c.last_name,
            U.c.attributes,
            U.c.last_sign_in,
            I.c.external_id,
            I.c.dn,
            I.c.source_created_at,
            I.c.source_modified_at,
        )
        .outerjoin(I, is_shown())
        .where(U.c.organization_id == organization_id)
    )


@cache
def select_given_people() -> Select[Any]:
    """Return those of ``ORGANIZATION`` whose ``IDS`` are given when it is executed."""
    return select_people(bindparam(ORGANIZATION)).where(among_given(U.c.id, IDS))


def shapes(
    connection: Connection, organization_id: str, rows: Sequence[Any], met: GroupsMet
) -> Iterator[dict[str, Any]]:
    """Yield people; ``met`` are the groups met before, and gets those met now."""
    if not rows:
        return
    ids = [row.id for row in rows]
    shut, upcoming = _restrictions(connection, ids)
    roles, groups = _held(connection, ids, met)
    for (
        user_id,
        provider,
        username,
        email,
        email_verified,
        first_name,
        last_name,
        attributes,
        last_sign_in,
        external_id,
        dn,
        source_created_at,
        source_modified_at,
    ) in rows:
        yield {
            "id": user_id,
            "organization": organization_id,
            "provider": provider,
            "external_id": external_id,
            "username": username,
            "email": email,
            "email_verified": bool(email_verified),
            "first_name": first_name,
            "last_name": last_name,
            # As it is now: what is stored is as of the last run.
            "enabled": user_id not in shut,
            "disabled_because": shut.get(user_id, []),
            "upcoming": upcoming.get(user_id, []),
            "dn": dn,
            "source_created_at": source_created_at,
            "source_modified_at": source_modified_at,
            "attributes": json.loads(attributes),
            "roles": _role_shapes(roles[user_id]),
            "groups": _group_shapes(groups[user_id], met),
            "last_sign_in": iso(last_sign_in),
        }


# --- restrictions --------------------------------------------------------------------------------

Restrictions = dict[int, list[dict[str, Any]]]


def _restrictions(connection: Connection, ids: Sequence[int]) -> tuple[Restrictions, Restrictions]:
    """Return what keeps each of these people out now, and what will."""
    shut: Restrictions = {}
    upcoming: Restrictions = {}
    on_server = connection.dialect.name == "postgresql"
    rows = connection.execute(_select_restrictions(on_server=on_server), {IDS: ids}).all()
    machine = datetime.now(UTC)
    for user_id, reason, source, since, until, server in rows:
        now = machine if server is None else server
        if until is not None and until <= now:
            continue
        theirs = shut if since <= now else upcoming
        theirs.setdefault(user_id, []).append(
            {"reason": reason, "source": source, "since": iso(since), "until": iso(until)}
        )
    return shut, upcoming


@cache
def _select_restrictions(*, on_server: bool) -> Select[Any]:
    # The database's time; SQLite has only its machine's.
    now = func.clock_timestamp() if on_server else null()
    return (
        select(X.c.user_id, X.c.reason, X.c.source, X.c.since, X.c.until, now)
        .where(among_given(X.c.user_id, IDS))
        .order_by(X.c.source, X.c.reason)
    )


# --- roles and groups ----------------------------------------------------------------------------

ROLE, GROUP = 0, 1


def _held(
    connection: Connection, ids: Sequence[int], met: GroupsMet
) -> tuple[dict[int, Held], dict[int, Held]]:
    """Return the roles that each of these people has by whatever way, and his groups."""
    roles: dict[int, Held] = defaultdict(dict)
    members: list[tuple[int, int, str]] = []
    for kind, user_id, target_id, source, name in connection.execute(_holding(), {IDS: ids}).all():
        if kind == ROLE:
            roles[user_id].setdefault(target_id, (name, []))[1].append(source)
        else:
            members.append((user_id, target_id, source))
    met.meet(connection, {group_id for _, group_id, _ in members})
    groups: dict[int, Held] = defaultdict(dict)
    for user_id, group_id, source in members:
        if group_id not in met.names:
            continue
        theirs = groups[user_id]
        if group_id not in theirs:
            theirs[group_id] = (met.names[group_id], [])
            for role_id, name, by_group in met.roles[group_id]:
                sources = roles[user_id].setdefault(role_id, (name, []))[1]
                if by_group not in sources:
                    sources.append(by_group)
        theirs[group_id][1].append(source)
    return roles, groups


@cache
def _holding() -> CompoundSelect[Any]:
    role, group = (literal_column(str(kind), Integer) for kind in (ROLE, GROUP))
    return union_all(
        select(role, G.c.user_id, G.c.role_id, G.c.source, ROLES.c.name)
        .join(ROLES, ROLES.c.id == G.c.role_id)
        .where(among_given(G.c.user_id, IDS)),
        # What groups are called is read with where they stand, each once.
        select(group, GM.c.user_id, GM.c.group_id, GM.c.source, cast(null(), Text)).where(
            among_given(GM.c.user_id, IDS)
        ),
    )


def _role_shapes(held: Held) -> list[dict[str, Any]]:
    """Return roles as the contract has them; everybody has the default one."""
    by_name = dict(held.values())
    by_name[DEFAULT_ROLE] = [*by_name.get(DEFAULT_ROLE, []), "default"]
    return [{"name": name, "sources": sorted(sources)} for name, sources in sorted(by_name.items())]


def _group_shapes(held: Held, met: GroupsMet) -> list[dict[str, Any]]:
    """Return groups as the contract has them; several may have one name."""
    if not held:
        return []
    shapes = [
        {"name": name, "path": met.paths[group_id], "sources": sorted(sources)}
        for group_id, (name, sources) in held.items()
    ]
    return sorted(shapes, key=_by_name_and_path)


def _by_name_and_path(shape: dict[str, Any]) -> tuple[str, str]:
    return shape["name"], shape["path"]
