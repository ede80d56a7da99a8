"""What two libraries, PyJWT and joserfc, say of a token, and what can plainly be seen in it."""

from __future__ import annotations

import json
import warnings
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jwt
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry
from joserfc.jwt import JWTClaimsRegistry

from syncd.oidc.outcome import Kind
from tests.minting import CLIENT, ISSUER, NONCE, NOW

AUDIENCE = "https://syncd.example.org/api"
ALLOWED = ("RS256", "PS256", "ES256", "EdDSA")
# What the libraries are asked to see to; the rest of the rules they do not know.
REQUIRED = {
    Kind.ID: ("iss", "sub", "aud", "exp", "iat", "nonce"),
    Kind.ACCESS: ("iss", "sub", "aud", "exp", "iat", "client_id", "jti"),
    Kind.LOGOUT: ("iss", "aud", "exp", "iat", "jti", "events"),
}
AUDIENCES = {Kind.ID: CLIENT, Kind.ACCESS: AUDIENCE, Kind.LOGOUT: CLIENT}


@dataclass(frozen=True)
class Seen:
    """A token read without any check: the last of duplicate members, whatever the encoding."""

    text: str
    # The allowed clock skew, in seconds.
    skew: int = 0

    @cached_property
    def raw(self) -> tuple[bytes, bytes]:
        """Header and payload as bytes."""
        first, second, *_ = self.text.split(".")
        return _bytes(first), _bytes(second)

    @cached_property
    def header(self) -> dict[str, Any]:
        """The header's members."""
        return dict(json.loads(self.raw[0]))

    @cached_property
    def claims(self) -> dict[str, Any]:
        """The payload's members."""
        return dict(json.loads(self.raw[1]))

    @cached_property
    def repeats(self) -> bool:
        """Whether any object has a member twice."""
        found = []

        def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            found.append(len(pairs) != len(dict(pairs)))
            return dict(pairs)

        for raw in self.raw:
            json.loads(raw, object_pairs_hook=members)
        return any(found)

    @cached_property
    def odd_numbers(self) -> bool:
        """Whether there are numbers that JSON does not have, or that are not finite."""
        found: list[bool] = []

        def number(text: str) -> float:
            found.append(abs(float(text)) == float("inf"))
            return 0.0

        def constant(_: str) -> float:
            found.append(True)
            return 0.0

        for raw in self.raw:
            json.loads(raw, parse_float=number, parse_constant=constant)
        return any(found)

    @cached_property
    def odd_text(self) -> bool:
        """Whether it is not UTF-8, begins with a byte order mark, or has half a character."""
        try:
            plain = [raw.decode("utf-8") for raw in self.raw]
            json.dumps([json.loads(text) for text in plain], ensure_ascii=False).encode()
        except ValueError:
            return True
        return False

    @cached_property
    def depth(self) -> int:
        """How deep its objects and lists nest."""
        return max(_depth(self.header), _depth(self.claims))

    @cached_property
    def members(self) -> int:
        """How many members there are in the part that has most, nested ones too."""
        return max(_count(self.header), _count(self.claims))


def _bytes(segment: str) -> bytes:
    return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def _depth(value: object) -> int:
    inner = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    )
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


def _count(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (len(value) if isinstance(value, dict) else 0) + sum(map(_count, inner))


class Libraries:
    """PyJWT and joserfc over the keys of one provider."""

    def __init__(self, keys: list[dict[str, Any]]) -> None:
        # One and the same key of theirs, and its id.
        self._keys = [(key.get("kid"), jwt.PyJWK(key), JWKRegistry.import_key(key)) for key in keys]
        self._registry = jws.JWSRegistry(algorithms=ALLOWED, strict_check_header=False)
        self._registry.max_header_length = 64 * 1024
        self._jwt = jwt.PyJWT()

    def take(
        self, kind: Kind, text: str, skew: int = 0
    ) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Return the claims as each reads them, or None for a token that it refuses."""
        try:
            key_id = jwt.get_unverified_header(text).get("kid")
        except (jwt.PyJWTError, UnicodeError):
            return None, None
        fitting = [keys for name, *keys in self._keys if key_id is None or name == key_id]
        first = second = None
        for one, other in fitting:
            first = first or self._pyjwt(kind, text, one)
            second = second or self._joserfc(kind, text, other, skew)
        return first, second

    def _pyjwt(self, kind: Kind, text: str, key: Any) -> dict[str, Any] | None:
        try:
            return self._jwt.decode(
                text,
                key,
                algorithms=ALLOWED,
                audience=AUDIENCES[kind],
                issuer=ISSUER,
                options={
                    "require": list(REQUIRED[kind]),
                    # Its clock cannot be set: joserfc looks at the times.
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError:
            return None

    def _joserfc(self, kind: Kind, text: str, key: Any, skew: int) -> dict[str, Any] | None:
        essential: dict[str, Any] = {name: {"essential": True} for name in REQUIRED[kind]}
        essential |= {
            "iss": {"essential": True, "value": ISSUER},
            "aud": {"essential": True, "value": AUDIENCES[kind]},
        }
        if kind is Kind.ID:
            essential["nonce"] = {"essential": True, "value": NONCE}
        try:
            with warnings.catch_warnings():
                # RFC 9864 deprecates the name EdDSA.
                warnings.simplefilter("ignore")
                found = jws.deserialize_compact(text, key, registry=self._registry)
            claims = json.loads(found.payload or b"")
            JWTClaimsRegistry(now=NOW, leeway=skew, **essential).validate(claims)
        except (JoseError, ValueError, RecursionError, AttributeError):
            return None
        return dict(claims)
