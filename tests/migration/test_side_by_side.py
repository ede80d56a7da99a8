"""Programs of adjacent versions on one store: the installed command of this one and of the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from sqlalchemy.engine import make_url

import syncd
from syncd.schedule import Rhythm, next_due
from syncd.store import migrate
from tests.acceptance.daemons import Daemon
from tests.acceptance.preloaded import QuickWorld
from tests.acceptance.world import ORGANIZATION, role
from tests.migration.next_version import NextVersion
from tests.servers.postgres import APPLICATION, Postgres
from tests.servers.slapd import PEOPLE, Slapd, people

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.preloaded import Commands

pytest_plugins = ["tests.acceptance.quick"]

PRESENT = migrate.revisions()[-1]
PERIOD_SECONDS = 4
OFTEN = {"full_sync_period": PERIOD_SECONDS, "periodic_changed_users_sync": False}


@pytest.fixture(scope="module")
def following(tmp_path_factory: pytest.TempPathFactory) -> NextVersion:
    """The next version, whose migration only adds."""
    return NextVersion(tmp_path_factory.mktemp("next"), "9.1.0", works=True)


@pytest.fixture(scope="module")
def breaking(tmp_path_factory: pytest.TempPathFactory, following: NextVersion) -> NextVersion:
    """The version after that one, with which no older program works."""
    return NextVersion(tmp_path_factory.mktemp("after"), "9.2.0", works=False, before=following)


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    """A small company."""
    with Slapd(ldif=people(6) + role("crew", "u00001", "u00002")) as server:
        yield server


@pytest.fixture
def on_postgresql(
    slapd: Slapd, postgres: Postgres, commands: Commands, tmp_path: Path
) -> Iterator[QuickWorld]:
    """An upgraded store with three organizations; the daemon's account is not the owner's."""
    with postgres.database() as url:
        world = QuickWorld(tmp_path / "syncd", slapd, url)
        world.commands = commands
        world.configure(ldap=OFTEN)
        first = world.organization_file.read_text()
        for name in ("second", "third"):
            other = first.replace(f"id: {ORGANIZATION}", f"id: {name}")
            world.organization_file.with_name(f"{name}.yaml").write_text(other)
        own = make_url(url).set(username=APPLICATION).render_as_string(hide_password=False)
        document = yaml.safe_load(world.config.read_text())
        document["store"] = {"url": own, "migration_url": url}
        world.config.write_text(yaml.safe_dump(document))
        world.upgrade()
        yield world


@pytest.fixture
def on_sqlite(
    slapd: Slapd, sqlite_template: Path, commands: Commands, tmp_path: Path
) -> QuickWorld:
    """An upgraded store with nobody in it yet."""
    store = tmp_path / "store.db"
    store.write_bytes(sqlite_template.read_bytes())
    world = QuickWorld(tmp_path / "syncd", slapd, f"sqlite:///{store}")
    world.commands = commands
    return world


def troubles(daemon: Daemon) -> list[dict[str, Any]]:
    """Return the lines of a log that are more than news, without what is said of the files."""
    found = [each for each in daemon.events() if each["level"] not in {"debug", "info"}]
    return [each for each in found if each["action"] != "config_warning"]


@pytest.mark.timeout(180)
@pytest.mark.rule("2.14.1", server="postgresql")
def test_replicas_of_two_versions_share_the_work(
    on_postgresql: QuickWorld, following: NextVersion
) -> None:
    """This one starts on the next one's schema; each sync has one run, and nothing goes wrong."""
    world = on_postgresql
    report = following.json(world, "db", "upgrade")
    assert (report["from"], report["to"]) == (PRESENT, following.revision)
    words, fewest = ("--only", "sync"), {"SYNCD_SYNC__WORKERS": "1"}
    with (
        Daemon(world, *words, **fewest) as this,
        Daemon(world, *words, name="next", **fewest, **following.environment) as other,
    ):
        replicas = (this, other)
        for daemon in replicas:
            daemon.wait_for("sync", status="done")
        assert (this.stop(), other.stop()) == (0, 0)
    versions = [daemon.events("daemon_started")[0]["version"] for daemon in replicas]
    assert versions == [syncd.__version__, following.number]
    assert troubles(other) == []
    (warning,) = troubles(this)
    assert warning["action"] == "newer_schema"
    assert f"has schema {following.revision} of a newer program" in warning["event"]
    runs = world.sql("select count(*) from runs")
    assert runs == [sum(len(daemon.events("sync")) for daemon in replicas)]
    rhythm = Rhythm(PERIOD_SECONDS)
    slots = [
        (name, next_due(rhythm, name, "full", started))
        for name in world.sql("select distinct organization_id from runs")
        for started in world.sql("select started_at from runs where organization_id = :n", n=name)
    ]
    assert len(set(slots)) == len(slots)


def test_this_version_goes_on_after_the_next_ones_upgrade(
    on_sqlite: QuickWorld, following: NextVersion
) -> None:
    """Its commands work as before and tell of it, its own upgrade does nothing."""
    world, told = on_sqlite, f"has schema {following.revision} of a newer program"
    assert world.sync()["users"]["created"] == 6
    assert following.syncd(world, "db", "upgrade").code == 0
    for words in (("status",), ("status", ORGANIZATION)):
        status = world.syncd(*words, code=0)
        assert " ".join(status.out.split()).count(told) == 1
    upgrade = world.json("db", "upgrade")
    assert (upgrade["to"], upgrade["applied"]) == (following.revision, [])
    assert told in upgrade["warnings"][0]
    world.slapd.modify(f"uid=u00003,{PEOPLE}", {"sn": ["Changed"]})
    assert world.sync()["users"]["updated"] == 1
    (state,) = following.json(world, "status", ORGANIZATION)
    assert (state["newer_schema"], state["last_run"]["status"]) == (None, "done")


def test_an_upgrade_that_no_older_program_works_with_is_refused_by_them(
    on_sqlite: QuickWorld, breaking: NextVersion
) -> None:
    """Commands, daemon and upgrade end with code 2 and the sentence, and nothing was done."""
    world = on_sqlite
    assert breaking.syncd(world, "db", "upgrade").code == 0
    for words in (("status",), ("sync", ORGANIZATION), ("run",), ("db", "upgrade")):
        refused = world.syncd(*words, code=2)
        assert f"has schema {breaking.revision}, which this program does not know" in refused.err
        assert "upgrade this program too" in refused.err
    assert world.sql("select count(*) from runs") == [0]
