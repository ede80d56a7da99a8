"""What directories say of accounts: lockouts, expiry and beginning, and restrictions to come.

Only adds: a program of the revision before goes on working beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from syncd.store.schema import UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TIMES = ("locked_until", "expires_at", "starts_at")


def upgrade() -> None:
    """Add the columns, and indexes over the restrictions whose time is to come or to end."""
    op.add_column("restrictions", sa.Column("waiting", sa.Boolean(), nullable=True))
    op.create_index(
        "ix_restrictions_waiting",
        "restrictions",
        ["organization_id", "since"],
        unique=False,
        sqlite_where=sa.text("waiting = 1"),
        postgresql_where=sa.text("waiting"),
    )
    op.create_index(
        "ix_restrictions_until",
        "restrictions",
        ["organization_id", "until"],
        unique=False,
        sqlite_where=sa.text("until IS NOT NULL"),
        postgresql_where=sa.text("until IS NOT NULL"),
    )
    for name in TIMES:
        op.add_column("plan_people", sa.Column(name, UtcTime(), nullable=True))
    # SQLite's stage is an attached file, made anew for each run.
    if op.get_bind().dialect.name == "postgresql":
        for name in TIMES:
            op.add_column("stage_users", sa.Column(name, UtcTime(), nullable=True))
        op.add_column("stage_users", sa.Column("absent", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Take it away again."""
    if op.get_bind().dialect.name == "postgresql":
        for name in ("absent", *TIMES):
            op.drop_column("stage_users", name)
    for name in TIMES:
        op.drop_column("plan_people", name)
    op.drop_index("ix_restrictions_until", "restrictions")
    op.drop_index("ix_restrictions_waiting", "restrictions")
    op.drop_column("restrictions", "waiting")
