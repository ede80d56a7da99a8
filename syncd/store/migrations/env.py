"""Alembic's entry: runs the migrations on the connection that ``syncd.store.migrate`` hands in."""

from __future__ import annotations

from alembic import context

from syncd.store import schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[schema.metadata, schema.stage_metadata],
    version_table="schema_versions",
)
with context.begin_transaction():
    context.run_migrations()
