"""Groups, their members and their hierarchy; containers that are in containers.

Only adds: a program of the revision before goes on working beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables, and what containers are beside a role's."""
    op.add_column("containers", sa.Column("group_id", sa.BigInteger(), nullable=True))
    op.add_column("containers", sa.Column("dn_key", sa.LargeBinary(), nullable=True))
    op.add_column("containers", sa.Column("outside", sa.Boolean(), nullable=True))
    op.create_index(op.f("ix_containers_group_id"), "containers", ["group_id"], unique=False)
    op.create_index(op.f("ix_containers_dn_key"), "containers", ["dn_key"], unique=False)
    op.create_table(
        "container_ancestors",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("mapper", sa.Text(), nullable=False),
        sa.Column("container_key", sa.LargeBinary(), nullable=False),
        sa.Column("ancestor_key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "organization_id",
            "mapper",
            "container_key",
            "ancestor_key",
            name=op.f("pk_container_ancestors"),
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "groups",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("mapper", sa.Text(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groups")),
    )
    op.create_index(
        op.f("ix_groups_organization_id_name_key"),
        "groups",
        ["organization_id", "name_key"],
        unique=False,
    )
    op.create_index(
        op.f("ix_groups_organization_id_mapper_external_id"),
        "groups",
        ["organization_id", "mapper", "external_id"],
        unique=False,
    )
    _create_hierarchy()
    _create_plan()
    # SQLite's stage is an attached file, made anew where it is of another program.
    if op.get_bind().dialect.name == "postgresql":
        _create_stage()


def _create_hierarchy() -> None:
    op.create_table(
        "group_parents",
        sa.Column("parent_id", sa.BigInteger(), nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("parent_id", "group_id", "source", name=op.f("pk_group_parents")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_group_parents_group_id"), "group_parents", ["group_id"], unique=False)
    op.create_table(
        "group_ancestors",
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.Column("ancestor_id", sa.BigInteger(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("group_id", "ancestor_id", name=op.f("pk_group_ancestors")),
        sqlite_with_rowid=False,
    )
    for column in ("ancestor_id", "organization_id"):
        op.create_index(
            op.f(f"ix_group_ancestors_{column}"), "group_ancestors", [column], unique=False
        )
    op.create_table(
        "group_members",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("user_id", "group_id", "source", name=op.f("pk_group_members")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_group_members_group_id"), "group_members", ["group_id"], unique=False)


def _create_plan() -> None:
    op.create_table(
        "plan_groups",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("mapper", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "group_id", name=op.f("pk_plan_groups")),
    )
    op.create_table(
        "plan_members",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.Column("mapper", sa.Text(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint(
            "run_id", "user_id", "group_id", "mapper", name=op.f("pk_plan_members")
        ),
        sqlite_with_rowid=False,
    )


def _create_stage() -> None:
    op.add_column("stage_containers", sa.Column("dn_key", sa.LargeBinary(), nullable=True))
    op.add_column("stage_containers", sa.Column("kind", sa.Text(), nullable=True))
    op.add_column("stage_containers", sa.Column("attributes", sa.Text(), nullable=True))
    op.create_table(
        "stage_ancestors",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("mapper", sa.Text(), nullable=False),
        sa.Column("container_key", sa.LargeBinary(), nullable=False),
        sa.Column("ancestor_key", sa.LargeBinary(), nullable=False),
        sa.Column("target_id", sa.BigInteger(), nullable=False),
        prefixes=["UNLOGGED"],
    )
    op.create_index(
        "ix_stage_ancestors_container",
        "stage_ancestors",
        ["run_id", "mapper", "container_key"],
        unique=False,
    )
    op.create_index(
        "ix_stage_ancestors_target", "stage_ancestors", ["run_id", "target_id"], unique=False
    )
    op.create_table(
        "stage_edges",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("mapper", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "run_id", "mapper", "parent_id", "group_id", name=op.f("pk_stage_edges")
        ),
        prefixes=["UNLOGGED"],
    )


def downgrade() -> None:
    """Take it away again."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_table("stage_edges")
        op.drop_table("stage_ancestors")
        for column in ("attributes", "kind", "dn_key"):
            op.drop_column("stage_containers", column)
    for table in (
        "plan_members",
        "plan_groups",
        "group_members",
        "group_ancestors",
        "group_parents",
        "groups",
        "container_ancestors",
    ):
        op.drop_table(table)
    for index in ("ix_containers_dn_key", "ix_containers_group_id"):
        op.drop_index(index, "containers")
    for column in ("outside", "dn_key", "group_id"):
        op.drop_column("containers", column)
