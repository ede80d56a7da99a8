"""A directory whose memberships weigh more than its people: one large group, and very many groups.

Every tenth group belongs to a tree, in which one of ten holds the nine others as members too.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ldap3

from bench import workload
from tests.servers.slapd import ADMIN, PASSWORD, SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MEMBERS_A_GROUP = 50
USERS_A_GROUP = 20
CHANGED_GROUPS = 100
# Of ten groups one is of the tree, and of ten of the tree one holds the others.
OF_TREE = 10
HELD = 9
# Coprime to every size: a group's members are spread over all people and no two are one.
STRIDE = 7919

LARGE, FLAT, TREE = (f"ou={name},{SUFFIX}" for name in ("large", "flat", "tree"))
EVERYBODY = f"cn=everybody,{LARGE}"
# slapd looks a member up in a sorted attribute, and walks through one that is not.
OPTIONS = "sortvals member"

LARGE_ROLE, LARGE_GROUP, MANY_GROUPS = "large role", "large group", "many groups"
_GROUP_MAPPER = """\
  - name: {name}
    type: group
    groups_dn: {base}
    group_object_classes: [groupOfNames]
"""
# What the organization's file ends with, and the bases that it lets syncd read beside the people.
IMPORTS = {
    LARGE_ROLE: (
        f"  import_roles:\n    roles_dn: {LARGE}\n    role_object_class: [groupOfNames]\n",
        (LARGE,),
    ),
    LARGE_GROUP: ("mappers:\n" + _GROUP_MAPPER.format(name="large", base=LARGE), (LARGE,)),
    MANY_GROUPS: (
        "mappers:\n"
        + _GROUP_MAPPER.format(name="flat", base=FLAT)
        + "    preserve_group_inheritance: false\n"
        + _GROUP_MAPPER.format(name="tree", base=TREE)
        + "    nested_membership: expand\n",
        (FLAT, TREE),
    ),
}


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many people there are; everybody is in the large group."""

    users: int

    @property
    def groups(self) -> int:
        """How many groups of fifty."""
        return max(OF_TREE, self.users // USERS_A_GROUP)

    def memberships(self, scenario: str) -> int:
        """How many values of member there are, member groups included."""
        if scenario != MANY_GROUPS:
            return self.users
        held = sum(len(self.held(number)) for number in range(self.groups))
        return self.groups * MEMBERS_A_GROUP + held

    def changed(self, scenario: str) -> int:
        """How many memberships a change takes away."""
        return min(CHANGED_GROUPS, self.groups) if scenario == MANY_GROUPS else 1

    def members(self, number: int) -> list[int]:
        """Return the people of a group, by number."""
        first = number * MEMBERS_A_GROUP
        return [(first + each * STRIDE) % self.users for each in range(MEMBERS_A_GROUP)]

    def held(self, number: int) -> list[int]:
        """Return the groups that a group holds."""
        place = number // OF_TREE
        if number % OF_TREE or place % OF_TREE:
            return []
        others = (number + OF_TREE * each for each in range(1, HELD + 1))
        return [each for each in others if each < self.groups]


def group_dn(number: int) -> str:
    """Return the DN of a group of fifty."""
    return f"cn=group{number:05},{FLAT if number % OF_TREE else TREE}"


def ldif(crowd: Crowd, seed: int = 1) -> Iterator[str]:
    """Yield the records of everybody and all groups."""
    yield from workload.people(crowd.users, random.Random(seed))
    for base in (LARGE, FLAT, TREE):
        name = base.partition(",")[0].removeprefix("ou=")
        yield f"dn: {base}\nobjectClass: organizationalUnit\nou: {name}\n\n"
    yield workload.group(EVERYBODY, map(workload.dn_of, range(crowd.users)))
    for number in range(crowd.groups):
        people = map(workload.dn_of, crowd.members(number))
        yield workload.group(group_dn(number), [*people, *map(group_dn, crowd.held(number))])


def change(url: str, crowd: Crowd, scenario: str, number: int) -> None:
    """Take one member out of the large group, or one out of each of a hundred groups.

    Whom the change before this one took out comes back.
    """
    server = ldap3.Server(url, get_info=ldap3.NONE)
    admin = ldap3.Connection(server, ADMIN, PASSWORD, auto_bind=True, raise_exceptions=True)
    changed: list[tuple[str, Sequence[int]]] = []
    if scenario == MANY_GROUPS:
        groups = range(crowd.changed(scenario))
        changed += [(group_dn(each), crowd.members(each)) for each in groups]
    else:
        changed = [(EVERYBODY, range(crowd.users))]
    for dn, members in changed:
        going = workload.dn_of(members[number % len(members)])
        admin.modify(dn, {"member": [(ldap3.MODIFY_DELETE, [going])]})
        if number:
            coming = workload.dn_of(members[(number - 1) % len(members)])
            admin.modify(dn, {"member": [(ldap3.MODIFY_ADD, [coming])]})
    admin.unbind()
