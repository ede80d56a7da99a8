"""The installed command as an account that owns nothing in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from sqlalchemy.engine import make_url

from tests.acceptance.daemons import Daemon
from tests.acceptance.preloaded import QuickWorld
from tests.acceptance.world import ORGANIZATION, role
from tests.servers.postgres import APPLICATION, OWNER, SUPERUSER, Postgres
from tests.servers.slapd import PEOPLE, Slapd, people

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.preloaded import Commands
    from tests.acceptance.world import World

pytest_plugins = ["tests.acceptance.quick"]

OFTEN = {"change_detection": "modify_timestamp", "changed_sync_period": 1}


@pytest.fixture
def world(postgres: Postgres, commands: Commands, tmp_path: Path) -> Iterator[World]:
    """A small company over an empty database; the daemon's account is not the schema's."""
    with (
        Slapd(ldif=people(12) + role("crew", "u00001", "u00002")) as slapd,
        postgres.database() as url,
    ):
        made = QuickWorld(tmp_path / "syncd", slapd, url)
        made.commands = commands
        made.configure(ldap=OFTEN)
        apart(made, url, APPLICATION)
        yield made


def apart(world: World, url: str, role_name: str, owner: str | None = OWNER) -> None:
    """Let the store be opened by a role, and upgraded by another."""
    store = {"url": as_role(url, role_name)}
    if owner is not None:
        store["migration_url"] = as_role(url, owner)
    document = yaml.safe_load(world.config.read_text())
    world.config.write_text(yaml.safe_dump(document | {"store": store}))


def of_store(world: World) -> list[str]:
    """Return what the check has to say of the store."""
    warnings = world.json("check", "--connect")["warnings"]
    return [each for each in warnings if "store.url" in each]


def as_role(url: str, name: str) -> str:
    """Return a store's URL for another account."""
    return make_url(url).set(username=name).render_as_string(hide_password=False)


def test_all_of_it_works_as_an_account_that_only_uses_the_tables(world: World) -> None:
    """Upgrade, plan, the daemon's syncs, a change by hand, undo, prune and feed need no more."""
    upgraded = world.json("db", "upgrade")
    assert upgraded["warnings"] == []
    assert world.plan(code=1)["users"]["created"] == 12
    with Daemon(world) as daemon:
        daemon.wait_for("sync", mode="full", status="done")
        world.slapd.modify(f"uid=u00003,{PEOPLE}", {"sn": ["Changed"]})
        daemon.until(lambda: any(_updated(each) for each in daemon.events("sync")), "a change")
        assert daemon.stop() == 0
    world.json("user", "disable", ORGANIZATION, "u00004")
    assert not world.users()["u00004"]["enabled"]
    world.json("db", "prune")
    changes = world.json("changes", ORGANIZATION)["changes"]
    assert [each["kind"] for each in changes][-2:] == ["update", "restrictions"]
    assert of_store(world) == []
    # And once more, as every later version will: what is granted stays granted.
    assert world.json("db", "upgrade")["applied"] == []
    assert world.sync()["users"]["unchanged"] == 12


def _updated(event: dict[str, Any]) -> bool:
    return bool(event.get("mode") == "changed" and event.get("people_updated"))


@pytest.mark.parametrize("given", ["superuser", "bypassrls", "member"])
def test_an_account_that_the_wall_does_not_bind_is_told_of(
    world: World, postgres: Postgres, given: str
) -> None:
    """The upgrade goes on and warns, and so does the check."""
    name = f"too_much_{given}"
    url = world.store_url
    if given == "superuser":
        name = SUPERUSER
    else:
        postgres.sql(f"create role {name} login")
        postgres.sql(
            f"alter role {name} bypassrls" if given == "bypassrls" else f"grant {OWNER} to {name}"
        )
    apart(world, url, name)
    (warning,) = world.json("db", "upgrade")["warnings"]
    assert f"the role {name} of store.url" in warning
    assert of_store(world) == [warning]


def test_one_account_may_do_both(world: World) -> None:
    """Without a migration URL the owner is the daemon's account, and is bound by the policies."""
    apart(world, world.store_url, OWNER, owner=None)
    assert world.json("db", "upgrade")["warnings"] == []
    assert world.sync()["users"]["created"] == 12


def test_two_urls_have_to_name_one_database(world: World, postgres: Postgres) -> None:
    """Rights in another database than the one upgraded would be of no use."""
    with postgres.database() as other:
        apart(world, other, APPLICATION)
        document = yaml.safe_load(world.config.read_text())
        document["store"]["migration_url"] = world.store_url
        world.config.write_text(yaml.safe_dump(document))
        refused = world.syncd("db", "upgrade")
    assert refused.code == 4
    assert "let both name one database and schema" in refused.err
