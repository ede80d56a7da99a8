"""The tables of the management store, as SQLAlchemy Core knows them.

Rows carry their organization. Ids are integers handed out in blocks (see ``allocate``), so that a
plan can name people who do not exist yet. Comparison keys (username, e-mail, DN) are computed in
Python and are the same on every database. The bulk tables have no foreign keys: the road is their
only writer, checking every row twice over cost a third of a first sync, and a test looks for
orphans. The stage stands apart: on SQLite in an attached file, so
that bulk staging holds no lock that a sign-in waits for; on PostgreSQL in unlogged tables.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

STAGE = "stage"

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time: ``timestamptz`` on PostgreSQL, text on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; SQLite gets the UTC time without its offset."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = "a time without time zone cannot be stored"
            raise ValueError(msg)
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the time its zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


# SQLite numbers a lone INTEGER primary key by itself; a BIGINT it does not.
Id = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(naming_convention=NAMES)
stage_metadata = MetaData(naming_convention=NAMES, schema=STAGE)

# --- who belongs ------------------------------------------------------------------------------

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
    Column("username_key", Text, nullable=False),
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
    Index(None, "organization_id", "reason"),
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

group_members = Table(
    "group_members",
    metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("group_id", BigInteger, nullable=False),
    # As of a grant: "manual", or a mapper.
    Column("source", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("run_id", BigInteger),
    PrimaryKeyConstraint("user_id", "group_id", "source"),
    Index(None, "group_id"),
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
    PrimaryKeyConstraint("user_id", "role_id", "source"),
    Index(None, "role_id"),
    sqlite_with_rowid=False,
)

# --- what was done ----------------------------------------------------------------------------

change_sets = Table(
    "change_sets",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("organization_id", Text, nullable=False),
    Column("run_id", BigInteger),
    # "sync", "approval", or who it was.
    Column("actor", Text, nullable=False),
    Column("why", Text),
    Column("at", UtcTime, nullable=False),
    Index(None, "organization_id", "at"),
)

journal = Table(
    "journal",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("change_set_id", BigInteger, nullable=False),
    # create | update | restrictions | grants | delete
    Column("kind", Text, nullable=False),
    # JSON; a create has neither: the row is its own after.
    Column("before", Text),
    Column("after", Text),
    PrimaryKeyConstraint("organization_id", "user_id", "change_set_id", "kind"),
    sqlite_with_rowid=False,
)

# --- the sync's own books ---------------------------------------------------------------------

runs = Table(
    "runs",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("organization_id", Text, nullable=False),
    # full | changed | user
    Column("mode", Text, nullable=False),
    # running | applying | planned | done | blocked | failed | interrupted | superseded | expired
    Column("status", Text, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    # The last plan row whose batch was committed.
    Column("applied_number", BigInteger, nullable=False, server_default=text("0")),
    # How many rows at the plan's beginning belong into one transaction: names change hands.
    Column("together", BigInteger, nullable=False, server_default=text("0")),
    # Whether the books (containers, watermark) may be written when the plan is through.
    Column("settles", Boolean, nullable=False, server_default=text("true")),
    Column("dry", Boolean, nullable=False, server_default=text("false")),
    Column("change_set_id", BigInteger),
    Column("reasons", Text),
    Column("report", Text),
    # Of a plan that waits: how far the directory had been read for it, stored when it is approved;
    # what it would change, to tell a newer plan that would change the same; how long it waits.
    Column("watermark", Text),
    Column("plan_digest", LargeBinary),
    Column("expires_at", UtcTime),
    Index(None, "organization_id", "id"),
    Index("ix_runs_status", "organization_id", "status"),
)

plan_people = Table(
    "plan_people",
    metadata,
    Column("run_id", BigInteger, nullable=False),
    # The order of application; everything about one person has one number.
    Column("number", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("external_id", Text),
    # Bits of syncd.store.kinds.
    Column("kinds", Integer, nullable=False),
    # The row's version that the change was planned on; 0 for a new person.
    Column("version", Integer, nullable=False),
    Column("cause", Text),
    # planned | conflict | stale: a row that no longer held is left out and listed.
    Column("state", Text, nullable=False, server_default=text("'planned'")),
    Column("username", Text),
    Column("username_key", Text),
    Column("email", Text),
    Column("email_key", Text),
    Column("email_verified", Boolean),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("attributes", Text),
    Column("dn", Text),
    Column("dn_key", LargeBinary),
    # What the account's state shall be: "disabled" or empty, and times. Null where nobody asked.
    Column("disabled", Text),
    Column("locked_until", UtcTime),
    Column("expires_at", UtcTime),
    Column("starts_at", UtcTime),
    Column("fingerprint", LargeBinary),
    Column("digest", BigInteger),
    Column("source_created_at", Text),
    Column("source_modified_at", Text),
    Column("old_username", Text),
    Column("old_email", Text),
    Column("old_email_verified", Boolean),
    Column("old_first_name", Text),
    Column("old_last_name", Text),
    Column("old_attributes", Text),
    Column("old_dn", Text),
    PrimaryKeyConstraint("run_id", "number"),
    Index("ix_plan_people_user", "run_id", "user_id"),
    sqlite_with_rowid=False,
)

plan_keys = Table(
    "plan_keys",
    metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    PrimaryKeyConstraint("run_id", "user_id", "kind", "key"),
    sqlite_with_rowid=False,
)

# What people themselves say of their containers.
plan_refs = Table(
    "plan_refs",
    metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("mapper", Text, nullable=False),
    Column("container_key", LargeBinary, nullable=False),
    Column("member_key", LargeBinary, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "user_id", "mapper", "container_key"),
    sqlite_with_rowid=False,
)

plan_roles = Table(
    "plan_roles",
    metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("role_id", BigInteger, nullable=False),
    # create | delete
    Column("action", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("mapper", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "role_id"),
)

plan_grants = Table(
    "plan_grants",
    metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("role_id", BigInteger, nullable=False),
    Column("mapper", Text, nullable=False),
    # True grants, False revokes.
    Column("granted", Boolean, nullable=False),
    PrimaryKeyConstraint("run_id", "user_id", "role_id", "mapper"),
    sqlite_with_rowid=False,
)

plan_groups = Table(
    "plan_groups",
    metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("group_id", BigInteger, nullable=False),
    # create | update | delete
    Column("action", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("mapper", Text, nullable=False),
    Column("external_id", Text),
    Column("description", Text, nullable=False),
    Column("attributes", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "group_id"),
)

plan_members = Table(
    "plan_members",
    metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("group_id", BigInteger, nullable=False),
    Column("mapper", Text, nullable=False),
    # True makes a member, False takes one out.
    Column("granted", Boolean, nullable=False),
    PrimaryKeyConstraint("run_id", "user_id", "group_id", "mapper"),
    sqlite_with_rowid=False,
)

listings = Table(
    "listings",
    metadata,
    Column("run_id", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("result_code", Integer),
    Column("pages", Integer, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("references", Integer, nullable=False),
    Column("because", Text),
    PrimaryKeyConstraint("run_id", "source"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    # The entry's external id, or its DN where the id cannot be read.
    Column("entry", Text, nullable=False),
    Column("dn", Text, nullable=False),
    Column("external_id", Text),
    Column("reason", Text, nullable=False),
    Column("attribute", Text),
    Column("detail", Text, nullable=False),
    Column("first_seen", UtcTime, nullable=False),
    Column("last_seen", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("username_key", Text),
    Column("run_id", BigInteger, nullable=False),
    # When a run of changed entries reads it again; null is at once.
    Column("next_retry", UtcTime),
    PrimaryKeyConstraint("organization_id", "source", "entry"),
)

watermarks = Table(
    "watermarks",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", Text, nullable=False),
    # The server, base, filter and mapper configuration that the value belongs to.
    Column("ground", Text, nullable=False),
    Column("run_id", BigInteger, nullable=False),
    Column("at", UtcTime, nullable=False),
    PrimaryKeyConstraint("organization_id", "source"),
)

leases = Table(
    "leases",
    metadata,
    Column("organization_id", Text, primary_key=True),
    # Grows with every holder; a batch commits only under the token it began with.
    Column("token", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("process_id", Integer),
    Column("boot_id", Text),
    Column("run_id", BigInteger),
    Column("acquired_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    # Makes the token a key: PostgreSQL's FOR KEY SHARE then holds a takeover off, not a heartbeat.
    Index("uq_leases_token", "organization_id", "token", unique=True),
)

schedules = Table(
    "schedules",
    metadata,
    Column("organization_id", Text, nullable=False),
    # full | changed
    Column("mode", Text, nullable=False),
    # Null while nobody schedules it: then the row only tells of syncs that were started by hand.
    Column("next_due", UtcTime),
    # Attempts in a row that did not succeed.
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("last_attempt_at", UtcTime),
    Column("last_success_at", UtcTime),
    # Which replica runs it now, and until when it is not due again should that one die.
    Column("claimed_by", Text),
    Column("claimed_until", UtcTime),
    PrimaryKeyConstraint("organization_id", "mode"),
)

allocators = Table(
    "allocators",
    metadata,
    Column("name", Text, primary_key=True),
    Column("next", BigInteger, nullable=False),
)

# --- the stage --------------------------------------------------------------------------------

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

PRECONFIGURED_ROLES = (
    (1, "Owner", "Views and edits every section and may delete the organization."),
    (2, "Admin", "Views and edits what the organization needs day to day."),
    (3, "Support agent", "Views users, groups, address books and clients."),
    (4, "Data protection officer", "Views nearly everything, edits nothing."),
    (5, "Accountant", "Views the organization, its license and invoices."),
    (6, "User", "Everyone's default role."),
)
# Ids below this are the product's own.
FIRST_FREE_ROLE_ID = 100
