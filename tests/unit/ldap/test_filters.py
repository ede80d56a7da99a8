"""Filters: values cannot become syntax, mistakes are named, failing clauses are found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.ldap import filters
from syncd.records import Entry

ENTRY = Entry(
    "CN=Doe\\, John,OU=Staff,DC=x",
    {
        "cn": [b"Doe, John"],
        "cn;lang-de": [b"Hans"],
        "objectclass": [b"top", b"inetOrgPerson"],
        "mail": [b"John.Doe@Example.org"],
        "employeenumber": [b"42"],
        "useraccountcontrol": [b"514"],
        "modifytimestamp": [b"20240301120000.0Z"],
        "memberof": [b"CN=Admins, OU=Groups,DC=x"],
        "objectguid": [bytes(range(16))],
        "jpegphoto": [b"\xff\xd8"],
    },
)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_value_stays_a_value(value: str) -> None:
    """Whatever text is asked for, the filter asks for exactly that text."""
    text = filters.equal("cn", value)
    assert text.isascii()
    assert filters.parse(text) == filters.Comparison("cn", "=", value.encode())


@given(st.binary())
def test_bytes_stay_bytes(value: bytes) -> None:
    """Bytes of an id survive the filter."""
    assert filters.parse(filters.equal("objectGUID", value)) == filters.Comparison(
        "objectGUID", "=", value
    )


def test_escape_follows_the_rfc() -> None:
    """The five special characters and every byte outside of ASCII become hex pairs."""
    assert filters.escape("a\\*()\0ž") == r"a\5c\2a\28\29\00\c5\be"
    assert filters.escape(b"\x00\xff") == r"\00\ff"


@pytest.mark.parametrize(
    ("built", "text"),
    [
        (filters.present("mail"), "(mail=*)"),
        (filters.greater_or_equal("uSNChanged", "7"), "(uSNChanged>=7)"),
        (filters.and_("(a=b)", "", "(c=d)"), "(&(a=b)(c=d))"),
        (filters.and_("(a=b)", ""), "(a=b)"),
        (filters.or_("(a=b)", "(c=d)"), "(|(a=b)(c=d))"),
        (filters.not_("(a=b)"), "(!(a=b))"),
    ],
)
def test_builders(built: str, text: str) -> None:
    """Filters are put together without needless brackets; empty ones do not count."""
    assert built == text


def test_builders_refuse_what_is_no_filter() -> None:
    """An attribute name is never syntax, and a combination of nothing is a mistake."""
    with pytest.raises(ValueError, match="is not an attribute name"):
        filters.equal("cn=*)(uid", "x")
    with pytest.raises(ValueError, match="at least one clause"):
        filters.or_()


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("(cn=Babs Jensen)", None),
        ("(!(cn=Tim Howes))", None),
        ("(&(objectClass=Person)(|(sn=Jensen)(cn=Babs J*)))", None),
        ("(o=univ*of*mich*)", None),
        ("(seeAlso=)", None),
        ("(cn:caseExactMatch:=Fred Flintstone)", None),
        ("(cn:=Betty Rubble)", None),
        ("(sn:dn:2.4.6.8.10:=Barney Rubble)", None),
        ("(o:dn:=Ace Industry)", None),
        ("(:1.2.3:=Wilma Flintstone)", None),
        ("(:dn:2.4.6.8.10:=Dino)", None),
        (r"(o=Parens R Us \28for all your parenthetical needs\29)", None),
        (r"(cn=*\2A*)", r"(cn=*\2a*)"),
        ("(sn=Lučić)", r"(sn=Lu\c4\8di\c4\87)"),
        ("(mail~=x)", None),
        ("(uidNumber<=9)", None),
        ("(userCertificate;binary=*)", None),
        ("(2.5.4.3;lang-de=x)", None),
        ("(&)", None),
        ("  (& (a=b)\n    (!  (c=d)) )\n", "(&(a=b)(!(c=d)))"),
        ("(memberOf:1.2.840.113556.1.4.1941:=cn=x,dc=y)", None),
    ],
)
def test_parse_reads_rfc_4515(text: str, canonical: str | None) -> None:
    """The RFC's examples, options, matching rules and spread-out filters are read and written."""
    tree = filters.parse(text)
    assert str(tree) == (canonical or text)
    assert filters.parse(str(tree)) == tree


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", 'a filter starts with "\\(" and ends with "\\)"'),
        ("uid=x", "a filter starts with .*; this one is 'uid=x'"),
        ("(uid=x", "a filter starts with"),
        ("(a=b)(c=d)", "at position 5 .*: the filter is over here"),
        ("((a=b))", "at position 1 .*: an attribute name is expected"),
        ("()", "at position 1"),
        ("(=x)", "at position 1 .*: an attribute name is expected"),
        ("(&(a=b)", 'at position 7 .*: "\\)" is expected, for the "\\(" at position 0'),
        ("(!)", 'at position 2 .*: "\\(" is expected'),
        ("(a b=c)", "at position 2 .*: one of"),
        ("(a>c)", "at position 2 .*: one of"),
        (r"(a=\2)", "at position 3 .*: a backslash is followed by two hexadecimal digits"),
        (r"(a=\+c)", "at position 3"),
        ("(a=b(c)", 'at position 4 .*: "\\(" cannot stand in a value'),
        ("(a=b\0c)", "at position 4 .*: a NUL character"),
        ("(a=**)", 'at position 3 .*: "\\*\\*" is not a pattern'),
        ("(:1.2:dn=x)", "at position 1"),
        ("(:=x)", "at position 1 .*: an attribute name is expected"),
        ("(a>=b*)", 'at position 4 .*: "\\*" cannot stand in this value'),
        ("(a:=b*)", 'at position 4 .*: "\\*" cannot stand in this value'),
        ("(:dn:=x)", "at position 1 .*: an attribute name is expected"),
        ("(a:b_c:=x)", "'b_c' is not the name of a matching rule"),
        ("(!" * 100 + "(a=b)" + ")" * 100, "nested deeper than 64 levels"),
        ("(" * 5000 + ")" * 5000, "at position 1"),
    ],
)
def test_parse_says_where_and_why_not(text: str, reason: str) -> None:
    """A mistake in a configured filter is named with its position."""
    with pytest.raises(ValueError, match=reason):
        filters.parse(text)


@given(st.text(st.sampled_from(list("(&|!)=*\\:~<>abc 2:;é")), max_size=16))
def test_parse_reads_or_refuses(text: str) -> None:
    """Every text is a filter that reads back the same, or a ValueError."""
    try:
        tree = filters.parse(text)
    except ValueError:
        return
    assert filters.parse(str(tree)) == tree


@pytest.mark.parametrize(
    "text",
    [
        "(objectClass=INETORGPERSON)",
        "(cn=doe,  john)",
        "(cn=hans)",
        "(cn;lang-de=Hans)",
        "(mail=john*@*.ORG)",
        "(mail=*)",
        "(employeeNumber>=9)",
        "(employeeNumber<=42)",
        "(modifyTimestamp>=20240301130000+0100)",
        "(memberOf=cn=admins,ou=groups,dc=X)",
        "(userAccountControl:1.2.840.113556.1.4.803:=2)",
        "(userAccountControl:1.2.840.113556.1.4.804:=3)",
        "(cn~=hans)",
        "(cn:caseIgnoreMatch:=HANS)",
        "(ou:dn:=staff)",
        "(entryDN=cn=doe\\5c, john,ou=staff,dc=x)",
        "(objectGUID=\\00\\01\\02\\03\\04\\05\\06\\07\\08\\09\\0a\\0b\\0c\\0d\\0e\\0f)",
        "(&)",
        "(!(|))",
        "(|(cn=x)(cn=hans))",
        "(!(telephoneNumber=*))",
        # Only the server can know these.
        "(memberOf:1.2.840.113556.1.4.1941:=cn=all,dc=x)",
        "(!(memberOf:1.2.840.113556.1.4.1941:=cn=all,dc=x))",
        "(|(cn=x)(:1.2.3:=y))",
    ],
)
def test_matches(text: str) -> None:
    """An entry matches by the rules of its values, and where only the server can tell."""
    assert filters.matches(filters.parse(text), ENTRY) == (True, None)


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("(objectClass=group)", "(objectClass=group)"),
        ("(&(objectClass=inetOrgPerson)(&(cn=*)(mail=*@other.org)))", "(mail=*@other.org)"),
        (
            "(&(cn=*)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))",
            "(!(userAccountControl:1.2.840.113556.1.4.803:=2))",
        ),
        ("(|(cn=a)(cn=b))", "(|(cn=a)(cn=b))"),
        ("(&(memberOf:1.2.840.113556.1.4.1941:=cn=all)(cn=x))", "(cn=x)"),
        ("(employeeNumber>=100)", "(employeeNumber>=100)"),
        ("(modifyTimestamp<=20240301115959Z)", "(modifyTimestamp<=20240301115959Z)"),
        ("(mail=john*john*)", "(mail=john*john*)"),
        ("(employeeNumber=4*42)", "(employeeNumber=4*42)"),
        ("(memberOf=cn=admins,ou=other,dc=x)", "(memberOf=cn=admins,ou=other,dc=x)"),
        ("(jpegPhoto=x)", "(jpegPhoto=x)"),
        ("(jpegPhoto=x*)", "(jpegPhoto=x*)"),
        ("(jpegPhoto>=\\ff\\ff)", "(jpegPhoto>=\\ff\\ff)"),
        ("(mail>=z)", "(mail>=z)"),
        (
            "(userAccountControl:1.2.840.113556.1.4.803:=x)",
            "(userAccountControl:1.2.840.113556.1.4.803:=x)",
        ),
        ("(|)", "(|)"),
        ("(memberOf=a=,=b)", "(memberOf=a=,=b)"),
    ],
)
def test_the_first_clause_that_fails_is_named(text: str, clause: str) -> None:
    """An operator learns which part of a long filter keeps somebody out."""
    assert filters.matches(filters.parse(text), ENTRY) == (False, clause)
