"""A provider's keys: what its JWK set holds that can verify tokens (RFC 7517, RFC 7518 section 6).

Pure: from the bytes of a set to keys that are ready to verify. A key that is weak, broken or meant
for something else is ignored with a sentence, and the others stay; a set that shows a private key
is refused whole, since whoever read it can sign.

Bounds of our own: RSA from 2048 to 8192 bits with an odd exponent from 3 to 2**32; EC on P-256,
P-384 and P-521; Ed25519 without its eight points of small order. Symmetric keys are never taken
from a set.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from syncd.oidc.compact import WithDuplicates, decode, quoted, read_object
from syncd.oidc.failure import Cause, FetchFailed
from syncd.oidc.outcome import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

SMALLEST_RSA_BITS = 2048
LARGEST_RSA_BITS = 8192
LARGEST_RSA_EXPONENT = 2**32
# P: so many keys are tried for a token that names none.
MOST_TRIALS = 5
RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
CURVES: Final[Mapping[str, tuple[str, int, ec.EllipticCurve]]] = {
    "P-256": ("ES256", 32, ec.SECP256R1()),
    "P-384": ("ES384", 48, ec.SECP384R1()),
    "P-521": ("ES512", 66, ec.SECP521R1()),
}
# Two names of one algorithm (RFC 8037, RFC 9864).
EDWARDS_ALGORITHMS = ("EdDSA", "Ed25519")
MOST_MEMBERS_OF_SET = 50_000
MOST_KEYS = 1000
PRIVATE_MEMBERS = ("d", "p", "q", "dp", "dq", "qi", "oth", "priv")

CHECK_URL = "check that jwks_url is the provider's JWKS URL"

# The field and the constant of Ed25519 (RFC 8032 section 5.1).
_FIELD = 2**255 - 19
_CURVE_D = -121665 * pow(121666, -1, _FIELD) % _FIELD


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """A key that is ready to verify tokens of one algorithm."""

    # As the set has it; None: it has none, or the token named none.
    key_id: str | None
    algorithm: str
    # "RSA, 2048 bits", for people.
    described: str
    # Usually one; several are tried in turn for a token that names none. Bytes: a shared secret.
    candidates: tuple[PublicKey | bytes, ...] = field(repr=False)


class _Unsuitable(ValueError):
    """A key that is not used; the message says why."""


class KeySet:
    """What a provider signs with, as of one reading of its set."""

    __slots__ = ("_by_algorithm", "_by_name", "_named", "_usable", "ignored")

    def __init__(self, members: Sequence[object]) -> None:
        """Take the members of a set; whatever is no usable key becomes a sentence."""
        self._by_name: dict[tuple[str, str], list[Key]] = {}
        self._by_algorithm: dict[str, list[Key]] = {}
        # Every kid that stands in the set, with what speaks against that key, if anything.
        self._named: dict[str, str | None] = {}
        self._usable = 0
        ignored = []
        for place, jwk in enumerate(members, start=1):
            try:
                self._take(jwk)
            except _Unsuitable as reason:
                sentence = f"key {_name(jwk, place)} is not used: it {reason}"
                ignored.append(sentence)
                kid = jwk.get("kid") if isinstance(jwk, dict) else None
                if isinstance(kid, str):
                    self._named.setdefault(kid, sentence)
        # Keys of the set that are not used, a sentence each.
        self.ignored: tuple[str, ...] = tuple(ignored)

    @classmethod
    def parse(cls, body: bytes) -> KeySet:
        """Return the keys of a JWK set (RFC 7517 section 5), as it came from the provider.

        Raises:
            FetchFailed: It is no JWK set (unusable), or a private key stands in it (exposed).

        """
        document = read_object(body, "the answer", members=MOST_MEMBERS_OF_SET, mark=True)
        if isinstance(document, Refusal):
            raise FetchFailed(Cause.UNUSABLE, f"{document.detail}: {CHECK_URL}")
        members = document.get("keys")
        if isinstance(document, WithDuplicates) or not isinstance(members, list):
            raise FetchFailed(
                Cause.UNUSABLE,
                f'the answer is no JWK set, which has one list "keys": {CHECK_URL}',
            )
        if len(members) > MOST_KEYS:
            raise FetchFailed(
                Cause.UNUSABLE,
                f"the answer has {len(members)} keys, and {MOST_KEYS} are the most: {CHECK_URL}",
            )
        for place, jwk in enumerate(members, start=1):
            if _shows_private_part(jwk):
                raise FetchFailed(
                    Cause.EXPOSED,
                    f"the provider publishes the private part of key {_name(jwk, place)}: nobody "
                    "can be believed who signs with it; have the provider replace its keys",
                )
        return cls(members)

    def __len__(self) -> int:
        """Return how many keys can verify something."""
        return self._usable

    def find(self, key_id: str | None, algorithm: str) -> Key | Refusal:
        """Return the key for a token's header.

        key_unknown says that a newer set may have it, key_unsuitable that what is here will not do.
        Without a key id all keys that fit are candidates, if they are few.
        """
        if key_id is None:
            return self._unnamed(algorithm)
        fit = self._by_name.get((key_id, algorithm))
        if fit is not None:
            if len(fit) == 1:
                return fit[0]
            return Refusal(
                Reason.KEY_UNSUITABLE,
                f"{len(fit)} keys of the provider have the kid {quoted(key_id)}",
            )
        if key_id not in self._named:
            return Refusal(
                Reason.KEY_UNKNOWN, f"the provider has no key with the kid {quoted(key_id)}"
            )
        return Refusal(
            Reason.KEY_UNSUITABLE,
            self._named[key_id] or f"key {quoted(key_id)} is none for {algorithm}",
        )

    def _unnamed(self, algorithm: str) -> Key | Refusal:
        fit = self._by_algorithm.get(algorithm, [])
        if not fit:
            return Refusal(
                Reason.KEY_UNKNOWN,
                f"the token names no key, and the provider has none for {algorithm}",
            )
        if len(fit) == 1:
            return fit[0]
        if len(fit) > MOST_TRIALS:
            return Refusal(
                Reason.KEY_UNSUITABLE,
                f"the token names no key, and {len(fit)} keys of the provider are for {algorithm}",
            )
        return Key(
            None,
            algorithm,
            f"one of {len(fit)} keys",
            tuple(candidate for key in fit for candidate in key.candidates),
        )

    def _take(self, jwk: object) -> None:
        if not isinstance(jwk, dict):
            raise _Unsuitable("is no JSON object")
        if isinstance(jwk, WithDuplicates):
            raise _Unsuitable("has a member twice")
        kid = jwk.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise _Unsuitable("has a kid that is no text")
        _check_purpose(jwk)
        described, algorithms, public = _read(jwk)
        if "alg" in jwk:
            if jwk["alg"] not in algorithms:
                raise _Unsuitable(f"is for {quoted(jwk['alg'])}, not for {' or '.join(algorithms)}")
            algorithms = (jwk["alg"],)
        self._usable += 1
        if kid is not None:
            self._named[kid] = None
        for algorithm in algorithms:
            key = Key(kid, algorithm, described, (public,))
            self._by_algorithm.setdefault(algorithm, []).append(key)
            if kid is not None:
                self._by_name.setdefault((kid, algorithm), []).append(key)


def shared_secret(secret: str, algorithm: str) -> Key | Refusal:
    """Return the key of HS256, HS384 or HS512, which is the client secret (Core section 10.1)."""
    octets = secret.encode()
    needed = int(algorithm.removeprefix("HS")) // 8
    if len(octets) < needed:
        return Refusal(
            Reason.KEY_UNSUITABLE,
            f"client_secret has {len(octets)} bytes, and {algorithm} needs {needed} at least "
            "(RFC 7518 section 3.2): have the provider make a longer one",
        )
    return Key(None, algorithm, f"the client secret, {len(octets)} bytes", (octets,))


def _name(jwk: object, place: int) -> str:
    """Return how messages name a member of a set: by its kid, or by where it stands."""
    kid = jwk.get("kid") if isinstance(jwk, dict) else None
    return quoted(kid) if isinstance(kid, str) else f"number {place}"


def _shows_private_part(jwk: object) -> bool:
    if isinstance(jwk, WithDuplicates):
        return not jwk.keys().isdisjoint(PRIVATE_MEMBERS)
    return isinstance(jwk, dict) and any(jwk.get(each) is not None for each in PRIVATE_MEMBERS)


def _check_purpose(jwk: Mapping[str, Any]) -> None:
    """Raise _Unsuitable for a key that is not meant to verify (RFC 7517 section 4.2 and 4.3)."""
    if "use" in jwk and jwk["use"] != "sig":
        raise _Unsuitable(f'has the use {quoted(jwk["use"])}, not "sig"')
    if "key_ops" in jwk:
        operations = jwk["key_ops"]
        if not isinstance(operations, list) or "verify" not in operations:
            raise _Unsuitable('has key_ops without "verify"')
        if len({str(operation) for operation in operations}) != len(operations):
            raise _Unsuitable("has key_ops with an operation twice")


def _read(jwk: Mapping[str, Any]) -> tuple[str, tuple[str, ...], PublicKey]:
    """Return what a key is, the algorithms that it is for, and the key itself."""
    kind = jwk.get("kty")
    try:
        if kind == "RSA":
            return _read_rsa(jwk)
        if kind == "EC":
            return _read_ec(jwk)
        if kind == "OKP":
            return _read_okp(jwk)
    except UnsupportedAlgorithm as error:
        raise _Unsuitable("is of a kind that the TLS library here cannot verify") from error
    if kind == "oct":
        raise _Unsuitable("is a shared secret, which nobody should publish")
    raise _Unsuitable(f"is of the kind {quoted(kind)}, not RSA, EC or OKP")


def _octets(jwk: Mapping[str, Any], member: str) -> bytes:
    value = jwk.get(member)
    try:
        if not isinstance(value, str) or not value:
            raise ValueError("is no text")
        return decode(value.encode("ascii"))
    except ValueError as error:
        raise _Unsuitable(f"has no {member} in base64url without padding") from error


def _read_rsa(jwk: Mapping[str, Any]) -> tuple[str, tuple[str, ...], PublicKey]:
    modulus = int.from_bytes(_octets(jwk, "n"), "big")
    exponent = int.from_bytes(_octets(jwk, "e"), "big")
    bits = modulus.bit_length()
    if not SMALLEST_RSA_BITS <= bits <= LARGEST_RSA_BITS:
        raise _Unsuitable(
            f"has {bits} bits, and RSA needs {SMALLEST_RSA_BITS} to {LARGEST_RSA_BITS}"
        )
    if not (3 <= exponent <= LARGEST_RSA_EXPONENT and exponent & 1 and modulus & 1):
        raise _Unsuitable("has a modulus or an exponent that no RSA key has")
    try:
        public = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError as error:
        raise _Unsuitable("has a modulus or an exponent that no RSA key has") from error
    return f"RSA, {bits} bits", RSA_ALGORITHMS, public


def _read_ec(jwk: Mapping[str, Any]) -> tuple[str, tuple[str, ...], PublicKey]:
    name = jwk.get("crv")
    if not isinstance(name, str) or name not in CURVES:
        raise _Unsuitable(f"is on the curve {quoted(name)}, not on {', '.join(CURVES)}")
    algorithm, size, curve = CURVES[name]
    x, y = _octets(jwk, "x"), _octets(jwk, "y")
    if len(x) != size or len(y) != size:
        raise _Unsuitable(f"has coordinates that are not {size} bytes long")
    try:
        public = ec.EllipticCurvePublicNumbers(
            int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve
        ).public_key()
    except ValueError as error:
        raise _Unsuitable(f"is no point on {name}") from error
    return f"EC, {name}", (algorithm,), public


def _read_okp(jwk: Mapping[str, Any]) -> tuple[str, tuple[str, ...], PublicKey]:
    if jwk.get("crv") != "Ed25519":
        raise _Unsuitable(f"is on the curve {quoted(jwk.get('crv'))}, not on Ed25519")
    octets = _octets(jwk, "x")
    try:
        public = ed25519.Ed25519PublicKey.from_public_bytes(octets)
    except ValueError as error:
        raise _Unsuitable("has no point of 32 bytes") from error
    # Of the points of order 1, 2, 4 and 8 everybody can sign for: y = 1, y = -1, y = 0, and
    # those whose double has y = 0.
    y = int.from_bytes(octets, "little") & (2**255 - 1)
    if y * (y * y - 1) * (_CURVE_D * y**4 + 2 * y * y - 1) % _FIELD == 0:
        raise _Unsuitable("is a point of small order, for which everybody can sign")
    return "OKP, Ed25519", EDWARDS_ALGORITHMS, public
