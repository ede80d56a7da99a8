"""The border to the database: what fails there is told in the project's own words."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text

from syncd.errors import ConstraintViolated, StoreError
from syncd.store import schema
from syncd.store.database import Database
from tests.store.organization import Organization, record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("nonsense", r"not a database URL; write sqlite:///PATH or"),
        ("mysql://host/x", r"names mysql; sqlite and postgresql\+psycopg are supported"),
        ("sqlite://", r"must name a file, as in sqlite:///"),
        ("sqlite:///:memory:", r"must name a file, as in sqlite:///"),
    ],
)
def test_a_url_that_is_no_store_is_refused(url: str, sentence: str) -> None:
    """The sentence says what can be written instead."""
    with pytest.raises(StoreError, match=sentence):
        Database(url)


def _damaged(path: Path) -> str:
    (path / "x.db").write_bytes(b"no database at all, but long enough to look like one" * 100)
    return f"sqlite:///{path}/x.db"


def _folder(path: Path) -> str:
    return f"sqlite:///{path}"


def _locked(path: Path) -> str:
    holder = sqlite3.connect(path / "x.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    holder.execute("CREATE TABLE x (y)")
    # Kept by the list, so that the lock lives as long as the test.
    HOLDERS.append(holder)
    return f"sqlite:///{path}/x.db?timeout=0"


def _nobody_listens(path: Path) -> str:
    return f"postgresql+psycopg://syncd:planted-secret@/x?host={path}"


HOLDERS: list[sqlite3.Connection] = []


@pytest.mark.parametrize(
    ("make", "retryable", "sentence"),
    [
        (_damaged, False, "restore it from a backup"),
        (_folder, True, "check that the folder exists and this user may write there"),
        (_locked, True, "another process holds it"),
        (_nobody_listens, True, "check that it runs and that store.url is right"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_store_that_cannot_be_used_says_what_to_do(
    tmp_path: Path,
    make: Callable[[Path], str],
    retryable: bool,  # noqa: FBT001 - a column of the table above
    sentence: str,
) -> None:
    """Damaged, a folder, locked, gone: each has its next step, and no password in it."""
    database = Database(make(tmp_path))
    try:
        with pytest.raises(StoreError, match=sentence) as caught, database.read() as connection:
            connection.execute(text("SELECT 1"))
        assert caught.value.retryable is retryable
        assert caught.value.exit_code == 4
        assert "planted-secret" not in str(caught.value)
    finally:
        database.close()
        while HOLDERS:
            HOLDERS.pop().close()


def test_a_row_that_another_writer_made_is_told_apart(acme: Organization) -> None:
    """A constraint is no failure of the store: whoever wrote may look again and try again."""
    acme.sync(record("p1"))
    with pytest.raises(ConstraintViolated, match="another writer's row"):
        acme.execute("INSERT INTO users SELECT * FROM users")


def test_a_failed_transaction_leaves_the_store_usable(acme: Organization) -> None:
    """After an error inside of it, a write transaction is rolled back whole and the next works."""
    with pytest.raises(StoreError):
        acme.execute_all("DELETE FROM roles", "INSERT INTO nowhere VALUES (1)")
    assert len(acme.rows(schema.roles)) == len(schema.PRECONFIGURED_ROLES)


def test_staging_holds_no_lock_that_a_sign_in_waits_for(acme: Organization) -> None:
    """While a run fills its stage, another connection writes people."""
    acme.sync(record("p1"))
    run_id = acme.begin()
    hasty = "" if acme.database.dialect == "postgresql" else "?timeout=0"
    signing_in = Database(f"{acme.url}{hasty}")
    with acme.database.stage() as stage:
        stage.execute(schema.stage_marks.insert().values(run_id=run_id, user_id=1, mark="x"))
        with signing_in.write() as connection:
            connection.execute(text("UPDATE users SET last_sign_in = NULL"))
    signing_in.close()
    assert len(acme.rows(schema.stage_marks)) == 1


def test_readers_see_whole_transactions_only(acme: Organization) -> None:
    """What a writer has not committed is nobody's yet."""
    acme.sync(record("p1"))
    names = select(schema.users.c.last_name)
    with acme.database.write() as writer:
        writer.execute(schema.users.update().values(last_name="half"))
        with acme.database.read() as reader:
            assert list(reader.scalars(names)) == ["p1"]
    with acme.database.read() as reader:
        assert list(reader.scalars(names)) == ["half"]


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_two_organizations_may_plan_at_once(acme: Organization) -> None:
    """Statistics that one plan is taking do not make another one wait; SQLite has two stages."""
    other = Organization(acme.url, "other")
    stage = (schema.stage_users, schema.stage_absent)
    with acme.database.write() as one, other.database.write() as two:
        two.execute(text("SET LOCAL lock_timeout = '50ms'"))
        acme.database.analyze(one, *stage)
        other.database.analyze(two, *reversed(stage))
    other.database.close()


def test_a_stage_that_was_lost_is_made_anew(acme: Organization) -> None:
    """A store restored from a backup comes without its stage: the next holder makes one."""
    planned = acme.plan(record("p1"))
    acme.store.finish(planned.run_id, "blocked", {})
    acme.store.lease.release()
    if acme.database.stage_path is not None:
        acme.database.close()
        for path in acme.database.stage_path.parent.glob(f"{acme.database.stage_path.name}*"):
            path.unlink()
    with acme.leased():
        acme.sync(record("p2"))
    acme.store.lease.acquire()
    assert acme.user("p2")["enabled"]
