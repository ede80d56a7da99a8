"""One page of people by filters, in order of username, at a cost that does not follow their number.

The filter that leaves the fewest people is found by counting, up to a bound. The members of a group
or the holders of a role are walked through in order, and each is judged by the other filters; of a
filter without an order a few are fetched and put in order; and if it leaves many, all
people are walked through. A walk ends with the page, or after so many people: then the page comes
short of its limit, and goes on from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, literal, select, true, tuple_, union_all

from syncd.store import schema
from syncd.store.pages.filters import everybody

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from syncd.store.pages.cursor import Page
    from syncd.store.pages.filters import Filter, Filters, Source

U = schema.users
# Of a filter without an order as many are fetched and put in order: of people, or of memberships
# if there is no other filter to judge them by.
FEW, FEW_MEMBERS = 2_000, 8_000
# As many are judged for one page: by what the walked index itself holds, by a probe of another, or
# by a walk up the groups.
JUDGED_CHEAPLY, JUDGED, JUDGED_DEARLY = 30_000, 3_000, 1_000
# A walk begins with so many times the page, and goes so many times further each time that it has
# not found enough.
FIRST, FURTHER = 2, 4

Key = tuple[str, int]


class Found(NamedTuple):
    """The people of a page, and after whom it goes on."""

    ids: list[int]
    goes_on: Key | None


class Search(NamedTuple):
    """What is looked for."""

    connection: Connection
    organization_id: str
    filters: Filters

    def within(self, key: Any, user_id: Any, after: Key | None) -> list[ColumnElement[bool]]:  # noqa: ANN401 - columns
        """Return the bounds of the username and of what was listed before."""
        bounds = []
        if self.filters.lowest is not None:
            bounds.append(key >= self.filters.lowest)
        if self.filters.below is not None:
            bounds.append(key < self.filters.below)
        if after is not None:
            bounds.append(tuple_(key, user_id) > tuple_(*map(literal, after)))
        return bounds


def find(connection: Connection, organization_id: str, filters: Filters, page: Page) -> Found:
    """Return the people of one page."""
    search = Search(connection, organization_id, filters)
    driver, is_few = _driver(search)
    if driver is None:
        return _walk(search, everybody(organization_id), list(filters.several), page)
    others = [each for each in filters.several if each is not driver]
    if driver.candidates is not None and (is_few or driver.source is None):
        return _collect(search, driver, others, page)
    if driver.judged:
        others.append(driver)
    return _walk(search, driver.source or everybody(organization_id), others, page)


def _driver(search: Search) -> tuple[Filter | None, bool]:
    """Return the filter by which to look for people, and whether it leaves few; None is by none."""
    able = [
        each
        for each in search.filters.several
        if each.counted is not None or each.candidates is not None
    ]
    if not able:
        return None, False
    for each in able:
        if each.few:
            return each, True
    if len(able) == 1 and able[0].candidates is None:
        return able[0], False
    counted: list[tuple[int, Filter]] = []
    # Memberships last: there are more of them to count.
    for dear in (False, True):
        several = [each for each in able if each.of_memberships is dear]
        if several:
            counts = search.connection.execute(
                select(*(_counted(search, each) for each in several))
            ).one()
            counted += zip(counts, several, strict=True)
        few = [(count, each) for count, each in counted if count <= _few(search, each)]
        if few:
            return min(few, key=_first)[1], True
    ordered = [(count, each) for count, each in counted if each.source is not None]
    return (min(ordered, key=_first)[1], False) if ordered else (None, False)


def _first(counted: tuple[int, Filter]) -> int:
    return counted[0]


def _few(search: Search, wanted: Filter) -> int:
    alone = len(search.filters.several) == 1
    return FEW_MEMBERS if wanted.of_memberships and alone else FEW


def _counted(search: Search, wanted: Filter) -> Any:  # noqa: ANN401 - a select's column
    query: Any = wanted.candidates if wanted.counted is None else wanted.counted
    # A union takes a limit as a whole.
    few = query.limit(_few(search, wanted) + 1).subquery()
    return select(func.count()).select_from(few).scalar_subquery()


def _collect(search: Search, driver: Filter, others: list[Filter], page: Page) -> Found:
    candidates: Any = driver.candidates
    if not driver.few:
        candidates = candidates.limit(_few(search, driver) + 1)
    few = candidates.subquery()
    key, user_id = few.c
    person = select(key.label("key"), user_id.label("id")).distinct().subquery()
    bounds = search.within(person.c.key, person.c.id, page.after)
    query = (
        select(person)
        .where(*bounds, *(each.condition(person) for each in others))
        .order_by(person.c.key, person.c.id)
        .limit(page.limit + 1)
    )
    rows = search.connection.execute(query).all()
    return _cut([(key, user_id) for key, user_id in rows], page, None)


def _walk(search: Search, source: Source, others: list[Filter], page: Page) -> Found:
    left = JUDGED
    if any(each.of_memberships for each in others):
        left = JUDGED_DEARLY
    elif source.user_id.table is U and all(each.cheap for each in others):
        left = JUDGED_CHEAPLY
    step = page.limit + 1 if not others else FIRST * page.limit
    found: set[Key] = set()
    after = page.after
    while len(found) <= page.limit and left > 0:
        step = min(step, left)
        keys, last, seen = _step(search, source, others, after, step)
        found.update(keys)
        if seen < step:
            return _cut(sorted(found), page, None)
        after, left, step = last, left - step, step * FURTHER
    return _cut(sorted(found), page, after)


def _step(
    search: Search, source: Source, others: list[Filter], after: Key | None, count: int
) -> tuple[list[Key], Key | None, int]:
    """Judge the next rows; return those who are wanted, the last of all, and how many rows."""
    columns: list[ColumnElement[Any]] = [
        source.username_key.label("key"),
        source.user_id.label("id"),
    ]
    if source.user_id.table is U and others:
        columns += [U.c.living, U.c.provider]
    bounds = search.within(source.username_key, source.user_id, after)
    parts = [
        select(*columns)
        .where(*part, *bounds)
        .order_by(source.username_key, source.user_id)
        .limit(count)
        for part in source.parts
    ]
    following = parts[0].cte("following")
    if len(parts) > 1:
        together = union_all(*(select(part.subquery()) for part in parts)).subquery()
        following = (
            select(together).order_by(together.c.key, together.c.id).limit(count).cte("following")
        )
    key, user_id = following.c.key, following.c.id
    conditions = [each.condition(following) for each in others] or [true()]
    wanted = select(key, user_id, literal(0).label("seen")).where(*conditions)
    seen = select(func.count()).select_from(following).scalar_subquery()
    last = (
        select(key, user_id, seen.label("seen"))
        .order_by(key.desc(), user_id.desc())
        .limit(1)
        .subquery()
    )
    rows = search.connection.execute(union_all(wanted, select(last))).all()
    ends = [row for row in rows if row.seen]
    if not ends:
        return [], None, 0
    keys = [(row.key, row.id) for row in rows if not row.seen]
    return keys, (ends[0].key, ends[0].id), int(ends[0].seen)


def _cut(keys: list[Key], page: Page, walked_to: Key | None) -> Found:
    """Return as many as were asked for, and where it goes on."""
    ids = [user_id for _, user_id in keys[: page.limit]]
    if len(keys) > page.limit:
        return Found(ids, keys[page.limit - 1])
    return Found(ids, walked_to)
