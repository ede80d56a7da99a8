"""Accounts that OpenLDAP's password policy and shadow passwords keep out, by the command."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import ldap3
import pytest

from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import ORGANIZATION
from tests.servers.slapd import OPEN_ACCESS, PEOPLE, people, person

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ("tests.acceptance.quick",)
pytestmark = ON_SQLITE

FOR_GOOD = "000001010000Z"
PATIENCE_SECONDS = 30
OPENLDAP = {"vendor": "openldap"}
MAPPER = {"name": "account state", "type": "account-state"}
UNREADABLE = f"""
access to attrs=pwdAccountLockedTime by * none
{OPEN_ACCESS.strip()}
"""


def dn(uid: str) -> str:
    """Return a person's DN."""
    return f"uid={uid},{PEOPLE}"


def why(world: QuickWorld, uid: str) -> list[tuple[str, str]]:
    """Return why somebody is kept out; enabled is who has no reason."""
    user = world.json("show", ORGANIZATION, uid)
    assert user["enabled"] == (not user["disabled_because"])
    return [(each["source"], each["reason"]) for each in user["disabled_because"]]


def changed(world: QuickWorld) -> dict[str, Any]:
    """Run a changed-user sync."""
    done: dict[str, Any] = world.json("sync", ORGANIZATION, "--changed")
    assert (done["status"], done["mode"]) == ("done", "changed")
    return done


def kinds(world: QuickWorld, done: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what a run did to whom."""
    changes = world.json("runs", "show", done["run"])["changes"]
    return [(each["kind"], each["username"]) for each in changes]


@pytest.fixture
def world(quick_world: MakeQuickWorld) -> QuickWorld:
    """Six people under a password policy, one with a password, synced once."""
    made = quick_world(
        people(5)
        + person("anna", objectClass=["inetOrgPerson", "shadowAccount"], userPassword="x"),
        overlays=("ppolicy", "syncprov"),
    )
    made.configure(ldap=OPENLDAP, mappers=[MAPPER | {"lockout_duration": "5m"}])
    made.sync()
    return made


@pytest.mark.rule("2.12.4", server="openldap")
def test_a_permanent_lock_is_seen_and_lifted_by_changed_syncs(world: QuickWorld) -> None:
    """Whom an administrator locks is disabled; to unlock is to delete the attribute."""
    world.slapd.modify(dn("anna"), {"pwdAccountLockedTime": [FOR_GOOD]})
    done = changed(world)
    assert (done["users"]["disabled"], kinds(world, done)) == (1, [("disable", "anna")])
    assert why(world, "anna") == [("account-state", "disabled")]
    assert "disabled in the directory" in world.syncd("show", ORGANIZATION, "anna").out
    fields = world.json("explain", ORGANIZATION, "anna")["fields"]
    (origin,) = [each for each in fields if each["field"] == "account.disabled"]
    assert (origin["value"], origin["mapper"]) == ("yes", "account state")
    assert (origin["attribute"], origin["raw"]) == ("pwdAccountLockedTime", [FOR_GOOD])
    assert origin["run"] == done["run"]

    world.slapd.modify(dn("anna"), {"pwdAccountLockedTime": []})
    done = changed(world)
    assert (done["users"]["enabled"], kinds(world, done)) == (1, [("enable", "anna")])
    assert why(world, "anna") == []
    assert kinds(world, world.sync()) == []


@pytest.mark.rule("2.12.4", server="openldap")
def test_too_many_bad_passwords_lock_for_a_while(world: QuickWorld) -> None:
    """A lockout is told apart from being disabled, ends by itself, and blocks no sync."""
    world.configure(
        ldap=OPENLDAP,
        mappers=[MAPPER | {"lockout_duration": "5m"}],
        limits={"minimum_population": 0, "disable": {"count": 0}},
    )
    server = ldap3.Server(world.slapd.url, get_info=ldap3.NONE)
    for _ in range(3):
        guess = ldap3.Connection(server, dn("anna"), "wrong")
        assert not guess.bind()
        guess.unbind()
    done = world.sync()
    assert (done["users"]["disabled"], kinds(world, done)) == (0, [("lock", "anna")])
    assert why(world, "anna") == [("account-state", "locked")]
    (because,) = world.json("show", ORGANIZATION, "anna")["disabled_because"]
    until = datetime.fromisoformat(because["until"])
    assert timedelta(minutes=4) < until - datetime.now(UTC) <= timedelta(minutes=5)

    # Five minutes later the attribute is still there.
    world.sql("update restrictions set until = '2026-01-01 00:00:00.000000'")
    assert why(world, "anna") == []
    assert kinds(world, changed(world)) == [("unlock", "anna")]
    assert world.sql("select enabled from users where username = 'anna'") == [True]


@pytest.mark.rule("2.12.5", server="openldap")
def test_losing_the_right_to_read_lets_nobody_in(world: QuickWorld) -> None:
    """An attribute out of sight looks like an unlocked account of which nothing has changed."""
    for uid in ("anna", "u00001"):
        world.slapd.modify(dn(uid), {"pwdAccountLockedTime": [FOR_GOOD]})
    # Only when its second is over the time of a change tells it from any later one.
    time.sleep(2.5)
    changed(world)
    world.allow(UNREADABLE)
    for _ in range(2):
        assert kinds(world, world.sync()) == []
    assert why(world, "anna") == why(world, "u00001") == [("account-state", "disabled")]
    world.allow()
    world.slapd.modify(dn("anna"), {"pwdAccountLockedTime": []})
    assert kinds(world, world.sync()) == [("enable", "anna")]
    assert why(world, "u00001") == [("account-state", "disabled")]


@pytest.mark.rule("2.12.4", server="openldap")
def test_a_beginning_and_an_end_pass_by_time(world: QuickWorld) -> None:
    """Nobody has to change an entry for its time to come; the next sync of changes writes it."""
    soon = datetime.now(UTC) + timedelta(seconds=8)
    world.slapd.modify(
        dn("anna"), {"pwdEndTime": [f"{soon:%Y%m%d%H%M%SZ}"], "objectClass": ["inetOrgPerson"]}
    )
    world.slapd.modify(dn("u00001"), {"pwdStartTime": [f"{soon:%Y%m%d%H%M%SZ}"]})
    changed(world)
    assert "expires at" in world.syncd("show", ORGANIZATION, "anna").out
    assert why(world, "u00001") == [("account-state", "not_yet_valid")]
    until = time.monotonic() + PATIENCE_SECONDS
    while datetime.now(UTC) < soon + timedelta(seconds=1):
        assert time.monotonic() < until
        time.sleep(0.2)
    assert why(world, "anna") == [("account-state", "expired")]
    assert world.json("status", ORGANIZATION)[0]["users"] == {"enabled": 5, "disabled": 1}
    done = changed(world)
    assert kinds(world, done) == [("disable", "anna"), ("enable", "u00001")]
    assert (done["users"]["read"], done["users"]["disabled"], done["users"]["enabled"]) == (0, 1, 1)
    assert kinds(world, changed(world)) == []


@pytest.mark.rule("2.12.5", server="openldap")
def test_garbage_changes_nothing_for_that_person(world: QuickWorld) -> None:
    """Whoever is kept out stays out while his entry is in quarantine, others are synced."""
    today = int(time.time()) // 86_400
    world.slapd.modify(dn("anna"), {"shadowExpire": [str(today - 1)]})
    assert kinds(world, changed(world)) == [("disable", "anna")]
    world.slapd.modify(dn("anna"), {"shadowExpire": ["-2"], "sn": ["New"]})
    world.slapd.modify(dn("u00002"), {"sn": ["New"]})
    done = world.sync(code=5)
    assert kinds(world, done) == [("update", "u00002")]
    assert world.quarantine() == {dn("anna"): "bad_account_state"}
    assert why(world, "anna") == [("account-state", "expired")]
    world.slapd.modify(dn("anna"), {"shadowExpire": [str(today)]})
    assert ("enable", "anna") in kinds(world, world.sync())
    assert world.quarantine() == {}


def test_without_the_mapper_nobody_is_kept_out_by_it(world: QuickWorld) -> None:
    """Taking the mapper away lifts what it had set, and nothing else."""
    world.slapd.modify(dn("anna"), {"pwdAccountLockedTime": [FOR_GOOD]})
    changed(world)
    world.slapd.delete(dn("u00004"))
    world.sync()
    world.configure(ldap=OPENLDAP)
    assert kinds(world, world.sync()) == [("enable", "anna")]
    assert why(world, "anna") == []
    assert why(world, "u00004") == [("directory", "missing")]


def test_a_wave_of_disabled_accounts_waits_for_somebody(quick_world: MakeQuickWorld) -> None:
    """The limit counts who was let in before; newcomers come as they are."""
    wave = quick_world(people(30), overlays=("ppolicy",))
    for number in range(10):
        wave.slapd.modify(dn(f"u{number:05}"), {"pwdAccountLockedTime": [FOR_GOOD]})
    wave.configure(
        ldap=OPENLDAP, mappers=[MAPPER], limits={"minimum_population": 0, "disable": {"count": 5}}
    )
    first = wave.sync()
    assert (first["users"]["created"], first["users"]["disabled"]) == (30, 10)
    for number in range(10, 16):
        wave.slapd.modify(dn(f"u{number:05}"), {"pwdAccountLockedTime": [FOR_GOOD]})
    blocked = wave.sync(code=3)
    assert blocked["reasons"] == [
        "6 people would be disabled; the limit is 5 (limits.disable.count)"
    ]
    assert wave.json("status", ORGANIZATION)[0]["users"] == {"enabled": 20, "disabled": 10}
    approved = wave.json("approve", blocked["run"])
    assert approved["users"]["disabled"] == 6
    assert wave.json("status", ORGANIZATION)[0]["users"] == {"enabled": 14, "disabled": 16}
