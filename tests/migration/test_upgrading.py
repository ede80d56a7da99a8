"""From one revision to the next with data in the store, and both versions' programs beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from alembic import command
from sqlalchemy import (
    Boolean,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    inspect,
    select,
)

from syncd.errors import SchemaMismatch
from syncd.store import migrate
from syncd.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Column, Connection

    from tests.acceptance.preloaded import Commands
    from tests.acceptance.world import Answer

pytest_plugins = ["tests.acceptance.quick"]

STEPS = list(zip(migrate.revisions(), migrate.revisions()[1:], strict=False))
FIRST = 900_001


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A store without a schema, on each database in turn."""
    url = f"sqlite:///{tmp_path}/store.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    database = Database(url)
    yield database
    database.close()


def bring_to(database: Database, revision: str) -> None:
    """Give a store the schema of an older program, with what that program seeds."""
    config = migrate._config()
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        migrate._seed(connection)


# What upgrades alone write.
UPGRADES_OWN = {migrate.VERSIONS, "schema_needs"}
# Filled from other tables by the migration that adds them.
DERIVED = {"username_key"}


def tables(database: Database) -> dict[str, Table]:
    """Return the tables as a program of the store's present revision knows them."""
    metadata = MetaData()
    with database.engine.connect() as connection:
        metadata.reflect(connection)
    return {name: table for name, table in metadata.tables.items() if name not in UPGRADES_OWN}


def value(column: Column[Any], number: int) -> Any:
    """Return something of a column's type."""
    if isinstance(column.type, Boolean):
        return False
    if isinstance(column.type, DateTime):
        return datetime(2026, 1, 2, 3, 4, 5, number % 1_000_000, tzinfo=UTC)
    if isinstance(column.type, LargeBinary):
        return f"bytes {number}".encode()
    if isinstance(column.type, SmallInteger):
        return number % 30_000
    if isinstance(column.type, Integer):
        return number
    return f"text {number}"


def referred_first(name: str) -> tuple[bool, str]:
    """Sort tables: roles refer to their organization, what a run has made to the run."""
    return (name not in {"organizations", "runs"}, name)


def fill(connection: Connection, table: Table, number: int) -> dict[str, Any]:
    """Insert a row that names every column of the table, and return it."""
    row = {column.name: value(column, number) for column in table.columns}
    if connection.dialect.name == "sqlite":
        row = {
            name: each.replace(tzinfo=None) if isinstance(each, datetime) else each
            for name, each in row.items()
        }
    connection.execute(table.insert().values(**row))
    return row


def read(connection: Connection, table: Table, like: dict[str, Any]) -> dict[str, Any]:
    """Return the row that has the same values in these columns of the key."""
    key = [table.c[column.name] == like[column.name] for column in table.primary_key]
    key = key or [table.c[name] == each for name, each in like.items()]
    (row,) = connection.execute(select(table).where(*key)).mappings()
    return dict(row)


@pytest.mark.parametrize(("older", "newer"), STEPS)
def test_an_upgrade_keeps_every_row(store: Database, older: str, newer: str) -> None:
    """A row of each table is the same afterwards, and columns that are new are empty in it."""
    bring_to(store, older)
    before = tables(store)
    names = sorted(before, key=referred_first)
    with store.write() as connection:
        rows = {name: fill(connection, before[name], FIRST) for name in names}
    report = migrate.upgrade(store)
    assert report["applied"][0] == newer
    migrate.require_current(store)
    after = tables(store)
    with store.read() as connection:
        for name, row in rows.items():
            found = read(connection, after[name], row)
            new = found.keys() - row.keys() - DERIVED
            added = {column: found[column] for column in new}
            assert {column: found[column] for column in row} == row, name
            assert set(added.values()) <= {None}, name


@pytest.mark.parametrize(("older", "newer"), STEPS)
def test_an_older_program_goes_on_beside_a_newer_schema(
    store: Database, older: str, newer: str
) -> None:
    """Whoever was running while the store was upgraded writes and reads rows as before."""
    bring_to(store, older)
    known = tables(store)
    assert newer in migrate.upgrade(store)["applied"]
    names = sorted(known, key=referred_first)
    with store.write() as connection:
        for name in names:
            row = fill(connection, known[name], FIRST)
            assert read(connection, known[name], row) == row


@pytest.mark.parametrize(("older", "newer"), STEPS)
def test_a_step_back_leaves_the_older_schema(store: Database, older: str, newer: str) -> None:
    """A downgrade by one revision takes away exactly what the upgrade added."""
    bring_to(store, older)
    with store.engine.connect() as connection:
        wanted = _described(connection)
    bring_to(store, newer)
    config = migrate._config()
    with store.write() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, older)
    with store.engine.connect() as connection:
        assert _described(connection) == wanted
        assert migrate.current(connection) == older


def _described(connection: Connection) -> dict[str, Any]:
    inspector = inspect(connection)
    return {
        name: (
            {column["name"] for column in inspector.get_columns(name)},
            {index["name"] for index in inspector.get_indexes(name)},
        )
        for name in inspector.get_table_names()
    }


@pytest.mark.parametrize("older", migrate.revisions()[:-1])
def test_an_older_schema_is_refused_with_the_next_step(store: Database, older: str) -> None:
    """Work on it waits for the upgrade, which the sentence names."""
    bring_to(store, older)
    newest = migrate.revisions()[-1]
    sentence = rf"has schema {older}, this program needs {newest}; run `syncd db upgrade`"
    with pytest.raises(SchemaMismatch, match=sentence):
        migrate.require_current(store)


def test_the_installed_command_asks_for_the_upgrade_and_does_it(
    store: Database, commands: Commands, tmp_path: Path
) -> None:
    """On a store of the first version every command but the upgrade exits 2 and says so."""
    older, newest = migrate.revisions()[0], migrate.revisions()[-1]
    bring_to(store, older)
    organization = {"organization": {"id": "acme", "name": "Acme Corp"}, "provider": "admin"}
    (tmp_path / "acme.yaml").write_text(yaml.safe_dump(organization))
    url = store.url.render_as_string(hide_password=False)
    config = tmp_path / "syncd.yaml"
    config.write_text(yaml.safe_dump({"store": {"url": url}, "organizations": "acme.yaml"}))

    def syncd(*words: str) -> Answer:
        return commands.run(["--config", str(config), *words], tmp_path, {})

    for words in (("status",), ("db", "prune")):
        refused = syncd(*words)
        assert refused.code == 2
        assert f"has schema {older}, this program needs {newest}" in refused.err
        assert "run `syncd db upgrade`" in refused.err
    upgraded = syncd("db", "upgrade")
    assert (upgraded.code, upgraded.err) == (0, "")
    assert f"{older} -> {newest}" in upgraded.out
    assert syncd("status", "acme").code == 0
