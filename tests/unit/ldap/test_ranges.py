"""Raw entries with an attribute in another's place, and which entries have ranges to be read on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import DecodeError
from syncd.ldap import ber
from syncd.ldap.connection import ConnectionOptions
from syncd.ldap.pool import Pool
from syncd.ldap.ranges import RangeCompleter
from syncd.ldap.raw_entry import RawEntry, attribute_element
from syncd.ldap.traffic import Traffic

DN = "cn=big,dc=example,dc=test"
VALUES = st.lists(st.binary(max_size=200), max_size=20)
NAMES = st.sampled_from(["cn", "member", "memberOf", "member;range=0-4", "objectGUID"])


def entry(attributes: dict[str, list[bytes]]) -> bytes:
    """Return an entry as a server sends it."""
    listed = b"".join(attribute_element(name, values) for name, values in attributes.items())
    return ber.encode(ber.OCTET_STRING, DN.encode()) + ber.encode(ber.SEQUENCE, listed)


@given(st.dictionaries(NAMES, VALUES), VALUES)
def test_an_attribute_takes_the_place_of_others(
    attributes: dict[str, list[bytes]], values: list[bytes]
) -> None:
    """All but what is replaced stays as it was, in its order."""
    parts = RawEntry.cut(entry(attributes))
    assert parts.encode() == entry(attributes)

    parts.replace("member", values, stands_for=lambda name: name in {"member", "member;range=0-4"})

    found = ber.decode_entry(parts.encode())
    assert found.dn == DN
    assert found.attributes.pop("member") == values
    assert found.attributes == {
        name.lower(): old for name, old in attributes.items() if not name.startswith("member")
    } | {name.lower(): old for name, old in attributes.items() if name == "memberOf"}


@pytest.mark.parametrize("stop", range(1, 40))
def test_what_is_no_entry_is_refused(stop: int) -> None:
    """Bytes that end too early are no entry, wherever they end."""
    raw = entry({"cn": [b"big"], "member": [b"cn=a", b"cn=b"]})
    with pytest.raises(DecodeError):
        RawEntry.cut(raw[:-stop])


@pytest.mark.rule("2.10.1", server="pure")
@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param({"cn": [b"big"], "member": [b"cn=a"]}, id="no ranges"),
        pytest.param({"description": [b"see member;range=0-1499"]}, id="in a value"),
        pytest.param({"member;range=0-*": [b"cn=a"]}, id="all in one range"),
        pytest.param({"member;range=1-1": [b"cn=a"]}, id="added, as DirSync tells it"),
        pytest.param({"member;range=0-0": [b"cn=a"]}, id="removed, as DirSync tells it"),
        pytest.param({"member;range=1500-2999": [b"cn=a"]}, id="no first range"),
    ],
)
def test_an_entry_without_a_first_range_is_passed_on(attributes: dict[str, list[bytes]]) -> None:
    """Nobody is asked about an entry that is not cut to its first range."""
    raw = entry(attributes)
    # There is no such server: asking would fail, which is why the entry below stays as it is.
    pool = Pool(ConnectionOptions(urls=("ldap://127.0.0.1:1",)), traffic=Traffic())
    cut = entry({"member": [], "member;range=0-1": [b"cn=a", b"cn=b"]})

    completer = RangeCompleter(pool)
    assert completer.completed([raw, cut]) == [raw, cut]
    page = [raw]
    assert completer.completed(page)[0] is raw
