"""By what people can be looked for, each filter as the statements need it.

The list is closed: for each of these there is an index by which the wanted are walked through in
order or few of them are found at once, and a probe by which one person is judged. Statements are
made of them once: what is looked for is given when they are executed.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, bindparam, exists, func, literal_column, select, true, union_all

from syncd.errors import Refused
from syncd.records import fold
from syncd.store import schema
from syncd.store.among import among_given
from syncd.store.effective import DEFAULT_ROLE_ID
from syncd.store.pages.cursor import LARGEST, MOST, after_prefix, wanted_filters
from syncd.store.pages.shut_out import NOW, clock, form_of_restricted, restricted
from syncd.store.pages.sizes import note, noted
from syncd.store.pages.wanted import (
    NO,
    ORGANIZATION,
    VALUES,
    YES,
    Filter,
    Source,
    Wanted,
    distinct,
    of_organization,
    of_person,
    people,
)
from syncd.store.plan_scope import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import BindParameter, ColumnElement, Connection, FromClause, Select

U, I, X = schema.users, schema.identities, schema.restrictions
G, GM, GA, GR = (
    schema.grants,
    schema.group_members,
    schema.group_ancestors,
    schema.group_roles,
)

# A tree of so many groups is read whole to judge people by.
FEW_GROUPS = 2_000

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


class Filters(NamedTuple):
    """All filters of a list."""

    # Usernames from the first on and before the second.
    lowest: str | None
    below: str | None
    several: tuple[Wanted, ...]
    # What they look for, and what else their statements are given.
    given: dict[str, Any]
    # The same question again, whatever its time and beginnings.
    key: tuple[Any, ...]


def read(connection: Connection, organization_id: str, filters: Mapping[str, object]) -> Filters:
    """Return the filters that were asked for.

    Raises:
        Refused: There is no such filter, or the value is none.

    """
    wanted = wanted_filters(filters, KINDS)
    prefix = fold(wanted.pop("username_prefix", ""))
    given: dict[str, Any] = {ORGANIZATION: organization_id}
    several = []
    for name, value in wanted.items():
        if name in {"role", "effective_role"} and value == DEFAULT_ROLE_ID:
            continue
        given[name] = value
        several.append(Wanted(name, _form(connection, given, name)))
    key = (organization_id, *((name, given[name]) for name, _ in several if name != "ids"))
    return Filters(prefix or None, after_prefix(prefix), tuple(several), given, key)


def _form(connection: Connection, given: dict[str, Any], name: str) -> str:
    """Return the form of a filter, and give what it needs."""
    value = given[name]
    if name == "email":
        given[name] = fold(value)
    elif name == "ids":
        if len(value) > MOST or not all(
            type(each) is int and abs(each) <= LARGEST for each in value
        ):
            raise Refused(f"the filter ids takes at most {MOST} ids", "invalid")
        given[name] = sorted(set(value))
    elif name in {"group_tree", "effective_role"}:
        return _form_by_groups(connection, given, name)
    elif name == "missing":
        return YES if value else NO
    elif name == "restriction" or (name == "enabled" and not value):
        return form_of_restricted(connection, given, name)
    elif name == "enabled":
        given[NOW] = clock(connection)
        return YES
    return ""


@cache
def made(wanted: Wanted) -> Filter:
    """Return a filter in one of its forms."""
    return _MADE[wanted.name](wanted.form)


def _email(_: str) -> Filter:
    key: BindParameter[str] = bindparam("email")
    return Filter(
        lambda person: of_person(person, "email_key", key),
        people(U.c.email_key == key),
    )


def _granted(name: str) -> tuple[ColumnElement[bool], ...]:
    return (
        G.c.role_id == bindparam(name),
        of_organization(G.c.organization_id),
        G.c.username_key.is_not(None),
    )


def _role(_: str) -> Filter:
    mine = _granted("role")
    return Filter(
        lambda person: exists().where(G.c.user_id == person.c.id, mine[0]),
        counted=select(G.c.role_id).where(*mine),
        source=Source(G.c.username_key, G.c.user_id, (mine,)),
    )


def _group(_: str) -> Filter:
    of_group = GM.c.group_id == bindparam("group")
    mine = (of_group, of_organization(GM.c.organization_id), GM.c.username_key.is_not(None))
    return Filter(
        lambda person: exists().where(GM.c.user_id == person.c.id, of_group),
        counted=select(GM.c.group_id).where(*mine),
        source=Source(GM.c.username_key, GM.c.user_id, (mine,)),
    )


# --- groups and all below ------------------------------------------------------------------------


@cache
def _tree() -> Select[Any]:
    return select(GA.c.group_id).where(GA.c.ancestor_id == bindparam("group_tree"))


@cache
def _giving() -> Select[Any]:
    """Return the groups that were given a role, and all below; some by several of these."""
    return (
        select(GA.c.group_id)
        .join_from(GR, GA, GA.c.ancestor_id == GR.c.group_id)
        .where(GR.c.role_id == bindparam("effective_role"))
    )


@cache
def _size(name: str) -> Select[Any]:
    groups = _tree() if name == "group_tree" else _giving()
    return select(func.count()).select_from(groups.limit(FEW_GROUPS + 1).subquery())


def _form_by_groups(connection: Connection, given: Mapping[str, Any], name: str) -> str:
    """Return whether the groups are read whole: on PostgreSQL, if they are few."""
    if connection.dialect.name != "postgresql":
        return NO
    key = (name, given[ORGANIZATION], given[name])
    form = noted(connection, key)
    if form is None:
        groups = connection.execute(_size(name), dict(given)).scalar_one()
        form = YES if groups <= FEW_GROUPS else NO
        note(connection, key, form)
    return form


def _group_tree(form: str) -> Filter:
    below = and_(GA.c.group_id == GM.c.group_id, GA.c.ancestor_id == bindparam("group_tree"))
    # Not a join for its IS TRUE: the groups are read once, and not looked up for each one.
    judged = GM.c.group_id.in_(_tree()).is_(true()) if form == YES else below
    members = select(GM.c.username_key, GM.c.user_id).join(GA, below)
    return Filter(
        lambda person: exists().where(GM.c.user_id == person.c.id, judged),
        members.where(of_organization(GM.c.organization_id), GM.c.username_key.is_not(None)),
        of_memberships=True,
    )


def _effective_role(form: str) -> Filter:
    role_id: BindParameter[int] = bindparam("effective_role")
    # Of the groups that were given it and all below; some by several of these.
    members = (
        select(GM.c.username_key, GM.c.user_id)
        .join_from(GR, GA, GA.c.ancestor_id == GR.c.group_id)
        .join(GM, GM.c.group_id == GA.c.group_id)
        .where(
            GR.c.role_id == role_id,
            of_organization(GM.c.organization_id),
            GM.c.username_key.is_not(None),
        )
    )
    granted = select(G.c.username_key, G.c.user_id).where(*_granted("effective_role"))

    def has(person: FromClause) -> ColumnElement[bool]:
        one: ColumnElement[Any] = literal_column("1")
        himself = select(one).where(G.c.user_id == person.c.id, G.c.role_id == role_id)
        by_group = select(one).where(
            GM.c.user_id == person.c.id, GM.c.group_id.in_(_giving()).is_(true())
        )
        walked = (
            select(one)
            .join_from(GM, GA, GA.c.group_id == GM.c.group_id)
            # An expression, so that nobody begins with all groups that have the role.
            .join(GR, GR.c.group_id == GA.c.ancestor_id + 0)
            .where(GM.c.user_id == person.c.id, GR.c.role_id == role_id)
        )
        # Of an OR PostgreSQL would make a list of all who have it, for a hundred who are asked for.
        belongs = by_group if form == YES else walked
        return union_all(himself.correlate(person), belongs.correlate(person)).exists()

    return Filter(
        has,
        union_all(granted, members),
        of_memberships=True,
        last=True,
    )


# --- what stands in the people's own rows --------------------------------------------------------


def _missing(form: str) -> Filter:
    if form == NO:
        return Filter(lambda person: of_person(person, "living", True), cheap=True)
    stored = and_(of_organization(X.c.organization_id), X.c.reason == MISSING)
    return Filter(
        lambda person: of_person(person, "living", False),
        people(~U.c.living, U.c.id.in_(select(X.c.user_id).where(stored))),
        counted=select(X.c.user_id).where(stored),
        # Whoever is missing is shut out by that.
        source=Source(
            U.c.username_key,
            U.c.id,
            ((of_organization(U.c.organization_id), ~U.c.enabled, ~U.c.living),),
        ),
    )


def _provider(_: str) -> Filter:
    provider: BindParameter[str] = bindparam("provider")
    mine = people(U.c.provider == provider)
    return Filter(
        lambda person: of_person(person, "provider", provider),
        mine,
        counted=mine.with_only_columns(U.c.provider),
        cheap=True,
    )


def _ids(_: str) -> Filter:
    return Filter(
        lambda person: among_given(person.c.id, "ids"),
        people(among_given(U.c.id, "ids")),
        few=True,
    )


# --- external ids --------------------------------------------------------------------------------


def _external_id(_: str) -> Filter:
    own = of_organization(I.c.organization_id)
    named = I.c.external_id == bindparam("external_id")
    sources = VALUES + "external_id"
    mine = select(I.c.user_id).where(own, I.c.source.in_(bindparam(sources, expanding=True)), named)
    return Filter(
        lambda person: exists().where(I.c.user_id == person.c.id, named),
        people(U.c.id.in_(mine)),
        few=True,
        looked_up=(sources, distinct(I.c.source, own)),
    )


_MADE: Mapping[str, Callable[[str], Filter]] = {
    "email": _email,
    "role": _role,
    "effective_role": _effective_role,
    "group": _group,
    "group_tree": _group_tree,
    "enabled": lambda form: restricted("enabled", form),
    "missing": _missing,
    "provider": _provider,
    "restriction": lambda form: restricted("restriction", form),
    "external_id": _external_id,
    "ids": _ids,
}
