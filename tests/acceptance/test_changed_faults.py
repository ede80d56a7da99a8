"""A changed-user sync of a directory that fails takes nobody away and forgets no change."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.changing import (
    KINDS,
    LISTING,
    STAMPS,
    SYNCREPL,
    changed,
    differences,
    gone,
    listing,
    present,
)
from tests.acceptance.preloaded import QuickWorld
from tests.acceptance.trouble import (
    PAGE_SIZE,
    as_json,
    check_invariants,
    content,
    told,
    uid,
)
from tests.acceptance.world import ORGANIZATION, PATIENCE_SECONDS, member_dn, role
from tests.conftest import _migrate
from tests.servers.fault_proxy import Break, FaultProxy, Faults, element
from tests.servers.slapd import ADMIN, PEOPLE, READER, ROLES, SUFFIX, people, person

if TYPE_CHECKING:
    from tests.acceptance.changing import Changing
    from tests.acceptance.preloaded import MakeQuickWorld
    from tests.servers.slapd import Slapd

pytest_plugins = [
    "tests.acceptance.quick",
    "tests.acceptance.troubled",
    "tests.acceptance.changed_companies",
]

ON_SQLITE = pytest.mark.parametrize("stores", ["sqlite"], indirect=True)
# For worlds of one test, whose store is its own.
SQLITE_ALONE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
EITHER = pytest.mark.parametrize("kind", KINDS)
FIRST, MIDDLE, LAST = 1, 3, 4


SMALL = people(30) + role("staff", "u00001", "u00002") + role("temporary", "u00003")


def small(quick_world: MakeQuickWorld, kind: str, ldif: str = SMALL, **slapd: Any) -> QuickWorld:
    """Return a world of a directory that may be changed, after a full sync."""
    world = quick_world(ldif, overlays=("syncprov",), **slapd)
    world.configure(ldap={"change_detection": kind})
    assert world.sync()["status"] == "done"
    return world


def as_a_first_sync(world: QuickWorld) -> None:
    """Check that the store knows what a first sync into an empty one would."""
    found = content(world.store_url)
    folder = world.folder.parent / "first"
    folder.mkdir()
    url = f"sqlite:///{folder}/store.db"
    _migrate(url)
    first = QuickWorld(folder, world.slapd, url)
    first.commands = world.commands
    first.sync()
    assert not (wrong := differences(found, content(url))), wrong


def of_people(kind: str, **faults: Any) -> Faults:
    """Return faults of the listing of changed people."""
    return Faults(base=PEOPLE, search=LISTING[kind], **faults)


def of_roles(kind: str, **faults: Any) -> Faults:
    """Return faults of the listing of changed roles."""
    return Faults(base=ROLES, search=LISTING[kind], **faults)


# Each code on each page, and each way of breaking off, is met in the tests of listings.
FAULTS: dict[str, list[dict[str, Any]]] = {
    STAMPS: [
        {"code_page": FIRST, "code": 3},
        {"code_page": FIRST, "code": 52},
        {"code_page": MIDDLE, "code": 51},
        {"code_page": LAST, "code": 4},
        {"code_page": LAST, "code": 11},
        {"break_page": MIDDLE, "how": Break.RESET},
    ],
    SYNCREPL: [
        *({"code_page": FIRST, "code": code} for code in (3, 4, 11, 51, 52)),
        *({"break_page": FIRST, "how": how} for how in (Break.RESET, Break.SILENCE)),
    ],
}
WORDS = {
    Break.RESET: "broke the connection",
    Break.SILENCE: "did not answer for 1 seconds",
}


@EITHER
@pytest.mark.rule("2.1.2", server="proxy")
@pytest.mark.rule("2.6.2", server="proxy")
def test_a_listing_of_changes_that_breaks_off_takes_nobody_away(
    changing: Changing, kind: str
) -> None:
    """What it brought is there, the watermark stays, and a whole one at last has the rest."""
    world = changing.world(kind, Faults())
    some = FAULTS[kind] if changing.stores.kind == "sqlite" else FAULTS[kind][3:6:2]
    faults = [of_people(kind, **fault) for fault in some]
    for fault in faults:
        changing.proxy.faults = fault
        report = changed(world, code=4)
        assert (report["mode"], report["status"]) == ("changed", "done"), fault
        assert (report["listing"], report["absences"]) == ("truncated", "held"), fault
        assert report["promoted_because"] is None, fault
        found = listing(report, "users")
        code = fault.code if fault.code_page else None
        assert (found["verdict"], found["result_code"]) == ("truncated", code), fault
        words = f"({code})" if code else WORDS[fault.how]
        assert any(words in reason for reason in report["reasons"]), (fault, report["reasons"])
        assert report["users"]["missing"] == report["memberships"]["removed"] == 0, fault
        changing.nothing_lost(world, kind)
    changing.made_good(world, kind)


@EITHER
@ON_SQLITE
@pytest.mark.rule("2.6.2", server="proxy")
def test_a_listing_of_changed_roles_that_breaks_off_takes_no_role_away(
    changing: Changing, kind: str
) -> None:
    """People are brought up to date, and neither they nor their roles are taken away."""
    world = changing.world(kind, Faults())
    for fault, words in (
        (of_roles(kind, code_page=1, code=4), "(4)"),
        (of_roles(kind, break_page=1, how=Break.CLOSE), "closed the connection"),
        (
            of_roles(kind, no_paging_from=1),
            "paging control" if kind == STAMPS else "no Sync Done control",
        ),
    ):
        changing.proxy.faults = fault
        report = changed(world, code=4)
        assert (report["mode"], report["status"], report["absences"]) == (
            "changed",
            "done",
            "held",
        )
        assert listing(report, "users")["verdict"] == "complete"
        assert listing(report, "import roles")["verdict"] == "truncated"
        assert any(words in reason for reason in report["reasons"]), (fault, report["reasons"])
        found = changing.nothing_lost(world, kind)
        joined = set(found["people"]) - set(changing.before[kind]["people"])
        assert changing.ids(1, 2, 90) <= joined
    changing.made_good(world, kind)


@ON_SQLITE
@pytest.mark.parametrize(
    ("kind", "how"), [(STAMPS, "killed"), (SYNCREPL, "killed"), (SYNCREPL, "paused")]
)
def test_a_directory_that_dies_in_the_middle_of_its_changes_takes_nobody_away(
    changing: Changing, kind: str, how: str
) -> None:
    """Between people and roles, too: nothing is written, and the next one has everything."""
    page = {STAMPS: LAST, SYNCREPL: FIRST}[kind]
    world = changing.world(kind, of_people(kind, hold_page=page))
    slapd = changing.worlds.slapd
    with world.start(*as_json("--changed")) as process:
        assert changing.proxy.reached.wait(PATIENCE_SECONDS)
        with gone(slapd) if how == "killed" else slapd.paused():
            changing.proxy.go.set()
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 4, (out, err)
    report = json.loads(out)
    assert (report["mode"], report["status"]) == ("changed", "failed")
    assert len(told(err)) == 1, err
    changing.nothing_lost(world, kind)
    # slapd forgets, when it is killed, how far it had come, until the next write tells it.
    slapd.modify(member_dn(uid(4)), {"description": [f"{how} by now"]})
    changing.made_good(world, kind)


@EITHER
@ON_SQLITE
def test_a_directory_that_is_gone_before_the_lookups_takes_nobody_away(
    changing: Changing, kind: str
) -> None:
    """Whoever is said to be gone cannot be looked up: nothing of that is forgotten."""
    fault = Faults(
        base=PEOPLE,
        search=LISTING[kind] + 1,
        plain=True,
        break_page=1,
        how=Break.RESET,
        refuse=True,
    )
    world = changing.world(kind, fault)
    answer = world.syncd(*as_json("--changed"), code=4)
    report = answer.document
    assert (report["status"], report["error"]["code"]) == ("failed", "directory_unavailable")
    # A full run was to settle it, and found the directory gone as well.
    superseded, failed = world.json("runs", ORGANIZATION)[1::-1]
    assert (superseded["mode"], superseded["status"]) == ("changed", "superseded")
    assert "could not be looked up" in superseded["reasons"][0]
    assert failed["mode"] == "full"
    changing.nothing_lost(world, kind)
    changing.made_good(world, kind)


@ON_SQLITE
@pytest.mark.rule("2.6.5", server="proxy")
@pytest.mark.parametrize("base", [PEOPLE, ROLES])
def test_a_refused_cookie_makes_it_a_full_run_that_takes_nobody_away(
    changing: Changing, base: str
) -> None:
    """Whom the full run misses may be out of sight: that waits for a person, and then goes on."""
    fault = Faults(base=base, search=LISTING[SYNCREPL], code_page=1, code=4096)
    world = changing.world(SYNCREPL, fault)
    report = changed(world, code=3)
    assert (report["mode"], report["promoted_reason"]) == ("full", "cookie_refused")
    assert "4096" in report["promoted_because"]
    assert (report["status"], report["absences"]) == ("blocked", "held")
    assert report["users"]["missing"] == 2
    found = changing.nothing_lost(world, SYNCREPL)
    assert found["people"] == changing.before[SYNCREPL]["people"]
    changing.proxy.faults = Faults()
    approved = world.json("approve", report["run"])
    assert (approved["status"], approved["users"]["missing"]) == ("done", 2)
    found = check_invariants(world.store_url, changing.after)
    assert not (wrong := differences(found, changing.after)), wrong
    last = changed(world)
    assert (last["mode"], last["users"]["updated"]) == ("changed", 0)


GARBAGE = element(0x30, element(0x04, b"1.3.6.1.4.1.4203.1.9.1.3") + element(0x04, b"garbage"))
SAID = "The server's answer is no content synchronization"


@ON_SQLITE
@pytest.mark.rule("2.6.2", server="proxy")
def test_an_answer_that_is_no_content_synchronization_concludes_nothing(
    changing: Changing,
) -> None:
    """Controls that are missing or cannot be read: entries are taken, and nobody is taken away."""
    world = changing.world(SYNCREPL, Faults())
    for controls in (
        {"entry_controls": b""},
        {"done_controls": b""},
        {"done_controls": element(0xA0, GARBAGE)},
    ):
        changing.proxy.faults = of_people(SYNCREPL, **controls)
        report = changed(world, code=4)
        assert (report["mode"], report["status"], report["absences"]) == (
            "changed",
            "done",
            "held",
        ), controls
        assert listing(report, "users")["verdict"] == "truncated"
        assert any(SAID in reason for reason in report["reasons"]), report["reasons"]
        changing.nothing_lost(world, SYNCREPL)
    changing.made_good(world, SYNCREPL)


# --- a directory of the test's own ----------------------------------------------------------


@SQLITE_ALONE
@pytest.mark.rule("2.6.8", server="openldap")
def test_a_provider_that_was_restarted_has_lost_nothing(quick_world: MakeQuickWorld) -> None:
    """It does not know who was deleted, names who is there, and the others are looked up."""
    world = small(quick_world, SYNCREPL)
    slapd = world.slapd
    slapd.delete(member_dn("u00000"), f"cn=temporary,{ROLES}")
    slapd.modify(member_dn("u00001"), {"sn": ["Changed"]})
    slapd.stop()
    slapd.start()
    report = changed(world)
    assert (report["mode"], report["status"]) == ("changed", "done")
    assert (report["users"]["updated"], report["users"]["missing"]) == (1, 1)
    as_a_first_sync(world)


def rebuild(slapd: Slapd, ldif: str) -> None:
    """Load the same people into an empty directory."""
    slapd.stop()
    shutil.rmtree(slapd.folder / "db")
    (slapd.folder / "db").mkdir()
    slapd._load(slapd._base_ldif() + ldif)
    slapd.start()


@SQLITE_ALONE
@pytest.mark.rule("2.1.3", server="openldap")
def test_a_provider_that_was_rebuilt_takes_nobody_away(quick_world: MakeQuickWorld) -> None:
    """Everybody has another id there: a full run says what it would do, and does nothing."""
    world = small(quick_world, SYNCREPL)
    before = present(content(world.store_url))
    rebuild(world.slapd, SMALL)
    report = changed(world, code=3)
    assert (report["mode"], report["status"], report["absences"]) == ("full", "blocked", "held")
    assert report["promoted_reason"] in {"ground", "clock_backwards"}
    assert present(content(world.store_url)) == before
    # It stays so until somebody looks.
    again = changed(world, code=3)
    assert (again["promoted_reason"], again["run"]) == ("blocked_plan", report["run"])
    assert present(content(world.store_url)) == before


READERS = f"cn=readers,ou=policies,{SUFFIX}"
BY_GROUP = f"""
access to attrs=userPassword by anonymous auth by * none
access to dn.children="{PEOPLE}" filter="(employeeType=hidden)"
  by group/groupOfNames/member="{READERS}" read by * none
access to * by dn.children="{SUFFIX}" read by anonymous auth by * none
"""


@SQLITE_ALONE
@pytest.mark.rule("2.1.4", server="openldap")
@pytest.mark.parametrize(("kind", "seen"), [(SYNCREPL, 2), (STAMPS, 0)], ids=["few", "nobody"])
def test_a_right_that_is_lost_for_a_while_takes_nobody_away(
    quick_world: MakeQuickWorld, kind: str, seen: int
) -> None:
    """Who cannot be seen any more is no leaver; a full run finds that out, and is held."""
    hidden = "".join(
        person(uid(number), employeeType="staff" if number < seen else "hidden")
        for number in range(30)
    )
    readers = role("readers", READER.dn, container=f"ou=policies,{SUFFIX}")
    world = small(quick_world, kind, hidden + readers, access=BY_GROUP)
    slapd = world.slapd
    slapd.modify(READERS, {"member": [ADMIN]})
    for number in (0, 2, 29):
        slapd.modify(member_dn(uid(number)), {"sn": ["Changed"]})
    before = world.sql("select value from watermarks")
    for reason in ("out_of_sight", "blocked_plan"):
        report = changed(world, code=3)
        assert (report["mode"], report["promoted_reason"]) == ("full", reason)
        assert (report["status"], report["users"]["missing"]) == ("blocked", 30 - seen)
        assert len(world.living()) == 30
    assert world.sql("select value from watermarks") == before
    slapd.modify(READERS, {"member": [READER.dn]})
    report = changed(world)
    assert (report["promoted_reason"], report["status"]) == ("blocked_plan", "done")
    as_a_first_sync(world)
    assert changed(world)["mode"] == "changed"


@EITHER
@SQLITE_ALONE
@pytest.mark.rule("2.10.1", server="proxy")
def test_a_group_whose_people_were_not_read_whole_keeps_its_members(
    quick_world: MakeQuickWorld, kind: str
) -> None:
    """Told by the people's own entries, a changed group takes nobody out before all were read."""
    world = quick_world(people(12) + role("staff"), overlays=("memberof", "syncprov"))
    slapd, staff = world.slapd, f"cn=staff,{ROLES}"
    # The overlay knows what happens while the server runs.
    slapd.modify(staff, {"member": [member_dn(uid(number)) for number in range(8)]})
    strategy = {
        "roles_dn": ROLES,
        "user_roles_retrieve_strategy": "get_from_user_member_of",
        "membership_attribute_type": "member_of",
    }
    with FaultProxy(slapd.port) as proxy:
        world.url = proxy.url
        world.configure(
            ldap={"change_detection": kind, "import_roles": strategy, "page_size": 3},
            limits={"revoke": None, "members_per_group": None},
        )
        world.sync()
        before = world.roles_held()
        slapd.modify(staff, {"member": [member_dn(uid(number)) for number in range(4, 12)]})
        watermark = world.sql("select value from watermarks")
        faults_of: dict[str, dict[str, Any]] = {
            STAMPS: {"code_page": 2, "code": 4},
            SYNCREPL: {"break_page": 2, "how": Break.RESET},
        }
        fault = faults_of[kind]
        proxy.faults = Faults(base=PEOPLE, search=LISTING[kind] + 1, **fault)
        report = changed(world, code=4)
        assert (report["mode"], report["status"]) == ("changed", "done")
        assert (report["listing"], report["absences"]) == ("truncated", "held")
        assert listing(report, "members of import roles")["verdict"] == "truncated"
        assert report["memberships"]["removed"] == 0
        held = world.roles_held()
        assert all(held[name] >= roles for name, roles in before.items())
        assert world.sql("select value from watermarks") == watermark
        proxy.faults = Faults()
        done = changed(world)
        assert (done["mode"], done["status"], done["listing"]) == ("changed", "done", "complete")
        held = world.roles_held()
        assert {name for name in held if held[name]} == {uid(number) for number in range(4, 12)}


@SQLITE_ALONE
def test_a_role_that_goes_while_it_is_needed_is_settled_by_a_full_run(
    quick_world: MakeQuickWorld,
) -> None:
    """Somebody moved, and the role that named him is gone before it could be read again."""
    ldif = people(30) + role("staff", "u00001") + role("crew", "u00005")
    world = small(quick_world, SYNCREPL, ldif)
    slapd = world.slapd
    slapd.rename(member_dn("u00005"), "uid=moved")
    slapd.modify(f"cn=staff,{ROLES}", {"member": [member_dn("u00002")]})
    fault = of_roles(SYNCREPL, hold_page=1)
    with FaultProxy(slapd.port, fault) as proxy:
        world.url = proxy.url
        world.configure(ldap={"change_detection": SYNCREPL})
        with world.start(*as_json("--changed")) as process:
            assert proxy.reached.wait(PATIENCE_SECONDS)
            slapd.delete(f"cn=crew,{ROLES}")
            proxy.go.set()
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, (out, err)
    report = json.loads(out)
    assert (report["mode"], report["promoted_reason"]) == ("full", "role_gone")
    assert report["status"] == "done"
    as_a_first_sync(world)


def test_the_pages_of_these_tests_are_what_they_are_called(changing: Changing) -> None:
    """By stamps, all that was loaded just now is read again: four pages of it."""
    world = changing.world(STAMPS)
    found = listing(changed(world), "users")
    assert (found["pages"], found["entries"] > (LAST - 1) * PAGE_SIZE) == (LAST, True)
