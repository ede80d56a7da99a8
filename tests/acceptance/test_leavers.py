"""People who are not in the listing any more: who leaves, who comes back, who only seems to go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import role
from tests.servers.slapd import OPEN_ACCESS, PEOPLE, ROLES, SUFFIX, people

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ("tests.acceptance.quick",)

ELSEWHERE = f"ou=policies,{SUFFIX}"


def _why(user: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["source"], each["reason"]) for each in user["disabled_because"]]


def _move_out(world: QuickWorld, uid: str) -> None:
    world.slapd.rename(f"uid={uid},{PEOPLE}", f"uid={uid}", superior=ELSEWHERE)


def _move_back(world: QuickWorld, uid: str) -> None:
    world.slapd.rename(f"uid={uid},{ELSEWHERE}", f"uid={uid}", superior=PEOPLE)


@pytest.mark.rule("2.15.2", server="openldap")
@pytest.mark.rule("2.13.2", server="openldap")
@pytest.mark.rule("K16", server="openldap")
def test_one_leaver_of_five_is_missing_and_not_blocked(quick_world: MakeQuickWorld) -> None:
    """In a small organization a leaver passes: disabled, kept, and nothing more to do after."""
    world = quick_world(people(5) + role("staff", "u00000", "u00001"))
    world.sync()
    before = world.users()
    world.slapd.delete(f"uid=u00001,{PEOPLE}")
    done = world.sync()
    assert (done["status"], done["absences"]) == ("done", "applied")
    assert done["users"]["missing"] == 1
    after = world.users()
    assert not after["u00001"]["enabled"]
    assert _why(after["u00001"]) == [("directory", "missing")]
    assert after["u00001"]["id"] == before["u00001"]["id"]
    assert {name: user for name, user in after.items() if name != "u00001"} == {
        name: user for name, user in before.items() if name != "u00001"
    }
    (change,) = world.json("runs", "show", done["run"])["changes"]
    assert (change["kind"], change["username"]) == ("missing", "u00001")
    assert change["cause"].startswith("gone: ")
    assert world.plan(code=0)["changes"] == []


@pytest.mark.rule("2.13.2", server="openldap")
def test_a_person_who_comes_back_is_the_same_with_all_he_had(quick_world: MakeQuickWorld) -> None:
    """The same id lifts exactly what the absence had set; roles and his own id are as before."""
    world = quick_world(people(5) + role("staff", "u00000", "u00001"))
    world.sync()
    world.grant_by_hand("u00001", "Accountant")
    before = world.users()["u00001"]
    _move_out(world, "u00001")
    gone = world.sync()
    assert gone["users"]["missing"] == 1
    (change,) = world.json("runs", "show", gone["run"])["changes"]
    assert change["cause"].startswith("out_of_base: ")
    _move_back(world, "u00001")
    back = world.sync()
    assert back["users"]["enabled"] == 1
    assert back["users"]["created"] == 0
    assert world.users()["u00001"] == before | {
        # The moves are what the directory's own stamp tells, and nothing else has changed.
        "source_modified_at": world.users()["u00001"]["source_modified_at"]
    }


def test_a_return_lifts_no_restriction_but_its_own(quick_world: MakeQuickWorld) -> None:
    """Somebody whom an administrator disabled stays disabled when the directory has him again."""
    world = quick_world(people(5))
    world.sync()
    user_id = world.id_of("u00001")
    _move_out(world, "u00001")
    world.sync()
    world.sql(
        "insert into restrictions (user_id, source, reason, organization_id, since)"
        " values (:user_id, 'admin', 'disabled', 'acme', '2026-01-01 00:00:00')",
        user_id=user_id,
    )
    assert len(world.users()["u00001"]["disabled_because"]) == 2
    _move_back(world, "u00001")
    world.sync()
    user = world.users()["u00001"]
    assert user["id"] == user_id
    assert not user["enabled"]
    assert _why(user) == [("admin", "disabled")]


@pytest.mark.rule("2.13.3", server="openldap")
@pytest.mark.rule("2.15.1", server="openldap")
@ON_SQLITE
def test_an_empty_users_listing_is_held_until_somebody_looks(quick_world: MakeQuickWorld) -> None:
    """A filter typo that finds nobody is blocked, in the plan too; mended it leaves no trace."""
    world = quick_world(people(5))
    world.sync()
    before = world.users()
    world.configure(ldap={"user_search_filter": "(employeeType=emplyoee)"})
    assert world.plan(code=3)["status"] == "blocked"
    blocked = world.sync(code=3)
    assert (blocked["status"], blocked["absences"]) == ("blocked", "held")
    assert any("listing is empty while 5 people" in reason for reason in blocked["reasons"])
    assert world.users() == before
    (status,) = world.json("status", "acme")
    assert [plan["run"] for plan in status["blocked_plans"]] == [blocked["run"]]
    world.configure()
    assert world.sync()["users"]["unchanged"] == 5
    assert world.users() == before
    assert world.json("runs", "show", blocked["run"])["status"] == "superseded"


@pytest.mark.rule("K13", server="openldap")
@pytest.mark.rule("2.13.1", server="openldap")
def test_a_narrowed_filter_is_held_and_marks_people_missing_once_approved(
    quick_world: MakeQuickWorld,
) -> None:
    """The ground of the listing moved, so even one person out of filter is somebody's decision."""
    world = quick_world(people(5))
    world.sync()
    world.configure(ldap={"user_search_filter": "(!(uid=u00003))"})
    blocked = world.sync(code=3)
    assert blocked["users"]["missing"] == 1
    assert world.users()["u00003"]["enabled"]
    (change,) = blocked["changes"]
    assert change["cause"].startswith("out_of_filter: ")
    assert "(!(uid=u00003))" in change["cause"]
    approved = world.json("approve", blocked["run"])
    assert (approved["status"], approved["users"]["missing"]) == ("done", 1)
    assert _why(world.users()["u00003"]) == [("directory", "missing")]
    assert world.plan(code=0)["changes"] == []


@pytest.mark.rule("2.2.7", server="openldap")
@ON_SQLITE
def test_a_listing_without_its_sentinel_takes_nobody_away(quick_world: MakeQuickWorld) -> None:
    """What a healthy listing must contain and this one does not makes it prove no absence."""
    world = quick_world(people(5))
    world.configure(ldap={"sentinels": [f"uid=u00000,{PEOPLE}"]})
    world.sync()
    world.slapd.delete(f"uid=u00000,{PEOPLE}")
    world.slapd.delete(f"uid=u00001,{PEOPLE}")
    held = world.sync(code=4)
    assert held["listing"] == "unverified"
    assert (held["absences"], held["users"]["missing"]) == ("held", 0)
    assert sorted(world.living()) == [f"u{number:05}" for number in range(5)]


@pytest.mark.rule("2.13.4", server="openldap")
def test_nobody_goes_missing_whose_id_cannot_be_read(quick_world: MakeQuickWorld) -> None:
    """Five people lose their readable id: they go to quarantine and keep all that they have."""
    world = quick_world(people(12) + role("staff", "u00000", "u00011"))
    world.sync()
    before = world.users()
    hidden = f'access to dn.regex="^uid=u0000[0-4],{PEOPLE}$" attrs=entryUUID by * none\n'
    world.allow(hidden + OPEN_ACCESS)
    world.slapd.delete(f"uid=u00010,{PEOPLE}")
    world.slapd.modify(f"cn=staff,{ROLES}", {"member": [f"uid=u00011,{PEOPLE}"]})
    done = world.sync(code=5)
    assert done["users"]["quarantined"] == 5
    assert done["users"]["missing"] == 1
    assert world.quarantine() == {
        f"uid=u0000{number},{PEOPLE}": "missing_id" for number in range(5)
    }
    after = world.users()
    kept = [f"u0000{number}" for number in range(5)]
    assert [after[name] for name in kept] == [before[name] for name in kept]
    world.allow()
    mended = world.sync()
    assert mended["users"]["quarantined"] == 0
    assert world.quarantine() == {}
    # What was held back about him is made up for.
    assert world.roles_of("u00000") == {}


@ON_SQLITE
def test_a_lost_right_to_see_people_is_not_taken_for_their_leaving(
    quick_world: MakeQuickWorld,
) -> None:
    """A right lost to the object class hides people from the filter, and nobody goes for that."""
    world = quick_world(people(6))
    world.sync()
    hidden = f'access to dn.regex="^uid=u0000[01],{PEOPLE}$" attrs=objectClass by * none\n'
    world.allow(hidden + OPEN_ACCESS)
    done = world.sync()
    assert (done["users"]["read"], done["users"]["missing"]) == (4, 0)
    assert len(world.living()) == 6


@pytest.mark.rule("2.2.6", server="openldap")
@ON_SQLITE
def test_many_who_cannot_be_seen_at_all_are_held(quick_world: MakeQuickWorld) -> None:
    """Entries that the account may not even see look gone; over the limit a person decides."""
    world = quick_world(people(25))
    world.sync()
    hidden = f'access to dn.regex="^uid=u0000[0-4],{PEOPLE}$" by * none\n'
    world.allow(hidden + OPEN_ACCESS)
    blocked = world.sync(code=3)
    assert blocked["users"]["missing"] == 5
    assert blocked["reasons"] == [
        "5 of 25 people would count as missing (20 %); the limit is 10 % (limits.missing.percent)"
    ]
    assert len(world.living()) == 25
    world.allow()
    assert world.sync()["users"]["unchanged"] == 25


@ON_SQLITE
def test_policy_keep_takes_nobody_away(quick_world: MakeQuickWorld) -> None:
    """Under the policy keep a leaver stays as he is, run after run."""
    world = quick_world(people(5))
    world.configure(deletion={"policy": "keep"})
    world.sync()
    before = world.users()
    world.slapd.delete(f"uid=u00001,{PEOPLE}")
    done = world.sync()
    assert (done["users"]["missing"], done["absences"]) == (0, "none")
    assert world.users() == before
    assert world.plan(code=0)["changes"] == []


@pytest.mark.parametrize(("grace", "purged"), [("0s", 1), ("30d", 0)])
def test_policy_delete_purges_after_the_grace_period(
    quick_world: MakeQuickWorld, grace: str, purged: int
) -> None:
    """A leaver is missing first; a later run deletes him for good once the grace period is over."""
    world = quick_world(people(5) + role("staff", "u00000", "u00001"))
    world.configure(deletion={"policy": "delete", "grace_period": grace})
    world.sync()
    user_id = world.id_of("u00001")
    world.slapd.delete(f"uid=u00001,{PEOPLE}")
    first = world.sync()
    assert (first["users"]["missing"], first["users"]["deleted"]) == (1, 0)
    second = world.sync()
    assert (second["users"]["missing"], second["users"]["deleted"]) == (0, purged)
    assert ("u00001" in world.users()) is not bool(purged)
    for table in ("users", "identities", "identity_keys", "restrictions", "grants"):
        key = "id" if table == "users" else "user_id"
        rows = world.sql(f"select {key} from {table} where {key} = :id", id=user_id)
        assert bool(rows) is (not purged and table != "identity_keys"), table
    kinds = world.sql("select kind from journal where user_id = :id order by kind", id=user_id)
    assert kinds == (["delete"] if purged else ["create", "grants", "restrictions"])
    assert world.plan(code=0)["changes"] == []


@ON_SQLITE
def test_a_purged_person_who_comes_back_is_a_new_one(quick_world: MakeQuickWorld) -> None:
    """After the purge nothing is left that could be inherited."""
    world = quick_world(people(5))
    world.configure(deletion={"policy": "delete", "grace_period": "0s"})
    world.sync()
    user_id = world.id_of("u00001")
    world.grant_by_hand("u00001", "Admin")
    _move_out(world, "u00001")
    world.sync()
    assert world.sync()["users"]["deleted"] == 1
    _move_back(world, "u00001")
    assert world.sync()["users"]["created"] == 1
    assert world.id_of("u00001") != user_id
    assert world.roles_of("u00001") == {}
