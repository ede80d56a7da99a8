"""JSON and base64url as tokens have them, and what is beyond their bounds."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest

from syncd.oidc.compact import DEEPEST, WithDuplicates, decode, quoted, read_object
from syncd.oidc.outcome import Reason, Refusal


@pytest.mark.parametrize("length", range(8))
def test_octets(length: int) -> None:
    """Octets of every length have one form, and come back from it."""
    for octets in (bytes(length), b"\xff" * length, bytes(range(248, 248 + length))):
        written = urlsafe_b64encode(octets).rstrip(b"=")
        assert decode(written) == octets


@pytest.mark.parametrize(
    "segment",
    [
        *(b"A", b"AAAAA", b"AA==", b"AAA=", b"AA=A", b"=AAA", b"AB", b"AAB", b"A+AA", b"A/AA"),
        *(b"AA\n", b"A A", b" AAA", b"AAAA\n", b"A\0AA", b"A!AA", b"\xffAAA", b"A.AA"),
    ],
)
def test_segments_that_are_none(segment: bytes) -> None:
    """Padding, other alphabets, spaces and bits that no byte has are refused."""
    with pytest.raises(ValueError):
        decode(segment)


def nested(levels: int) -> bytes:
    """Return an object of so many levels."""
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def test_depth() -> None:
    """As deep as may be is read, one level more is not; brackets side by side are not depth."""
    assert isinstance(read_object(nested(DEEPEST)), dict)
    assert read_object(nested(DEEPEST + 1)) == Refusal(
        Reason.MALFORMED, "the text is nested deeper than 32 levels"
    )
    assert isinstance(read_object(b'{"a":[' + b"[{}]," * 500 + b"[]]}"), dict)


def test_members() -> None:
    """As many members as may be are read, in whatever objects they stand, and one more is not."""
    one = b'{"m":{%b}}' % b",".join(b'"%d":":"' % number for number in range(50))
    assert isinstance(read_object(one, members=51), dict)
    assert read_object(one, "the file", members=50) == Refusal(
        Reason.MALFORMED, "the file has more than 50 members"
    )


def test_marking() -> None:
    """An object with a member twice is refused, or marked where that is asked for."""
    body = b'{"keys":[{"a":1,"a":2},{"a":1}]}'
    found = read_object(body)
    assert isinstance(found, Refusal)
    assert found.reason is Reason.DUPLICATE_MEMBER
    marked = read_object(body, mark=True)
    assert isinstance(marked, dict)
    assert [isinstance(each, WithDuplicates) for each in marked["keys"]] == [True, False]


@pytest.mark.parametrize("body", [b" {} ", b"\r\n\t{}\n", b'{"a":[1.5,-0,1e3,"\\u0000",null]}'])
def test_json(body: bytes) -> None:
    """JSON may have space around it, and everything in it that the standard has."""
    assert isinstance(read_object(body), dict)


@pytest.mark.parametrize("body", [b"\x0b{}", b"{}\x00", b"\xc2\xa0{}", b"\xef\xbb\xbf{}", b"{} {}"])
def test_around_json(body: bytes) -> None:
    """Nothing but the standard's space stands around it."""
    assert isinstance(read_object(body), Refusal)


def test_quoting() -> None:
    """Foreign words are one short line of ASCII."""
    for value in ("x" * 10**6, ["é\n" * 1000], {"a\x1b": None}, "\u202e\ud800", 5, None, b"raw"):
        written = quoted(value)
        assert len(written) <= 80
        assert written.isprintable()
        assert written.removesuffix("…").isascii()
