"""The first schema: organizations, people, roles, the journal and the sync's books."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from syncd.store.schema import UtcTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything."""
    op.create_table(
        "allocators",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_allocators")),
    )
    op.create_table(
        "change_sets",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_sets")),
    )
    op.create_index(
        op.f("ix_change_sets_organization_id_at"),
        "change_sets",
        ["organization_id", "at"],
        unique=False,
    )
    op.create_table(
        "containers",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("mapper", sa.Text(), nullable=False),
        sa.Column("container_key", sa.LargeBinary(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("dn", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.BigInteger(), nullable=True),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint(
            "organization_id", "mapper", "container_key", name=op.f("pk_containers")
        ),
    )
    op.create_index(op.f("ix_containers_role_id"), "containers", ["role_id"], unique=False)
    op.create_table(
        "grants",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("role_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("user_id", "role_id", "source", name=op.f("pk_grants")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_grants_role_id"), "grants", ["role_id"], unique=False)
    op.create_table(
        "identities",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("dn", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.BigInteger(), nullable=True),
        sa.Column("source_created_at", sa.Text(), nullable=True),
        sa.Column("source_modified_at", sa.Text(), nullable=True),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint(
            "organization_id", "source", "external_id", name=op.f("pk_identities")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_identities_user_id"), "identities", ["user_id"], unique=False)
    op.create_table(
        "identity_keys",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "organization_id", "kind", "key", "user_id", name=op.f("pk_identity_keys")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_identity_keys_user_id"), "identity_keys", ["user_id"], unique=False)
    op.create_table(
        "journal",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("change_set_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint(
            "organization_id", "user_id", "change_set_id", "kind", name=op.f("pk_journal")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "leases",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("process_id", sa.Integer(), nullable=True),
        sa.Column("boot_id", sa.Text(), nullable=True),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("acquired_at", UtcTime(), nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_leases")),
    )
    op.create_index("uq_leases_token", "leases", ["organization_id", "token"], unique=True)
    op.create_table(
        "listings",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("result_code", sa.Integer(), nullable=True),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("references", sa.Integer(), nullable=False),
        sa.Column("because", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "source", name=op.f("pk_listings")),
    )
    op.create_table(
        "membership_refs",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("mapper", sa.Text(), nullable=False),
        sa.Column("container_key", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("member_key", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint(
            "organization_id",
            "mapper",
            "container_key",
            "kind",
            "member_key",
            name=op.f("pk_membership_refs"),
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_membership_refs_member_key"), "membership_refs", ["member_key"], unique=False
    )
    op.create_index(
        "ix_membership_refs_unresolved",
        "membership_refs",
        ["organization_id"],
        unique=False,
        sqlite_where=sa.text("user_id IS NULL"),
        postgresql_where=sa.text("user_id IS NULL"),
    )
    op.create_table(
        "organizations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("digest_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("paused_at", UtcTime(), nullable=True),
        sa.Column("paused_because", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
    )
    op.create_table(
        "plan_grants",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("role_id", sa.BigInteger(), nullable=False),
        sa.Column("mapper", sa.Text(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint(
            "run_id", "user_id", "role_id", "mapper", name=op.f("pk_plan_grants")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "plan_keys",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "user_id", "kind", "key", name=op.f("pk_plan_keys")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "plan_people",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("kinds", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), server_default=sa.text("'planned'"), nullable=False),
        sa.Column("username", sa.Text(), nullable=True),
        sa.Column("username_key", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("email_key", sa.Text(), nullable=True),
        sa.Column("email_verified", sa.Boolean(), nullable=True),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("attributes", sa.Text(), nullable=True),
        sa.Column("dn", sa.Text(), nullable=True),
        sa.Column("dn_key", sa.LargeBinary(), nullable=True),
        sa.Column("disabled", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=True),
        sa.Column("digest", sa.BigInteger(), nullable=True),
        sa.Column("source_created_at", sa.Text(), nullable=True),
        sa.Column("source_modified_at", sa.Text(), nullable=True),
        sa.Column("old_username", sa.Text(), nullable=True),
        sa.Column("old_email", sa.Text(), nullable=True),
        sa.Column("old_email_verified", sa.Boolean(), nullable=True),
        sa.Column("old_first_name", sa.Text(), nullable=True),
        sa.Column("old_last_name", sa.Text(), nullable=True),
        sa.Column("old_attributes", sa.Text(), nullable=True),
        sa.Column("old_dn", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_plan_people")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_plan_people_user", "plan_people", ["run_id", "user_id"], unique=False)
    op.create_table(
        "plan_refs",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("mapper", sa.Text(), nullable=False),
        sa.Column("container_key", sa.LargeBinary(), nullable=False),
        sa.Column("member_key", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "run_id", "user_id", "mapper", "container_key", name=op.f("pk_plan_refs")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "plan_roles",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("role_id", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("mapper", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "role_id", name=op.f("pk_plan_roles")),
    )
    op.create_table(
        "quarantine",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("dn", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attribute", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("first_seen", UtcTime(), nullable=False),
        sa.Column("last_seen", UtcTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("username_key", sa.Text(), nullable=True),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "source", "entry", name=op.f("pk_quarantine")),
    )
    op.create_table(
        "restrictions",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("since", UtcTime(), nullable=False),
        sa.Column("until", UtcTime(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("user_id", "source", "reason", name=op.f("pk_restrictions")),
    )
    op.create_index(
        op.f("ix_restrictions_organization_id_reason"),
        "restrictions",
        ["organization_id", "reason"],
        unique=False,
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("started_at", UtcTime(), nullable=False),
        sa.Column("finished_at", UtcTime(), nullable=True),
        sa.Column("applied_number", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("together", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("settles", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("dry", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("change_set_id", sa.BigInteger(), nullable=True),
        sa.Column("reasons", sa.Text(), nullable=True),
        sa.Column("report", sa.Text(), nullable=True),
        sa.Column("watermark", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_index(
        op.f("ix_runs_organization_id_id"), "runs", ["organization_id", "id"], unique=False
    )
    op.create_table(
        "users",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("username_key", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("email_key", sa.Text(), nullable=True),
        sa.Column("email_verified", sa.Boolean(), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("living", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("last_sign_in", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_index(
        "uq_users_living_username",
        "users",
        ["organization_id", "username_key"],
        unique=True,
        sqlite_where=sa.text("living = 1"),
        postgresql_where=sa.text("living"),
    )
    op.create_table(
        "watermarks",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("ground", sa.Text(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "source", name=op.f("pk_watermarks")),
    )
    op.create_table(
        "roles",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("mapper", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_roles_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roles")),
    )
    op.create_index(
        "uq_roles_organization_name", "roles", ["organization_id", "name_key"], unique=True
    )
    op.create_index(
        "uq_roles_preconfigured_name",
        "roles",
        ["name_key"],
        unique=True,
        sqlite_where=sa.text("organization_id IS NULL"),
        postgresql_where=sa.text("organization_id IS NULL"),
    )

    # SQLite's stage is an attached file, made anew for each run.
    if op.get_bind().dialect.name == "postgresql":
        _create_stage()


def _create_stage() -> None:
    op.create_table(
        "stage_absent",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("mapper", sa.Text(), nullable=True),
        sa.Column("container_key", sa.LargeBinary(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_stage_absent_user", "stage_absent", ["run_id", "user_id"], unique=False)
    op.create_table(
        "stage_containers",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("mapper", sa.Text(), nullable=False),
        sa.Column("container_key", sa.LargeBinary(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("dn", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role_name", sa.Text(), nullable=False),
        sa.Column("role_key", sa.Text(), nullable=False),
        sa.Column("role_id", sa.BigInteger(), nullable=True),
        sa.Column("digest", sa.BigInteger(), nullable=True),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_stage_containers")),
        prefixes=["UNLOGGED"],
    )
    op.create_index(
        "ix_stage_containers_key",
        "stage_containers",
        ["run_id", "mapper", "container_key"],
        unique=False,
    )
    op.create_table(
        "stage_desired",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("role_id", sa.BigInteger(), nullable=False),
        sa.Column("mapper", sa.Text(), nullable=False),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_stage_desired_user", "stage_desired", ["run_id", "user_id"], unique=False)
    op.create_table(
        "stage_keys",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "stage_marks",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "user_id", "mark", name=op.f("pk_stage_marks")),
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "stage_refs",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("mapper", sa.Text(), nullable=False),
        sa.Column("container_key", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("member_key", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_stage_refs_number", "stage_refs", ["run_id", "number"], unique=False)
    op.create_table(
        "stage_roles",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("role_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "role_id", name=op.f("pk_stage_roles")),
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "stage_seen",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.BigInteger(), nullable=False),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_stage_seen_user", "stage_seen", ["run_id", "user_id"], unique=False)
    op.create_table(
        "stage_users",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("known", sa.Boolean(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("dn", sa.Text(), nullable=False),
        sa.Column("dn_key", sa.LargeBinary(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("username_key", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("email_key", sa.Text(), nullable=True),
        sa.Column("email_verified", sa.Boolean(), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Text(), nullable=True),
        sa.Column("source_created_at", sa.Text(), nullable=True),
        sa.Column("source_modified_at", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_stage_users")),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_stage_users_user", "stage_users", ["run_id", "user_id"], unique=False)


def downgrade() -> None:
    """Drop everything."""
    bind = op.get_bind()
    tables = set(sa.inspect(bind).get_table_names()) - {"schema_versions"}
    # Roles first: they refer to their organization.
    for table in sorted(tables, key=lambda name: (name != "roles", name)):
        op.drop_table(table)
