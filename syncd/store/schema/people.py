"""Organizations, and the people in them with their identities and restrictions."""

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

organizations = Table(
    "organizations",
    metadata,
    # The slug used at sign-in.
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    # The active provider as applied; the configured one may differ until somebody confirms it.
    Column("provider", Text, nullable=False),
    # Keys the digests of raw entries, so that nobody can craft an entry that looks unchanged.
    Column("digest_key", LargeBinary, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("paused_at", UtcTime),
    Column("paused_because", Text),
    # All of its people and books are gone; the row keeps syncs from beginning anew.
    Column("deleted_at", UtcTime),
    # By what people of a former provider are taken over when the new one brings them: "username",
    # "verified-email"; null is by hand alone.
    Column("link_by", Text),
    # The provider of a switch that is under way; one that stopped in its middle leaves it here.
    Column("switching_to", Text),
    # JSON: what identifies the identity provider, as of the last sign-in.
    Column("idp", Text),
)

users = Table(
    "users",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("organization_id", Text, nullable=False),
    # Counts the changes of this row; a planned change holds only for the version it was made on.
    Column("version", Integer, nullable=False),
    Column("provider", Text, nullable=False),
    Column("username", Text, nullable=False),
    # By bytes, whatever the database's language: lists are in its order, and beginnings are ranges.
    Column("username_key", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False),
    Column("email", Text),
    Column("email_key", Text),
    Column("email_verified", Boolean, nullable=False),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("attributes", Text, nullable=False),
    # False while the person is missing: the username is parked and free for somebody else.
    Column("living", Boolean, nullable=False),
    # No restriction is active; kept by whatever adds or lifts one.
    Column("enabled", Boolean, nullable=False),
    Column("last_sign_in", UtcTime),
    Index(
        "uq_users_living_username",
        "organization_id",
        "username_key",
        unique=True,
        sqlite_where=text("living = 1"),
        postgresql_where=text("living"),
    ),
    # With what lists are filtered by, so that it answers alone.
    Index("ix_users_in_order", "organization_id", "username_key", "id", "living", "provider"),
    Index(
        "ix_users_shut_in_order",
        "organization_id",
        "username_key",
        "id",
        sqlite_where=text("enabled = 0"),
        postgresql_where=text("NOT enabled"),
    ),
    Index(None, "organization_id", "email_key"),
    Index(None, "organization_id", "provider"),
)

identities = Table(
    "identities",
    metadata,
    Column("organization_id", Text, nullable=False),
    # Which provider: ldap, or an identity provider's issuer.
    Column("source", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("dn", Text),
    # Of the mapped record, source timestamps left out.
    Column("fingerprint", LargeBinary, nullable=False),
    # Of the raw entry under the organization's key and mappers; null when it must be read anew.
    Column("digest", BigInteger),
    Column("source_created_at", Text),
    Column("source_modified_at", Text),
    # The run that last wrote this person.
    Column("run_id", BigInteger),
    PrimaryKeyConstraint("organization_id", "source", "external_id"),
    Index(None, "user_id"),
    sqlite_with_rowid=False,
)

identity_keys = Table(
    "identity_keys",
    metadata,
    Column("organization_id", Text, nullable=False),
    # "dn", or "uid:<attribute>": how containers name this person.
    Column("kind", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "kind", "key", "user_id"),
    Index(None, "user_id"),
    sqlite_with_rowid=False,
)

restrictions = Table(
    "restrictions",
    metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("until", UtcTime),
    Column("detail", Text),
    # Its time has not come yet, as far as ``users.enabled`` knows.
    Column("waiting", Boolean),
    PrimaryKeyConstraint("user_id", "source", "reason"),
    Index(None, "organization_id", "reason", "waiting"),
    # By which every run finds the few whose time has come or is over.
    Index(
        "ix_restrictions_waiting",
        "organization_id",
        "since",
        sqlite_where=text("waiting = 1"),
        postgresql_where=text("waiting"),
    ),
    Index(
        "ix_restrictions_until",
        "organization_id",
        "until",
        sqlite_where=text("until IS NOT NULL"),
        postgresql_where=text("until IS NOT NULL"),
    ),
)
