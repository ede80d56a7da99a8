"""``book``: shared address books and their entries, and ``permissions``: what people may do.

People's own books are out of an operator's reach.
"""

from __future__ import annotations

from typing import Annotated

import typer

from syncd.cli.application import Document
from syncd.cli.commands.arguments import Org, Why
from syncd.cli.program import command, family
from syncd.cli.render.model import (
    book_blocks,
    deleted_blocks,
    entries_blocks,
    entry_blocks,
    everybody_blocks,
    permission_blocks,
)
from syncd.cli.session import Outcome, Session

app = family()
PAGE = 500

Book = Annotated[str, typer.Argument(metavar="BOOK", help="the address book's name")]
EntryId = Annotated[
    int, typer.Argument(metavar="ENTRY", help="the entry's number, as `syncd book entries` has it")
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TAG", help="may be given several times"),
]


@command(app, "book list")
def list_(session: Session, org: Org) -> Outcome:
    """List the shared address books."""
    report = session.manage(org).address_books.all()
    return Outcome(report, lambda: book_blocks(org, report))


@command(app, "book create")
def create(session: Session, org: Org, book: Book, *, why: Why = None) -> Outcome:
    """Create a shared address book."""
    report = session.manage(org).address_books.create(book, why=why)
    return Outcome(report, lambda: book_blocks(org, [report]))


@command(app, "book delete")
def delete(session: Session, org: Org, book: Book, *, why: Why = None) -> Outcome:
    """Delete a shared address book with all that is in it."""
    books = session.manage(org).address_books
    shape = books.named(book)
    books.delete(shape["id"], why=why)
    return Outcome({"deleted": shape}, lambda: deleted_blocks("address book", shape))


@command(app, "book entries")
def entries(
    session: Session,
    org: Org,
    book: Book,
    *,
    tag: Annotated[
        str | None, typer.Option("--tag", metavar="TAG", help="only those with this tag")
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option("--prefix", metavar="TEXT", help="only those whose nickname begins so"),
    ] = None,
) -> Outcome:
    """List the entries of a shared address book."""
    books = session.manage(org).address_books
    found = books.named(book)["id"]
    report: list[Document] = []
    after = None
    while True:
        page = books.entries(found, limit=PAGE, after=after, tag=tag, prefix=prefix)
        report += page["items"]
        after = page["next"]
        if after is None:
            break
    return Outcome(report, lambda: entries_blocks(book, report))


@command(app, "book add")
def add(
    session: Session,
    org: Org,
    book: Book,
    *,
    nickname: Annotated[str, typer.Option("--nickname", metavar="NAME", help="the contact's name")],
    address: Annotated[
        str, typer.Option("--address", metavar="ADDRESS", help="the contact's id or alias")
    ],
    comment: Annotated[
        str | None, typer.Option("--comment", metavar="TEXT", help="about the contact")
    ] = None,
    tags: Tags = None,
    why: Why = None,
) -> Outcome:
    """Add an entry to a shared address book."""
    books = session.manage(org).address_books
    report = books.add_entry(
        books.named(book)["id"],
        nickname=nickname,
        address=address,
        comment=comment or "",
        tags=tags or [],
        why=why,
    )
    return Outcome(report, lambda: entry_blocks(report))


@command(app, "book edit")
def edit(
    session: Session,
    org: Org,
    book: Book,
    entry: EntryId,
    *,
    nickname: Annotated[
        str | None, typer.Option("--nickname", metavar="NAME", help="the contact's name")
    ] = None,
    address: Annotated[
        str | None, typer.Option("--address", metavar="ADDRESS", help="the contact's id or alias")
    ] = None,
    comment: Annotated[
        str | None, typer.Option("--comment", metavar="TEXT", help="about the contact")
    ] = None,
    tags: Tags = None,
    no_tags: Annotated[bool, typer.Option("--no-tags", help="take all tags away")] = False,
    why: Why = None,
) -> Outcome:
    """Change an entry of a shared address book; --tag replaces all of its tags."""
    books = session.manage(org).address_books
    report = books.edit_entry(
        books.named(book)["id"],
        entry,
        nickname=nickname,
        address=address,
        comment=comment,
        tags=[] if no_tags else tags,
        why=why,
    )
    return Outcome(report, lambda: entry_blocks(report))


@command(app, "book remove")
def remove(session: Session, org: Org, book: Book, entry: EntryId, *, why: Why = None) -> Outcome:
    """Remove an entry from a shared address book."""
    books = session.manage(org).address_books
    found = books.named(book)["id"]
    shape = books.entry(found, entry)
    books.remove_entry(found, entry, why=why)
    return Outcome({"deleted": shape}, lambda: deleted_blocks("entry", {"name": shape["nickname"]}))


@command(app, "permissions")
def permissions(
    session: Session,
    org: Org,
    username: Annotated[
        str | None,
        typer.Argument(
            metavar="[USERNAME]", help="one person, with all that it comes from; else everybody"
        ),
    ] = None,
) -> Outcome:
    """Show what people may do: of everybody, or of one person with all that it comes from.

    Permissions of all roles and groups add up. Whether somebody may sign in is another question.
    """
    effective = session.manage(org).permissions
    if username is None:
        everybody = list(effective.of_all())
        return Outcome(everybody, lambda: everybody_blocks(org, everybody))
    report = effective.of(username)
    return Outcome(report, lambda: permission_blocks(report))
