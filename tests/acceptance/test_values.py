"""How entries become people: mappers, several bases, scope, and everything that cannot be taken."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import role
from tests.servers.slapd import PEOPLE, ROLES, SUFFIX, people, person

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld

pytest_plugins = ("tests.acceptance.quick",)

PHOTO = bytes(range(256))


def _attribute(name: str, ldap_attribute: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": "user-attribute",
        "user_attribute": name,
        "ldap_attribute": ldap_attribute,
        **more,
    }


def _unit(name: str, parent: str) -> str:
    return f"dn: ou={name},{parent}\nobjectClass: organizationalUnit\nou: {name}\n\n"


@pytest.mark.rule("K5", server="openldap")
@pytest.mark.rule("K14", server="openldap")
@pytest.mark.rule("K19", server="openldap")
@pytest.mark.rule("K20", server="openldap")
@pytest.mark.rule("K25", server="openldap")
@ON_SQLITE
def test_every_mapper_type_fills_what_it_says(quick_world: MakeQuickWorld) -> None:
    """Names from one attribute, several values, defaults, bytes, and the same for everybody."""
    world = quick_world(
        person("john", cn="John Anthony Doe", postalCode=["77332", "88441"], mail="John@Doe.TEST")
        + person("madonna", cn="Madonna", title="Singer")
        + person("nomail", mail="not an address")
    )
    world.slapd.modify(f"uid=john,{PEOPLE}", {"jpegPhoto": [PHOTO]})
    world.configure(
        ldap={"trust_email": True},
        mappers=[
            {"name": "first name", "enabled": False},
            {"name": "last name", "enabled": False},
            {"name": "whole name", "type": "full-name", "ldap_attribute": "cn"},
            _attribute("postcodes", "postalCode"),
            _attribute("postcode", "postalCode", multivalued=False),
            _attribute("title", "title", default_value="Colleague"),
            _attribute("photo", "jpegPhoto", binary=True),
            {
                "name": "company",
                "type": "hardcoded-attribute",
                "user_attribute": "company",
                "value": "Acme",
            },
            {"name": "everybody", "type": "hardcoded-role", "role": "Employee"},
        ],
    )
    world.sync()
    users = world.users()
    fields = ("first_name", "last_name", "email", "email_verified")
    assert {name: tuple(user[field] for field in fields) for name, user in users.items()} == {
        "john": ("John Anthony", "Doe", "john@doe.test", True),
        "madonna": (None, "Madonna", "madonna@example.test", True),
        "nomail": ("Person", "nomail", None, False),
    }
    assert users["john"]["attributes"] == {
        "company": ["Acme"],
        "photo": [base64.b64encode(PHOTO).decode()],
        "postcode": ["77332"],
        "postcodes": ["77332", "88441"],
        "title": ["Colleague"],
    }
    assert users["madonna"]["attributes"] == {"company": ["Acme"], "title": ["Singer"]}
    for name in users:
        assert world.roles_of(name) == {"Employee": ["everybody"]}


@ON_SQLITE
def test_a_hardcoded_role_follows_its_mapper(quick_world: MakeQuickWorld) -> None:
    """Another role in the mapper replaces the first one for everybody, once somebody agreed."""
    world = quick_world(people(3))
    world.configure(mappers=[{"name": "all", "type": "hardcoded-role", "role": "Employee"}])
    world.sync()
    world.configure(mappers=[{"name": "all", "type": "hardcoded-role", "role": "Colleague"}])
    world.slapd.add(f"uid=new,{PEOPLE}", objectClass="inetOrgPerson", uid="new", cn="N", sn="N")
    # Other mappers take something away: that is for a person to look at.
    blocked = world.sync(code=3)
    assert (blocked["memberships"]["added"], blocked["memberships"]["removed"]) == (4, 3)
    world.json("approve", blocked["run"])
    assert set(map(frozenset, world.roles_held().values())) == {frozenset({"Colleague"})}
    assert world.plan(code=0)["changes"] == []


@pytest.mark.rule("K14", server="openldap")
@ON_SQLITE
def test_addresses_that_change_hands_lose_their_trust(quick_world: MakeQuickWorld) -> None:
    """Without trust_email an address is not verified; what was verified stays with its address."""
    world = quick_world(people(2))
    world.configure(ldap={"trust_email": True})
    world.sync()
    world.configure()
    world.slapd.modify(f"uid=u00001,{PEOPLE}", {"mail": ["new@example.test"]})
    world.sync()
    verified = {name: user["email_verified"] for name, user in world.users().items()}
    assert verified == {"u00000": True, "u00001": False}


@pytest.mark.rule("K10", server="openldap")
@ON_SQLITE
def test_the_username_may_be_the_id(quick_world: MakeQuickWorld) -> None:
    """An id that is the username is allowed, and a rename is a new person then."""
    world = quick_world(people(3))
    world.configure(ldap={"uuid_ldap_attribute": "uid"})
    done = world.sync()
    assert (done["users"]["created"], done["users"]["quarantined"]) == (3, 0)
    assert {name: user["external_id"] for name, user in world.users().items()} == {
        f"u{number:05}": f"u{number:05}" for number in range(3)
    }
    world.slapd.rename(f"uid=u00000,{PEOPLE}", "uid=other")
    done = world.sync()
    assert (done["users"]["created"], done["users"]["missing"]) == (1, 1)


@pytest.mark.rule("2.2.1", server="openldap")
@ON_SQLITE
def test_two_trees_are_one_listing(quick_world: MakeQuickWorld) -> None:
    """People of both are there, one who moves between them is the same, one who leaves is not."""
    other = f"ou=contractors,{SUFFIX}"
    world = quick_world(
        people(4)
        + _unit("contractors", SUFFIX)
        + person("c1", container=other)
        + person("c2", container=other)
        + role("staff", "u00000", f"uid=c1,{other}")
    )
    world.configure(ldap={"users_dn": [PEOPLE, other], "page_size": 3})
    assert world.sync()["users"]["created"] == 6
    before = world.users()
    assert {name for name, roles in world.roles_held().items() if roles} == {"c1", "u00000"}
    world.slapd.rename(f"uid=c2,{other}", "uid=c2", superior=PEOPLE)
    world.slapd.delete(f"uid=u00003,{PEOPLE}")
    done = world.sync()
    assert (done["users"]["created"], done["users"]["missing"]) == (0, 1)
    after = world.living()
    assert after["c2"]["id"] == before["c2"]["id"]
    assert after["c2"]["dn"] == f"uid=c2,{PEOPLE}"


@ON_SQLITE
def test_one_level_reaches_the_children_only(quick_world: MakeQuickWorld) -> None:
    """Somebody below a unit is not read; who is moved below one is out of base."""
    unit = f"ou=deep,{PEOPLE}"
    world = quick_world(people(3) + _unit("deep", PEOPLE) + person("deep", container=unit))
    world.configure(ldap={"search_scope": "one_level"})
    world.sync()
    assert sorted(world.users()) == ["u00000", "u00001", "u00002"]
    world.slapd.rename(f"uid=u00002,{PEOPLE}", "uid=u00002", superior=unit)
    done = world.sync()
    (change,) = world.json("runs", "show", done["run"])["changes"]
    assert change["cause"].startswith("out_of_base: ")
    assert sorted(world.living()) == ["u00000", "u00001"]


# An entry, the mappers' own word for what is wrong with it, and what mends it.
BAD_PEOPLE: dict[str, tuple[dict[str, Any], str, dict[str, list[str]]]] = {
    "cn=noid": ({"uid": "noid"}, "missing_id", {"departmentNumber": ["id-noid"]}),
    "cn=twoids": (
        {"uid": "twoids", "departmentNumber": ["id-1", "id-2"]},
        "several_ids",
        {"departmentNumber": ["id-1"]},
    ),
    "cn=badid": (
        {"uid": "badid", "departmentNumber": "a\x07b"},
        "bad_id",
        {"departmentNumber": ["id-badid"]},
    ),
    "cn=same1": (
        {"uid": "same1", "departmentNumber": "id-same"},
        "duplicate_id",
        {"departmentNumber": ["id-same1"]},
    ),
    "cn=same2": (
        {"uid": "same2", "departmentNumber": "id-same"},
        "duplicate_id",
        {"departmentNumber": ["id-same2"]},
    ),
    "cn=nouid": ({"departmentNumber": "id-nouid"}, "missing_username", {"uid": ["nouid"]}),
    "cn=blank": ({"uid": " ", "departmentNumber": "id-blank"}, "bad_username", {"uid": ["blank"]}),
    "cn=control": (
        {"uid": "a\x1bb", "departmentNumber": "id-control"},
        "bad_username",
        {"uid": ["control"]},
    ),
    "cn=endless": (
        {"uid": "x" * 256, "departmentNumber": "id-endless"},
        "bad_username",
        {"uid": ["endless"]},
    ),
    "cn=notitle": (
        {"uid": "notitle", "departmentNumber": "id-notitle", "title": []},
        "missing_mandatory",
        {"title": ["Colleague"]},
    ),
    "cn=photo": (
        {"uid": "photo", "departmentNumber": "id-photo", "jpegPhoto": PHOTO},
        "not_text",
        {"jpegPhoto": []},
    ),
    "cn=long": (
        {"uid": "long", "departmentNumber": "id-long", "description": "x" * 4097},
        "too_long",
        {"description": ["short"]},
    ),
    "cn=twin1": (
        {"uid": "Twin", "departmentNumber": "id-twin1"},
        "duplicate_username",
        {"uid": ["twin1"]},
    ),
    "cn=twin2": (
        {"uid": "twin", "departmentNumber": "id-twin2"},
        "duplicate_username",
        {"uid": ["twin2"]},
    ),
}
GOOD = {"good1", "good2"}


@pytest.mark.rule("2.13.4", server="openldap")
@pytest.mark.rule("2.2.2", server="openldap")
def test_every_bad_entry_waits_in_quarantine_until_it_is_mended(
    quick_world: MakeQuickWorld,
) -> None:
    """Each has its reason, attribute and count; the others go on; mended ones are taken."""
    world = quick_world(
        "".join(person(name, departmentNumber=f"id-{name}", title="T") for name in sorted(GOOD))
    )
    for rdn, (attributes, _, _) in BAD_PEOPLE.items():
        given = {"objectClass": "inetOrgPerson", "sn": "S", "title": "T"} | attributes
        given = {name: value for name, value in given.items() if value}
        world.slapd.add(f"{rdn},{PEOPLE}", cn=rdn.removeprefix("cn="), **given)
    world.configure(
        ldap={"uuid_ldap_attribute": "departmentNumber"},
        mappers=[
            _attribute("title", "title", mandatory=True),
            _attribute("photo", "jpegPhoto"),
            _attribute("note", "description"),
        ],
    )
    expected = {f"{rdn},{PEOPLE}": reason for rdn, (_, reason, _) in BAD_PEOPLE.items()}
    for _ in range(2):
        done = world.sync(code=5)
        assert done["users"]["quarantined"] == len(expected)
        assert world.users().keys() == GOOD
    rows = {row["dn"]: row for row in world.json("quarantine", "acme")}
    assert {dn: row["reason"] for dn, row in rows.items()} == expected
    assert rows[f"cn=notitle,{PEOPLE}"]["attribute"] == "title"
    assert "4097 characters" in rows[f"cn=long,{PEOPLE}"]["detail"]
    assert {row["attempts"] for row in rows.values()} == {2}
    (status,) = world.json("status", "acme")
    assert sum(status["quarantine"].values()) == len(expected)
    for rdn, (_, _, mended) in BAD_PEOPLE.items():
        world.slapd.modify(f"{rdn},{PEOPLE}", mended)
    done = world.sync()
    assert (done["users"]["created"], done["users"]["quarantined"]) == (len(BAD_PEOPLE), 0)
    assert world.json("quarantine", "acme") == []
    assert world.users().keys() == GOOD | {rdn.removeprefix("cn=") for rdn in BAD_PEOPLE}


@pytest.mark.rule("2.13.4", server="openldap")
@ON_SQLITE
def test_people_who_turn_bad_stay_as_they_are(quick_world: MakeQuickWorld) -> None:
    """An entry in quarantine is no absence: by id, by DN or by name its person is protected."""
    world = quick_world(
        "".join(person(name, departmentNumber=f"id-{name}") for name in "abcd") + role("staff", "a")
    )
    world.configure(ldap={"uuid_ldap_attribute": "departmentNumber"})
    world.sync()
    before = world.users()
    # The id is unreadable under the same DN; it is there twice; another attribute is unreadable.
    world.slapd.modify(f"uid=a,{PEOPLE}", {"departmentNumber": []})
    world.slapd.modify(f"uid=b,{PEOPLE}", {"departmentNumber": ["id-d"]})
    world.slapd.modify(f"uid=c,{PEOPLE}", {"sn": [b"a\x00b"]})
    done = world.sync(code=5)
    assert done["users"]["missing"] == 0
    assert world.users() == before
    assert world.quarantine() == {
        f"uid=a,{PEOPLE}": "missing_id",
        f"uid=b,{PEOPLE}": "duplicate_id",
        f"uid=c,{PEOPLE}": "not_text",
    }


@pytest.mark.rule("2.13.4", server="openldap")
@ON_SQLITE
def test_bad_roles_wait_in_quarantine_and_keep_whom_they_have(quick_world: MakeQuickWorld) -> None:
    """A role whose name cannot be taken is bad by itself; its members keep it until then."""
    world = quick_world(people(2))
    named = {"objectClass": "groupOfNames", "member": f"uid=u00000,{PEOPLE}"}
    names = {"nameless": None, "blank": " ", "endless": "x" * 256, "control": "a\x1bb", "ok": "Ok"}
    for cn, name in names.items():
        given = named if name is None else named | {"description": name}
        world.slapd.add(f"cn={cn},{ROLES}", cn=cn, **given)
    world.configure(
        ldap={"import_roles": {"roles_dn": ROLES, "role_name_ldap_attribute": "description"}}
    )
    world.sync(code=5)
    assert world.quarantine() == {
        f"cn=nameless,{ROLES}": "missing_role_name",
        f"cn=blank,{ROLES}": "bad_role_name",
        f"cn=endless,{ROLES}": "bad_role_name",
        f"cn=control,{ROLES}": "bad_role_name",
    }
    assert world.roles_held() == {"u00000": {"Ok"}, "u00001": set()}
    for cn in ("nameless", "blank", "endless", "control"):
        world.slapd.modify(f"cn={cn},{ROLES}", {"description": [f"Role {cn}"]})
    world.slapd.modify(f"cn=ok,{ROLES}", {"description": ["Owner"]})
    world.sync(code=5)
    assert world.quarantine() == {f"cn=ok,{ROLES}": "role_name_reserved"}
    assert world.roles_held()["u00000"] == {
        "Ok",
        "Role blank",
        "Role control",
        "Role endless",
        "Role nameless",
    }
