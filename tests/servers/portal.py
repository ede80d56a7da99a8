"""A small portal: a web application of its own that signs its people in by syncd's hand-off.

It keeps nothing but who is signed in with it, asks syncd at each page view whether that still
holds, and shows what it was told. As docs/portals.md tells portals to be written.
"""

from __future__ import annotations

import http.cookies
import json
import secrets
import ssl
import threading
import urllib.error
import urllib.request
from base64 import b64encode
from dataclasses import dataclass, field
from hmac import compare_digest
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, quote, quote_plus, urlencode, urlsplit

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_SECONDS = 30
SECRET = "a secret that the portal shares with syncd, long enough"
COOKIE, STATE_COOKIE = "portal", "portal-state"


@dataclass(frozen=True)
class Told:
    """What syncd's API answers."""

    status: int
    body: Any


@dataclass
class Portal:
    """One portal of one organization; as a context manager it serves on a free loopback port.

    ``syncd`` is its base URL, known once it runs; ``authority`` the PEM file of who signed its
    certificate. ``told`` has every answer of syncd's API, ``visits`` the paths that browsers asked.
    """

    organization: str
    client_id: str = "intranet"
    secret: str = SECRET
    syncd: str = ""
    authority: Path | None = None
    told: list[Told] = field(default_factory=list)
    visits: list[str] = field(default_factory=list)
    # Its own sessions: what its cookie says, and what syncd said of the person.
    people: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, name="portal", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def redirect_uri(self) -> str:
        """Where it takes people back."""
        return f"{self.url}/signed-in"

    @property
    def settings(self) -> dict[str, Any]:
        """Its entry in ``portals`` of the organization's file."""
        return {
            "client_id": self.client_id,
            "client_secret": self.secret,
            "redirect_uris": [self.redirect_uri],
            "post_logout_redirect_uris": [f"{self.url}/"],
        }

    # --- what it asks syncd ---------------------------------------------------------------

    def sign_in_url(self, state: str) -> str:
        """Return where it sends somebody who is to sign in."""
        asked = {
            "organization": self.organization,
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "state": state,
        }
        return f"{self.syncd}/sign-in?{urlencode(asked, quote_via=quote)}"

    def redeem(self, code: str) -> Told:
        """Exchange a code for who signed in."""
        return self.ask("redeem", code=code, redirect_uri=self.redirect_uri)

    def check(self, session: str) -> Told:
        """Ask whether a session still holds."""
        return self.ask("check", organization=self.organization, session=session)

    def end(self, session: str, *, everywhere: bool = False) -> Told:
        """End a session."""
        asked = {"organization": self.organization, "session": session, "everywhere": everywhere}
        return self.ask("end", **asked)

    def ask(self, what: str, **body: Any) -> Told:
        """Send a request to syncd's API as this portal."""
        # RFC 6749 section 2.3.1: each half is written as in a form first.
        basic = f"{quote_plus(self.client_id)}:{quote_plus(self.secret)}"
        request = urllib.request.Request(
            f"{self.syncd}/api/v1/sign-ins/{what}",
            json.dumps(body).encode(),
            {
                "Authorization": f"Basic {b64encode(basic.encode()).decode()}",
                "Content-Type": "application/json",
            },
        )
        told = self._sent(request)
        self.told.append(told)
        return told

    def _sent(self, request: urllib.request.Request) -> Told:
        trusted = None
        if self.authority is not None:
            trusted = ssl.create_default_context(cafile=str(self.authority))
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusted)
        )
        try:
            answer = opener.open(request, timeout=PATIENCE_SECONDS)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return Told(answer.status, json.loads(answer.read()))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, portal: Portal) -> None:
        super().__init__(("127.0.0.1", 0), _Pages)
        self.portal = portal


class _Pages(BaseHTTPRequestHandler):
    """What answers the portal's browsers."""

    @property
    def portal(self) -> Portal:
        """Whose pages they are."""
        server: Any = self.server
        found: Portal = server.portal
        return found

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.portal.visits.append(path)
        if path == "/":
            self._home()
        elif path == "/sign-in":
            state = secrets.token_urlsafe(32)
            self._go(self.portal.sign_in_url(state), {STATE_COOKIE: state})
        elif path == "/signed-in":
            self._taken_back()
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        self.portal.visits.append(self.path)
        mine = self.portal.people.pop(self._cookie(COOKIE), None)
        if self.path != "/sign-out" or mine is None:
            self.send_error(404)
            return
        told = self.portal.end(mine["session"]["id"])
        self._go(told.body["location"] or "/", {COOKIE: ""})

    def _home(self) -> None:
        cookie = self._cookie(COOKIE)
        mine = self.portal.people.get(cookie)
        if mine is not None:
            told = self.portal.check(mine["session"]["id"]).body
            if told["active"]:
                self.portal.people[cookie] = mine = told
            else:
                # Signed out elsewhere, or shut out.
                mine = self.portal.people.pop(cookie, None) and None
        if mine is None:
            self._page("<p>Nobody is signed in.</p><p><a href='/sign-in'>Sign in</a></p>")
            return
        roles = ", ".join(role["name"] for role in mine["user"]["roles"])
        self._page(
            f"<p>Signed in as <b>{escape(mine['user']['username'])}</b></p>"
            f"<p>Organization: {escape(mine['organization']['name'])}</p>"
            f"<p>Roles: {escape(roles)}</p>"
            "<form method='post' action='/sign-out'><button>Sign out</button></form>"
        )

    def _taken_back(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        given, wanted = asked.get("state", [""])[0], self._cookie(STATE_COOKIE)
        if not wanted or not compare_digest(given, wanted):
            self._page("<p>This sign-in was not begun here.</p>", 400)
            return
        if asked.get("iss") != [self.portal.syncd]:
            self._page("<p>This answer is somebody else's.</p>", 400)
            return
        told = self.portal.redeem(asked.get("code", [""])[0])
        if told.status != 200:
            self._page("<p>The sign-in failed; try again.</p>", 400)
            return
        cookie = secrets.token_urlsafe(32)
        self.portal.people[cookie] = told.body
        self._go("/", {COOKIE: cookie, STATE_COOKIE: ""})

    def _cookie(self, name: str) -> str:
        found = http.cookies.SimpleCookie(self.headers.get("Cookie", "")).get(name)
        return "" if found is None else found.value

    def _go(self, url: str, cookies: dict[str, str]) -> None:
        self.send_response(303)
        self.send_header("Location", url)
        for name, value in cookies.items():
            ending = "" if value else "; Max-Age=0"
            self.send_header("Set-Cookie", f"{name}={value}; HttpOnly; SameSite=Lax{ending}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _page(self, body: str, status: int = 200) -> None:
        text = f"<!doctype html><title>Portal</title><h1>Portal</h1>{body}".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
