"""What a changed-user sync must not conclude from the little that it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import ORGANIZATION, member_dn, role
from tests.servers.slapd import OPEN_ACCESS, PEOPLE, ROLES, SUFFIX, people, person

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ("tests.acceptance.quick",)

STAMPS, SYNCREPL = "modify_timestamp", "syncrepl"
EITHER = pytest.mark.parametrize("kind", [STAMPS, SYNCREPL])
# Long ago, so that the times of modification tell of nobody but those who change.
OLD = "createTimestamp: 20200101000000Z\nmodifyTimestamp: 20200101000000Z\n\n"
STAFF = {"staff": ["import roles"]}
BY_NUMBER = {"username_ldap_attribute": "employeeNumber"}
MEMBER_OF = {"roles_dn": ROLES, "user_roles_retrieve_strategy": "get_from_user_member_of"}
EAST = f"ou=east,{PEOPLE}"


def _world(
    quick_world: MakeQuickWorld,
    kind: str,
    ldif: str,
    *,
    ldap: dict[str, Any] | None = None,
    overlays: tuple[str, ...] = (),
    sessionlog: int = 1000,
    **organization: Any,
) -> QuickWorld:
    aged = "".join(f"{record}\n{OLD}" for record in ldif.split("\n\n") if record.strip())
    world = quick_world(aged, overlays=(*overlays, "syncprov"), sessionlog=sessionlog)
    world.configure(ldap={"change_detection": kind, **(ldap or {})}, **organization)
    world.sync()
    return world


def _changed(world: QuickWorld, code: int = 0) -> Any:
    report = world.json("sync", ORGANIZATION, "--changed", code=code)
    assert report["mode"] == "changed", report["promoted_because"]
    return report


def _add(world: QuickWorld, rdn: str, **attributes: str) -> None:
    entry = {"objectClass": "inetOrgPerson", "cn": "New", "sn": "New", **attributes}
    world.slapd.add(f"{rdn},{PEOPLE}", **entry)


def _members(world: QuickWorld, name: str, *members: str) -> None:
    world.slapd.modify(f"cn={name},{ROLES}", {"member": [member_dn(each) for each in members]})


@EITHER
@ON_SQLITE
@pytest.mark.rule("2.6.1", server="openldap")
def test_a_renamed_unit_takes_nobodys_role(quick_world: MakeQuickWorld, kind: str) -> None:
    """The directory says nothing of those below it; who would lose a role is read anew."""
    unit = f"dn: {EAST}\nobjectClass: organizationalUnit\nou: east\n\n"
    below = "".join(person(f"e{n}").replace(f",{PEOPLE}", f",{EAST}") for n in range(3))
    staff = role("staff", *(f"uid=e{n},{EAST}" for n in range(3)))
    world = _world(quick_world, kind, people(3) + unit + below + staff)
    world.slapd.rename(EAST, "ou=west")
    _members(world, "staff", *(f"uid=e{n},ou=west,{PEOPLE}" for n in (0, 1)))
    assert _changed(world)["memberships"]["removed"] == 1
    assert [world.roles_of(f"e{n}") for n in range(3)] == [STAFF, STAFF, {}]
    assert world.users()["e0"]["dn"] == f"uid=e0,ou=west,{PEOPLE}"


@EITHER
@ON_SQLITE
@pytest.mark.parametrize(
    ("policy", "known_bad"), [("keep", False), ("disable", True)], ids=["at once", "later"]
)
@pytest.mark.rule("2.13.4", server="openldap")
def test_somebody_in_quarantine_keeps_his_roles(
    quick_world: MakeQuickWorld, kind: str, policy: str, *, known_bad: bool
) -> None:
    """A moved entry that cannot be taken protects its person in the run that finds it and later."""
    world = _world(
        quick_world,
        kind,
        person("x1", employeeNumber="one")
        + person("x2", employeeNumber="two")
        + role("staff", "x1", "x2"),
        ldap=BY_NUMBER,
        deletion={"policy": policy},
        limits={"quarantine": None},
    )
    world.slapd.modify(f"uid=x1,{PEOPLE}", {"employeeNumber": []})
    world.slapd.rename(f"uid=x1,{PEOPLE}", "uid=y1")
    if known_bad:
        _changed(world, code=5)
    _members(world, "staff", "y1", "x2")
    assert _changed(world, code=5)["memberships"]["removed"] == 0
    assert world.roles_of("one") == STAFF


@EITHER
@ON_SQLITE
def test_a_name_whose_holder_cannot_be_read_stays_his(
    quick_world: MakeQuickWorld, kind: str
) -> None:
    """Who wants it waits in quarantine; the holder is looked up once and not over and over."""
    world = _world(
        quick_world,
        kind,
        "".join(person(f"x{n}", employeeNumber=f"name{n}") for n in range(6)),
        ldap=BY_NUMBER,
    )
    world.slapd.modify(f"uid=x1,{PEOPLE}", {"employeeNumber": []})
    _add(world, "uid=y1", uid="y1", employeeNumber="name1")
    assert _changed(world, code=5)["users"]["quarantined"] == 2
    assert world.quarantine() == {
        f"uid=x1,{PEOPLE}": "missing_username",
        f"uid=y1,{PEOPLE}": "username_taken",
    }


@EITHER
@ON_SQLITE
def test_nobody_gets_a_name_that_somebody_in_quarantine_wants(
    quick_world: MakeQuickWorld, kind: str
) -> None:
    """Of two entries of one name neither is taken because only one of them changed."""
    world = _world(quick_world, kind, people(5))
    for number in (1, 2):
        _add(world, f"cn=twin{number}", uid="twin", cn=f"twin{number}")
    _changed(world, code=5)
    world.slapd.modify(f"cn=twin1,{PEOPLE}", {"sn": ["Other"]})
    assert _changed(world, code=5)["users"]["created"] == 0
    assert set(world.quarantine().values()) == {"duplicate_username"}
    assert len(world.quarantine()) == 2


@ON_SQLITE
@pytest.mark.rule("2.13.2", server="openldap")
def test_an_entry_with_somebody_elses_id_does_not_become_him(quick_world: MakeQuickWorld) -> None:
    """Ids that administrators choose need not be unique; the first keeps record and roles."""
    world = _world(
        quick_world,
        STAMPS,
        "".join(person(f"x{n}", employeeNumber=f"{n}") for n in range(4)) + role("staff", "x1"),
        ldap={"uuid_ldap_attribute": "employeeNumber"},
    )
    _add(world, "uid=thief", uid="thief", employeeNumber="1")
    assert _changed(world, code=5)["users"]["updated"] == 0
    assert "thief" not in world.users()
    assert world.roles_of("x1") == STAFF
    assert world.quarantine() == {f"uid=thief,{PEOPLE}": "duplicate_id"}


@ON_SQLITE
@pytest.mark.rule("2.13.2", server="openldap")
def test_a_newcomer_under_an_old_dn_brings_the_leaver_nothing(quick_world: MakeQuickWorld) -> None:
    """Of another name and under the same DN: whoever lived there is looked up, and is missing."""
    ldif = "".join(person(f"x{n}", employeeNumber=f"name{n}") for n in range(4))
    world = _world(quick_world, STAMPS, ldif + role("staff", "x0"), ldap=BY_NUMBER)
    world.slapd.delete(f"uid=x1,{PEOPLE}")
    _add(world, "uid=x1", uid="x1", employeeNumber="other")
    _members(world, "staff", "x1")
    done = _changed(world)
    assert (done["users"]["created"], done["users"]["missing"]) == (1, 1)
    assert world.roles_held()["other"] == {"staff"}
    assert world.roles_of("name1") == {}


@EITHER
@ON_SQLITE
def test_a_renamed_group_keeps_nobody_who_left_it(quick_world: MakeQuickWorld, kind: str) -> None:
    """By memberOf a group is known by its DN; who held it under the old one is read anew."""
    world = _world(
        quick_world,
        kind,
        people(4) + role("other", "u00003"),
        overlays=("memberof",),
        ldap={"import_roles": MEMBER_OF},
    )
    # The overlay knows what happens while the server runs.
    members = [member_dn(name) for name in ("u00000", "u00001")]
    world.slapd.add(f"cn=staff,{ROLES}", objectClass="groupOfNames", cn="staff", member=members)
    _changed(world)
    assert world.roles_held()["u00000"] == {"staff"}
    _members(world, "staff", "u00001")
    world.slapd.rename(f"cn=staff,{ROLES}", "cn=crew")
    _changed(world)
    held = world.roles_held()
    assert (held["u00000"], held["u00001"]) == (set(), {"crew"})


@ON_SQLITE
@pytest.mark.rule("2.13.3", server="openldap")
def test_a_doubt_outlives_the_plan_that_waits_for_it(quick_world: MakeQuickWorld) -> None:
    """Neither a further changed sync nor a full one takes away what nobody has looked at."""
    world = _world(quick_world, STAMPS, people(30))
    world.sql("update watermarks set value = '20991231235959Z'")
    world.slapd.delete(f"uid=u00001,{PEOPLE}")
    words = ("sync", ORGANIZATION, "--changed")
    first = world.json(*words, code=3)
    assert first["promoted_reason"] == "clock_backwards"
    again = world.json(*words, code=3)
    assert (again["promoted_reason"], again["reasons"]) == ("blocked_plan", first["reasons"])
    # Another plan, by a sync of another kind: the older one gives way, its doubt does not.
    world.slapd.modify(f"uid=u00002,{PEOPLE}", {"sn": ["Other"]})
    full = world.sync(code=3)
    assert (full["run"] != first["run"], full["reasons"]) == (True, first["reasons"])
    assert world.users()["u00001"]["enabled"]
    world.json("approve", full["run"])
    assert not world.users()["u00001"]["enabled"]
    world.slapd.delete(f"uid=u00003,{PEOPLE}")
    assert world.sync()["users"]["missing"] == 1


@ON_SQLITE
@pytest.mark.rule("2.13.1", server="openldap")
def test_no_share_at_all_is_a_limit(quick_world: MakeQuickWorld) -> None:
    """A limit of 0 % holds the first one although nobody counts everybody for it."""
    limits = {"missing": {"percent": 0, "count": None}}
    world = _world(quick_world, SYNCREPL, people(30), limits=limits)
    world.slapd.delete(f"uid=u00001,{PEOPLE}")
    assert _changed(world, code=3)["status"] == "blocked"


@ON_SQLITE
@pytest.mark.rule("2.13.1", server="openldap")
def test_an_approval_takes_no_role_that_is_back(quick_world: MakeQuickWorld) -> None:
    """A role entry that was gone when the plan was made and is there again keeps its members."""
    world = _world(
        quick_world,
        SYNCREPL,
        people(30) + role("staff", *(f"u{number:05}" for number in range(25))) + role("other"),
    )
    world.slapd.rename(f"cn=staff,{ROLES}", "cn=staff", superior=SUFFIX)
    blocked = _changed(world, code=3)
    world.slapd.rename(f"cn=staff,{SUFFIX}", "cn=staff", superior=ROLES)
    done = world.json("approve", blocked["run"])
    assert done["memberships"]["removed"] == 0
    assert world.roles_of("u00001") == STAFF
    assert _changed(world)["memberships"]["removed"] == 0
    assert world.plan(code=0)["changes"] == []


@EITHER
@ON_SQLITE
@pytest.mark.rule("2.2.7", server="openldap")
def test_a_hidden_sentinel_holds_what_a_changed_sync_would_take(
    quick_world: MakeQuickWorld, kind: str
) -> None:
    """The account lost the right to see some: nobody is missing for it, by either way of asking."""
    sentinel = f"uid=sentinel,{PEOPLE}"
    world = _world(
        quick_world,
        kind,
        people(30) + person("sentinel") + role("staff", "u00002", "u00003"),
        ldap={"sentinels": [sentinel]},
        # Without a history the server names who is present, and the hidden are not.
        sessionlog=0,
    )
    hidden = 'access to dn.regex="uid=(sentinel|u00002),.*" by * none\n'
    world.allow(hidden + OPEN_ACCESS)
    _members(world, "staff", "u00003")
    world.slapd.modify(f"uid=u00001,{PEOPLE}", {"sn": ["Other"]})
    held = _changed(world, code=4)
    assert (held["absences"], held["users"]["updated"], held["users"]["missing"]) == ("held", 1, 0)
    assert sentinel in held["reasons"][0]
    assert world.users()["u00002"]["enabled"]
    assert world.roles_of("u00002") == STAFF
    world.allow()
    done = _changed(world)
    assert (done["absences"], done["memberships"]["removed"]) == ("none", 1)


@ON_SQLITE
@pytest.mark.rule("2.13.4", server="openldap")
def test_one_entry_that_cannot_be_read_again_stops_no_sync(quick_world: MakeQuickWorld) -> None:
    """An entry of the quarantine that became a reference is passed over; others are tried."""
    world = _world(quick_world, SYNCREPL, people(5))
    for number in (1, 2):
        _add(world, f"cn=twin{number}", uid="twin", cn=f"twin{number}")
    _changed(world, code=5)
    world.slapd.delete(f"cn=twin1,{PEOPLE}")
    world.slapd.add(
        f"cn=twin1,{PEOPLE}",
        objectClass=["referral", "extensibleObject"],
        cn="twin1",
        ref="ldap://127.0.0.1:1/cn=elsewhere",
    )
    world.sql("update quarantine set next_retry = '2001-01-01 00:00:00'")
    # The users listing has a reference in it, so it holds what it cannot prove.
    assert _changed(world, code=4)["users"]["created"] == 1
    assert "twin" in world.users()


@EITHER
@ON_SQLITE
@pytest.mark.rule("2.6.10", server="openldap")
def test_somebody_who_came_from_elsewhere_has_the_roles_he_was_given_there(
    quick_world: MakeQuickWorld, kind: str
) -> None:
    """The directory wrote his new DN into the role, and told of a new person alone."""
    east = "ou=east," + SUFFIX
    unit = f"dn: {east}\nobjectClass: organizationalUnit\nou: east\n\n"
    elsewhere = person("e0").replace(f",{PEOPLE}", f",{east}")
    world = _world(
        quick_world,
        kind,
        people(3) + unit + elsewhere + role("staff", f"uid=e0,{east}", "u00000"),
        overlays=("refint",),
    )
    world.slapd.rename(f"uid=e0,{east}", "uid=e0", superior=PEOPLE)
    report = _changed(world)
    assert report["memberships"]["added"] == 1
    assert world.roles_of("e0") == STAFF
