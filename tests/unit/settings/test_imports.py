"""The keys of role and group imports: what is taken, and what is said of contradictions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from syncd.settings.mappers import GroupMapper, HardcodedGroupMapper

if TYPE_CHECKING:
    from syncd.settings.groups import GroupImport
    from syncd.settings.roles import RoleImport
    from tests.unit.settings.conftest import Place

GET = "user_roles_retrieve_strategy: get_from_user_member_of"
UID = "membership_attribute_type: uid"
RECURSIVELY = "LOAD_{}_BY_MEMBER_ATTRIBUTE_RECURSIVELY"


def of_roles(place: Place, keys: str, vendor: str = "other") -> RoleImport:
    """Load an import of roles with these keys."""
    place.ldap(f"vendor: {vendor}", f"import_roles: {{roles_dn: ou=r, {keys}}}")
    ldap = place.acme().ldap
    assert ldap is not None
    assert ldap.import_roles is not None
    return ldap.import_roles


def of_groups(place: Place, keys: str, vendor: str = "other") -> GroupImport:
    """Load an import of groups with these keys."""
    write_groups(place, keys, vendor)
    (mapper,) = place.acme().active_mappers
    assert isinstance(mapper, GroupMapper)
    return mapper


def write_groups(place: Place, keys: str, vendor: str = "other") -> None:
    """Write an organization of this vendor with one import of groups, in line 11."""
    path = place.ldap(f"vendor: {vendor}")
    with path.open("a", encoding="utf-8") as file:
        file.write(f"mappers:\n  - {{name: g, type: group, groups_dn: ou=g, {keys}}}\n")


def test_what_an_import_of_roles_does_by_default(place: Place) -> None:
    """Names are kept, roles are made and stay, and only direct members hold them."""
    roles = of_roles(place, "")
    assert (roles.name_patterns, roles.role_prefix) == ((), "")
    assert (roles.unknown_roles, roles.drop_non_existing_roles) == ("create", False)
    assert (roles.nested_membership, roles.primary_group) == ("none", None)


@pytest.mark.rule("K32", server="pure")
def test_what_an_import_of_groups_does_by_default(place: Place) -> None:
    """Groups stand at the top and stay; the rest follows from vendor and type."""
    groups = of_groups(place, "")
    assert (groups.groups_path, groups.mapped_group_attributes) == ("/", None)
    assert groups.drop_non_existing_groups_during_sync is False
    assert groups.preserve_group_inheritance is None
    assert (groups.nested_membership, groups.primary_group) == ("none", None)
    assert groups.user_groups_retrieve_strategy == "load_by_member_attribute"
    assert groups.membership_attribute_type == "dn"


def test_name_patterns_are_taken(place: Place) -> None:
    """Patterns with the groups that their roles name are kept in their order."""
    roles = of_roles(
        place,
        r"""name_patterns: [{match: "^app-(.+)$", role: '\1'}, """
        r"""{match: '(?P<n>.+)-x', role: '\g<n>'}]""",
    )
    assert [(each.match, each.role) for each in roles.name_patterns] == [
        ("^app-(.+)$", r"\1"),
        ("(?P<n>.+)-x", r"\g<n>"),
    ]


@pytest.mark.parametrize(
    ("kind", "strategy", "expected"),
    [
        ("roles", "LOAD_ROLES_BY_MEMBER_ATTRIBUTE_RECURSIVELY", ("recursively", "dn")),
        ("roles", "load_by_member_attribute_recursively", ("recursively", "dn")),
        ("groups", "LOAD_GROUPS_BY_MEMBER_ATTRIBUTE", ("load_by_member_attribute", "dn")),
        ("groups", "LOAD_GROUPS_BY_MEMBER_ATTRIBUTE_RECURSIVELY", ("recursively", "dn")),
        (
            "groups",
            "GET_GROUPS_FROM_USER_MEMBEROF_ATTRIBUTE",
            ("get_from_user_member_of", "member_of"),
        ),
        ("groups", "get_from_user_member_of", ("get_from_user_member_of", "member_of")),
    ],
)
def test_keycloaks_strategies_are_taken(
    place: Place, kind: str, strategy: str, expected: tuple[str, str]
) -> None:
    """Each kind of import knows the spellings of its own strategies; the type follows."""
    key = f"user_{kind}_retrieve_strategy"
    section: RoleImport | GroupImport
    if kind == "roles":
        section = of_roles(place, f"{key}: {strategy}")
    else:
        section = of_groups(place, f"{key}: {strategy}")
    found = getattr(section, key).replace("load_by_member_attribute_", "")
    assert (found, section.membership_attribute_type) == expected


@pytest.mark.parametrize(
    "keys",
    [
        "mapped_group_attributes: 'description, mail'",
        "mapped_group_attributes: [description, mail]",
    ],
)
def test_mapped_attributes_are_a_list_or_text(place: Place, keys: str) -> None:
    """Comma lists may be written as text, as in the set-up form."""
    assert of_groups(place, keys).mapped_group_attributes == ("description", "mail")


def test_in_chain_is_for_active_directory(place: Place) -> None:
    """There it is taken, with the strategy and type that it needs."""
    roles = of_roles(place, "nested_membership: in_chain", "active_directory")
    assert roles.nested_membership == "in_chain"


@pytest.mark.parametrize("group", ["Everybody", "/Directory/Everybody", "Team 2016/2017"])
def test_a_hardcoded_group_is_a_name_or_a_path(place: Place, group: str) -> None:
    """A text without a slash in front is a name, whatever is in it."""
    place.organization(
        "organization: {id: acme, name: A}\nprovider: admin\nmappers:\n"
        f"  - {{name: all, type: hardcoded-group, group: {group}}}\n"
    )
    (mapper,) = place.acme().active_mappers
    assert isinstance(mapper, HardcodedGroupMapper)
    assert mapper.group == group


ROLES = [
    (
        'name_patterns: [{match: "app-(", role: x}]',
        'name_patterns[0].match: at character 5: missing ), unterminated subpattern; found "app-("',
    ),
    (
        'name_patterns: [{match: "(a+)+", role: x}]',
        "name_patterns[0].match: at character 5: this could be matched in too many ways; use at "
        'most three open repetitions such as .+, and none within another; found "(a+)+"',
    ),
    (
        r"name_patterns: [{match: a, role: '\1'}]",
        r'name_patterns[0].role: at character 1: \1 is no group of match; found "\1"',
    ),
    (
        "name_patterns: [{match: a}]",
        r'name_patterns[0].role: is required: text, such as "\\1"',
    ),
    (
        "name_patterns: [{match: a, role: b, rolle: c}]",
        "name_patterns[0].rolle: there is no such key (did you mean role?); allowed: match, role",
    ),
    (
        "name_patterns: x",
        'name_patterns: must be list of {match, role}; found "x"',
    ),
    (
        "name_patterns: [{match: x.*, role: owner}]",
        'name_patterns[0].role: gives the preconfigured role "owner"; set '
        "may_grant_privileged: true if the directory's admins may decide that",
    ),
    (
        "unknown_roles: ignor",
        'unknown_roles: must be one of create, ignore; found "ignor"; did you mean ignore?',
    ),
    (
        "nested_membership: deep",
        'nested_membership: must be one of none, expand, in_chain; found "deep"',
    ),
    (
        f"nested_membership: expand, {UID}",
        "nested_membership: is expand, but values of membership_attribute_type: uid name people "
        "and never a group; use dn or member_of",
    ),
    (
        "nested_membership: in_chain",
        "nested_membership: is in_chain, a matching rule that only Active Directory has, but "
        "vendor is other; use expand",
    ),
    (
        f"nested_membership: in_chain, {GET}",
        "nested_membership: is in_chain, which needs load_by_member_attribute with "
        "membership_attribute_type: dn; use those, or expand",
    ),
    (
        f"user_roles_retrieve_strategy: {RECURSIVELY.format('ROLES')}, {UID}",
        "user_roles_retrieve_strategy: cannot be with membership_attribute_type: uid, which names "
        "people and never a group; use dn",
    ),
    (
        f"user_roles_retrieve_strategy: {RECURSIVELY.format('ROLES')}, nested_membership: none",
        "nested_membership: contradicts load_by_member_attribute_recursively, which says it "
        "already; keep one of them",
    ),
    (
        f"primary_group: true, {GET}",
        "primary_group: is true, but with get_from_user_member_of people name their groups "
        "themselves, and nobody names his primary one; use load_by_member_attribute",
    ),
]


@pytest.mark.parametrize(("keys", "fault"), ROLES, ids=[case[0] for case in ROLES])
def test_a_contradiction_in_an_import_of_roles_is_named(
    place: Place, keys: str, fault: str
) -> None:
    """Each is one fault at its key, with what to do about it."""
    place.ldap(f"import_roles: {{roles_dn: ou=r, {keys}}}")
    assert place.faults() == [f"organizations/acme.yaml:9: ldap.import_roles.{fault}"]


GROUPS = [
    (
        f"preserve_group_inheritance: true, {UID}",
        "other",
        "preserve_group_inheritance: is true, but values of membership_attribute_type: uid name "
        "people and never a group, so there is no hierarchy to preserve; use dn or member_of, or "
        "remove the key",
    ),
    (
        "preserve_group_inheritance: true, nested_membership: in_chain",
        "active_directory",
        "preserve_group_inheritance: is true, but with nested_membership: in_chain the directory "
        "tells who is in a group and not through which one; use expand, or remove the key",
    ),
    (
        "preserve_group_inheritance: true, user_groups_retrieve_strategy: "
        f"{RECURSIVELY.format('GROUPS')}",
        "active_directory",
        "preserve_group_inheritance: is true, but with load_by_member_attribute_recursively "
        "Active Directory tells who is in a group and not through which one; use "
        "load_by_member_attribute with nested_membership: expand, or remove the key",
    ),
    (
        "nested_membership: in_chain",
        "openldap",
        "nested_membership: is in_chain, a matching rule that only Active Directory has, but "
        "vendor is openldap; use expand",
    ),
    (
        "membership_attribute_type: member_of",
        "other",
        "membership_attribute_type: is member_of, but load_by_member_attribute needs dn or uid",
    ),
    (
        "groups_path: Directory",
        "other",
        "groups_path: must start with /, such as /Directory/Staff; a / in a name is written \\/; "
        'found "Directory"',
    ),
    (
        "groups_path: /Directory/",
        "other",
        "groups_path: must have a name between two slashes, without spaces around it, and none "
        'at the end; found "/Directory/"',
    ),
    (
        "user_groups_retrieve_strategy: LOAD_ROLES_BY_MEMBER_ATTRIBUTE",
        "other",
        "user_groups_retrieve_strategy: must be one of load_by_member_attribute, "
        "get_from_user_member_of, load_by_member_attribute_recursively; found "
        '"LOAD_ROLES_BY_MEMBER_ATTRIBUTE"',
    ),
    (
        "user_roles_retrieve_strategy: get_from_user_member_of",
        "other",
        "user_roles_retrieve_strategy: there is no such key here, it belongs under "
        "ldap.import_roles; allowed:",
    ),
]


@pytest.mark.rule("K32", server="pure")
@pytest.mark.parametrize(("keys", "vendor", "fault"), GROUPS, ids=[case[0] for case in GROUPS])
def test_a_contradiction_in_an_import_of_groups_is_named(
    place: Place, keys: str, vendor: str, fault: str
) -> None:
    """Each is one fault at its key, with what to do about it."""
    write_groups(place, keys, vendor)
    (found,) = place.faults()
    assert found.startswith(f"organizations/acme.yaml:11: mappers[0].{fault}")


def test_a_hardcoded_group_needs_a_group(place: Place) -> None:
    """The root of all paths is no group."""
    place.organization(
        "organization: {id: acme, name: A}\nprovider: admin\nmappers:\n"
        "  - {name: all, type: hardcoded-group, group: /}\n"
    )
    assert place.faults() == [
        "organizations/acme.yaml:4: mappers[0].group: must name a group, such as Everybody or "
        '/Directory/Everybody; found "/"'
    ]


def test_a_bad_pattern_hides_no_other_fault(place: Place) -> None:
    """Everything that is wrong is said at once, in the order of the file."""
    place.ldap(
        "import_roles:",
        "  roles_dn: ou=r",
        "  name_patterns:",
        "    - {match: '(', role: x}",
        "    - {match: a, role: ''}",
        "  unknown_roles: no",
        "bind_typ: x",
    )
    keys = [re.findall(r"yaml:\d+: ([\w.\[\]]+)", fault)[0] for fault in place.faults()]
    assert keys == [
        "ldap.import_roles.name_patterns[0].match",
        "ldap.import_roles.name_patterns[1].role",
        "ldap.import_roles.unknown_roles",
        "ldap.bind_typ",
    ]
