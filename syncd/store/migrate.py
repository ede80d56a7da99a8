"""Brings a store's schema up to date, and refuses one that this program cannot work on.

A migration says by ``works_with_previous = True`` that programs of the revision before go on beside
it, because it only adds. What follows for older programs is written into the store, where they read
it: they do not know the migration.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, inspect, select, text

from syncd.errors import SchemaMismatch, StoreError
from syncd.store import privileges, schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config
    from sqlalchemy import Connection

    from syncd.store.database import Database
    from syncd.store.privileges import Account

HERE = Path(__file__).parent / "migrations"
VERSIONS = "schema_versions"
# Whose views ask with the rights of whoever asks.
POSTGRESQL_NEEDED = (15,)
# Any number that no other program is likely to lock.
LOCK = 0x73796E6364


def upgrade(database: Database, application: Account | None = None) -> dict[str, Any]:
    """Apply what is missing, under a lock; several processes may try at once.

    Where ``application`` is another account than this one, it is given its rights to the tables.
    A schema of a newer program that this one may work on stays as it is.

    Raises:
        SchemaMismatch: A newer program made the schema, and this one cannot work on it.

    """
    from alembic import command  # noqa: PLC0415 - 0.2 s that no other command should pay

    owner = privileges.account(database)
    with database.write() as connection:
        if database.dialect == "postgresql":
            version = connection.dialect.server_version_info or ()
            if version < POSTGRESQL_NEEDED:
                message = f"PostgreSQL {version[0]} is too old; 15 or later is needed"
                raise StoreError(message)
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        before = current(connection)
        known = revisions()
        if before is not None and before not in known:
            if not _fits(connection, known):
                raise SchemaMismatch(_newer(database, before))
            return {"from": before, "to": before, "applied": []}
        applied = known[known.index(before) + 1 :] if before else known
        if applied:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.execute(delete(schema.schema_needs))
            connection.execute(insert(schema.schema_needs).values(oldest_program=oldest_program()))
        if before is None:
            _seed(connection)
        if application is not None and owner is not None and application.role != owner.role:
            privileges.grant(connection, owner, application)
    if database.stage_path is not None:
        # Locked from the beginning: whoever has looked and then finds the file changed would fail.
        with database.write() as connection:
            schema.stage_metadata.create_all(connection)
    return {"from": before, "to": known[-1], "applied": applied}


def require_current(database: Database) -> str | None:
    """Refuse to work on a schema that this program needs otherwise.

    Returns:
        What to tell whoever runs it, if a newer program made the schema and this one may go on.

    Raises:
        SchemaMismatch: The schema is older, or newer and not for this program.

    """
    known = revisions()
    with database.read() as connection:
        found = current(connection)
        if found == known[-1]:
            return None
        if found is not None and found not in known and _fits(connection, known):
            return newer(database, found)
    if found is None:
        message = f"the store {database.name} is empty; run `syncd db upgrade` once"
    elif found in known:
        message = (
            f"the store {database.name} has schema {found}, this program needs {known[-1]}; "
            "run `syncd db upgrade`"
        )
    else:
        message = _newer(database, found)
    raise SchemaMismatch(message)


def newer(database: Database, found: str) -> str | None:
    """Say that a schema is a newer program's, on which this one works; None if it is not newer."""
    known = revisions()
    if found in known:
        return None
    return (
        f"the store {database.name} has schema {found} of a newer program; this one, of schema "
        f"{known[-1]}, works with it: upgrade this program too"
    )


def oldest_program() -> str:
    """Return the oldest revision whose programs may work on the newest schema."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - the same

    scripts, oldest = ScriptDirectory.from_config(_config()), ""
    for oldest in reversed(revisions()):
        if not getattr(scripts.get_revision(oldest).module, "works_with_previous", False):
            break
    return oldest


def current(connection: Connection) -> str | None:
    """Return the revision of the store's schema; None for an empty store."""
    if not inspect(connection).has_table(VERSIONS):
        return None
    found: str | None = connection.exec_driver_sql(
        f"SELECT version_num FROM {VERSIONS}"  # noqa: S608 - a constant
    ).scalar_one_or_none()
    return found


def revisions() -> list[str]:
    """Return the revisions that this program knows, oldest first: their files' leading numbers."""
    return sorted(path.stem.split("_")[0] for path in (HERE / "versions").glob("[0-9]*.py"))


def _fits(connection: Connection, known: list[str]) -> bool:
    """Tell whether a program that knows these revisions may work on a schema it does not know."""
    needs = schema.schema_needs
    if not inspect(connection).has_table(needs.name):
        return False
    return connection.scalar(select(needs.c.oldest_program)) in known


def _newer(database: Database, found: str) -> str:
    return (
        f"the store {database.name} has schema {found}, which this program does not know; "
        "it was upgraded by a newer one: upgrade this program too"
    )


def _seed(connection: Connection) -> None:
    """Put in what every store has from its first day."""
    roles = schema.roles
    there = set(connection.scalars(select(roles.c.id)))
    rows = [
        {
            "id": role_id,
            "organization_id": None,
            "name": name,
            "name_key": name.casefold(),
            "kind": "preconfigured",
            "mapper": None,
            "description": description,
        }
        for role_id, name, description in schema.PRECONFIGURED_ROLES
        if role_id not in there
    ]
    if rows:
        with _unbound(connection, roles.name):
            connection.execute(insert(roles), rows)
    starts = {"users": 1, "roles": schema.FIRST_FREE_ROLE_ID, "runs": 1, "change_sets": 1}
    there_names = set(connection.scalars(select(schema.allocators.c.name)))
    for name, first in starts.items():
        if name not in there_names:
            connection.execute(insert(schema.allocators).values(name=name, next=first))


@contextmanager
def _unbound(connection: Connection, table: str) -> Iterator[None]:
    """Let the table's owner write what belongs to no organization, which its policies forbid."""
    forced = (
        connection.dialect.name == "postgresql"
        and connection.execute(
            text("SELECT relforcerowsecurity FROM pg_class WHERE oid = CAST(:name AS regclass)"),
            {"name": table},
        ).scalar_one()
    )
    if forced:
        connection.exec_driver_sql(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    yield
    if forced:
        connection.exec_driver_sql(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def _config() -> Config:
    from alembic.config import Config as AlembicConfig  # noqa: PLC0415 - the same

    config = AlembicConfig()
    config.set_main_option("script_location", str(HERE))
    config.set_main_option("path_separator", "os")
    return config
