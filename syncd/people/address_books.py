"""What may be done with address books: shared ones by permission, one's own by nobody else.

Everybody has a personal book, made when it is first used. Only its owner looks into it and changes
it, whatever others may do; it belongs with the personal profile, so a token that acts for somebody
needs that section.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syncd.errors import NotFound, Refused
from syncd.people.wording import name_of, text_of
from syncd.permissions import Level
from syncd.records import fold

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from syncd.people.model import BookRows, Members, Opened, Opening, Shape
    from syncd.permissions import Principal

ALLOCATOR = "address_books"
SHARED, OWN = "address_books", "personal_profile"
PERSONAL = "Personal"
MOST_TAGS, TAG_LIMIT = 50, 64
PAGE = 100


class AddressBooks:
    """An organization's address books, on somebody's behalf."""

    def __init__(
        self, opening: Opening, rows: BookRows, members: Members, principal: Principal
    ) -> None:
        self._opening = opening
        self._rows = rows
        self._members = members
        self._principal = principal

    # --- books ------------------------------------------------------------------------------

    def all(self) -> list[Shape]:
        """Return the books that the principal may view, his own one first."""
        own = [self.personal()] if self._has_own(Level.VIEW) else []
        if not self._principal.may(SHARED, Level.VIEW):
            if own:
                return own
            raise _not_allowed("view", "shared address books")
        with self._opening.look() as look:
            return [*own, *self._rows.shared(look)]

    def personal(self) -> Shape:
        """Return the principal's own book; made now, if it has never been used.

        Raises:
            Refused: The principal is no person, or a token that does not reach it.

        """
        user_id = self._principal.user_id
        if user_id is None:
            raise Refused(
                "only a person has a personal address book; act as that person", "not_allowed"
            )
        if not self._has_own(Level.VIEW):
            raise _not_allowed("view", "the personal address book")
        with self._opening.look() as look:
            there = self._rows.owned_by(look, user_id)
            if there is not None:
                return self._found(look, there)
        book_id = self._opening.new_id(ALLOCATOR)
        with self._opening.change() as change:
            # Somebody else may have been first.
            there = self._rows.owned_by(change, user_id)
            if there is None:
                self._require_person(change, user_id)
                self._rows.write(change, book_id, {"name": PERSONAL, "owner_id": user_id})
            return self._found(change, there or book_id)

    def get(self, book_id: int) -> Shape:
        """Return a book.

        Raises:
            NotFound: There is no such book, or it is somebody else's own.
            Refused: The principal may not view shared books.

        """
        with self._opening.look() as look:
            return self._open(look, book_id, Level.VIEW)

    def named(self, name: str) -> Shape:
        """Return the shared book of a name.

        Raises:
            NotFound: There is no such book.
            Refused: The principal may not view shared books.

        """
        with self._opening.look() as look:
            book_id = self._rows.named(look, name)
            if book_id is None:
                raise self._no_such(name)
            return self._open(look, book_id, Level.VIEW)

    def create(self, name: str, *, why: str | None = None) -> Shape:
        """Create a shared book.

        Raises:
            Refused: The principal may not, or the name is taken or none.

        """
        if not self._principal.may(SHARED, Level.EDIT):
            raise _not_allowed("edit", "shared address books")
        name = _book_name(name)
        book_id = self._opening.new_id(ALLOCATOR)
        with self._opening.change(why) as change:
            self._require_free(change, name, None)
            self._rows.write(change, book_id, {"name": name, "owner_id": None})
            return self._found(change, book_id)

    def rename(
        self, book_id: int, name: str, *, if_match: str | None = None, why: str | None = None
    ) -> Shape:
        """Rename a shared book.

        Raises:
            Refused: The principal may not, it is a personal one, or the name is taken or none.
            NotFound: There is no such book, or it is somebody else's own.

        """
        name = _book_name(name)
        with self._opening.change(why) as change:
            book = self._shared(change, book_id, if_match)
            self._require_free(change, name, book_id)
            self._rows.write(change, book_id, {"name": name, "owner_id": book["owner_id"]})
            return self._found(change, book_id)

    def delete(self, book_id: int, *, if_match: str | None = None, why: str | None = None) -> None:
        """Delete a shared book with all that is in it.

        Raises:
            Refused: The principal may not, or it is a personal one, which goes with its owner.
            NotFound: There is no such book, or it is somebody else's own.

        """
        with self._opening.change(why) as change:
            self._shared(change, book_id, if_match)
            self._rows.write(change, book_id, None)

    # --- entries ----------------------------------------------------------------------------

    def entries(
        self,
        book_id: int,
        *,
        limit: int = PAGE,
        after: str | None = None,
        tag: str | None = None,
        prefix: str | None = None,
    ) -> Shape:
        """Return a page of a book, by nickname: ``items``, and ``next`` to go on after.

        ``tag`` leaves those that have it, ``prefix`` those whose nickname begins so.
        """
        with self._opening.look() as look:
            self._open(look, book_id, Level.VIEW)
            return self._rows.entries(
                look, book_id, limit=limit, after=after, tag=tag, prefix=prefix
            )

    def tags(self, book_id: int) -> list[str]:
        """Return the tags in a book, each once."""
        with self._opening.look() as look:
            self._open(look, book_id, Level.VIEW)
            return self._rows.tags(look, book_id)

    def entry(self, book_id: int, entry_id: int) -> Shape:
        """Return an entry of a book.

        Raises:
            NotFound: There is no such entry in it.

        """
        with self._opening.look() as look:
            self._open(look, book_id, Level.VIEW)
            return self._entry(look, book_id, entry_id)

    def add_entry(
        self,
        book_id: int,
        *,
        nickname: str,
        address: str,
        comment: str = "",
        tags: Collection[str] = (),
        why: str | None = None,
    ) -> Shape:
        """Add an entry to a book.

        Raises:
            Refused: The principal may not, or a value is none.
            NotFound: There is no such book, or it is somebody else's own.

        """
        after = {
            "address_book_id": book_id,
            **_values(nickname=nickname, address=address, comment=comment, tags=tags),
        }
        entry_id = self._opening.new_id(ALLOCATOR)
        with self._opening.change(why) as change:
            self._open(change, book_id, Level.EDIT)
            self._rows.write_entry(change, entry_id, after)
            return self._entry(change, book_id, entry_id)

    def edit_entry(
        self,
        book_id: int,
        entry_id: int,
        *,
        nickname: str | None = None,
        address: str | None = None,
        comment: str | None = None,
        tags: Collection[str] | None = None,
        if_match: str | None = None,
        why: str | None = None,
    ) -> Shape:
        """Change what is given of an entry.

        Raises:
            Refused: The principal may not, a value is none, or it is stale.
            NotFound: There is no such entry in this book.

        """
        given = {"nickname": nickname, "address": address, "comment": comment, "tags": tags}
        values = _values(**{name: value for name, value in given.items() if value is not None})
        with self._opening.change(why) as change:
            self._open(change, book_id, Level.EDIT)
            self._opening.require_match(self._entry(change, book_id, entry_id), if_match)
            before = self._rows.entry_snapshot(change, entry_id) or {}
            self._rows.write_entry(change, entry_id, {**before, **values})
            return self._entry(change, book_id, entry_id)

    def remove_entry(
        self,
        book_id: int,
        entry_id: int,
        *,
        if_match: str | None = None,
        why: str | None = None,
    ) -> None:
        """Remove an entry from a book.

        Raises:
            Refused: The principal may not, or it is stale.
            NotFound: There is no such entry in this book.

        """
        with self._opening.change(why) as change:
            self._open(change, book_id, Level.EDIT)
            self._opening.require_match(self._entry(change, book_id, entry_id), if_match)
            self._rows.write_entry(change, entry_id, None)

    # --- rules ------------------------------------------------------------------------------

    def _has_own(self, level: Level) -> bool:
        """Return whether the principal has a book of his own within reach."""
        principal = self._principal
        if principal.user_id is None:
            return False
        return principal.token_id is None or principal.may(OWN, level)

    def _open(self, at: Opened, book_id: int, level: Level) -> Shape:
        """Return a book that the principal may view or edit."""
        book = self._found(at, book_id)
        word = level.word
        if book["personal"]:
            if book["owner_id"] != self._principal.user_id:
                # As if it were not there: nor may anybody learn who has used his.
                raise self._no_such(str(book_id))
            if not self._has_own(level):
                raise _not_allowed(word, "the personal address book")
        elif not self._principal.may(SHARED, level):
            raise _not_allowed(word, "shared address books")
        return book

    def _shared(self, change: Opened, book_id: int, if_match: str | None) -> Shape:
        book = self._open(change, book_id, Level.EDIT)
        if book["personal"]:
            raise Refused(
                "a personal address book keeps its name and goes with its owner; "
                "change its entries instead",
                "preconfigured",
            )
        self._opening.require_match(book, if_match)
        return book

    def _require_free(self, change: Opened, name: str, book_id: int | None) -> None:
        if self._rows.named(change, name) not in {None, book_id}:
            raise Refused(
                f"there is an address book {name} already; choose another name", "name_taken"
            )

    def _require_person(self, change: Opened, user_id: int) -> None:
        if self._members.person(change, user_id) is None:
            org = self._opening.organization_id
            raise NotFound(f"there is no person {user_id} in {org}; `syncd users {org}` lists them")

    def _found(self, at: Opened, book_id: int) -> Shape:
        shape = self._rows.shape(at, book_id)
        if shape is None:
            raise self._no_such(str(book_id))
        return shape

    def _entry(self, at: Opened, book_id: int, entry_id: int) -> Shape:
        shape = self._rows.entry(at, entry_id)
        if shape is None or shape["address_book_id"] != book_id:
            raise NotFound(f"there is no entry {entry_id} in this address book; list its entries")
        return shape

    def _no_such(self, which: str) -> NotFound:
        org = self._opening.organization_id
        return NotFound(
            f"there is no address book {which} in {org}; `syncd book list {org}` lists them"
        )


def _not_allowed(word: str, what: str) -> Refused:
    return Refused(f"you may not {word} {what}; ask an admin of the organization", "not_allowed")


def _book_name(text: str) -> str:
    return name_of(text, "an address book's name")


def _values(**given: Any) -> dict[str, Any]:  # noqa: ANN401 - values of several types
    """Return what is given of an entry, checked."""
    found: Mapping[str, Any] = given
    values = dict(found)
    for name in ("nickname", "address"):
        if name in values:
            values[name] = name_of(values[name], f"an entry's {name}")
    if "comment" in values:
        values["comment"] = text_of(values["comment"], "an entry's comment")
    if "tags" in values:
        tags = {fold(name_of(tag, "a tag")): tag.strip() for tag in values["tags"]}
        if len(tags) > MOST_TAGS or any(len(tag) > TAG_LIMIT for tag in tags.values()):
            raise Refused(
                f"an entry has at most {MOST_TAGS} tags of at most {TAG_LIMIT} characters; "
                "leave some out"
            )
        values["tags"] = [tags[key] for key in sorted(tags)]
    return values
