"""A throw-away OpenID Connect provider on loopback: node-oidc-provider.

Its packages are what ``node/package-lock.json`` says, installed once into the environment's folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urljoin

from tests.servers.authority import ToolError, program, run
from tests.servers.relying_party import Browser, RelyingParty, metadata, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.servers.relying_party import Page, SignedIn

STOP_SECONDS = 20
SOURCE = Path(__file__).with_name("node")
SCRIPT = SOURCE / "oidc_provider.mjs"
CALLBACK = "http://127.0.0.1:9/callback"
SECRET = "a secret of the registration, long enough for HS256"
AUDIENCE = "https://syncd.example.test/api"
SCOPE = "syncd"
SCOPES = f"{SCOPE} other"
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
_ACTION = re.compile(r'action="([^"]+)"')
_PROMPT = re.compile(r'name="prompt" value="(\w+)"')


def packages() -> Path:
    """Return the folder of the provider's packages; install them at the first call ever.

    Raises:
        ToolError: npm is missing or cannot reach its registry.

    """
    lock = (SOURCE / "package-lock.json").read_bytes()
    root = Path(sys.prefix) / "share" / "syncd-test-servers"
    root.mkdir(parents=True, exist_ok=True)
    folder = root / hashlib.sha256(lock).hexdigest()[:16]
    with (root / "lock").open("w") as held:
        # Test processes share it.
        fcntl.flock(held, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=root) as scratch:
                made = Path(scratch) / "made"
                made.mkdir()
                for name in ("package.json", "package-lock.json"):
                    shutil.copy(SOURCE / name, made)
                words = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
                run([program("npm"), *words], folder=made)
                made.rename(folder)
    return folder / "node_modules"


class OidcProvider:
    """One provider; use it as a context manager. ``users`` are claims by subject.

    ``callback`` is where it sends people back to, ``logout_tokens`` where its logout tokens go (by
    default to itself), ``signed_out`` where it sends people after its own logout page, which is
    there only then. It trusts the certificates of ``authority`` besides.
    """

    def __init__(
        self,
        users: Mapping[str, Mapping[str, Any]],
        *,
        callback: str = CALLBACK,
        logout_tokens: str | None = None,
        signed_out: str | None = None,
        authority: Path | None = None,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="oidc-provider-"))
        self._users = users
        self._callback, self._authority = callback, authority
        self._logout_tokens, self._signed_out = logout_tokens, signed_out
        self._server: subprocess.Popen[str] | None = None
        self.issuer = ""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        # node looks for packages beside the file that imports them.
        (self.folder / "node_modules").symlink_to(packages())
        shutil.copy(SCRIPT, self.folder)
        settings = {
            "secret": SECRET,
            "callback": self._callback,
            "audience": AUDIENCE,
            "scope": SCOPES,
            "users": self._users,
            "logoutTokens": self._logout_tokens,
            "signedOut": self._signed_out,
        }
        trusted = {"NODE_EXTRA_CA_CERTS": str(self._authority)} if self._authority else {}
        with (self.folder / "log").open("w") as log:
            self._server = subprocess.Popen(
                [program("node"), self.folder / SCRIPT.name, json.dumps(settings)],
                # It ends with its standard input, so it does not outlive a test process.
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self.folder,
                env=dict(os.environ) | trusted,
            )
        assert self._server.stdout is not None
        for line in self._server.stdout:
            if line.startswith('{"issuer"'):
                self.issuer = json.loads(line)["issuer"]
                self.metadata = metadata(self.issuer)
                return
        raise ToolError((self.folder / "log").read_text()[-2000:])

    def stop(self) -> None:
        """Stop the provider and delete everything it had."""
        server, self._server = self._server, None
        if server is not None:
            assert server.stdin is not None
            server.stdin.close()
            try:
                server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            assert server.stdout is not None
            server.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def client_id(self, algorithm: str = "RS256") -> str:
        """Return the registration whose ID tokens are signed so."""
        return f"syncd-{algorithm.lower()}"

    def sign_in(
        self,
        subject: str,
        *,
        algorithm: str = "RS256",
        scope: str = "openid profile email groups",
        **asked: str,
    ) -> SignedIn:
        """Sign somebody in, in a browser of his own."""
        party = RelyingParty(self.metadata, self.client_id(algorithm), SECRET, self._callback)
        browser = Browser()
        return party.sign_in(browser, _typing(browser, subject), scope=scope, **asked)

    def walk(self, start: str, subject: str) -> str:
        """Sign somebody in for a client's own request; return where the browser comes back to."""
        browser = Browser()
        return walk(browser, start, self._callback, _typing(browser, subject))

    def for_api(self, subject: str, *, scope: str = SCOPE) -> str:
        """Return an access token of somebody for the API (RFC 9068)."""
        return self.sign_in(subject, scope=f"openid {scope}", resource=AUDIENCE).access_token

    def for_service(self) -> str:
        """Return an access token for the API that is of no person."""
        service = RelyingParty(self.metadata, "a-service", SECRET, CALLBACK)
        answer = service.tokens(grant_type="client_credentials", resource=AUDIENCE, scope=SCOPE)
        return str(answer["access_token"])

    def put(self, subject: str, **claims: Any) -> None:
        """Make somebody, or give him these claims in place of all that he had."""
        self._control("PUT", f"users/{quote(subject, safe='')}", claims)

    def remove(self, subject: str) -> None:
        """Take somebody away."""
        self._control("DELETE", f"users/{quote(subject, safe='')}")

    def rotate_keys(self, *, keep: bool) -> None:
        """Sign with new keys from now on; without ``keep`` the old ones are published no more."""
        self._control("POST", "rotate", {"keep": keep})

    def log_out(self, subject: str, session: str, *, algorithm: str = "RS256") -> str:
        """End somebody's session; return the logout token, if it came to the provider itself."""
        asked = {"client": self.client_id(algorithm), "subject": subject, "session": session}
        return str(self._control("POST", "log-out", asked).get("logout_token", ""))

    def _control(self, method: str, path: str, body: object = None) -> Any:
        page = Browser().ask(method, f"{self.issuer}/test/{path}", document=body)
        if page.status != 200:
            log = (self.folder / "log").read_text()
            raise ToolError(f"{method} {path} answers {page.status}: {page.text} {log}")
        return json.loads(page.text)


def _typing(browser: Browser, subject: str) -> Callable[[Page], Page]:
    """Return what fills in the provider's pages for somebody."""

    def turn_page(page: Page) -> Page:
        action, prompt = _ACTION.search(page.text), _PROMPT.search(page.text)
        if action is None or prompt is None:
            raise ToolError(page.text[:2000])
        form = {"prompt": prompt[1], "login": subject, "password": "any"}
        return browser.ask("POST", urljoin(page.url, action[1]), form=form)

    return turn_page
