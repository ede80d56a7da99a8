"""What a filter is to the statements by which people are looked for, and what it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, exists, func, select

from syncd.store import schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Column, ColumnElement, FromClause, Select
    from sqlalchemy.sql.selectable import SelectBase

U = schema.users
# What statements are given besides the filters' values, which go by the filters' names.
ORGANIZATION, VALUES = "organization", "values_"
# Forms of a filter.
YES, NO = "yes", "no"


class Source(NamedTuple):
    """Where people stand in order of username: in one index, or in parts of one."""

    username_key: Column[Any]
    user_id: Column[Any]
    parts: tuple[tuple[ColumnElement[bool], ...], ...]


class Filter(NamedTuple):
    """One filter, whatever value it has."""

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
    # Whether it costs so much to judge that only those are who pass all others.
    last: bool = False
    # What the candidates are found by besides the value: given by the name, read where needed.
    looked_up: tuple[str, Select[Any]] | None = None


class Wanted(NamedTuple):
    """A filter as it was asked for: its name, and in which of its forms."""

    name: str
    form: str = ""


def everybody() -> Source:
    """Return all people of an organization."""
    return Source(U.c.username_key, U.c.id, ((of_organization(U.c.organization_id),),))


def of_organization(column: ColumnElement[str]) -> ColumnElement[bool]:
    """Return whether a row is of the organization that the statement is given."""
    found: ColumnElement[bool] = column == bindparam(ORGANIZATION)
    return found


def people(*where: ColumnElement[bool]) -> Select[Any]:
    """Return those people of the organization as (username key, id)."""
    return select(U.c.username_key, U.c.id).where(of_organization(U.c.organization_id), *where)


def of_person(person: FromClause, name: str, value: object) -> ColumnElement[bool]:
    """Return whether somebody's column has a value, of the people's own table or of another."""
    if name in person.c:
        found: ColumnElement[bool] = person.c[name] == value
        return found
    own = U.alias("own")
    return exists().where(own.c.id == person.c.id, own.c[name] == value)


def distinct(column: Column[Any], where: ColumnElement[bool]) -> Select[Any]:
    """Return the few values of an index's next column, one look-up each."""
    first = select(func.min(column).label("value")).where(where).cte("found", recursive=True)
    following = select(func.min(column)).where(where, column > first.c.value).scalar_subquery()
    found = first.union_all(select(following).where(first.c.value.is_not(None)))
    return select(found.c.value).where(found.c.value.is_not(None))
