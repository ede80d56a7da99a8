"""A whole syncd over TLS for browsers: a directory, people of its own, and two providers."""

from __future__ import annotations

import base64
import hashlib
import socket
import subprocess
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import yaml

from syncd.access.visits import callback_url, logout_token_url, signed_out_url
from syncd.app import App
from syncd.permissions import operator
from tests.acceptance.daemons import PATIENCE_SECONDS, Daemon
from tests.acceptance.world import SYNCD
from tests.servers.authority import Authority, program
from tests.servers.bent_provider import BentProvider
from tests.servers.oidc_provider import SECRET, OidcProvider
from tests.servers.portal import Portal
from tests.servers.slapd import PEOPLE, READER, Slapd, person

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PASSWORD = "correct horse battery staple"
# By organization: acme has a directory, beta keeps its people here, corp and bent have providers.
DIRECTORY, OWN, PROVIDER, BENT = "acme", "beta", "corp", "bent"
ANN, BEA, KIM = "ann", "bea", "kim"
KIM_CLAIMS = {
    "preferred_username": KIM,
    "given_name": "Kim",
    "family_name": "King",
    "email": "kim@example.test",
    "email_verified": True,
}


class BrowserWorld:
    """Everything that a browser meets; a context manager that leaves no process behind."""

    def __init__(self, folder: Path, store_url: str) -> None:
        self.folder = folder
        (folder / "organizations").mkdir(parents=True)
        self.authority = Authority(folder / "tls")
        self._certificate, self._key = self.authority.issue("localhost", names="DNS:localhost")
        self._store_url = store_url
        self._open = ExitStack()
        self.daemon = Daemon(self, "--only", "web", SYNCD_LOG__LEVEL="debug")
        self.url = f"https://localhost:{self.daemon.http}"

    @property
    def config(self) -> Path:
        """The daemon's file."""
        return self.folder / "syncd.yaml"

    @property
    def trusted_key(self) -> str:
        """The hash of the server's public key, by which Chromium is told to trust it."""
        public = [program("openssl"), "x509", "-in", str(self._certificate), "-noout", "-pubkey"]
        der = [program("openssl"), "pkey", "-pubin", "-outform", "der"]
        pem = subprocess.run(public, check=True, capture_output=True).stdout
        found = subprocess.run(der, check=True, capture_output=True, input=pem).stdout
        return base64.b64encode(hashlib.sha256(found).digest()).decode()

    def command(self, *words: str) -> list[str]:
        """Return the words that start the installed command here."""
        return [str(SYNCD), "--config", str(self.config), *words]

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def provider_session(self, username: str) -> str:
        """Return what the provider calls somebody's session."""
        from sqlalchemy import text  # noqa: PLC0415 - one test reaches so deep

        with self.app.database().write() as connection:
            sids = connection.execute(
                text(
                    "select sid from sessions join users on users.id = sessions.user_id "
                    "where username = :username and ended_at is null"
                ),
                {"username": username},
            ).scalars()
            return str(list(sids)[-1])

    def _start(self) -> None:
        ldif = person(ANN, givenName="Ann", sn="Archer", userPassword=PASSWORD)
        self.slapd = self._open.enter_context(Slapd(ldif=ldif))
        self.provider = self._open.enter_context(
            OidcProvider(
                {KIM: KIM_CLAIMS},
                callback=callback_url(self.url, PROVIDER),
                logout_tokens=logout_token_url(self.url, PROVIDER),
                signed_out=signed_out_url(self.url),
                authority=self.authority.certificate,
            )
        )
        self.bent = self._open.enter_context(BentProvider())
        self.portals = {
            org: self._open.enter_context(
                Portal(org, syncd=self.url, authority=self.authority.certificate)
            )
            for org in (DIRECTORY, PROVIDER)
        }
        self._configure()
        self.app = App.load(str(self.config), environ={})
        self._open.callback(self.app.close)
        users = self.app.manage(OWN, operator("test")).users
        made = users.create(email="bea@example.test", username=BEA, first_name="Bea")
        self.app.redeem_link(made["mail"]["link"].rpartition("/")[2], PASSWORD)
        self._open.enter_context(self.daemon)
        self.daemon.wait_for("web_listening")
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.daemon.http)) == 0:
                    return
            time.sleep(0.02)

    def _configure(self) -> None:
        http = {"base_url": self.url, "tls_certificate": str(self._certificate)}
        daemon = {
            "store": {"url": self._store_url},
            "http": http | {"tls_key": str(self._key)},
            # Browsers come from one address, and try a lot.
            "sign_in": {"attempts_per_address": 1_000},
        }
        self.config.write_text(yaml.safe_dump(daemon))
        (self.folder / "ca.pem").write_text(self.slapd.ca_pem)
        directory = {
            "connection_url": self.slapd.tls_url,
            "bind_dn": READER.dn,
            "bind_credential": READER.password,
            "users_dn": PEOPLE,
            "periodic_full_sync": False,
            "periodic_changed_users_sync": False,
        }
        told = self.provider.metadata
        provider = {
            "issuer": self.provider.issuer,
            "client_id": self.provider.client_id(),
            "client_secret": SECRET,
            "authorization_url": told["authorization_endpoint"],
            "token_url": told["token_endpoint"],
            "userinfo_url": told["userinfo_endpoint"],
            "jwks_url": told["jwks_uri"],
            "logout_url": told["end_session_endpoint"],
            "default_scopes": ["openid", "profile", "email"],
        }
        self._organization(
            DIRECTORY, "Acme Corp", "ldap", certificates=["../ca.pem"], ldap=directory
        )
        self._organization(OWN, "Beta Limited", "admin")
        self._organization(PROVIDER, "Corp and Sons", "idp", idp=provider)
        bent = self.bent.settings(logout_url=None)
        self._organization(BENT, "Bent Brothers", "idp", idp=bent)

    def _organization(self, org: str, name: str, provider: str, **sections: Any) -> None:
        document: Mapping[str, Any] = {
            "organization": {"id": org, "name": name},
            "provider": provider,
            **sections,
        }
        if org in self.portals:
            document = {**document, "portals": [self.portals[org].settings]}
        path = self.folder / "organizations" / f"{org}.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
