"""Key sets that are nearly right: good keys stay, and none is taken that a library refuses."""

from __future__ import annotations

import json
from typing import Any

import jwt
from hypothesis import given, seed
from hypothesis import strategies as st
from joserfc.jwk import JWKRegistry

from syncd.errors import ProviderUnavailable
from syncd.oidc.keys import Key, KeySet
from tests import soak
from tests.minting import encoded
from tests.unit.oidc.mutation import ANYTHING, EXAMPLES, KEYS, LONG_ENOUGH, OURS
from tests.unit.oidc.oracles import ALLOWED, Seen

# What a library is shown of a key: it looks at others too that are not used here.
USED = {"kty", "crv", "x", "y", "n", "e", "alg", "use"}
PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth")
GOOD = OURS[0].jwk()
BAD_MEMBERS = st.sampled_from(
    ("", "sig", "enc", "ES256", "ES384", "RS256", "none", "P-256", "P-384", "RSA", "EC", "oct",
     "Ed25519", "Ed448", "AQ", "Aw", "AQAB", "AAAA", "=", "k-es", "other")
)  # fmt: skip


@st.composite
def neighbours(draw: st.DrawFn) -> object:
    """Draw something that stands beside a good key in a set."""
    if draw(st.integers(0, 5)) == 0:
        return draw(ANYTHING)
    jwk = dict(draw(st.sampled_from(KEYS[1:])))
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from((*jwk, "use", "key_ops", "alg", "kid", "d", "k", "e", "x5c")))
        jwk[name] = draw(st.one_of(BAD_MEMBERS, BAD_MEMBERS, ANYTHING))
        if draw(st.integers(0, 3)) == 0:
            del jwk[name]
    return jwk


@LONG_ENOUGH
@EXAMPLES
@seed(soak.SEED)
@given(st.lists(neighbours(), max_size=3))
def test_a_good_key_is_found_whatever_stands_beside_it(others: list[object]) -> None:
    """No neighbour crashes the set or hides a good key, and what is taken a library takes too."""
    body = json.dumps({"keys": [*others, GOOD]}).encode("utf-8", "surrogatepass")
    shown = any(
        isinstance(each, dict) and any(each.get(name) is not None for name in PRIVATE)
        for each in others
    )
    try:
        found = KeySet.parse(body)
    except ProviderUnavailable:
        assert shown or Seen(f"{encoded(body)}.{encoded(b'{}')}.").odd_text or _infinite(body)
        return
    assert not shown
    assert len(found) + len(found.ignored) == len(others) + 1
    names = ["k-es", *(each.get("kid") for each in others if isinstance(each, dict))]
    good = found.find("k-es", "ES256")
    assert names.count("k-es") > 1 or (isinstance(good, Key) and good.key_id == "k-es")
    for each in others:
        if isinstance(each, dict) and names.count(each.get("kid")) == 1:
            _compare(each, found)


def _infinite(body: bytes) -> bool:
    return any(sign in body for sign in (b"NaN", b"Infinity"))


def _compare(jwk: dict[str, Any], found: KeySet) -> None:
    """Ask both libraries for a key that was taken; they take it, for the same algorithm."""
    for algorithm in ALLOWED:
        key = found.find(jwk.get("kid"), algorithm) if isinstance(jwk.get("kid"), str) else None
        if not isinstance(key, Key):
            continue
        assert jwk.get("use", "sig") == "sig"
        assert "verify" in jwk.get("key_ops", ["verify"])
        if jwk.get("alg", algorithm) == algorithm:
            known = {name: value for name, value in jwk.items() if name in USED}
            assert JWKRegistry.import_key(known).as_dict()["kty"] == jwk["kty"]
            assert jwt.PyJWK(known, algorithm).algorithm_name == algorithm
