"""The migrations, the schema and programs of other versions."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from sqlalchemy import MetaData, Table, inspect, text

from syncd.errors import SchemaMismatch
from syncd.store import migrate, schema
from syncd.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Inspector

UPGRADE = """
import sys
from syncd.store.database import Database
from syncd.store.migrate import upgrade
sys.stdin.readline()
database = Database(sys.argv[1])
print(len(upgrade(database)["applied"]))
database.close()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store without a schema, on each database in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    """That store, opened."""
    database = Database(empty_url)
    yield database
    database.close()


@pytest.fixture
def upgraded(store_url: str) -> Iterator[Database]:
    """A store with the current schema."""
    database = Database(store_url)
    yield database
    database.close()


def tables(database: Database) -> dict[str, Table]:
    """Return the tables that the schema describes for this database's main part."""
    found = dict(schema.metadata.tables)
    if database.dialect == "postgresql":
        found |= {table.name: table for table in schema.stage_metadata.tables.values()}
    return found


def described(inspector: Inspector, name: str, where: str | None = None) -> dict[str, Any]:
    """Return a table as the database describes it, in an order of its own."""
    dialect = inspector.dialect
    options = {
        key: value
        for key, value in inspector.get_table_options(name, where).items()
        if key == "sqlite_with_rowid"
    }
    return {
        "columns": {
            column["name"]: (
                column["type"].compile(dialect),
                column["nullable"],
                column.get("default"),
            )
            for column in inspector.get_columns(name, where)
        },
        "primary key": inspector.get_pk_constraint(name, where)["constrained_columns"],
        "indexes": sorted(
            (
                str(index["name"]),
                tuple(index["column_names"]),
                bool(index["unique"]),
                str(index.get("dialect_options", {}).get(f"{dialect.name}_where", "")),
            )
            for index in inspector.get_indexes(name, where)
        ),
        "foreign keys": sorted(
            (key["name"] or "", tuple(key["constrained_columns"]), key["referred_table"])
            for key in inspector.get_foreign_keys(name, where)
        ),
        "options": options,
    }


def test_the_migrations_make_what_the_schema_describes(upgraded: Database) -> None:
    """Tables, columns, types, defaults, keys and indexes, partial ones too, are the same."""
    described_tables = tables(upgraded)
    with upgraded.engine.connect() as connection:
        inspector = inspect(connection)
        assert {*inspector.get_table_names()} == {*described_tables, migrate.VERSIONS}
        made = {name: described(inspector, name) for name in described_tables}
    with upgraded.write() as connection:
        _make_anew(connection, upgraded)
        inspector = inspect(connection)
        wanted = {name: described(inspector, name) for name in described_tables}
        assert made == wanted


def _make_anew(connection: Connection, database: Database) -> None:
    """Replace the migrated tables by those of the schema's own metadata."""
    for name in inspect(connection).get_view_names():
        connection.execute(text(f"DROP VIEW {name}"))
    # Policies of some tables ask the runs.
    cascade = " CASCADE" if database.dialect == "postgresql" else ""
    connection.execute(text("DROP TABLE roles"))
    for name in sorted(tables(database).keys() - {"roles"}):
        connection.execute(text(f'DROP TABLE "{name}"{cascade}'))
    schema.metadata.create_all(connection)
    if database.dialect == "postgresql":
        schema.stage_metadata.create_all(connection)


def test_the_stage_costs_postgresql_no_log(upgraded: Database) -> None:
    """Stage tables are unlogged there and no others are; SQLite keeps them in their own file."""
    if upgraded.dialect == "sqlite":
        upgraded.ensure_stage()
        with upgraded.engine.connect() as connection:
            names = set(inspect(connection).get_table_names("stage"))
        assert names == {table.name for table in schema.stage_metadata.tables.values()}
        return
    with upgraded.engine.connect() as connection:
        unlogged = connection.scalars(
            text("SELECT relname FROM pg_class WHERE relpersistence = 'u' AND relkind = 'r'")
        )
        assert set(unlogged) == {table.name for table in schema.stage_metadata.tables.values()}


def test_bulk_tables_have_no_foreign_keys(upgraded: Database) -> None:
    """The road is their only writer, and checking every row twice is dear."""
    metadata = MetaData()
    with upgraded.engine.connect() as connection:
        metadata.reflect(connection)
    assert {name for name, table in metadata.tables.items() if table.foreign_keys} == {"roles"}


def test_upgrading_twice_is_upgrading_once(empty: Database) -> None:
    """The second time there is nothing to apply, and what was seeded is not seeded again."""
    first = migrate.upgrade(empty)
    assert first == {"from": None, "to": migrate.revisions()[-1], "applied": migrate.revisions()}
    second = migrate.upgrade(empty)
    assert second == {"from": first["to"], "to": first["to"], "applied": []}
    migrate.require_current(empty)
    with empty.read() as connection:
        names = connection.scalars(text("SELECT name FROM roles ORDER BY id")).all()
        allocators = connection.scalars(text("SELECT name FROM allocators ORDER BY name")).all()
    assert names == [name for _, name, _ in schema.PRECONFIGURED_ROLES]
    assert allocators == [
        "address_books",
        "api_tokens",
        "change_sets",
        "commits",
        "permission_sets",
        "roles",
        "runs",
        "sessions",
        "users",
    ]


def test_three_programs_may_upgrade_at_once(empty_url: str) -> None:
    """One of them applies the migrations, the others find nothing to do."""
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", UPGRADE, empty_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("go\n")
        program.stdin.flush()
    ends = [(*program.communicate(), program.returncode) for program in programs]
    assert [(err, code) for _, err, code in ends] == [("", 0)] * 3
    assert sorted(int(out) for out, _, _ in ends) == [0, 0, len(migrate.revisions())]


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        (None, r"is empty; run `syncd db upgrade` once"),
        ("0000", r"has schema 0000, .* newer one: upgrade this program too"),
        ("9999", r"has schema 9999, .* newer one: upgrade this program too"),
    ],
)
def test_an_unknown_schema_is_refused_with_the_next_step(
    empty: Database, version: str | None, sentence: str
) -> None:
    """Work is refused on it, and so is an upgrade of what this program does not know."""
    if version is not None:
        with empty.write() as connection:
            connection.execute(text(f"CREATE TABLE {migrate.VERSIONS} (version_num TEXT)"))
            connection.execute(text(f"INSERT INTO {migrate.VERSIONS} VALUES ('{version}')"))
    with pytest.raises(SchemaMismatch, match=sentence) as caught:
        migrate.require_current(empty)
    assert caught.value.exit_code == 2
    if version is not None:
        with pytest.raises(SchemaMismatch, match=sentence):
            migrate.upgrade(empty)


def test_an_older_schema_is_refused_until_it_is_upgraded(
    upgraded: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that knows a later revision names both and asks for the upgrade."""
    known = migrate.revisions()
    monkeypatch.setattr(migrate, "revisions", lambda: [*known, "9000"])
    with pytest.raises(SchemaMismatch, match=rf"has schema {known[-1]}, this program needs 9000"):
        migrate.require_current(upgraded)


def test_a_downgrade_drops_everything(upgraded: Database) -> None:
    """Nothing but the book of versions is left, and an upgrade makes all of it again."""
    config = migrate._config()
    with upgraded.write() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with upgraded.engine.connect() as connection:
        assert inspect(connection).get_table_names() == [migrate.VERSIONS]
    assert migrate.upgrade(upgraded)["applied"] == migrate.revisions()


def test_no_password_is_in_a_sentence_about_a_store() -> None:
    """The store is named by its URL without the password."""
    database = Database("postgresql+psycopg://syncd:planted-secret@localhost:1/x")
    assert "planted-secret" not in database.name
    assert "***" in database.name
