"""Members of a container: each once, however and in whatever order they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.ldap.dn import dn_key
from syncd.mappers.members import compile_dn_members, compile_uid_members
from syncd.records import Entry, Member
from tests.unit.mappers.directory import CODEC


def members(*values: str) -> tuple[Member, ...]:
    """Read members that are named by DN."""
    listed = [value.encode() for value in values]
    found, whole = compile_dn_members(CODEC, "member")(Entry("cn=g", {"member": listed}))
    assert whole
    return found


SIGNS = st.characters(
    categories=["L", "N", "P", "S"], include_characters=" ", exclude_characters='\\,+"<>;=#'
)
VALUES = st.text(SIGNS, min_size=1, max_size=8).filter(lambda text: text.strip(" ") == text != "")
NAMES = st.lists(
    st.tuples(st.sampled_from(["cn", "ou", "uid", "dc"]), VALUES), min_size=1, max_size=4
)


@st.composite
def spelling(draw: st.DrawFn, rdns: list[tuple[str, str]]) -> str:
    """Write a DN in one of the ways in which it may be written."""
    long_names = {"cn": "commonName", "ou": "2.5.4.11", "uid": "userid", "dc": "domainComponent"}
    written = []
    for type_, value in rdns:
        type_ = draw(st.sampled_from([type_, type_.upper(), long_names[type_]]))  # noqa: PLW2901
        form = draw(st.sampled_from(["plain", "spaces", "hex", "quoted", "spread"]))
        match form:
            case "spaces":
                written.append(f" {type_} = {value} ")
            case "hex":
                written.append(f"{type_}=" + "".join(f"\\{each:02x}" for each in value.encode()))
            case "quoted":
                written.append(f'{type_}="{value}"')
            case "spread":
                written.append(f"{type_}=" + value.replace(" ", "   "))
            case _:
                written.append(f"{type_}={value}")
    return draw(st.sampled_from([",", " , "])).join(written)


@pytest.mark.rule("2.10.6", server="pure")
@given(st.data(), NAMES)
def test_all_spellings_of_a_dn_are_one_member(
    data: st.DataObject, rdns: list[tuple[str, str]]
) -> None:
    """However often and in whatever way a DN is listed, it is one member, in any order the same."""
    spellings = data.draw(st.lists(spelling(rdns), min_size=1, max_size=5))
    found = members(*spellings, "uid=other,dc=y")
    assert len(found) == 2
    assert members("uid=other,dc=y", *reversed(spellings)) == found


@pytest.mark.rule("2.10.6", server="pure")
@given(st.lists(NAMES, max_size=6))
def test_different_dns_are_different_members(names: list[list[tuple[str, str]]]) -> None:
    """As many members as keys, sorted, in whatever order they came."""
    values = [",".join(f"{type_}={value}" for type_, value in rdns) for rdns in names]
    found = members(*values)
    assert {member.key for member in found} == {dn_key(value) for value in values}
    assert list(found) == sorted(found)
    assert members(*reversed(values)) == found


@given(st.lists(st.sampled_from(["anna", "ANNA", "Änne", "änne", " bob", "bob"])))
def test_members_by_uid_are_one_whatever_their_case(values: list[str]) -> None:
    """Letter case and spaces around a name do not make another member."""
    read = compile_uid_members(CODEC, "memberUid", "uid")
    found, _ = read(Entry("cn=g", {"memberuid": [value.encode() for value in values]}))
    assert len(found) == len({value.strip().lower() for value in values})


def test_the_order_of_a_members_fields() -> None:
    """Members are built by position, which this holds."""
    (member,) = members("uid=Anna,dc=x")
    assert member == Member(kind="dn", key=dn_key("uid=anna,dc=x"), value="uid=Anna,dc=x")
