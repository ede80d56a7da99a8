"""Further mappers: plain attributes, defaults, binary values, full names, hardcoded ones."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import MappingError
from syncd.mappers.full_name import split
from syncd.mappers.options import (
    FullNameOptions,
    HardcodedAttributeOptions,
    HardcodedRoleOptions,
    UserAttributeOptions,
)
from syncd.mappers.reasons import Reason
from syncd.records import MemberOf, key_of
from tests.unit.mappers.directory import anna, users


def attribute(**more: Any) -> UserAttributeOptions:
    """Return a mapper of postalCode to postalCode."""
    return UserAttributeOptions(
        **{"name": "p", "user_attribute": "postalCode", "ldap_attribute": "postalCode"} | more
    )


@pytest.mark.rule("K19", server="pure")
@pytest.mark.parametrize(
    ("options", "values", "attributes"),
    [
        ({}, ["1012", "1011", "1012"], {"postalCode": ["1011", "1012"]}),
        ({}, [" 1011 "], {"postalCode": ["1011"]}),
        ({}, ["  "], {}),
        ({}, [], {}),
        ({"multivalued": False}, ["1012", "1011"], {"postalCode": ["1011"]}),
        ({"default_value": "0"}, [], {"postalCode": ["0"]}),
        ({"default_value": "0"}, [" "], {"postalCode": ["0"]}),
        ({"default_value": "0"}, ["1"], {"postalCode": ["1"]}),
        ({"default_value": "0", "mandatory": True}, [], {"postalCode": ["0"]}),
        ({"mandatory": True}, ["1"], {"postalCode": ["1"]}),
        ({"binary": True}, [b"\xff\0", b"a"], {"postalCode": ["/wA=", "YQ=="]}),
        ({"user_attribute": 'q"\\ ü'}, ["1"], {'q"\\ ü': ["1"]}),
        ({}, ['q"\\\n ü'], {"postalCode": ['q"\\\n ü']}),
    ],
)
def test_plain_attributes(options: dict[str, Any], values: object, attributes: object) -> None:
    """A plain attribute takes every value, sorted, each once, or its default."""
    record = users(attribute(**options))(anna(postalcode=values))
    assert json.loads(record.attributes) == attributes


@given(st.lists(st.tuples(st.text(max_size=5), st.lists(st.text(max_size=5), max_size=3))))
def test_attributes_are_canonical_json(fields: list[tuple[str, list[str]]]) -> None:
    """The text is what a JSON encoder writes with sorted keys and no spaces, whatever is in it."""
    named = {f"x{name}": values for name, values in fields if name.isprintable()}
    mapping = users(
        *(
            attribute(name=name, user_attribute=name, ldap_attribute=f"a{number}")
            for number, name in enumerate(named)
        )
    )
    values = [[v.replace("\0", "") for v in each] for each in named.values()]
    own = {f"a{number}": [v.encode() for v in each] for number, each in enumerate(values)}
    entry = anna()._replace(attributes=anna().attributes | own)
    expected = {
        name: sorted({v.strip() for v in each} - {""})
        for name, each in zip(named, values, strict=True)
    }
    assert mapping(entry).attributes == json.dumps(
        {name: each for name, each in expected.items() if each},
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
    )


@pytest.mark.parametrize(
    ("options", "values", "reason"),
    [
        ({"mandatory": True}, [], Reason.MISSING_MANDATORY),
        ({"mandatory": True}, [" "], Reason.MISSING_MANDATORY),
        ({}, [b"\xff"], Reason.NOT_TEXT),
        ({}, ["a", b"\xff"], Reason.NOT_TEXT),
        ({}, ["a\0"], Reason.NOT_TEXT),
        ({}, ["a" * 4097], Reason.TOO_LONG),
        ({"binary": True}, [bytes(3073)], Reason.TOO_LONG),
    ],
)
def test_bad_values_are_refused(options: dict[str, Any], values: object, reason: str) -> None:
    """A value that cannot be stored as it is puts the entry aside and names the attribute."""
    with pytest.raises(MappingError) as caught:
        users(attribute(**options))(anna(postalcode=values))
    assert (caught.value.reason, caught.value.attribute) == (reason, "postalCode")
    assert "postalCode" in caught.value.detail


def test_a_mandatory_property_needs_a_usable_value() -> None:
    """An address that is none, or a time that is none, does not satisfy a mandatory mapper."""
    options = [
        attribute(user_attribute="email", ldap_attribute="mail", mandatory=True),
        attribute(user_attribute="createTimestamp", ldap_attribute="whenCreated", mandatory=True),
    ]
    for entry in (anna(mail="none"), anna(whencreated="none")):
        with pytest.raises(MappingError, match="mandatory") as caught:
            users(*options)(entry)
        assert caught.value.reason == Reason.MISSING_MANDATORY


def test_long_text_of_few_characters_is_taken() -> None:
    """The limit counts characters and not bytes."""
    record = users(attribute())(anna(postalcode="ü" * 4096))
    assert json.loads(record.attributes) == {"postalCode": ["ü" * 4096]}


@pytest.mark.rule("K20", server="pure")
def test_binary_values_are_stored_only_when_asked_for() -> None:
    """Bytes never reach the store as they are: as Base64 where configured, else not at all."""
    photo = b"\xff\xd8\xff\xe0"
    entry = anna(jpegphoto=photo)
    assert "photo" not in users()(entry).attributes
    asked = attribute(user_attribute="photo", ldap_attribute="jpegPhoto", binary=True)
    assert json.loads(users(asked)(entry).attributes) == {"photo": [b64encode(photo).decode()]}


def test_the_binary_option_is_found() -> None:
    """A server may name a binary attribute with its transfer option."""
    options = attribute(user_attribute="cert", ldap_attribute="userCertificate", binary=True)
    entry = anna(userCertificate__binary=b"abc")
    assert json.loads(users(options)(entry).attributes) == {"cert": ["YWJj"]}


@pytest.mark.rule("2.10.1", server="pure")
def test_part_of_the_values_is_not_taken_for_all() -> None:
    """A range of an attribute is used when it is the whole, and refused when it is not."""
    entry = anna(postalcode=[])
    whole = entry._replace(attributes=entry.attributes | {"postalcode;range=0-*": [b"1"]})
    assert json.loads(users(attribute())(whole).attributes) == {"postalCode": ["1"]}
    part = entry._replace(attributes=entry.attributes | {"postalcode;range=0-0": [b"1"]})
    with pytest.raises(MappingError) as caught:
        users(attribute())(part)
    assert caught.value.reason == Reason.PARTIAL_VALUES


@pytest.mark.rule("K25", server="pure")
@pytest.mark.parametrize(
    ("full_name", "first", "last"),
    [
        ("John Anthony Doe", "John Anthony", "Doe"),
        ("Madonna", None, "Madonna"),
        (" John \t Doe ", "John", "Doe"),
        ("Jean-Luc de\u00a0Funès", "Jean-Luc de", "Funès"),
    ],
)
def test_full_names_are_split_at_the_last_space(
    full_name: str, first: str | None, last: str
) -> None:
    """Everything before the last space is the first name; one word is a last name."""
    assert split(full_name) == (first, last)
    entry = anna(cn=full_name, without=["givenname", "sn"])
    record = users(FullNameOptions(name="full name"))(entry)
    assert (record.first_name, record.last_name) == (first, last)


def test_a_missing_full_name_changes_nothing() -> None:
    """Without a full name the names come from the mappers before it."""
    mapping = users(FullNameOptions(name="full name"))
    for entry in (anna(), anna(cn=" ")):
        record = mapping(entry)
        assert (record.first_name, record.last_name) == ("Anna", "Müller")


def test_the_last_mapper_with_a_value_wins() -> None:
    """Mappers for one field do not mix: the last one that has a value fills it."""
    mapping = users(
        attribute(name="one", default_value="none"),
        attribute(name="two", ldap_attribute="postOfficeBox"),
        attribute(name="nick", user_attribute="firstName", ldap_attribute="nickName"),
    )
    both = mapping(anna(postalcode=["1", "2"], postofficebox="3", nickname="Anni"))
    assert (json.loads(both.attributes), both.first_name) == ({"postalCode": ["3"]}, "Anni")
    none = users(attribute(name="one"), attribute(name="two", ldap_attribute="postOfficeBox"))
    assert none(anna()).attributes == "{}"
    first = mapping(anna(postalcode=["1", "2"]))
    assert (json.loads(first.attributes), first.first_name) == ({"postalCode": ["1", "2"]}, "Anna")


def test_hardcoded_attributes() -> None:
    """Everybody has the value, as a property or as a plain attribute."""
    mapping = users(
        HardcodedAttributeOptions(name="site", user_attribute="site", value=" Berlin "),
        HardcodedAttributeOptions(name="v", user_attribute="emailVerified", value="True"),
        HardcodedAttributeOptions(name="l", user_attribute="last_name", value="Staff"),
    )
    record = mapping(anna())
    assert record.attributes == '{"site":["Berlin"]}'
    assert (record.email_verified, record.last_name) == (True, "Staff")


def test_hardcoded_roles() -> None:
    """Everybody states the role, and a container stands for it."""
    mapping = users(
        HardcodedRoleOptions(name="staff", role="Staff"),
        HardcodedRoleOptions(name="guests", role="Guest"),
    )
    statements = mapping(anna()).memberships
    assert statements == (
        MemberOf("guests", key_of("hardcoded\0guests"), "Guest"),
        MemberOf("staff", key_of("hardcoded\0staff"), "Staff"),
    )
    staff = mapping.containers[0]
    assert (staff.mapper, staff.container_key, staff.target) == (
        "staff",
        statements[1].container_key,
        "Staff",
    )
    assert (staff.members, staff.whole) == ((), True)
