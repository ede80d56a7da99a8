"""A provider that speaks OpenID Connect as it should, but for one fault that a test names.

It has the whole code flow with PKCE over real HTTP, userinfo, refresh, sign-out and logout tokens.
``BentProvider(users).fault`` is the name of what it does wrong, of ``FAULTS``; None: nothing. Who
signs in is ``subject``, without a question; with ``page`` a page has a button for each person.
"""

from __future__ import annotations

import contextlib
import hashlib
import html
import json
import secrets
import threading
from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

from tests.minting import encoded, signer
from tests.servers.bent_faults import CLAIMS, ERRORS, FAULTS, REFRESH, TOKENS
from tests.servers.provider import CLIENT, SECRET, Provider

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DENIED = "<script>alert('denied')</script>"
PATIENCE_SECONDS = 30


class Reply(NamedTuple):
    """An answer."""

    status: int
    body: bytes = b"{}"
    kind: str = "application/json"
    location: str | None = None


class Request(NamedTuple):
    """A request as it came; the last of equal fields counts."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    authorization: str

    @property
    def fields(self) -> dict[str, str]:
        """Those of the query and of the form."""
        return self.query | self.form


@dataclass
class SignIn:
    """One person's way through, from the authorization request on."""

    subject: str
    asked: dict[str, str]
    sid: str = field(default_factory=lambda: secrets.token_hex(8))
    code: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    access_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    refresh_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    redeemed: bool = False
    over: bool = False


class _Handler(BaseHTTPRequestHandler):
    """Hands each request to the provider."""

    provider: BentProvider

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the base class's name
        """Keep quiet."""

    def _answer(self, method: str) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        asked = Request(
            method,
            parts.path,
            dict(parse_qsl(parts.query)),
            dict(parse_qsl(body)),
            self.headers.get("Authorization", ""),
        )
        reply = self.provider.reply(asked)
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(len(reply.body)))
        if reply.location is not None:
            self.send_header("Location", reply.location)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(reply.body)


class BentProvider(Provider):
    """One provider; use it as a context manager. ``users`` are claims by subject."""

    handler: ClassVar[type[BaseHTTPRequestHandler]] = _Handler

    def __init__(self, users: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.users: dict[str, dict[str, Any]] = {
            subject: dict(claims) for subject, claims in (users or {"ada": {}}).items()
        }
        self.subject = next(iter(self.users))
        self.fault: str | None = None
        # Whether people are asked who they are.
        self.page = False
        # Of access tokens, in seconds.
        self.lifetime = 300
        # Claims that are at the userinfo endpoint only.
        self.userinfo: dict[str, Any] = {}
        self.sign_ins: list[SignIn] = []
        # What came where; the fields of sign-outs.
        self.requests: list[Request] = []
        self._over = threading.Event()
        super().__init__()
        self.describe(
            authorization_response_iss_parameter_supported=True, backchannel_logout_supported=True
        )

    def stop(self) -> None:
        """Answer nobody any more."""
        self._over.set()
        super().stop()

    @contextlib.contextmanager
    def bent(self, fault: str) -> Iterator[None]:
        """Do this wrong for a while."""
        if fault not in FAULTS:
            raise ValueError(fault)
        self.fault = fault
        try:
            yield
        finally:
            self.fault = None

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Return the section idp of an organization; a change to None leaves a key out."""
        return super().settings(**{"logout_url": f"{self.origin}/logout"} | changes)

    def count(self, path: str) -> int:
        """Return how many requests came for a path."""
        return sum(each.path == path for each in self.requests)

    def reply(self, asked: Request) -> Reply:
        """Answer a request."""
        self.requests.append(asked)
        match asked.path:
            case "/authorize":
                return self._authorize(asked)
            case "/token":
                return self._token(asked)
            case "/userinfo":
                return self._userinfo(asked)
            case "/logout":
                return self._logout(asked)
        found = self.documents.get(asked.path)
        return Reply(404) if found is None else Reply(200, found)

    # --- the browser -------------------------------------------------------------------------

    def _authorize(self, asked: Request) -> Reply:
        words = asked.query
        wrong = [
            name
            for name, value in {
                "response_type": "code",
                "client_id": CLIENT,
                "code_challenge_method": "S256",
            }.items()
            if words.get(name) != value
        ]
        wrong += [
            name
            for name in ("redirect_uri", "state", "nonce", "code_challenge")
            if not words.get(name)
        ]
        if wrong or "openid" not in words.get("scope", "").split():
            return _page(400, f"<p>Bad request: {html.escape(', '.join(wrong))}</p>")
        subject = asked.form.get("subject", self.subject)
        if self.page and "subject" not in asked.form:
            buttons = "".join(
                f'<button name="subject" value="{html.escape(each)}">{html.escape(each)}</button>'
                for each in self.users
            )
            return _page(200, f'<h1>Provider</h1><form method="post">{buttons}</form>')
        made = SignIn(subject, words)
        self.sign_ins.append(made)
        return Reply(303, b"", "text/plain", self._back(made))

    def _back(self, made: SignIn) -> str:
        """Return where the browser goes back to."""
        words = made.asked
        answer = [("code", made.code), ("state", words["state"]), ("iss", self.issuer)]
        match self.fault:
            case "no_state" | "no_code" | "no_iss":
                answer = [each for each in answer if each[0] != self.fault.removeprefix("no_")]
            case "other_state":
                answer[1] = ("state", secrets.token_urlsafe(32))
            case "two_states" | "two_codes":
                answer.append(answer[self.fault == "two_states"])
            case "other_iss":
                answer[2] = ("iss", "https://evil.example.test/")
            case "access_denied" | "server_error":
                answer[0] = ("error", self.fault)
                answer.append(("error_description", DENIED))
            case "error_and_code":
                answer.append(("error", "access_denied"))
        joint = "&" if "?" in words["redirect_uri"] else "?"
        return f"{words['redirect_uri']}{joint}{urlencode(answer)}"

    # --- syncd -------------------------------------------------------------------------------

    def _token(self, asked: Request) -> Reply:
        if (whole := self._whole()) is not None:
            return whole
        if not self._is_client(asked):
            return _error("invalid_client", 401)
        if asked.form.get("grant_type") == "refresh_token":
            return self._refresh(asked.form)
        if self.fault in ERRORS:
            return _error(self.fault, ERRORS[self.fault], f"code {asked.form.get('code')}")
        for made in self.sign_ins:
            if made.code == asked.form.get("code"):
                break
        else:
            return _error("invalid_grant")
        hashed = hashlib.sha256(asked.form.get("code_verifier", "").encode()).digest()
        challenge = urlsafe_b64encode(hashed).rstrip(b"=").decode()
        fits = challenge == made.asked["code_challenge"]
        if not fits or made.redeemed or asked.form["redirect_uri"] != made.asked["redirect_uri"]:
            return _error("invalid_grant")
        made.redeemed = True
        changes = CLAIMS.get(self.fault or "", {})
        return self._tokens(made, {"nonce": made.asked["nonce"]} | changes)

    def _refresh(self, form: Mapping[str, str]) -> Reply:
        if self.fault == "refresh_down":
            return Reply(503)
        for made in self.sign_ins:
            if made.refresh_token == form.get("refresh_token") and not made.over:
                break
        else:
            return _error("invalid_grant")
        if self.fault == "refresh_refused" or made.subject not in self.users:
            return _error("invalid_grant")
        made.refresh_token = secrets.token_urlsafe(24)
        made.access_token = secrets.token_urlsafe(24)
        return self._tokens(made, REFRESH.get(self.fault or "", {}))

    def _tokens(self, made: SignIn, changes: dict[str, Any]) -> Reply:
        half = hashlib.sha256(made.access_token.encode()).digest()[:16]
        said = self.users.get(made.subject, {}) | {"sid": made.sid, "at_hash": encoded(half)}
        claims = self.claims(made.subject, **said | changes)
        key = signer(key_id="another") if self.fault == "other_key" else self.key
        id_token: str | None = key.token(claims, kid=self.key.key_id)
        if self.fault == "unsigned":
            header = encoded(json.dumps({"alg": "none", "typ": "JWT"}).encode())
            id_token = f"{header}.{encoded(json.dumps(claims).encode())}."
        if self.fault == "refresh_without_id_token" and "nonce" not in changes:
            id_token = None
        members = {
            "access_token": made.access_token,
            "token_type": "Bearer",
            "expires_in": self.lifetime,
            "refresh_token": made.refresh_token,
            "id_token": id_token,
            **TOKENS.get(self.fault or "", {}),
        }
        return _json({name: value for name, value in members.items() if value is not None})

    def _whole(self) -> Reply | None:
        match self.fault:
            case "down":
                return Reply(503)
            case "redirect":
                return Reply(307, b"", "text/plain", f"{self.origin}/jwks")
            case "html":
                return _page(200, "<p>Welcome</p>")
            case "too_large":
                return _json({"access_token": "x" * 600_000})
            case "twice":
                return Reply(200, b'{"token_type":"mac","token_type":"Bearer"}')
            case "slow":
                self._over.wait(PATIENCE_SECONDS)
                return Reply(200)
        return None

    def _is_client(self, asked: Request) -> bool:
        scheme, _, pair = asked.authorization.partition(" ")
        if scheme.lower() == "basic":
            client, _, secret = b64decode(pair).decode().partition(":")
            return (unquote_plus(client), unquote_plus(secret)) == (CLIENT, SECRET)
        return (asked.form.get("client_id"), asked.form.get("client_secret")) == (CLIENT, SECRET)

    def _userinfo(self, asked: Request) -> Reply:
        match self.fault:
            case "userinfo_down":
                return Reply(503)
            case "userinfo_html":
                return _page(200, "<p>Ada</p>")
            case "userinfo_twice":
                return Reply(200, b'{"sub":"ada","sub":"ada"}')
        for made in self.sign_ins:
            if asked.authorization == f"Bearer {made.access_token}":
                other = self.fault == "userinfo_other_subject"
                return _json({"sub": "mallory" if other else made.subject, **self.userinfo})
        return _error("invalid_token", 401)

    def _logout(self, asked: Request) -> Reply:
        if self.fault == "logout_down":
            return Reply(503)
        if self.fault == "logout_by_get" and asked.method == "POST":
            return Reply(405)
        back = asked.fields.get("post_logout_redirect_uri")
        if back is None:
            return _page(200, "<h1>Signed out at the provider</h1>")
        state = asked.fields.get("state")
        query = "" if state is None else f"?{urlencode({'state': state})}"
        return Reply(303, b"", "text/plain", back + query)

    @property
    def sign_outs(self) -> list[dict[str, str]]:
        """The fields of each request to end a session here."""
        return [each.fields for each in self.requests if each.path == "/logout"]

    def logout_token(self, subject: str = "ada", **changes: Any) -> str:
        """Return a logout token; each has an id of its own."""
        return super().logout_token(subject, **{"jti": secrets.token_hex(8)} | changes)


def answer_of(location: str) -> dict[str, list[str]]:
    """Return what a browser is sent back with."""
    return parse_qs(urlsplit(location).query)


def _json(members: Mapping[str, Any], status: int = 200) -> Reply:
    return Reply(status, json.dumps(members).encode())


def _error(name: str, status: int = 400, description: str | None = None) -> Reply:
    more = {} if description is None else {"error_description": description}
    return _json({"error": name} | more, status)


def _page(status: int, body: str) -> Reply:
    head = '<!doctype html><html lang="en"><title>Provider</title>'
    return Reply(status, f"{head}{body}</html>".encode(), "text/html; charset=utf-8")
