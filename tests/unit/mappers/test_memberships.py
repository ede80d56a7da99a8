"""What people say of themselves: memberOf, and the keys by which UID-type roles name them."""

from __future__ import annotations

import pytest

from syncd.errors import MappingError
from syncd.ldap.dn import dn_key
from syncd.mappers import memberships
from syncd.mappers.options import HardcodedRoleOptions, MemberOfOptions
from syncd.mappers.reasons import Reason
from syncd.records import MemberOf, key_of
from tests.unit.mappers.directory import anna, users

ROLES = MemberOfOptions(mapper="import roles", base_dn="ou=roles,dc=x")


@pytest.mark.rule("K37", server="pure")
@pytest.mark.parametrize("attribute", ["memberOf", "street"])
def test_people_name_their_roles(attribute: str) -> None:
    """Any attribute that holds DNs can say which roles a person has."""
    mapping = users(
        member_of=[MemberOfOptions(mapper="r", ldap_attribute=attribute, base_dn="OU=Roles, DC=x")]
    )
    stated = {attribute.lower(): [b"cn=B,ou=roles,dc=x", b"cn=a,ou=roles,dc=x"]}
    record = mapping(anna()._replace(attributes=anna().attributes | stated))
    assert sorted(record.memberships) == sorted(
        (
            MemberOf("r", dn_key("cn=a,ou=roles,dc=x"), "cn=a,ou=roles,dc=x"),
            MemberOf("r", dn_key("cn=b,ou=roles,dc=x"), "cn=B,ou=roles,dc=x"),
        )
    )
    assert attribute in mapping.attributes


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["cn=a,ou=groups,dc=x", "cn=a,ou=roles,dc=x"], ["cn=a,ou=roles,dc=x"]),
        (["ou=roles,dc=x"], []),
        (["CN=A,OU=roles,dc=x", "cn=a, ou=roles,dc=x"], ["CN=A,OU=roles,dc=x"]),
        (["cn=a, ou=roles,dc=x", "CN=A,OU=roles,dc=x"], ["CN=A,OU=roles,dc=x"]),
        ([" "], []),
        ([], []),
    ],
)
def test_only_roles_of_the_import_count_once(values: list[str], names: list[str]) -> None:
    """Groups elsewhere are no roles, and two spellings are one role."""
    mapping = users(member_of=[ROLES])
    for _ in range(2):  # the second time the values are remembered
        assert [each.value for each in mapping(anna(memberof=values)).memberships] == names


def test_a_value_that_is_no_dn_is_kept_apart() -> None:
    """An unreadable statement reaches the books without base, under a key that no role has."""
    mapping = users(member_of=[MemberOfOptions(mapper="r")])
    (statement,) = mapping(anna(memberof="not a dn")).memberships
    assert statement == MemberOf("r", memberships.unreadable_key("not a dn"), "not a dn")


def test_statements_of_many_roles_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """More roles than are remembered are still all read."""
    monkeypatch.setattr(memberships, "STATEMENTS_KEPT", 3)
    mapping = users(member_of=[ROLES])
    names = [f"cn={number},ou=roles,dc=x" for number in range(10)]
    assert len(mapping(anna(memberof=names)).memberships) == 10


@pytest.mark.rule("2.10.1", server="pure")
@pytest.mark.parametrize(
    ("ranges", "whole"),
    [
        (["0-*"], True),
        (["0-1", "2-*"], True),
        (["2-*", "0-1"], True),
        (["0-1"], False),
        (["0-1", "3-*"], False),
        (["1-*"], False),
    ],
)
def test_part_of_the_statements_is_not_taken_for_all(ranges: list[str], whole: bool) -> None:  # noqa: FBT001
    """Somebody of whom only some roles were sent keeps what he had."""
    entry = anna()
    blocks = {
        f"memberof;range={each}": [f"cn={number},ou=roles,dc=x".encode()]
        for number, each in enumerate(ranges)
    }
    entry = entry._replace(attributes=entry.attributes | blocks)
    mapping = users(member_of=[ROLES])
    if whole:
        assert len(mapping(entry).memberships) == len(ranges)
    else:
        with pytest.raises(MappingError) as caught:
            mapping(entry)
        assert (caught.value.reason, caught.value.attribute) == (Reason.PARTIAL_VALUES, "memberOf")


def test_hardcoded_roles_stand_beside_stated_ones() -> None:
    """Both kinds of statements are kept, in one order."""
    mapping = users(HardcodedRoleOptions(name="staff", role="Staff"), member_of=[ROLES])
    record = mapping(anna(memberof="cn=a,ou=roles,dc=x"))
    assert [each.mapper for each in record.memberships] == ["import roles", "staff"]


def test_member_keys() -> None:
    """UID-type roles find a person under each value, whatever its letter case."""
    mapping = users(member_attributes=["uid", "employeeNumber", "UID"])
    record = mapping(anna(uid=["ANNA", "anni"], employeenumber="7"))
    assert set(record.member_keys) == {
        ("uid", key_of("anna")),
        ("uid", key_of("anni")),
        ("employeenumber", key_of("7")),
    }
    assert list(record.member_keys) == sorted(record.member_keys)
    assert mapping(anna(uid="anna")).member_keys == (("uid", key_of("anna")),)
