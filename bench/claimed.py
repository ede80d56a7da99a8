"""A provider for the bench: keys over HTTP on loopback, tokens of everyday size and content."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

import jwt

from syncd.oidc.fetch import Fetcher
from syncd.oidc.jwks import JwksCache
from syncd.oidc.options import ProviderOptions
from syncd.oidc.outcome import Refusal, Step
from syncd.oidc.tokens import AccessToken, IdToken
from syncd.oidc.validate import Validator
from tests import minting
from tests.minting import CLIENT, ISSUER, NONCE, NOW, SUBJECT, signer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ALGORITHMS = ("RS256", "ES256", "PS256", "EdDSA")
NOTHING_BUT_THE_SIGNATURE = "the signature alone"
ID_TOKEN = "ID token"  # noqa: S105 - the name of what is measured
AUDIENCE = "https://syncd.bench.test/api"
OLD = NOW - 3_600
GROUPS = [f"{number:08x}-5b1c-4c1e-9f60-0123456789ab" for number in range(20)]


class Operation(NamedTuple):
    """Something that is measured, and what its result has to be."""

    name: str
    run: Callable[[], object]
    holds: Callable[[object], bool]


def realistic(now: float = NOW, **changes: object) -> dict[str, Any]:
    """Return what providers say of a person: session, profile, some roles and groups."""
    return minting.claims(
        now,
        **{
            "nbf": now,
            "auth_time": now - 60,
            "azp": CLIENT,
            "sid": "6f1f8a52-6c2d-4a2b-8b0e-55d7a1f0c3b4",
            "acr": "1",
            "amr": ["pwd", "otp"],
            "name": "Åsa Lindqvist",
            "given_name": "Åsa",
            "family_name": "Lindqvist",
            "preferred_username": "asa.lindqvist",
            "email": "asa.lindqvist@example.org",
            "email_verified": True,
            "locale": "sv-SE",
            "department": "Research",
            "groups": ["/staff", "/staff/research", "/projects/atlas"],
            "realm_access": {"roles": ["offline_access", "editor", "default-roles-acme"]},
            "resource_access": {"account": {"roles": ["manage-account", "view-profile"]}},
            "address": {"locality": "Göteborg", "country": "SE"},
        }
        | changes,
    )


@dataclass
class Provider:
    """A provider that is listening."""

    url: str
    fetches: int = 0
    keys: list[dict[str, Any]] = field(default_factory=list)

    def options(self) -> ProviderOptions:
        """Return how syncd is registered with it."""
        return ProviderOptions(
            organization_id="bench",
            issuer=ISSUER,
            client_id=CLIENT,
            client_secret="bench",  # noqa: S106 - nobody asks for it
            authorization_url=f"{self.url}/authorize",
            token_url=f"{self.url}/token",
            jwks_url=f"{self.url}/jwks",
            allowed_algorithms=frozenset(ALGORITHMS),
            api_audience=AUDIENCE,
        )

    def validator(self) -> Validator:
        """Return a validator with a key cache of its own, as a process composes it."""
        return Validator(self.options(), JwksCache(f"{self.url}/jwks", Fetcher()))

    def id_token(self, algorithm: str, now: float = NOW, **changes: object) -> str:
        """Return somebody's ID token."""
        return signer(algorithm, algorithm).token(realistic(now, **changes))

    def access_token(self, algorithm: str) -> str:
        """Return an access token of the same person (RFC 9068)."""
        claims = realistic(
            aud=AUDIENCE, client_id="portal", jti="a1b2c3d4", scope="openid syncd", nonce=None
        )
        return signer(algorithm, algorithm).token(claims, typ="at+jwt")


@contextlib.contextmanager
def served() -> Iterator[Provider]:
    """Serve the keys on loopback."""
    keys = [signer(algorithm, algorithm).jwk() for algorithm in ALGORITHMS]
    body = minting.key_set(*keys)

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.fetches += 1
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        provider = Provider(f"http://127.0.0.1:{server.server_port}", keys=keys)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()


def cold(provider: Provider) -> float:
    """Return the seconds that a process takes for its first token, the keys' fetch included."""
    token = provider.id_token("RS256")
    validator = provider.validator()
    started = time.perf_counter()
    found = validator.id_token(token, now=NOW, nonce=NONCE)
    took = time.perf_counter() - started
    if not isinstance(found, IdToken):
        raise TypeError(str(found))
    return took


def operations(provider: Provider, algorithm: str) -> list[Operation]:
    """Return everything that is measured with one algorithm, a warm cache below it."""
    made = signer(algorithm, algorithm)
    public = made.private.public_key()
    verify = minting.ALGORITHMS[algorithm].verify
    validator = provider.validator()
    token, access = provider.id_token(algorithm), provider.access_token(algorithm)
    small = made.token(minting.claims())
    old, large = provider.id_token(algorithm, OLD), provider.id_token(algorithm, groups=GROUPS)
    signing_input, _, last = token.rpartition(".")
    signed, signature = signing_input.encode(), made.signature(signing_input)
    forged = f"{signing_input}.{'A' * len(last)}"
    unsigned = made.token(realistic(), alg="none")

    def told() -> object:
        steps: list[Step] = []
        return validator.id_token(token, now=NOW, nonce=NONCE, told=steps)

    def library() -> object:
        return jwt.decode(
            token,
            public,
            algorithms=[algorithm],
            audience=CLIENT,
            issuer=ISSUER,
            # The tokens are of the bench's own time.
            options={
                "require": ["exp", "iat", "sub"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )

    def shown(text: str) -> Callable[[], object]:
        return lambda: validator.id_token(text, now=NOW, nonce=NONCE)

    def refused(found: object) -> bool:
        return isinstance(found, Refusal)

    def taken(found: object) -> bool:
        return isinstance(found, IdToken) and found.claims.subject == SUBJECT

    return [
        Operation(
            NOTHING_BUT_THE_SIGNATURE,
            lambda: verify(signed, public, signature),
            lambda found: found is True,
        ),
        Operation(ID_TOKEN, shown(token), taken),
        Operation("ID token, each check told", told, taken),
        Operation("ID token of nothing but a sign-in", shown(small), taken),
        Operation("ID token, twenty groups by id", shown(large), taken),
        Operation(
            "access token",
            lambda: validator.access_token(access, now=NOW),
            lambda found: isinstance(found, AccessToken),
        ),
        Operation("refused: forged", shown(forged), refused),
        Operation("refused: expired", shown(old), refused),
        Operation("refused: alg none", shown(unsigned), refused),
        Operation("PyJWT's decode, fewer checks", library, lambda found: isinstance(found, dict)),
    ]
