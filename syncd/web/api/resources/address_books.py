"""Address books: section address_books; one's own belongs to its person alone."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from syncd.web.api import shapes
from syncd.web.api.answers import refuse_cursor
from syncd.web.api.calls import Answer, AnyCaller, Route
from syncd.web.api.resources.users import ReasonQuery
from syncd.web.api.shapes import Asked, Name, Page, PageQuery, PathId, Shown, Text, Why

router = APIRouter(
    prefix="/organizations/{org}/address-books", tags=["address books"], route_class=Route
)
Reasoned = Annotated[ReasonQuery, Query()]
Tags = Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(max_length=50)]


class AddressBook(Shown):
    """An address book."""

    id: int
    name: str
    personal: bool
    owner_id: int | None


class Entry(Shown):
    """An entry of an address book."""

    id: int
    address_book_id: int
    nickname: str
    address: str
    comment: str
    tags: list[str]


class NewAddressBook(Asked):
    """A shared address book to be made."""

    name: Name
    why: Why = None


class NewEntry(Asked):
    """An entry to be made."""

    nickname: Name
    address: Annotated[str, Field(min_length=1, max_length=500)]
    comment: Text = ""
    tags: Tags = Field(default=[])
    why: Why = None


class EntryFields(Asked):
    """What is changed; what is left out stays."""

    nickname: Name | None = None
    address: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    comment: Text | None = None
    tags: Tags | None = None
    why: Why = None


class EntryQuery(PageQuery):
    """By what entries are looked for."""

    tag: str | None = Field(default=None, max_length=64)
    prefix: str | None = Field(default=None, max_length=200, description="Of the nickname.")


@router.get("", response_model=Page[AddressBook])
def list_address_books(caller: AnyCaller, query: Annotated[PageQuery, Query()]) -> Answer:
    """List the books that the caller may view, his own one first."""
    books = caller.management.address_books.all()
    at = 0
    if query.after is not None:
        ids = [str(book["id"]) for book in books]
        if not query.after.isdecimal() or len(query.after) > shapes.ID_LIMIT:
            raise refuse_cursor(query.after)
        at = ids.index(query.after) + 1 if query.after in ids else len(books)
    items = books[at : at + query.limit]
    more = len(books) > at + len(items)
    return caller.paged(query, {"items": items, "next": str(items[-1]["id"]) if more else None})


@router.post("", response_model=AddressBook, status_code=HTTPStatus.CREATED)
def create_address_book(caller: AnyCaller, body: NewAddressBook) -> Answer:
    """Make a shared address book."""
    return caller.made(caller.management.address_books.create(body.name, why=body.why))


@router.get("/personal", response_model=AddressBook)
def get_personal_address_book(caller: AnyCaller) -> Answer:
    """Return the caller's own address book."""
    return caller.tagged(caller.management.address_books.personal())


@router.get("/{book_id}", response_model=AddressBook)
def get_address_book(caller: AnyCaller, book_id: PathId) -> Answer:
    """Return an address book."""
    return caller.tagged(caller.management.address_books.get(book_id))


@router.patch("/{book_id}", response_model=AddressBook)
def rename_address_book(caller: AnyCaller, book_id: PathId, body: NewAddressBook) -> Answer:
    """Give a shared address book another name."""
    shape = caller.management.address_books.rename(
        book_id, body.name, if_match=caller.expected, why=body.why
    )
    return caller.tagged(shape)


@router.delete("/{book_id}", status_code=HTTPStatus.NO_CONTENT)
def delete_address_book(caller: AnyCaller, book_id: PathId, query: Reasoned) -> None:
    """Delete a shared address book with its entries."""
    caller.management.address_books.delete(book_id, if_match=caller.expected, why=query.why)


@router.get("/{book_id}/tags", response_model=list[str])
def list_address_book_tags(caller: AnyCaller, book_id: PathId) -> Answer:
    """List the tags in a book, each once."""
    return caller.management.address_books.tags(book_id)


@router.get("/{book_id}/entries", response_model=Page[Entry])
def list_entries(
    caller: AnyCaller, book_id: PathId, query: Annotated[EntryQuery, Query()]
) -> Answer:
    """List entries by nickname."""
    found = caller.management.address_books.entries(
        book_id, limit=query.limit, after=query.after, tag=query.tag, prefix=query.prefix
    )
    return caller.paged(query, found)


@router.post("/{book_id}/entries", response_model=Entry, status_code=HTTPStatus.CREATED)
def create_entry(caller: AnyCaller, book_id: PathId, body: NewEntry) -> Answer:
    """Put an entry into a book."""
    shape = caller.management.address_books.add_entry(book_id, **body.model_dump())
    return caller.made(shape)


@router.get("/{book_id}/entries/{entry_id}", response_model=Entry)
def get_entry(caller: AnyCaller, book_id: PathId, entry_id: PathId) -> Answer:
    """Return an entry."""
    return caller.tagged(caller.management.address_books.entry(book_id, entry_id))


@router.patch("/{book_id}/entries/{entry_id}", response_model=Entry)
def edit_entry(caller: AnyCaller, book_id: PathId, entry_id: PathId, body: EntryFields) -> Answer:
    """Change an entry."""
    shape = caller.management.address_books.edit_entry(
        book_id, entry_id, **body.model_dump(), if_match=caller.expected
    )
    return caller.tagged(shape)


@router.delete("/{book_id}/entries/{entry_id}", status_code=HTTPStatus.NO_CONTENT)
def delete_entry(caller: AnyCaller, book_id: PathId, entry_id: PathId, query: Reasoned) -> None:
    """Take an entry out of a book."""
    caller.management.address_books.remove_entry(
        book_id, entry_id, if_match=caller.expected, why=query.why
    )
