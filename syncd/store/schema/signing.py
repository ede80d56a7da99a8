"""Sign-ins under way, sessions, what is handed on to portals, and what was tried in vain.

Of everything that a browser or a portal holds as a secret there is the SHA-256 alone.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
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

UNENDED = text("ended_at IS NULL")

sessions = Table(
    "sessions",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("organization_id", Text, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    # SHA-256 of the cookie's secret.
    Column("hash", LargeBinary, nullable=False),
    # idp | ldap | admin
    Column("way", Text, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    # When it ends without use, never later than in any case.
    Column("idle_until", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("idle_seconds", Integer, nullable=False),
    Column("ended_at", UtcTime),
    Column("ended_because", Text),
    Column("address", Text, nullable=False),
    Column("agent", Text, nullable=False),
    # Who the provider says it is: what its logout tokens name.
    Column("issuer", Text),
    Column("subject", Text),
    Column("sid", Text),
    # The provider's tokens, encrypted under a key that is not in the store.
    Column("sealed", LargeBinary),
    # When the provider is to be asked again.
    Column("refresh_due_at", UtcTime),
    # Of the provider's settings; with others the session is over.
    Column("provider_mark", LargeBinary),
    Index("uq_sessions_hash", "hash", unique=True),
    Index(None, "user_id"),
    Index(
        "ix_sessions_live", "organization_id", "id", sqlite_where=UNENDED, postgresql_where=UNENDED
    ),
    Index("ix_sessions_idle", "idle_until", sqlite_where=UNENDED, postgresql_where=UNENDED),
    Index(
        "ix_sessions_sid",
        "organization_id",
        "issuer",
        "sid",
        sqlite_where=UNENDED,
        postgresql_where=UNENDED,
    ),
    Index(
        "ix_sessions_subject",
        "organization_id",
        "issuer",
        "subject",
        sqlite_where=UNENDED,
        postgresql_where=UNENDED,
    ),
    Index(None, "organization_id", "ended_at"),
)

# Between the way to the provider and the way back.
sign_ins = Table(
    "sign_ins",
    metadata,
    # SHA-256 of the state.
    Column("hash", LargeBinary, primary_key=True),
    # SHA-256 of the secret in the cookie of the browser that began.
    Column("browser", LargeBinary, nullable=False),
    Column("organization_id", Text, nullable=False),
    # Where a portal wants the person back; null where nobody does.
    Column("client_id", Text),
    Column("redirect_uri", Text),
    Column("portal_state", Text),
    Column("started_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Index(None, "organization_id"),
    Index(None, "expires_at"),
)

# Codes by which a portal learns who has signed in. A used one stays as long as its session: by it
# the portal may ask whether that still holds.
handoffs = Table(
    "handoffs",
    metadata,
    # SHA-256 of the code.
    Column("hash", LargeBinary, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("session_id", BigInteger, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("used_at", UtcTime),
    # SHA-256 of the token by which the portal asks the API as the person; null where it has none.
    Column("token_hash", LargeBinary),
    Index("uq_handoffs_token_hash", "token_hash", unique=True),
    Index(None, "session_id"),
    Index(None, "user_id"),
    Index(None, "expires_at"),
)

# How often something was tried lately without success.
sign_in_attempts = Table(
    "sign_in_attempts",
    metadata,
    # Empty for an organization that does not exist.
    Column("organization_id", Text, nullable=False),
    # account | address | organization | known
    Column("kind", Text, nullable=False),
    # What it is of, hashed.
    Column("key", LargeBinary, nullable=False),
    Column("count", Integer, nullable=False),
    # How often in a row there were too many: each time it takes longer.
    Column("blocks", Integer, nullable=False),
    Column("since", UtcTime, nullable=False),
    # From then on it counts from zero.
    Column("until", UtcTime, nullable=False),
    PrimaryKeyConstraint("organization_id", "kind", "key"),
    Index(None, "until"),
    sqlite_with_rowid=False,
)

# Each logout token works once, wherever and whenever it comes again.
used_logout_tokens = Table(
    "used_logout_tokens",
    metadata,
    Column("organization_id", Text, nullable=False),
    # SHA-256 of issuer and jti.
    Column("hash", LargeBinary, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    PrimaryKeyConstraint("organization_id", "hash"),
    Index(None, "expires_at"),
    sqlite_with_rowid=False,
)
