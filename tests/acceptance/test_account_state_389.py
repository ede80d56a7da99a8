"""Accounts that a 389 Directory Server locks, by the command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import ORGANIZATION
from tests.acceptance.world_389 import World389
from tests.servers.ds389 import DS389
from tests.servers.slapd import PEOPLE, people

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.preloaded import Commands

pytest_plugins = ("tests.acceptance.quick",)
pytestmark = ON_SQLITE

MAPPER = {"name": "account state", "type": "account-state"}


@pytest.fixture
def world(
    ds389_template: Path, commands: Commands, store_url: str, tmp_path: Path
) -> Iterator[World389]:
    """Six people, of whom one is locked, synced once with the account-state mapper."""
    ldif = people(5) + (
        f"dn: uid=locked,{PEOPLE}\nobjectClass: inetOrgPerson\nuid: locked\ncn: Locked\n"
        "sn: Locked\nnsAccountLock: TRUE\n\n"
    )
    with DS389(ds389_template, ldif=ldif) as server:
        made = World389(tmp_path / "syncd", server, store_url)  # type: ignore[arg-type]
        made.commands = commands
        made.configure(mappers=[MAPPER])
        assert made.sync()["status"] == "done"
        yield made


def why(world: World389, uid: str) -> list[str]:
    """Return why somebody is kept out; enabled is who has no reason."""
    user = world.json("show", ORGANIZATION, uid)
    assert user["enabled"] == (not user["disabled_because"])
    return [each["reason"] for each in user["disabled_because"]]


def kinds(world: World389, done: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what a run did to whom."""
    changes = world.json("runs", "show", done["run"])["changes"]
    return [(each["kind"], each["username"]) for each in changes]


def lock(world: World389, uid: str, *values: str) -> None:
    """Set somebody's nsAccountLock, or take it away."""
    world.slapd.modify(f"uid={uid},{PEOPLE}", {"nsAccountLock": list(values)})


@pytest.mark.rule("2.12.3", server="389ds")
@pytest.mark.rule("2.12.5", server="389ds")
def test_an_account_is_locked_and_unlocked(world: World389) -> None:
    """The attribute is operational and in any letter case; an unlocked account has none of it."""
    assert why(world, "locked") == ["disabled"]
    assert why(world, "u00001") == []
    lock(world, "u00001", "true")
    lock(world, "u00002", "False")
    assert kinds(world, world.changed()) == [("disable", "u00001")]
    assert (why(world, "u00001"), why(world, "u00002")) == (["disabled"], [])
    lock(world, "u00001")
    lock(world, "locked", "FALSE")
    assert kinds(world, world.changed()) == [("enable", "locked"), ("enable", "u00001")]
    assert kinds(world, world.sync()) == []
    lock(world, "u00003", "perhaps")
    done = world.sync(code=5)
    assert kinds(world, done) == []
    assert list(world.quarantine().values()) == ["bad_account_state"]
