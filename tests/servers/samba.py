"""A throw-away Samba domain controller on loopback: Active Directory's LDAP, as root or not.

A provisioned domain (``provision``) is made once and copied for every server, so all copies share
the domain's SID, the invocation id and every objectGUID of the template. Samba's ports are fixed:
root gives each server a loopback address of its own; anybody else moves the ports with a small
library that a C compiler makes (``portshift.c``).

The domain has the empty containers ``PEOPLE`` and ``GROUPS`` and, below ``CN=Users``, the account
``READER`` with an ordinary user's rights.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import ldap3

from tests.servers.authority import Authority, ToolError, program, run
from tests.servers.stopping import stopped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

REALM = "EXAMPLE.TEST"
SUFFIX = "DC=example,DC=test"
PEOPLE = f"OU=People,{SUFFIX}"
GROUPS = f"OU=Groups,{SUFFIX}"
ADMIN = f"CN=Administrator,CN=Users,{SUFFIX}"
PASSWORD = "Passw0rd!x"
READER = f"CN=reader,CN=Users,{SUFFIX}"
READER_PASSWORD = "Passw0rd!r"
READY_SECONDS = 60
STOP_SECONDS = 20

# An account that needs no password, enabled.
ENABLED = "544"
SHOW_DELETED = ("1.2.840.113556.1.4.417", True, None)

# The interpreter that has Debian's python3-samba.
PYTHON = "/usr/bin/python3"
HERE = Path(__file__).resolve().parent
FOLDERS = ("lock", "run", "ncalrpc", "ntp", "wb", "cache", "state", "etc")

CONFIGURATION = """[global]
  netbios name = DC1
  realm = {realm}
  workgroup = EXAMPLE
  server role = active directory domain controller
  server services = ldap
  interfaces = {address}/8
  bind interfaces only = yes
  ldap server require strong auth = no
  private dir = {folder}/private
  state directory = {folder}/state
  cache directory = {folder}/cache
  lock directory = {folder}/lock
  pid directory = {folder}/run
  ncalrpc dir = {folder}/ncalrpc
  binddns dir = {folder}/bind-dns
  ntp signd socket directory = {folder}/ntp
  winbindd socket directory = {folder}/wb
  tls enabled = yes
  tls keyfile = {key}
  tls certfile = {certificate}
  tls cafile = {authority}
  log level = 1
  log file = {folder}/log.%m
  dns update command = /bin/true
  spn update command = /bin/true
  gpo update command = /bin/true
  samba kcc command = /bin/true
"""


class SambaError(ToolError):
    """Samba failed; the message is what it said."""


def provision(template: Path) -> None:
    """Make the domain that every server is a copy of; a few seconds, once a session."""
    program("samba")
    unfinished = template.with_name(f"{template.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    _database("provision", str(unfinished), folder=unfinished)
    entries: list[tuple[str, Mapping[str, Sequence[str]]]] = [
        (PEOPLE, {"objectClass": ["organizationalUnit"]}),
        (GROUPS, {"objectClass": ["organizationalUnit"]}),
        (READER, user("reader", userAccountControl="512", password=READER_PASSWORD)),
    ]
    _load(unfinished, unfinished / "etc/smb.conf", entries)
    unfinished.rename(template)


def user(name: str, **attributes: str | Sequence[str]) -> dict[str, Sequence[str]]:
    """Return a person's attributes for ``load``; ``password`` sets one."""
    values: dict[str, str | Sequence[str]] = {
        "objectClass": "user",
        "sAMAccountName": name,
        "givenName": "Person",
        "sn": name.capitalize(),
        "mail": f"{name}@example.test",
        "userPrincipalName": f"{name}@example.test",
        "userAccountControl": ENABLED,
    }
    values |= attributes
    return {key: [one] if isinstance(one, str) else list(one) for key, one in values.items()}


def group(name: str, members: Iterable[str] = (), **attributes: str) -> dict[str, Sequence[str]]:
    """Return a group's attributes for ``load`` and ``add``."""
    values: dict[str, Sequence[str]] = {"objectClass": ["group"], "sAMAccountName": [name]}
    if found := list(members):
        values["member"] = found
    return values | {key: [one] for key, one in attributes.items()}


def dn_of(name: str, container: str = PEOPLE) -> str:
    """Return the DN of an entry that ``CN`` names."""
    return f"CN={name},{container}"


class SambaAD:
    """One domain controller, a copy of the template; use it as a context manager."""

    def __init__(self, template: Path, *, recycle_bin: bool = False) -> None:
        self.base_dn, self.admin_dn, self.password = SUFFIX, ADMIN, PASSWORD
        self._server: subprocess.Popen[bytes] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="samba-"))
        try:
            shutil.copytree(template, self.folder, symlinks=True, dirs_exist_ok=True)
            for name in FOLDERS:
                (self.folder / name).mkdir(exist_ok=True)
            self._shift = 0 if os.getuid() == 0 else _free_shift()
            self.address = "127.0.0.1" if self._shift else _free_address()
            self.port, self.tls_port = 389 + self._shift, 636 + self._shift
            self.url = f"ldap://{self.address}:{self.port}"
            self.ldaps_url = f"ldaps://{self.address}:{self.tls_port}"
            self.authority = Authority(self.folder / "tls")
            self._configuration = self.folder / "etc/test.conf"
            self._configure()
            if recycle_bin:
                self._database_of("recycle-bin")
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    @property
    def ca_pem(self) -> str:
        """The certificate that clients of ``ldaps_url`` and of StartTLS have to trust."""
        return self.authority.pem

    @property
    def log(self) -> Path:
        """What Samba said."""
        return self.folder / "samba.out"

    @property
    def pid(self) -> int:
        """The running server's process id."""
        if self._server is None:
            message = "samba is not running"
            raise SambaError(message)
        return self._server.pid

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def start(self) -> None:
        """Start the server and wait until its ports accept; the content is what it was."""
        environment = dict(os.environ)
        if self._shift:
            environment |= {"LD_PRELOAD": str(self._library()), "PORTSHIFT": str(self._shift)}
        # In the foreground and one process. It ends with its standard input, so that a killed
        # test run leaves no server behind.
        words = [program("samba"), "-s", str(self._configuration)]
        words += ["-i", "-M", "single", "--debug-stdout"]
        with self.log.open("ab") as log:
            self._server = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment
            )
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            if self._server.poll() is not None:
                raise SambaError(self.log.read_text()[-2000:])
            with contextlib.suppress(OSError):
                for port in (self.port, self.tls_port):
                    socket.create_connection((self.address, port), 1).close()
                return
            time.sleep(0.02)
        message = "samba did not open its ports"
        raise SambaError(message)

    def stop(self) -> None:
        """Stop the server; a paused one is woken first."""
        server, self._server = self._server, None
        if server is None:
            return
        if server.poll() is None:
            server.send_signal(signal.SIGCONT)
            server.terminate()
            try:
                server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        if server.stdin is not None:
            server.stdin.close()

    def remove(self) -> None:
        """Stop the server and delete everything it had."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Let the server's ports accept while nobody answers."""
        with stopped(self.pid):
            yield

    def add(self, dn: str, **attributes: str | bytes | Sequence[str | bytes]) -> None:
        """Add an entry over LDAP."""
        with self.bound() as admin:
            admin.add(dn, None, attributes)

    def modify(self, dn: str, changes: Mapping[str, Sequence[str | bytes]]) -> None:
        """Replace the values of attributes; no values delete one."""
        replaced = {name: [(ldap3.MODIFY_REPLACE, list(v))] for name, v in changes.items()}
        with self.bound() as admin:
            admin.modify(dn, replaced)

    def join(self, group_dn: str, *members: str) -> None:
        """Add members to a group."""
        with self.bound() as admin:
            admin.modify(group_dn, {"member": [(ldap3.MODIFY_ADD, list(members))]})

    def leave(self, group_dn: str, *members: str) -> None:
        """Take members out of a group."""
        with self.bound() as admin:
            admin.modify(group_dn, {"member": [(ldap3.MODIFY_DELETE, list(members))]})

    def delete(self, *dns: str) -> None:
        """Delete entries."""
        with self.bound() as admin:
            for dn in dns:
                admin.delete(dn)

    def rename(self, dn: str, rdn: str, *, superior: str | None = None) -> None:
        """Rename an entry, and move it below ``superior``."""
        with self.bound() as admin:
            admin.modify_dn(dn, rdn, new_superior=superior)

    def undelete(self, dn: str) -> None:
        """Bring back the deleted entry that had this DN, with what a tombstone still has.

        Samba fails to do so with the recycle bin: it wants ``isRecycled``, which is not there.
        """
        rdn = dn.partition(",")[0]
        with self.bound() as admin:
            admin.search(
                SUFFIX,
                f"(&(isDeleted=TRUE)(cn={rdn.partition('=')[2]}*))",
                attributes=["lastKnownParent"],
                controls=[SHOW_DELETED],  # type: ignore[call-arg]  # The stubs do not know it.
            )
            found = [each for each in admin.response or () if each["type"] == "searchResEntry"]
            if len(found) != 1:
                message = f"{len(found)} deleted entries are named {rdn}"
                raise SambaError(message)
            changes = {
                "isDeleted": [(ldap3.MODIFY_DELETE, [])],
                "distinguishedName": [(ldap3.MODIFY_REPLACE, [dn])],
            }
            admin.modify(found[0]["dn"], changes, controls=[SHOW_DELETED])

    def read(self, dn: str, *names: str) -> dict[str, list[bytes]]:
        """Return an entry's raw attributes."""
        with self.bound() as admin:
            admin.search(dn, "(objectClass=*)", ldap3.BASE, attributes=list(names) or ["*"])
            found = [each for each in admin.response or () if each["type"] == "searchResEntry"]
            return dict(found[0]["raw_attributes"])

    def load(self, entries: Iterable[tuple[str, Mapping[str, Sequence[str]]]]) -> None:
        """Add many entries in one transaction, about 3 ms each; the server may run."""
        _load(self.folder, self._configuration, entries)

    def bulk(self, users: int, group_name: str | None = None) -> list[str]:
        """Add people ``u00000`` and on, and a group of them all; return the people's DNs."""
        names = [f"u{number:05}" for number in range(users)]
        dns = [dn_of(name) for name in names]
        entries = [(dn_of(name), user(name)) for name in names]
        if group_name is not None:
            entries.append((dn_of(group_name, GROUPS), group(group_name, dns)))
        self.load(entries)
        return dns

    def tool(self, *words: str) -> None:
        """Run ``samba-tool`` straight on the database, also while the server runs."""
        run([program("samba-tool"), *words, "-s", str(self._configuration)], folder=self.folder)

    @contextlib.contextmanager
    def bound(self, dn: str = ADMIN, password: str = PASSWORD) -> Iterator[ldap3.Connection]:
        """Give an ``ldap3`` connection that raises what the directory refuses."""
        server = ldap3.Server(self.url, get_info=ldap3.NONE)
        admin = ldap3.Connection(
            server,
            dn,
            password,
            auto_bind=True,
            raise_exceptions=True,
            auto_referrals=False,
            check_names=False,
            # It fails on ranges with them.
            auto_range=False,
            return_empty_attributes=False,
        )
        try:
            yield admin
        finally:
            admin.unbind()

    def _configure(self) -> None:
        certificate, key = self.authority.issue(
            "server", names=f"DNS:dc1.example.test,DNS:localhost,IP:{self.address}"
        )
        # Samba refuses a key that others can read.
        key.chmod(0o600)
        self._configuration.write_text(
            CONFIGURATION.format(
                realm=REALM,
                address=self.address,
                folder=self.folder,
                key=key,
                certificate=certificate,
                authority=self.authority.certificate,
            )
        )

    def _database_of(self, action: str) -> None:
        database = str(self.folder / "private/sam.ldb")
        _database(action, database, str(self._configuration), folder=self.folder)

    def _library(self) -> Path:
        library = self.folder / "portshift.so"
        if not library.exists():
            source = str(HERE / "portshift.c")
            words = [program("gcc"), "-shared", "-fPIC", "-o", str(library), source, "-ldl"]
            run(words, folder=self.folder)
        return library


def _database(action: str, *words: str, folder: Path, stdin: str | None = None) -> None:
    # -P: this folder's samba.py must not stand before Debian's package of that name.
    script = [PYTHON, "-P", str(HERE / "samba_database.py")]
    run([*script, action, *words], folder=folder, stdin=stdin)


def _load(
    folder: Path,
    configuration: Path,
    entries: Iterable[tuple[str, Mapping[str, Sequence[str]]]],
) -> None:
    words = [str(folder / "private/sam.ldb"), str(configuration)]
    _database("load", *words, folder=folder, stdin=json.dumps(list(entries)))


def _free_address() -> str:
    """Return a loopback address whose LDAP ports nobody listens on."""
    for _ in range(20):
        # Far from the addresses that people give to servers of their own.
        third, last = secrets.randbelow(256), 2 + secrets.randbelow(249)
        address = f"127.{64 + secrets.randbelow(187)}.{third}.{last}"
        with contextlib.suppress(OSError):
            for port in (389, 636, 3268, 3269):
                socket.create_server((address, port)).close()
            return address
    message = "something listens on port 389, 636, 3268 or 3269 of every address of this machine"
    raise SambaError(message)


def _free_shift() -> int:
    """Return how far Samba's ports are moved so that they are free."""
    for _ in range(50):
        shift = 10_000 + secrets.randbelow(40_000)
        with contextlib.suppress(OSError):
            for port in (389, 636, 3268, 3269):
                socket.create_server(("127.0.0.1", port + shift)).close()
            return shift
    message = "found no free ports for samba"
    raise SambaError(message)
