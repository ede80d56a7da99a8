"""The upgrade from the release before, of a store that is in use."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from alembic import command

from syncd.app import App
from syncd.permissions import Level, operator
from syncd.store import migrate
from syncd.store.database import Database
from tests.acceptance.world import ORGANIZATION, role
from tests.servers.slapd import people

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ["tests.acceptance.quick"]

RELEASED = "0006"
SUPPORT_AGENT = 3


def test_everything_reads_as_before(quick_world: MakeQuickWorld) -> None:
    """People, roles, groups, journal, runs and tokens; the next sync finds nothing to do."""
    world = quick_world(people(8) + role("crew", "u00001", "u00002"))
    world.sync()
    token = changed_by_hand(world)
    before = read(world, token)
    as_released(world)
    report = world.json("db", "upgrade")
    assert report["from"] == RELEASED
    assert report["applied"] == migrate.revisions()[migrate.revisions().index(RELEASED) + 1 :]
    assert read(world, token) == before
    assert world.sync()["users"]["unchanged"] == 8


def changed_by_hand(world: QuickWorld) -> str:
    """Make a group with a role and a member, shut somebody out; return a token for the API."""
    with closing(App.load(str(world.config), environ={})) as app:
        acme = app.manage(ORGANIZATION, operator("tester"))
        group = acme.groups.create("night shift")["id"]
        acme.groups.add_role(group, SUPPORT_AGENT)
        acme.groups.add_member(group, world.id_of("u00003"))
        acme.users.disable(world.id_of("u00005"))
        made = acme.tokens.create("portal", {"users": Level.VIEW}, lifetime=timedelta(days=1))
    return str(made["token"])


def read(world: QuickWorld, token: str) -> dict[str, Any]:
    """Return what a program that is started now says of the organization."""
    with closing(App.load(str(world.config), environ={})) as app:
        journal = app.journal(ORGANIZATION)
        found = {
            "people": app.users(ORGANIZATION),
            "one of them": app.show(ORGANIZATION, "u00003"),
            "roles": app.roles(ORGANIZATION),
            "groups": app.groups(ORGANIZATION),
            "journal": journal,
            "runs": app.runs(ORGANIZATION),
            "whom the token lets in": app.authenticate(token),
        }
    assert all(found.values())
    return found


def as_released(world: QuickWorld) -> None:
    """Give the store the released schema: what was added since has nothing in it but seeds."""
    config = migrate._config()
    with closing(Database(world.store_url)) as database, database.write() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, RELEASED)
