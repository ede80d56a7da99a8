"""Sign-in: sessions, sign-ins under way, codes for portals, attempts, logout tokens that were used.

And which programs may work on the schema, for the upgrades to come.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from syncd.store.schema import UtcTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
# It only adds.
works_with_previous = True

TABLES = ("handoffs", "sessions", "sign_in_attempts", "sign_ins", "used_logout_tokens")
SETTING = "(SELECT current_setting('syncd.organization', true))"
VISIBLE = f"CASE {SETTING} WHEN organization_id THEN true WHEN '*' THEN true END IS NOT NULL"


def upgrade() -> None:
    """Add the tables behind their walls."""
    op.add_column("organizations", sa.Column("idp", sa.Text(), nullable=True))
    _sessions()
    _under_way()
    _counted()
    allocators = sa.table("allocators", sa.column("name"), sa.column("next"))
    op.execute(allocators.insert().values(name="sessions", next=1))
    op.create_table(
        "schema_needs",
        sa.Column("oldest_program", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("oldest_program", name=op.f("pk_schema_needs")),
    )
    if op.get_context().dialect.name == "postgresql":
        for table in TABLES:
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
            op.execute(f"CREATE POLICY organization ON {table} USING ({VISIBLE})")


def downgrade() -> None:
    """Take it away again: everybody signs in anew."""
    allocators = sa.table("allocators", sa.column("name"))
    op.execute(allocators.delete().where(allocators.c.name == "sessions"))
    for table in ("schema_needs", *TABLES):
        op.drop_table(table)
    op.drop_column("organizations", "idp")


def _time(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, UtcTime(timezone=True), nullable=nullable)


def _index(table: str, *columns: str) -> None:
    name = f"ix_{table}_{'_'.join(columns)}"
    op.create_index(op.f(name), table, [*columns], unique=False)


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        _time("started_at"),
        _time("seen_at"),
        _time("idle_until"),
        _time("expires_at"),
        sa.Column("idle_seconds", sa.Integer(), nullable=False),
        _time("ended_at", nullable=True),
        sa.Column("ended_because", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("sid", sa.Text(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        _time("refresh_due_at", nullable=True),
        sa.Column("provider_mark", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index("uq_sessions_hash", "sessions", ["hash"], unique=True)
    _index("sessions", "user_id")
    _index("sessions", "organization_id", "ended_at")
    for name, columns in {
        "live": ["organization_id", "id"],
        "idle": ["idle_until"],
        "sid": ["organization_id", "issuer", "sid"],
        "subject": ["organization_id", "issuer", "subject"],
    }.items():
        op.create_index(
            f"ix_sessions_{name}",
            "sessions",
            columns,
            unique=False,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )


def _under_way() -> None:
    op.create_table(
        "sign_ins",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("browser", sa.LargeBinary(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("redirect_uri", sa.Text(), nullable=True),
        sa.Column("portal_state", sa.Text(), nullable=True),
        _time("started_at"),
        _time("expires_at"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_sign_ins")),
    )
    _index("sign_ins", "organization_id")
    _index("sign_ins", "expires_at")
    op.create_table(
        "handoffs",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("session_id", sa.BigInteger(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        _time("created_at"),
        _time("expires_at"),
        _time("used_at", nullable=True),
        sa.Column("token_hash", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_handoffs")),
    )
    op.create_index("uq_handoffs_token_hash", "handoffs", ["token_hash"], unique=True)
    for column in ("session_id", "user_id", "expires_at"):
        _index("handoffs", column)


def _counted() -> None:
    op.create_table(
        "sign_in_attempts",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("blocks", sa.Integer(), nullable=False),
        _time("since"),
        _time("until"),
        sa.PrimaryKeyConstraint("organization_id", "kind", "key", name=op.f("pk_sign_in_attempts")),
        sqlite_with_rowid=False,
    )
    _index("sign_in_attempts", "until")
    op.create_table(
        "used_logout_tokens",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        _time("expires_at"),
        sa.PrimaryKeyConstraint("organization_id", "hash", name=op.f("pk_used_logout_tokens")),
        sqlite_with_rowid=False,
    )
    _index("used_logout_tokens", "expires_at")
