"""A store that fails is told in one sentence, keeps what it has, and the next sync goes on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import make_url

from tests.acceptance.moments import Held, Stop, find, moments
from tests.acceptance.trouble import (
    PostgresStores,
    Started,
    as_json,
    change,
    check_invariants,
    content,
    lasting,
    sentence,
)
from tests.acceptance.world import ORGANIZATION, PATIENCE_SECONDS, Answer
from tests.servers.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.acceptance.moments import Moment, StoppingCommands
    from tests.acceptance.preloaded import QuickWorld
    from tests.acceptance.trouble import Stores, Worlds

pytest_plugins = ["tests.acceptance.quick", "tests.acceptance.troubled"]

ON_SQLITE = pytest.mark.parametrize("stores", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("stores", ["postgresql"], indirect=True)
SHORT_WAIT = {
    "sqlite": "?timeout=0.2",
    "postgresql": "&options=-c%20lock_timeout%3D200ms",
}
# What takes from root the right to read and write everything: a file's mode then binds it too.
AS_ANYBODY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


class Syncs(Started):
    """A sync of many changes, and its moments."""

    def __init__(
        self, worlds: Worlds, stores: Stores, stopping: StoppingCommands, folder: Path
    ) -> None:
        super().__init__(worlds, stores)
        change(worlds.slapd)
        self.finish()
        self._stopping = stopping
        world = self.world()
        assert self.run(world, Stop(record=str(folder / "moments"))).code == 0
        self.moments: list[Moment] = moments(folder / "moments")

    def world(self, store_url: str | None = None) -> QuickWorld:
        """Return a world that waits for the changes."""
        return self.worlds.world(store_url or self.again())

    def run(self, world: QuickWorld, stop: Stop) -> Answer:
        """Run a sync that stops at a moment."""
        words = world.command(*as_json())[1:]
        return self._stopping.run(words, world.folder, stop.environment())

    def unchanged(self, world: QuickWorld) -> None:
        """Check that nothing of the organization was touched."""
        url = world.store_url
        assert lasting(content(url), "journal", "watermark") == lasting(
            self.before, "journal", "watermark"
        )

    def made_good(self, world: QuickWorld) -> None:
        """Check that the next sync ends where a quiet one does."""
        report = world.sync()
        assert (report["status"], report["listing"]) == ("done", "complete")
        after = check_invariants(world.store_url, self.after)
        assert lasting(after, "journal") == lasting(self.after, "journal")


@pytest.fixture(scope="module")
def syncs(
    worlds: Worlds,
    stores: Stores,
    stopping: StoppingCommands,
    tmp_path_factory: pytest.TempPathFactory,
) -> Syncs:
    """The sync that meets bad stores, on each database in turn."""
    return Syncs(worlds, stores, stopping, tmp_path_factory.mktemp("moments"))


def failed(world: QuickWorld, code: int, *words: str) -> str:
    """Run a sync that fails on its store; return its sentence, which the report has too."""
    answer = world.syncd(*(words or as_json()), code=code)
    told = sentence(answer)
    document = answer.document
    assert f"syncd: {document['error']['message']}".rstrip(".") == told.rstrip(".")
    return told


def path_of(url: str) -> Path:
    """Return the file of an SQLite store."""
    return Path(str(make_url(url).database))


def connect(url: str) -> psycopg.Connection[Any]:
    """Connect to a PostgreSQL store as another program would."""
    parts = make_url(url)
    host = str(parts.query["host"])
    return psycopg.connect(host=host, user=parts.username, dbname=parts.database, autocommit=True)


# --- locked ---------------------------------------------------------------------------------


@contextlib.contextmanager
def locked(url: str) -> Iterator[None]:
    """Hold what every writer needs, as a forgotten session does."""
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(path_of(url), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
        return
    with connect(url) as other, other.transaction():
        other.execute("LOCK TABLE leases IN ACCESS EXCLUSIVE MODE")
        yield


def test_a_locked_store_is_unavailable_for_as_long_as_it_is_locked(syncs: Syncs) -> None:
    """Somebody else's lock ends a sync after the wait that the URL says, and changes nothing."""
    world = syncs.world()
    with locked(world.store_url):
        patient, world.store_url = world.store_url, world.store_url + SHORT_WAIT[syncs.stores.kind]
        world.configure(ldap=syncs.settings)
        told = failed(world, 4)
    assert "another process holds it" in told
    world.store_url = patient
    syncs.unchanged(world)
    syncs.made_good(world)


def test_a_store_that_is_locked_in_the_middle_of_the_apply_keeps_the_batches_it_has(
    syncs: Syncs,
) -> None:
    """The run stops in its middle and says so; the next one brings it to its end."""
    world = syncs.world(syncs.again())
    plain, world.store_url = world.store_url, world.store_url + SHORT_WAIT[syncs.stores.kind]
    world.configure(ldap=syncs.settings)
    first = find(syncs.moments, "apply", "COMMIT", after=find(syncs.moments, "apply", "journal"))
    # The statement behind the first batch's commit begins the second batch.
    with Held(world, *as_json(), at=first + 1) as held:
        with locked(plain) if syncs.stores.kind == "postgresql" else contextlib.nullcontext():
            held.go()
            code, out, err = held.ended()
    assert code in {0, 4}, (code, out, err)
    world.store_url = plain
    if syncs.stores.kind == "postgresql":
        report = json.loads(out)
        assert (code, report["status"]) == (4, "failed")
        assert "another process holds it" in err
    syncs.made_good(world)
