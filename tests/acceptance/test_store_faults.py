"""A store that fails is told in one sentence, keeps what it has, and the next sync goes on."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import sqlite3
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import make_url

from tests.acceptance.ends import UNMEASURED, backend, on_a_small_disk, server, up_again
from tests.acceptance.moments import Held, Stop, find
from tests.acceptance.syncs import failed
from tests.acceptance.trouble import (
    SETTINGS,
    PostgresStores,
    SqliteStores,
    as_json,
    check_invariants,
    run_as_anybody,
    run_program,
    told,
)
from tests.conftest import _migrate
from tests.servers.postgres import SUPERUSER, Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.syncs import Syncs
    from tests.acceptance.trouble import Stores

pytest_plugins = ["tests.acceptance.quick", "tests.acceptance.troubled"]

ON_SQLITE = pytest.mark.parametrize("stores", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("stores", ["postgresql"], indirect=True)
USAGE, UNAVAILABLE = 2, 4


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stores(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stores]:
    """Stores on each database in turn; the PostgreSQL server is one that tests may kill."""
    if request.param == "sqlite":
        yield SqliteStores(tmp_path_factory.mktemp("stores"))
        return
    with Postgres() as cluster, ExitStack() as stack:
        template = cluster.create()
        _migrate(cluster.url(template))
        yield PostgresStores(cluster, template, stack)


def path_of(url: str) -> Path:
    """Return the file of an SQLite store."""
    return Path(str(make_url(url).database))


def connect(url: str, user: str | None = None) -> psycopg.Connection[Any]:
    """Connect to a PostgreSQL store as another program would, or another account."""
    parts = make_url(url)
    host = str(parts.query["host"])
    user = user or parts.username
    return psycopg.connect(host=host, user=user, dbname=parts.database, autocommit=True)


# --- locked ---------------------------------------------------------------------------------


@contextlib.contextmanager
def locked(url: str) -> Iterator[None]:
    """Hold what every writer needs, as a forgotten session does."""
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(path_of(url), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
        return
    with connect(url) as session, session.transaction():
        session.execute("LOCK TABLE leases IN ACCESS EXCLUSIVE MODE")
        yield


def test_a_locked_store_is_unavailable_for_as_long_as_it_is_locked(syncs: Syncs) -> None:
    """Somebody else's lock ends a sync after the wait that the URL says, and changes nothing."""
    world = syncs.world()
    syncs.impatient(world)
    with locked(world.store_url):
        said = failed(world.syncd(*as_json()), UNAVAILABLE)
    assert "another process holds it" in said
    syncs.untouched(world)
    syncs.made_good(world)


def test_a_store_that_is_locked_in_the_middle_keeps_the_batches_that_it_has(syncs: Syncs) -> None:
    """The run stops in its middle and says how far it came; the next one writes the rest."""
    world = syncs.world()
    syncs.impatient(world)
    with (
        Held(world, *as_json(), at=syncs.second_batch) as held,
        locked(world.store_url),
    ):
        held.go()
        code, out, err = held.ended()
    assert code == UNAVAILABLE, (out, err)
    assert "another process holds it" in err
    report = json.loads(out)
    assert report["status"] == "failed"
    (applied,) = (reason for reason in report["reasons"] if "were written" in reason)
    assert applied.startswith("10 of ")
    between = check_invariants(world.store_url, syncs.after)
    before, now, after = (len(each["journal"]) for each in (syncs.before, between, syncs.after))
    assert before < now < after
    syncs.made_good(world)


# --- read-only ------------------------------------------------------------------------------


@ON_SQLITE
@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
def test_a_read_only_file_is_told_and_left_alone(syncs: Syncs, folder: bool) -> None:  # noqa: FBT001
    """A file, or a folder, that this user may not write."""
    world = syncs.world()
    path = path_of(world.store_url)
    path.chmod(0o444)
    if folder:
        path.parent.chmod(0o555)
    try:
        said = failed(run_as_anybody(world, *as_json()), UNAVAILABLE)
    finally:
        path.parent.chmod(0o755)
        path.chmod(0o644)
    assert "may write" in said or "right to write" in said
    syncs.untouched(world)
    syncs.made_good(world)


@ON_POSTGRESQL
def test_a_read_only_database_is_told_and_left_alone(syncs: Syncs) -> None:
    """A database that takes no writes, as a standby does."""
    world = syncs.world()
    with connect(world.store_url) as other:
        name = other.info.dbname
        other.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    said = failed(world.syncd(*as_json()), UNAVAILABLE)
    assert "read-only" in said
    assert "standby" in said
    with connect(world.store_url) as other:
        other.execute("SET default_transaction_read_only = off")
        other.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    syncs.untouched(world)
    syncs.made_good(world)


@ON_POSTGRESQL
def test_a_role_that_may_only_read_is_told_what_it_lacks(syncs: Syncs) -> None:
    """The sentence names what was refused and the role's right."""
    world = syncs.world()
    mine = world.store_url
    with connect(mine, SUPERUSER) as other:
        other.execute("CREATE ROLE onlooker LOGIN")
        other.execute("GRANT pg_read_all_data TO onlooker")
    world.store_url = mine.replace("//syncd@", "//onlooker@")
    world.configure(ldap=SETTINGS)
    said = failed(world.syncd(*as_json()), UNAVAILABLE)
    assert "permission denied" in said
    assert "give the role in store.url the right" in said
    world.store_url = mine
    syncs.untouched(world)
    syncs.made_good(world)


# --- full -----------------------------------------------------------------------------------


@ON_SQLITE
def test_a_store_that_may_not_grow_loses_nothing_however_far_the_sync_comes(syncs: Syncs) -> None:
    """Files that reach the largest size allowed, at ever later moments, until there is room."""
    world = syncs.world()
    failures = 0
    for kibibytes in (48, 128, 256, 448, 704, 1024, 4096):
        # The limit is for the program's own files, not for what measures its coverage.
        limit = (*UNMEASURED, "prlimit", f"--fsize={kibibytes * 1024}")
        answer = run_program([*limit, *world.command(*as_json())], world.folder, as_json())
        check_invariants(world.store_url, syncs.after)
        if answer.code == 0:
            break
        failures += 1
        said = failed(answer, UNAVAILABLE)
        assert "free space" in said or "free some space" in said
    assert failures >= 2
    syncs.made_good(world)


@ON_SQLITE
def test_a_full_disk_is_told_and_loses_nothing(syncs: Syncs, tmp_path: Path) -> None:
    """A small file system of its own, where a namespace for it may be had, runs full."""
    world = syncs.world()
    store, saved = path_of(world.store_url).parent, tmp_path / "saved"
    saved.mkdir()
    program = on_a_small_disk(store, saved, world.command(*as_json()))
    said = failed(run_program(program, world.folder, as_json()), UNAVAILABLE)
    assert "is full" in said
    assert "free some space" in said
    shutil.copytree(saved, store, dirs_exist_ok=True)
    check_invariants(world.store_url, syncs.after)
    syncs.made_good(world)


# --- gone -----------------------------------------------------------------------------------


@ON_POSTGRESQL
@pytest.mark.parametrize("kill", [backend, server])
@pytest.mark.parametrize("part", ["UPDATE users", "INSERT INTO journal", "COMMIT"])
def test_a_server_that_is_killed_in_the_middle_of_a_batch_keeps_whole_batches(
    syncs: Syncs, kill: Any, part: str
) -> None:
    """The run ends with one sentence; behind the recovery the next one writes the rest."""
    assert isinstance(syncs.stores, PostgresStores)
    cluster = syncs.stores.cluster
    world = syncs.world()
    at = find(syncs.moments, "apply", part, after=syncs.second_batch if part == "COMMIT" else 0)
    with Held(world, *as_json(), at=at) as held:
        kill(cluster)
        held.go()
        code, out, err = held.ended()
    up_again(cluster)
    assert code == UNAVAILABLE, (out, err)
    assert "check that it runs" in err
    assert json.loads(out)["status"] == "failed"
    assert len(told(err)) == 1
    between = check_invariants(world.store_url, syncs.after)
    assert len(between["journal"]) < len(syncs.after["journal"])
    syncs.made_good(world)


@ON_POSTGRESQL
def test_a_server_that_does_not_run_is_told(syncs: Syncs) -> None:
    """The sentence names the store without its password, and what to check."""
    world = syncs.world()
    mine = world.store_url
    world.store_url = "postgresql+psycopg://syncd:hidden-word@127.0.0.1:1/syncd"
    world.configure(ldap=SETTINGS)
    said = failed(world.syncd(*as_json()), UNAVAILABLE)
    assert "check that it runs" in said
    assert "hidden-word" not in said
    world.store_url = mine
    syncs.made_good(world)


@ON_SQLITE
def test_a_file_that_is_no_database_is_told(syncs: Syncs) -> None:
    """It is not overwritten, and the sentence says what to do."""
    world = syncs.world()
    path = path_of(world.store_url)
    path.write_text("not a database " * 1000)
    said = failed(world.syncd(*as_json()), UNAVAILABLE)
    assert "damaged or not a database" in said
    assert path.read_text().startswith("not a database")


@ON_SQLITE
@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_a_lost_stage_loses_nothing(syncs: Syncs, how: str) -> None:
    """A store that was restored without its stage, in the middle of an apply, goes on."""
    world = syncs.world()
    assert syncs.run(world, Stop(at=syncs.second_batch)).code == -signal.SIGKILL
    stage = path_of(world.store_url)
    staged = list(stage.parent.glob(f"{stage.name}-stage*"))
    assert staged
    for file in staged:
        if how == "gone" or file.name.endswith(("-wal", "-shm")):
            file.unlink()
        else:
            file.write_text("damaged " * 1000)
    syncs.made_good(world)


# --- schema ---------------------------------------------------------------------------------


def test_a_schema_that_this_program_does_not_know_is_refused(syncs: Syncs) -> None:
    """A store that a newer program has upgraded: nothing is read into it, nor is it upgraded."""
    world = syncs.world()
    (version,) = world.sql("select version_num from schema_versions")
    (oldest,) = world.sql("select oldest_program from schema_needs")
    world.sql("update schema_versions set version_num = '9999'")
    world.sql("update schema_needs set oldest_program = '9999'")
    said = failed(world.syncd(*as_json()), USAGE)
    assert "9999" in said
    assert "upgrade this program" in said
    assert "9999" in failed(world.syncd("--json", "db", "upgrade"), USAGE)
    world.sql("update schema_versions set version_num = :version", version=version)
    world.sql("update schema_needs set oldest_program = :oldest", oldest=oldest)
    syncs.untouched(world)
    syncs.made_good(world)


def test_a_store_without_a_schema_says_how_to_get_one(syncs: Syncs, tmp_path: Path) -> None:
    """An empty store is refused with the command that fills it, which then does."""
    world = syncs.world()
    if isinstance(syncs.stores, PostgresStores):
        world.store_url = syncs.stores.cluster.url(syncs.stores.cluster.create())
    else:
        world.store_url = f"sqlite:///{tmp_path}/empty.db"
    world.configure(ldap=SETTINGS)
    assert "run `syncd db upgrade`" in failed(world.syncd(*as_json()), USAGE)
    world.upgrade()
    assert world.sync()["users"]["created"] == 39
