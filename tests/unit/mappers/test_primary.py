"""Primary groups: the SIDs and numbers by which a person and a group meet."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from syncd.mappers import primary
from syncd.mappers.options import (
    GroupImportOptions,
    MembershipType,
    Nested,
    PrimaryGroupBy,
    RetrieveStrategy,
    RoleImportOptions,
)
from syncd.mappers.pipeline import compile_groups, compile_roles, compile_users
from syncd.mappers.primary import sid_text
from syncd.records import Entry, Member, key_of
from tests.unit.mappers.directory import CODEC, PREDEFINED, anna

DOMAIN = (21, 1004336348, 1177238915, 682003330)
BY_SID, BY_NUMBER = PrimaryGroupBy.OBJECT_SID, PrimaryGroupBy.GID_NUMBER


def sid(*parts: int, authority: int = 5) -> bytes:
    """Return a SID as Active Directory sends it."""
    head = struct.pack(">BB", 1, len(parts)) + authority.to_bytes(6, "big")
    return head + struct.pack(f"<{len(parts)}I", *parts)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (sid(*DOMAIN, 513), "S-1-5-21-1004336348-1177238915-682003330-513"),
        (sid(32, 545), "S-1-5-32-545"),
        (sid(0xFFFFFFFF), "S-1-5-4294967295"),
        (sid(1, authority=1 << 40), "S-1-0x010000000000-1"),
        (b"", None),
        (b"S-1-5-32-545", None),
        (sid(32, 545)[:-1], None),
        (sid(32, 545) + b"\0", None),
        (b"\x02" + sid(32, 545)[1:], None),
        (sid(), None),
    ],
)
def test_sids(value: bytes, text: str | None) -> None:
    """A SID is read as Windows writes it, and anything else is none."""
    assert sid_text(value) == text


def keys(by: PrimaryGroupBy, **attributes: Any) -> list[tuple[str, bytes]]:
    """Return the member keys of a person with these attributes."""
    mapping = compile_users(
        codec=CODEC,
        uuid_attribute="entryUUID",
        username_attribute="uid",
        trust_email=False,
        mappers=PREDEFINED,
        primary_groups=[by, by],
    )
    assert set(primary.person_attributes(by)) <= set(mapping.attributes)
    return list(mapping(anna(**attributes)).member_keys)


@pytest.mark.rule("2.10.4", server="pure")
def test_a_person_states_his_primary_group() -> None:
    """His group's SID is his own with another last part."""
    expected = [("primarygroup", key_of("S-1-5-21-1004336348-1177238915-682003330-513"))]
    assert keys(BY_SID, objectsid=sid(*DOMAIN, 1104), primarygroupid="513") == expected
    assert keys(BY_SID, objectsid=sid(*DOMAIN, 1105), primarygroupid="0513") == expected


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"objectsid": sid(*DOMAIN, 1104)},
        {"primarygroupid": "513"},
        {"objectsid": sid(*DOMAIN, 1104), "primarygroupid": []},
        {"objectsid": sid(*DOMAIN, 1104), "primarygroupid": "users"},
        {"objectsid": sid(*DOMAIN, 1104), "primarygroupid": "-1"},
        {"objectsid": sid(*DOMAIN, 1104), "primarygroupid": "5" * 30},
        {"objectsid": b"garbage", "primarygroupid": "513"},
    ],
)
def test_what_is_missing_or_unreadable_states_nothing(attributes: dict[str, Any]) -> None:
    """Nobody goes to quarantine for his primary group."""
    assert keys(BY_SID, **attributes) == []


def test_people_of_many_domains_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """More primary groups than are remembered are still all read, each of its own domain."""
    monkeypatch.setattr(primary, "KEYS_KEPT", 2)
    read = primary.compile_primary_key(BY_SID)
    for _ in range(2):
        found = [
            read(anna(objectsid=sid(21, domain, 2, 3, 1104), primarygroupid="513"))
            for domain in range(5)
        ]
        assert found == [
            [("primarygroup", key_of(f"S-1-5-21-{domain}-2-3-513"))] for domain in range(5)
        ]


def test_by_number() -> None:
    """A POSIX directory has the same number on both, and a person may have several."""
    assert keys(BY_NUMBER, gidnumber="0500") == [("primarygroup", key_of("500"))]
    assert len(keys(BY_NUMBER, gidnumber=["1", "2", "x"])) == 2


@pytest.mark.rule("2.10.4", server="pure")
def test_a_group_lists_those_whose_primary_group_it_is() -> None:
    """One further member stands for all of them, under the group's own SID."""
    options = RoleImportOptions(roles_dn="ou=r,dc=x", primary_group_by=BY_SID)
    mapping = compile_roles(options, codec=CODEC, username_attribute="uid")
    assert mapping.primary_groups == (BY_SID,)
    assert mapping.attributes == ("cn", "member", "objectSid")
    attributes = {"cn": [b"Domain Users"], "objectsid": [sid(*DOMAIN, 513)]}
    entry = Entry("cn=domain users,ou=r,dc=x", attributes)
    text = "S-1-5-21-1004336348-1177238915-682003330-513"
    assert mapping(entry).members == (Member("uid:primarygroup", key_of(text), text),)
    assert mapping.outside(entry).members == mapping(entry).members
    assert mapping(entry._replace(attributes={"cn": [b"x"]})).members == ()


GET = RetrieveStrategy.GET_FROM_USER_MEMBER_OF


@pytest.mark.parametrize(
    ("keys", "counts"),
    [
        ({"primary_group_by": BY_SID}, True),
        ({"primary_group_by": BY_SID, "primary_group": False}, False),
        ({"primary_group_by": BY_SID, "nested_membership": Nested.IN_CHAIN}, True),
        ({"primary_group_by": BY_SID, "membership_attribute_type": MembershipType.UID}, False),
        ({"primary_group_by": BY_SID, "user_groups_retrieve_strategy": GET}, False),
        ({}, False),
        ({"primary_group": True}, True),
        ({"primary_group": True, "membership_attribute_type": MembershipType.UID}, True),
    ],
)
def test_when_primary_groups_count(keys: dict[str, Any], counts: bool) -> None:  # noqa: FBT001
    """With SIDs and DNs unless switched off; elsewhere when switched on."""
    options = GroupImportOptions(name="g", groups_dn="ou=g,dc=x", **keys)
    mapping = compile_groups(options, codec=CODEC, username_attribute="uid")
    assert bool(mapping.primary_groups) == counts
    assert ("objectSid" in mapping.attributes or "gidNumber" in mapping.attributes) == counts


def test_a_posix_groups_primary_members() -> None:
    """A group of numbers finds its people by number beside the names that it lists."""
    options = GroupImportOptions(
        name="g",
        groups_dn="ou=g,dc=x",
        membership_attribute_type=MembershipType.UID,
        membership_ldap_attribute="memberUid",
        primary_group=True,
    )
    mapping = compile_groups(options, codec=CODEC, username_attribute="uid")
    attributes = {"cn": [b"staff"], "memberuid": [b"anna"], "gidnumber": [b"500"]}
    assert mapping(Entry("cn=staff,ou=g,dc=x", attributes)).members == (
        Member("uid:uid", key_of("anna"), "anna"),
        Member("uid:primarygroup", key_of("500"), "500"),
    )
