"""Address books: shared ones of an organization, and each person's own."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, PrimaryKeyConstraint, Table, Text, text

from syncd.store.schema.columns import metadata

address_books = Table(
    "address_books",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("organization_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    # The person whose own it is; null for a shared one.
    Column("owner_id", BigInteger),
    Index(
        "uq_address_books_owner",
        "owner_id",
        unique=True,
        sqlite_where=text("owner_id IS NOT NULL"),
        postgresql_where=text("owner_id IS NOT NULL"),
    ),
    Index(
        "uq_address_books_shared_name",
        "organization_id",
        "name_key",
        unique=True,
        sqlite_where=text("owner_id IS NULL"),
        postgresql_where=text("owner_id IS NULL"),
    ),
)

address_book_entries = Table(
    "address_book_entries",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("organization_id", Text, nullable=False),
    Column("address_book_id", BigInteger, nullable=False),
    Column("nickname", Text, nullable=False),
    Column("nickname_key", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Index(None, "address_book_id", "nickname_key", "id"),
)

address_book_tags = Table(
    "address_book_tags",
    metadata,
    Column("address_book_id", BigInteger, nullable=False),
    Column("tag_key", Text, nullable=False),
    Column("entry_id", BigInteger, nullable=False),
    Column("tag", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    PrimaryKeyConstraint("address_book_id", "tag_key", "entry_id"),
    Index(None, "entry_id"),
    sqlite_with_rowid=False,
)
