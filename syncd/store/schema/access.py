"""What roles allow, and by what people and programs are let in."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)

from syncd.store.schema.columns import UtcTime, metadata

permission_sets = Table(
    "permission_sets",
    metadata,
    # Those of the preconfigured roles have the roles' ids, below FIRST_FREE_ROLE_ID.
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    # Null for the preconfigured ones, which every organization has.
    Column("organization_id", Text),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    # One of: preconfigured, custom.
    Column("kind", Text, nullable=False),
    Column("description", Text, nullable=False),
    Index("uq_permission_sets_organization_name", "organization_id", "name_key", unique=True),
    Index(
        "uq_permission_sets_preconfigured_name",
        "name_key",
        unique=True,
        sqlite_where=text("organization_id IS NULL"),
        postgresql_where=text("organization_id IS NULL"),
    ),
)

permission_set_sections = Table(
    "permission_set_sections",
    metadata,
    Column("permission_set_id", BigInteger, nullable=False),
    Column("section", Text, nullable=False),
    # 1 views, 2 views and edits; no access has no row.
    Column("level", SmallInteger, nullable=False),
    Column("organization_id", Text),
    PrimaryKeyConstraint("permission_set_id", "section"),
    sqlite_with_rowid=False,
)

role_permission_sets = Table(
    "role_permission_sets",
    metadata,
    Column("role_id", BigInteger, nullable=False),
    Column("permission_set_id", BigInteger, nullable=False),
    Column("organization_id", Text),
    PrimaryKeyConstraint("role_id", "permission_set_id"),
    Index(None, "permission_set_id"),
    sqlite_with_rowid=False,
)

# The roles of a group: those of its members, and of the members of groups below it.
group_roles = Table(
    "group_roles",
    metadata,
    Column("group_id", BigInteger, nullable=False),
    Column("role_id", BigInteger, nullable=False),
    # As of a grant: "manual", or a mapper.
    Column("source", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    PrimaryKeyConstraint("group_id", "role_id", "source"),
    Index(None, "role_id"),
    sqlite_with_rowid=False,
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("organization_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    # SHA-256 of the secret part, which has 256 bits of its own and needs no slow hash.
    Column("hash", LargeBinary, nullable=False),
    # JSON: section to level.
    Column("scopes", Text, nullable=False),
    # The person it acts for: then it can do no more than that person may.
    Column("user_id", BigInteger),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("last_used_at", UtcTime),
    Column("revoked_at", UtcTime),
    Index(None, "organization_id"),
    Index("ix_api_tokens_user_id", "user_id"),
)

# Of people of the admin provider; argon2id in its own notation.
passwords = Table(
    "passwords",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("organization_id", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("set_at", UtcTime, nullable=False),
)

# What was sent by mail and works once.
links = Table(
    "links",
    metadata,
    # SHA-256 of the link's secret.
    Column("hash", LargeBinary, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    # invitation | verification | password
    Column("purpose", Text, nullable=False),
    # The address that it was sent to: it proves nothing of another one.
    Column("email", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("used_at", UtcTime),
    Index(None, "user_id"),
    Index(None, "expires_at"),
)

# What was answered to a request that may be sent again.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("organization_id", Text, nullable=False),
    # Who sent it: one client's keys are none of another's business.
    Column("principal", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("request_hash", LargeBinary, nullable=False),
    # Null while the first request is under way.
    Column("status", Integer),
    # JSON
    Column("headers", Text),
    Column("body", Text),
    Column("at", UtcTime, nullable=False),
    PrimaryKeyConstraint("organization_id", "principal", "key"),
    Index(None, "at"),
)
