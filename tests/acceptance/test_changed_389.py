"""Changed-user syncs on a real 389 Directory Server, with the installed command."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import role
from tests.acceptance.world_389 import World389
from tests.servers.ds389 import DS389, ELSEWHERE
from tests.servers.slapd import PEOPLE, ROLES, people, person

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.preloaded import Commands

pytest_plugins = ("tests.acceptance.quick",)
pytestmark = ON_SQLITE

LOG, SYNC = KINDS = ("retro_changelog", "syncrepl")
EITHER = pytest.mark.parametrize("kind", KINDS)
UNIT = f"ou=north,{PEOPLE}"
CONTENT = (
    people(30)
    + f"dn: {UNIT}\nobjectClass: organizationalUnit\nou: north\n\n"
    + person("northerner", container=UNIT)
    + role("staff", "u00000", "u00001", "u00004")
    + role("doomed", "u00002")
)


class MakeWorld(Protocol):
    """Makes a world that has had its first full sync."""

    def __call__(self, kind: str, ldif: str = CONTENT, **ldap: Any) -> World389:
        """``kind`` is what ``auto`` has to come to."""


@pytest.fixture
def make_389(
    ds389_template: Path, commands: Commands, store_url: str, tmp_path: Path
) -> Iterator[MakeWorld]:
    """Make worlds over a 389 Directory Server of the test's own."""
    with ExitStack() as stack:

        def make(kind: str, ldif: str = CONTENT, **ldap: Any) -> World389:
            server = stack.enter_context(DS389(ds389_template, ldif=ldif))
            if kind == LOG:
                server.allow_changelog()
            world = World389(tmp_path / "syncd", server, store_url)  # type: ignore[arg-type]
            world.commands = commands
            world.configure(ldap=ldap)
            assert world.sync()["status"] == "done"
            assert world.sql("select distinct kind from watermarks") == [kind]
            return world

        yield make


def uid(name: str, container: str = PEOPLE) -> str:
    """Return somebody's DN."""
    return f"uid={name},{container}"


@EITHER
@pytest.mark.rule("2.1.4", server="389ds")
@pytest.mark.rule("2.8.1", server="389ds")
@pytest.mark.rule("2.8.7", server="389ds")
def test_every_change_arrives_at_once(make_389: MakeWorld, kind: str) -> None:
    """Who is new, changed, renamed, deleted, moved out or turned away; and who has which role."""
    world = make_389(kind)
    before = world.users()
    assert world.roles_of("u00001") == {"staff": ["import roles"]}
    server = world.slapd
    server.add(uid("new"), objectClass="inetOrgPerson", uid="new", cn="New", sn="New")
    server.modify(uid("u00005"), {"sn": ["Changed"]})
    server.rename(uid("u00001"), "uid=renamed")
    server.delete(uid("u00003"))
    server.rename(uid("u00004"), "uid=u00004", superior=ELSEWHERE)
    server.modify(uid("u00006"), {"employeeType": ["robot"]})
    server.modify(f"cn=staff,{ROLES}", {"member": [uid("renamed"), uid("u00007")]})
    server.delete(f"cn=doomed,{ROLES}")

    done = world.changed()

    assert (done["mode"], done["promoted_because"], done["absences"]) == (
        "changed",
        None,
        "applied",
    )
    counts = {name: done["users"][name] for name in ("created", "updated", "renamed", "missing")}
    assert counts == {"created": 1, "updated": 2, "renamed": 1, "missing": 3}
    causes = {
        change["username"]: change["cause"].partition(":")[0]
        for change in world.json("runs", "show", done["run"])["changes"]
        if change["username"] in {"u00003", "u00004", "u00006"}
    }
    assert causes == {"u00003": "gone", "u00004": "out_of_base", "u00006": "out_of_filter"}
    users = world.users()
    assert users["renamed"]["external_id"] == before["u00001"]["external_id"]
    assert users["u00005"]["last_name"] == "Changed"
    assert world.roles_of("renamed") == world.roles_of("u00007") == {"staff": ["import roles"]}
    assert world.roles_of("u00000") == world.roles_of("u00002") == {}
    # Moved back, somebody is who he was.
    server.rename(uid("u00004", ELSEWHERE), "uid=u00004", superior=PEOPLE)
    back = world.changed()
    assert (back["mode"], back["users"]["created"], back["users"]["enabled"]) == ("changed", 0, 1)
    assert world.users()["u00004"]["external_id"] == before["u00004"]["external_id"]


@EITHER
@pytest.mark.rule("2.8.1", server="389ds")
def test_an_unchanged_poll_takes_and_writes_nothing(make_389: MakeWorld, kind: str) -> None:
    """An empty refresh of 389 says that nobody is there; nobody is missed for it."""
    world = make_389(kind)
    journal = world.sql("select count(*) from journal")
    for _ in range(2):
        done = world.changed()
        assert (done["mode"], done["status"]) == ("changed", "done")
        assert not any(done["users"].values())
    assert world.sql("select count(*) from journal") == journal
    assert all(user["enabled"] for user in world.users().values())


@pytest.mark.rule("2.3.3", server="389ds")
def test_a_renamed_unit_makes_it_a_full_run(make_389: MakeWorld) -> None:
    """Who is below it is told of by nobody, and keeps record and roles."""
    world = make_389(LOG)
    world.slapd.rename(UNIT, "ou=norden")
    done = world.changed()
    assert (done["mode"], done["promoted_reason"], done["status"]) == (
        "full",
        "renamed_unit",
        "done",
    )
    assert world.users()["northerner"]["enabled"]
    assert done["users"]["missing"] == 0
    assert world.changed()["mode"] == "changed"


@pytest.mark.rule("2.8.2", server="389ds")
def test_a_trimmed_changelog_makes_it_a_full_run_whose_absences_wait(make_389: MakeWorld) -> None:
    """What happened in between is not told any more, so a person looks at who is missing."""
    world = make_389(SYNC)
    server = world.slapd
    for number in range(5):
        server.modify(uid(f"u0000{number}"), {"sn": ["Changed"]})
    server.delete(uid("u00009"))
    trimming = {"nsslapd-changelogmaxage": "1s", "nsslapd-changelog-trim-interval": "1s"}
    server.configure({"cn=retro changelog plugin,": trimming})
    server.wait_for_trimming()
    blocked = world.changed(code=3)
    assert (blocked["mode"], blocked["promoted_reason"]) == ("full", "history_gap")
    assert blocked["absences"] == "held"
    assert world.users()["u00009"]["enabled"]


@pytest.mark.rule("2.3.4", server="389ds")
def test_roles_that_people_name_follow_the_directory(make_389: MakeWorld) -> None:
    """MemberOf is written on the people, who are told of as changed."""
    roles = {
        "roles_dn": ROLES,
        "user_roles_retrieve_strategy": "get_from_user_member_of",
        "membership_attribute_type": "member_of",
    }
    world = make_389(LOG, import_roles=roles)
    assert world.roles_of("u00000") == {"staff": ["import roles"]}
    world.slapd.modify(f"cn=staff,{ROLES}", {"member": [uid("u00001"), uid("u00008")]})
    assert world.changed()["mode"] == "changed"
    holders = {name for name, held in world.roles_held().items() if "staff" in held}
    assert holders == {"u00001", "u00008"}


def test_the_doctor_tells_product_and_way(make_389: MakeWorld) -> None:
    """``check --connect`` names the product, how changes are found, and what does not fit."""
    world = make_389(SYNC)
    text = world.syncd("check", "--connect", code=0).out
    assert "389-Directory/" in text
    assert "looks like 389ds, configured as 389ds" in text
    assert "by syncrepl: " in text
    world.slapd.allow_changelog()
    world.configure(ldap={"vendor": "other"})
    (found,) = world.json("check", "--connect")["organizations"]
    assert found["connect"]["vendor_detected"] == "389ds"
    assert any("set vendor: 389ds for its defaults" in each for each in found["advice"])
    # By its default of another product this organization has another id.
    assert found["connect"]["changes"]["kind"] == "modify_timestamp"
    assert "nsUniqueId" in found["connect"]["changes"]["because"]
