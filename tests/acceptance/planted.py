"""A daemon at its most talkative, people who sign in every way, and every secret of all that."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, quote, quote_plus, urlencode, urlsplit

import yaml

from syncd.app import App
from syncd.permissions import operator
from tests.acceptance.daemons import Daemon
from tests.acceptance.world import SYNCD
from tests.integration.web.visiting import Page, Visiting
from tests.servers.bent_provider import BentProvider
from tests.servers.portal import Portal
from tests.servers.provider import SECRET as CLIENT_SECRET
from tests.servers.relying_party import Browser
from tests.servers.slapd import PEOPLE, READER, Slapd, person

if TYPE_CHECKING:
    from pathlib import Path

DIRECTORY, OWN, PROVIDER = "acme", "beta", "corp"


def planted(name: str) -> str:
    """Return a secret that nothing else can look like."""
    return f"planted-{name}-{secrets.token_hex(12)}"


class Planted:
    """Three organizations with a portal each; a context manager that leaves no process behind.

    ``secrets`` has what must not be anywhere, by name; ``told`` what commands printed.
    """

    def __init__(self, folder: Path, template: Path) -> None:
        self.folder = folder
        (folder / "organizations").mkdir(parents=True)
        self.store = folder / "store.db"
        shutil.copy(template, self.store)
        self.secrets: dict[str, str] = {"client secret": CLIENT_SECRET}
        self.told: dict[str, str] = {}
        self._open = ExitStack()
        self.daemon = Daemon(self, SYNCD_LOG__LEVEL="debug", SYNCD_LOG__SEARCHES="true")
        self.url = f"http://127.0.0.1:{self.daemon.http}"

    @property
    def config(self) -> Path:
        """The daemon's file."""
        return self.folder / "syncd.yaml"

    def command(self, *words: str) -> list[str]:
        """Return the words that start the installed command here."""
        return [str(SYNCD), "--config", str(self.config), *words]

    def new(self, name: str) -> str:
        """Make a secret of this name."""
        self.secrets[name] = planted(name.replace(" ", "-"))
        return self.secrets[name]

    def keep(self, name: str, value: str | None) -> str:
        """Note a secret that came about."""
        assert value, name
        self.secrets[name] = value
        return value

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _start(self) -> None:
        ldif = person("ann", userPassword=self.new("directory password"))
        self.slapd = self._open.enter_context(Slapd(ldif=ldif))
        self.provider = self._open.enter_context(BentProvider({"ada": {"email": "ada@x.test"}}))
        self.portals = {
            org: self._open.enter_context(
                Portal(org, secret=self.new(f"portal secret of {org}"), syncd=self.url)
            )
            for org in (DIRECTORY, OWN, PROVIDER)
        }
        self.secrets["bind credential"] = READER.password
        ca = self.folder / "ca.pem"
        ca.write_text(self.slapd.ca_pem)
        self._organization(
            DIRECTORY,
            provider="ldap",
            certificates=[str(ca)],
            ldap={
                "connection_url": self.slapd.tls_url,
                "bind_dn": READER.dn,
                "bind_credential": READER.password,
                "users_dn": PEOPLE,
            },
        )
        self._organization(OWN, provider="admin")
        self._organization(
            PROVIDER,
            provider="idp",
            idp=self.provider.settings(default_scopes=["openid", "offline_access"]),
        )
        daemon = {
            "store": {"url": f"sqlite:///{self.store}"},
            "http": {"base_url": self.url},
            "metrics": {"port": self.daemon.metrics},
        }
        self._write(self.config, daemon)
        self.app = App.load(str(self.config), environ={})
        self._open.callback(self.app.close)
        self._open.enter_context(self.daemon)
        self.daemon.wait_for("web_listening")

    def _organization(self, org: str, **keys: Any) -> None:
        portal = self.portals[org].settings | {"api_access": True}
        document = {"organization": {"id": org, "name": org.title()}, "portals": [portal], **keys}
        self._write(self.folder / "organizations" / f"{org}.yaml", document)

    @staticmethod
    def _write(path: Path, document: Any) -> None:
        path.write_text(yaml.safe_dump(document))
        path.chmod(0o600)

    # --- what happens -----------------------------------------------------------------------

    def everything(self) -> None:
        """Let people sign in and out by every way, rightly and wrongly."""
        made = self.app.manage(OWN, operator("test")).users.create(
            email="eve@x.test", username="eve"
        )
        link = self.keep("invitation", made["mail"]["link"].rpartition("/")[2])
        self.app.redeem_link(link, self.new("own password"))
        for org, username, password in (
            (DIRECTORY, "ann", "directory password"),
            (OWN, "eve", "own password"),
        ):
            self._by_password(org, username, self.secrets[password])
        self._by_provider()
        self._commands()
        self._logout_tokens()

    def _commands(self) -> None:
        for name, words in {
            "check": ["-vv", "check", "--connect"],
            "sessions": ["--debug", "--json", "sessions", PROVIDER],
            "sync": ["--debug", "--json", "sync", DIRECTORY, "--user", "ann"],
            "wrong": ["--debug", "sessions", "end", OWN, "999999"],
        }.items():
            self.told[name] = self._command(*words)

    def _by_password(self, org: str, username: str, right: str) -> None:
        browser, portal = Visiting(self.daemon.http), self.portals[org]
        wrong = self.new(f"wrong password of {org}")
        assert browser.sign_in(org, username, wrong).status == 403
        # Some type it into the wrong field.
        assert browser.sign_in(org, self.new(f"password as name in {org}"), "x").status == 403
        self.keep(f"visit of {org}", browser.cookies["__Host-syncd-visit"])
        path = urlsplit(portal.sign_in_url(self.new(f"portal state of {org}")))
        query = f"?{path.query}"
        self._redeemed(org, browser, browser.sign_in(org, username, right, query))
        portal.end(portal.told[-1].body["session"]["id"])

    def _by_provider(self) -> None:
        browser, portal = Visiting(self.daemon.http), self.portals[PROVIDER]
        for fault in (None, "access_denied", "other_nonce", "invalid_grant", "no_state", "mac"):
            self.provider.fault = fault
            state = self.new(f"portal state of {PROVIDER} {fault}")
            shown = browser.get(f"/sign-in?{urlsplit(portal.sign_in_url(state)).query}")
            if 300 <= shown.status < 400:
                shown = browser.get(shown.header("location"))
            begun = browser.press(shown, f"/sign-in/{PROVIDER}")
            asked = parse_qs(urlsplit(begun.goes_on).query)
            for name in ("state", "nonce"):
                self.keep(f"{name} {fault}", asked[name][0])
            back = Browser().ask("GET", begun.goes_on).location
            callback = str(back).removeprefix(self.url)
            made = self.provider.sign_ins[-1]
            self.keep(f"provider code {fault}", made.code)
            page = browser.get(callback)
            if fault is None:
                replayed = browser.get(callback)
                assert replayed.status == 403, replayed.text
                self._tokens(made)
                self._redeemed(PROVIDER, browser, page)
                browser.cookies.pop("__Host-syncd-session")
            else:
                assert page.status in {403, 503}, (fault, page.status)
        self.provider.fault = None
        self.keep("visit", browser.cookies["__Host-syncd-visit"])
        for each in self.provider.requests:
            if verifier := each.form.get("code_verifier"):
                self.keep(f"verifier {verifier[:4]}", verifier)

    def _tokens(self, made: Any) -> None:
        self.keep("provider access token", made.access_token)
        self.keep("refresh token", made.refresh_token)

    def _logout_tokens(self) -> None:
        browser = Visiting(self.daemon.http)
        path = f"/sign-in/{PROVIDER}/backchannel-logout"
        for name, token, status in (
            ("logout token", self.provider.logout_token("ada"), 200),
            ("other logout token", self.provider.logout_token("ada", iss="https://x.test"), 400),
        ):
            # Its signature, as its claims are what the log may tell of.
            self.keep(name, token.rpartition(".")[2])
            page = browser.ask("POST", path, urlencode({"logout_token": token}))
            assert page.status == status, page.text

    def _redeemed(self, org: str, browser: Visiting, page: Page) -> None:
        """Let the portal have its code, ask by it, and show what is wrong."""
        portal = self.portals[org]
        assert page.status in {200, 303}, page.text
        code = self.keep(
            f"hand-off code of {org}", parse_qs(urlsplit(page.goes_on).query)["code"][0]
        )
        self.keep(f"session of {org}", browser.cookies["__Host-syncd-session"])
        shown = browser.get("/session")
        assert shown.status == 200, shown.text
        self.keep(f"form of {org}", shown.hidden["form"])
        right, portal.secret = portal.secret, self.new(f"wrong portal secret of {org}")
        assert portal.redeem(code).status == 401
        portal.secret = right
        told = portal.redeem(code)
        assert told.status == 200, told
        token = self.keep(f"access token of {org}", told.body["access_token"])
        assert self.api(f"/organizations/{org}/me", token) == 200
        assert self.api(f"/organizations/{org}/me", self.new(f"wrong token of {org}")) == 401
        assert portal.check(told.body["session"]["id"]).body["active"] is True

    def api(self, path: str, token: str) -> int:
        """Return the status of the API's answer."""
        headers = {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(f"{self.url}/api/v1{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def _command(self, *words: str) -> str:
        done = subprocess.run(
            self.command(*words), capture_output=True, text=True, check=False, cwd=self.folder
        )
        return done.stdout + done.stderr

    def read(self, url: str) -> str:
        """Return what there is at an address."""
        with urllib.request.urlopen(url, timeout=30) as answer:
            return str(answer.read().decode())


def spellings(secret: str) -> set[bytes]:
    """Return a secret as it might stand somewhere."""
    texts = {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    return {text.encode() for text in texts} | {b64encode(secret.encode()).rstrip(b"=")}
