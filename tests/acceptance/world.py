"""A small world to drive the installed command in: a directory, a store, a configuration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.servers.slapd import PEOPLE, READER, ROLES, Slapd

ORGANIZATION = "acme"
SYNCD = Path(sys.executable).with_name("syncd")
PATIENCE_SECONDS = 120


def role(name: str, *members: str, container: str = ROLES, **attributes: str) -> str:
    """Return the LDIF record of a role with members, each a uid below the people or a whole DN."""
    lines = [f"dn: cn={name},{container}", "objectClass: groupOfNames", f"cn: {name}"]
    lines += [f"{key}: {value}" for key, value in attributes.items()]
    lines += [f"member: {member_dn(member)}" for member in members or ("cn=nobody",)]
    return "\n".join(lines) + "\n\n"


def member_dn(member: str) -> str:
    """Return the DN of a uid below the people; a DN as it is."""
    return member if "=" in member else f"uid={member},{PEOPLE}"


@dataclass
class Answer:
    """What one command did."""

    code: int
    out: str
    err: str
    words: tuple[str, ...] = ()

    @property
    def document(self) -> Any:
        """The JSON document on standard output."""
        return json.loads(self.out)


@dataclass
class World:
    """One organization over one directory and one store; all in one temporary folder."""

    folder: Path
    slapd: Slapd
    store_url: str
    # Another address to reach the directory by: the fault proxy's.
    url: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "organizations").mkdir(parents=True, exist_ok=True)
        (self.folder / "ca.pem").write_text(self.slapd.ca_pem)
        self.configure()

    @property
    def config(self) -> Path:
        """The daemon's file."""
        return self.folder / "syncd.yaml"

    @property
    def organization_file(self) -> Path:
        """The organization's file."""
        return self.folder / "organizations" / f"{ORGANIZATION}.yaml"

    def configure(self, *, ldap: dict[str, Any] | None = None, **organization: Any) -> None:
        """Write the configuration anew: the defaults with these keys laid over them.

        ``ldap`` replaces keys of the directory's section, other keywords keys of the
        organization's file; a value of ``...`` leaves a key out.
        """
        section = {
            "connection_url": self.url or self.slapd.tls_url,
            "bind_dn": READER.dn,
            "bind_credential": READER.password,
            "users_dn": PEOPLE,
            "connect_timeout": 5,
            "read_timeout": 5,
            "import_roles": {"roles_dn": ROLES},
        }
        if self.url and self.url.startswith("ldap://"):
            section["insecure_clear_text_bind"] = True
        document = {
            "organization": {"id": ORGANIZATION, "name": "Acme Corp"},
            "provider": "ldap",
            "certificates": [str(self.folder / "ca.pem")],
            "ldap": _laid_over(section, ldap or {}),
        }
        document = _laid_over(document, organization)
        self.organization_file.write_text(yaml.safe_dump(document, sort_keys=False))
        daemon = {"store": {"url": self.store_url}, "organizations": "organizations/*.yaml"}
        self.config.write_text(yaml.safe_dump(daemon))

    def command(self, *words: str) -> list[str]:
        """Return the words that start the installed command here."""
        return [str(SYNCD), "--config", str(self.config), *words]

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command and do not wait for it."""
        return subprocess.Popen(
            self.command(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=dict(os.environ) | environment,
        )

    def syncd(self, *words: str, code: int | None = None, **environment: str) -> Answer:
        """Run a command; check its exit code when one is expected."""
        process = self.start(*words, **environment)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        answer = Answer(process.returncode, out, err, words)
        assert code is None or answer.code == code, f"{words}: {answer.code}\n{out}\n{err}"
        return answer

    def json(self, *words: str, code: int | None = 0) -> Any:
        """Run a command with --json; return its document."""
        return self.syncd("--json", *words, code=code).document

    def upgrade(self) -> None:
        """Make the store's schema."""
        self.syncd("db", "upgrade", code=0)

    def plan(self, code: int | None = None) -> Any:
        """Plan a full sync."""
        return self.json("plan", ORGANIZATION, code=code)

    def sync(self, code: int | None = 0) -> Any:
        """Run a full sync."""
        return self.json("sync", ORGANIZATION, code=code)

    def users(self) -> dict[str, Any]:
        """Return the people by username; of two with one name the living one."""
        people = self.json("users", ORGANIZATION)
        return {user["username"]: user for user in sorted(people, key=lambda user: user["enabled"])}

    def roles_of(self, username: str) -> dict[str, list[str]]:
        """Return a person's roles with their sources, without the default one."""
        user = self.json("show", ORGANIZATION, username)
        return {each["name"]: each["sources"] for each in user["roles"] if each["name"] != "User"}

    def quarantine(self) -> dict[str, str]:
        """Return the reasons of quarantined entries by DN."""
        return {each["dn"]: each["reason"] for each in self.json("quarantine", ORGANIZATION)}


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**below, **above}.items() if value is not ...}
