"""Accounts that an Active Directory domain disables, lets expire and locks, by the command."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import ldap3
import pytest

from tests.acceptance.domain import DomainWorld
from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import ORGANIZATION
from tests.integration.ldap.domains import Place
from tests.servers.samba import SUFFIX, dn_of, user

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.preloaded import Commands
    from tests.servers.samba import SambaAD

pytest_plugins = ("tests.acceptance.quick",)
pytestmark = ON_SQLITE

MAPPER = {"name": "account state", "type": "account-state"}
COMPUTED = "msDS-User-Account-Control-Computed"
ENABLED, DISABLED, TO_CHANGE = "512", "514", "0"
NEVER = str(0x7FFF_FFFF_FFFF_FFFF)
STARTED = datetime(1601, 1, 1, tzinfo=UTC)
PATIENCE_SECONDS = 30


def ticks(moment: datetime) -> str:
    """Return a time as accountExpires has it."""
    return str(int((moment - STARTED).total_seconds()) * 10_000_000)


class Company:
    """Six people with a world around them, and what syncs do to them."""

    def __init__(self, place: Place, world: DomainWorld) -> None:
        self.place, self.world = place, world

    def set(self, name: str, **values: str) -> None:
        """Change somebody's account."""
        self.place.ad.modify(self.place.dn(name), {key: [each] for key, each in values.items()})

    def why(self, name: str) -> list[str]:
        """Return why somebody is kept out; enabled is who has no reason."""
        found = self.world.json("show", ORGANIZATION, self.place.name(name))
        assert found["enabled"] == (not found["disabled_because"])
        assert {each["source"] for each in found["disabled_because"]} <= {"account-state"}
        return [each["reason"] for each in found["disabled_because"]]

    def done(self, report: dict[str, Any]) -> list[tuple[str, str]]:
        """Return what a run did to whom."""
        changes = self.world.json("runs", "show", report["run"])["changes"]
        return [(each["kind"], self.place.bare(each["username"])) for each in changes]

    def changed(self) -> list[tuple[str, str]]:
        """Run a changed-user sync; return what it did to whom."""
        report = self.world.changed()
        assert (report["status"], report["mode"]) == ("done", "changed"), report
        return self.done(report)


@pytest.fixture
def company(samba: SambaAD, store_url: str, commands: Commands, tmp_path: Path) -> Company:
    """Six people, synced once with the account-state mapper."""
    place = Place(samba, *"abcdef")
    world = DomainWorld(tmp_path / "syncd", place, store_url, commands)
    world.configure(mappers=[MAPPER])
    assert world.sync()["status"] == "done"
    return Company(place, world)


@pytest.mark.rule("2.12.1", server="samba")
@pytest.mark.rule("K47", server="samba")
def test_a_disabled_account_is_shut_out_by_the_next_changed_sync(company: Company) -> None:
    """The bit shuts out and lets in; a password that has to be changed does neither."""
    company.set("a", userAccountControl=DISABLED)
    company.set("b", pwdLastSet=TO_CHANGE)
    assert company.changed() == [("disable", "a")]
    assert (company.why("a"), company.why("b")) == (["disabled"], [])
    fields = company.world.json("explain", ORGANIZATION, company.place.name("a"))["fields"]
    (origin,) = [each for each in fields if each["field"] == "account.disabled"]
    assert (origin["value"], origin["attribute"]) == ("yes", "userAccountControl")
    assert origin["raw"] == [DISABLED]
    company.set("a", userAccountControl=ENABLED)
    assert company.changed() == [("enable", "a")]
    assert company.why("a") == []
    assert company.done(company.world.sync()) == []


@pytest.mark.rule("2.12.2", server="samba")
def test_an_account_expires_by_time(company: Company) -> None:
    """The day is stored when it is told, and comes without a change in the directory."""
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=6)
    company.set("a", accountExpires=ticks(soon))
    company.set("b", accountExpires=ticks(datetime(2020, 1, 1, tzinfo=UTC)))
    company.set("c", accountExpires="0")
    company.set("d", accountExpires=NEVER)
    company.set("e", accountExpires=str(int(NEVER) - 1))
    assert company.changed() == [("disable", "b"), ("account", "a")]
    assert [company.why(name) for name in "bcde"] == [["expired"], [], [], []]
    until = time.monotonic() + PATIENCE_SECONDS
    while datetime.now(UTC) < soon + timedelta(seconds=1):
        assert time.monotonic() < until
        time.sleep(0.2)
    assert company.why("a") == ["expired"]
    assert company.changed() == [("disable", "a")]
    assert company.changed() == []
    company.set("a", accountExpires=NEVER)
    company.set("b", accountExpires=ticks(datetime(2099, 1, 1, tzinfo=UTC)))
    assert company.changed() == [("enable", "a"), ("enable", "b")]
    user = company.world.json("show", ORGANIZATION, company.place.name("b"))
    assert (user["disabled_because"], user["upcoming"][0]["since"]) == ([], "2099-01-01T00:00:00Z")


@pytest.mark.rule("2.12.1", server="samba")
def test_a_lockout_is_another_state(company: Company) -> None:
    """Too many bad passwords lock, which a full sync sees, and disable nobody."""
    ad, place = company.place.ad, company.place
    ad.tool("domain", "passwordsettings", "set", "--account-lockout-threshold=3")
    name = place.name("locked")
    dn = dn_of(name, place.people)
    ad.load([(dn, user(name, password="Passw0rd!a"))])
    company.world.sync()
    server = ldap3.Server(ad.url, get_info=ldap3.NONE)
    for _ in range(3):
        guess = ldap3.Connection(server, dn, "wrong")
        assert not guess.bind()
        guess.unbind()
    assert company.done(company.world.sync()) == [("lock", "locked")]
    assert company.why("locked") == ["locked"]
    # With the policy's duration it ends by itself.
    company.world.configure(mappers=[MAPPER | {"lockout_duration": "30m"}])
    company.world.sync()
    shown = company.world.json("show", ORGANIZATION, name)["disabled_because"]
    left = datetime.fromisoformat(shown[0]["until"]) - datetime.now(UTC)
    assert timedelta(minutes=29) < left <= timedelta(minutes=30)
    ad.modify(dn, {"lockoutTime": ["0"]})
    assert company.changed() == [("unlock", "locked")]


@pytest.mark.rule("2.12.1", server="samba")
def test_a_lockout_ends_without_a_change_and_a_changed_sync_sees_it(company: Company) -> None:
    """The directory computes whether it is over, so whoever is locked is looked at again."""
    ad, place = company.place.ad, company.place
    lasts = {"lockoutDuration": ["-20000000"], "lockOutObservationWindow": ["-20000000"]}
    ad.modify(SUFFIX, {"lockoutThreshold": ["3"]} | lasts)
    name = place.name("hasty")
    dn = dn_of(name, place.people)
    ad.load([(dn, user(name, password="Passw0rd!a"))])
    company.changed()
    server = ldap3.Server(ad.url, get_info=ldap3.NONE)
    for _ in range(3):
        guess = ldap3.Connection(server, dn, "wrong")
        assert not guess.bind()
        guess.unbind()
    # Long enough for a sync to see it, however slow the machine is.
    ad.modify(SUFFIX, {"lockoutDuration": ["-18000000000"]})
    assert company.changed() == [("lock", "hasty")]
    assert company.changed() == []
    number = ad.read(dn, "uSNChanged")
    ad.modify(SUFFIX, {"lockoutDuration": ["-20000000"]})
    until = time.monotonic() + PATIENCE_SECONDS
    while ad.read(dn, COMPUTED)[COMPUTED] != [b"0"]:
        assert time.monotonic() < until
        time.sleep(0.2)
    assert ad.read(dn, "uSNChanged") == number
    assert company.changed() == [("unlock", "hasty")]
    assert company.why("hasty") == []


def test_somebody_in_the_directory_disabled_is_created_so(company: Company) -> None:
    """A first sight of a disabled account makes a person who may not come in."""
    name = company.place.name("g")
    company.place.ad.add(
        dn_of(name, company.place.people),
        **user(name) | {"userAccountControl": [DISABLED]},
    )
    assert company.changed() == [("disable", "g"), ("create", "g")]
    assert company.why("g") == ["disabled"]
