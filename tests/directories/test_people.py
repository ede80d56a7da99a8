"""Who is there, and who he stays whatever becomes of his entry: on every directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.directories.company import users
from tests.directories.directory import cn, having

if TYPE_CHECKING:
    from tests.directories.company import Company
    from tests.directories.conftest import MakeCompany

# What DNs escape, and what looks as if they did.
STRANGE = (
    "Doe, John",
    "#first",
    'the "boss"',
    "plus+one;and <more>",
    "back\\slash, Jr.",
    "a=b/c (d) *",
    "Jörg Müßig-Øst",
)
POSTAL = {
    "name": "postal code",
    "type": "user-attribute",
    "user_attribute": "postalCode",
    "ldap_attribute": "postalCode",
}


@pytest.mark.rule("K1", server="openldap samba 389ds")
@pytest.mark.rule("K3", server="openldap samba 389ds")
@pytest.mark.rule("K4", server="openldap samba 389ds")
@pytest.mark.rule("K5", server="openldap samba 389ds")
def test_five_people_then_one_more_and_one_changed(company: Company) -> None:
    """A first sync brings everybody, a sync of changes what changed, and the next one nothing."""
    for number in range(1, 6):
        company.join(f"user{number}", postalCode=f"1000{number}", sn="Someone")
    company.configure(mappers=(POSTAL,))
    assert users(company.full()) == {"created": 5}
    user = company.user("user3")
    assert (user["first_name"], user["last_name"]) == ("Person", "Someone")
    assert user["email"] == f"{company.name('user3')}@example.test"
    assert user["attributes"] == {"postalCode": ["10003"]}
    company.changed()

    company.join("user6")
    address = "User5Updated@Example.Test"
    company.directory.modify(company.dn("user5"), mail=[address], postalCode=["20005"])
    assert users(company.changed()) == {"created": 1, "updated": 1}
    user = company.user("user5")
    assert (user["email"], user["attributes"]) == (address.lower(), {"postalCode": ["20005"]})

    journal = company.journal()
    for done in (company.changed(), company.full(), company.changed()):
        assert (users(done), done["memberships"]["added"]) == ({}, 0)
    assert company.journal() == journal


@pytest.mark.rule("K42", server="openldap samba 389ds")
@pytest.mark.rule("2.10.6", server="openldap samba 389ds")
def test_names_that_dns_escape(company: Company) -> None:
    """People and roles of any name are found by each other, also after a rename."""
    for number, name in enumerate(STRANGE):
        company.join(f"s{number}", called=name)
    company.join("plain")
    dns = [company.dn(name) for name in STRANGE]
    company.role("All, of them", *dns)
    company.role("Some / few", dns[0], company.dn("plain"))
    company.full()
    held = company.held()
    assert {name for name, roles in held.items() if "All, of them" in roles} == {
        f"s{number}" for number in range(len(STRANGE))
    }
    assert {name for name, roles in held.items() if "Some / few" in roles} == {"s0", "plain"}
    company.directory.rename(dns[0], cn("Roe, Jane"))
    assert users(company.changed()) == {"updated": 1}
    assert company.held() == held
    assert company.plan(code=0)["changes"] == []


@having("multi_valued_rdn")
@pytest.mark.rule("2.10.6", server="openldap 389ds")
def test_a_name_of_two_parts_is_the_same_in_either_order(company: Company) -> None:
    """Members may name an entry with a multi-valued RDN in any order and letter case."""
    uid = company.name("ann")
    dn = f"cn=Ann+uid={uid},{company.people}"
    company.directory.add(dn, company.directory.person(uid))
    company.join("bob")
    turned = f"UID={uid.upper()}+CN=ann,{company.people.upper()}"
    company.role("staff", turned)
    company.full()
    assert company.held() == {"ann": {"staff"}, "bob": set()}


@pytest.mark.rule("2.6.1", server="openldap")
@pytest.mark.rule("2.3.4", server="samba")
@pytest.mark.rule("K15", server="openldap samba 389ds")
@pytest.mark.rule("K18", server="openldap samba 389ds")
def test_who_is_renamed_and_moved_stays_who_he_is(company: Company) -> None:
    """By entry, by username, below another unit: one person, with his roles and manual grants."""
    directory = company.directory
    east = f"ou=east,{company.people}"
    directory.unit(east)
    (anna,) = company.join("anna")
    company.join("bob")
    company.role("staff", "anna", "bob")
    company.full()
    before = company.user("anna")["id"]
    company.grant_by_hand(company.name("anna"), "staff")

    anna = directory.rename(anna, cn("Anna Married"))
    directory.modify(anna, **{directory.username_attribute: [company.name("married")]})
    assert users(company.changed()) == {"updated": 1, "renamed": 1}
    assert company.user("married")["id"] == before

    anna = directory.rename(anna, cn("Anna Married"), east)
    company.changed()
    user = company.user("married")
    assert (user["id"], user["enabled"]) == (before, True)
    assert user["dn"].lower() == anna.lower()
    assert company.roles_of(company.name("married")) == {"staff": ["import roles", "manual"]}

    directory.modify(anna, **{directory.username_attribute: [company.name("MARRIED")]})
    assert users(company.changed()) == {"updated": 1}
    assert company.held() == {"MARRIED": {"staff"}, "bob": {"staff"}}
    assert company.plan(code=0)["changes"] == []


@pytest.mark.rule("2.3.3", server="samba 389ds")
@pytest.mark.rule("2.6.1", server="openldap")
def test_a_unit_above_is_renamed(company: Company) -> None:
    """Nobody is missed and no role lost; a full sync knows where everybody is now."""
    directory = company.directory
    east = f"ou=east,{company.people}"
    directory.unit(east)
    company.join("eve", "sam", container=east)
    company.join("bob")
    company.role("staff", company.dn("eve", east), "bob")
    company.full()
    ids = {name: user["id"] for name, user in company.users().items()}
    west = directory.rename(east, "ou=west")
    done = company.json("sync", "acme", "--changed")
    assert (done["status"], done["users"]["missing"], done["users"]["created"]) == ("done", 0, 0)
    assert {name: user["id"] for name, user in company.users().items()} == ids
    held = {"bob": {"staff"}, "eve": {"staff"}, "sam": set()}
    assert company.held() == held
    assert users(company.full()).keys() <= {"updated"}
    assert company.user("sam")["dn"].lower() == company.dn("sam", west).lower()
    assert company.held() == held
    assert company.plan(code=0)["changes"] == []


@pytest.mark.rule("2.1.4", server="openldap samba 389ds")
@pytest.mark.rule("2.13.2", server="openldap samba 389ds")
def test_somebody_leaves_the_base_and_comes_back(company: Company) -> None:
    """Out of the base he is missing; back again he is himself, with what his group says then."""
    directory = company.directory
    (anna,) = company.join("anna")
    company.join("bob", "joe")
    staff = company.role("staff", "anna", "bob")
    company.full()
    before = company.user("anna")["id"]
    outside = directory.rename(anna, cn("anna"), company.elsewhere)
    assert users(company.changed()) == {"missing": 1}
    assert company.why("anna") == ["missing"]
    directory.leave(staff, company.dn("bob"))
    company.changed()
    directory.rename(outside, cn("anna"), company.people)
    assert users(company.changed()) == {"enabled": 1}
    assert company.user("anna")["id"] == before
    assert company.held() == {"anna": {"staff"}, "bob": set(), "joe": set()}
    assert company.plan(code=0)["changes"] == []


@pytest.mark.rule("2.13.2", server="openldap samba 389ds")
@pytest.mark.rule("K16", server="openldap samba 389ds")
@pytest.mark.rule("K23", server="openldap samba 389ds")
def test_the_same_name_again_is_somebody_else(company: Company) -> None:
    """Who was deleted is missing at once; his name's next holder has nothing of what he had."""
    company.join("anna", "bob", "joe")
    company.role("staff", "anna", "bob")
    company.full()
    company.grant_by_hand(company.name("anna"), "staff")
    before = company.user("anna")["id"]
    company.directory.delete(company.dn("anna"))
    assert users(company.changed()) == {"missing": 1}
    assert company.why("anna") == ["missing"]
    company.join("anna")
    done = company.changed()
    assert done["users"]["created"] == 1
    assert done["users"]["quarantined"] == done["users"]["conflicts"] == 0
    assert company.living()[company.name("anna")]["id"] != before
    assert company.held() == {"anna": set(), "bob": {"staff"}, "joe": set()}
    assert company.plan(code=0)["changes"] == []


@pytest.mark.rule("2.6.1", server="openldap")
@pytest.mark.rule("K31", server="openldap samba 389ds")
def test_one_person_is_read_alone(company: Company) -> None:
    """A sync of one person brings him and his roles and groups, and nothing of anybody else."""
    company.join("anna", "bob")
    company.role("staff", "anna")
    company.group("team", "anna")
    company.configure(groups={})
    company.full()
    company.join("joe")
    company.directory.join(company.dn("team", company.groups), company.dn("joe"))
    company.directory.modify(company.dn("bob"), sn=["Changed"])
    company.directory.modify(company.dn("anna"), sn=["Changed"])
    done = company.json("sync", "acme", "--user", company.name("anna"))
    assert (done["users"]["read"], users(done)) == (1, {"updated": 1})
    assert company.held() == {"anna": {"staff"}, "bob": set()}
    assert company.grouped() == {"team": {"anna"}}


@having("deleted_objects")
@pytest.mark.rule("2.4.3", server="samba")
@pytest.mark.rule("2.4.4", server="samba")
def test_somebody_is_brought_back_from_the_deleted(make_company: MakeCompany) -> None:
    """What is deleted is nobody, also for a first sync; undeleted it is who it was."""
    company = make_company()
    (anna,) = company.join("anna", called="undeleted")
    company.join("bob")
    company.full()
    before = company.user("anna")["id"]
    company.directory.delete(anna)
    assert users(company.changed()) == {"missing": 1}
    other = make_company()
    other.people = company.people
    other.configure()
    other.full()
    assert {company.bare(name) for name in other.living()} == {"bob"}
    company.directory.server.undelete(anna)
    restored = {"sAMAccountName": [company.name("anna")], "userAccountControl": ["544"]}
    company.directory.modify(anna, **restored)
    assert users(company.changed())["enabled"] == 1
    assert company.user("anna")["id"] == before
