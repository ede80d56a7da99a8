"""What was done, and what the syncs keep about themselves."""

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
    text,
)

from syncd.store.schema.columns import UtcTime, metadata

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
    # create | update | restrictions | grants | memberships | identity | password | delete
    Column("kind", Text, nullable=False),
    # JSON; a create has neither: the row is its own after.
    Column("before", Text),
    Column("after", Text),
    # The transaction that wrote it; null where that was before there was a feed of changes.
    Column("commit_id", BigInteger),
    PrimaryKeyConstraint("organization_id", "user_id", "change_set_id", "kind"),
    Index(None, "organization_id", "commit_id"),
    sqlite_with_rowid=False,
)

# What changed that is not a person: roles, groups, permission sets, address books, tokens, the
# organization. Before and after are the whole object, so that its state at any time is one row.
object_journal = Table(
    "object_journal",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("change_set_id", BigInteger, nullable=False),
    # Within the change set, in order.
    Column("number", Integer, nullable=False),
    # role | group | permission_set | address_book | address_book_entry | token | exclusion |
    # organization
    Column("object", Text, nullable=False),
    # Zero for the organization itself.
    Column("object_id", BigInteger, nullable=False),
    # As it was called then.
    Column("name", Text, nullable=False),
    # create | update | delete
    Column("kind", Text, nullable=False),
    # JSON; null before a creation and after a deletion.
    Column("before", Text),
    Column("after", Text),
    Column("commit_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "change_set_id", "number"),
    Index("ix_object_journal_object", "organization_id", "object", "object_id", "change_set_id"),
    Index(None, "organization_id", "commit_id"),
    sqlite_with_rowid=False,
)

# One row a transaction that changed something, in the order in which they were committed: whoever
# takes a position holds the organization's head until the end of its transaction, so no lower
# position can appear behind a reader's back.
commits = Table(
    "commits",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("commit_id", BigInteger, nullable=False),
    Column("change_set_id", BigInteger, nullable=False),
    Column("at", UtcTime, nullable=False),
    PrimaryKeyConstraint("organization_id", "position"),
    Index(None, "organization_id", "change_set_id"),
    sqlite_with_rowid=False,
)

feed_heads = Table(
    "feed_heads",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
)

# Whom somebody deleted although a directory still has them: syncs pass over them.
exclusions = Table(
    "exclusions",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("why", Text),
    PrimaryKeyConstraint("organization_id", "source", "external_id"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("organization_id", Text, nullable=False),
    # full | changed | user | undo
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
    # Of an undo: the change set that it takes back.
    Column("undoes", BigInteger),
    # Who approved the plan from where it is not applied; a worker does it soon.
    Column("approval_asked_by", Text),
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

# One row: the oldest revision whose programs may work on the schema as it is by now.
schema_needs = Table(
    "schema_needs",
    metadata,
    Column("oldest_program", Text, primary_key=True),
)
