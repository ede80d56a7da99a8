"""The plan of a run: what it would change, complete enough to be shown and applied alone."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from syncd.store.schema.columns import UtcTime, metadata

plan_people = Table(
    "plan_people",
    metadata,
    Column("run_id", BigInteger, nullable=False),
    # The order of application; everything about one person has one number.
    Column("number", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("external_id", Text),
    # Bits of syncd.store.kinds.
    Column("kinds", Integer, nullable=False),
    # The row's version that the change was planned on; 0 for a new person.
    Column("version", Integer, nullable=False),
    Column("cause", Text),
    # planned | conflict | stale: a row that no longer held is left out and listed.
    Column("state", Text, nullable=False, server_default=text("'planned'")),
    Column("username", Text),
    Column("username_key", Text),
    Column("email", Text),
    Column("email_key", Text),
    Column("email_verified", Boolean),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("attributes", Text),
    Column("dn", Text),
    Column("dn_key", LargeBinary),
    # What the account's state shall be: "disabled" or empty, and times. Null where nobody asked.
    Column("disabled", Text),
    Column("locked_until", UtcTime),
    Column("expires_at", UtcTime),
    Column("starts_at", UtcTime),
    Column("fingerprint", LargeBinary),
    Column("digest", BigInteger),
    Column("source_created_at", Text),
    Column("source_modified_at", Text),
    Column("old_username", Text),
    Column("old_email", Text),
    Column("old_email_verified", Boolean),
    Column("old_first_name", Text),
    Column("old_last_name", Text),
    Column("old_attributes", Text),
    Column("old_dn", Text),
    # Of somebody who is known by another id from now on.
    Column("old_external_id", Text),
    PrimaryKeyConstraint("run_id", "number"),
    Index("ix_plan_people_user", "run_id", "user_id"),
    sqlite_with_rowid=False,
)

plan_keys = Table(
    "plan_keys",
    metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    PrimaryKeyConstraint("run_id", "user_id", "kind", "key"),
    sqlite_with_rowid=False,
)

# What people themselves say of their containers.
plan_refs = Table(
    "plan_refs",
    metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("mapper", Text, nullable=False),
    Column("container_key", LargeBinary, nullable=False),
    Column("member_key", LargeBinary, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "user_id", "mapper", "container_key"),
    sqlite_with_rowid=False,
)

plan_roles = Table(
    "plan_roles",
    metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("role_id", BigInteger, nullable=False),
    # create | delete | delete held
    Column("action", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("mapper", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "role_id"),
)

plan_grants = Table(
    "plan_grants",
    metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("role_id", BigInteger, nullable=False),
    Column("mapper", Text, nullable=False),
    # True grants, False revokes.
    Column("granted", Boolean, nullable=False),
    PrimaryKeyConstraint("run_id", "user_id", "role_id", "mapper"),
    sqlite_with_rowid=False,
)

plan_groups = Table(
    "plan_groups",
    metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("group_id", BigInteger, nullable=False),
    # create | update | delete
    Column("action", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("mapper", Text, nullable=False),
    Column("external_id", Text),
    Column("description", Text, nullable=False),
    Column("attributes", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "group_id"),
)

plan_members = Table(
    "plan_members",
    metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("group_id", BigInteger, nullable=False),
    Column("mapper", Text, nullable=False),
    # True makes a member, False takes one out.
    Column("granted", Boolean, nullable=False),
    PrimaryKeyConstraint("run_id", "user_id", "group_id", "mapper"),
    sqlite_with_rowid=False,
)

# What an undo lifts and sets back of restrictions that no directory made.
plan_restrictions = Table(
    "plan_restrictions",
    metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    # True sets it, False lifts it.
    Column("holds", Boolean, nullable=False),
    PrimaryKeyConstraint("run_id", "user_id", "source", "reason"),
    sqlite_with_rowid=False,
)

# What an undo brings back of things that are no people: each as it is now and as it shall be.
plan_objects = Table(
    "plan_objects",
    metadata,
    Column("run_id", BigInteger, nullable=False),
    # The order of application.
    Column("number", Integer, nullable=False),
    Column("object", Text, nullable=False),
    Column("object_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    # create | update | delete
    Column("action", Text, nullable=False),
    # JSON, as in the journal.
    Column("before", Text),
    Column("after", Text),
    # planned | done | left
    Column("state", Text, nullable=False, server_default=text("'planned'")),
    # Why it was left as it is.
    Column("because", Text),
    PrimaryKeyConstraint("run_id", "number"),
    sqlite_with_rowid=False,
)
