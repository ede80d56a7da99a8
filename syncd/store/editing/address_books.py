"""Address books and their entries, shared ones and people's own.

What is in a person's own book is nobody else's: the journal only has that it changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, insert, or_, select, update

from syncd.errors import Refused
from syncd.records import fold
from syncd.store import schema
from syncd.store.pages.cursor import asked, page, storable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from syncd.store.editing.change import Change
    from syncd.store.editing.opening import Scope

B, E, T = schema.address_books, schema.address_book_entries, schema.address_book_tags
LIST = "address_book_entries"


def shape(at: Scope, book_id: int) -> dict[str, Any] | None:
    """Return a book as it is shown; None if the organization has no such book."""
    row = at.connection.execute(
        select(B.c.id, B.c.name, B.c.owner_id).where(
            B.c.id == book_id, B.c.organization_id == at.organization_id
        )
    ).one_or_none()
    return None if row is None else _book(row)


def _book(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row of the three columns
    return {
        "id": row.id,
        "name": row.name,
        "personal": row.owner_id is not None,
        "owner_id": row.owner_id,
    }


def shared(at: Scope) -> list[dict[str, Any]]:
    """Return the organization's shared books, by name."""
    query = (
        select(B.c.id, B.c.name, B.c.owner_id)
        .where(B.c.organization_id == at.organization_id, B.c.owner_id.is_(None))
        .order_by(B.c.name_key)
    )
    return [_book(row) for row in at.connection.execute(query)]


def named(at: Scope, name: str) -> int | None:
    """Return the shared book of a name."""
    found: int | None = at.connection.execute(
        select(B.c.id).where(
            B.c.organization_id == at.organization_id,
            B.c.owner_id.is_(None),
            B.c.name_key == fold(name),
        )
    ).scalar_one_or_none()
    return found


def owned_by(at: Scope, user_id: int) -> int | None:
    """Return a person's own book, if it has been made."""
    query = select(B.c.id).where(B.c.owner_id == user_id)
    found: int | None = at.connection.execute(query).scalar_one_or_none()
    return found


def snapshot(at: Scope, book_id: int) -> dict[str, Any] | None:
    """Return a book as the journal has it."""
    found = shape(at, book_id)
    return None if found is None else {"name": found["name"], "owner_id": found["owner_id"]}


def write(change: Change, book_id: int, after: Mapping[str, Any] | None) -> None:
    """Make a book what the snapshot says; with None delete it with all that is in it."""
    before = snapshot(change, book_id)
    after = None if after is None else {**after}
    if before == after:
        return
    if after is None:
        for entry_id in sorted(_entries_of(change, book_id)):
            write_entry(change, entry_id, None)
        change.connection.execute(delete(B).where(B.c.id == book_id))
    elif before is None:
        change.connection.execute(
            insert(B).values(
                id=book_id,
                organization_id=change.organization_id,
                name=after["name"],
                name_key=fold(after["name"]),
                owner_id=after["owner_id"],
            )
        )
    else:
        change.connection.execute(
            update(B)
            .where(B.c.id == book_id)
            .values(name=after["name"], name_key=fold(after["name"]))
        )
    named_so = after or before or {}
    change.of_object("address_book", book_id, str(named_so["name"]), before=before, after=after)


def _entries_of(at: Scope, book_id: int) -> list[int]:
    return list(at.connection.scalars(select(E.c.id).where(E.c.address_book_id == book_id)))


# --- entries --------------------------------------------------------------------------------


def entry(at: Scope, entry_id: int) -> dict[str, Any] | None:
    """Return an entry as it is shown; None if the organization has no such entry."""
    query = select(E).where(E.c.id == entry_id, E.c.organization_id == at.organization_id)
    rows = at.connection.execute(query).all()
    return next(iter(_entries(at, rows)), None)


def _entries(at: Scope, rows: Sequence[Any]) -> list[dict[str, Any]]:
    tags: dict[int, list[str]] = {row.id: [] for row in rows}
    of_rows = select(T.c.entry_id, T.c.tag).where(T.c.entry_id.in_(tags))
    for entry_id, tag in at.connection.execute(of_rows.order_by(T.c.entry_id, T.c.tag_key)):
        tags[entry_id].append(tag)
    return [
        {
            "id": row.id,
            "address_book_id": row.address_book_id,
            "nickname": row.nickname,
            "address": row.address,
            "comment": row.comment,
            "tags": tags[row.id],
        }
        for row in rows
    ]


def entries(
    at: Scope,
    book_id: int,
    *,
    limit: int,
    after: str | None = None,
    tag: str | None = None,
    prefix: str | None = None,
) -> dict[str, Any]:
    """Return a page of a book, by nickname: with this tag, and nicknames that begin so.

    Raises:
        Refused: The limit or the cursor is none.

    """
    wanted = asked(LIST, limit, after, (str, int))
    if not (storable(tag or "") and storable(prefix or "")):
        raise Refused("tag and prefix must be text without control characters", "invalid")
    query = select(E).where(E.c.address_book_id == book_id)
    if tag is not None:
        of_tag = and_(T.c.entry_id == E.c.id, T.c.tag_key == fold(tag))
        query = query.join(T, of_tag).where(T.c.address_book_id == book_id)
    if prefix:
        query = query.where(E.c.nickname_key.startswith(fold(prefix), autoescape=True))
    if wanted.after is not None:
        key, number = wanted.after
        behind = and_(E.c.nickname_key == key, E.c.id > number)
        query = query.where(E.c.nickname_key >= key, or_(E.c.nickname_key > key, behind))
    query = query.order_by(E.c.nickname_key, E.c.id).limit(limit + 1)
    rows = at.connection.execute(query).all()
    shown, more = rows[:limit], len(rows) > limit
    last = (shown[-1].nickname_key, shown[-1].id) if shown else None
    return page(LIST, _entries(at, shown), last, more=more)


def tags(at: Scope, book_id: int) -> list[str]:
    """Return the tags that a book's entries have, each once."""
    query = select(T.c.tag_key, T.c.tag).where(T.c.address_book_id == book_id)
    found: dict[str, str] = {}
    for key, tag in at.connection.execute(query.order_by(T.c.tag_key, T.c.tag).distinct()):
        found.setdefault(key, tag)
    return list(found.values())


def entry_snapshot(at: Scope, entry_id: int) -> dict[str, Any] | None:
    """Return an entry as the journal has it."""
    found = entry(at, entry_id)
    if found is None:
        return None
    return {name: value for name, value in found.items() if name != "id"}


def write_entry(change: Change, entry_id: int, after: Mapping[str, Any] | None) -> None:
    """Make an entry what the snapshot says; with None delete it."""
    before = entry_snapshot(change, entry_id)
    after = None if after is None else {**after}
    if before == after:
        return
    connection = change.connection
    connection.execute(delete(T).where(T.c.entry_id == entry_id))
    if after is None:
        connection.execute(delete(E).where(E.c.id == entry_id))
    else:
        values = {
            "nickname": after["nickname"],
            "nickname_key": fold(after["nickname"]),
            "address": after["address"],
            "comment": after["comment"],
        }
        if before is None:
            own = {
                "id": entry_id,
                "organization_id": change.organization_id,
                "address_book_id": after["address_book_id"],
            }
            connection.execute(insert(E).values(**own, **values))
        else:
            connection.execute(update(E).where(E.c.id == entry_id).values(**values))
        _tag(change, entry_id, after)
    _journal(change, entry_id, before, after)


def _tag(change: Change, entry_id: int, after: Mapping[str, Any]) -> None:
    rows = [
        {
            "address_book_id": after["address_book_id"],
            "tag_key": key,
            "entry_id": entry_id,
            "tag": tag,
            "organization_id": change.organization_id,
        }
        for key, tag in {fold(tag): tag for tag in after["tags"]}.items()
    ]
    if rows:
        change.connection.execute(insert(T), rows)


def _journal(
    change: Change,
    entry_id: int,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    there = after or before or {}
    book_id = there["address_book_id"]
    book = shape(change, book_id)
    if book is not None and book["personal"]:
        change.note_object("address_book", book_id, book["name"])
        return
    change.of_object("address_book_entry", entry_id, there["nickname"], before=before, after=after)
