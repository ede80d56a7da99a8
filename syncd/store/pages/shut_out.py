"""Looking for people by what keeps them out now: by the clock, and not as of the last run."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, exists, func, select, union_all

from syncd.store import schema
from syncd.store.among import among_given
from syncd.store.pages.wanted import (
    VALUES,
    YES,
    Filter,
    Source,
    distinct,
    everybody,
    of_organization,
    people,
)
from syncd.store.restricting import holds_at

if TYPE_CHECKING:
    from sqlalchemy import BindParameter, ColumnElement, Connection, FromClause, Select

U, X = schema.users, schema.restrictions
# So many people whose time has come are looked at one by one.
MOST_SINCE = 500
# What statements are given: the time, and whose has come.
NOW, SINCE = "now", "since_"


def _now() -> BindParameter[datetime]:
    return bindparam(NOW, type_=schema.UtcTime())


@cache
def _server_clock() -> Select[Any]:
    return select(func.clock_timestamp(type_=schema.UtcTime()))


def clock(connection: Connection) -> datetime:
    """Return the database's time; SQLite has only its machine's."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    now: datetime = connection.execute(_server_clock()).scalar_one()
    return now


def _past(name: str, at: ColumnElement[datetime]) -> ColumnElement[bool]:
    """Return whose time has come although the last run found them waiting.

    Everybody may have a restriction whose time is to come: those are not looked through.
    """
    return and_(of_organization(X.c.organization_id), X.c.waiting, holds_at(at), *_of_reason(name))


def _of_reason(name: str) -> list[ColumnElement[bool]]:
    return [X.c.reason == bindparam(name)] if name == "restriction" else []


@cache
def _since(name: str, *, on_server: bool) -> Select[Any]:
    """Return the time with each of those, or with nobody."""
    if not on_server:
        return select(_now(), X.c.user_id).where(_past(name, _now())).limit(MOST_SINCE + 1)
    server = _server_clock().subquery("clock")
    at = server.c[0]
    return (
        select(at, X.c.user_id)
        .select_from(server)
        .outerjoin(X, _past(name, at))
        .limit(MOST_SINCE + 1)
    )


def form_of_restricted(connection: Connection, given: dict[str, Any], name: str) -> str:
    """Return whether few people's time has come since the last run, and give who they are."""
    on_server = connection.dialect.name == "postgresql"
    if not on_server:
        given[NOW] = clock(connection)
    rows = connection.execute(_since(name, on_server=on_server), dict(given)).all()
    if on_server:
        given[NOW] = rows[0][0]
    since = sorted({user_id for _, user_id in rows if user_id is not None})
    if len(rows) > MOST_SINCE:
        return "many"
    given[SINCE + name] = since
    return "some" if since else "none"


def restricted(name: str, form: str) -> Filter:
    """Return the filter by what keeps people out now, by the clock and not as of the last run."""
    mine = of_organization(X.c.organization_id)
    of_reason = _of_reason(name)

    def shut(person: FromClause) -> ColumnElement[bool]:
        return exists().where(X.c.user_id == person.c.id, holds_at(_now()), *of_reason)

    if form == YES:
        return Filter(lambda person: ~shut(person))
    reasons = VALUES + name
    stored = and_(mine, *(of_reason or [X.c.reason.in_(bindparam(reasons, expanding=True))]))
    rows = union_all(
        select(X.c.user_id).where(stored, X.c.waiting.is_(None), holds_at(_now())),
        select(X.c.user_id).where(stored, X.c.waiting.is_(False), holds_at(_now())),
        select(X.c.user_id).where(_past(name, _now())),
    )
    return Filter(
        shut,
        people(U.c.id.in_(select(rows.subquery().c.user_id))),
        counted=rows,
        source=_shut(name, form),
        judged=True,
        looked_up=None if of_reason else (reasons, distinct(X.c.reason, mine)),
    )


def _shut(name: str, form: str) -> Source:
    """Return those whom the last run found shut out, and those whose time has come since."""
    if form == "many":
        # No run for long: whoever is here may be shut out.
        return everybody()
    mine = of_organization(U.c.organization_id)
    parts: list[tuple[ColumnElement[bool], ...]] = [(mine, ~U.c.enabled)]
    if form == "some":
        parts.append((mine, U.c.enabled, among_given(U.c.id, SINCE + name)))
    return Source(U.c.username_key, U.c.id, tuple(parts))
