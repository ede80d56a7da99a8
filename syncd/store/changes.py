"""What changed in an organization, in the order in which it was committed, for those who follow it.

A cursor names the last commit that was read, and within a large one the last row. It also carries a
mark of that commit: a store that lost its newest commits (a crash, an older backup) gives the same
positions out again, and a reader who has seen the lost ones is told to begin anew.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Integer,
    Text,
    and_,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)

from syncd.errors import Refused
from syncd.records import batched
from syncd.store import runs, schema
from syncd.store.listening import watching
from syncd.store.run_reads import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row, Select

    from syncd.store.database import Database

COMMITS, HEADS, CS = schema.commits, schema.feed_heads, schema.change_sets
J, OJ, U, AB = schema.journal, schema.object_journal, schema.users, schema.address_books
NOW = "now"
MOST, LONGEST_WAIT = 1_000, 60.0
IN_LIST = 500
# The parts of a commit, in their order: itself, roles and the like, people.
COMMIT, OBJECT, PERSON = 0, 1, 2
CREATED = ("username", "email", "email_verified", "first_name", "last_name", "attributes")
BOOKS = {"address_book", "address_book_entry"}


class Cursor(NamedTuple):
    """Up to where somebody has read."""

    position: int
    # What tells the commit at this position from another that may once stand there; "" is unknown.
    mark: str = ""
    # Of a commit that was read in part: the last row's part, number and kind.
    part: int = COMMIT
    number: int = 0
    kind: str = ""

    @property
    def whole(self) -> bool:
        """Whether all of the commit has been read."""
        return self.part == COMMIT

    def text(self) -> str:
        """Return it as those who follow keep it."""
        values = self[:2] if self.whole else self
        packed = json.dumps(values, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()

    @classmethod
    def of(cls, text: str) -> Cursor:
        """Read what ``text`` returned.

        Raises:
            Refused: It is no cursor of this feed.

        """
        try:
            packed = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), b"-_", validate=True)
            values = json.loads(packed)
            # Values of other types are nobody's cursor.
            if [type(each) for each in values] not in ([int, str], [int, str, int, int, str]):
                raise ValueError(text)
            found = cls(*values)
        except (ValueError, TypeError, binascii.Error) as error:
            raise Refused(
                "this is no cursor of the change feed; give the `next` of an answer, or `now`",
                "invalid",
            ) from error
        in_range = found.position >= 0 and max(found.position, abs(found.number)) < 2**63
        kind = found.whole or (found.part in {OBJECT, PERSON} and found.kind.isidentifier())
        if not (in_range and kind):
            raise Refused("this cursor is of no position of the change feed", "invalid")
        return found


def mark_of(commit_id: int, at: datetime) -> str:
    """Return what tells a commit from any other at the same position."""
    return f"{commit_id}-{round(at.timestamp() * 1_000_000)}"


class Changes:
    """One organization's feed of changes."""

    def __init__(self, database: Database, organization_id: str) -> None:
        self.database = database.of(organization_id)
        self.organization_id = organization_id

    def page(
        self, after: str | None = None, limit: int = 100, *, wait: float = 0.0
    ) -> dict[str, Any]:
        """Return the changes after a cursor, at most ``limit``, oldest first.

        Without ``after`` from the oldest that is kept; ``now`` gives none, and where the feed
        stands. ``next`` is the cursor to go on with, ``head`` that of the newest commit. With
        ``wait`` the call stays up to so many seconds until there is something.

        Raises:
            Refused: No such cursor ("invalid"), or what came after it is not kept any more
                ("expired"): everything has to be read anew, from the cursor ``now`` on.

        """
        if not 1 <= limit <= MOST:
            raise Refused(f"a page of changes has 1 to {MOST:,} of them", "invalid")
        if not 0 <= wait <= LONGEST_WAIT:
            raise Refused(f"a page is waited for at most {LONGEST_WAIT:.0f} seconds", "invalid")
        cursor = None if after in {None, NOW} else Cursor.of(str(after))
        if after == NOW or not wait:
            return self._page(cursor, limit, now=after == NOW)
        deadline = time.monotonic() + wait
        with watching(self.database, self.organization_id) as watch:
            while True:
                seen = watch.seen()
                found = self._page(cursor, limit)
                left = deadline - time.monotonic()
                if found["changes"] or left <= 0:
                    return found
                cursor = Cursor.of(found["next"])
                watch.wait(seen, left)

    def _page(self, cursor: Cursor | None, limit: int, *, now: bool = False) -> dict[str, Any]:
        with self.database.read() as connection:
            head = self._head(connection)
            rows: list[Row[Any]] = []
            if now:
                cursor = head
            else:
                if cursor is None:
                    cursor = self._oldest(connection, head)
                else:
                    self._check(connection, cursor, head)
                rows, cursor = self._rows(connection, cursor, head, limit)
            shapes = _Shapes(connection, rows, self.organization_id).all()
        return {
            "changes": shapes,
            "next": cursor.text(),
            "head": max(head, cursor, key=lambda each: each.position).text(),
        }

    # --- where the feed stands --------------------------------------------------------------

    def _head(self, connection: Connection) -> Cursor:
        query = (
            select(HEADS.c.position, COMMITS.c.commit_id, COMMITS.c.at)
            .outerjoin(
                COMMITS,
                and_(
                    COMMITS.c.organization_id == HEADS.c.organization_id,
                    COMMITS.c.position == HEADS.c.position,
                ),
            )
            .where(HEADS.c.organization_id == self.organization_id)
        )
        row = connection.execute(query).one_or_none()
        if row is None:
            return Cursor(0)
        return Cursor(row.position, "" if row.at is None else mark_of(row.commit_id, row.at))

    def _oldest(self, connection: Connection, head: Cursor) -> Cursor:
        query = select(func.min(COMMITS.c.position)).where(
            COMMITS.c.organization_id == self.organization_id
        )
        first = connection.scalar(query)
        return head if first is None else Cursor(first - 1)

    def _check(self, connection: Connection, cursor: Cursor, head: Cursor) -> None:
        """Refuse a cursor of commits that are lost, or that was reached by such."""
        query = select(COMMITS.c.commit_id, COMMITS.c.at).where(
            COMMITS.c.organization_id == self.organization_id,
            COMMITS.c.position == cursor.position,
        )
        row = connection.execute(query).one_or_none()
        if cursor.position > head.position or (row is None and not cursor.whole):
            raise _expired()
        if row is not None and cursor.mark and mark_of(*row) != cursor.mark:
            raise _expired()

    # --- rows -------------------------------------------------------------------------------

    def _rows(
        self, connection: Connection, cursor: Cursor, head: Cursor, limit: int
    ) -> tuple[list[Row[Any]], Cursor]:
        """Return the rows after a cursor, and up to where they go.

        Commits are read in growing steps: a single one may fill the page, of small ones it takes
        many, and no statement sorts much more than the page.
        """
        found: list[Row[Any]] = []
        step = 1
        while len(found) < limit:
            inside = not cursor.whole
            first = cursor.position if inside else cursor.position + 1
            if first > head.position:
                break
            last = first if inside else min(first + step - 1, head.position)
            most = limit - len(found) + last - first + 1
            query = self._statement(first, last, cursor if inside else None).limit(most + 1)
            rows = connection.execute(query).all()
            before = cursor
            for row, following in zip_longest(rows, rows[1:]):
                if row.part == COMMIT:
                    # A commit in between that is gone was pruned, and its rows with it.
                    if row.position != cursor.position + (0 if inside else 1):
                        break
                    cursor = Cursor(row.position, mark_of(row.commit_id, row.at))
                    continue
                found.append(row)
                ends = following is None or following.position != row.position
                cursor = cursor._replace(part=row.part, number=row.number, kind=row.detail)
                if ends and (following is not None or len(rows) <= most):
                    cursor = Cursor(cursor.position, cursor.mark)
                if len(found) == limit:
                    break
            if cursor == before:
                if not found:
                    raise _expired()
                break
            step *= 2
        return found, cursor

    def _statement(self, first: int, last: int, inside: Cursor | None) -> Select[Any]:
        """Return the statement that reads these commits with their rows, in order."""
        mine = and_(
            COMMITS.c.organization_id == self.organization_id,
            COMMITS.c.position.between(first, last),
        )
        own = [COMMITS.c.position, COMMITS.c.commit_id, COMMITS.c.at, COMMITS.c.change_set_id]
        nothing = cast(null(), Text)
        commits = select(
            *own,
            literal(COMMIT, Integer).label("part"),
            literal(0, BigInteger).label("number"),
            cast(literal(""), Text).label("detail"),
            nothing.label("object"),
            cast(null(), BigInteger).label("object_id"),
            nothing.label("name"),
            nothing.label("before"),
            nothing.label("after"),
        ).where(mine)
        objects = (
            select(
                *own,
                literal(OBJECT, Integer),
                cast(OJ.c.number, BigInteger),
                OJ.c.kind,
                OJ.c.object,
                OJ.c.object_id,
                OJ.c.name,
                OJ.c.before,
                OJ.c.after,
            )
            .join(OJ, _written_by(OJ.c.organization_id, OJ.c.commit_id))
            .where(mine)
        )
        people = (
            select(
                *own,
                literal(PERSON, Integer),
                J.c.user_id,
                J.c.kind,
                cast(literal("user"), Text),
                J.c.user_id,
                nothing,
                J.c.before,
                J.c.after,
            )
            .join(J, _written_by(J.c.organization_id, J.c.commit_id))
            .where(mine)
        )
        if inside is not None and inside.part == OBJECT:
            objects = objects.where(OJ.c.number > inside.number)
        elif inside is not None:
            objects = objects.where(literal(value=False))
            later = and_(J.c.user_id == inside.number, J.c.kind > inside.kind)
            people = people.where(or_(J.c.user_id > inside.number, later))
        rows = union_all(commits, objects, people).subquery()
        return select(rows).order_by(rows.c.position, rows.c.part, rows.c.number, rows.c.detail)


def _written_by(organization_id: Any, commit_id: Any) -> Any:  # noqa: ANN401 - columns
    return and_(organization_id == COMMITS.c.organization_id, commit_id == COMMITS.c.commit_id)


def _expired() -> Refused:
    return Refused(
        "what changed after this cursor is not kept any more; read everything anew, then follow "
        "the cursor that `now` gave before",
        "expired",
    )


class _Shapes:
    """Rows of the feed as those who follow it see them."""

    def __init__(self, connection: Connection, rows: Sequence[Row[Any]], org: str) -> None:
        self._connection = connection
        self._rows = rows
        self._sets = self._by_id(CS, {row.change_set_id for row in rows})
        self._users = self._by_id(U, {row.object_id for row in rows if row.part == PERSON})
        books = select(AB.c.id).where(AB.c.organization_id == org, AB.c.owner_id.is_(None))
        mentioned = {self._book(row) for row in rows if row.object in BOOKS}
        self._shared: set[int] = set()
        for part in batched(sorted(mentioned), IN_LIST):
            self._shared |= set(connection.scalars(books.where(AB.c.id.in_(part))))

    def _by_id(self, table: Any, ids: Iterable[int]) -> dict[int, Row[Any]]:  # noqa: ANN401
        found: dict[int, Row[Any]] = {}
        for part in batched(sorted(ids), IN_LIST):
            query = select(table).where(table.c.id.in_(part))
            found |= {row.id: row for row in self._connection.execute(query)}
        return found

    def all(self) -> list[dict[str, Any]]:
        return [self._shape(row) for row in self._rows]

    def _shape(self, row: Row[Any]) -> dict[str, Any]:
        made = self._sets.get(row.change_set_id)
        name, before, after = row.name, _read(row.before), _read(row.after)
        if row.part == PERSON:
            user = self._users.get(row.object_id)
            name = None if user is None else user.username
            if row.detail == "create" and user is not None:
                # As they are now: what was changed since comes later in the feed, too.
                after = {field: getattr(user, field) for field in CREATED}
                after["attributes"] = json.loads(user.attributes)
        elif row.object in BOOKS and self._book(row) not in self._shared:
            # A person's own is nobody else's business, and of one that is gone nobody can tell.
            name = before = after = None
        return {
            "position": row.position,
            "at": iso(row.at),
            "actor": "unknown" if made is None else made.actor,
            "why": None if made is None else made.why,
            "run": None if made is None or made.run_id is None else runs.run_name(made.run_id),
            "object": row.object,
            "id": row.object_id,
            "name": name,
            "kind": row.detail,
            "before": before,
            "after": after,
        }

    @staticmethod
    def _book(row: Row[Any]) -> int:
        if row.object == "address_book":
            return int(row.object_id)
        whole = _read(row.after) or _read(row.before) or {}
        return int(whole.get("address_book_id") or 0)


def _read(text: str | None) -> Any:  # noqa: ANN401 - what the journal holds
    return None if text is None else json.loads(text)
