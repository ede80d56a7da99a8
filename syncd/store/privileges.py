"""What the daemon's account may do on PostgreSQL where another one owns the schema.

The owner brings the schema up to date and grants; the application's account reads and writes rows
and nothing else, so that a fault in the program cannot take down the wall between organizations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import inspect, text

from syncd.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from syncd.store.database import Database

VERSIONS = "schema_versions"
# Whoever does not own the schema only reads what it is.
READ_ONLY = (VERSIONS, "schema_needs")
ROWS = "SELECT, INSERT, UPDATE, DELETE"


class Account(NamedTuple):
    """Who a connection is to PostgreSQL, and where."""

    role: str
    database: str
    schema: str
    superuser: bool
    bypasses: bool


def account(database: Database) -> Account | None:
    """Return whom a store is opened as; None where the database knows no accounts."""
    if database.dialect != "postgresql":
        return None
    query = text(
        "SELECT current_user, current_database(), coalesce(current_schema(), ''),"
        " rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
    )
    with database.read() as connection:
        return Account(*connection.execute(query).one())


def grant(connection: Connection, owner: Account, application: Account) -> None:
    """Give the application's account its rights to everything that the store has by now.

    Raises:
        StoreError: The two do not meet in one database.

    """
    if (owner.database, owner.schema) != (application.database, application.schema):
        raise StoreError(
            f"store.url opens {application.database} ({application.schema or 'no schema'}) and "
            f"store.migration_url {owner.database} ({owner.schema or 'no schema'}); let both name "
            "one database and schema"
        )
    quote = connection.dialect.identifier_preparer.quote
    role, schema = quote(application.role), quote(owner.schema)
    inspector = inspect(connection)
    tables = [quote(name) for name in inspector.get_table_names() if name not in READ_ONLY]
    views = [quote(name) for name in inspector.get_view_names() if name.startswith("syncd_")]
    for statement in (
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"REVOKE ALL ON {', '.join([*tables, *READ_ONLY])} FROM {role}",
        f"GRANT {ROWS} ON {', '.join(tables)} TO {role}",
        f"GRANT SELECT ON {', '.join([*READ_ONLY, *views])} TO {role}",
        f"GRANT EXECUTE ON FUNCTION syncd_analyze(text[]) TO {role}",
    ):
        connection.exec_driver_sql(statement.replace("%", "%%"))


def warnings(database: Database, *, apart: bool) -> list[str]:
    """Return why the wall between organizations does not hold for this account, if it does not.

    ``apart``: the schema is meant to belong to another one.
    """
    found = account(database)
    if found is None:
        return []
    if found.superuser or found.bypasses:
        what = "is a superuser" if found.superuser else "has BYPASSRLS"
        message = (
            f"the role {found.role} of store.url {what}: row-level security, the second wall "
            "between organizations, is off for it; let store.url name a role with NOSUPERUSER "
            "and NOBYPASSRLS"
        )
        return [message]
    query = text(
        "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = :name AND relkind = 'r'"
        " AND relnamespace = current_schema()::regnamespace"
        " AND pg_has_role(current_user, relowner, 'MEMBER')"
    )
    with database.read() as connection:
        owner = connection.scalar(query, {"name": VERSIONS})
    if not apart or owner is None:
        return []
    message = (
        f"the role {found.role} of store.url may act as {owner}, which owns the tables and can "
        "take the wall between organizations down; let store.url name a role that may not"
    )
    return [message]
