"""A small identity provider of the tests: its keys and metadata over real HTTP, and its tokens."""

from __future__ import annotations

import json
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar, Self

from tests.minting import key_set, signer

if TYPE_CHECKING:
    from tests.minting import Signer

CLIENT, SECRET = "syncd", "planted-client-secret-of-the-tests"
AUDIENCE, SCOPE = "https://syncd.example.test/api", "syncd.read"


class _Handler(BaseHTTPRequestHandler):
    """Answers from the provider's documents."""

    provider: Provider

    def do_GET(self) -> None:
        self.provider.asked.append(self.path)
        found = self.provider.documents.get(self.path)
        status = HTTPStatus.OK if found is not None else HTTPStatus.NOT_FOUND
        body = found if found is not None else b"{}"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the base class's name
        """Keep quiet."""


class Provider:
    """Serves on loopback; a context manager that leaves no thread behind."""

    handler: ClassVar[type[BaseHTTPRequestHandler]] = _Handler

    def __init__(self, path: str = "", key: Signer | None = None) -> None:
        handler = type("Handler", (self.handler,), {"provider": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._path = path
        self.asked: list[str] = []
        self.documents: dict[str, bytes] = {}
        self.key = key or signer()
        self.publish(self.key.jwk())
        self.describe()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Answer nobody any more."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    @property
    def origin(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def issuer(self) -> str:
        """As its tokens name it."""
        return self.origin + self._path

    def publish(self, *keys: dict[str, Any]) -> None:
        """Serve these keys."""
        self.documents["/jwks"] = key_set(*keys)

    def describe(self, **changes: Any) -> None:
        """Serve metadata; a change to None leaves a member out."""
        members = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.origin}/authorize",
            "token_endpoint": f"{self.origin}/token",
            "userinfo_endpoint": f"{self.origin}/userinfo",
            "end_session_endpoint": f"{self.origin}/logout",
            "jwks_uri": f"{self.origin}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "scopes_supported": ["openid", "profile", "email"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            **changes,
        }
        body = {name: value for name, value in members.items() if value is not None}
        self.documents[f"{self._path}/.well-known/openid-configuration"] = json.dumps(body).encode()

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Return the section idp of an organization; a change to None leaves a key out."""
        section = {
            "issuer": self.issuer,
            "client_id": CLIENT,
            "client_secret": SECRET,
            "authorization_url": f"{self.origin}/authorize",
            "token_url": f"{self.origin}/token",
            "userinfo_url": f"{self.origin}/userinfo",
            "jwks_url": f"{self.origin}/jwks",
            **changes,
        }
        return {key: value for key, value in section.items() if value is not None}

    def claims(self, subject: str = "ada", **changes: Any) -> dict[str, Any]:
        """Return what an ID token of now says; a change to None leaves a claim out."""
        now = int(time.time())
        members = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": subject,
            "iat": now,
            "exp": now + 300,
            "preferred_username": subject,
            "email": f"{subject}@example.test",
            "email_verified": True,
            "given_name": subject.capitalize(),
            "family_name": "Example",
            **changes,
        }
        return {name: value for name, value in members.items() if value is not None}

    def id_token(self, subject: str = "ada", **changes: Any) -> str:
        """Return an ID token."""
        return self.key.token(self.claims(subject, **changes))

    def access_token(
        self, subject: str = "ada", *, header: dict[str, Any] | None = None, **changes: Any
    ) -> str:
        """Return an access token (RFC 9068)."""
        now = int(time.time())
        members = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": subject,
            "client_id": "portal",
            "jti": f"{subject}-{now}",
            "iat": now,
            "exp": now + 300,
            "scope": f"openid {SCOPE}",
            **changes,
        }
        body = {name: value for name, value in members.items() if value is not None}
        return self.key.token(body, **({"typ": "at+jwt"} | (header or {})))

    def logout_token(self, subject: str = "ada", **changes: Any) -> str:
        """Return a logout token (Back-Channel Logout 1.0)."""
        now = int(time.time())
        members = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": subject,
            "jti": f"{subject}-{now}",
            "iat": now,
            "exp": now + 120,
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
            **changes,
        }
        body = {name: value for name, value in members.items() if value is not None}
        return self.key.token(body, typ="logout+jwt")
