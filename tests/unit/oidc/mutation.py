"""Tokens that are nearly right: something was changed, before they were signed or after."""

from __future__ import annotations

import json
from hashlib import sha256, sha512
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from syncd.oidc.outcome import Kind
from tests import minting, soak
from tests.minting import CLIENT, ISSUER, NONCE, NOW, SUBJECT, Signer, signer
from tests.unit.oidc.oracles import AUDIENCE

EVENT = "http://schemas.openid.net/event/backchannel-logout"
# ES256 most of the time: signing by RSA takes fifty times as long.
OURS = (
    signer("ES256", "k-es"),
    signer("EdDSA", "k-ed"),
    signer("RS256", "k-rs"),
    signer("PS256", "k-ps"),
)
KEYS = [each.jwk() for each in OURS]
STRANGERS = (
    Signer("ES256", "k-es", signer("ES256", "stranger").private),
    Signer("EdDSA", "k-ed", signer("EdDSA", "stranger").private),
    Signer("HS256", "k-rs", minting.json_bytes(KEYS[2]).replace(b'"kty"', b'"kt"')),
    # A good key under the name of another.
    Signer("ES256", "k-rs", OURS[0].private),
    Signer("RS256", "k-ps", OURS[2].private),
    Signer("PS256", "k-rs", OURS[2].private),
)
TYPES = {Kind.ID: "JWT", Kind.ACCESS: "at+jwt", Kind.LOGOUT: "logout+jwt"}
A_FEW = 250
# A soak looks at twenty thousand.
EXAMPLES = settings(
    max_examples=A_FEW + 100 * soak.MOMENTS,
    deadline=None,
    database=None,
    derandomize=not soak.MOMENTS,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
LONG_ENOUGH = pytest.mark.timeout(120 + 20 * soak.MOMENTS)


def claims_of(kind: Kind) -> dict[str, Any]:
    """Return the claims of a token of this kind that is right."""
    match kind:
        case Kind.ID:
            return minting.claims(azp=CLIENT, auth_time=NOW - 5)
        case Kind.ACCESS:
            return minting.claims(
                aud=AUDIENCE, client_id="portal", jti="j1", scope="openid", nonce=None
            )
        case Kind.LOGOUT:
            return minting.claims(nonce=None, jti="j1", sid="s1", events={EVENT: {}})


TIMES = st.one_of(
    st.integers(NOW - 7, NOW + 7),
    st.sampled_from(
        (
            NOW - 600,
            NOW - 601,
            NOW - 605,
            NOW - 606,
            NOW - 0.5,
            NOW + 5.5,
            NOW + 0.5,
            NOW + 300,
            NOW + 1e7,
        )
    ),
    st.sampled_from((0, -1, -0.0, True, None, "1", str(NOW + 9), [NOW], 10**400, -(10**30), 1e300)),
    st.floats(),
)
TEXTS = st.one_of(
    st.sampled_from(("", " ", "\x00", "\ud800", "a" * 255, "a" * 256, "é", "Ⅳ", SUBJECT, CLIENT)),
    st.sampled_from((ISSUER, ISSUER.rstrip("/"), ISSUER.upper(), ISSUER + "/", f" {ISSUER}")),
    st.sampled_from((NONCE, NONCE.lower(), NONCE + "\x00", AUDIENCE, AUDIENCE + "#", "none")),
    st.text(max_size=12),
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS)


def _around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return lists and objects of what ``inner`` gives."""
    return st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)
    )


ANYTHING = st.one_of(SCALARS, _around(SCALARS), _around(_around(SCALARS)))
# What comes with an ID token, and the hashes of it that fit one algorithm or another.
CAME = "what came with it"
HASHES = [
    minting.encoded(digest(CAME.encode()).digest()[:length])
    for digest, length in ((sha256, 16), (sha512, 32), (sha512, 16))
]
LISTS = st.lists(st.one_of(TEXTS, SCALARS), max_size=3)
EVENTS = st.dictionaries(st.sampled_from((EVENT, "x", "")), ANYTHING, max_size=2)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("exp", "iat", "nbf", "auth_time"), TIMES),
    **dict.fromkeys(("iss", "sub", "nonce", "azp", "sid", "jti", "client_id", "scope"), TEXTS),
    "aud": st.one_of(TEXTS, LISTS),
    "events": EVENTS,
    **dict.fromkeys(("at_hash", "c_hash"), st.one_of(st.sampled_from(HASHES), TEXTS)),
}
HEADER_TEXTS = st.sampled_from(
    ("JWT", "jwt", "at+jwt", "application/at+jwt", "logout+jwt", "JOSE", "", "none", "HS256",
     "RS256", "rs256", "ES256", "PS256", "EdDSA", "ES256K", "k-es", "k-rs", "k-ed", "k-es ",
     "K-ES", "../../x' OR 1=1", "a" * 512, "a" * 513)
)  # fmt: skip
HEADERS = (
    *("typ", "alg", "kid", "typ", "alg", "kid", "crit", "b64"),
    *("cty", "jku", "jwk", "x5u", "x5c", "zip", "enc"),
)
WAYS = ("nothing", "kind", "signer", "header", "written", "bent")
SPACES = st.sampled_from((" ", "\n", "\t\r\n ", "\x00", "\ufeff", "\u00a0"))


@st.composite
def _changed(draw: st.DrawFn, members: dict[str, Any], *, header: bool) -> dict[str, Any]:
    """Take members away, change them, add others."""
    members = dict(members)
    for _ in range(draw(st.sampled_from((1, 1, 1, 2)))):
        name = draw(st.sampled_from(HEADERS if header else (*members, *VALUES, "x")))
        how = draw(st.sampled_from(("one that fits", "one that fits", "anything", "nothing")))
        if how == "nothing":
            members.pop(name, None)
        elif how == "anything":
            members[name] = draw(ANYTHING)
        else:
            fits = HEADER_TEXTS if header else VALUES.get(name, ANYTHING)
            members[name] = draw(fits)
    return members


@st.composite
def _written(draw: st.DrawFn, members: dict[str, Any]) -> bytes:
    """Write members as JSON, as providers do or in ways that nobody should."""
    text = json.dumps(members, ensure_ascii=draw(st.booleans()))
    how = draw(st.sampled_from(("plain",) * 3 + ("twice", "twice", "spaces", "deep", "odd", "16")))
    if how == "twice" and members:
        name = draw(st.sampled_from(list(members)))
        again = json.dumps(draw(st.one_of(st.just(members[name]), ANYTHING)))
        text = text[:-1] + f', "{name}": {again}}}'
    elif how == "spaces":
        text = draw(SPACES) + text + draw(SPACES)
    elif how == "deep":
        depth = draw(st.sampled_from((2, 8, 16, 32, 64, 600, 3000)))
        text = text[:-1] + f', "deep": {"[" * depth}{"]" * depth}}}'
    elif how == "odd":
        value = draw(
            st.sampled_from(("1e400", "-1e400", "NaN", "Infinity", "01", "1" * 5000, "'a'"))
        )
        text = text[:-1] + f', "odd": {value}}}'
    elif how == "16":
        return text.encode("utf-16", "surrogatepass")
    return text.encode("utf-8", "surrogatepass")


@st.composite
def _bent(draw: st.DrawFn, text: str) -> str:
    """Change the token's text after it was signed."""
    how = draw(st.sampled_from(("put", "put", "cut", "flip", "pad", "part", "last")))
    place = draw(st.integers(0, len(text)))
    one = draw(st.sampled_from("AaQgw09-_+/=.~ \n\x00é"))
    match how:
        case "put":
            return text[:place] + one + text[place:]
        case "cut":
            return text[:place] + text[place + 1 :]
        case "flip":
            return text[:place] + one + text[place + 1 :]
        case "pad":
            return text + "=" * draw(st.integers(1, 3))
        case "part":
            parts = text.split(".")
            return ".".join(draw(st.lists(st.sampled_from(["", *parts]), min_size=1, max_size=6)))
        case "last":
            return text[:-1] + one
    return text


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    """Draw a header that is nearly right."""
    by = draw(st.sampled_from(OURS))
    return draw(_written(draw(_changed(by.header(), header=True))))


@st.composite
def tokens(draw: st.DrawFn) -> tuple[Kind, str]:
    """Draw what a token is shown as, and a token that is wrong in one way or in several."""
    wrong = draw(st.sampled_from((*WAYS, *("claims",) * 8, "everything")))

    def may(way: str) -> bool:
        return wrong in {way, "everything"}

    shown = draw(st.sampled_from(Kind))
    made = draw(st.sampled_from(Kind)) if may("kind") else shown
    by = draw(st.sampled_from(STRANGERS if may("signer") else (*OURS[:1] * 6, *OURS)))
    named = draw(st.sampled_from((by.key_id, None))) if may("signer") else by.key_id
    header, claims = by.header(typ=TYPES[made], kid=named), claims_of(made)
    if may("header"):
        header = draw(_changed(header, header=True))
    if may("claims"):
        claims = draw(_changed(claims, header=False))
    written = [json.dumps(each).encode() for each in (header, claims)]
    if may("written"):
        written = [draw(_written(each)) for each in (header, claims)]
    token = by.sign(written[0], written[1])
    return shown, draw(_bent(token)) if may("bent") else token
