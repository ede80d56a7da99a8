"""Group import: names, hierarchy, nested members, attributes and the groups above."""

from __future__ import annotations

import json
from typing import Any

import pytest

from syncd.errors import MappingError
from syncd.ldap.dn import dn_key
from syncd.mappers.options import (
    GroupImportOptions,
    HardcodedGroupOptions,
    MemberOfOptions,
    MembershipType,
    Nested,
    RetrieveStrategy,
    RoleImportOptions,
)
from syncd.mappers.pipeline import ContainerMapping, compile_groups, compile_roles
from syncd.mappers.reasons import Reason
from syncd.records import ContainerRecord, Entry, Member, MemberOf, key_of
from tests.unit.mappers.directory import CODEC, anna, users

UUID = "0f0c1e2a-1111-4222-8333-abcdefabcdef"
BASE = "ou=groups,dc=x"
GET = RetrieveStrategy.GET_FROM_USER_MEMBER_OF
UID, MEMBER_OF = MembershipType.UID, MembershipType.MEMBER_OF
EXPAND, IN_CHAIN = Nested.EXPAND, Nested.IN_CHAIN


def groups(**more: Any) -> ContainerMapping:
    """Compile a group import."""
    keys: dict[str, Any] = {"name": "g", "groups_dn": BASE, "uuid_attribute": "entryUUID"}
    options = GroupImportOptions(**keys | more)
    return compile_groups(options, codec=CODEC, username_attribute="uid")


def group(
    name: object = "Staff", *members: object, dn: str = f"cn=Staff,{BASE}", **more: Any
) -> Entry:
    """Return a group entry."""
    attributes: dict[str, list[bytes]] = {"entryuuid": [UUID.encode()]}
    for key, value in {"cn": name, "member": list(members), **more}.items():
        values = value if isinstance(value, list) else [value]
        attributes[key.replace("__", ";").lower()] = [
            each if isinstance(each, bytes) else str(each).encode() for each in values
        ]
    return Entry(dn, attributes)


def test_a_group_with_members() -> None:
    """A group entry becomes a container of the kind group, under its own name."""
    mapping = groups()
    assert mapping(group("Staff", "uid=anna,ou=people,dc=x", f"cn=sub,{BASE}")) == ContainerRecord(
        mapper="g",
        container_key=key_of(UUID),
        external_id=UUID,
        dn=f"cn=Staff,{BASE}",
        dn_key=dn_key(f"cn=staff,{BASE}"),
        name="Staff",
        target="Staff",
        members=tuple(
            sorted(
                [
                    Member("dn", dn_key("uid=anna,ou=people,dc=x"), "uid=anna,ou=people,dc=x"),
                    Member("dn", dn_key(f"cn=sub,{BASE}"), f"cn=sub,{BASE}"),
                ]
            )
        ),
        whole=True,
        kind="group",
    )
    assert mapping.attributes == ("entryUUID", "cn", "member")
    assert mapping.kind == "group"


@pytest.mark.rule("K26", server="pure")
@pytest.mark.parametrize(
    ("keys", "hierarchy", "nested"),
    [
        ({}, True, False),
        ({"preserve_group_inheritance": False}, False, False),
        ({"membership_attribute_type": UID}, False, False),
        ({"user_groups_retrieve_strategy": GET}, True, False),
        ({"nested_membership": EXPAND}, True, True),
        ({"nested_membership": EXPAND, "preserve_group_inheritance": False}, False, True),
        # The directory expands them, so what it lists are people.
        ({"nested_membership": IN_CHAIN}, False, False),
    ],
)
def test_hierarchy_and_nesting(keys: dict[str, Any], hierarchy: bool, nested: bool) -> None:  # noqa: FBT001
    """Both follow from what the values can name, unless the configuration says otherwise."""
    mapping = groups(**keys)
    assert (mapping.hierarchy, mapping.nested) == (hierarchy, nested)


def test_what_becomes_of_what_is_gone_or_new() -> None:
    """Groups are always made; they and roles go with the directory only when that is asked for."""
    assert [groups().creates, groups().drops] == [True, False]
    assert groups(drop_non_existing_groups_during_sync=True).drops
    for keys, creates, drops in (
        ({}, True, False),
        ({"unknown_roles": "ignore"}, False, False),
        ({"drop_non_existing_roles": True}, True, True),
    ):
        options = RoleImportOptions(roles_dn="ou=r,dc=x", **keys)
        mapping = compile_roles(options, codec=CODEC, username_attribute="uid")
        assert (mapping.creates, mapping.drops) == (creates, drops)
        assert (mapping.kind, mapping.hierarchy, mapping.root) == ("role", False, None)


@pytest.mark.rule("K42", server="pure")
@pytest.mark.parametrize(
    "name",
    ["Team 2016/2017", "group/with/three/slashes", "a, b * c) ž", "/", "\\", "Owner", "=+<>#;\"'"],
)
def test_names_of_every_kind(name: str) -> None:
    """Slashes, commas and the names of preconfigured roles are a group's name like any other."""
    record = groups()(group(name))
    assert (record.name, record.target) == (name, name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ([], Reason.MISSING_GROUP_NAME),
        (" ", Reason.BAD_GROUP_NAME),
        ("a\nb", Reason.BAD_GROUP_NAME),
        ("a" * 256, Reason.BAD_GROUP_NAME),
        (b"\xff", Reason.NOT_TEXT),
    ],
)
def test_bad_names_are_refused(name: object, reason: str) -> None:
    """A group without a name that a person can read is not taken, but its key is known."""
    mapping = groups()
    with pytest.raises(MappingError) as caught:
        mapping(group(name))
    assert (caught.value.reason, caught.value.attribute) == (reason, "cn")
    assert mapping.key_of(group(name)) == key_of(UUID)


@pytest.mark.parametrize(
    ("more", "attributes"),
    [
        ({}, {}),
        ({"description": "x"}, {"description": ["x"]}),
        ({"mail": ["b", "a", "b", " "]}, {"Mail": ["a", "b"]}),
        ({"description": " ", "mail": 'ä"\n'}, {"Mail": ['ä"']}),
    ],
)
def test_mapped_attributes(more: dict[str, Any], attributes: dict[str, list[str]]) -> None:
    """A group keeps all values that the directory has, sorted; what is missing is not there."""
    mapping = groups(mapped_group_attributes=("description", "Mail"))
    found = mapping(group("Staff", **more)).attributes
    assert json.loads(found) == attributes
    assert found == json.dumps(
        attributes, ensure_ascii=False, sort_keys=True, separators=(",", ":")
    )
    assert {"description", "Mail"} <= set(mapping.attributes)


def test_attributes_that_are_no_text_are_refused() -> None:
    """As for people: what would be lost or garbled puts the entry in quarantine."""
    mapping = groups(mapped_group_attributes=("photo",))
    with pytest.raises(MappingError) as caught:
        mapping(group("Staff", photo=b"\xff\xd8"))
    assert (caught.value.reason, caught.value.attribute) == (Reason.NOT_TEXT, "photo")


@pytest.mark.rule("K27", server="pure")
def test_the_groups_above() -> None:
    """A groups path becomes groups that no directory holds, the outermost first."""
    mapping = groups(groups_path=r"/Directory/Staff \/ Berlin")
    outer, inner = mapping.fixed
    assert [each.name for each in mapping.fixed] == ["Directory", "Staff / Berlin"]
    assert [each.target for each in mapping.fixed] == ["Directory", "Staff / Berlin"]
    assert (outer.parents, inner.parents) == ((), (outer.container_key,))
    assert mapping.root == inner.container_key
    for each in mapping.fixed:
        assert (each.kind, each.dn, each.members, each.whole) == ("group", "", (), True)
        assert each.external_id == each.container_key.hex()
        assert each.mapper == "g"
    assert groups().root is None
    # Renaming the mapper makes no other groups, another path does.
    again = groups(name="h", groups_path=r"/Directory/Staff \/ Berlin")
    assert again.root == mapping.root
    assert groups(groups_path="/Directory/Staff").root != mapping.root
    assert groups(groups_path="/Directory/Staff").fixed[0].container_key == outer.container_key


def test_a_group_elsewhere_hands_its_members_on() -> None:
    """It stands for nothing, has no rules for its name, and is known as any other group."""
    mapping = groups(nested_membership=EXPAND)
    for name in ("Partners", "", "a\nb"):
        entry = group(name, "uid=bob,ou=people,dc=x", "cn=z,dc=y", dn="cn=Partners,dc=z")
        record = mapping.outside(entry)
        assert (record.kind, record.target, record.mapper) == ("outside", "", "g")
        assert record.name == ("Partners" if name == "Partners" else "cn=Partners,dc=z")
        assert record.container_key == mapping.key_of(entry) == key_of(UUID)
        assert record.dn_key == dn_key("cn=partners,dc=z")
        assert len(record.members) == 2
    with pytest.raises(MappingError):
        mapping.outside(group("x", dn="no dn"))


@pytest.mark.rule("K37", server="pure")
@pytest.mark.parametrize(
    "keys", [{}, {"preserve_group_inheritance": False, "nested_membership": EXPAND}]
)
def test_groups_that_say_what_they_are_in(keys: dict[str, Any]) -> None:
    """With memberOf a group names the groups above itself, by DN, and so do people."""
    mapping = groups(
        user_groups_retrieve_strategy=GET, member_of_ldap_attribute="isMemberOf", **keys
    )
    parents = [f"CN=Top, {BASE}", f"cn=all,{BASE}", f"cn=top,{BASE}", "cn=x,ou=other,dc=x", "?", ""]
    record = mapping(group("Staff", "uid=anna,dc=x", ismemberof=parents))
    assert record.container_key == record.dn_key
    assert record.parents == tuple(sorted([dn_key(f"cn=top,{BASE}"), dn_key(f"cn=all,{BASE}")]))
    assert (record.members, record.whole) == ((), True)
    assert mapping.attributes == ("entryUUID", "cn", "isMemberOf")
    assert mapping.member_of == (
        MemberOfOptions(mapper="g", ldap_attribute="isMemberOf", base_dn=BASE),
    )


def test_flat_groups_do_not_ask_what_they_are_in() -> None:
    """Without hierarchy and nesting the group's own memberOf is not read."""
    mapping = groups(user_groups_retrieve_strategy=GET, preserve_group_inheritance=False)
    assert mapping.attributes == ("entryUUID", "cn")
    assert mapping(group("Staff", memberof=f"cn=top,{BASE}")).parents == ()


@pytest.mark.rule("2.10.1", server="pure")
def test_a_group_of_which_a_part_came_is_not_whole() -> None:
    """Ranges of members or of groups above that do not reach the end are told."""
    mapping, above = groups(), groups(user_groups_retrieve_strategy=GET)
    first, last = {"member__range=0-1499": "cn=a,dc=x"}, {"member__range=0-*": "cn=a,dc=x"}
    assert [mapping(group("g", **block)).whole for block in (first, last)] == [False, True]
    first, last = ({"memberof__range=" + part: f"cn=a,{BASE}"} for part in ("0-1", "0-*"))
    assert [above(group("g", **block)).whole for block in (first, last)] == [False, True]


@pytest.mark.rule("2.10.5", server="pure")
def test_a_posix_group() -> None:
    """Values of memberUid name people by their username, and so never a group."""
    mapping = groups(membership_attribute_type=UID, membership_ldap_attribute="memberUid")
    record = mapping(group("Staff", memberuid=["Anna", "anna", "bob"]))
    assert record.members == tuple(
        sorted([Member("uid:uid", key_of("anna"), "Anna"), Member("uid:uid", key_of("bob"), "bob")])
    )
    assert mapping.member_attributes == ("uid",)


def test_members_with_an_optional_uid() -> None:
    """The bit string that uniqueMember may carry is no part of the DN (RFC 4517 section 3.3.21)."""
    mapping = groups(membership_ldap_attribute="uniqueMember")
    (member,) = mapping(group("Staff", uniquemember=["uid=anna,dc=x#'0101'B"])).members
    assert member == Member("dn", dn_key("uid=anna,dc=x"), "uid=anna,dc=x")


def test_the_fingerprint_follows_the_configuration() -> None:
    """Whatever changes the record changes the fingerprint."""
    variants: list[dict[str, Any]] = [
        {},
        {"groups_path": "/A"},
        {"mapped_group_attributes": ("mail",)},
        {"preserve_group_inheritance": False},
        {"nested_membership": EXPAND},
        {"primary_group": True},
        {"drop_non_existing_groups_during_sync": True},
    ]
    assert len({groups(**keys).fingerprint for keys in variants}) == len(variants)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("Everybody", ["Everybody"]),
        ("Team 2016/2017", ["Team 2016/2017"]),
        ("/Directory/Everybody", ["Directory", "Everybody"]),
    ],
)
def test_a_hardcoded_group(given: str, names: list[str]) -> None:
    """Everybody states the last group of the path; the others are those above it."""
    mapping = users(HardcodedGroupOptions(name="all", group=given))
    assert [each.name for each in mapping.containers] == names
    assert {(each.kind, each.mapper, each.dn) for each in mapping.containers} == {
        ("group", "all", "")
    }
    for above, below in zip(mapping.containers, mapping.containers[1:], strict=False):
        assert below.parents == (above.container_key,)
    own = mapping.containers[-1]
    assert mapping(anna()).memberships == (MemberOf("all", own.container_key, given),)


def test_paths_of_hardcoded_groups_meet_those_of_imports() -> None:
    """The groups of one path are the same, whoever names it."""
    mapping = users(HardcodedGroupOptions(name="all", group="/Directory/Everybody"))
    above = groups(groups_path="/Directory").fixed[0]
    assert mapping.containers[0]._replace(mapper="g") == above
