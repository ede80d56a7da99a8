"""Distinguished names: what parses, what is equal, and that fast and slow way agree."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncd.ldap import dn
from syncd.records import key_of

# Values as directories have them, with every character that has a meaning in a DN.
VALUES = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from(' ,+"\\<>;=#\0äßİŽﬁ'), max_size=12
)
TYPES = st.sampled_from(["cn", "ou", "dc", "uid", "sn", "x-Team", "2.5.4.12", "description"])
RDNS = st.lists(st.tuples(TYPES, VALUES), min_size=1, max_size=3)
NAMES = st.lists(RDNS, min_size=1, max_size=4)
# Raw text that is often a DN and often nearly one.
SPELLINGS = st.lists(
    st.sampled_from([*' ,+"\\;=#abcCNou01é<>', "cn=", "OU=", ",dc=x", "\\,", "\\2C"]), max_size=14
).map("".join)
# So few letters that two names are often nearly the same.
CLOSE_VALUES = st.text(st.sampled_from("aA ,+=ßs"), max_size=4)
CLOSE_NAMES = st.lists(
    st.lists(st.tuples(st.sampled_from(["cn", "CN", "uid"]), CLOSE_VALUES), min_size=1, max_size=2),
    min_size=1,
    max_size=2,
)


def written(name: list[list[tuple[str, str]]]) -> str:
    """Write a DN with escaped values."""
    return ",".join(
        "+".join(f"{attribute}={dn.escape_value(value)}" for attribute, value in rdn)
        for rdn in name
    )


@pytest.mark.parametrize(
    ("text", "rdns"),
    [
        ("", ()),
        ("  ", ()),
        ("uid=jo,dc=example", ((("uid", "jo"),), (("dc", "example"),))),
        ("CN=Steve Kille , O = Isode", ((("cn", "Steve Kille"),), (("o", "Isode"),))),
        (
            "OU=Sales+CN=J.  Smith,DC=net",
            ((("ou", "Sales"), ("cn", "J.  Smith")), (("dc", "net"),)),
        ),
        (
            r"CN=James \"Jim\" Smith\, III,DC=net",
            ((("cn", 'James "Jim" Smith, III'),), (("dc", "net"),)),
        ),
        (r"CN=Before\0dAfter,DC=net", ((("cn", "Before\rAfter"),), (("dc", "net"),))),
        (r"SN=Lu\C4\8Di\C4\87", ((("sn", "Lučić"),),)),
        ("1.3.6.1.4.1.1466.0=#04024869", ((("1.3.6.1.4.1.1466.0", "Hi"),),)),
        ("1.3.6.1.4.1.1466.0=#0202FF01", ((("1.3.6.1.4.1.1466.0", "#0202ff01"),),)),
        ("OID.2.5.4.3=x", ((("2.5.4.3", "x"),),)),
        ('CN="Sue, Grabbit and Runn";O=x', ((("cn", "Sue, Grabbit and Runn"),), (("o", "x"),))),
        ('CN="a\\"b" , O=x', ((("cn", 'a"b'),), (("o", "x"),))),
        ("cn=", ((("cn", ""),),)),
        ("cn=#0401ff", ((("cn", "#0401ff"),),)),
        ("cn=#0404ff", ((("cn", "#0404ff"),),)),
        ("cn=a=b", ((("cn", "a=b"),),)),
        (r"cn=a\ ", ((("cn", "a "),),)),
        (r"cn=\ a", ((("cn", " a"),),)),
        (r"cn=\#a", ((("cn", "#a"),),)),
        (r"cn=a\\ ", ((("cn", "a\\"),),)),
        (
            r"CN=x\0ADEL:0a-1,CN=Deleted Objects",
            ((("cn", "x\nDEL:0a-1"),), (("cn", "Deleted Objects"),)),
        ),
    ],
)
def test_parse_reads_every_spelling(text: str, rdns: object) -> None:
    """RFC 4514 with the examples of its section 4, and the older RFC 2253 spellings parse."""
    assert dn.parse(text) == rdns


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("john", "at position 0 .*: an attribute type and '=' are expected"),
        ("=john", "at position 0"),
        ("cn=a,", "at position 5"),
        ("cn=a,,dc=b", "at position 5"),
        (",cn=a", "at position 0"),
        ("cn=a+", "at position 5"),
        (r"cn=a\zz", "at position 4 .*: this character cannot stand here unescaped"),
        ("cn=a\\", "at position 4"),
        ('cn=a"b', "at position 4"),
        ("cn=a\0b", "at position 4"),
        ('cn="a', "at position 3 .*: a quoted value does not end"),
        ('cn="a"b', "at position 6 .*: a comma or the end is expected"),
        ("cn=#0", "at position 3 .*: '#' must be followed by pairs"),
        (r"cn=\ff", "are not UTF-8"),
        ("c n=a", "at position 0"),
    ],
)
def test_parse_says_where_and_why_not(text: str, reason: str) -> None:
    """What is no DN is refused with position and reason, by parsing and by comparing alike."""
    with pytest.raises(ValueError, match=reason):
        dn.parse(text)
    with pytest.raises(ValueError, match=r"position|UTF-8|comma"):
        dn.normalize(text)


@pytest.mark.rule("2.10.6", server="pure")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("uid=jo,dc=example,dc=org", "UID=JO,DC=Example,DC=ORG"),
        ("uid=jo,dc=example", "uid = jo , dc=example"),
        ("uid=jo,dc=example", " uid=jo;dc=example "),
        ("cn=john  doe,dc=x", "cn=john doe,dc=x"),
        (r"cn=doe\, john,dc=x", r"cn=doe\2C john,dc=x"),
        (r"cn=doe\, john,dc=x", 'cn="doe, john",dc=x'),
        (r"cn=doe\, john,dc=x", r"CN=Doe\2c  John, DC=x"),
        (r"cn=j\C3\B6rg,dc=x", "cn=Jörg,dc=x"),
        (r"cn=j\C3\B6rg,dc=x", "cn=JÖRG,dc=x"),
        ("cn=jo\u0308rg,dc=x", "cn=jörg,dc=x"),
        ("cn=a+uid=b,dc=x", "UID=b + CN=a,dc=x"),
        ("cn=a,dc=x", "2.5.4.3=a,0.9.2342.19200300.100.1.25=x"),
        ("cn=a,dc=x", "OID.2.5.4.3=a,domainComponent=x"),
        ("cn=a,ou=o,c=de", "commonName=a,organizationalUnitName=o,countryName=de"),
        ("cn=hi", "cn=#04026869"),
        (r"cn=\ a", "cn=a"),
        (r"cn=\61\62", "cn=ab"),
        ("cn=ΟΔΟΣ", "cn=οδος"),
        ("cn=weiß", "cn=WEIẞ"),
    ],
)
def test_spellings_of_one_name_are_equal(one: str, other: str) -> None:
    """Letter case, spaces, escapes, RDN order, composition and type names make no difference."""
    assert dn.normalize(one) == dn.normalize(other)
    assert dn.dn_key(one) == dn.dn_key(other)


@pytest.mark.rule("2.10.6", server="pure")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cn=a,dc=x", "cn=a,dc=y"),
        ("cn=a,dc=x", "uid=a,dc=x"),
        ("cn=a,dc=x", "cn=a,dc=x,dc=x"),
        (r"cn=a\,dc=x", "cn=a,dc=x"),
        (r"cn=a\+uid=b", "cn=a+uid=b"),
        ("cn=john doe", "cn=johndoe"),
        ("cn=weiß", "cn=weiss"),
        ("cn=ﬁ", "cn=fi"),
        ("cn=İ", "cn=i"),
        (r"cn=\#0102", "cn=#0102"),
        ("cn=#0102", "cn=#0103"),
        (r"cn=\ ", "cn="),
        ("cn=a+uid=b,dc=x", "cn=a,uid=b,dc=x"),
        ("cn=ä", "cn=a"),
    ],
)
def test_different_names_stay_different(one: str, other: str) -> None:
    """Nobody gets somebody else's key because two names look alike."""
    assert dn.normalize(one) != dn.normalize(other)
    assert dn.dn_key(one) != dn.dn_key(other)


@pytest.mark.rule("2.10.6", server="pure")
@given(NAMES)
def test_escaping_and_parsing_is_a_round_trip(name: list[list[tuple[str, str]]]) -> None:
    """Whatever stands in a value comes back from the DN that it was written into."""
    expected = tuple(tuple((type_.lower(), value) for type_, value in rdn) for rdn in name)
    assert dn.parse(written(name)) == expected


@given(NAMES)
def test_every_written_form_has_one_key(name: list[list[tuple[str, str]]]) -> None:
    """Hex pairs for every byte, upper-case types, spaces and turned RDNs are the same DN."""

    def spelled(value: str) -> str:
        return "".join(f"\\{octet:02X}" for octet in value.encode())

    other = " ; ".join(
        " + ".join(f"{type_.upper()} = {spelled(value)}" for type_, value in reversed(rdn))
        for rdn in name
    )
    assert dn.normalize(other) == dn.normalize(written(name))
    assert dn.dn_key(other) == dn.dn_key(written(name))


@given(NAMES)
def test_normalizing_twice_changes_nothing(name: list[list[tuple[str, str]]]) -> None:
    """The normal form is a DN, and its own normal form."""
    text = dn.normalize(written(name))
    assert dn.normalize(text) == text


@given(CLOSE_NAMES, CLOSE_NAMES)
def test_equal_means_equal_rdns_and_values(
    one: list[list[tuple[str, str]]], other: list[list[tuple[str, str]]]
) -> None:
    """Two names are equal exactly if their RDNs are, but for order, letter case and spaces."""

    def meaning(name: list[list[tuple[str, str]]]) -> list[list[tuple[str, str]]]:
        return [
            sorted((type_.lower(), _squeezed(value.lower())) for type_, value in rdn)
            for rdn in name
        ]

    same = dn.normalize(written(one)) == dn.normalize(written(other))
    assert same == (meaning(one) == meaning(other))
    assert same == (dn.dn_key(written(one)) == dn.dn_key(written(other)))


def _squeezed(value: str) -> str:
    return " ".join(value.split()) or value[:1]


@given(SPELLINGS)
@example("cn=a,dc=x")
@example(r"CN=Doe\, John,OU=x,DC=y")
@example(r"cn=a\,")
@example("cn=a,")
@example("cn=a ,dc=x")
@example(r"cn=a\, ,dc=x")
def test_fast_and_slow_way_agree(text: str) -> None:
    """Shortcuts give the very answer, or refusal, of the full parser."""

    def outcome(normalize: object) -> str | None:
        try:
            return normalize(text)  # type: ignore[operator, no-any-return]
        except ValueError:
            return None

    slow = outcome(dn._normalize_slowly)
    assert outcome(dn.normalize) == slow
    for _ in range(2):  # the second time the parent is known
        assert outcome(lambda name: dn.dn_key(name).hex()) == (
            None if slow is None else key_of(slow).hex()
        )


def test_long_chains_and_long_values_do_no_harm() -> None:
    """Ten thousand RDNs and a megabyte of backslashes are read or refused, not crashed upon."""
    chain = ",".join(["ou=a"] * 10_000)
    assert dn.normalize(chain) == chain
    with pytest.raises(ValueError, match="position"):
        dn.normalize("cn=" + "\\" * 1_000_001)


def test_remembered_parents_are_bounded() -> None:
    """A directory with very many containers does not fill the memory with their names."""
    for number in range(dn.PARENTS_KEPT + 10):
        dn.normalize(f"cn=a,ou=bounded{number},dc=x")
    assert 0 < len(dn._parents) <= dn.PARENTS_KEPT


@pytest.mark.parametrize(
    ("name", "base", "below"),
    [
        ("uid=a,ou=p,dc=x", "ou=p,dc=x", True),
        ("UID=a, OU=P, DC=x", "ou=p,dc=X", True),
        ("uid=a,ou=q,ou=p,dc=x", "dc=x", True),
        ("ou=p,dc=x", "ou=p,dc=x", False),
        ("uid=a,ou=p,dc=x", "u=p,dc=x", False),
        ("uid=a,ou=pp,dc=x", "ou=p,dc=x", False),
        (r"uid=a\,dc=x", "dc=x", False),
        (r'uid="a,dc=x"', "dc=x", False),
        ("dc=x", "", True),
        ("", "", False),
        (r"cn=a,ou=R\26D,dc=x", r"ou=r&d,dc=x", True),
    ],
)
def test_is_below(name: str, base: str, below: bool) -> None:  # noqa: FBT001
    """An entry is below each of its ancestors and not below itself or a look-alike."""
    assert dn.is_below(name, base) is below


def test_rdn_and_parent() -> None:
    """The RDN is decoded, the parent keeps its spelling."""
    name = r"CN=Doe\, John+UID=jd , OU=Staff,dc=x"
    assert dn.rdn_value(name) == ("cn", "Doe, John")
    assert dn.naming_values(name) == (("cn", "Doe, John"), ("uid", "jd"))
    assert dn.parent(name) == "OU=Staff,dc=x"
    assert dn.parent("dc=x") == ""


@pytest.mark.parametrize("ask", [dn.rdn_value, dn.naming_values, dn.parent])
def test_the_root_has_neither(ask: object) -> None:
    """The empty DN has no RDN and no parent."""
    with pytest.raises(ValueError, match="root"):
        ask("")  # type: ignore[operator]


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("plain", "plain"),
        ("Doe, John", r"Doe\, John"),
        ('"+,;<>\\', r"\"\+\,\;\<\>\\"),
        ("#1", r"\#1"),
        ("a#1", "a#1"),
        (" a ", r"\ a\ "),
        (" ", r"\ "),
        ("a\0b", r"a\00b"),
        ("Müller", "Müller"),
    ],
)
def test_escape_value(value: str, escaped: str) -> None:
    """What has a meaning in a DN is escaped, and nothing else (RFC 4514 section 2.4)."""
    assert dn.escape_value(value) == escaped
