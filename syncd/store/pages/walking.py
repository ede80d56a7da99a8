"""One page of people by filters, in order of username, at a cost that does not follow their number.

The filter that leaves the fewest people is found by counting, up to a bound. The members of a group
or the holders of a role are walked through in order, and each is judged by the other filters; of a
filter without an order a few are fetched and put in order; and if it leaves many, all
people are walked through. A walk ends with the page, or after so many people: then the page comes
short of its limit, and goes on from there.

Each statement is made once for the filters that it is of, and what they look for is given to it:
to make it anew takes longer than what it does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import BigInteger, Integer, String, bindparam, func, select, tuple_, union_all

from syncd.store import schema
from syncd.store.pages.filters import made
from syncd.store.pages.sizes import note, noted
from syncd.store.pages.wanted import everybody

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Select

    from syncd.store.pages.cursor import Page
    from syncd.store.pages.filters import Filters
    from syncd.store.pages.wanted import Filter, Source, Wanted

U = schema.users
# Of a filter without an order as many are fetched and put in order: of people, or of memberships
# if there is no other filter to judge them by.
FEW, FEW_MEMBERS = 1_500, 8_000
# As many are judged for one page: by what the walked index itself holds, by a probe of another, or
# by a walk up the groups.
JUDGED_CHEAPLY, JUDGED, JUDGED_DEARLY = 20_000, 2_000, 1_000
# On SQLite a walk begins with so many times the page, and goes so many times further each time that
# it has not found enough.
FIRST, FURTHER = 2, 4
# As many statements of each kind are kept.
STATEMENTS = 256
# What they are given besides what the filters need.
LOWEST, BELOW, AFTER_KEY, AFTER_ID = "lowest", "below", "after_key", "after_id"
WANTED, COUNT, SKIPPED = "wanted", "count", "skipped"

Key = tuple[str, int]


class Found(NamedTuple):
    """The people of a page, and after whom it goes on."""

    ids: list[int]
    goes_on: Key | None


class Bounds(NamedTuple):
    """Which bounds there are, of the username and by what was listed before."""

    lowest: bool
    below: bool
    after: bool

    def within(self, key: Any, user_id: Any) -> list[ColumnElement[bool]]:  # noqa: ANN401 - columns
        """Return them as conditions."""
        bounds: list[ColumnElement[bool]] = []
        if self.lowest:
            bounds.append(key >= bindparam(LOWEST))
        if self.below:
            bounds.append(key < bindparam(BELOW))
        if self.after:
            last = tuple_(
                bindparam(AFTER_KEY, type_=String()), bindparam(AFTER_ID, type_=BigInteger())
            )
            bounds.append(tuple_(key, user_id) > last)
        return bounds


class Search(NamedTuple):
    """What is looked for."""

    connection: Connection
    filters: Filters

    def bounds(self, after: Key | None) -> Bounds:
        """Return which bounds there are."""
        return Bounds(
            self.filters.lowest is not None, self.filters.below is not None, after is not None
        )

    def ask(
        self, statement: Select[Any], after: Key | None = None, **numbers: int
    ) -> Sequence[Any]:
        """Return what a statement finds."""
        given = self.filters.given | numbers
        if self.filters.lowest is not None:
            given[LOWEST] = self.filters.lowest
        if self.filters.below is not None:
            given[BELOW] = self.filters.below
        if after is not None:
            given[AFTER_KEY], given[AFTER_ID] = after
        return self.connection.execute(statement, given).all()

    def look_up(self, several: Sequence[Wanted]) -> None:
        """Find what the candidates of these filters are found by."""
        for looked_up in (made(each).looked_up for each in several):
            if looked_up is not None and looked_up[0] not in self.filters.given:
                name, query = looked_up
                rows = self.connection.execute(query, self.filters.given)
                self.filters.given[name] = list(rows.scalars())


def find(connection: Connection, filters: Filters, page: Page) -> Found:
    """Return the people of one page."""
    search = Search(connection, filters)
    driver, is_few = _driver(search)
    if driver is None:
        return _walk(search, None, filters.several, page)
    others = tuple(each for each in filters.several if each != driver)
    wanted = made(driver)
    if wanted.candidates is not None and (is_few or wanted.source is None):
        return _collect(search, driver, others, page)
    if wanted.judged:
        others = (*others, driver)
    return _walk(search, driver, others, page)


def _driver(search: Search) -> tuple[Wanted | None, bool]:
    """Return the filter by which to look for people, and whether it leaves few; None is by none."""
    several = search.filters.several
    able = [
        each
        for each in several
        if made(each).counted is not None or made(each).candidates is not None
    ]
    if not able:
        return None, False
    for each in able:
        if made(each).few:
            return each, True
    if len(able) == 1 and made(able[0]).candidates is None:
        return able[0], False
    # That there are many decides on the way alone: whom it finds follows from the statements.
    name = noted(search.connection, search.filters.key)
    if name is not None:
        return next((each for each in able if each.name == name), None), False
    counted: list[tuple[int, Wanted]] = []
    # Memberships last: there are more of them to count.
    for dear in (False, True):
        counted += _count(search, [each for each in able if made(each).of_memberships is dear])
        few = [(count, each) for count, each in counted if count <= _few(search, each)]
        if few:
            return min(few, key=_first)[1], True
    ordered = [(count, each) for count, each in counted if made(each).source is not None]
    driver = min(ordered, key=_first)[1] if ordered else None
    note(search.connection, search.filters.key, "" if driver is None else driver.name)
    return driver, False


def _first(counted: tuple[int, Wanted]) -> int:
    return counted[0]


def _few(search: Search, wanted: Wanted) -> int:
    alone = len(search.filters.several) == 1
    return FEW_MEMBERS if made(wanted).of_memberships and alone else FEW


def _count(search: Search, several: Sequence[Wanted]) -> list[tuple[int, Wanted]]:
    if not several:
        return []
    search.look_up(several)
    counting = _counting(tuple((each, _few(search, each)) for each in several))
    return list(zip(search.ask(counting)[0], several, strict=True))


@lru_cache(STATEMENTS)
def _counting(several: tuple[tuple[Wanted, int], ...]) -> Select[Any]:
    """Return how many there are of each, up to one more than so many."""
    counts = []
    for wanted, few in several:
        found = made(wanted)
        query: Any = found.candidates if found.counted is None else found.counted
        # A union takes a limit as a whole.
        counts.append(select(func.count()).select_from(query.limit(few + 1).subquery()))
    return select(*(each.scalar_subquery() for each in counts))


def _collect(search: Search, driver: Wanted, others: tuple[Wanted, ...], page: Page) -> Found:
    search.look_up([driver])
    few = None if made(driver).few else _few(search, driver)
    after: Any = page.after
    rows = search.ask(
        _collecting(driver, few, others, search.bounds(after)), after, wanted=page.limit + 1
    )
    return _cut([(key, user_id) for key, user_id in rows], page, None)


@lru_cache(STATEMENTS)
def _collecting(
    driver: Wanted, at_most: int | None, others: tuple[Wanted, ...], bounds: Bounds
) -> Select[Any]:
    candidates: Any = made(driver).candidates
    if at_most is not None:
        candidates = candidates.limit(at_most + 1)
    few = candidates.subquery()
    key, user_id = few.c
    person = select(key.label("key"), user_id.label("id")).distinct().subquery()
    return (
        select(person)
        .where(
            *bounds.within(person.c.key, person.c.id),
            *(made(each).condition(person) for each in others),
        )
        .order_by(person.c.key, person.c.id)
        .limit(bindparam(WANTED, type_=Integer()))
    )


def _walk(search: Search, source: Wanted | None, others: tuple[Wanted, ...], page: Page) -> Found:
    after: Any = page.after
    if not others:
        walking = _walking(source, (), search.bounds(after), ends=False)
        return _cut(_keys(search.ask(walking, after, wanted=page.limit + 1)), page, None)
    left = _judged(source, others)
    # PostgreSQL stops to judge as soon as the page is full. SQLite first judges all that it is told
    # to: it is told to go a little further each time.
    step = left if search.connection.dialect.name == "postgresql" else FIRST * page.limit
    found: list[Key] = []
    while True:
        step = min(step, left)
        bounds = search.bounds(after)
        walking = _walking(source, others, bounds, ends=True)
        wanted = page.limit + 1 - len(found)
        found += _keys(search.ask(walking, after, wanted=wanted, count=step))
        if len(found) > page.limit:
            return _cut(found, page, None)
        # Of the same moment as the people: a transaction by key sees one.
        last = _keys(search.ask(_last(source, bounds), after, count=step, skipped=step - 1))
        after = last[0] if last else None
        left -= step
        step *= FURTHER
        if after is None or left <= 0:
            return _cut(found, page, after)


def _judged(source: Wanted | None, others: Sequence[Wanted]) -> int:
    """Return how many are judged for one page."""
    several = [made(each) for each in others]
    if any(each.of_memberships for each in several):
        return JUDGED_DEARLY
    if _source(source).user_id.table is U and all(each.cheap for each in several):
        return JUDGED_CHEAPLY
    return JUDGED


def _source(wanted: Wanted | None) -> Source:
    return everybody() if wanted is None else made(wanted).source or everybody()


def _keys(rows: Sequence[Any]) -> list[Key]:
    return [(key, user_id) for key, user_id in rows]


@lru_cache(STATEMENTS)
def _walking(
    source: Wanted | None, others: tuple[Wanted, ...], bounds: Bounds, *, ends: bool
) -> Select[Any]:
    """Return the next people who pass, in order, of the rows that follow."""
    rows = _following(_source(source), bounds, ends=ends).subquery("following")
    several: list[Filter] = [made(each) for each in others]
    first = [each for each in several if not each.last]
    if first and len(first) < len(several):
        passed = select(rows).where(*(each.condition(rows) for each in first))
        # Taken one by one: an OFFSET keeps PostgreSQL from judging all conditions in its own order.
        rows = passed.order_by(rows.c.key, rows.c.id).offset(0).subquery("passed")
        several = [each for each in several if each.last]
    key, user_id = rows.c.key, rows.c.id
    return (
        select(key, user_id)
        # Somebody may stand there once for each source.
        .distinct()
        .where(*(each.condition(rows) for each in several))
        .order_by(key, user_id)
        .limit(bindparam(WANTED, type_=Integer()))
    )


@lru_cache(STATEMENTS)
def _last(source: Wanted | None, bounds: Bounds) -> Select[Any]:
    """Return the last of so many rows; nothing where there are not as many."""
    rows = _following(_source(source), bounds, ends=True).subquery("following")
    key, user_id = rows.c.key, rows.c.id
    skipped: Any = bindparam(SKIPPED, type_=Integer())
    return select(key, user_id).order_by(key, user_id).offset(skipped).limit(1)


def _following(source: Source, bounds: Bounds, *, ends: bool) -> Select[Any]:
    """Return the next rows in order, with what the index has of them."""
    columns: list[ColumnElement[Any]] = [
        source.username_key.label("key"),
        source.user_id.label("id"),
    ]
    if source.user_id.table is U:
        columns += [U.c.living, U.c.provider]
    count: Any = bindparam(COUNT, type_=Integer()) if ends else None
    parts = [
        select(*columns)
        .where(*part, *bounds.within(source.username_key, source.user_id))
        .order_by(source.username_key, source.user_id)
        .limit(count)
        for part in source.parts
    ]
    if len(parts) == 1:
        return parts[0]
    together = union_all(*(select(part.subquery()) for part in parts)).subquery()
    return select(together).order_by(together.c.key, together.c.id).limit(count)


def _cut(keys: list[Key], page: Page, walked_to: Key | None) -> Found:
    """Return as many as were asked for, and where it goes on."""
    ids = [user_id for _, user_id in keys[: page.limit]]
    if len(keys) > page.limit:
        return Found(ids, keys[page.limit - 1])
    return Found(ids, walked_to)
