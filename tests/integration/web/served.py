"""A store with a few organizations, and the listening process that serves the API over it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml

from syncd.app import App
from syncd.permissions import SECTIONS, Level, operator
from tests.servers.slapd import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncd.managing import Management

SYNCD = Path(sys.executable).with_name("syncd")
PATIENCE_SECONDS = 60
PREFIX = "/api/v1/organizations"
PORTAL_SECRET = "the secret of the portal of acme, colons: and 100 % ümläuts"
# acme and beta make their people themselves; corp has a directory that nobody asks here.
ORGANIZATIONS: Mapping[str, dict[str, Any]] = {
    "acme": {
        "organization": {"id": "acme", "name": "Acme Corp"},
        "provider": "admin",
        "portals": [
            {
                "client_id": "intranet",
                "client_secret": PORTAL_SECRET,
                "redirect_uris": ["https://intranet.example.test/in"],
                "post_logout_redirect_uris": ["https://intranet.example.test/"],
            },
            {
                "client_id": "console",
                "client_secret": PORTAL_SECRET[::-1],
                "redirect_uris": ["https://console.example.test/in?a=b"],
                "api_access": True,
            },
        ],
    },
    "beta": {"organization": {"id": "beta", "name": "Beta Corp"}, "provider": "admin"},
    "corp": {
        "organization": {"id": "corp", "name": "Corp"},
        "provider": "ldap",
        "ldap": {
            "connection_url": "ldap://127.0.0.1:1",
            "certificate_trust": "with_system",
            "bind_type": "anonymous",
            "users_dn": "ou=people,dc=example,dc=test",
        },
    },
}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        """The JSON in it."""
        return json.loads(self.raw)

    @property
    def reason(self) -> str:
        """The word of a problem, which has to be a whole one."""
        problem = self.body
        assert self.headers["content-type"] == "application/problem+json", problem
        assert problem["status"] == self.status
        assert problem["type"] == f"urn:syncd:problem:{problem['reason']}"
        assert problem["detail"]
        assert problem["title"]
        return str(problem["reason"])


class Served:
    """A running ``syncd run --only web``; a context manager that leaves no process behind."""

    def __init__(self, folder: Path, store_url: str) -> None:
        self.folder = folder
        self.port = free_port()
        (folder / "organizations").mkdir(parents=True)
        self.config = folder / "syncd.yaml"
        self.configure(store={"url": store_url})
        for name, organization in ORGANIZATIONS.items():
            self.organization(name, organization)
        self.app = App.load(str(self.config), environ={})
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes]

    def configure(self, **daemon: Any) -> None:
        """Write the daemon's file, with these keys changed."""
        before = yaml.safe_load(self.config.read_text()) if self.config.exists() else {}
        http_ = {
            "port": self.port,
            "base_url": f"http://127.0.0.1:{self.port}",
            # A test may be a proxy.
            "trusted_proxies": ["127.0.0.1"],
        }
        fixed = {"http": http_, "metrics": {"port": free_port()}}
        self.config.write_text(yaml.safe_dump(fixed | before | daemon))

    def organization(self, name: str, organization: Mapping[str, Any]) -> None:
        """Write an organization's file."""
        path = self.folder / "organizations" / f"{name}.yaml"
        path.write_text(yaml.safe_dump(dict(organization)))

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(SYNCD), "--config", str(self.config), "run", "--only", "web"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=self.folder,
                env=dict(os.environ) | {"PYTHONDONTWRITEBYTECODE": ""},
            )
        until = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self.app.close()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _answers(self) -> bool:
        try:
            return self.ask("GET", "/healthz", token=None, whole=True).status == 200
        except OSError:
            return False

    def reload(self) -> None:
        """Let the configuration be read again."""
        self.process.send_signal(signal.SIGHUP)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the installed command."""
        return subprocess.run(
            [str(SYNCD), "--config", str(self.config), *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
        )

    # --- asking -----------------------------------------------------------------------------

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None,
        whole: bool = False,
        raw: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask for a path below the organizations, or for a whole one."""
        given = dict(headers or {})
        if token is not None:
            given.setdefault("Authorization", f"Bearer {token}")
        if body is not None:
            raw = json.dumps(body).encode()
            given.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, path if whole else PREFIX + path, raw, given)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()

    # --- preparing --------------------------------------------------------------------------

    def manage(self, org: str = "acme") -> Management:
        """Return what an operator can do."""
        return self.app.manage(org, operator("test"))

    def token(
        self,
        org: str = "acme",
        *,
        all_: Level = Level.NONE,
        user: int | None = None,
        section: tuple[str, str] | None = None,
        **scopes: str,
    ) -> str:
        """Make a token; keywords are sections, and so is ``section`` with its level."""
        levels = dict.fromkeys(SECTIONS, all_)
        levels |= {name: Level.of(word) for name, word in scopes.items()}
        if section is not None:
            levels[section[0]] = Level.of(section[1])
        tokens = self.manage(org).tokens
        made = tokens.create("a test", levels, lifetime=timedelta(hours=1), user_id=user)
        return str(made["token"])

    def person(self, username: str, *roles: int, org: str = "acme") -> int:
        """Make a person who may sign in; return the id."""
        users = self.manage(org).users
        made = users.create(
            email=f"{username}@example.test", username=username, roles=roles, invite=False
        )
        user_id = int(made["id"])
        self.sql("delete from restrictions where user_id = :id", id=user_id)
        self.sql("update users set enabled = true where id = :id", id=user_id)
        return user_id

    def sql(self, statement: str, **values: Any) -> list[Any]:
        """Run a statement on the store, as another program that shares it would."""
        from sqlalchemy import text  # noqa: PLC0415 - few tests reach so deep

        with self.app.database().write() as connection:
            result = connection.execute(text(statement), values)
            return list(result) if result.returns_rows else []
