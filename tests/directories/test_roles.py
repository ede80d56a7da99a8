"""Who holds which role, by every way in which a directory says so: on every directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.directories.company import users
from tests.directories.directory import cn, having
from tests.directories.samba import Samba
from tests.servers.ad_limits import AdLimits
from tests.servers.samba import group

if TYPE_CHECKING:
    from tests.directories.company import Company

BY_MEMBER_OF = {"user_roles_retrieve_strategy": "get_from_user_member_of"}
PLACEHOLDER = "cn=empty-membership-placeholder"


def with_role(company: Company, role: str) -> set[str]:
    """Return who holds a role."""
    return {name for name, roles in company.held().items() if role in roles}


def imports(company: Company, **more: Any) -> dict[str, Any]:
    """Return the directory's section with these keys of the import of roles."""
    return {"import_roles": {"roles_dn": company.roles} | more}


@pytest.mark.rule("K43", server="openldap samba 389ds")
@pytest.mark.rule("K45", server="openldap samba 389ds")
@pytest.mark.rule("K46", server="openldap samba 389ds")
@pytest.mark.rule("2.3.4", server="openldap samba 389ds")
@pytest.mark.rule("2.15.5", server="openldap samba 389ds")
def test_memberships_come_and_go(company: Company) -> None:
    """Changes of members arrive with the next changed sync; what was given by hand stays."""
    company.join("john", "mary", "rob", "james")
    one = company.role("group1", "john", "mary", "rob")
    two = company.role("group2", "john", "mary")
    company.role("group3")
    company.full()
    assert company.held() == {
        "james": set(),
        "john": {"group1", "group2"},
        "mary": {"group1", "group2"},
        "rob": {"group1"},
    }
    members = {each["name"]: each["members"] for each in company.json("roles", "acme")}
    assert (members["group1"], members["group2"], members["group3"]) == (3, 2, 0)
    company.grant_by_hand(company.name("mary"), "group1")
    directory = company.directory
    directory.leave(one, company.dn("mary"), company.dn("rob"))
    directory.join(two, company.dn("james"))
    done = company.changed()
    assert (done["memberships"]["added"], done["memberships"]["removed"]) == (1, 2)
    assert company.held() == {
        "james": {"group2"},
        "john": {"group1", "group2"},
        "mary": {"group1", "group2"},
        "rob": set(),
    }
    assert company.roles_of(company.name("mary"))["group1"] == ["manual"]
    journal = company.journal()
    company.full()
    company.changed()
    assert company.journal() == journal


@pytest.mark.rule("2.15.5", server="openldap samba 389ds")
def test_two_mappers_give_one_role(company: Company) -> None:
    """Whoever has it of both keeps it while one of them still gives it."""
    company.join("john", "mary")
    staff = company.role("staff", "john", "mary")
    team = company.group("team", "john")
    second = {"name": "teams", "type": "role", "roles_dn": company.groups} | {
        "name_map": {"team": "staff"}
    }
    company.configure(mappers=(second,))
    company.full()
    assert company.roles_of(company.name("john")) == {"staff": ["import roles", "teams"]}
    company.directory.leave(staff, company.dn("john"), company.dn("mary"))
    company.changed()
    assert company.roles_of(company.name("john")) == {"staff": ["teams"]}
    assert company.held() == {"john": {"staff"}, "mary": set()}
    company.directory.leave(team, company.dn("john"))
    company.changed()
    assert company.held() == {"john": set(), "mary": set()}


@pytest.mark.rule("2.10.6", server="openldap samba 389ds")
@pytest.mark.rule("K36", server="openldap 389ds")
def test_members_in_other_spellings(company: Company) -> None:
    r"""Letter case, spaces and the way in which a comma is escaped make no other member."""
    company.join("john", called="Doe, John")
    company.join("mary")
    people = company.people
    spelled = rf"CN=DOE\2C  John , OU=People,{people.partition(',')[2].upper()}"
    # Active Directory takes members only as it knows them itself, in whatever spelling.
    nobody = () if company.directory.name == "samba" else (company.dn("nobody"),)
    company.role("staff", spelled, f"Cn=Mary,{people}", *nobody)
    done = company.full()
    assert done["memberships"] == {"added": 2, "removed": 0, "unresolved": len(nobody)}
    assert company.held() == {"john": {"staff"}, "mary": {"staff"}}


@pytest.mark.rule("2.10.5", server="openldap samba 389ds")
def test_members_by_another_value_than_their_dn(company: Company) -> None:
    """Values of any attribute of the group name people by any attribute of theirs."""
    company.join("john", "mary", "rob")
    attribute = "description"
    staff = company.role("staff")
    # A group without its own class of such members; every server lets it have this attribute.
    company.directory.modify(staff, description=[company.name("john").upper()])
    company.configure(
        ldap=imports(
            company,
            membership_attribute_type="uid",
            membership_ldap_attribute=attribute,
            membership_user_ldap_attribute=company.directory.username_attribute,
        )
    )
    company.full()
    assert with_role(company, "staff") == {"john"}
    company.directory.modify(staff, description=[company.name("mary")])
    company.changed()
    assert with_role(company, "staff") == {"mary"}
    # Who is called so now holds it, although the group is as it was.
    username = company.directory.username_attribute
    company.directory.modify(company.dn("mary"), **{username: [company.name("nolonger")]})
    company.directory.modify(company.dn("rob"), **{username: [company.name("mary")]})
    company.changed()
    assert with_role(company, "staff") == {"mary"}
    assert company.user("mary")["dn"].lower() == company.dn("rob").lower()
    assert company.plan(code=0)["changes"] == []


@having("posix_group")
@pytest.mark.rule("2.10.5", server="openldap 389ds")
def test_posix_groups(company: Company) -> None:
    """The groups of RFC 2307 name people by their uid."""
    company.join("john", "mary")
    dn = f"cn=shell,{company.roles}"
    shell = {"objectClass": ["posixGroup"], "gidNumber": "4711"}
    company.directory.add(dn, shell | {"memberUid": company.name("john")})
    company.configure(
        ldap=imports(
            company,
            role_object_class=["posixGroup"],
            membership_attribute_type="uid",
            membership_ldap_attribute="memberUid",
        )
    )
    company.full()
    assert with_role(company, "shell") == {"john"}
    company.directory.modify(dn, memberUid=[company.name("mary"), company.name("nobody")])
    company.changed()
    assert with_role(company, "shell") == {"mary"}


@pytest.mark.rule("2.3.4", server="samba 389ds")
@pytest.mark.rule("2.6.10", server="openldap")
def test_roles_that_people_s_entries_name(company: Company) -> None:
    """By memberOf, which the server writes; groups outside of the base are no roles."""
    company.join("john", "mary", "rob")
    staff = company.role("staff", "john", "mary")
    company.role("Sales, East", "mary")
    company.group("not a role", "rob")
    company.configure(ldap=imports(company, **BY_MEMBER_OF))
    company.full()
    assert company.held() == {
        "john": {"staff"},
        "mary": {"staff", "Sales, East"},
        "rob": set(),
    }
    company.directory.leave(staff, company.dn("john"))
    company.directory.join(staff, company.dn("rob"))
    done = company.full()
    assert (done["memberships"]["added"], done["memberships"]["removed"]) == (1, 1)
    assert with_role(company, "staff") == {"mary", "rob"}
    assert company.plan(code=0)["changes"] == []


@pytest.mark.rule("K37", server="openldap samba 389ds")
def test_any_attribute_may_name_roles(company: Company) -> None:
    """An attribute of one's own that holds a role's DN gives that role."""
    role = company.role("group1")
    company.role("group2")
    company.join("john", street=role.upper())
    company.join("mary", street="1 Main Street")
    company.configure(ldap=imports(company, member_of_ldap_attribute="street", **BY_MEMBER_OF))
    company.full()
    assert company.held() == {"john": {"group1"}, "mary": set()}


@pytest.mark.rule("K30", server="openldap samba 389ds")
@pytest.mark.rule("K28", server="openldap samba 389ds")
def test_roles_are_renamed_moved_and_deleted(company: Company) -> None:
    """Members follow the new name; with drop a role that is gone goes, unless it is used here."""
    directory = company.directory
    unit = f"ou=unit,{company.roles}"
    directory.unit(unit)
    company.join("john", "mary")
    staff = company.role("staff", "john")
    moved = company.role("moved", "john")
    company.role("doomed", "mary")
    company.role("used", "mary")
    company.configure(ldap=imports(company, drop_non_existing_roles=True))
    company.full()
    company.grant_by_hand(company.name("john"), "used")
    directory.rename(staff, cn("crew"))
    directory.rename(moved, cn("moved"), unit)
    company.changed()
    assert company.held() == {"john": {"crew", "moved", "used"}, "mary": {"doomed", "used"}}
    directory.delete(company.dn("doomed", company.roles), company.dn("used", company.roles))
    done = company.full()
    assert done["memberships"]["removed"] == 2
    assert company.held() == {"john": {"crew", "moved", "used"}, "mary": set()}
    names = {each["name"] for each in company.json("roles", "acme")}
    assert "used" in names
    assert not names & {"staff", "doomed"}
    assert company.plan(code=0)["changes"] == []


@pytest.mark.rule("K41", server="openldap samba 389ds")
def test_the_last_member_leaves(company: Company) -> None:
    """An emptied role is held by nobody, and what the schema demands in it is no member."""
    company.join("john", "mary")
    staff = company.role("staff", "john")
    company.full()
    company.directory.leave(staff, company.dn("john"))
    done = company.changed()
    assert done["memberships"] == {"added": 0, "removed": 1, "unresolved": 0}
    assert company.held() == {"john": set(), "mary": set()}
    company.directory.join(staff, company.dn("mary"))
    company.changed()
    assert company.held() == {"john": set(), "mary": {"staff"}}


@having("free_member_values")
@pytest.mark.rule("K41", server="openldap")
@pytest.mark.rule("K36", server="openldap")
def test_members_that_are_none(company: Company) -> None:
    """Placeholder, stranger and somebody of another tree are nobody, and the others count."""
    company.join("john")
    company.role("staff", PLACEHOLDER, company.dn("nobody"), "cn=x,o=other", "john")
    done = company.full()
    assert done["memberships"] == {"added": 1, "removed": 0, "unresolved": 2}
    assert company.held() == {"john": {"staff"}}


@pytest.mark.rule("2.10.1", server="samba")
@pytest.mark.rule("2.2.1", server="openldap samba 389ds")
@pytest.mark.rule("2.2.3", server="openldap samba 389ds")
def test_more_people_roles_and_members_than_one_answer_holds(company: Company) -> None:
    """Listings come in pages and, on Active Directory, members and memberOf in ranges."""
    names = [f"p{number:02}" for number in range(17)]
    company.join(*names)
    company.role("all", *names)
    for number in range(7):
        company.role(f"role{number}", names[0])
    done = company.full()
    assert {each["entries"] for each in done["listings"]} == {17, 8}
    assert all(each["pages"] > 1 for each in done["listings"])
    assert with_role(company, "all") == set(names)
    company.changed()
    company.directory.leave(company.dn("all", company.roles), company.dn(names[16]))
    assert company.changed()["memberships"]["removed"] == 1
    company.configure(ldap=imports(company, **BY_MEMBER_OF))
    # The same from the other side.
    done = company.full()
    assert (done["memberships"]["added"], done["memberships"]["removed"]) == (0, 0)
    assert with_role(company, "all") == set(names[:16])
    assert len(company.held()[names[0]]) == 8


@having("ranges")
@pytest.mark.rule("2.10.1", server="samba")
@pytest.mark.rule("2.2.1", server="samba")
def test_the_limits_of_a_domain_controller_as_it_comes(company: Company) -> None:
    """Pages of 1,000 entries and ranges of 1,500 members, with one group of 1,600 people."""
    directory = company.directory
    assert isinstance(directory, Samba)
    names = [f"u{number:04}" for number in range(1_600)]
    directory.server.load(
        [(company.dn(name), directory.person(company.name(name))) for name in names]
        + [(company.dn("all", company.roles), group("all", map(company.dn, names)))]
    )
    with AdLimits((directory.server.address, directory.server.port)) as proxy:
        company.url = proxy.url
        company.configure(ldap={"page_size": ..., "batch_size": ...})
        done = company.full()
        assert done["memberships"] == {"added": 1_600, "removed": 0, "unresolved": 0}
        assert {each["entries"]: each["pages"] for each in done["listings"]} == {1_600: 2, 1: 1}
        assert (proxy.counts.ranged, proxy.counts.stopped) == (2, 0)
        directory.leave(company.dn("all", company.roles), company.dn(names[3]))
        assert company.changed()["memberships"]["removed"] == 1
        assert with_role(company, "all") == set(names) - {names[3]}


@having("in_chain")
@pytest.mark.rule("2.10.2", server="samba")
def test_the_server_follows_nested_roles(company: Company) -> None:
    """With its matching rule Active Directory says who is in a role through other groups."""
    company.join("john", "mary")
    inner = company.group("inner", "mary")
    company.role("outer", inner, "john")
    company.configure(ldap=imports(company, nested_membership="in_chain"))
    company.full()
    assert company.held() == {"john": {"outer"}, "mary": {"outer"}}
    company.directory.leave(inner, company.dn("mary"))
    company.full()
    assert company.held() == {"john": {"outer"}, "mary": set()}


@having("primary_group")
@pytest.mark.rule("2.10.4", server="samba")
def test_the_primary_group_is_a_role(company: Company) -> None:
    """No list holds its members; a changed one arrives with the person's entry."""
    company.join("john", "mary")
    staff = company.role("staff", "john", "mary")
    company.full()
    (sid,) = company.directory.server.read(staff, "objectSid")["objectSid"]
    number = str(int.from_bytes(sid[-4:], "little"))
    company.directory.modify(company.dn("john"), primaryGroupID=[number])
    company.full()
    assert company.held() == {"john": {"staff"}, "mary": {"staff"}}
    company.directory.modify(company.dn("john"), primaryGroupID=["513"])
    company.directory.leave(staff, company.dn("john"))
    assert users(company.full()).keys() <= {"updated"}
    assert company.held() == {"john": set(), "mary": {"staff"}}
