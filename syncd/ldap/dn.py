r"""Distinguished names: parsed values and the text by which two spellings are one DN.

Parsing follows RFC 4514 and, leniently, the older spellings of RFC 2253 section 4 that servers
still return: quoted values, semicolons, spaces around separators, ``OID.`` before numeric types.

**Comparison.** Attribute types ignore case and their well-known long names and OIDs; escapes and
BER hexadecimal values are decoded; the order inside a multi-valued RDN does not matter; values
ignore case, canonical Unicode composition and how many spaces stand in a row. Where servers
differ, the choice is the one that cannot give one person's role to another:

* Runs of spaces are squeezed (RFC 4518 section 2.6.1). Active Directory keeps them distinct when
  it compares, but creates no two siblings that differ in nothing else.
* Case folding is *simple* (one character to one character), as OpenLDAP does it: ``Weiß`` and
  ``Weiss`` are two people. Compatibility forms (``ﬁ``, full-width letters) are not unified either.
  A spelling that is missed this way leaves a member unresolved, which is reported.

**Normal form.** ``type=value`` joined by ``,``, several in one RDN sorted and joined by ``+``;
every special character in a value is a hex pair (``\2c``), so a comma in the text is always a
separator. It is itself a valid DN and normalizing it again changes nothing.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from syncd.records import key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PARENTS_KEPT = 8192

# RFC 4514 section 3, RFC 4519: names that mean the same attribute type.
_TYPE_NAMES = {
    "commonname": "cn",
    "2.5.4.3": "cn",
    "surname": "sn",
    "2.5.4.4": "sn",
    "countryname": "c",
    "2.5.4.6": "c",
    "localityname": "l",
    "2.5.4.7": "l",
    "stateorprovincename": "st",
    "2.5.4.8": "st",
    "streetaddress": "street",
    "2.5.4.9": "street",
    "organizationname": "o",
    "2.5.4.10": "o",
    "organizationalunitname": "ou",
    "2.5.4.11": "ou",
    "domaincomponent": "dc",
    "0.9.2342.19200300.100.1.25": "dc",
    "userid": "uid",
    "0.9.2342.19200300.100.1.1": "uid",
}

# BER tags whose content is text: OCTET STRING, UTF8String, PrintableString, IA5String.
_TEXT_TAGS = frozenset({0x04, 0x0C, 0x13, 0x16})

_TYPE = re.compile(
    r" *(?:(?:oid\.)?([0-9]+(?:\.[0-9]+)*)|([a-z][a-z0-9_-]*)) *= *", re.IGNORECASE | re.ASCII
)
_HEX = re.compile(r"#((?:[0-9a-f]{2})+) *(?=[,;+]|\Z)", re.IGNORECASE | re.ASCII)
# No possessive quantifiers: Python 3.11.2, which Debian 12 has, gets them wrong. Each alternative
# below starts with characters of its own, so there is nothing to go back to anyway.
_QUOTED = re.compile(r'"((?:[^"\\\0]|\\[^\0])*)" *', re.DOTALL)
_PLAIN = re.compile(
    r"(?:[^\\\",;+\0]|\\(?:[ \"#+,;<=>\\]|[0-9a-f]{2}))*", re.IGNORECASE | re.DOTALL
)
_ESCAPE = re.compile(r"((?:\\[0-9a-f]{2})+)|\\(.)", re.IGNORECASE | re.DOTALL)
_SPACES = re.compile(r" {2,}")
_SPECIAL = re.compile(r"[\"+,;<>\\\0]|^[# ]| \Z")
_NORMAL_SPECIAL = re.compile(r"[\"+,;<=>\\\x00-\x1f\x7f]|^[# ]| \Z")

# An RDN whose normal form is plain to see: a short name of a type, then printable ASCII without
# anything that needs a second look.
_SHORT_TYPE = r"(?:cn|uid|ou|dc|o|l|c|st|sn|mail)"
_SIGN = r"[!$-*\--:?-\[\]-~]"
_WORD = rf"{_SIGN}+"
_ORDINARY_RDN = re.compile(rf"{_SHORT_TYPE}={_WORD}(?: {_WORD})*", re.IGNORECASE | re.ASCII)
# The same with escaped commas: Active Directory's "CN=Doe\, John".
_PIECE = rf"(?:{_SIGN}|\\,)+"
_COMMA_RDN = re.compile(rf"({_SHORT_TYPE}={_PIECE}(?: {_PIECE})*),", re.IGNORECASE | re.ASCII)
# A first RDN that ends at an unescaped comma for certain.
_SINGLE_RDN = re.compile(r"([^\\\",;+#=\0]+=(?:[^\\\",;+#\0]|\\.)*),", re.DOTALL)
_is_ordinary = _ORDINARY_RDN.fullmatch

# The normal form of parents seen lately, by their spelling; emptied when it is full.
_parents: dict[str, str] = {}
_parent_text = _parents.get


class _Assertion(NamedTuple):
    """One attribute type and value of an RDN."""

    type: str
    value: str
    # The value is "#" and hexadecimal BER that is not text.
    opaque: bool


def parse(dn: str) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Return the RDNs of ``dn``, each a tuple of (type in lower case, value).

    The empty text is the root and has no RDN. Raises ValueError naming position and reason.
    """
    return tuple(
        tuple((assertion.type, assertion.value) for assertion in rdn) for rdn, _ in _rdns(dn)
    )


def normalize(dn: str) -> str:
    """Return the comparison text of ``dn``; equal texts are the same DN."""
    rdn, comma, rest = dn.partition(",")
    if _is_ordinary(rdn):
        text = rdn.lower()
        if not comma:
            return text
    elif (found := _COMMA_RDN.match(dn)) is not None:
        text, rest = found[1].lower().replace("\\,", "\\2c"), dn[found.end() :]
    elif (found := _SINGLE_RDN.match(dn)) is not None:
        text, rest = _normalize_slowly(found[1]), dn[found.end() :]
    else:
        return _normalize_slowly(dn)
    return f"{text},{_parent_text(rest) or _normal_parent(rest)}"


def dn_key(dn: str) -> bytes:
    """Return the key under which ``dn`` is stored and joined: ``key_of(normalize(dn))``."""
    rdn, _, rest = dn.partition(",")
    # What a sync asks for hundreds of thousands of times: one more person below a known parent.
    parent_text = _parent_text(rest)
    if parent_text is not None and _is_ordinary(rdn):
        return key_of(f"{rdn.lower()},{parent_text}")
    return key_of(normalize(dn))


def is_below(dn: str, base: str) -> bool:
    """Tell whether ``dn`` lies below ``base``; an entry is not below itself."""
    base_text = normalize(base)
    text = normalize(dn)
    # A comma in a normal form is always a separator.
    return text.endswith(f",{base_text}") if base_text else bool(text)


def rdn_value(dn: str) -> tuple[str, str]:
    """Return type and value of the RDN; of a multi-valued one the first as it is written."""
    return naming_values(dn)[0]


def naming_values(dn: str) -> tuple[tuple[str, str], ...]:
    """Return every (type in lower case, value) of the RDN."""
    for rdn, _ in _rdns(dn):
        return tuple((assertion.type, assertion.value) for assertion in rdn)
    raise ValueError("the root DN has no RDN")


def parent(dn: str) -> str:
    """Return the DN of the entry above, as it is written; the empty text above the top."""
    for _, end in _rdns(dn):
        return dn[end + 1 :].strip(" ")
    raise ValueError("the root DN has no parent")


def escape_value(text: str) -> str:
    """Return ``text`` as a value to write into a DN (RFC 4514 section 2.4)."""
    return _SPECIAL.sub(lambda m: r"\00" if m[0] == "\0" else f"\\{m[0]}", text)


# --- the slow way, which the fast one must agree with


def _normal_parent(dn: str) -> str:
    """Normalize and remember what stands after the first comma of a DN."""
    text = _normalize_slowly(dn)
    if not text:
        raise ValueError(f"a DN does not end with a comma: {dn!r}")
    if len(_parents) >= PARENTS_KEPT:
        _parents.clear()
    _parents[dn] = text
    return text


def _normalize_slowly(dn: str) -> str:
    return ",".join("+".join(sorted(map(_normal_assertion, rdn))) for rdn, _ in _rdns(dn))


def _normal_assertion(assertion: _Assertion) -> str:
    attribute = _TYPE_NAMES.get(assertion.type, assertion.type)
    if assertion.opaque:
        return f"{attribute}={assertion.value}"
    return f"{attribute}={_NORMAL_SPECIAL.sub(_hex_pair, _prepare(assertion.value))}"


def _hex_pair(match: re.Match[str]) -> str:
    return f"\\{ord(match[0]):02x}"


def _prepare(value: str) -> str:
    """Fold case and squeeze spaces."""
    if value.isascii():
        folded = value.lower()
    else:
        composed = unicodedata.normalize("NFC", value)
        folded = composed.casefold()
        # No character folds to nothing: as long as before means one to one.
        if len(folded) != len(composed):
            folded = "".join(map(_simple_fold, composed))
        folded = unicodedata.normalize("NFC", folded)
    squeezed = _SPACES.sub(" ", folded).strip(" ")
    # A value of nothing but spaces is one space (RFC 4518 section 2.6.1).
    return squeezed or folded[:1]


def _simple_fold(character: str) -> str:
    for folded in (character.casefold(), character.lower()):
        if len(folded) == 1:
            return folded
    return character


# --- parsing


def _rdns(dn: str) -> Iterator[tuple[list[_Assertion], int]]:
    """Yield each RDN and the position of the separator after it."""
    if not dn.strip(" "):
        return
    position, length = 0, len(dn)
    rdn: list[_Assertion] = []
    while True:
        assertion, position = _assertion(dn, position)
        rdn.append(assertion)
        if position < length and dn[position] == "+":
            position += 1
            continue
        yield rdn, position
        if position == length:
            return
        if dn[position] not in ",;":
            raise _unreadable(dn, position, "a comma or the end is expected")
        rdn = []
        position += 1


def _assertion(dn: str, position: int) -> tuple[_Assertion, int]:
    found = _TYPE.match(dn, position)
    if found is None:
        raise _unreadable(dn, position, "an attribute type and '=' are expected")
    attribute = (found[1] or found[2]).lower()
    position = found.end()
    if dn.startswith("#", position):
        return _hexadecimal(attribute, dn, position)
    if dn.startswith('"', position):
        quoted = _QUOTED.match(dn, position)
        if quoted is None:
            raise _unreadable(dn, position, "a quoted value does not end")
        return _Assertion(attribute, _unescape(quoted[1], dn), opaque=False), quoted.end()
    plain = _PLAIN.match(dn, position)
    text = plain[0] if plain else ""
    position += len(text)
    if dn.startswith(("\\", '"', "\0"), position):
        raise _unreadable(dn, position, "this character cannot stand here unescaped")
    return _Assertion(attribute, _unescape(_trim(text), dn), opaque=False), position


def _hexadecimal(attribute: str, dn: str, position: int) -> tuple[_Assertion, int]:
    found = _HEX.match(dn, position)
    if found is None:
        raise _unreadable(dn, position, "'#' must be followed by pairs of hexadecimal digits")
    content = bytes.fromhex(found[1])
    if content[0] in _TEXT_TAGS and len(content) - 2 < 0x80 and content[1:2] == _short(content):
        try:
            text = content[2:].decode()
        except UnicodeDecodeError:
            pass
        else:
            return _Assertion(attribute, text, opaque=False), found.end()
    return _Assertion(attribute, f"#{found[1].lower()}", opaque=True), found.end()


def _short(content: bytes) -> bytes:
    """Return the short-form BER length that fits what follows tag and length."""
    return bytes([max(len(content) - 2, 0)])


def _trim(text: str) -> str:
    """Drop trailing spaces but for an escaped one."""
    trimmed = text.rstrip(" ")
    backslashes = len(trimmed) - len(trimmed.rstrip("\\"))
    return f"{trimmed} " if backslashes % 2 else trimmed


def _unescape(text: str, dn: str) -> str:
    if "\\" not in text:
        return text
    try:
        return _ESCAPE.sub(_unescaped, text)
    except UnicodeDecodeError:
        raise ValueError(f"the hex pairs in {text!r} of {dn!r} are not UTF-8") from None


def _unescaped(match: re.Match[str]) -> str:
    return bytes.fromhex(match[1].replace("\\", "")).decode() if match[1] else match[2]


def _unreadable(dn: str, position: int, reason: str) -> ValueError:
    return ValueError(f"at position {position} of {dn!r}: {reason}")
