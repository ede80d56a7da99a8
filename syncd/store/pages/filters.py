"""By what people can be looked for, each filter as the statements need it.

The list is closed: for each of these there is an index by which the wanted are walked through in
order or few of them are found at once, and a probe by which one person is judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, exists, literal, select, union_all

from syncd.errors import Refused
from syncd.records import fold
from syncd.store import schema
from syncd.store.among import among
from syncd.store.effective import DEFAULT_ROLE_ID
from syncd.store.pages.cursor import LARGEST, MOST, after_prefix, wanted_filters
from syncd.store.plan_scope import MISSING
from syncd.store.restricting import holds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sqlalchemy import Column, ColumnElement, Connection, FromClause, Select
    from sqlalchemy.sql.selectable import SelectBase

U, I, X = schema.users, schema.identities, schema.restrictions
G, GM, GA, GR = (
    schema.grants,
    schema.group_members,
    schema.group_ancestors,
    schema.group_roles,
)

# So many people whose time has come are looked at one by one.
MOST_SINCE = 500

KINDS: Mapping[str, type] = {
    "username_prefix": str,
    "email": str,
    "role": int,
    "effective_role": int,
    "group": int,
    "group_tree": int,
    "enabled": bool,
    "missing": bool,
    "provider": str,
    "restriction": str,
    "external_id": str,
    "ids": list,
}


class Source(NamedTuple):
    """Where people stand in order of username: in one index, or in parts of one."""

    username_key: Column[Any]
    user_id: Column[Any]
    parts: tuple[tuple[ColumnElement[bool], ...], ...]


class Filter(NamedTuple):
    """One filter."""

    # Whether somebody is wanted, of a table of people by its column ``id``.
    condition: Callable[[FromClause], ColumnElement[bool]]
    # Exactly the wanted as (username key, id), in no order.
    candidates: SelectBase | None = None
    # Whether these come of memberships, whose index has the usernames in it.
    of_memberships: bool = False
    # Whether these are few in any case.
    few: bool = False
    # As many rows, where that costs less.
    counted: SelectBase | None = None
    # In order the wanted, and with ``judged`` others among them.
    source: Source | None = None
    judged: bool = False
    # Whether the index in which people are walked through judges it alone.
    cheap: bool = False


class Filters(NamedTuple):
    """All filters of a list."""

    # Usernames from the first on and before the second.
    lowest: str | None
    below: str | None
    several: tuple[Filter, ...]


def everybody(organization_id: str) -> Source:
    """Return all people of an organization."""
    return Source(U.c.username_key, U.c.id, ((U.c.organization_id == organization_id,),))


def read(
    connection: Connection,
    organization_id: str,
    filters: Mapping[str, object],
    now: datetime,
) -> Filters:
    """Return the filters that were asked for.

    Raises:
        Refused: There is no such filter, or the value is none.

    """
    wanted = wanted_filters(filters, KINDS)
    prefix = fold(wanted.pop("username_prefix", ""))
    several = []
    for name, value in wanted.items():
        if name in _SIMPLE:
            several.append(_SIMPLE[name](organization_id, value))
        elif name in {"enabled", "restriction"}:
            several.append(_restricted(connection, organization_id, name, value, now))
        elif name == "external_id":
            several.append(_external_id(connection, organization_id, value))
        elif value != DEFAULT_ROLE_ID:
            several.append((_role if name == "role" else _effective_role)(organization_id, value))
    return Filters(prefix or None, after_prefix(prefix), tuple(several))


def _named(organization_id: str, *where: ColumnElement[bool]) -> Select[Any]:
    return select(U.c.username_key, U.c.id).where(U.c.organization_id == organization_id, *where)


def _of_person(person: FromClause, name: str, value: object) -> ColumnElement[bool]:
    """Return whether somebody's column has a value, of the people's own table or of another."""
    if name in person.c:
        found: ColumnElement[bool] = person.c[name] == value
        return found
    own = U.alias("own")
    return exists().where(own.c.id == person.c.id, own.c[name] == value)


def _email(organization_id: str, email: str) -> Filter:
    key = fold(email)
    return Filter(
        lambda person: _of_person(person, "email_key", key),
        _named(organization_id, U.c.email_key == key),
    )


def _granted(organization_id: str, role_id: int) -> tuple[ColumnElement[bool], ...]:
    return (
        G.c.role_id == role_id,
        G.c.organization_id == organization_id,
        G.c.username_key.is_not(None),
    )


def _role(organization_id: str, role_id: int) -> Filter:
    mine = _granted(organization_id, role_id)
    return Filter(
        lambda person: exists().where(G.c.user_id == person.c.id, G.c.role_id == role_id),
        counted=select(G.c.role_id).where(*mine),
        source=Source(G.c.username_key, G.c.user_id, (mine,)),
    )


def _group(organization_id: str, group_id: int) -> Filter:
    mine = (
        GM.c.group_id == group_id,
        GM.c.organization_id == organization_id,
        GM.c.username_key.is_not(None),
    )
    return Filter(
        lambda person: exists().where(GM.c.user_id == person.c.id, GM.c.group_id == group_id),
        counted=select(GM.c.group_id).where(*mine),
        source=Source(GM.c.username_key, GM.c.user_id, (mine,)),
    )


def _group_tree(organization_id: str, group_id: int) -> Filter:
    below = and_(GA.c.group_id == GM.c.group_id, GA.c.ancestor_id == group_id)
    members = select(GM.c.username_key, GM.c.user_id).join(GA, below)
    return Filter(
        lambda person: exists().where(GM.c.user_id == person.c.id, below),
        members.where(GM.c.organization_id == organization_id, GM.c.username_key.is_not(None)),
        of_memberships=True,
    )


def _effective_role(organization_id: str, role_id: int) -> Filter:
    granted_to = _granted(organization_id, role_id)
    # Of the groups that were given it and all below; some by several of these.
    members = (
        select(GM.c.username_key, GM.c.user_id)
        .join_from(GR, GA, GA.c.ancestor_id == GR.c.group_id)
        .join(GM, GM.c.group_id == GA.c.group_id)
        .where(
            GR.c.role_id == role_id,
            GM.c.organization_id == organization_id,
            GM.c.username_key.is_not(None),
        )
    )
    granted = select(G.c.username_key, G.c.user_id).where(*granted_to)

    def has(person: FromClause) -> ColumnElement[bool]:
        one = literal(1)
        himself = select(one).where(G.c.user_id == person.c.id, G.c.role_id == role_id)
        by_group = (
            select(one)
            .join_from(GM, GA, GA.c.group_id == GM.c.group_id)
            # An expression, so that nobody begins with all groups that have the role.
            .join(GR, GR.c.group_id == GA.c.ancestor_id + 0)
            .where(GM.c.user_id == person.c.id, GR.c.role_id == role_id)
        )
        # Of an OR PostgreSQL would make a list of all who have it, for a hundred who are asked for.
        return union_all(himself.correlate(person), by_group.correlate(person)).exists()

    return Filter(
        has,
        union_all(granted, members),
        of_memberships=True,
    )


def _missing(organization_id: str, value: bool) -> Filter:  # noqa: FBT001 - one of several alike
    if not value:
        return Filter(lambda person: _of_person(person, "living", True), cheap=True)
    stored = and_(X.c.organization_id == organization_id, X.c.reason == MISSING)
    return Filter(
        lambda person: _of_person(person, "living", False),
        _named(organization_id, ~U.c.living, U.c.id.in_(select(X.c.user_id).where(stored))),
        counted=select(X.c.user_id).where(stored),
        # Whoever is missing is shut out by that.
        source=Source(
            U.c.username_key,
            U.c.id,
            ((U.c.organization_id == organization_id, ~U.c.enabled, ~U.c.living),),
        ),
    )


def _provider(organization_id: str, provider: str) -> Filter:
    mine = _named(organization_id, U.c.provider == provider)
    return Filter(
        lambda person: _of_person(person, "provider", provider),
        mine,
        counted=mine.with_only_columns(U.c.provider),
        cheap=True,
    )


def _ids(organization_id: str, ids: list[Any]) -> Filter:
    if len(ids) > MOST or not all(type(each) is int and abs(each) <= LARGEST for each in ids):
        raise Refused(f"the filter ids takes at most {MOST} ids", "invalid")
    return Filter(
        lambda person: among(person.c.id, ids),
        _named(organization_id, among(U.c.id, ids)),
        few=True,
    )


_SIMPLE: Mapping[str, Callable[[str, Any], Filter]] = {
    "email": _email,
    "group": _group,
    "group_tree": _group_tree,
    "missing": _missing,
    "provider": _provider,
    "ids": _ids,
}


def _restricted(
    connection: Connection,
    organization_id: str,
    name: str,
    value: Any,  # noqa: ANN401 - the one's word or the other's truth
    now: datetime,
) -> Filter:
    """Return the filter by what keeps people out now, by the clock and not as of the last run."""
    mine = X.c.organization_id == organization_id
    of_reason = [X.c.reason == value] if name == "restriction" else []

    def shut(person: FromClause) -> ColumnElement[bool]:
        return exists().where(X.c.user_id == person.c.id, holds(now), *of_reason)

    if value is True:
        return Filter(lambda person: ~shut(person))
    reasons = [value] if of_reason else _distinct(connection, X.c.reason, mine)
    stored = and_(mine, X.c.reason.in_(reasons))
    # Everybody may have a restriction whose time is to come: those are not looked through.
    past = select(X.c.user_id).where(mine, X.c.waiting, holds(now), *of_reason)
    rows = union_all(
        select(X.c.user_id).where(stored, X.c.waiting.is_(None), holds(now)),
        select(X.c.user_id).where(stored, X.c.waiting.is_(False), holds(now)),
        past,
    )
    return Filter(
        shut,
        _named(organization_id, U.c.id.in_(select(rows.subquery().c.user_id))),
        counted=rows,
        source=_shut(connection, organization_id, past),
        judged=True,
    )


def _shut(connection: Connection, organization_id: str, past: Select[Any]) -> Source:
    """Return those whom the last run found shut out, and those whose time has come since."""
    mine = U.c.organization_id == organization_id
    since = connection.scalars(past.limit(MOST_SINCE + 1)).all()
    if len(since) > MOST_SINCE:
        # No run for long: whoever is here may be shut out.
        return everybody(organization_id)
    parts: list[tuple[ColumnElement[bool], ...]] = [(mine, ~U.c.enabled)]
    if since:
        parts.append((mine, U.c.enabled, among(U.c.id, since)))
    return Source(U.c.username_key, U.c.id, tuple(parts))


def _external_id(connection: Connection, organization_id: str, external_id: str) -> Filter:
    sources = _distinct(connection, I.c.source, I.c.organization_id == organization_id)
    mine = select(I.c.user_id).where(
        I.c.organization_id == organization_id,
        I.c.source.in_(sources),
        I.c.external_id == external_id,
    )
    return Filter(
        lambda person: exists().where(I.c.user_id == person.c.id, I.c.external_id == external_id),
        _named(organization_id, U.c.id.in_(mine)),
        few=True,
    )


def _distinct(connection: Connection, column: Column[Any], where: ColumnElement[bool]) -> list[str]:
    """Return the few values of an index's next column, one look-up each."""
    found: list[str] = []
    query: Select[Any] = select(column).where(where).order_by(column).limit(1)
    value = connection.scalar(query)
    while value is not None:
        found.append(value)
        value = connection.scalar(query.where(column > value))
    return found
