"""Each migration says whether the program before it goes on working, and it is so."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text

from syncd.store import migrate
from syncd.store.database import Database
from tests.migration.adding import described, taken_away

if TYPE_CHECKING:
    from pathlib import Path

FIRST = "0007"
BOUND = [each for each in migrate.revisions() if each >= FIRST]
BEFORE = dict(zip(migrate.revisions()[1:], migrate.revisions(), strict=False))
# Each is something that a program of before may stumble over.
CHANGES = {
    "ALTER TABLE exclusions RENAME TO excluded": "table exclusions",
    "ALTER TABLE users DROP COLUMN version": "column users.version",
    "CREATE UNIQUE INDEX uq_users_email ON users (email)": "index uq_users_email",
    "DROP INDEX ix_sessions_live": "index ix_sessions_live",
    "DROP VIEW syncd_v1_roles": "view syncd_v1_roles",
}
ON_POSTGRESQL = {
    "ALTER TABLE users ADD COLUMN weight integer NOT NULL": "column users.weight",
    "ALTER TABLE users ALTER COLUMN last_sign_in SET NOT NULL": "column users.last_sign_in",
    "ALTER TABLE runs ALTER COLUMN mode TYPE varchar(20)": "column runs.mode",
    "ALTER TABLE users ADD CHECK (email <> '')": "rules of users",
    "DROP POLICY organization ON grants": "rules of grants",
    "ALTER TABLE grants DISABLE ROW LEVEL SECURITY": "rules of grants",
    "CREATE POLICY more ON grants AS RESTRICTIVE USING (user_id > 0)": "rules of grants",
}
ON_SQLITE = {
    "CREATE TRIGGER t AFTER INSERT ON users BEGIN DELETE FROM runs; END": "rules of users",
}
HARMLESS = (
    "CREATE TABLE badges (id integer)",
    "ALTER TABLE users ADD COLUMN nickname text",
    "ALTER TABLE users ADD COLUMN weight integer NOT NULL DEFAULT 0",
    "CREATE INDEX ix_users_more ON users (last_name, first_name)",
    "CREATE VIEW syncd_v2_users AS SELECT id FROM users",
)


def works_with_previous(revision: str) -> object:
    """Return what a migration says of itself."""
    module = ScriptDirectory.from_config(migrate._config()).get_revision(revision).module
    return getattr(module, "works_with_previous", None)


@pytest.mark.parametrize("revision", BOUND)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_migration_that_says_so_only_adds(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, revision: str
) -> None:
    """Tables, columns that may be left out, and indexes; all else is as the program knew it."""
    says = works_with_previous(revision)
    assert isinstance(says, bool), "say works_with_previous = True or False in the migration"
    if not says:
        return
    url = f"sqlite:///{tmp_path}/store.db"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_url")
    config = migrate._config()
    with closing(Database(url)) as database, database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, BEFORE[revision])
        before = described(connection)
        command.upgrade(config, revision)
        after = described(connection)
    assert taken_away(before, after) == []
    assert after != before


def test_what_takes_away_is_seen(store_url: str) -> None:
    """Whatever would make an older program fail is named, and what only adds is not."""
    with closing(Database(store_url)) as database:
        here = ON_POSTGRESQL if database.dialect == "postgresql" else ON_SQLITE
        wanted = {change: [told] for change, told in {**CHANGES, **here}.items()}
        wanted |= {change: [] for change in HARMLESS}
        with database.engine.connect() as connection:
            found = {}
            with connection.begin():
                before = described(connection)
            for change in wanted:
                with connection.begin() as transaction:
                    connection.execute(text(change))
                    found[change] = taken_away(before, described(connection))
                    transaction.rollback()
    assert found == wanted


def test_the_store_says_which_programs_may_work_on_it(store_url: str) -> None:
    """The oldest one is that before the oldest of the last migrations that only add."""
    oldest = migrate.revisions()[-1]
    while oldest in BEFORE and works_with_previous(oldest):
        oldest = BEFORE[oldest]
    with closing(Database(store_url)) as database, database.read() as connection:
        assert connection.scalars(text("SELECT oldest_program FROM schema_needs")).all() == [oldest]
