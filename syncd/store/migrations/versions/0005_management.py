"""The management store: permission sets, roles of groups, tokens, address books, a feed of changes.

Only adds: a program of the revision before goes on working beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from syncd import permissions
from syncd.store.schema import PRECONFIGURED_ROLES, UtcTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# What ids of these kinds begin with; those of permission sets below are the product's own.
ALLOCATORS = {"permission_sets": 100, "commits": 1, "address_books": 1, "api_tokens": 1}
# Tables whose people are listed in order, and of what.
IN_ORDER = {"grants": "role_id", "group_members": "group_id"}


def upgrade() -> None:
    """Add the tables, and the permission sets of the preconfigured roles."""
    op.create_table(
        "address_book_entries",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("address_book_id", sa.BigInteger(), nullable=False),
        sa.Column("nickname", sa.Text(), nullable=False),
        sa.Column("nickname_key", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address_book_entries")),
    )
    op.create_index(
        op.f("ix_address_book_entries_address_book_id_nickname_key_id"),
        "address_book_entries",
        ["address_book_id", "nickname_key", "id"],
        unique=False,
    )
    op.create_table(
        "address_book_tags",
        sa.Column("address_book_id", sa.BigInteger(), nullable=False),
        sa.Column("tag_key", sa.Text(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "address_book_id", "tag_key", "entry_id", name=op.f("pk_address_book_tags")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_address_book_tags_entry_id"), "address_book_tags", ["entry_id"], unique=False
    )
    op.create_table(
        "address_books",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address_books")),
    )
    op.create_index(
        "uq_address_books_owner",
        "address_books",
        ["owner_id"],
        unique=True,
        sqlite_where=sa.text("owner_id IS NOT NULL"),
        postgresql_where=sa.text("owner_id IS NOT NULL"),
    )
    op.create_index(
        "uq_address_books_shared_name",
        "address_books",
        ["organization_id", "name_key"],
        unique=True,
        sqlite_where=sa.text("owner_id IS NULL"),
        postgresql_where=sa.text("owner_id IS NULL"),
    )
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", UtcTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", UtcTime(timezone=True), nullable=False),
        sa.Column("last_used_at", UtcTime(timezone=True), nullable=True),
        sa.Column("revoked_at", UtcTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
    )
    op.create_index(
        op.f("ix_api_tokens_organization_id"), "api_tokens", ["organization_id"], unique=False
    )
    op.create_index("ix_api_tokens_user_id", "api_tokens", ["user_id"], unique=False)
    op.create_table(
        "commits",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("commit_id", sa.BigInteger(), nullable=False),
        sa.Column("change_set_id", sa.BigInteger(), nullable=False),
        sa.Column("at", UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "position", name=op.f("pk_commits")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_commits_organization_id_change_set_id"),
        "commits",
        ["organization_id", "change_set_id"],
        unique=False,
    )
    op.create_table(
        "exclusions",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("since", UtcTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint(
            "organization_id", "source", "external_id", name=op.f("pk_exclusions")
        ),
    )
    op.create_table(
        "feed_heads",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_feed_heads")),
    )
    op.create_table(
        "group_roles",
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.Column("role_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("group_id", "role_id", "source", name=op.f("pk_group_roles")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_group_roles_role_id"), "group_roles", ["role_id"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("at", UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "organization_id", "principal", "key", name=op.f("pk_idempotency_keys")
        ),
    )
    op.create_index(op.f("ix_idempotency_keys_at"), "idempotency_keys", ["at"], unique=False)
    op.create_table(
        "links",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("created_at", UtcTime(timezone=True), nullable=False),
        sa.Column("expires_at", UtcTime(timezone=True), nullable=False),
        sa.Column("used_at", UtcTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_links")),
    )
    op.create_index(op.f("ix_links_expires_at"), "links", ["expires_at"], unique=False)
    op.create_index(op.f("ix_links_user_id"), "links", ["user_id"], unique=False)
    op.create_table(
        "object_journal",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("change_set_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("object_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("commit_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "organization_id", "change_set_id", "number", name=op.f("pk_object_journal")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_object_journal_object",
        "object_journal",
        ["organization_id", "object", "object_id", "change_set_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_object_journal_organization_id_commit_id"),
        "object_journal",
        ["organization_id", "commit_id"],
        unique=False,
    )
    op.create_table(
        "passwords",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("set_at", UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_passwords")),
    )
    op.create_table(
        "permission_set_sections",
        sa.Column("permission_set_id", sa.BigInteger(), nullable=False),
        sa.Column("section", sa.Text(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint(
            "permission_set_id", "section", name=op.f("pk_permission_set_sections")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "permission_sets",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_permission_sets")),
    )
    op.create_index(
        "uq_permission_sets_organization_name",
        "permission_sets",
        ["organization_id", "name_key"],
        unique=True,
    )
    op.create_index(
        "uq_permission_sets_preconfigured_name",
        "permission_sets",
        ["name_key"],
        unique=True,
        sqlite_where=sa.text("organization_id IS NULL"),
        postgresql_where=sa.text("organization_id IS NULL"),
    )
    op.create_table(
        "role_permission_sets",
        sa.Column("role_id", sa.BigInteger(), nullable=False),
        sa.Column("permission_set_id", sa.BigInteger(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint(
            "role_id", "permission_set_id", name=op.f("pk_role_permission_sets")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_role_permission_sets_permission_set_id"),
        "role_permission_sets",
        ["permission_set_id"],
        unique=False,
    )
    op.add_column("journal", sa.Column("commit_id", sa.BigInteger(), nullable=True))
    op.create_index(
        op.f("ix_journal_organization_id_commit_id"),
        "journal",
        ["organization_id", "commit_id"],
        unique=False,
    )
    op.create_table(
        "plan_objects",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("object_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), server_default=sa.text("'planned'"), nullable=False),
        sa.Column("because", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_plan_objects")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "plan_restrictions",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("holds", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint(
            "run_id", "user_id", "source", "reason", name=op.f("pk_plan_restrictions")
        ),
        sqlite_with_rowid=False,
    )
    op.add_column("runs", sa.Column("undoes", sa.BigInteger(), nullable=True))
    op.add_column("runs", sa.Column("approval_asked_by", sa.Text(), nullable=True))
    op.add_column("organizations", sa.Column("deleted_at", UtcTime(timezone=True), nullable=True))
    op.add_column("organizations", sa.Column("link_by", sa.Text(), nullable=True))
    op.add_column("organizations", sa.Column("switching_to", sa.Text(), nullable=True))
    op.add_column("plan_people", sa.Column("old_external_id", sa.Text(), nullable=True))
    if op.get_context().dialect.name == "postgresql":
        op.execute('ALTER TABLE users ALTER COLUMN username_key TYPE text COLLATE "C"')
    for table, column in IN_ORDER.items():
        key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
        op.add_column(table, sa.Column("username_key", key, nullable=True))
        op.execute(
            f"UPDATE {table} SET username_key ="  # noqa: S608 - constants
            f" (SELECT username_key FROM users WHERE id = {table}.user_id)"
        )
        op.drop_index(f"ix_{table}_{column}", table_name=table)
        op.create_index(
            f"ix_{table}_in_order",
            table,
            [column, "username_key", "user_id", "organization_id"],
            unique=False,
        )
    op.drop_index(op.f("ix_restrictions_organization_id_reason"), table_name="restrictions")
    op.create_index(
        op.f("ix_restrictions_organization_id_reason_waiting"),
        "restrictions",
        ["organization_id", "reason", "waiting"],
        unique=False,
    )
    op.create_index(
        "ix_users_in_order",
        "users",
        ["organization_id", "username_key", "id", "living", "provider"],
        unique=False,
    )
    op.create_index(
        "ix_users_shut_in_order",
        "users",
        ["organization_id", "username_key", "id"],
        unique=False,
        sqlite_where=sa.text("enabled = 0"),
        postgresql_where=sa.text("NOT enabled"),
    )
    op.create_index(
        op.f("ix_users_organization_id_email_key"),
        "users",
        ["organization_id", "email_key"],
        unique=False,
    )
    op.create_index(
        op.f("ix_users_organization_id_provider"),
        "users",
        ["organization_id", "provider"],
        unique=False,
    )
    _seed()


def _seed() -> None:
    sets = sa.table(
        "permission_sets",
        *(sa.column(name) for name in ("id", "organization_id", "name", "name_key", "kind")),
        sa.column("description"),
    )
    sections = sa.table(
        "permission_set_sections",
        *(sa.column(name) for name in ("permission_set_id", "section", "level")),
    )
    of_roles = sa.table(
        "role_permission_sets", *(sa.column(name) for name in ("role_id", "permission_set_id"))
    )
    for number, name, description in PRECONFIGURED_ROLES:
        op.execute(
            sets.insert().values(
                id=number,
                organization_id=None,
                name=name,
                name_key=name.casefold(),
                kind="preconfigured",
                description=description,
            )
        )
        op.execute(of_roles.insert().values(role_id=number, permission_set_id=number))
        for section, level in permissions.preconfigured()[name].items():
            op.execute(
                sections.insert().values(
                    permission_set_id=number, section=section, level=int(level)
                )
            )
    allocators = sa.table("allocators", sa.column("name"), sa.column("next"))
    for name, first in ALLOCATORS.items():
        op.execute(allocators.insert().values(name=name, next=first))


def downgrade() -> None:
    """Take it away again."""
    allocators = sa.table("allocators", sa.column("name"))
    op.execute(allocators.delete().where(allocators.c.name.in_(ALLOCATORS)))
    for table, column in IN_ORDER.items():
        op.drop_index(f"ix_{table}_in_order", table_name=table)
        op.create_index(f"ix_{table}_{column}", table, [column], unique=False)
        op.drop_column(table, "username_key")
    op.drop_index(op.f("ix_restrictions_organization_id_reason_waiting"), table_name="restrictions")
    op.create_index(
        op.f("ix_restrictions_organization_id_reason"),
        "restrictions",
        ["organization_id", "reason"],
        unique=False,
    )
    op.drop_index(op.f("ix_users_organization_id_provider"), table_name="users")
    op.drop_index(op.f("ix_users_organization_id_email_key"), table_name="users")
    op.drop_index("ix_users_shut_in_order", table_name="users")
    op.drop_index("ix_users_in_order", table_name="users")
    if op.get_context().dialect.name == "postgresql":
        op.execute('ALTER TABLE users ALTER COLUMN username_key TYPE text COLLATE "default"')
    op.drop_column("plan_people", "old_external_id")
    op.drop_column("organizations", "switching_to")
    op.drop_column("organizations", "link_by")
    op.drop_column("organizations", "deleted_at")
    op.drop_column("runs", "approval_asked_by")
    op.drop_column("runs", "undoes")
    op.drop_table("plan_restrictions")
    op.drop_table("plan_objects")
    op.drop_index(op.f("ix_journal_organization_id_commit_id"), table_name="journal")
    op.drop_column("journal", "commit_id")
    op.drop_index(
        op.f("ix_role_permission_sets_permission_set_id"), table_name="role_permission_sets"
    )
    op.drop_table("role_permission_sets")
    op.drop_index(
        "uq_permission_sets_preconfigured_name",
        table_name="permission_sets",
        sqlite_where=sa.text("organization_id IS NULL"),
        postgresql_where=sa.text("organization_id IS NULL"),
    )
    op.drop_index("uq_permission_sets_organization_name", table_name="permission_sets")
    op.drop_table("permission_sets")
    op.drop_table("permission_set_sections")
    op.drop_table("passwords")
    op.drop_index(op.f("ix_object_journal_organization_id_commit_id"), table_name="object_journal")
    op.drop_index("ix_object_journal_object", table_name="object_journal")
    op.drop_table("object_journal")
    op.drop_index(op.f("ix_links_user_id"), table_name="links")
    op.drop_index(op.f("ix_links_expires_at"), table_name="links")
    op.drop_table("links")
    op.drop_index(op.f("ix_idempotency_keys_at"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_index(op.f("ix_group_roles_role_id"), table_name="group_roles")
    op.drop_table("group_roles")
    op.drop_table("feed_heads")
    op.drop_table("exclusions")
    op.drop_index(op.f("ix_commits_organization_id_change_set_id"), table_name="commits")
    op.drop_table("commits")
    op.drop_index("ix_api_tokens_user_id", table_name="api_tokens")
    op.drop_index(op.f("ix_api_tokens_organization_id"), table_name="api_tokens")
    op.drop_table("api_tokens")
    op.drop_index(
        "uq_address_books_shared_name",
        table_name="address_books",
        sqlite_where=sa.text("owner_id IS NULL"),
        postgresql_where=sa.text("owner_id IS NULL"),
    )
    op.drop_index(
        "uq_address_books_owner",
        table_name="address_books",
        sqlite_where=sa.text("owner_id IS NOT NULL"),
        postgresql_where=sa.text("owner_id IS NOT NULL"),
    )
    op.drop_table("address_books")
    op.drop_index(op.f("ix_address_book_tags_entry_id"), table_name="address_book_tags")
    op.drop_table("address_book_tags")
    op.drop_index(
        op.f("ix_address_book_entries_address_book_id_nickname_key_id"),
        table_name="address_book_entries",
    )
    op.drop_table("address_book_entries")
