"""Schedules in the store, plans that keep their id and expire, quarantine with a next try.

Only adds: a program of the revision before goes on working beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from syncd.store.schema import UtcTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, its columns elsewhere and an index over the states of runs."""
    op.create_table(
        "schedules",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("next_due", UtcTime(), nullable=True),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_attempt_at", UtcTime(), nullable=True),
        sa.Column("last_success_at", UtcTime(), nullable=True),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("claimed_until", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("organization_id", "mode", name=op.f("pk_schedules")),
    )
    op.add_column("runs", sa.Column("plan_digest", sa.LargeBinary(), nullable=True))
    op.add_column("runs", sa.Column("expires_at", UtcTime(), nullable=True))
    op.add_column("quarantine", sa.Column("next_retry", UtcTime(), nullable=True))
    op.create_index("ix_runs_status", "runs", ["organization_id", "status"], unique=False)


def downgrade() -> None:
    """Take it away again."""
    op.drop_index("ix_runs_status", "runs")
    op.drop_column("quarantine", "next_retry")
    op.drop_column("runs", "expires_at")
    op.drop_column("runs", "plan_digest")
    op.drop_table("schedules")
