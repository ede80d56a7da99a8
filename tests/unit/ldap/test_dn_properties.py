"""Any spelling of a DN has one key, two DNs never share one, and nonsense is only ever refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.ldap import dn

if TYPE_CHECKING:
    from collections.abc import Callable

# The same attribute type under its names, its number, and RFC 2253's way to write that.
TYPES = {
    "cn": ("cn", "CN", "commonName", "2.5.4.3", "OID.2.5.4.3"),
    "ou": ("ou", "Ou", "organizationalUnitName", "2.5.4.11", "oid.2.5.4.11"),
    "dc": ("dc", "domainComponent", "0.9.2342.19200300.100.1.25"),
    "uid": ("uid", "UID", "userId", "0.9.2342.19200300.100.1.1"),
}
SPECIAL = ' "#+,;<=>\\'
TEXT = st.text(
    st.sampled_from("abcXYZ019.-_äÖßéΣÀ中 ") | st.sampled_from(SPECIAL), min_size=1, max_size=8
)
RDNS = st.lists(
    st.tuples(st.sampled_from(sorted(TYPES)), TEXT),
    min_size=1,
    max_size=3,
    unique_by=lambda a: a[0],
)
NAMES = st.lists(RDNS, min_size=1, max_size=4)
# So few letters that two names are often the same, or nearly.
CLOSE_NAMES = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["cn", "uid"]),
            st.text(st.sampled_from("aA ,ß"), min_size=1, max_size=2),
        ),
        min_size=1,
        max_size=2,
    ),
    min_size=1,
    max_size=2,
)


@st.composite
def spellings(draw: st.DrawFn, name: list[list[tuple[str, str]]]) -> str:
    """Return one of the ways to write a DN."""
    rdns = []
    for rdn in name:
        turned = draw(st.permutations(rdn))
        assertions = [f"{_type(draw, type_)}={_value(draw, value)}" for type_, value in turned]
        rdns.append(_joined(draw, assertions, "+"))
    return _joined(draw, rdns, draw(st.sampled_from(",;")))


def _joined(draw: st.DrawFn, parts: list[str], sign: str) -> str:
    before, after = draw(st.sampled_from(["", " "])), draw(st.sampled_from(["", " ", "  "]))
    return f"{before}{sign}{after}".join(parts)


def _type(draw: st.DrawFn, name: str) -> str:
    return draw(st.sampled_from(TYPES[name]))


def _value(draw: st.DrawFn, value: str) -> str:
    """Write a value: letters in either case, any of them as hex, all of it quoted, or as BER."""
    cased = "".join(
        each.swapcase() if each.isascii() and draw(st.booleans()) else each for each in value
    )
    octets = cased.encode()
    way = draw(st.sampled_from(["plain", "hex", "quoted", "ber"]))
    if way == "ber":
        return f"#0c{len(octets):02x}{octets.hex()}"
    if way == "quoted":
        return '"' + cased.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if way == "plain":
        return dn.escape_value(cased)
    return "".join(
        "".join(f"\\{octet:02x}" for octet in each.encode())
        if each in SPECIAL or draw(st.booleans())
        else each
        for each in cased
    )


def meaning(name: list[list[tuple[str, str]]]) -> list[list[tuple[str, str]]]:
    """Return what two DNs of these letters have in common exactly if they are one."""
    return [
        sorted((type_, " ".join(value.split()).lower() or " ") for type_, value in rdn)
        for rdn in name
    ]


@pytest.mark.rule("2.10.6", server="pure")
@given(st.data(), NAMES)
def test_every_spelling_has_one_key(data: st.DataObject, name: list[list[tuple[str, str]]]) -> None:
    """Escapes, hex, quotes, BER, letter case, spaces, order and type names are spelling alone."""
    one, other = data.draw(spellings(name)), data.draw(spellings(name))
    assert dn.normalize(one) == dn.normalize(other)
    assert dn.dn_key(one) == dn.dn_key(other)
    for each in (one, other):
        # A second spelling of the root's children, and of everything below a base.
        base = data.draw(spellings([[("dc", "base")]]))
        assert dn.is_below(f"{each},{base}", "dc=base")


@pytest.mark.rule("2.10.6", server="pure")
@given(st.data(), CLOSE_NAMES, CLOSE_NAMES)
def test_different_names_differ_in_any_spelling(
    data: st.DataObject, one: list[list[tuple[str, str]]], other: list[list[tuple[str, str]]]
) -> None:
    """However two DNs are written, they share a key exactly if they mean the same entry."""
    first, second = data.draw(spellings(one)), data.draw(spellings(other))
    same = meaning(one) == meaning(other)
    assert (dn.dn_key(first) == dn.dn_key(second)) is same
    assert (dn.normalize(first) == dn.normalize(second)) is same


@pytest.mark.rule("2.10.6", server="pure")
@given(NAMES)
def test_a_key_tells_every_part(name: list[list[tuple[str, str]]]) -> None:
    """Another value, another type, a part more or less: each of them is another DN."""
    text = ",".join("+".join(f"{t}={dn.escape_value(v)}" for t, v in rdn) for rdn in name)
    key = dn.dn_key(text)
    first = name[0]
    others = [
        f"{text},dc=more",
        f"dc=more,{text}",
        ",".join(
            "+".join(f"{t}={dn.escape_value(v + 'q')}" for t, v in rdn)
            if rdn is first
            else "+".join(f"{t}={dn.escape_value(v)}" for t, v in rdn)
            for rdn in name
        ),
        "+".join(f"x-{t}={dn.escape_value(v)}" for t, v in first)
        + "".join("," + "+".join(f"{t}={dn.escape_value(v)}" for t, v in rdn) for rdn in name[1:]),
    ]
    assert key not in {dn.dn_key(other) for other in others}


def outcome(ask: Callable[[str], object], text: str) -> str:
    """Return whether a function reads a text; anything else than a ValueError comes through."""
    try:
        ask(text)
    except ValueError as error:
        return "the root has none" if "root" in str(error) else "refused"
    return "read"


@pytest.mark.rule("2.10.6", server="pure")
@given(st.text(max_size=40) | st.text(st.sampled_from(SPECIAL + "acn01=\0\n"), max_size=40))
def test_nonsense_is_refused_and_nothing_else(text: str) -> None:
    """Whatever a directory sends as a DN is read or a ValueError, by all functions alike."""
    (whole,) = {outcome(ask, text) for ask in (dn.parse, dn.normalize, dn.dn_key)}
    for ask in (dn.rdn_value, dn.naming_values, dn.parent):
        # They look at the beginning alone.
        assert whole == "refused" or outcome(ask, text) == (
            "read" if text.strip(" ") else "the root has none"
        )
