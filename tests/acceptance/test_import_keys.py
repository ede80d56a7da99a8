"""What imports of roles and groups make of a directory's entries, key by key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.world import role
from tests.servers.slapd import ROLES, SUFFIX, people, person

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ("tests.acceptance.quick",)

GROUPS = f"ou=teams,{SUFFIX}"
TREE = f"dn: {GROUPS}\nobjectClass: organizationalUnit\nou: teams\n\n"


def group_names(world: QuickWorld, username: str) -> set[str]:
    """Return the names of the groups that somebody is in."""
    rows = world.sql(
        "select g.name from group_members m join groups g on g.id = m.group_id"
        " join users u on u.id = m.user_id where u.username = :username",
        username=username,
    )
    return set(rows)


def test_names_by_map_pattern_and_prefix(quick_world: MakeQuickWorld) -> None:
    """Each role is called as the first rule that fits says; two names may be one role."""
    world = quick_world(
        people(4)
        + role("app-portal-Billing", "u00000")
        + role("mapped", "u00001")
        + role("tmp-a", "u00002")
        + role("tmp-b", "u00002", "u00003")
        + role("Sales", "u00003")
        + role("Owner", "u00003")
    )
    world.configure(
        ldap={
            "import_roles": {
                "roles_dn": ROLES,
                "name_map": {"mapped": "By map"},
                "name_patterns": [
                    {"match": "^app-portal-(.+)$", "role": r"\1"},
                    {"match": "tmp-.*", "role": "Temporary"},
                ],
                "role_prefix": "LDAP ",
            }
        }
    )
    world.sync()
    assert world.roles_held() == {
        "u00000": {"Billing"},
        "u00001": {"By map"},
        "u00002": {"Temporary"},
        "u00003": {"Temporary", "LDAP Sales", "LDAP Owner"},
    }


@pytest.mark.rule("2.10.5", server="openldap")
def test_posix_groups_with_primary_members(quick_world: MakeQuickWorld) -> None:
    """Beside memberUid the number on the person's entry says which group he is in."""
    world = quick_world(
        TREE
        + "".join(
            person(
                name,
                objectClass=["inetOrgPerson", "posixAccount"],
                uidNumber=str(number),
                gidNumber=gid,
                homeDirectory="/",
            )
            for number, (name, gid) in enumerate(
                {"ann": "500", "bob": "500", "cid": "600"}.items(), 1000
            )
        )
        + posix("staff", "500", "cid")
        + posix("guests", "600")
        + posix("empty", "700")
    )
    world.configure(
        mappers=[
            {
                "name": "posix",
                "type": "group",
                "groups_dn": GROUPS,
                "group_object_classes": ["posixGroup"],
                "membership_attribute_type": "uid",
                "membership_ldap_attribute": "memberUid",
                "primary_group": True,
            }
        ]
    )
    world.sync()
    assert {name: group_names(world, name) for name in ("ann", "bob", "cid")} == {
        "ann": {"staff"},
        "bob": {"staff"},
        "cid": {"staff", "guests"},
    }


def posix(name: str, number: str, *members: str) -> str:
    """Return a group of RFC 2307 as LDIF."""
    listed = "".join(f"memberUid: {member}\n" for member in members)
    return (
        f"dn: cn={name},{GROUPS}\nobjectClass: posixGroup\ncn: {name}\ngidNumber: {number}\n"
        f"{listed}\n"
    )


@pytest.mark.rule("K27", server="openldap")
@pytest.mark.rule("K42", server="openldap")
def test_a_tree_of_groups_below_a_path(quick_world: MakeQuickWorld) -> None:
    """Member groups are child groups, all of it below the path; names have any signs."""
    world = quick_world(people(3) + TREE)
    add_group(world, "Team 2016/2017", "uid=u00002,ou=people")
    add_group(world, "sales", "uid=u00001,ou=people", description="Sells")
    add_group(
        world, "all", "uid=u00000,ou=people", "cn=sales,ou=teams", "cn=Team 2016/2017,ou=teams"
    )
    import_groups = {
        "name": "teams",
        "type": "group",
        "groups_dn": GROUPS,
        "groups_path": "/Directory/Teams",
        "mapped_group_attributes": "description",
    }
    everybody = {"name": "all of us", "type": "hardcoded-group", "group": "/Directory/Everybody"}
    world.configure(mappers=[import_groups, everybody])
    world.sync()
    own = {name: group_names(world, name) - {"Everybody"} for name in world.users()}
    assert own == {"u00000": {"all"}, "u00001": {"sales"}, "u00002": {"Team 2016/2017"}}
    assert all("Everybody" in group_names(world, name) for name in own)
    assert paths(world) == {
        "/Directory",
        "/Directory/Everybody",
        "/Directory/Teams",
        "/Directory/Teams/all",
        "/Directory/Teams/all/sales",
        "/Directory/Teams/all/Team 2016/2017",
    }
    assert world.sql("select attributes from groups where name = 'sales'") == [
        '{"description":["Sells"]}'
    ]
    world.configure(mappers=[import_groups | {"nested_membership": "expand"}, everybody])
    world.sync()
    assert group_names(world, "u00001") == {"sales", "all", "Everybody"}
    assert world.plan(code=0)["changes"] == []


def paths(world: QuickWorld) -> set[str]:
    """Return the path of each group, all of which have names of their own here."""
    rows = world.sql(
        "select g.name || '|' || coalesce(a.name, '') from groups g"
        " left join group_parents p on p.group_id = g.id left join groups a on a.id = p.parent_id"
    )
    above: dict[str, str] = dict(row.split("|") for row in rows)

    def path(name: str) -> str:
        return f"{path(above[name])}/{name}" if name else ""

    return set(map(path, above))


def add_group(world: QuickWorld, name: str, *members: str, **more: str) -> None:
    """Add a group of DNs, which are given without the suffix."""
    dns = [f"{member},{SUFFIX}" for member in members]
    world.slapd.add(f"cn={name},{GROUPS}", objectClass="groupOfNames", cn=name, member=dns, **more)
