"""Another provider, new ids and the end of an organization, with the installed command."""

from __future__ import annotations

import hashlib
import json
import ssl
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, text

from syncd.records import fold
from syncd.store import schema
from syncd.store.database import Database
from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import ORGANIZATION, World, role
from tests.servers.slapd import PEOPLE, people, person

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.acceptance.preloaded import MakeQuickWorld

pytest_plugins = ("tests.acceptance.quick",)

ADMINS = {1001: "ann", 1002: "bob", 1003: "olga"}
OWNER = 1


def _of_admin(world: World, usernames: Mapping[int, str] = ADMINS) -> None:
    """Begin with the admin provider and these people, of whom Olga is an Owner."""
    world.configure(provider="admin")
    world.upgrade()
    world.json("pause", ORGANIZATION)
    world.json("resume", ORGANIZATION)
    with _store(world) as database, database.write() as connection:
        for user_id, username in usernames.items():
            address = f"{username}@example.test"
            connection.execute(
                insert(schema.users).values(
                    id=user_id,
                    organization_id=ORGANIZATION,
                    version=1,
                    provider="admin",
                    username=username,
                    username_key=fold(username),
                    email=address,
                    email_key=address,
                    email_verified=True,
                    attributes="{}",
                    living=True,
                    enabled=True,
                )
            )
            connection.execute(
                insert(schema.identities).values(
                    organization_id=ORGANIZATION,
                    source="admin",
                    external_id=f"uuid-{user_id}",
                    user_id=user_id,
                    fingerprint=b"",
                )
            )
    _own(world, 1003)


def _own(world: World, user_id: int) -> None:
    with _store(world) as database, database.write() as connection:
        connection.execute(
            insert(schema.grants).values(
                user_id=user_id, role_id=OWNER, source="manual", organization_id=ORGANIZATION
            )
        )


@contextmanager
def _store(world: World) -> Iterator[Database]:
    """Open the store, and close it at the end."""
    database = Database(world.store_url)
    try:
        yield database
    finally:
        database.close()


def _enabled(world: World) -> set[str]:
    return {user["username"] for user in world.users().values() if user["enabled"]}


@pytest.fixture
def admins(quick_world: MakeQuickWorld) -> World:
    """Three people of the admin provider, over a directory that has two of them and one more."""
    world = quick_world(person("ann") + person("olga") + person("dee"))
    _of_admin(world)
    return world


@ON_SQLITE
def test_a_switch_says_first_what_it_means(admins: World) -> None:
    """A dry run counts who loses sign-in and who would be taken over, and changes nothing."""
    admins.configure()
    assert "would become ldap" in admins.syncd("sync", ORGANIZATION, code=2).err
    words = ("provider", "switch", ORGANIZATION, "--link", "username")
    report = admins.json(*words, "--owner", "olga", "--dry-run", code=1)
    told = report["switch"]
    assert (told["from"], told["to"], told["link"]) == ("admin", "ldap", "username")
    assert (told["people"], told["leaving"], told["rejoining"]) == (3, 2, 0)
    assert told["arrivals"] == {
        "read": 3,
        "linked": 2,
        "administrators": 0,
        "taken": 0,
        "ambiguous": 0,
    }
    assert {(each["kind"], each["username"]) for each in report["changes"]} == {
        ("leave", "ann"),
        ("leave", "bob"),
    }
    assert admins.json("organization", "show", ORGANIZATION)["provider"] == "admin"
    assert _enabled(admins) == {"ann", "bob", "olga"}


def test_people_are_taken_over_by_the_first_sync(admins: World) -> None:
    """Whoever the directory has keeps id and roles and is its own; the others lose sign-in."""
    admins.configure()
    words = ("provider", "switch", ORGANIZATION, "--link", "username", "--owner", "olga")
    assert admins.json(*words)["status"] == "done"
    assert _enabled(admins) == {"olga"}
    assert admins.sync()["users"]["created"] == 1
    users = admins.users()
    assert {name: (user["provider"], user["enabled"]) for name, user in users.items()} == {
        "ann": ("ldap", True),
        "bob": ("admin", False),
        "olga": ("ldap", True),
        "dee": ("ldap", True),
    }
    assert (users["ann"]["id"], users["olga"]["id"]) == (1001, 1003)
    assert admins.roles_of("olga") == {"Owner": ["manual"]}
    assert [each["reason"] for each in users["bob"]["disabled_because"]] == ["other_provider"]
    unchanged = admins.sync()["users"]
    assert (unchanged["unchanged"], unchanged["created"], unchanged["missing"]) == (3, 0, 0)


def test_a_switch_back_lifts_exactly_its_own_restriction(admins: World) -> None:
    """Everybody is the admin provider's again; whoever was shut otherwise stays so."""
    with _store(admins) as database, database.write() as connection:
        connection.execute(
            text(
                "INSERT INTO restrictions (user_id, source, reason, organization_id, since) "
                "VALUES (1002, 'admin', 'disabled', 'acme', '2026-01-01 00:00:00')"
            )
        )
        connection.execute(text("UPDATE users SET enabled = (1 = 0) WHERE id = 1002"))
    admins.configure()
    words = ("provider", "switch", ORGANIZATION, "--link", "username", "--owner", "olga")
    admins.json(*words)
    admins.sync()
    admins.configure(provider="admin")
    back = admins.json("provider", "switch", ORGANIZATION)
    assert (back["switch"]["leaving"], back["switch"]["rejoining"]) == (1, 3)
    users = admins.users()
    assert {name: (user["provider"], user["enabled"]) for name, user in users.items()} == {
        "ann": ("admin", True),
        "bob": ("admin", False),
        "olga": ("admin", True),
        "dee": ("ldap", False),
    }
    assert [each["reason"] for each in users["bob"]["disabled_because"]] == ["disabled"]


def test_the_last_owner_holds_a_switch_whatever_is_said(admins: World) -> None:
    """Without an owner taken along it is held, --yes or not, and cannot be approved."""
    admins.configure()
    report = admins.json("provider", "switch", ORGANIZATION, "--yes", code=3)
    assert report["reasons"][0].startswith("last_owner: acme would be left without an owner")
    error = admins.json("approve", report["run"], code=2)["error"]
    assert error["code"] == "last_owner"
    assert _enabled(admins) == {"ann", "bob", "olga"}


@ON_SQLITE
def test_a_switch_over_the_limits_waits_for_an_approval(quick_world: MakeQuickWorld) -> None:
    """More people than the limit would lose their sign-in: it waits, and an approval does it."""
    world = quick_world(person("ann"))
    _of_admin(world, ADMINS | {number: f"p{number}" for number in range(2000, 2030)})
    world.configure()
    report = world.json("provider", "switch", ORGANIZATION, "--owner", "olga", code=3)
    assert "32 of 33 people would lose their sign-in (97 %)" in report["reasons"][0]
    assert world.json("organization", "show", ORGANIZATION)["provider"] == "admin"
    assert world.json("approve", report["run"])["status"] == "done"
    shown = world.json("organization", "show", ORGANIZATION)
    assert (shown["provider"], shown["pending"], shown["link"]) == ("ldap", None, "named")
    assert shown["counts"]["left_behind"] == 32
    assert world.json("runs", "show", report["run"])["switch"]["leaving"] == 32
    # Taken by hand, one by one: neither named nor linked by a policy.
    world.sync(code=5)
    assert world.quarantine() == {f"uid=ann,{PEOPLE}": "username_taken"}
    linked = world.json("provider", "link", ORGANIZATION, "ann")
    assert (linked["from"], linked["to"]) == ("admin", "ldap")
    world.sync()
    ann = world.json("show", ORGANIZATION, "ann")
    assert (ann["id"], ann["provider"], ann["enabled"]) == (1001, "ldap", True)


@ON_SQLITE
def test_a_directory_that_does_not_answer_switches_nothing(admins: World) -> None:
    """The new directory is read first; when it is away everybody keeps the sign-in."""
    admins.configure()
    admins.slapd.stop()
    words = ("provider", "switch", ORGANIZATION, "--owner", "olga", "--yes")
    admins.syncd(*words, code=4)
    assert _enabled(admins) == {"ann", "bob", "olga"}


@ON_SQLITE
def test_a_name_is_fixed_once_it_is_set(admins: World) -> None:
    """A changed name stops syncs and switches until the file is set back."""
    admins.configure(organization={"id": ORGANIZATION, "name": "Acme Incorporated"})
    for words in (("sync", ORGANIZATION), ("provider", "switch", ORGANIZATION)):
        assert "a name is fixed once it is set, so set the file back" in (
            admins.syncd(*words, code=2).err
        )


# --- new ids --------------------------------------------------------------------------------


def _rebuilt(world: World) -> None:
    """Delete everybody and everything, and add it again under new ids."""
    entries = {f"uid={uid},{PEOPLE}": uid for uid in ("u00000", "u00001", "u00002", "ann")}
    for dn, uid in entries.items():
        world.slapd.delete(dn)
        lines = person(uid).splitlines()[1:]
        attributes: dict[str, list[str]] = {}
        for each in lines:
            if each:
                name, _, value = each.partition(": ")
                attributes.setdefault(name, []).append(value)
        world.slapd.add(dn, **attributes)


def test_new_ids_keep_everybody_who_he_is(quick_world: MakeQuickWorld) -> None:
    """A rebuilt directory would make everybody missing and new; a rekey makes them themselves."""
    limits = {"limits": {"minimum_population": 2}}
    world = quick_world(people(3) + person("ann") + role("staff", "ann"))
    world.configure(**limits)
    world.upgrade()
    world.sync()
    before = {name: user["id"] for name, user in world.users().items()}
    roles = world.roles_of("ann")
    _rebuilt(world)
    held = world.sync(code=3)
    assert any("would count as missing" in reason for reason in held["reasons"])
    dry = world.json("rekey", ORGANIZATION, "--dry-run", code=1)
    assert {each["kind"] for each in dry["changes"]} == {"rekey"}
    told = world.json("rekey", ORGANIZATION)["rekey"]
    assert (told["paired"], told["unpaired"], told["ambiguous"]) == (4, 0, 0)
    report = world.sync()
    assert {key: report["users"][key] for key in ("created", "missing", "updated")} == {
        "created": 0,
        "missing": 0,
        "updated": 0,
    }
    assert {name: user["id"] for name, user in world.users().items()} == before
    assert world.roles_of("ann") == roles
    assert world.sync()["users"]["unchanged"] == 4


def test_who_has_no_entry_is_left_alone_and_listed(quick_world: MakeQuickWorld) -> None:
    """By DN a renamed person is not found; too many such are held until somebody approves."""
    world = quick_world(people(3) + person("ann"))
    world.configure(limits={"minimum_population": 2})
    world.upgrade()
    world.sync()
    _rebuilt(world)
    world.slapd.rename(f"uid=ann,{PEOPLE}", "uid=anna")
    report = world.json("rekey", ORGANIZATION, "--by", "dn", code=3)
    assert [each["username"] for each in report["rekey"]["people"]] == ["ann"]
    assert "1 of 4 people could not be paired" in report["reasons"][0]
    assert world.json("approve", report["run"])["rekey"]["paired"] == 3
    world.configure()
    after = world.sync()["users"]
    assert (after["created"], after["missing"]) == (1, 1)


# --- the end --------------------------------------------------------------------------------


def test_only_an_owner_ends_an_organization_by_its_name(quick_world: MakeQuickWorld) -> None:
    """Everything goes but the row, which keeps syncs off until somebody forgets it."""
    world = quick_world(people(3) + role("staff", "u00000"))
    world.upgrade()
    world.sync()
    _own(world, world.users()["u00001"]["id"])
    words = ("organization", "delete", ORGANIZATION, "--name")
    for more, why in (
        (("Acme", "--owner", "u00001"), "another name"),
        (("Acme Corp", "--owner", "u00000"), "no owner"),
        (("Acme Corp",), "which owner"),
    ):
        assert why in world.syncd(*words, *more, code=2).err
    assert world.json(*words, "Acme Corp", "--owner", "u00001")["deleted"]
    with _store(world) as database, database.read() as connection:
        for table in schema.metadata.sorted_tables:
            if table.name == "leases":
                continue
            if "organization_id" in table.c:
                left = connection.execute(
                    table.select().where(table.c.organization_id == ORGANIZATION).limit(1)
                ).first()
                assert left is None, table.name
            elif "run_id" in table.c:
                assert connection.execute(table.select().limit(1)).first() is None, table.name
    assert "was deleted" in world.syncd("sync", ORGANIZATION, code=2).err
    assert world.json("status", ORGANIZATION)[0]["pending"].startswith("it was deleted")
    shown = world.json("organization", "show", ORGANIZATION)
    assert (shown["counts"]["people"], shown["deleted_at"] is None) == (0, False)
    # Once more is no fault: after a sudden stop it goes on so.
    assert world.json(*words, "Acme Corp")["rows"] == 0
    world.json("organization", "forget", ORGANIZATION)
    assert world.sync()["users"]["created"] == 3


@ON_SQLITE
def test_show_tells_the_certificates(quick_world: MakeQuickWorld) -> None:
    """Subject, end and fingerprint of each configured certificate, as openssl tells them."""
    world = quick_world()
    world.upgrade()
    (shown,) = world.json("organization", "show", ORGANIZATION)["certificates"]
    der = ssl.PEM_cert_to_DER_cert(world.slapd.ca_pem)
    assert shown["sha256"] == hashlib.sha256(der).hexdigest()
    assert shown["subject"].startswith("CN=")
    context = ssl.create_default_context(cadata=world.slapd.ca_pem)
    (known,) = [each for each in context.get_ca_certs() if each]
    assert shown["not_after"] == _iso(str(known["notAfter"]))
    assert json.dumps(shown)


def _iso(value: str) -> str:
    moment = datetime.fromtimestamp(ssl.cert_time_to_seconds(value), tz=UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
