"""What counts of a provider's published keys (RFC 7517, RFC 7518 section 6)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from syncd.oidc.failure import Cause, FetchFailed
from syncd.oidc.keys import LARGEST_RSA_EXPONENT, MOST_KEYS, Key, KeySet
from syncd.oidc.outcome import Reason, Refusal
from tests.minting import claims, encoded, json_bytes, key_set, signer
from tests.unit.oidc.judging import SECRET, TAKEN, id_verdict, options, validator

RS256 = signer()
GOOD = RS256.jwk()
FIELD = 2**255 - 19


def octets(number: int, size: int | None = None) -> str:
    """Return a number as JWKs have it."""
    return encoded(number.to_bytes(size or (number.bit_length() + 7) // 8, "big"))


def reason(found: Key | Refusal) -> Reason | str:
    """Return why a key was not found, or that it was."""
    return found.reason if isinstance(found, Refusal) else TAKEN


def test_each_kind() -> None:
    """A key verifies the algorithms of its kind, or the one that it is for."""
    jwks = {name: signer(name, name).jwk() for name in ("RS256", "ES256", "ES384", "ES512")}
    jwks["any"] = signer("RS256", "any").jwk(alg=None, use=None)
    jwks["EdDSA"] = signer("EdDSA", "EdDSA").jwk(alg=None)
    keys = KeySet.parse(key_set(*jwks.values()))
    assert (len(keys), keys.ignored) == (6, ())
    found = {
        (kid, alg): reason(keys.find(kid, alg))
        for kid in jwks
        for alg in ("RS256", "RS512", "PS384", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
    }
    assert {pair for pair, said in found.items() if said == TAKEN} == {
        *((name, name) for name in ("RS256", "ES256", "ES384", "ES512", "EdDSA")),
        *(("any", alg) for alg in ("RS256", "RS512", "PS384")),
        ("EdDSA", "Ed25519"),
    }
    assert set(found.values()) == {TAKEN, Reason.KEY_UNSUITABLE}


def test_a_key_that_is_not_there() -> None:
    """A key id that the set has not is unknown, so that a newer set may have it."""
    keys = KeySet.parse(key_set(GOOD))
    assert reason(keys.find("k2", "RS256")) is Reason.KEY_UNKNOWN
    assert reason(keys.find("k1", "ES256")) is Reason.KEY_UNSUITABLE
    assert reason(keys.find(None, "ES256")) is Reason.KEY_UNKNOWN
    nameless = KeySet.parse(key_set(RS256.jwk(kid=None)))
    assert reason(nameless.find("k1", "RS256")) is Reason.KEY_UNKNOWN


@pytest.mark.rule("KS1", server="pure")
def test_a_key_without_a_name() -> None:
    """A key without a name verifies a token that names none."""
    judge = validator(RS256.jwk(kid=None))
    assert id_verdict(RS256.token(claims(), kid=None), judge) == TAKEN
    assert id_verdict(RS256.token(claims()), judge) is Reason.KEY_UNKNOWN


@pytest.mark.rule("KS2", server="pure")
def test_keys_that_are_tried() -> None:
    """For a token that names no key up to five that fit are tried, whatever they are called."""
    five = [signer("RS256", f"t{number}") for number in range(5)]
    others = [signer("ES256", f"e{number}").jwk() for number in range(3)]
    token = five[4].token(claims(), kid=None)
    judge = validator(*[each.jwk() for each in five], *others)
    assert id_verdict(token, judge) == TAKEN
    assert id_verdict(signer("RS256", "stranger").token(claims(), kid=None), judge) is (
        Reason.BAD_SIGNATURE
    )
    crowded = validator(*[each.jwk() for each in five], RS256.jwk())
    assert id_verdict(token, crowded) is Reason.KEY_UNSUITABLE
    named = five[4].token(claims())
    assert id_verdict(named, crowded) == TAKEN


@pytest.mark.rule("KS4", server="pure")
@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("RS256", {}, Reason.KEY_UNSUITABLE),
        ("RS256", {"alg": None}, Reason.KEY_UNSUITABLE),
        ("itself", {}, Reason.KEY_UNSUITABLE),
        ("RS256", {"alg": "RS512"}, TAKEN),
        ("RS256", {"use": "enc"}, TAKEN),
        ("ES256", {}, TAKEN),
        ("RS256", {"kid": "K1"}, TAKEN),
    ],
    ids=str,
)
def test_names_that_stand_twice(kind: str, changes: dict[str, Any], expected: str) -> None:
    """Two keys of one name are used where what they are for tells them apart."""
    other = GOOD if kind == "itself" else signer(kind, "twin").jwk(**{"kid": "k1"} | changes)
    for jwks in ((GOOD, other), (other, GOOD)):
        assert id_verdict(RS256.token(claims()), validator(*jwks)) == expected


PURPOSES: dict[str, dict[str, object]] = {
    "use=enc": {"use": "enc"},
    "use in capitals": {"use": "SIG"},
    "use that is none": {"use": 5},
    "key_ops=encrypt": {"use": None, "key_ops": ["encrypt"]},
    "key_ops=sign": {"use": None, "key_ops": ["sign"]},
    "key_ops beside use": {"key_ops": ["wrapKey"]},
    "no key_ops": {"key_ops": []},
    "key_ops as text": {"key_ops": "verify"},
    "key_ops twice": {"key_ops": ["verify", "verify"]},
    "alg=RSA-OAEP": {"alg": "RSA-OAEP"},
    "alg=HS256": {"alg": "HS256"},
    "alg=none": {"alg": "none"},
    "alg that is none": {"alg": ["RS256"]},
    "kid that is none": {"kid": 5},
}


@pytest.mark.rule("KS5", server="pure")
@pytest.mark.parametrize("changes", PURPOSES.values(), ids=PURPOSES)
def test_keys_for_something_else(changes: dict[str, object]) -> None:
    """A key that is not for verifying is left out, with a sentence, and the others stay."""
    keys = KeySet.parse(key_set(GOOD | {"kid": "k2"} | changes, GOOD))
    assert len(keys) == 1
    [sentence] = keys.ignored
    assert "is not used: it " in sentence
    assert reason(keys.find("k1", "RS256")) == TAKEN
    assert reason(keys.find(None, "RS256")) == TAKEN
    if "kid" not in changes:
        assert reason(keys.find("k2", "RS256")) is Reason.KEY_UNSUITABLE


def test_keys_for_verifying() -> None:
    """A key may say that it is for verifying in both ways, and that it is for more."""
    for more in ({"key_ops": ["verify"]}, {"use": None, "key_ops": ["sign", "verify", "x"]}):
        keys = KeySet.parse(key_set(RS256.jwk(**more)))
        assert (len(keys), keys.ignored) == (1, ())


def small_points() -> list[int]:
    """Return the y of Ed25519's points whose eightfold is nothing, with forms beyond the field."""
    d = -121665 * pow(121666, -1, FIELD) % FIELD
    # d*y^4 + 2*y^2 - 1 = 0: y^2 = (-1 +- sqrt(1 + d)) / d, of which one has roots.
    found = [0, 1, FIELD - 1, FIELD, FIELD + 1]
    for root in roots(1 + d):
        found += roots((root - 1) * pow(d, -1, FIELD))
    return found


def roots(square: int) -> list[int]:
    """Return the square roots in the field, if there are any."""
    root = pow(square, (FIELD + 3) // 8, FIELD)
    for candidate in (root, root * pow(2, (FIELD - 1) // 4, FIELD) % FIELD):
        if candidate * candidate % FIELD == square % FIELD:
            return [candidate, FIELD - candidate]
    return []


def weak_keys() -> dict[str, dict[str, Any]]:
    """Return keys that nobody should believe."""
    small, large = signer("RS256", "small", 1024), signer("RS256", "large", 2047)
    modulus = RS256.private.public_key().public_numbers().n
    point = signer("ES256", "k2").private.public_key().public_numbers()
    curve: dict[str, Any] = signer("ES256", "k2").jwk()
    edwards = signer("EdDSA", "k2").jwk()
    k256 = ec.generate_private_key(ec.SECP256K1()).public_key().public_numbers()
    found = {
        "RSA 1024": small.jwk(),
        "RSA 2047": large.jwk(),
        "RSA 2040 with zeros": GOOD | {"n": octets(modulus >> 8 | 1, 256)},
        "RSA 8200": GOOD | {"n": octets(1 << 8199 | 1)},
        "RSA even": GOOD | {"n": octets(modulus - 1)},
        "RSA without n": GOOD | {"n": None},
        "RSA n number": GOOD | {"n": 5},
        "RSA n padded": GOOD | {"n": f"{GOOD['n']}=="},
        "RSA n empty": GOOD | {"n": ""},
        "EC off curve": curve | {"y": octets(point.y ^ 1, 32)},
        "EC zero": curve | {"x": octets(0, 32), "y": octets(0, 32)},
        "EC beyond the field": curve | {"x": encoded(b"\xff" * 32)},
        "EC short": curve | {"x": encoded(b"\x01" * 31)},
        "EC long": curve | {"x": octets(point.x, 33)},
        "EC other curve": curve | {"crv": "P-384"},
        "EC secp256k1": curve
        | {"crv": "secp256k1", "x": octets(k256.x, 32), "y": octets(k256.y, 32)},
        "EC no curve": curve | {"crv": ["P-256"]},
        "Ed25519 short": edwards | {"x": encoded(b"\x05" * 31)},
        "Ed448": edwards | {"crv": "Ed448", "x": encoded(b"\x05" * 57)},
        "X25519": edwards | {"crv": "X25519"},
        "kty of nothing": {"kty": "none", "kid": "k2"},
        "kty missing": {"kid": "k2"},
        "kty in small letters": GOOD | {"kty": "rsa"},
        "certificate alone": {"kty": "RSA", "x5c": ["MIIB"], "kid": "k2"},
    }
    for exponent in (0, 1, 2, 65536, LARGEST_RSA_EXPONENT + 1, modulus):
        found[f"RSA e={str(exponent)[:12]}"] = GOOD | {"e": octets(exponent, 256)}
    for y in small_points():
        for sign in (0, 1 << 255):
            raw = (y | sign).to_bytes(32, "little")
            found[f"Ed25519 {raw.hex()}"] = edwards | {"x": encoded(raw)}
    return {name: jwk | {"kid": "k2"} for name, jwk in found.items()}


@pytest.mark.rule("KS6", server="pure")
def test_weak_keys() -> None:
    """A key that is too short, too large to be cheap, or no key at all is left out."""
    assert len(small_points()) == 7
    for name, jwk in weak_keys().items():
        keys = KeySet.parse(key_set(jwk, GOOD))
        assert len(keys) == 1, name
        assert len(keys.ignored) == 1, name
        assert "is not used: it " in keys.ignored[0]
        assert reason(keys.find("k2", jwk.get("alg", "RS256"))) is Reason.KEY_UNSUITABLE, name
        assert reason(keys.find("k1", "RS256")) == TAKEN, name


def test_unusual_keys() -> None:
    """A key with a small exponent, a zero byte before its modulus or members of others is a key."""
    modulus = RS256.private.public_key().public_numbers().n
    for jwk in (
        GOOD | {"e": octets(3)},
        GOOD | {"n": octets(modulus, 257)},
        GOOD | {"x5c": ["MIIB"], "x5t": 5, "issuer": "x", "nbf": 1, "d": None},
        signer("RS256", "k3072", 3072).jwk(),
    ):
        keys = KeySet.parse(key_set(jwk))
        assert (len(keys), keys.ignored) == (1, ())


@pytest.mark.rule("KS7", server="pure")
@pytest.mark.parametrize(
    ("kind", "member"),
    [
        *(("RS256", member) for member in ("d", "p", "q", "dp", "dq", "qi", "oth")),
        ("ES256", "d"),
        ("EdDSA", "d"),
    ],
)
def test_private_keys(kind: str, member: str) -> None:
    """A set that shows a private key is refused whole, and its message does not show it."""
    shown = signer(kind, "k2").jwk(**{member: "c2VjcmV0"})
    with pytest.raises(FetchFailed, match="publishes the private part of key") as failed:
        KeySet.parse(key_set(signer("ES384", "k3").jwk(), shown))
    assert failed.value.reason is Cause.EXPOSED
    assert "c2VjcmV0" not in str(failed.value)


@pytest.mark.rule("KS7", server="pure")
def test_private_keys_that_stand_twice() -> None:
    """A private part is seen behind a second member of its name, and one that is null is none."""
    shown = json_bytes(GOOD).replace(b'"kty"', b'"d":"c2VjcmV0","d":null,"kty"')
    with pytest.raises(FetchFailed, match="publishes the private part"):
        KeySet.parse(b'{"keys":[%b]}' % shown)
    assert len(KeySet.parse(b'{"keys":[%b]}' % json_bytes(GOOD | {"d": None}))) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>503</html>",
        b"[]",
        b"null",
        b'"keys"',
        b"{}",
        b'{"keys":{}}',
        b'{"keys":null}',
        b'{"keys":"k1"}',
        b'{"keys":[],"keys":[]}',
        b'{"keys":[NaN]}',
        b'{"keys":' + b"[" * 100 + b"]" * 100 + b"}",
        b'{"keys":[' + b"{}," * MOST_KEYS + b"{}]}",
        b'{"keys":[]}'.decode().encode("utf-16"),
        json_bytes(GOOD),
    ],
    ids=map(str, itertools.count()),
)
def test_sets_that_are_none(body: bytes) -> None:
    """What is no set of keys is refused, with the next step."""
    with pytest.raises(
        FetchFailed, match="check that jwks_url is the provider's JWKS URL"
    ) as failed:
        KeySet.parse(body)
    assert failed.value.reason is Cause.UNUSABLE


def test_members_that_are_no_keys() -> None:
    """Whatever else stands among the keys is left out, each with a sentence."""
    twice = json_bytes(GOOD | {"kid": "k2"}).replace(b'"kty"', b'"alg":"RS256","kty"')
    body = b'{"other":1,"keys":[null,5,"k1",[],%b,%b]}' % (twice, json_bytes(GOOD))
    keys = KeySet.parse(body)
    assert (len(keys), len(keys.ignored)) == (1, 5)
    assert reason(keys.find("k2", "RS256")) is Reason.KEY_UNSUITABLE
    empty = KeySet.parse(b'{"keys":[]}')
    assert (len(empty), reason(empty.find(None, "RS256"))) == (0, Reason.KEY_UNKNOWN)


def test_strangers_words_are_cut() -> None:
    """What a set says stands in sentences on one line, cut and escaped."""
    rude = "\n\x1b[31m" + "x" * 1000 + "é"
    keys = KeySet.parse(key_set(GOOD | {"kid": rude, "use": rude}, {"kty": rude}))
    for sentence in keys.ignored:
        assert len(sentence) < 300
        assert sentence.isascii() or "…" in sentence
        assert sentence.isprintable()
    assert "\\u001b" in keys.ignored[0]


def test_large_sets_are_read_in_linear_time() -> None:
    """A set as large as one may be is read without a cost that grows with its square."""
    many = [{"kid": "k1", "key_ops": list(range(60_000))}, GOOD]
    assert len(KeySet.parse(key_set(*many))) == 1
    assert len(KeySet.parse(key_set(*[GOOD] * 900))) == 900


def test_secrets_are_not_shown() -> None:
    """A key that is written somewhere says what it is, and not itself."""
    found = KeySet.parse(key_set(GOOD)).find("k1", "RS256")
    assert isinstance(found, Key)
    assert "candidates" not in repr(found)
    assert "RSA, 2048 bits" in repr(found)


def test_the_client_secret_is_not_shown() -> None:
    """Options end up in tracebacks and logs, and with a symmetric key they are what signs."""
    assert SECRET in options().client_secret
    assert SECRET not in repr(options())
