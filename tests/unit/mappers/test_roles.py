"""Role import: names, members of each kind, and what a role is known by."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.errors import MappingError
from syncd.ldap.dn import dn_key
from syncd.mappers.members import PLACEHOLDER
from syncd.mappers.memberships import unreadable_key
from syncd.mappers.options import (
    MemberOfOptions,
    MembershipType,
    NamePatternOptions,
    RetrieveStrategy,
    RoleImportOptions,
)
from syncd.mappers.pipeline import ContainerMapping, compile_roles
from syncd.mappers.reasons import Reason
from syncd.records import ContainerRecord, Entry, Member, key_of
from tests.unit.mappers.directory import CODEC

UUID = "0f0c1e2a-1111-4222-8333-abcdefabcdef"


def roles(**more: Any) -> ContainerMapping:
    """Compile a role import."""
    options = RoleImportOptions(
        **{"roles_dn": "ou=roles,dc=x", "uuid_attribute": "entryUUID"} | more
    )
    return compile_roles(options, codec=CODEC, username_attribute="uid")


def role(name: object = "Admins", *members: object, **more: Any) -> Entry:
    """Return a role entry."""
    attributes: dict[str, list[bytes]] = {"entryuuid": [UUID.encode()]}
    for key, value in {"cn": name, "member": list(members), **more}.items():
        values = value if isinstance(value, list) else [value]
        attributes[key.replace("__", ";")] = [
            each if isinstance(each, bytes) else str(each).encode() for each in values
        ]
    return Entry("cn=Admins,ou=roles,dc=x", attributes)


def refused(mapping: ContainerMapping, entry: Entry) -> MappingError:
    """Return the refusal of an entry."""
    with pytest.raises(MappingError) as caught:
        mapping(entry)
    return caught.value


@pytest.mark.rule("K43", server="pure")
def test_a_role_with_members() -> None:
    """A role entry becomes a container with the keys of its members."""
    record = roles()(role("Admins", "uid=john,dc=x", "UID=Mary, DC=x"))
    assert record == ContainerRecord(
        mapper="import roles",
        container_key=key_of(UUID),
        external_id=UUID,
        dn="cn=Admins,ou=roles,dc=x",
        dn_key=dn_key("cn=admins,ou=roles,dc=x"),
        name="Admins",
        target="Admins",
        members=tuple(
            sorted(
                [
                    Member("dn", dn_key("uid=john,dc=x"), "uid=john,dc=x"),
                    Member("dn", dn_key("uid=mary,dc=x"), "UID=Mary, DC=x"),
                ]
            )
        ),
        whole=True,
    )
    assert roles().attributes == ("entryUUID", "cn", "member")


def test_a_role_without_an_id_is_known_by_its_dn() -> None:
    """Where role entries have no id, or the directory has none, the DN stands for it."""
    key = dn_key("cn=Admins,ou=roles,dc=x")
    for record in (
        roles()(role(entryuuid=[])),
        roles(uuid_attribute=None)(role()),
    ):
        assert (record.external_id, record.container_key) == (key.hex(), key_of(key.hex()))


def test_a_role_with_a_bad_id_is_refused() -> None:
    """An id that is there and unusable is not replaced by another one."""
    assert refused(roles(), role(entryuuid=["a", "b"])).reason == Reason.SEVERAL_IDS
    assert refused(roles(), role(entryuuid=b"\xff")).reason == Reason.BAD_ID
    assert refused(roles(), role()._replace(dn="no dn")).reason == Reason.BAD_DN


@pytest.mark.rule("K36", server="pure")
@pytest.mark.rule("K41", server="pure")
@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("", None),
        ("  ", None),
        (PLACEHOLDER, None),
        ("CN=Empty-Membership-Placeholder", None),
        ("cn=nobody", dn_key("cn=nobody")),
        ("cn=a,dc=x#'0101'B", dn_key("cn=a,dc=x")),
        ("john", unreadable_key("john")),
        (b"cn=\xff", unreadable_key("cn=\\xff")),
        (b"cn=a\0", unreadable_key("cn=a\\00")),
    ],
)
def test_odd_members(value: object, key: bytes | None) -> None:
    """Empty members are none; what is no DN stays unresolved and harms no other member."""
    record = roles()(role("Admins", "uid=john,dc=x", value))
    expected = {dn_key("uid=john,dc=x")} | ({key} if key else set())
    assert {member.key for member in record.members} == expected
    assert record.whole
    assert not any("\0" in member.value for member in record.members)


@pytest.mark.rule("2.10.6", server="pure")
def test_two_spellings_of_a_member_are_one() -> None:
    """A member is counted once, in the same spelling whatever the order."""
    spellings = ["UID=John,DC=x", "uid=john, dc=x"]
    records = [
        roles()(role("a", *spellings)),
        roles()(role("a", *reversed(spellings))),
    ]
    assert records[0] == records[1]
    assert [member.value for member in records[0].members] == ["UID=John,DC=x"]


@pytest.mark.rule("2.10.5", server="pure")
def test_members_by_uid() -> None:
    """A UID-type role names its members by an attribute of theirs, in any letter case."""
    mapping = roles(membership_attribute_type="uid", membership_ldap_attribute="memberUid")
    record = mapping(role(memberuid=["John", "john", "", PLACEHOLDER]))
    assert record.members == (Member("uid:uid", key_of("john"), "John"),)
    assert (mapping.member_attributes, mapping.member_of) == (("uid",), ())
    assert mapping.attributes == ("entryUUID", "cn", "memberUid")
    other = roles(
        membership_attribute_type=MembershipType.UID,
        membership_user_ldap_attribute="employeeNumber",
    )
    assert other.member_attributes == ("employeeNumber",)
    assert other(role("a", "7")).members[0].kind == "uid:employeenumber"


@pytest.mark.rule("K37", server="pure")
def test_members_that_name_themselves() -> None:
    """With memberOf a role is known by its DN, because that is what people name."""
    mapping = roles(
        user_roles_retrieve_strategy=RetrieveStrategy.GET_FROM_USER_MEMBER_OF,
        member_of_ldap_attribute="isMemberOf",
    )
    record = mapping(role("Admins", "uid=john,dc=x"))
    assert (record.members, record.whole) == ((), True)
    assert record.container_key == record.dn_key == dn_key("cn=Admins,ou=roles,dc=x")
    assert record.external_id == UUID
    assert mapping.attributes == ("entryUUID", "cn")
    assert mapping.member_of == (
        MemberOfOptions(
            mapper="import roles", ldap_attribute="isMemberOf", base_dn="ou=roles,dc=x"
        ),
    )


@pytest.mark.rule("2.10.1", server="pure")
@pytest.mark.parametrize(
    ("ranges", "whole"),
    [(["0-1499"], False), (["0-*"], True), (["0-1", "2-*"], True), (["2-*"], False)],
)
def test_part_of_the_members_is_not_all_of_them(ranges: list[str], whole: bool) -> None:  # noqa: FBT001
    """A role whose last range is missing is not whole."""
    blocks = {f"member__range={each}": [f"uid=u{each[0]},dc=x"] for each in ranges}
    record = roles()(role("Admins", **blocks))
    assert (record.whole, len(record.members)) == (whole, len(ranges))


@pytest.mark.rule("K42", server="pure")
@pytest.mark.parametrize(
    "name", ["Team 2016/2017", "group/with/three/slashes", "a, b * c) ž", "Größe", "=+<>#;\"'"]
)
def test_names_of_every_kind(name: str) -> None:
    """Slashes, commas, stars, parentheses and any alphabet are part of a role's name."""
    record = roles()(role(name))
    assert (record.name, record.target) == (name, name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ([], Reason.MISSING_ROLE_NAME),
        (" ", Reason.BAD_ROLE_NAME),
        ("a\nb", Reason.BAD_ROLE_NAME),
        ("a" * 256, Reason.BAD_ROLE_NAME),
        (b"\xff", Reason.NOT_TEXT),
    ],
)
def test_bad_names_are_refused(name: object, reason: str) -> None:
    """A role without a name that a person can read is not taken."""
    error = refused(roles(), role(name))
    assert (error.reason, error.attribute) == (reason, "cn")


def test_of_several_names_the_one_in_the_dn_counts() -> None:
    """A further cn does not rename a role."""
    assert roles()(role(["a", "admins"])).name == "admins"
    assert roles()(role(["b", "a"])).name == "a"


@pytest.mark.parametrize("name", ["Owner", "ADMIN", "support  agent", "Ad\u200bmin", "user"])
def test_preconfigured_names_are_reserved(name: str) -> None:
    """No directory gives anybody a preconfigured role by calling its own role so."""
    error = refused(roles(), role(name))
    assert error.reason == Reason.ROLE_NAME_RESERVED
    assert "name_map" in error.detail


def test_the_name_map() -> None:
    """A role gets the name that the map says, reserved ones only with both keys."""
    mapping = roles(name_map={"IT-Admins": "Operators", "admin": "Directory admins"})
    assert mapping(role("it-admins")).target == "Operators"
    assert mapping(role("Admin")).target == "Directory admins"
    assert mapping(role("Sales")).target == "Sales"
    granted = roles(name_map={"IT-Admins": "Admin"}, may_grant_privileged=True)
    assert granted(role("it-admins")).target == "Admin"
    assert refused(granted, role("Owner")).reason == Reason.ROLE_NAME_RESERVED
    error = refused(roles(name_map={"IT-Admins": "Admin"}), role("it-admins"))
    assert error.reason == Reason.ROLE_NAME_RESERVED
    assert "may_grant_privileged: true" in error.detail


PATTERNS = (
    NamePatternOptions(match="^app-(.+)$", role=r"\1"),
    NamePatternOptions(match="app-.*", role="never"),
    NamePatternOptions(match="(gg|ug)_.*", role="All groups"),
    NamePatternOptions(match="lost(x)?", role=r"\1"),
)


@pytest.mark.parametrize(
    ("name", "role_name"),
    [
        ("app-Billing", "Billing"),
        ("APP-billing", "billing"),
        ("App-Mapped", "By map"),
        ("GG_x", "All groups"),
        ("my-app-x", "AD my-app-x"),
        ("Sales", "AD Sales"),
        # With the prefix it is no preconfigured role.
        ("Owner", "AD Owner"),
    ],
)
def test_map_patterns_and_prefix(name: str, role_name: str) -> None:
    """The map comes first, then the first pattern that matches, and others get the prefix."""
    mapping = roles(name_map={"app-mapped": "By map"}, name_patterns=PATTERNS, role_prefix="AD ")
    record = mapping(role(name))
    assert (record.name, record.target) == (name, role_name)


@pytest.mark.parametrize(
    ("keys", "name", "reason", "key"),
    [
        ({"name_patterns": PATTERNS}, "app-Owner", Reason.ROLE_NAME_RESERVED, "name_patterns"),
        ({"name_patterns": PATTERNS}, "app-o\u200bwner", Reason.ROLE_NAME_RESERVED, "allow that"),
        ({"role_prefix": "Ad"}, "min", Reason.ROLE_NAME_RESERVED, "name_map"),
        (
            {"role_prefix": "Ad", "may_grant_privileged": True},
            "min",
            Reason.ROLE_NAME_RESERVED,
            "name_map",
        ),
        ({"name_patterns": PATTERNS}, "lost", Reason.BAD_ROLE_NAME, "name_patterns"),
        ({"role_prefix": "AD "}, "a" * 253, Reason.BAD_ROLE_NAME, "role_prefix"),
    ],
)
def test_names_that_a_rule_may_not_make(
    keys: dict[str, Any], name: str, reason: str, key: str
) -> None:
    """A made name is held to what every name is, and the refusal says which key made it."""
    error = refused(roles(**keys), role(name))
    assert error.reason == reason
    assert key in error.detail


def test_a_pattern_reaches_preconfigured_roles_when_allowed() -> None:
    """With may_grant_privileged a pattern may do what the map may."""
    mapping = roles(name_patterns=PATTERNS, may_grant_privileged=True)
    assert mapping(role("app-Owner")).target == "Owner"
