"""A throw-away Glewlwyd on loopback: a second opinion on what an OpenID Connect provider is.

Written in C, without a common line with the other one; with a database of its own, keys of its own
and RS256 only. It puts ``sid``, ``auth_time`` 0 and random subjects into ID tokens, and nothing
that names a type into logout tokens.
"""

from __future__ import annotations

import http.server
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.servers.authority import ToolError, program
from tests.servers.relying_party import Browser, RelyingParty, metadata, walk
from tests.servers.slapd import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.servers.relying_party import SignedIn

READY_SECONDS = 30
STOP_SECONDS = 20
# It does not decode what RFC 6749 section 2.3.1 has clients encode.
CLIENT, SECRET = "syncd", "secret-of-the-registration"
PASSWORD = "a password of the tests"
SCHEMA = Path("/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3")
# As the schema comes.
ADMINISTRATOR = {"username": "admin", "password": "password"}
# No use_secure_connection: with false it ends at once.
CONFIGURATION = """\
port={port}
bind_address="127.0.0.1"
external_url="http://127.0.0.1:{port}/"
login_url="login.html"
api_prefix="api"
static_files_path="/usr/share/glewlwyd/webapp/"
log_mode="file"
log_level="WARNING"
log_file="{folder}/log"
cookie_secure=0
session_key="GLEWLWYD2_SESSION_ID"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="/usr/lib/glewlwyd/user"
client_module_path="/usr/lib/glewlwyd/client"
user_auth_scheme_module_path="/usr/lib/glewlwyd/scheme"
plugin_module_path="/usr/lib/glewlwyd/plugin"
hash_algorithm="SHA512"
database = {{ type = "sqlite3" path = "{folder}/database" }};
"""


class _LogoutReceiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Keep the token for whoever waits for it."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.tokens.append(parse_qs(body)["logout_token"][0])  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write nothing."""


class Glewlwyd:
    """One provider; use it as a context manager. ``users`` are their properties by username.

    Of the properties ``name``, ``email`` and ``groups`` become claims; ``groups`` is a list.
    ``callback`` is where it sends people back to.
    """

    def __init__(
        self, users: Mapping[str, Mapping[str, Any]], *, callback: str | None = None
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="glewlwyd-"))
        self._users = users
        self.url = f"http://127.0.0.1:{free_port()}"
        self.issuer = f"{self.url}/api/oidc"
        self._server: subprocess.Popen[bytes] | None = None
        self._browsers: dict[str, Browser] = {}
        self._receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _LogoutReceiver)
        self._logout_tokens: list[str] = []
        self._receiver.tokens = self._logout_tokens  # type: ignore[attr-defined]
        own = f"http://127.0.0.1:{self._receiver.server_port}"
        self._callback = callback or f"{own}/callback"
        self._logout_tokens_uri = f"{own}/logout"

    def __enter__(self) -> Self:
        threading.Thread(target=self._receiver.serve_forever, daemon=True).start()
        try:
            self._start()
            self._set_up()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        if not SCHEMA.is_file():
            raise ToolError("glewlwyd is not installed: run scripts/system-packages")
        with closing(sqlite3.connect(self.folder / "database")) as database:
            database.executescript(SCHEMA.read_text())
        port = int(self.url.rpartition(":")[2])
        configuration = self.folder / "glewlwyd.conf"
        configuration.write_text(CONFIGURATION.format(port=port, folder=self.folder))
        with (self.folder / "out").open("wb") as out:
            self._server = subprocess.Popen(
                [program("glewlwyd"), "-c", configuration],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.folder,
            )
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            if self._server.poll() is not None:
                raise ToolError((self.folder / "out").read_text()[-2000:])
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise ToolError("glewlwyd did not become ready")

    def _set_up(self) -> None:
        self._administrator = Browser()
        self._api("POST", "auth/", ADMINISTRATOR)
        self._api("PUT", "mod/user/database", _people_module())
        self._api("PUT", "mod/user/database/reset", {})
        self._api("POST", "mod/plugin/", _oidc_plugin(self.issuer))
        self._api("POST", "client/", _client(self._callback, self._logout_tokens_uri))
        for username, properties in self._users.items():
            self._api("POST", "user/", _user(username, properties))
        self.metadata = metadata(self.issuer)

    def stop(self) -> None:
        """Stop the provider and delete everything it had."""
        server, self._server = self._server, None
        if server is not None and server.poll() is None:
            server.terminate()
            try:
                server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        self._receiver.shutdown()
        self._receiver.server_close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def sign_in(self, username: str) -> SignedIn:
        """Sign somebody in, in a browser of his own."""
        browser = self._browser(username)
        party = RelyingParty(self.metadata, CLIENT, SECRET, self._callback)
        return party.sign_in(browser, scope="openid", g_continue="")

    def walk(self, start: str, username: str) -> str:
        """Sign somebody in for a client's own request; return where the browser comes back to."""
        return walk(self._browser(username), f"{start}&g_continue=", self._callback)

    def _browser(self, username: str) -> Browser:
        """Return a browser in which somebody is signed in here."""
        browser = Browser()
        for method, path, document in (
            ("POST", "auth/", {"username": username, "password": PASSWORD}),
            ("PUT", f"auth/grant/{CLIENT}", {"scope": "openid"}),
        ):
            page = browser.ask(method, f"{self.url}/api/{path}", document=document)
            if page.status != 200:
                raise ToolError(f"{method} {path} answers {page.status}: {page.text}")
        self._browsers[username] = browser
        return browser

    def change(self, username: str, **properties: Any) -> None:
        """Give somebody these properties in place of all that he had."""
        self._api("PUT", f"user/{username}", _user(username, properties))

    def log_out(self, username: str, session: str) -> str:
        """End somebody's session; return the logout token that the client was sent."""
        self._logout_tokens.clear()
        page = self._browsers[username].ask("DELETE", f"{self.issuer}/session/{session}/")
        if page.status != 200:
            raise ToolError(f"the end of the session answers {page.status}: {page.text}")
        until = time.monotonic() + READY_SECONDS
        while not self._logout_tokens:
            if time.monotonic() > until:
                raise ToolError("glewlwyd sent no logout token")
            time.sleep(0.02)
        return str(self._logout_tokens[0])

    def _api(self, method: str, path: str, document: object) -> None:
        page = self._administrator.ask(method, f"{self.url}/api/{path}", document=document)
        if page.status != 200:
            log = (self.folder / "log").read_text()[-2000:]
            raise ToolError(f"{method} {path} answers {page.status}: {page.text} {log}")


def _user(username: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    scopes = {"scope": ["openid", "g_profile"], "enabled": True, "password": PASSWORD}
    return {"username": username} | scopes | dict(properties)


def _people_module() -> dict[str, Any]:
    groups = {"multiple": True, "read": True, "write": True}
    return {
        "module": "database",
        "name": "database",
        "display_name": "people",
        "order_rank": 0,
        "readonly": False,
        "parameters": {
            "use-glewlwyd-connection": True,
            "data-format": {"groups": groups | {"profile-read": True, "profile-write": False}},
        },
    }


def _oidc_plugin(issuer: str) -> dict[str, Any]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    claim = {"type": "string", "mandatory": True, "on-demand": False, "scope": []}
    on = (
        "allow-non-oidc",
        "auth-type-code-enabled",
        "auth-type-token-enabled",
        "auth-type-id-token-enabled",
        "auth-type-none-enabled",
        "auth-type-client-enabled",
        "auth-type-refresh-enabled",
        "refresh-token-rolling",
        "pkce-allowed",
        "session-management-allowed",
        "back-channel-logout-allowed",
        "front-channel-logout-allowed",
        "jwks-show",
        "discovery-allowed",
    )
    return {
        "module": "oidc",
        "name": "oidc",
        "display_name": "OpenID Connect",
        "parameters": dict.fromkeys(on, True)
        | {
            "iss": issuer,
            "jwt-type": "rsa",
            "jwt-key-size": "256",
            "key": private.decode(),
            "cert": public.decode(),
            "access-token-duration": 3600,
            "refresh-token-duration": 1209600,
            "code-duration": 600,
            "auth-type-password-enabled": False,
            "pkce-method-plain-allowed": False,
            "claims": [
                {"name": "groups", "user-property": "groups"} | claim,
                {"name": "preferred_username", "user-property": "username"} | claim,
            ],
            "email-claim": "mandatory",
            "name-claim": "mandatory",
            "scope-claim": "mandatory",
            "subject-type": "public",
            "secret-type": "pairwise",
            "session-cookie-name": "OIDC_SID",
            "session-cookie-expiration": 2419200,
        },
    }


def _client(callback: str, logout_tokens: str) -> dict[str, Any]:
    return {
        "client_id": CLIENT,
        "name": CLIENT,
        "enabled": True,
        "confidential": True,
        "client_secret": SECRET,
        "redirect_uri": [callback],
        "authorization_type": ["code", "refresh_token"],
        "token_endpoint_auth_method": ["client_secret_basic"],
        "scope": ["openid"],
        # These are texts here, neither booleans nor lists.
        "backchannel_logout_uri": logout_tokens,
        "backchannel_logout_session_required": "1",
        "post_logout_redirect_uris": callback,
    }
