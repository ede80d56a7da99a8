"""Alembic's migrations of the management store."""
