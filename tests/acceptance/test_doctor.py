"""What the commands say that look and change nothing: check, mappers, status, runs, config."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import ORGANIZATION, role
from tests.servers.slapd import (
    ANONYMOUS_ACCESS,
    OPEN_ACCESS,
    PAGES_200,
    PAGES_500,
    PASSWORD,
    PEOPLE,
    READER,
    ROLES,
    SUFFIX,
    Account,
    free_port,
    people,
    person,
)

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ("tests.acceptance.quick",)

PLANTED = {
    "bind": "planted-bind-secret",
    "store": "planted-store-secret",
    "client": "planted-client-secret",
}


def check(world: QuickWorld, *more: str, code: int = 0) -> dict[str, Any]:
    """Check the configuration; return what is said of the one organization."""
    report = world.json("check", *more, code=code)
    (organization,) = report["organizations"]
    assert report["ok"] is (code == 0)
    return dict(organization)


def told(world: QuickWorld, *words: str, code: int = 0) -> str:
    """Run a command and return what a person reads, without the lines' ends."""
    return " ".join(world.syncd(*words, code=code).out.split())


def bound_as(world: QuickWorld, account: Account, **ldap: Any) -> None:
    """Configure another bind account."""
    world.configure(ldap={"bind_dn": account.dn, "bind_credential": account.password} | ldap)


# --- check ----------------------------------------------------------------------------------


@ON_SQLITE
def test_check_needs_neither_directory_nor_store(quick_world: MakeQuickWorld) -> None:
    """A valid configuration is said to be valid without anybody being asked."""
    world = quick_world()
    world.slapd.stop()
    found = check(world)
    assert (found["id"], found["faults"], found["connect"]) == (ORGANIZATION, [], None)
    assert "All is well with 1 organization." in told(world, "check")


@ON_SQLITE
def test_check_names_all_faults_at_once(quick_world: MakeQuickWorld) -> None:
    """File, line and key of each, before anything is tried."""
    world = quick_world()
    world.configure(ldap={"user_search_filter": "(uid=*", "page_sise": 5, "search_scope": "tree"})
    answer = world.syncd("--json", "check", code=2)
    keys = {fault["key"].rpartition(".")[2] for fault in answer.document["error"]["faults"]}
    assert {"page_sise", "search_scope", "user_search_filter"} <= keys
    assert all(fault["line"] for fault in answer.document["error"]["faults"])
    assert "page_sise" in answer.err


@ON_SQLITE
def test_the_doctor_says_what_the_directory_is_and_offers(quick_world: MakeQuickWorld) -> None:
    """Vendor, controls, encryption, paging, and an example of a person as a sync would have him."""
    world = quick_world(people(60) + role("staff", "u00000"), overlays=["memberof", "syncprov"])
    world.configure(ldap={"vendor": "openldap"})
    found = check(world, "--connect")
    connect = found["connect"]
    assert connect["url"] == world.slapd.tls_url
    assert (connect["vendor_configured"], connect["vendor_detected"]) == ("openldap", "openldap")
    assert connect["naming_contexts"] == [SUFFIX]
    controls = {each["name"]: each["offered"] for each in connect["controls"]}
    assert controls["paged results"]
    assert not controls["show deleted"]
    assert connect["tls"]["days_left"] in {29, 30}
    assert connect["paging"]["accepted"] == connect["paging"]["configured"] == 1000
    users = connect["users"]
    assert users["sampled"] == 50
    assert {each["name"]: each["share"] for each in users["attributes"]}["mail"] == 1.0
    example = connect["example"]["record"]
    assert example["username"].startswith("u000")
    assert example["email"] == f"{example['username']}@example.test"
    assert connect["changes"]["kind"] == "syncrepl"
    assert [each for each in found["advice"] if "certificate" not in each] == []
    text = told(world, "check", "--connect")
    assert "looks like openldap, configured as openldap" in text
    assert f"bound as {READER.dn}" in text
    assert "1,000 entries a page" in text
    assert "by syncrepl: the server offers content synchronization" in text
    assert "entryUUID: unique" in text
    assert f"One user, mapped: uid={example['username']},{PEOPLE}" in text
    assert "All is well" in text


@ON_SQLITE
def test_the_doctor_advises_another_vendor(quick_world: MakeQuickWorld) -> None:
    """A server that is not what it was configured as is named, with the key to set."""
    world = quick_world(people(1))
    found = check(world, "--connect")
    assert any("set vendor: openldap for its defaults" in each for each in found["advice"])
    text = told(world, "check", "--connect")
    assert "advice: the server is OpenLDAP, but vendor is other: set vendor: openldap" in text


@ON_SQLITE
@pytest.mark.parametrize(
    ("account", "configured", "accepted", "advice"),
    [
        (PAGES_500, 500, 500, None),
        (PAGES_500, 1000, 500, "page size 1000 refused; 500 accepted: set page_size: 500"),
        (PAGES_200, 1000, None, "set a smaller page_size"),
    ],
    ids=["accepted", "halved", "refused"],
)
def test_the_doctor_finds_the_page_size_that_an_account_may_have(
    quick_world: MakeQuickWorld,
    account: Account,
    configured: int,
    accepted: int | None,
    advice: str | None,
) -> None:
    """Pages above the account's limit are refused at once; the report says what works instead."""
    world = quick_world(people(3))
    bound_as(world, account, page_size=configured)
    found = check(world, "--connect")
    paging = found["connect"]["paging"]
    assert (paging["configured"], paging["accepted"]) == (configured, accepted)
    about_pages = [each for each in found["advice"] if "page" in each]
    assert bool(about_pages) is bool(advice)
    assert advice is None or advice in about_pages[0]


@ON_SQLITE
def test_the_doctor_sees_what_the_account_may_not_read(quick_world: MakeQuickWorld) -> None:
    """Attributes behind an access rule are listed as not seen; a hidden id is advised about."""
    world = quick_world(people(3))
    world.allow(f"access to attrs=givenName,entryUUID by * none\n{OPEN_ACCESS}")
    found = check(world, "--connect")
    shares = {each["name"]: each["share"] for each in found["connect"]["users"]["attributes"]}
    assert (shares["givenName"], shares["entryUUID"], shares["sn"]) == (0.0, 0.0, 1.0)
    assert found["connect"]["example"] is None
    assert any("entryUUID" in each for each in found["advice"])
    text = told(world, "check", "--connect")
    seen = text.partition("not seen ")[2].partition(" identity")[0]
    assert {"givenName", "entryUUID"} <= set(seen.split(", "))


@ON_SQLITE
def test_the_doctor_says_why_nobody_is_found(quick_world: MakeQuickWorld) -> None:
    """An empty users DN, a filter that turns everybody away, a base that is not there."""
    world = quick_world(people(2))
    world.configure(ldap={"user_search_filter": "(employeeType=staff)"})
    found = check(world, "--connect")
    assert found["connect"]["users"]["bases"][0]["clause"] == "(employeeType=staff)"
    assert any("do not match (employeeType=staff)" in each for each in found["advice"])
    world.configure(ldap={"users_dn": f"ou=nowhere,{SUFFIX}", "import_roles": {"roles_dn": ROLES}})
    found = check(world, "--connect")
    assert found["connect"]["users"]["bases"][0]["exists"] is False
    assert any(f"ou=nowhere,{SUFFIX}" in each for each in found["advice"])


@ON_SQLITE
def test_an_anonymous_bind_is_advised_against(quick_world: MakeQuickWorld) -> None:
    """It works where the directory allows it, and the report says what is wrong with it."""
    world = quick_world(people(1), access=ANONYMOUS_ACCESS)
    world.configure(ldap={"bind_type": "anonymous", "bind_dn": ..., "bind_credential": ...})
    found = check(world, "--connect")
    assert found["connect"]["bind_dn"] is None
    assert any("the bind is anonymous" in each for each in found["advice"])
    assert "nobody (anonymous)" in told(world, "check", "--connect")


@ON_SQLITE
def test_the_doctor_says_how_changes_will_be_found(quick_world: MakeQuickWorld) -> None:
    """What is used and why; a way that the directory does not offer is a fault."""
    world = quick_world(people(1))
    changes = check(world, "--connect")["connect"]["changes"]
    assert changes["kind"] == "modify_timestamp"
    assert "load the syncprov overlay" in changes["because"]
    assert "by modify_timestamp: syncrepl cannot be used" in told(world, "check", "--connect")
    world.configure(ldap={"change_detection": "syncrepl"})
    found = check(world, "--connect", code=2)
    assert "load the syncprov overlay" in found["faults"][0]
    assert found["connect"]["users"]["sampled"] == 1
    world.configure(ldap={"change_detection": "usn_changed"})
    assert "set uuid_ldap_attribute: objectGUID" in check(world, code=2)["faults"][0]


@ON_SQLITE
def test_a_directory_that_cannot_be_used_fails_the_check(quick_world: MakeQuickWorld) -> None:
    """A wrong password is a fault of the configuration, a silent server one of the directory."""
    world = quick_world(people(1))
    world.configure(ldap={"bind_credential": PLANTED["bind"]})
    refused = check(world, "--connect", code=2)
    assert refused["connect"]["error"]["code"] == "bind_rejected"
    assert PLANTED["bind"] not in json.dumps(refused)
    world.configure(ldap={"connection_url": f"ldaps://127.0.0.1:{free_port()}"})
    gone = check(world, "--connect", code=4)
    assert gone["connect"]["error"]["code"] == "directory_unavailable"
    assert "Not all is well" in told(world, "check", "--connect", code=4)


# --- mappers --------------------------------------------------------------------------------


@ON_SQLITE
def test_the_mapper_types_are_told_with_options_and_examples(quick_world: MakeQuickWorld) -> None:
    """Each example is YAML that a check takes as it stands."""
    world = quick_world()
    types = {each["name"]: each for each in world.json("mappers")}
    assert {"user-attribute", "full-name", "hardcoded-attribute", "hardcoded-role"} <= set(types)
    assert all(each["summary"] for each in types.values())
    examples = [yaml.safe_load(each["example"]) for each in types.values()]
    mappers = [mapper for each in examples for mapper in each.get("mappers", ())]
    assert {mapper["type"] for mapper in mappers} >= {"user-attribute", "hardcoded-role"}
    # Several examples may have one name; the template takes the place of the predefined mapper.
    for number, mapper in enumerate(mappers):
        template = mapper["type"] == "username-template"
        mapper["name"] = "username" if template else f"{number} {mapper['name']}"
    provider = {
        "issuer": "https://login.example.org/",
        "client_id": "syncd",
        "client_secret": "the secret of a test",
        "authorization_url": "https://login.example.org/authorize",
        "token_url": "https://login.example.org/token",
        "jwks_url": "https://login.example.org/jwks",
    }
    world.configure(mappers=mappers, idp=provider)
    check(world)
    assert "user-attribute" in told(world, "mappers")


@ON_SQLITE
def test_mappers_can_be_tried_on_one_entry(quick_world: MakeQuickWorld) -> None:
    """What one entry becomes, field by field, and nothing is stored."""
    world = quick_world(person("ann", sn="Müller"))
    tried = world.json("mappers", "try", ORGANIZATION, "--user", "ANN")
    assert tried["dn"] == f"uid=ann,{PEOPLE}"
    assert tried["record"]["last_name"] == "Müller"
    fields = {each["field"]: each["attribute"] for each in tried["fields"]}
    assert fields["email"] == "mail"
    assert "Müller" in told(world, "mappers", "try", ORGANIZATION, "--user", "ann")
    missing = world.json("mappers", "try", ORGANIZATION, "--user", "ghost", code=7)
    assert "syncd explain acme ghost" in missing["error"]["message"]
    assert world.users() == {}


# --- status and runs --------------------------------------------------------------------------


@pytest.mark.rule("2.16.1", server="openldap")
def test_status_and_runs_say_what_was_done(quick_world: MakeQuickWorld) -> None:
    """One run from first to last: in the status, in the list, and with its changes by its id."""
    world = quick_world(people(3) + role("staff", "u00001"))
    (before,) = world.json("status")
    assert (before["last_run"], before["users"]) == (None, {"enabled": 0, "disabled": 0})
    done = world.sync()
    (status,) = world.json("status", ORGANIZATION)
    assert (status["organization"], status["name"]) == (ORGANIZATION, "Acme Corp")
    assert status["last_run"]["run"] == done["run"]
    assert status["users"] == {"enabled": 3, "disabled": 0}
    assert (status["pending"], status["paused"], status["lease"]) == (None, None, None)
    (run,) = world.json("runs", ORGANIZATION)
    assert (run["run"], run["status"]) == (done["run"], "done")
    shown = world.json("runs", "show", done["run"])
    assert shown["users"] == done["users"]
    assert {(each["kind"], each["username"]) for each in shown["changes"]} == {
        *(("create", f"u0000{number}") for number in range(3)),
        ("grant", "u00001"),
    }
    for words in (("status",), ("status", ORGANIZATION)):
        assert ORGANIZATION in told(world, *words)
    assert f"{done['run']} full done" in told(world, "runs", ORGANIZATION)
    assert "u00001" in told(world, "runs", "show", done["run"])
    assert world.json("runs", "show", "r-999999", code=7)["error"]["code"] == "not_found"
    assert world.json("status", "nobody", code=7)["error"]["code"] == "not_found"


# --- configuration and secrets ----------------------------------------------------------------


@ON_SQLITE
def test_the_schema_of_the_configuration_is_json(quick_world: MakeQuickWorld) -> None:
    """With and without --json, and without any configuration that could be read."""
    world = quick_world()
    world.config.write_text("{broken")
    schema = world.syncd("config", "schema", code=0).document
    assert schema == world.json("config", "schema")
    assert "users_dn" in json.dumps(schema)


def _plant(world: QuickWorld) -> None:
    """Put a secret into every place that has one."""
    world.configure(
        ldap={"bind_credential": PLANTED["bind"]},
        idp={
            "issuer": "https://login.example.test/",
            "client_id": "syncd",
            "client_secret": PLANTED["client"],
            "authorization_url": "https://login.example.test/authorize",
            "token_url": "https://login.example.test/token",
            "jwks_url": "https://login.example.test/keys",
        },
    )
    daemon = {
        "store": {"url": f"postgresql+psycopg://syncd:{PLANTED['store']}@127.0.0.1:1/x"},
        "organizations": "organizations/*.yaml",
        "log": {"level": "debug", "format": "json", "searches": True},
    }
    world.config.write_text(yaml.safe_dump(daemon))


@pytest.mark.rule("2.16.3", server="openldap")
@ON_SQLITE
def test_planted_secrets_are_never_told(quick_world: MakeQuickWorld) -> None:
    """At no log level, in no error, no traceback, no logged search, with --json and without."""
    world = quick_world(people(2))
    account = f"cn={READER.name},{SUFFIX}"
    world.upgrade()
    _plant(world)
    world.slapd.modify(account, {"userPassword": [PLANTED["bind"]]})
    shown = world.syncd("config", "show", code=0)
    assert "bind_credential" in shown.out
    store = {"SYNCD_STORE__URL": world.store_url}
    answers = [
        shown,
        world.syncd("--json", "config", "show", code=0),
        world.syncd("--debug", "config", "show", code=0),
        world.syncd("--debug", "check", "--connect", code=0),
        # A store that cannot be reached, with its password in the URL.
        world.syncd("--debug", "--json", "status", code=4),
        world.syncd("-v", "sync", ORGANIZATION, code=0, **store),
        world.syncd("-v", "-v", "--json", "plan", ORGANIZATION, code=0, **store),
        world.syncd("--debug", "explain", ORGANIZATION, "u00000", code=0, **store),
    ]
    assert "ldapsearch" in answers[5].err
    # And where the directory refuses what it is told.
    world.slapd.modify(account, {"userPassword": [PASSWORD]})
    answers += [
        world.syncd("--debug", "sync", ORGANIZATION, code=2, **store),
        world.syncd("--json", "--debug", "check", "--connect", code=2),
        world.syncd("-v", "mappers", "try", ORGANIZATION, "--user", "u00000", code=2),
    ]
    assert "Traceback" in answers[8].err
    told_so_far = "".join(answer.out + answer.err for answer in answers)
    assert [name for name, secret in PLANTED.items() if secret in told_so_far] == []
