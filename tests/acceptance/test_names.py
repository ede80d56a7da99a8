"""Names that change, change hands, are wanted twice, or come back with another person."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import role
from tests.servers.slapd import PEOPLE, ROLES, people, person

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ("tests.acceptance.quick",)


def _rotate(world: QuickWorld, names: Sequence[str]) -> None:
    """Give everybody the name and address of the next one, the last those of the first."""

    def rename(old: str, new: str) -> None:
        world.slapd.rename(f"uid={old},{PEOPLE}", f"uid={new}")

    rename(names[-1], "parked")
    for old, new in reversed(list(pairwise(names))):
        rename(old, new)
    rename("parked", names[0])
    for name in names:
        world.slapd.modify(f"uid={name},{PEOPLE}", {"mail": [f"{name}@example.test"]})


@pytest.mark.rule("K15", server="openldap")
@pytest.mark.parametrize(
    ("batch_size", "names"),
    [
        pytest.param(1000, ["u00000", "u00001"], id="swap"),
        pytest.param(1, ["u00000", "u00001"], id="swap-one-a-batch"),
        pytest.param(1, ["u00001", "u00003", "u00002"], id="cycle-of-three-one-a-batch"),
    ],
)
def test_names_and_addresses_change_hands_in_one_run(
    quick_world: MakeQuickWorld, batch_size: int, names: list[str]
) -> None:
    """A swap and a cycle of three: everybody keeps his id and has the other's name and address."""
    world = quick_world(people(5))
    world.configure(ldap={"batch_size": batch_size, "page_size": 1000})
    world.sync()
    before = {user["external_id"]: user for user in world.users().values()}
    _rotate(world, names)
    done = world.sync()
    assert done["users"]["renamed"] == len(names)
    assert done["users"]["quarantined"] == done["users"]["conflicts"] == 0
    after = {user["external_id"]: user for user in world.users().values()}
    follower = dict(zip(names, [*names[1:], names[0]], strict=True))
    for external_id, user in before.items():
        name = follower.get(user["username"], user["username"])
        assert after[external_id]["id"] == user["id"]
        assert after[external_id]["username"] == name
        assert after[external_id]["email"] == f"{name}@example.test"
    assert world.plan(code=0)["changes"] == []


@pytest.mark.rule("2.10.6", server="openldap")
def test_a_renamed_and_moved_person_stays_himself(quick_world: MakeQuickWorld) -> None:
    """A new name in another unit is a rename of the same person, roles by hand and all."""
    world = quick_world(people(5) + role("staff", "u00000", "u00001"))
    world.slapd.add(f"ou=sales,{PEOPLE}", objectClass="organizationalUnit", ou="sales")
    world.sync()
    world.grant_by_hand("u00001", "Accountant")
    before = world.users()["u00001"]
    world.slapd.rename(f"uid=u00001,{PEOPLE}", "uid=married", superior=f"ou=sales,{PEOPLE}")
    moved = f"uid=married,ou=sales,{PEOPLE}"
    # Another spelling of the same DN is the same DN.
    spelled = f"UID = Married , OU=Sales,{PEOPLE.upper()}"
    world.slapd.modify(f"cn=staff,{ROLES}", {"member": [f"uid=u00000,{PEOPLE}", spelled]})
    done = world.sync()
    assert (done["users"]["renamed"], done["users"]["created"]) == (1, 0)
    assert done["memberships"]["removed"] == 0
    after = world.users()
    assert "u00001" not in after
    assert after["married"] == before | {
        "username": "married",
        "dn": moved,
        "source_modified_at": after["married"]["source_modified_at"],
    }


@pytest.mark.rule("K18", server="openldap")
@ON_SQLITE
def test_another_letter_case_is_no_rename(quick_world: MakeQuickWorld) -> None:
    """A name that differs in case only is the same name, shown as the directory now writes it."""
    world = quick_world(people(2))
    world.sync()
    world.slapd.rename(f"uid=u00001,{PEOPLE}", "uid=U00001")
    done = world.sync()
    assert (done["users"]["renamed"], done["users"]["updated"]) == (0, 1)
    assert sorted(world.users()) == ["U00001", "u00000"]
    assert world.json("show", "acme", "u00001")["username"] == "U00001"


@pytest.mark.rule("K23", server="openldap")
@pytest.mark.rule("2.13.2", server="openldap")
@pytest.mark.parametrize("runs_between", [0, 1])
def test_a_reused_username_with_a_new_id_is_a_new_person(
    quick_world: MakeQuickWorld, runs_between: int
) -> None:
    """Nothing that the old one had by hand is inherited, whether a run saw the gap or not."""
    world = quick_world(people(5) + role("staff", "u00001"))
    world.sync()
    world.grant_by_hand("u00001", "Admin")
    old = world.users()["u00001"]
    world.slapd.delete(f"uid=u00001,{PEOPLE}")
    for _ in range(runs_between):
        world.sync()
    world.slapd.add(
        f"uid=u00001,{PEOPLE}", objectClass="inetOrgPerson", uid="u00001", cn="New", sn="New"
    )
    done = world.sync()
    assert done["users"]["created"] == 1
    assert done["users"]["missing"] == 1 - runs_between
    assert done["users"]["quarantined"] == 0
    new = world.living()["u00001"]
    assert new["id"] != old["id"]
    assert new["external_id"] != old["external_id"]
    # The directory's role names his DN, so that one is his; what an administrator gave is not.
    assert world.roles_of("u00001") == {"staff": ["import roles"]}
    (gone,) = [user for user in world.json("users", "acme") if user["id"] == old["id"]]
    assert not gone["enabled"]
    assert {"name": "Admin", "sources": ["manual"]} in gone["roles"]
    assert world.plan(code=0)["changes"] == []


@pytest.mark.rule("K6", server="openldap")
@ON_SQLITE
def test_a_name_that_somebody_else_has_is_not_taken_from_him(quick_world: MakeQuickWorld) -> None:
    """A person whom no directory manages keeps his name; the newcomer waits in quarantine."""
    world = quick_world(people(3))
    world.syncd("pause", "acme", code=0)
    world.syncd("resume", "acme", code=0)
    world.sql(
        "insert into users (id, organization_id, version, provider, username, username_key,"
        " email_verified, attributes, living, enabled)"
        " values (900000, 'acme', 1, 'admin', 'U00001', 'u00001', false, '{}', true, true)"
    )
    done = world.sync(code=5)
    assert (done["users"]["created"], done["users"]["quarantined"]) == (2, 1)
    assert world.quarantine() == {f"uid=u00001,{PEOPLE}": "username_taken"}
    users = world.users()
    assert sorted(users) == ["U00001", "u00000", "u00002"]
    assert users["U00001"]["provider"] == "admin"
    world.slapd.rename(f"uid=u00001,{PEOPLE}", "uid=u00009")
    assert world.sync()["users"]["created"] == 1
    assert world.quarantine() == {}


def test_a_name_wanted_twice_goes_to_its_holder_or_to_nobody(quick_world: MakeQuickWorld) -> None:
    """Of newcomers who want one name none gets it; somebody who has it keeps it; others go on."""
    world = quick_world(
        "".join(
            person(uid, employeeNumber=number)
            for uid, number in [("a", "one"), ("b", "two"), ("c", "two"), ("d", "four")]
        )
    )
    world.configure(ldap={"username_ldap_attribute": "employeeNumber"})
    done = world.sync(code=5)
    assert done["users"]["quarantined"] == 2
    assert sorted(world.users()) == ["four", "one"]
    assert world.quarantine() == {
        f"uid=b,{PEOPLE}": "duplicate_username",
        f"uid=c,{PEOPLE}": "duplicate_username",
    }
    world.slapd.modify(f"uid=c,{PEOPLE}", {"employeeNumber": ["ONE"]})
    # Somebody known wants a name that another has: he stays as he is and is not missing.
    world.slapd.modify(f"uid=d,{PEOPLE}", {"employeeNumber": ["two"], "sn": ["Changed"]})
    world.slapd.modify(f"uid=b,{PEOPLE}", {"employeeNumber": ["three"]})
    done = world.sync(code=5)
    assert (done["users"]["quarantined"], done["users"]["missing"]) == (1, 0)
    users = world.users()
    assert {name: user["dn"] for name, user in users.items()} == {
        "one": f"uid=a,{PEOPLE}",
        "three": f"uid=b,{PEOPLE}",
        "two": f"uid=d,{PEOPLE}",
    }
    assert world.quarantine()[f"uid=c,{PEOPLE}"] in {"duplicate_username", "username_taken"}


@ON_SQLITE
def test_a_known_person_who_may_not_have_a_name_keeps_his_own(quick_world: MakeQuickWorld) -> None:
    """A rename to a taken name is held in quarantine; the person stays, and follows once mended."""
    world = quick_world(
        "".join(person(uid, employeeNumber=uid) for uid in "abc") + role("staff", "b")
    )
    world.configure(ldap={"username_ldap_attribute": "employeeNumber"})
    world.sync()
    before = world.users()
    world.slapd.modify(f"uid=b,{PEOPLE}", {"employeeNumber": ["a"]})
    done = world.sync(code=5)
    assert (done["users"]["missing"], done["users"]["renamed"]) == (0, 0)
    assert world.users() == before
    assert world.quarantine()[f"uid=b,{PEOPLE}"] == "username_taken"
    world.slapd.modify(f"uid=a,{PEOPLE}", {"employeeNumber": ["z"]})
    done = world.sync()
    assert done["users"]["renamed"] == 2
    assert world.quarantine() == {}
    assert world.roles_of("a") == {"staff": ["import roles"]}
