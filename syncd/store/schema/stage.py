"""What the present run has read; none of it outlives the run's plan.

On SQLite it is an attached file, so that bulk staging holds no lock that a sign-in waits for; on
PostgreSQL unlogged tables.
"""

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
)

from syncd.store.schema.columns import UtcTime, stage_metadata

stage_users = Table(
    "stage_users",
    stage_metadata,
    Column("run_id", BigInteger, nullable=False),
    # The order of arrival: a listing may show somebody twice.
    Column("number", BigInteger, nullable=False),
    # Handed out at once for a new person, so that everything staged can point at it.
    Column("user_id", BigInteger, nullable=False),
    Column("known", Boolean, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("dn", Text, nullable=False),
    Column("dn_key", LargeBinary, nullable=False),
    Column("username", Text, nullable=False),
    Column("username_key", Text, nullable=False),
    Column("email", Text),
    Column("email_key", Text),
    Column("email_verified", Boolean, nullable=False),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("attributes", Text, nullable=False),
    # What the directory says of the account: "disabled" or empty, and times. Null is no statement.
    Column("disabled", Text),
    Column("locked_until", UtcTime),
    Column("expires_at", UtcTime),
    Column("starts_at", UtcTime),
    # Bits of syncd.store.accounts: reasons that do not hold any more if the entry has changed.
    Column("absent", Integer),
    Column("source_created_at", Text),
    Column("source_modified_at", Text),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("digest", BigInteger),
    PrimaryKeyConstraint("run_id", "number"),
    Index("ix_stage_users_user", "run_id", "user_id"),
)

stage_keys = Table(
    "stage_keys",
    stage_metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("user_id", BigInteger, nullable=False),
)

stage_refs = Table(
    "stage_refs",
    stage_metadata,
    Column("run_id", BigInteger, nullable=False),
    # The number of the staged container that names the member; 0 where the person names it.
    Column("number", BigInteger, nullable=False),
    Column("mapper", Text, nullable=False),
    Column("container_key", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False),
    Column("member_key", LargeBinary, nullable=False),
    Column("value", Text, nullable=False),
    # Known at once only where the person himself names the container.
    Column("user_id", BigInteger),
    Index("ix_stage_refs_number", "run_id", "number"),
)

stage_containers = Table(
    "stage_containers",
    stage_metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("mapper", Text, nullable=False),
    Column("container_key", LargeBinary, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("dn", Text, nullable=False),
    Column("name", Text, nullable=False),
    # What it stands for: a role by its name's key; a group is the container's own. The columns'
    # names in the database are those that the first programs know.
    Column("role_name", Text, nullable=False, key="target"),
    Column("role_key", Text, nullable=False, key="target_key"),
    # A role's or a group's id; zero for neither, null before the plan looked.
    Column("role_id", BigInteger, key="target_id"),
    Column("digest", BigInteger),
    Column("whole", Boolean, nullable=False),
    Column("dn_key", LargeBinary),
    # role | group | outside
    Column("kind", Text),
    Column("attributes", Text),
    PrimaryKeyConstraint("run_id", "number"),
    Index("ix_stage_containers_key", "run_id", "mapper", "container_key"),
)

# The closure of nested containers as this run has it: those that hand members on to others.
stage_ancestors = Table(
    "stage_ancestors",
    stage_metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("mapper", Text, nullable=False),
    Column("container_key", LargeBinary, nullable=False),
    Column("ancestor_key", LargeBinary, nullable=False),
    # What the ancestor stands for.
    Column("target_id", BigInteger, nullable=False),
    Index("ix_stage_ancestors_container", "run_id", "mapper", "container_key"),
    Index("ix_stage_ancestors_target", "run_id", "target_id"),
)

# Which containers of a run are in which: those of mappers with nested members or child groups.
stage_edges = Table(
    "stage_edges",
    stage_metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("mapper", Text, nullable=False),
    Column("parent_id", BigInteger, nullable=False),
    Column("group_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("run_id", "mapper", "parent_id", "group_id"),
)

stage_seen = Table(
    "stage_seen",
    stage_metadata,
    Column("run_id", BigInteger, nullable=False),
    # People read again and found unchanged, with their new digest.
    Column("user_id", BigInteger, nullable=False),
    Column("digest", BigInteger, nullable=False),
    Index("ix_stage_seen_user", "run_id", "user_id"),
)

stage_absent = Table(
    "stage_absent",
    stage_metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("user_id", BigInteger),
    Column("mapper", Text),
    Column("container_key", LargeBinary),
    Column("cause", Text, nullable=False),
    Index("ix_stage_absent_user", "run_id", "user_id"),
)

# Roles and groups that a run bears on: of containers that changed, as they were and as they are, or
# are gone.
stage_targets = Table(
    "stage_roles",
    stage_metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("role_id", BigInteger, nullable=False, key="target_id"),
    PrimaryKeyConstraint("run_id", "target_id"),
)

stage_desired = Table(
    "stage_desired",
    stage_metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("role_id", BigInteger, nullable=False, key="target_id"),
    Column("mapper", Text, nullable=False),
    Index("ix_stage_desired_user", "run_id", "user_id"),
)

# Marks on people of this run: "protected" (an unreadable entry may be theirs), "mover" (their name
# changes hands, so they go in one transaction) and "withheld" (they keep a role for now that the
# directory does not give them, so the next run looks at them again).
stage_marks = Table(
    "stage_marks",
    stage_metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("mark", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "user_id", "mark"),
)
