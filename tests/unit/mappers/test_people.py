"""The predefined mappers: an ordinary entry, its id, username, e-mail address and timestamps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncd.errors import MappingError
from syncd.ldap.decode import decode_external_id
from syncd.ldap.dn import dn_key
from syncd.mappers import times
from syncd.mappers.options import UserAttributeOptions, predefined
from syncd.mappers.pipeline import compile_users
from syncd.mappers.reasons import Reason
from syncd.records import UserRecord, fold
from tests.unit.mappers.directory import CODEC, anna, users


def refused(mapping: object, entry: object) -> tuple[str, str | None]:
    """Return reason and attribute of a refusal."""
    with pytest.raises(MappingError) as caught:
        mapping(entry)  # type: ignore[operator]
    return caught.value.reason, caught.value.attribute


@pytest.mark.rule("K1", server="pure")
def test_an_ordinary_entry() -> None:
    """The six predefined mappers and nothing else make a whole person."""
    record = users()(anna())
    assert record == UserRecord(
        external_id="6f0c1e2a-1111-4222-8333-abcdefabcdef",
        dn="uid=anna,ou=p,dc=x",
        dn_key=dn_key("uid=anna,ou=p,dc=x"),
        username="anna",
        username_key="anna",
        email="anna.mueller@example.org",
        email_key="anna.mueller@example.org",
        email_verified=False,
        first_name="Anna",
        last_name="Müller",
        attributes="{}",
        account=None,
        source_created_at="2024-01-02T03:04:05Z",
        source_modified_at="2024-02-02T03:04:05Z",
        member_keys=(),
        memberships=(),
    )
    assert isinstance(record, UserRecord)


def test_the_attributes_to_ask_for() -> None:
    """The listing asks for each mapped attribute once, whatever the letter case."""
    mapping = users(
        UserAttributeOptions(name="more", user_attribute="mails", ldap_attribute="MAIL"),
        UserAttributeOptions(name="phone", user_attribute="phone", ldap_attribute="mobile"),
        member_attributes=["UID", "employeeNumber"],
    )
    assert mapping.attributes == (
        "entryUUID",
        "uid",
        "givenName",
        "sn",
        "mail",
        "createTimestamp",
        "modifyTimestamp",
        "mobile",
        "employeeNumber",
    )


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (anna(without=["entryuuid"]), Reason.MISSING_ID),
        (anna(entryuuid=[]), Reason.MISSING_ID),
        (anna(entryuuid=["a", "b"]), Reason.SEVERAL_IDS),
        (anna(entryuuid=" "), Reason.BAD_ID),
        (anna(entryuuid=b"\xff"), Reason.BAD_ID),
        (anna(entryuuid="a\0b"), Reason.BAD_ID),
        (anna(entryuuid="a" * 1025), Reason.BAD_ID),
    ],
)
def test_an_entry_without_one_usable_id_is_refused(entry: object, reason: str) -> None:
    """Nobody is taken without knowing who he is."""
    assert refused(users(), entry) == (reason, "entryUUID")


@pytest.mark.rule("K10", server="pure")
def test_the_username_can_be_the_id() -> None:
    """Any attribute can be the UUID attribute, the username's included."""
    codec = replace(CODEC, external_id=decode_external_id("uid"))
    mapping = compile_users(
        codec=codec,
        uuid_attribute="uid",
        username_attribute="uid",
        trust_email=False,
        mappers=predefined(username_attribute="uid"),
    )
    assert mapping(anna()).external_id == "anna"
    assert refused(mapping, anna(uid=["anna", "anni"])) == (Reason.SEVERAL_IDS, "uid")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (anna(without=["uid"]), Reason.MISSING_USERNAME),
        (anna(uid="  "), Reason.BAD_USERNAME),
        (anna(uid="an\nna"), Reason.BAD_USERNAME),
        (anna(uid="an\u202ena"), Reason.BAD_USERNAME),
        (anna(uid="an\x85na"), Reason.BAD_USERNAME),
        (anna(uid="a" * 256), Reason.BAD_USERNAME),
        (anna(uid="an\0na"), Reason.NOT_TEXT),
        (anna(uid=b"\xe4nna"), Reason.NOT_TEXT),
        (anna(uid="a" * 4097), Reason.TOO_LONG),
    ],
)
def test_an_entry_without_a_usable_username_is_refused(entry: object, reason: str) -> None:
    """A username is text that a person can read and that every store can hold."""
    assert refused(users(), entry) == (reason, "uid")


@pytest.mark.parametrize("uid", ["a" * 255, "jürgen@example.org", "o'neil", "山田 太郎", "می‌خواهم"])
def test_usernames_of_every_alphabet_are_taken(uid: str) -> None:
    """Letters of any alphabet, spaces and joiners are part of names."""
    record = users()(anna(uid=uid))
    assert (record.username, record.username_key) == (uid, fold(uid))


@pytest.mark.rule("K18", server="pure")
def test_a_username_keeps_its_letter_case_and_is_compared_without() -> None:
    """A change of letter case alone is the same username."""
    before, after = users()(anna(uid="Jürgen")), users()(anna(uid=" JÜRGEN "))
    assert (before.username, after.username) == ("Jürgen", "JÜRGEN")
    assert before.username_key == after.username_key == "jürgen"


def test_the_username_is_taken_from_the_rdn() -> None:
    """Of several usernames the one in the DN counts, so that a new alias renames nobody."""
    assert users()(anna(uid=["aaron", "Anna", "anna"])).username == "Anna"
    assert users()(anna(uid=["zoe", "bob"])).username == "bob"
    assert users()(anna(uid=["zoe", "bob"], dn="cn=zoe,dc=x")).username == "bob"


def test_the_username_mapper_can_be_left_out() -> None:
    """The username attribute fills the username where no mapper does."""
    mapping = compile_users(
        codec=CODEC,
        uuid_attribute="entryUUID",
        username_attribute="uid",
        trust_email=False,
        mappers=[],
    )
    record = mapping(anna())
    assert (record.username, record.email, record.source_created_at) == ("anna", None, None)


def test_an_entry_with_an_unreadable_dn_is_refused() -> None:
    """A person whose own DN cannot be compared cannot be anybody's member."""
    assert refused(users(), anna(dn="no dn")) == (Reason.BAD_DN, None)


@pytest.mark.rule("K5", server="pure")
@pytest.mark.parametrize(
    ("mail", "email"),
    [
        ("user5Updated@Example.org", "user5updated@example.org"),
        ("JÖRG@example.org", "jörg@example.org"),
        (["b@x.org", "A@x.org"], "a@x.org"),
        (["not an address", "b@x.org"], "b@x.org"),
        ("not an address", None),
        ("a@b@c", None),
        ("a b@x.org", None),
        ("@x.org", None),
        ("a\u202eb@x.org", None),
        ("a@" + "x" * 252, "a@" + "x" * 252),
        ("a@" + "x" * 253, None),
        ("  ", None),
        ([], None),
    ],
)
def test_the_address_is_lower_case_or_left_out(mail: object, email: str | None) -> None:
    """An address is stored in lower case; what cannot be one keeps nobody out."""
    record = users(trust_email=True)(anna(mail=mail))
    assert (record.email, record.email_key) == (email, email and fold(email))
    assert record.email_verified is (email is not None)


@pytest.mark.rule("K14", server="pure")
@pytest.mark.parametrize("trust_email", [True, False])
def test_a_trusted_directory_verifies_addresses(trust_email: bool) -> None:  # noqa: FBT001
    """Whether an address counts as verified is the administrator's decision."""
    assert users(trust_email=trust_email)(anna()).email_verified is trust_email
    assert users(trust_email=trust_email)(anna(without=["mail"])).email_verified is False


@pytest.mark.parametrize(
    ("stated", "verified"), [("TRUE", True), ("false", False), ("yes", True), ("", True)]
)
def test_an_attribute_can_verify_addresses(stated: str, verified: bool) -> None:  # noqa: FBT001
    """Only true and false are statements; otherwise the provider's setting decides."""
    mapping = users(
        UserAttributeOptions(
            name="verified", user_attribute="email_verified", ldap_attribute="mailVerified"
        ),
        trust_email=True,
    )
    assert mapping(anna(mailverified=stated)).email_verified is verified


@pytest.mark.rule("K19", server="pure")
def test_of_several_values_a_property_takes_one() -> None:
    """A name with two values is no error, and it is always the same one."""
    for values in (["Beta", "alpha"], ["alpha", "Beta"]):
        assert users()(anna(sn=values)).last_name == "alpha"


@pytest.mark.parametrize("stamp", ["yesterday", "", "20241301000000Z", b"\xff"])
def test_a_bad_timestamp_keeps_nobody_out(stamp: object) -> None:
    """A timestamp that cannot be read is none."""
    record = users()(anna(createtimestamp=stamp, modifytimestamp=["20240102030405Z"]))
    assert record.source_created_at is None
    assert record.source_modified_at == "2024-01-02T03:04:05Z"


def test_timestamps_are_utc_in_whole_seconds() -> None:
    """Offsets are turned into UTC and fractions dropped, so that texts sort as times do."""
    record = users()(
        anna(createtimestamp="20240101003000.9+0100", modifytimestamp="09990101000000Z")
    )
    assert record.source_created_at == "2023-12-31T23:30:00Z"
    assert record.source_modified_at == "0999-01-01T00:00:00Z"


def test_more_times_than_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory in which every entry has a time of its own does not fill the memory."""
    monkeypatch.setattr(times, "TIMES_KEPT", 3)
    mapping = users()
    for second in range(10):
        record = mapping(anna(createtimestamp=f"202401020304{second:02}Z"))
        assert record.source_created_at == f"2024-01-02T03:04:{second:02}Z"


def test_without_knowledge_of_dns_the_smallest_value_counts() -> None:
    """A codec that cannot read an RDN still chooses by rule."""
    codec = replace(CODEC, naming_values=None)
    mapping = compile_users(
        codec=codec,
        uuid_attribute="entryUUID",
        username_attribute="uid",
        trust_email=False,
        mappers=[],
    )
    assert mapping(anna(uid=["bob", "anna", "Aaron"])).username == "Aaron"


def test_a_missing_value_removes() -> None:
    """What the directory no longer has, the person no longer has."""
    record = users()(anna(without=["mail", "givenname", "sn", "createtimestamp"]))
    assert record[5:10] == (None, None, False, None, None)
    assert record.source_created_at is None
