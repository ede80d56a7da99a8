"""What a token is and who signed it (RFC 7515, RFC 7519, RFC 8725)."""

from __future__ import annotations

import itertools
import json
import socket
from base64 import b64encode, urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms

from syncd.oidc.compact import peek
from syncd.oidc.options import LARGEST_TOKEN_BYTES
from syncd.oidc.outcome import Reason
from syncd.oidc.signature import ALGORITHMS
from tests.minting import CLIENT, ISSUER, Signer, claims, encoded, json_bytes, signer
from tests.unit.oidc.judging import SECRET, TAKEN, id_verdict, validator

RS256 = signer()
TOKEN = RS256.token(claims())
HEADER, PAYLOAD, SIGNATURE = TOKEN.split(".")
ALL = frozenset(ALGORITHMS)


@pytest.mark.rule("J1", server="pure")
@pytest.mark.parametrize("name", ["none", "None", "nOnE", "NONE", "", None, 5, ["RS256"]], ids=str)
def test_no_algorithm(name: object) -> None:
    """A token without a signature is refused, even where a configuration names `none`."""
    judge = validator(allowed_algorithms=frozenset({"RS256", "none", "None", ""}))
    for signature in (b"", b"anything"):
        token = Signer("HS256", None, b"x").token(claims(), alg=name).rsplit(".", 1)[0]
        unsigned = f"{token}.{encoded(signature)}"
        assert id_verdict(unsigned, judge) is Reason.ALGORITHM_NOT_ALLOWED


def test_an_empty_signature() -> None:
    """An empty signature is no signature of a key."""
    assert id_verdict(f"{HEADER}.{PAYLOAD}.") is Reason.BAD_SIGNATURE


@pytest.mark.rule("J2", server="pure")
@pytest.mark.parametrize("name", ["HS256", "HS384", "HS512"])
def test_the_client_secret_as_a_key(name: str) -> None:
    """The client secret signs nothing where keys are configured, whatever kid it is under."""
    for kid in (None, "k1"):
        token = Signer(name, kid, SECRET.encode()).token(claims())
        assert id_verdict(token) is Reason.ALGORITHM_NOT_ALLOWED


@pytest.mark.rule("J3", server="pure")
@pytest.mark.parametrize("written", ["pem", "pkcs1", "der", "jwk", "ssh"])
def test_the_public_key_as_a_secret(written: str) -> None:
    """A token signed with the public key's text is refused, with HS256 configured or not."""
    public = RS256.private.public_key()
    spki = PublicFormat.SubjectPublicKeyInfo
    secret: bytes = {
        "pem": public.public_bytes(Encoding.PEM, spki),
        "pkcs1": public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        "der": public.public_bytes(Encoding.DER, spki),
        "jwk": json_bytes(RS256.jwk()),
        "ssh": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
    }[written]
    token = Signer("HS256", "k1", secret).token(claims())
    assert id_verdict(token) is Reason.ALGORITHM_NOT_ALLOWED
    allowing = validator(allowed_algorithms=frozenset({"RS256", "HS256"}))
    assert id_verdict(token, allowing) is Reason.BAD_SIGNATURE


@pytest.mark.rule("J4", server="pure")
@pytest.mark.parametrize(("name", "octets"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_shared_secrets(name: str, octets: int) -> None:
    """The client secret signs where that is configured and it is as long as the hash."""
    allowed = frozenset({name})
    for length, expected in ((octets, TAKEN), (octets - 1, Reason.KEY_UNSUITABLE)):
        # A letter of two bytes: what counts are bytes.
        secret = "é" + "s" * (length - 2)
        judge = validator(client_secret=secret, allowed_algorithms=allowed)
        for kid in (None, "any name"):
            token = Signer(name, kid, secret.encode()).token(claims())
            assert id_verdict(token, judge) == expected
    assert id_verdict(TOKEN, validator(allowed_algorithms=allowed)) is Reason.ALGORITHM_NOT_ALLOWED


@pytest.mark.rule("J4", server="pure")
def test_secrets_that_are_published() -> None:
    """A secret that stands in the provider's set signs nothing."""
    published = b"a secret that everybody can read, of many bytes"
    jwk = {"kty": "oct", "kid": "k2", "alg": "HS256", "k": encoded(published)}
    judge = validator(RS256.jwk(), jwk, allowed_algorithms=frozenset({"RS256", "HS256"}))
    token = Signer("HS256", "k2", published).token(claims())
    assert id_verdict(token, judge) is Reason.BAD_SIGNATURE
    assert id_verdict(TOKEN, judge) == TAKEN


@pytest.mark.rule("J5", server="pure")
@pytest.mark.parametrize("name", ["RS384", "RS512", "PS256", "ES384", "EdDSA", "Ed25519"])
def test_algorithms_that_are_not_configured(name: str) -> None:
    """An algorithm that is not configured is refused, though its signature be right."""
    key = signer("EdDSA" if name == "Ed25519" else name, "k2")
    token = key.token(claims(), alg=name)
    judge = validator(RS256.jwk(), key.jwk(alg=None))
    assert id_verdict(token, judge) is Reason.ALGORITHM_NOT_ALLOWED
    allowing = validator(RS256.jwk(), key.jwk(alg=None), allowed_algorithms=frozenset({name}))
    assert id_verdict(token, allowing) == TAKEN


@pytest.mark.rule("J5", server="pure")
@pytest.mark.parametrize(
    "name", ["rs256", "Rs256", "RS256 ", "RS256\u0000", "\uff32S256"], ids=ascii
)
def test_algorithms_in_other_letters(name: str) -> None:
    """The name of an algorithm is compared as it stands."""
    judge = validator(allowed_algorithms=ALL | {name})
    assert id_verdict(RS256.token(claims(), alg=name), judge) is Reason.ALGORITHM_NOT_ALLOWED


@pytest.mark.rule("J6", server="pure")
@pytest.mark.parametrize(
    ("kind", "jwk_alg", "alg"),
    [
        ("ES384", None, "ES256"),
        ("ES256", None, "RS256"),
        ("RS256", None, "ES256"),
        ("RS256", "PS256", "RS256"),
        ("RS256", "RS512", "RS256"),
        ("EdDSA", "EdDSA", "Ed25519"),
    ],
)
def test_keys_for_something_else(kind: str, jwk_alg: str | None, alg: str) -> None:
    """A key verifies what its kind, its curve and its own alg are for, and nothing else."""
    key = signer(kind, "k2")
    judge = validator(RS256.jwk(), key.jwk(alg=jwk_alg), allowed_algorithms=ALL)
    assert id_verdict(key.token(claims(), alg=alg), judge) is Reason.KEY_UNSUITABLE


@pytest.mark.rule("J7", server="pure")
@pytest.mark.parametrize("name", ["RS256", "PS256", "ES256", "ES512", "EdDSA"])
def test_changed_bits(name: str) -> None:
    """No token passes of which one bit was changed, in any of its parts."""
    key = signer(name, "k1")
    judge = validator(key.jwk(), allowed_algorithms=frozenset({name}))
    token = key.token(claims())
    assert id_verdict(token, judge) == TAKEN
    octets = token.encode()
    for place in range(0, len(octets), 7):
        for bit in (0, 1, 5):
            changed = bytearray(octets)
            changed[place] ^= 1 << bit
            assert id_verdict(changed.decode("latin-1"), judge) != TAKEN, (place, bit)


@pytest.mark.parametrize("name", ["RS256", "PS256", "ES256", "EdDSA"])
def test_signatures_of_other_lengths(name: str) -> None:
    """A signature that is cut, longer, of zeros or written as DER is refused."""
    key = signer(name, "k1")
    judge = validator(key.jwk(), allowed_algorithms=frozenset({name}))
    signing_input = key.token(claims()).rpartition(".")[0]
    made = key.signature(signing_input)
    octets = [made[:-1], made + b"\0", b"\0" + made, bytes(len(made)), b"\xff" * len(made), b"\0"]
    if name == "ES256":
        octets.append(
            encode_dss_signature(int.from_bytes(made[:32], "big"), int.from_bytes(made[32:], "big"))
        )
    for each in octets:
        assert id_verdict(f"{signing_input}.{encoded(each)}", judge) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize(("name", "octets"), [("ES256", 32), ("ES384", 48), ("ES512", 66)])
def test_signatures_of_curves(name: str, octets: int) -> None:
    """A pair of numbers is the signature that PyJWT takes it for, at the edges of the curve too."""
    key = signer(name, "k1")
    public = key.private.public_key()
    judge = validator(key.jwk(), allowed_algorithms=frozenset({name}))
    signing_input = key.token(claims()).rpartition(".")[0]
    made = key.signature(signing_input)
    r, s = made[:octets], made[octets:]
    edges = [bytes(octets), b"\xff" * octets, b"\x01".rjust(octets, b"\0"), r, s]
    for first in edges:
        for second in edges:
            plain = get_default_algorithms()[name]
            theirs = plain.verify(signing_input.encode(), public, first + second)
            found = id_verdict(f"{signing_input}.{encoded(first + second)}", judge)
            assert found == (TAKEN if theirs else Reason.BAD_SIGNATURE)
            assert theirs == (first + second == made)


@pytest.mark.rule("J8", server="pure")
@pytest.mark.parametrize("kid", ["k1", "attacker", None])
def test_keys_in_the_header(kid: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that a token brings along, or points to, is not looked at and nowhere gone to."""
    attacker = signer("RS256", "attacker")
    header = {
        "kid": kid,
        "jwk": attacker.jwk(),
        "jku": "https://attacker.example.com/jwks",
        "x5u": "https://attacker.example.com/x5u",
        "x5c": [b64encode(b"certificate").decode()],
        "x5t": "thumbprint",
    }
    token = attacker.token(claims(), **header)
    honest = RS256.token(claims(), **header | {"kid": "k1"})
    judge = validator()

    def connect(*_: object) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", connect)
    assert id_verdict(token, judge) in {Reason.BAD_SIGNATURE, Reason.KEY_UNKNOWN}
    assert id_verdict(honest, judge) == TAKEN


@pytest.mark.rule("J9", server="pure")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Reason.MALFORMED),
        (".", Reason.MALFORMED),
        ("..", Reason.MALFORMED),
        (f"{HEADER}.{PAYLOAD}", Reason.MALFORMED),
        (f"{TOKEN}.{SIGNATURE}", Reason.MALFORMED),
        (f"{TOKEN}.", Reason.MALFORMED),
        (f".{PAYLOAD}.{SIGNATURE}", Reason.MALFORMED),
        (f"{HEADER}..{SIGNATURE}", Reason.MALFORMED),
        (f"{TOKEN}.{PAYLOAD}.{SIGNATURE}", Reason.ENCRYPTED),
        (f"{TOKEN}.a.b.c", Reason.MALFORMED),
        ("....", Reason.ENCRYPTED),
        (
            json.dumps({"payload": PAYLOAD, "protected": HEADER, "signature": SIGNATURE}),
            Reason.MALFORMED,
        ),
        (f"Bearer {TOKEN}", Reason.MALFORMED),
        (f"{TOKEN}\n", Reason.MALFORMED),
        (f" {TOKEN}", Reason.MALFORMED),
        (f"{TOKEN}=", Reason.MALFORMED),
        (f"{HEADER}=.{PAYLOAD}.{SIGNATURE}", Reason.MALFORMED),
        (f"{HEADER}.{PAYLOAD[:-1]}é.{SIGNATURE}", Reason.MALFORMED),
        (f"{HEADER}.{PAYLOAD[:-1]}\ud800.{SIGNATURE}", Reason.MALFORMED),
        (f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-2]}+/", Reason.MALFORMED),
    ],
    # The tokens are made with keys of this process.
    ids=map(str, itertools.count()),
)
def test_forms(text: str, expected: Reason) -> None:
    """A token is three parts in one way of writing them, and nothing around them."""
    assert id_verdict(text) is expected
    assert peek(text) is None or expected is not Reason.ENCRYPTED


def test_bits_that_no_byte_has() -> None:
    """A last letter that stands for the same bytes as another one is not taken for it."""
    signing_input, _, signature = TOKEN.rpartition(".")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = letters[letters.index(signature[-1]) + 1]
    assert len(signature) % 4 == 2
    assert id_verdict(f"{signing_input}.{signature[:-1]}{twin}") is Reason.MALFORMED


@pytest.mark.rule("J10", server="pure")
def test_sizes() -> None:
    """A token beyond the size is refused as such, one below it is read."""
    padding = LARGEST_TOKEN_BYTES * 3 // 4 - 700
    inside = RS256.token(claims(padding="x" * padding))
    assert len(inside) <= LARGEST_TOKEN_BYTES
    assert id_verdict(inside) == TAKEN
    for beyond in (
        inside + "A" * (LARGEST_TOKEN_BYTES + 1 - len(inside)),
        "." * 10_000_000,
        "é" * (LARGEST_TOKEN_BYTES + 1),
    ):
        assert id_verdict(beyond) is Reason.TOO_LARGE
        assert peek(beyond) is None


@pytest.mark.rule("J10", server="pure")
@pytest.mark.parametrize(
    "claim",
    [
        "[" * 10_000 + "]" * 10_000,
        '{"a":' * 3_000 + "1" + "}" * 3_000,
        "[" * 10_000,
        "[" * 32 + "]" * 32,
        '["]",' * 40 + "[" * 20,
        "{" + ",".join(f'"{number}":1' for number in range(2_100)) + "}",
    ],
    ids=["lists", "objects", "open", "33 levels", "brackets in texts", "members"],
)
def test_deep_and_rich_json(claim: str) -> None:
    """JSON that nests deep or has thousands of members is refused, as header and as payload."""
    body = f'{{"iss":"{ISSUER}","aud":"{CLIENT}","deep":{claim}}}'.encode()
    assert id_verdict(RS256.sign(b'{"alg":"RS256"}', body)) is Reason.MALFORMED
    assert id_verdict(RS256.sign(body, json_bytes(claims()))) is Reason.MALFORMED


def test_brackets_in_texts() -> None:
    """Texts may have any number of brackets and colons in them."""
    assert id_verdict(RS256.token(claims(name='[{"\\:' * 1000, urls=["a:b"] * 2000))) == TAKEN


@pytest.mark.rule("J11", server="pure")
@pytest.mark.parametrize(
    ("kid", "expected"),
    [
        (5, Reason.BAD_KEY_ID),
        (["k1"], Reason.BAD_KEY_ID),
        ({"k1": "k1"}, Reason.BAD_KEY_ID),
        (True, Reason.BAD_KEY_ID),
        ("k" * 10_240, Reason.BAD_KEY_ID),
        ("k" * 513, Reason.BAD_KEY_ID),
        ("k" * 512, Reason.KEY_UNKNOWN),
        ("", Reason.KEY_UNKNOWN),
        ("K1", Reason.KEY_UNKNOWN),
        ("k1 ", Reason.KEY_UNKNOWN),
        ("k1\u0000", Reason.KEY_UNKNOWN),
        ("../../x' OR 1=1", Reason.KEY_UNKNOWN),
        ("file:///dev/null", Reason.KEY_UNKNOWN),
        ("\u212a1", Reason.KEY_UNKNOWN),
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_key_ids(kid: object, expected: Reason) -> None:
    """A key id is a text of bounded length that is compared as it stands."""
    assert id_verdict(RS256.token(claims(), kid=kid)) is expected


def test_a_key_id_that_is_null() -> None:
    """A key id that is null is no text, and not a missing one."""
    token = RS256.sign(b'{"alg":"RS256","kid":null}', json_bytes(claims()))
    assert id_verdict(token) is Reason.BAD_KEY_ID


@pytest.mark.rule("J12", server="pure")
@pytest.mark.parametrize(
    "name",
    [
        b"\xff",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\\ud800",
        b"\\udc00\\ud800",
        b"\n",
        b"\x00",
        b"\\x41",
    ],
    ids=ascii,
)
def test_claims_that_are_no_text(name: bytes) -> None:
    """Claims that are not UTF-8, or halves of a character, are refused."""
    payload = json_bytes(claims(name="NAME")).replace(b"NAME", name)
    assert id_verdict(RS256.sign(b'{"alg":"RS256","kid":"k1"}', payload)) is Reason.MALFORMED


@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_other_charsets(charset: str) -> None:
    """JSON in another charset, or with a byte order mark, is refused."""
    payload = json.dumps(claims()).encode(charset)
    assert id_verdict(RS256.sign(b'{"alg":"RS256","kid":"k1"}', payload)) is Reason.MALFORMED


def test_characters_of_all_scripts() -> None:
    """Characters beyond the first plane pass, as UTF-8 and escaped."""
    for written in ("😀".encode(), b"\\ud83d\\ude00", b"\\u00e9"):
        payload = json_bytes(claims(name="NAME")).replace(b"NAME", written)
        assert id_verdict(RS256.sign(b'{"alg":"RS256","kid":"k1"}', payload)) == TAKEN


@pytest.mark.parametrize(
    "payload", [b"[]", b'"text"', b"1", b"null", b"", b"{}{}", b'{"iss":1}x', b"{'iss':1}", b"{,}"]
)
def test_payloads_that_are_no_object(payload: bytes) -> None:
    """A payload is one JSON object."""
    assert id_verdict(RS256.sign(b'{"alg":"RS256","kid":"k1"}', payload)) is Reason.MALFORMED


def test_members_that_stand_twice() -> None:
    """A member that stands twice is refused, in header and payload, at any depth."""
    header, plain = b'{"alg":"RS256","kid":"k1"}', json_bytes(claims())
    for twice in (
        b'"sub":"root",',
        b'"\\u0073ub":"root",',
        b'"address":{"a":1,"a":1},',
        b'"list":[{"b":null,"b":null}],',
    ):
        token = RS256.sign(header, b"{" + twice + plain[1:])
        assert id_verdict(token) is Reason.DUPLICATE_MEMBER
    token = RS256.sign(b'{"alg":"none","alg":"RS256","kid":"k1"}', plain)
    assert id_verdict(token) is Reason.DUPLICATE_MEMBER


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("JWT", TAKEN),
        ("jwt", TAKEN),
        ("application/JWT", TAKEN),
        (None, TAKEN),
        ("at+jwt", Reason.WRONG_TYPE),
        ("application/at+jwt", Reason.WRONG_TYPE),
        ("logout+jwt", Reason.WRONG_TYPE),
        ("dpop+jwt", Reason.WRONG_TYPE),
        ("application/application/jwt", Reason.WRONG_TYPE),
        ("", Reason.WRONG_TYPE),
        (5, Reason.WRONG_TYPE),
        (["JWT"], Reason.WRONG_TYPE),
    ],
    ids=str,
)
def test_types(kind: object, expected: str) -> None:
    """An ID token that says that it is another kind of token is refused."""
    assert id_verdict(RS256.token(claims(), typ=kind)) == expected


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"crit": ["exp"], "exp": 1},
        {"crit": "exp"},
        {"crit": {}},
        {"b64": True},
        {"b64": False},
    ],
    ids=str,
)
def test_critical_extensions(header: dict[str, object]) -> None:
    """An extension that has to be understood is not, so the token is refused."""
    assert id_verdict(RS256.token(claims(), **header)) is Reason.CRITICAL_EXTENSION


def test_peek() -> None:
    """Whose a token says that it is can be seen without its signature, and only of such a form."""
    assert peek(TOKEN) == (ISSUER, CLIENT)
    assert peek(f"{HEADER}.{PAYLOAD}.AAAA") == (ISSUER, CLIENT)
    assert peek(f"{HEADER}.{encoded(b'{}')}.AAAA") == (None, None)
    for text in ("", "a.b", "a.b.c.d.e", f"{HEADER}.{encoded(b'[]')}.AAAA"):
        assert peek(text) is None
    padded = urlsafe_b64encode(json_bytes(claims(a=1))).decode()
    assert padded.endswith("=")
    assert peek(f"{HEADER}.{padded}.AAAA") is None
