"""Options that contradict themselves are named by key, and never compiled."""

from __future__ import annotations

from typing import Any

import pytest

from syncd import naming
from syncd.mappers.checks import contradictions
from syncd.mappers.options import (
    RetrieveStrategy,
    RoleImportOptions,
    UserAttributeOptions,
    from_keys,
    predefined,
)
from tests.unit.mappers.directory import users

ATTRIBUTE = {"name": "m", "user_attribute": "x", "ldap_attribute": "y"}
HARDCODED = {"name": "m", "user_attribute": "x", "value": "y"}
ROLE = {"name": "m", "role": "Staff"}
IMPORT: dict[str, Any] = {"roles_dn": "ou=r,dc=x"}
GROUPS: dict[str, Any] = {"name": "g", "groups_dn": "ou=g,dc=x"}
GET = {"user_groups_retrieve_strategy": "get_from_user_member_of"}
UID = {"membership_attribute_type": "uid"}


@pytest.mark.parametrize(
    ("type_", "keys", "at"),
    [
        ("user-attribute", ATTRIBUTE | {"ldap_attribute": "a b"}, "ldap_attribute"),
        ("user-attribute", ATTRIBUTE | {"user_attribute": " "}, "user_attribute"),
        ("user-attribute", ATTRIBUTE | {"user_attribute": "Enabled"}, "user_attribute"),
        ("user-attribute", ATTRIBUTE | {"user_attribute": "a\nb"}, "user_attribute"),
        ("user-attribute", ATTRIBUTE | {"user_attribute": "email", "binary": True}, "binary"),
        (
            "user-attribute",
            ATTRIBUTE | {"user_attribute": "lastName", "multivalued": True},
            "multivalued",
        ),
        (
            "user-attribute",
            ATTRIBUTE | {"user_attribute": "username", "default_value": "x"},
            "default_value",
        ),
        (
            "user-attribute",
            ATTRIBUTE | {"user_attribute": "createTimestamp", "default_value": "x"},
            "default_value",
        ),
        (
            "user-attribute",
            ATTRIBUTE | {"user_attribute": "email_verified", "default_value": "x"},
            "default_value",
        ),
        ("user-attribute", ATTRIBUTE | {"default_value": " "}, "default_value"),
        ("user-attribute", ATTRIBUTE | {"default_value": "a\0"}, "default_value"),
        ("full-name", {"name": "m", "ldap_attribute": ""}, "ldap_attribute"),
        ("hardcoded-attribute", HARDCODED | {"value": ""}, "value"),
        ("hardcoded-attribute", HARDCODED | {"user_attribute": "email"}, "user_attribute"),
        (
            "hardcoded-attribute",
            HARDCODED | {"user_attribute": "modifyTimestamp"},
            "user_attribute",
        ),
        ("hardcoded-attribute", HARDCODED | {"user_attribute": "email_verified"}, "value"),
        ("hardcoded-role", ROLE | {"role": ""}, "role"),
        ("hardcoded-role", ROLE | {"role": "owner"}, "role"),
        ("role", IMPORT | {"membership_ldap_attribute": "m m"}, "membership_ldap_attribute"),
        (
            "role",
            IMPORT | {"membership_user_ldap_attribute": "("},
            "membership_user_ldap_attribute",
        ),
        ("role", IMPORT | {"membership_attribute_type": "member_of"}, "membership_attribute_type"),
        (
            "role",
            IMPORT
            | {
                "user_roles_retrieve_strategy": "get_from_user_member_of",
                "membership_attribute_type": "dn",
            },
            "membership_attribute_type",
        ),
        ("role", IMPORT | {"name_map": {"a": " "}}, "name_map"),
        ("role", IMPORT | {"name_map": {" ": "b"}}, "name_map"),
        ("role", IMPORT | {"name_patterns": [{"match": "(", "role": "a"}]}, "name_patterns"),
        ("role", IMPORT | {"name_patterns": [{"match": "a", "role": r"\1"}]}, "name_patterns"),
        ("role", IMPORT | {"role_prefix": "a\n"}, "role_prefix"),
        ("role", IMPORT | UID | {"nested_membership": "expand"}, "nested_membership"),
        ("role", IMPORT | UID | {"nested_membership": "in_chain"}, "nested_membership"),
        (
            "role",
            IMPORT
            | {"user_roles_retrieve_strategy": "get_from_user_member_of", "primary_group": True},
            "primary_group",
        ),
        ("group", GROUPS | {"group_name_ldap_attribute": "a b"}, "group_name_ldap_attribute"),
        ("group", GROUPS | {"mapped_group_attributes": ["a", "b c"]}, "mapped_group_attributes"),
        ("group", GROUPS | {"groups_path": "x"}, "groups_path"),
        ("group", GROUPS | UID | GET, "membership_attribute_type"),
        ("group", GROUPS | GET | {"nested_membership": "in_chain"}, "nested_membership"),
        (
            "group",
            GROUPS | UID | {"preserve_group_inheritance": True},
            "preserve_group_inheritance",
        ),
        (
            "group",
            GROUPS | {"nested_membership": "in_chain", "preserve_group_inheritance": True},
            "preserve_group_inheritance",
        ),
        ("hardcoded-group", {"name": "m", "group": "/"}, "group"),
        ("hardcoded-group", {"name": "m", "group": "/a//b"}, "group"),
    ],
)
def test_contradictions_name_the_key(type_: str, keys: dict[str, Any], at: str) -> None:
    """Each contradiction is one sentence at its key."""
    assert [key for key, _ in contradictions(from_keys(type_, keys))] == [at]


@pytest.mark.parametrize(
    ("type_", "keys"),
    [
        ("user-attribute", ATTRIBUTE),
        (
            "user-attribute",
            ATTRIBUTE | {"ldap_attribute": "userCertificate;binary", "binary": True},
        ),
        ("user-attribute", ATTRIBUTE | {"user_attribute": "firstName", "default_value": "x"}),
        (
            "user-attribute",
            ATTRIBUTE | {"user_attribute": "emailVerified", "default_value": "True"},
        ),
        ("full-name", {"name": "m"}),
        ("hardcoded-attribute", HARDCODED),
        ("hardcoded-role", ROLE | {"role": "Admin", "may_grant_privileged": True}),
        ("role", IMPORT | {"membership_attribute_type": "uid"}),
        (
            "role",
            IMPORT | {"user_roles_retrieve_strategy": RetrieveStrategy.GET_FROM_USER_MEMBER_OF},
        ),
        ("role", IMPORT | {"name_map": {"a": "Admin"}, "may_grant_privileged": True}),
        (
            "role",
            IMPORT | {"name_patterns": [{"match": "(a)", "role": r"\1"}], "role_prefix": "x "},
        ),
        ("role", IMPORT | {"nested_membership": "in_chain"}),
        ("group", GROUPS),
        ("group", GROUPS | GET | {"nested_membership": "expand"}),
        ("group", GROUPS | {"preserve_group_inheritance": True, "nested_membership": "expand"}),
        ("group", GROUPS | UID | {"primary_group": True, "groups_path": "/a/b"}),
        ("hardcoded-group", {"name": "m", "group": "Team 2016/2017"}),
    ],
)
def test_ordinary_options_have_none(type_: str, keys: dict[str, Any]) -> None:
    """What the documentation allows is allowed."""
    assert contradictions(from_keys(type_, keys)) == []


def test_predefined_mappers_have_none() -> None:
    """The six mappers that everybody has are compiled for every vendor's attribute names."""
    mappers = predefined(username_attribute="sAMAccountName", created_attribute="whenCreated")
    assert [contradictions(each) for each in mappers] == [[]] * 6


def test_contradictions_are_not_compiled() -> None:
    """A mapping is never made of options that nobody checked."""
    options = UserAttributeOptions(name="m", user_attribute="id", ldap_attribute="uid")
    with pytest.raises(ValueError, match="mapper 'm': user_attribute: 'id' cannot be set"):
        users(options)


def test_keys_of_no_mapping_are_left_out() -> None:
    """Keys that every mapper has do not reach the options, and lists become tuples."""
    options = from_keys(
        "role",
        IMPORT
        | {"type": "role", "enabled": True, "renamed_from": None, "role_object_class": ["a"]},
    )
    assert options == RoleImportOptions(**IMPORT, role_object_class=("a",))


@pytest.mark.parametrize(
    ("name", "reserved"),
    [
        ("Data protection officer", True),
        (" data  PROTECTION officer", True),
        ("Us\u00ader", True),
        ("Users", False),
        ("Administrator", False),
    ],
)
def test_look_alikes_of_preconfigured_roles(name: str, reserved: bool) -> None:  # noqa: FBT001
    """Letter case, spaces and invisible characters do not make another name."""
    assert naming.is_preconfigured_role(name) is reserved
