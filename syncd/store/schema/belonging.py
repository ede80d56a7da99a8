"""Roles and groups, the directory entries that stand for them, and who has them from whom."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from syncd import naming
from syncd.store.schema.columns import metadata

_SAID = (
    "Views and edits every section and may delete the organization.",
    "Views and edits what the organization needs day to day.",
    "Views users, groups, address books and clients.",
    "Views nearly everything, edits nothing.",
    "Views the organization, its license and invoices.",
    "Everyone's default role.",
)
# Their ids, names and descriptions.
PRECONFIGURED_ROLES = tuple(
    (number, name, said)
    for number, (name, said) in enumerate(zip(naming.PRECONFIGURED_ROLES, _SAID, strict=True), 1)
)
# Ids below this are the product's own.
FIRST_FREE_ROLE_ID = 100

roles = Table(
    "roles",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    # Null for the preconfigured ones, which every organization has.
    Column("organization_id", Text, ForeignKey("organizations.id")),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    # One of: preconfigured, custom, imported.
    Column("kind", Text, nullable=False),
    # The mapper that made an imported role.
    Column("mapper", Text),
    Column("description", Text, nullable=False),
    Index("uq_roles_organization_name", "organization_id", "name_key", unique=True),
    Index(
        "uq_roles_preconfigured_name",
        "name_key",
        unique=True,
        sqlite_where=text("organization_id IS NULL"),
        postgresql_where=text("organization_id IS NULL"),
    ),
)

groups = Table(
    "groups",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("organization_id", Text, nullable=False),
    # Not unique: two organizational units may each have a group of one name.
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    # One of: custom, imported.
    Column("kind", Text, nullable=False),
    # The mapper that made an imported group, and what the directory knows it by: a group that comes
    # back is the one that went.
    Column("mapper", Text),
    Column("external_id", Text),
    Column("description", Text, nullable=False),
    # JSON: what the mapper takes of the directory's group.
    Column("attributes", Text, nullable=False),
    Index(None, "organization_id", "name_key"),
    Index(None, "organization_id", "mapper", "external_id"),
)

# Which group is a child of which, and who says so: "manual", or a mapper.
group_parents = Table(
    "group_parents",
    metadata,
    Column("parent_id", BigInteger, nullable=False),
    Column("group_id", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    PrimaryKeyConstraint("parent_id", "group_id", "source"),
    Index(None, "group_id"),
    sqlite_with_rowid=False,
)

# The closure of that: each group above a group, at its least distance; a group itself at zero.
group_ancestors = Table(
    "group_ancestors",
    metadata,
    Column("group_id", BigInteger, nullable=False),
    Column("ancestor_id", BigInteger, nullable=False),
    Column("depth", Integer, nullable=False),
    Column("organization_id", Text, nullable=False),
    PrimaryKeyConstraint("group_id", "ancestor_id"),
    Index(None, "ancestor_id"),
    Index(None, "organization_id"),
    sqlite_with_rowid=False,
)

containers = Table(
    "containers",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("mapper", Text, nullable=False),
    Column("container_key", LargeBinary, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("dn", Text, nullable=False),
    Column("name", Text, nullable=False),
    # Zero where it stands for no role: a group, or a name that the mapper passes over.
    Column("role_id", BigInteger, nullable=False),
    Column("digest", BigInteger),
    Column("run_id", BigInteger),
    # Null where it stands for no group.
    Column("group_id", BigInteger),
    # By which member attributes of other containers name this one; null before the first sync of
    # a program that looks at it.
    Column("dn_key", LargeBinary),
    # It lies outside of the mapper's base and only hands its members on.
    Column("outside", Boolean),
    PrimaryKeyConstraint("organization_id", "mapper", "container_key"),
    Index(None, "role_id"),
    Index(None, "group_id"),
    Index(None, "dn_key"),
)

# Of mappers that expand nested membership: whoever is in a container is in these as well.
container_ancestors = Table(
    "container_ancestors",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("mapper", Text, nullable=False),
    Column("container_key", LargeBinary, nullable=False),
    Column("ancestor_key", LargeBinary, nullable=False),
    PrimaryKeyConstraint("organization_id", "mapper", "container_key", "ancestor_key"),
    sqlite_with_rowid=False,
)

membership_refs = Table(
    "membership_refs",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("mapper", Text, nullable=False),
    Column("container_key", LargeBinary, nullable=False),
    # "dn" or "uid:<attribute>": the container names the member; "of": the person names it.
    Column("kind", Text, nullable=False),
    Column("member_key", LargeBinary, nullable=False),
    # What the directory says, for people to read.
    Column("value", Text, nullable=False),
    # Who that is, null while nobody known has this key.
    Column("user_id", BigInteger),
    PrimaryKeyConstraint("organization_id", "mapper", "container_key", "kind", "member_key"),
    Index(None, "member_key"),
    Index(
        "ix_membership_refs_unresolved",
        "organization_id",
        sqlite_where=text("user_id IS NULL"),
        postgresql_where=text("user_id IS NULL"),
    ),
    sqlite_with_rowid=False,
)

grants = Table(
    "grants",
    metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("role_id", BigInteger, nullable=False),
    # "manual", or the name of the mapper that made it; a sync touches only what it owns.
    Column("source", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("run_id", BigInteger),
    # The person's, so that those who are here can be listed in order.
    Column("username_key", Text().with_variant(Text(collation="C"), "postgresql")),
    PrimaryKeyConstraint("user_id", "role_id", "source"),
    Index("ix_grants_in_order", "role_id", "username_key", "user_id", "organization_id"),
    sqlite_with_rowid=False,
)

group_members = Table(
    "group_members",
    metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("group_id", BigInteger, nullable=False),
    # As of a grant: "manual", or a mapper.
    Column("source", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("run_id", BigInteger),
    # The person's, so that those who are here can be listed in order.
    Column("username_key", Text().with_variant(Text(collation="C"), "postgresql")),
    PrimaryKeyConstraint("user_id", "group_id", "source"),
    Index("ix_group_members_in_order", "group_id", "username_key", "user_id", "organization_id"),
    sqlite_with_rowid=False,
)
