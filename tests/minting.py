"""Tokens as a provider makes them, well and badly: whatever bytes are given are signed as they are.

Keys are made at first use and kept for the process.
"""

from __future__ import annotations

import functools
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

if TYPE_CHECKING:
    from collections.abc import Mapping

ISSUER = "https://login.example.org/"
CLIENT = "syncd"
NONCE = "n-0S6_WzA2Mj"
SUBJECT = "248289761001"
NOW = 1_800_000_000
ALGORITHMS = get_default_algorithms()
_CURVES: dict[str, ec.EllipticCurve] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
}


def encoded(raw: bytes) -> str:
    """Return base64url without padding (RFC 7515 section 2)."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def json_bytes(value: object) -> bytes:
    """Return JSON without spaces, as providers write it."""
    return json.dumps(value, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Signer:
    """A provider's key, or a client secret, and the algorithm that it is used with."""

    algorithm: str
    key_id: str | None
    private: Any

    def jwk(self, **changes: object) -> dict[str, Any]:
        """Return the public JWK; a change to None leaves the member out."""
        public = ALGORITHMS[self.algorithm].to_jwk(self.private.public_key(), as_dict=True)
        public.pop("key_ops", None)
        members = public | {"kid": self.key_id, "use": "sig", "alg": self.algorithm} | changes
        return {name: value for name, value in members.items() if value is not None}

    def header(self, **changes: object) -> dict[str, Any]:
        """Return the header of its tokens; a change to None leaves the member out."""
        members = {"alg": self.algorithm, "typ": "JWT", "kid": self.key_id} | changes
        return {name: value for name, value in members.items() if value is not None}

    def token(self, claims: Mapping[str, object], **header: object) -> str:
        """Return a token of these claims; the header's members can be changed."""
        return self.sign(json_bytes(self.header(**header)), json_bytes(claims))

    def sign(self, header: bytes, payload: bytes) -> str:
        """Return a token of these very bytes."""
        signing_input = f"{encoded(header)}.{encoded(payload)}"
        return f"{signing_input}.{encoded(self.signature(signing_input))}"

    def signature(self, signing_input: str) -> bytes:
        """Return the signature of whatever text stands before the last dot."""
        return ALGORITHMS[self.algorithm].sign(signing_input.encode(), self.private)


@functools.cache
def signer(algorithm: str = "RS256", key_id: str | None = "k1", bits: int = 2048) -> Signer:
    """Return the provider's signer of this algorithm and key id, always the same; not for HS*."""
    private: Any
    if algorithm in _CURVES:
        private = ec.generate_private_key(_CURVES[algorithm])
    elif algorithm == "EdDSA":
        private = ed25519.Ed25519PrivateKey.generate()
    else:
        private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return Signer(algorithm, key_id, private)


def key_set(*members: Mapping[str, object]) -> bytes:
    """Return a JWKS as it is fetched."""
    return json_bytes({"keys": members})


def claims(now: float = NOW, **changes: object) -> dict[str, Any]:
    """Return the claims of a plain ID token; a change to None leaves the member out."""
    members: dict[str, object] = {
        "iss": ISSUER,
        "aud": CLIENT,
        "sub": SUBJECT,
        "iat": now,
        "exp": now + 300,
        "nonce": NONCE,
    }
    return {name: value for name, value in (members | changes).items() if value is not None}
