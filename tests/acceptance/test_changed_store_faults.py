"""A store that fails under a changed-user sync keeps what it has, and the next one goes on."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import make_url

from tests.acceptance.changing import SYNCREPL, changed, differences
from tests.acceptance.ends import UNMEASURED, backend, on_a_small_disk, server, up_again
from tests.acceptance.moments import Held, Stop, find, moments
from tests.acceptance.syncs import failed
from tests.acceptance.trouble import (
    PostgresStores,
    SqliteStores,
    as_json,
    check_invariants,
    content,
    lasting,
    run_program,
    told,
)
from tests.conftest import _migrate
from tests.servers.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.changing import Changing
    from tests.acceptance.moments import Moment
    from tests.acceptance.preloaded import Commands, QuickWorld
    from tests.acceptance.trouble import Stores

pytest_plugins = [
    "tests.acceptance.quick",
    "tests.acceptance.troubled",
    "tests.acceptance.changed_companies",
]

ON_SQLITE = pytest.mark.parametrize("stores", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("stores", ["postgresql"], indirect=True)
UNAVAILABLE = 4
WORDS = as_json("--changed")


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


@pytest.fixture(scope="module")
def quiet(
    changing: Changing, commands: Commands, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Moment], dict[str, Any]]:
    """The moments of an undisturbed changed sync, and what it makes of the store."""
    world = changing.world(SYNCREPL)
    record = tmp_path_factory.mktemp("moments") / "record"
    stop = Stop(record=str(record))
    command = world.command(*WORDS)[1:]
    assert commands.run(command, world.folder, stop.environment()).code == 0
    return moments(record), content(world.store_url)


def made_good(world: QuickWorld, changing: Changing, quiet: dict[str, Any]) -> None:
    """Check that the next changed sync ends where an undisturbed one does."""
    report = changed(world)
    assert (report["mode"], report["status"], report["listing"]) == ("changed", "done", "complete")
    found = check_invariants(world.store_url, quiet)
    assert lasting(found, "journal") == lasting(quiet, "journal")
    assert not (wrong := differences(found, changing.after)), wrong


@ON_POSTGRESQL
@pytest.mark.rule("2.1.1", server="postgresql")
@pytest.mark.parametrize(
    ("kill", "phase", "part"),
    [
        (server, "apply", "INSERT INTO journal"),
        (server, "apply", "COMMIT"),
        (backend, "collect", "stage_users"),
        (server, "apply", "INSERT INTO watermarks"),
    ],
)
def test_a_server_that_is_killed_under_a_changed_sync_keeps_whole_batches(
    changing: Changing,
    quiet: tuple[list[Moment], dict[str, Any]],
    kill: Any,
    phase: str,
    part: str,
) -> None:
    """Inside a batch and between two: one sentence, an old watermark, and the rest next time."""
    assert isinstance(changing.stores, PostgresStores)
    cluster, (recorded, after) = changing.stores.cluster, quiet
    world = changing.world(SYNCREPL)
    at = find(recorded, phase, part)
    if part == "COMMIT":
        # Behind the first batch, where nothing is locked.
        first = find(recorded, "apply", "INSERT INTO journal")
        at = find(recorded, "apply", "COMMIT", after=first) + 1
    with Held(world, *WORDS, at=at) as held:
        kill(cluster)
        held.go()
        code, out, err = held.ended()
    up_again(cluster)
    assert code == UNAVAILABLE, (out, err)
    report = json.loads(out)
    assert (report["mode"], report["status"]) == ("changed", "failed")
    assert len(told(err)) == 1
    assert "check that it runs" in err
    between = check_invariants(world.store_url, after)
    assert between["watermark"] == changing.before[SYNCREPL]["watermark"]
    made_good(world, changing, after)


def folder(world: QuickWorld) -> Path:
    """Return the folder of an SQLite store."""
    return Path(str(make_url(world.store_url).database)).parent


@ON_SQLITE
@pytest.mark.rule("2.1.1", server="sqlite")
def test_a_disk_that_is_full_under_a_changed_sync_loses_nothing(
    changing: Changing, quiet: tuple[list[Moment], dict[str, Any]], tmp_path: Path
) -> None:
    """On a file system of its own that runs full: told, and made good when there is room."""
    _, after = quiet
    world = changing.world(SYNCREPL)
    store, saved = folder(world), tmp_path / "saved"
    saved.mkdir()
    program = on_a_small_disk(store, saved, world.command(*WORDS))
    said = failed(run_program(program, world.folder, WORDS), UNAVAILABLE)
    assert "is full" in said
    assert "free some space" in said
    shutil.copytree(saved, store, dirs_exist_ok=True)
    found = check_invariants(world.store_url, after)
    assert found["watermark"] == changing.before[SYNCREPL]["watermark"]
    made_good(world, changing, after)


@ON_SQLITE
def test_a_store_that_may_not_grow_under_a_changed_sync_loses_nothing(
    changing: Changing, quiet: tuple[list[Moment], dict[str, Any]]
) -> None:
    """Files that reach the largest size allowed, at ever later moments, until there is room."""
    _, after = quiet
    world = changing.world(SYNCREPL)
    failures = 0
    for kibibytes in (48, 320, 1024):
        limit = (*UNMEASURED, "prlimit", f"--fsize={kibibytes * 1024}")
        answer = run_program([*limit, *world.command(*WORDS)], world.folder, WORDS)
        check_invariants(world.store_url, after)
        if answer.code == 0:
            break
        failures += 1
        assert "free" in failed(answer, UNAVAILABLE)
    assert failures >= 2
    made_good(world, changing, after)
