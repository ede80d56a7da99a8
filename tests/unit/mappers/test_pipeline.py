"""The whole mapping: the same entry gives the same person, and every field has an origin."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import MappingError
from syncd.mappers.fingerprints import fingerprint
from syncd.mappers.options import (
    FullNameOptions,
    HardcodedAttributeOptions,
    HardcodedRoleOptions,
    MemberOfOptions,
    RoleImportOptions,
    UserAttributeOptions,
)
from syncd.mappers.pipeline import FieldOrigin, compile_roles
from syncd.mappers.reasons import Reason
from tests.unit.mappers.directory import CODEC, anna, users

if TYPE_CHECKING:
    import random

    from syncd.records import Entry

MAPPERS = (
    UserAttributeOptions(name="phones", user_attribute="phones", ldap_attribute="mobile"),
    UserAttributeOptions(
        name="desk", user_attribute="desk", ldap_attribute="roomNumber", multivalued=False
    ),
    FullNameOptions(name="full name"),
    HardcodedAttributeOptions(name="site", user_attribute="site", value="Berlin"),
    HardcodedRoleOptions(name="staff", role="Staff"),
)
EVERYTHING = users(
    *MAPPERS,
    trust_email=True,
    member_attributes=["uid", "employeeNumber"],
    member_of=[MemberOfOptions(mapper="import roles")],
)
VALUES = st.lists(
    st.sampled_from([b"a", b"A", b"b", b"anna", b"\xc3\xa4", b"a@x.org", b"B@x.org", b" ", b""])
    | st.sampled_from([b"cn=a,dc=x", b"CN=A,dc=x", b"20240101000000Z", b"x y z", b"\xff", b"\0"]),
    max_size=4,
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        [
            *("uid", "givenname", "sn", "cn", "mail", "mobile", "roomnumber", "memberof"),
            *("createtimestamp", "employeenumber"),
        ]
    ),
    VALUES,
)


def outcome(entry: Entry) -> object:
    """Return the person, or the reason why there is none."""
    try:
        return EVERYTHING(entry)
    except MappingError as error:
        return error.reason


@given(ATTRIBUTES, st.randoms(use_true_random=False))
def test_the_order_of_values_does_not_matter(
    attributes: dict[str, list[bytes]], chance: random.Random
) -> None:
    """Two answers with the same values in another order are the same person, or no person."""
    entry = anna()
    entry = entry._replace(attributes=entry.attributes | attributes)
    names = list(entry.attributes)
    chance.shuffle(names)
    turned = {
        name: chance.sample(entry.attributes[name], len(entry.attributes[name])) for name in names
    }
    one, other = outcome(entry), outcome(entry._replace(attributes=turned))
    # Of several faults either may be named first.
    assert one == other or (isinstance(one, Reason) and isinstance(other, Reason))
    assert outcome(entry) == one


@given(
    st.dictionaries(
        st.sampled_from(["entryuuid", "uid", "sn", "mail", "mobile", "memberof"]),
        st.lists(st.binary(max_size=12), max_size=2),
    )
)
def test_any_bytes_are_mapped_or_refused(attributes: dict[str, list[bytes]]) -> None:
    """No value of an entry ends a run: it is taken, or refused for a reason of the list."""
    entry = anna()
    result = outcome(entry._replace(attributes=entry.attributes | attributes))
    assert not isinstance(result, str) or result in set(Reason)


def test_origins() -> None:
    """Each field names its mapper, its attribute and the values as the directory has them."""
    entry = anna(
        mail="nobody", cn="Anna Maria Weiß", mobile=["2", b"\xff\xfe"][:1], roomnumber=["1", "2"]
    )
    origins = {each.field: each for each in EVERYTHING.explain(entry)}
    assert origins["username"] == FieldOrigin("username", "anna", "username", "uid", ["anna"])
    assert origins["email"] == FieldOrigin("email", None, "email", "mail", ["nobody"])
    assert origins["email_verified"] == FieldOrigin("email_verified", False, None, None, [])
    assert origins["first_name"] == FieldOrigin(
        "first_name", "Anna Maria", "full name", "cn", ["Anna Maria Weiß"]
    )
    assert origins["attributes.site"] == FieldOrigin(
        "attributes.site", ["Berlin"], "site", None, []
    )
    assert origins["attributes.desk"] == FieldOrigin(
        "attributes.desk", ["1"], "desk", "roomNumber", ["1", "2"]
    )
    assert origins["source_created_at"].raw == ["20240102030405Z"]
    assert list(origins) == [
        "username",
        "email",
        "email_verified",
        "first_name",
        "last_name",
        "source_created_at",
        "source_modified_at",
        "attributes.desk",
        "attributes.phones",
        "attributes.site",
    ]


def test_origins_of_bytes_are_readable() -> None:
    """Bytes are shown as Base64."""
    mapping = users(
        UserAttributeOptions(
            name="b", user_attribute="photo", ldap_attribute="jpegPhoto", binary=True
        )
    )
    (photo,) = [e for e in mapping.explain(anna(jpegphoto=b"\xff")) if e.field.endswith("photo")]
    assert (photo.value, photo.raw) == (["/w=="], ["base64:/w=="])


def test_an_entry_that_is_refused_has_no_origins() -> None:
    """Explaining an entry that cannot be taken says why."""
    with pytest.raises(MappingError) as caught:
        EVERYTHING.explain(anna(without=["uid"]))
    assert caught.value.reason == Reason.MISSING_USERNAME


@pytest.mark.parametrize(
    ("entry", "known"),
    [
        (anna(sn=b"\xff"), ("6f0c1e2a-1111-4222-8333-abcdefabcdef", "anna")),
        (anna(without=["entryuuid"]), (None, "anna")),
        (anna(without=["uid"]), ("6f0c1e2a-1111-4222-8333-abcdefabcdef", None)),
        (anna(uid=b"\xff", entryuuid=["a", "b"]), (None, None)),
    ],
)
def test_a_refused_entry_is_still_known_by_what_is_readable(
    entry: Entry, known: tuple[str | None, str | None]
) -> None:
    """Id and username of an entry in quarantine protect the person who has them."""
    assert EVERYTHING.identify(entry) == known


def test_the_fingerprint_follows_the_configuration() -> None:
    """The same configuration has the same hash in every process; any change gives another."""
    assert users(*MAPPERS).fingerprint == users(*MAPPERS).fingerprint
    variants = [
        users(),
        users(*MAPPERS),
        users(*reversed(MAPPERS)),
        users(replace(MAPPERS[0], name="other"), *MAPPERS[1:]),
        users(*MAPPERS, trust_email=True),
        users(*MAPPERS, uuid_attribute="nsUniqueId"),
        users(*MAPPERS, member_attributes=["uid"]),
        users(*MAPPERS, member_of=[MemberOfOptions(mapper="r")]),
    ]
    assert len({each.fingerprint for each in variants}) == len(variants)
    assert users().fingerprint == "e900b9ccded74774a397d8183bcc8a61"


def test_only_plain_values_have_a_fingerprint() -> None:
    """A value whose text could differ between processes is a mistake of ours and not hashed."""
    with pytest.raises(TypeError, match="set has no place in a fingerprint"):
        fingerprint({"a"})


def test_the_fingerprint_of_a_role_import_follows_its_configuration() -> None:
    """A changed key of a role import gives another hash; words and enumerations are the same."""

    def of(**more: object) -> str:
        options = RoleImportOptions(roles_dn="ou=r,dc=x", **more)  # type: ignore[arg-type]
        return compile_roles(options, codec=CODEC, username_attribute="uid").fingerprint

    assert of(membership_attribute_type="dn") != of()
    assert of(name_map={"a": "b"}) != of()
    assert of(role_object_class=["groupOfNames"]) == of()
