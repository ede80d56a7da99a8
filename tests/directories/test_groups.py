"""Groups as sets of people, as a tree, and as they come and go: on every directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.directories.company import users
from tests.directories.directory import cn

if TYPE_CHECKING:
    from tests.directories.company import Company

NESTED = {"nested_membership": "expand"}
FLAT = {"preserve_group_inheritance": False}
DROPPED = {"drop_non_existing_groups_during_sync": True}
MANUAL = (
    "insert into group_members (user_id, group_id, source, organization_id)"
    " select :user_id, id, 'manual', 'acme' from groups where name = :name"
)


def remarks(done: dict[str, Any]) -> set[tuple[str, str]]:
    """Return (kind, first part of the DN) of what a run remarked upon."""
    return {
        (each["kind"], each["dn"].partition(",")[0].lower().removeprefix("cn="))
        for each in done["remarks"]
    }


@pytest.mark.rule("K27", server="openldap samba 389ds")
@pytest.mark.rule("2.3.4", server="openldap samba 389ds")
def test_a_tree_arrives_as_a_tree(company: Company) -> None:
    """Member groups are child groups, nothing of them stands at the top, and people stay below."""
    company.join("john", "mary")
    eleven = company.group("group11", "john")
    twelve = company.group("group12")
    one = company.group("group1", eleven, twelve, "mary", description="The first")
    company.configure(groups={"mapped_group_attributes": ["description"]})
    company.full()
    assert company.tree() == {("group11", "group1"), ("group12", "group1")}
    assert company.grouped(empty=True) == {
        "group1": {"mary"},
        "group11": {"john"},
        "group12": set(),
    }
    assert company.rows("select description from groups where name = 'group1'") == [("The first",)]
    company.directory.leave(one, twelve)
    company.directory.join(eleven, twelve)
    company.directory.modify(one, description=["Another"])
    company.changed()
    assert company.tree() == {("group11", "group1"), ("group12", "group11")}
    assert company.rows("select description from groups where name = 'group1'") == [("Another",)]
    assert company.plan(code=0)["changes"] == []


@pytest.mark.rule("K26", server="openldap samba 389ds")
@pytest.mark.rule("2.10.3", server="openldap samba 389ds")
def test_groups_that_contain_each_other(company: Company) -> None:
    """A circle and a second parent are told of and stop nothing; everybody is where he counts."""
    company.join("john", "mary", "rob")
    company.group("group1", "john")
    twelve = company.group("group12", company.dn("group1", company.groups), "mary")
    company.directory.join(company.dn("group1", company.groups), twelve)
    both = company.group("both", "rob")
    company.group("first", both)
    company.group("second", both)
    company.configure(groups=NESTED)
    done = company.full()
    assert {kind for kind, _ in remarks(done)} == {"cycle", "several_parents"}
    assert ("several_parents", "both") in remarks(done)
    assert company.grouped() == {
        "group1": {"john", "mary"},
        "group12": {"john", "mary"},
        "both": {"rob"},
        "first": {"rob"},
        "second": {"rob"},
    }
    tree = company.tree()
    assert {("both", "first"), ("both", "second")} < tree
    assert len(tree) == 3
    company.configure(groups=FLAT)
    # Other mappers take memberships away, which somebody has to look at.
    blocked = company.sync(3)
    assert blocked["remarks"] == []
    company.json("approve", blocked["run"])
    assert company.tree() == set()
    assert company.grouped() == {
        "group1": {"john"},
        "group12": {"mary"},
        "both": {"rob"},
    }


@pytest.mark.rule("2.10.3", server="openldap samba 389ds")
def test_nested_members_follow_changes(company: Company) -> None:
    """Through groups that hold nobody themselves, for roles as for groups, by changed syncs."""
    company.join("john", "mary")
    below = company.group("below", "john")
    middle = company.group("middle", below)
    company.group("above", middle)
    company.role("staff", middle)
    company.configure(
        ldap={"import_roles": {"roles_dn": company.roles} | NESTED}, groups={**NESTED, **FLAT}
    )
    company.full()
    assert company.grouped() == {name: {"john"} for name in ("below", "middle", "above")}
    assert company.held() == {"john": {"staff"}, "mary": set()}
    company.directory.join(below, company.dn("mary"))
    company.changed()
    assert company.grouped() == {name: {"john", "mary"} for name in ("below", "middle", "above")}
    assert company.full()["memberships"]["added"] in {0, 1}
    assert company.held() == {"john": {"staff"}, "mary": {"staff"}}
    company.directory.leave(middle, below)
    company.changed()
    company.full()
    assert company.grouped() == {"below": {"john", "mary"}}
    assert company.held() == {"john": set(), "mary": set()}
    assert company.plan(code=0)["changes"] == []


@pytest.mark.rule("2.10.3", server="openldap samba 389ds")
def test_members_outside_of_the_base(company: Company) -> None:
    """Somebody outside is nobody; a group outside hands its members on and is no group itself."""
    company.join("john", "mary")
    (stranger,) = company.join("stranger", container=company.elsewhere)
    outside = company.group("outside", "mary", container=company.elsewhere)
    company.group("team", "john", stranger, outside)
    company.configure(groups=NESTED)
    company.full()
    assert company.grouped(empty=True) == {"team": {"john", "mary"}}
    company.directory.leave(outside, company.dn("mary"))
    company.full()
    assert company.grouped(empty=True) == {"team": {"john"}}


@pytest.mark.rule("2.10.1", server="samba")
def test_a_group_of_more_members_than_one_answer_holds(company: Company) -> None:
    """Everybody is in it, and one who leaves is out."""
    names = [f"p{number:02}" for number in range(12)]
    company.join(*names)
    team = company.group("team", *names)
    company.configure(groups={})
    company.full()
    assert company.grouped() == {"team": set(names)}
    company.directory.leave(team, company.dn(names[3]))
    company.directory.modify(company.dn(names[4]), sn=["Changed"])
    done = company.changed()
    assert (users(done), done["memberships"]["removed"]) == ({"updated": 1}, 1)
    assert company.grouped() == {"team": set(names) - {names[3]}}


@pytest.mark.rule("K28", server="openldap samba 389ds")
@pytest.mark.rule("K30", server="openldap samba 389ds")
@pytest.mark.rule("K34", server="openldap samba 389ds")
@pytest.mark.rule("K42", server="openldap samba 389ds")
def test_groups_are_renamed_moved_and_deleted(company: Company) -> None:
    """The same group under another name and elsewhere; gone ones are kept, without members."""
    directory = company.directory
    unit = f"ou=unit,{company.groups}"
    directory.unit(unit)
    company.join("john", "mary")
    one = company.group("group1", "john", description="old")
    company.group("Team 2016/2017, A*", "john", "mary")
    company.configure(
        groups={"mapped_group_attributes": "description", "groups_path": "/Directory"}
    )
    company.full()
    ids = dict(company.rows("select name, id from groups"))
    company.sql(MANUAL, user_id=company.id_of(company.name("mary")), name="group1")
    one = directory.rename(one, cn("group5"), unit)
    directory.modify(one, description=["new"])
    company.changed()
    assert company.rows(f"select name, description from groups where id = {ids['group1']}") == [
        ("group5", "new")
    ]
    assert company.grouped() == {
        "Team 2016/2017, A*": {"john", "mary"},
        "group5": {"john", "mary"},
    }
    assert company.tree() == {("group5", "Directory"), ("Team 2016/2017, A*", "Directory")}
    directory.delete(one)
    company.full()
    # What was given here stays, and so does the group.
    assert company.grouped() == {"Team 2016/2017, A*": {"john", "mary"}, "group5": {"mary"}}
    assert company.plan(code=0)["changes"] == []


@pytest.mark.rule("K28", server="openldap samba 389ds")
def test_groups_are_dropped_where_that_is_wanted(company: Company) -> None:
    """Only what this mapper made and what a complete listing has no more."""
    company.join("john")
    company.group("stays", "john")
    doomed = company.group("doomed", "john")
    company.configure(groups=DROPPED)
    company.full()
    company.sql(
        "insert into groups (id, organization_id, name, name_key, kind, description, attributes)"
        " values (-1, 'acme', 'by hand', 'by hand', 'custom', '', '{}')"
    )
    company.directory.delete(doomed)
    done = company.full()
    assert (done["groups"]["deleted"], done["memberships"]["removed"]) == (1, 1)
    assert company.grouped(empty=True) == {"stays": {"john"}, "by hand": set()}


@pytest.mark.rule("K41", server="openldap samba 389ds")
def test_an_emptied_group_stays(company: Company) -> None:
    """The last member leaves and another one comes, in the same group."""
    company.join("john", "mary")
    team = company.group("team", "john")
    company.configure(groups=DROPPED)
    company.full()
    before = company.rows("select id, name from groups")
    company.directory.leave(team, company.dn("john"))
    company.changed()
    assert company.grouped(empty=True) == {"team": set()}
    company.directory.join(team, company.dn("mary"))
    company.changed()
    assert company.grouped() == {"team": {"mary"}}
    assert company.rows("select id, name from groups") == before


@pytest.mark.rule("K34", server="openldap samba 389ds")
@pytest.mark.rule("2.3.4", server="samba 389ds")
def test_groups_that_people_s_entries_name(company: Company) -> None:
    """By memberOf of people and of groups, with what was given by hand beside it."""
    company.join("john", "mary")
    below = company.group("below", "john")
    company.group("above", below)
    by_member_of = {"user_groups_retrieve_strategy": "get_from_user_member_of"}
    company.configure(groups=by_member_of)
    company.full()
    assert ("below", "above") in company.tree()
    assert "john" in company.grouped()["below"]
    company.sql(MANUAL, user_id=company.id_of(company.name("mary")), name="below")
    company.directory.leave(below, company.dn("john"))
    company.full()
    assert company.grouped() == {"below": {"mary"}}
