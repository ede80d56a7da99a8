"""A throw-away 389 Directory Server on loopback, as whoever runs the tests.

Making one with its own tools takes ten seconds, so that is done once a session, into a template;
each server is a copy of it on free ports, ended by its process id. It has the suffix and the
names of the OpenLDAP server beside this module, and the plug-ins memberOf, referential integrity,
retro changelog and content synchronization.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import ldap3

from tests.servers.authority import ToolError, program, run
from tests.servers.slapd import READER, SUFFIX, Account, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ADMIN: Final = "cn=Directory Manager"
PASSWORD: Final = "secret-password"
ELSEWHERE: Final = f"ou=elsewhere,{SUFFIX}"
CHANGELOG: Final = "cn=changelog"
INSTANCE: Final = "t1"
READY_SECONDS: Final = 60
STOP_SECONDS: Final = 30

# What the server lets everybody else do: a search of 500 entries, or pages of them.
LIMITED: Final = Account("limited")
# It may read no entry at all, and is told success.
STRANGER: Final = Account("stranger")
ACCOUNTS: Final = (READER, LIMITED, STRANGER)
# Without what was written, which may hold password hashes.
READING_CHANGES: Final = (
    '(targetattr!="changes")(version 3.0; acl "readers of changes"; allow (read, search, compare) '
    f'userdn="ldap:///{READER.dn} || ldap:///{LIMITED.dn}";)'
)


class Ds389Error(ToolError):
    """389 Directory Server failed; the message is what it said."""


class DS389:
    """One server; use it as a context manager.

    ``template`` is a folder of ``ds389_template``; ``ldif`` is added after the start, in its order.
    """

    base_dn: Final = SUFFIX
    admin_dn: Final = ADMIN
    admin_password: Final = PASSWORD

    def __init__(self, template: Path, *, ldif: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ds389-"))
        self.port, self.tls_port = free_port(), free_port()
        self.url = f"ldap://127.0.0.1:{self.port}"
        self.accounts = ACCOUNTS
        self._ldif = ldif
        self._server: subprocess.Popen[bytes] | None = None
        try:
            self._prefix = self.folder / "prefix"
            shutil.copytree(template / "prefix", self._prefix, symlinks=True)
            ports = {"nsslapd-port": str(self.port), "nsslapd-secureport": str(self.tls_port)}
            text = self.dse.read_text().replace(f"{template}/prefix", str(self._prefix))
            self.dse.write_text(tuned(text, {"cn=config": ports}))
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    @property
    def dse(self) -> Path:
        """The server's configuration, to be changed while it is stopped."""
        return configuration(self._prefix)

    @property
    def pid(self) -> int:
        """The running server's process id."""
        if self._server is None:
            message = "389 Directory Server is not running"
            raise Ds389Error(message)
        return self._server.pid

    def __enter__(self) -> Self:
        try:
            self.start()
            if self._ldif:
                self.load(self._ldif)
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def start(self) -> None:
        """Start the server and wait until its port accepts; the content is what it was."""
        # "-d 0" keeps it in the foreground and says nothing more than errors.
        words = [program("ns-slapd"), "-D", str(self.dse.parent)]
        words += ["-i", str(self.folder / "pid"), "-d", "0"]
        with self.log.open("ab") as log:
            self._server = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )
        _await(self.port, self._server, self.log)

    def stop(self) -> None:
        """Stop the server in order, which takes it more than two seconds."""
        server, self._server = self._server, None
        if server is None or server.poll() is not None:
            return
        server.send_signal(signal.SIGCONT)
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()

    def remove(self) -> None:
        """End the server and delete everything it had."""
        server, self._server = self._server, None
        if server is not None and server.poll() is None:
            server.kill()
            server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def configure(self, settings: Mapping[str, Mapping[str, str]]) -> None:
        """Restart the server with other settings, by the beginning of an entry's DN."""
        self.stop()
        self.dse.write_text(tuned(self.dse.read_text(), settings))
        self.start()

    @property
    def log(self) -> Path:
        """What the server said of its own troubles."""
        return self.folder / "log"

    def load(self, ldif: str) -> None:
        """Add the entries of an LDIF text in order."""
        load(self.url, ldif, self.folder)

    def add(self, dn: str, **attributes: str | bytes | Sequence[str | bytes]) -> None:
        """Add an entry."""
        with self.admin() as admin:
            checked(admin.add(dn, None, attributes), admin)

    def modify(self, dn: str, changes: Mapping[str, Sequence[str | bytes]]) -> None:
        """Replace the values of attributes; no values delete one."""
        replaced = {name: [(ldap3.MODIFY_REPLACE, list(v))] for name, v in changes.items()}
        with self.admin() as admin:
            checked(admin.modify(dn, replaced), admin)

    def delete(self, *dns: str) -> None:
        """Delete entries."""
        with self.admin() as admin:
            for dn in dns:
                checked(admin.delete(dn), admin)

    def rename(self, dn: str, rdn: str, *, superior: str | None = None) -> None:
        """Rename an entry, and move it below ``superior``."""
        with self.admin() as admin:
            checked(admin.modify_dn(dn, rdn, new_superior=superior), admin)

    def allow_changelog(self, rights: str | None = READING_CHANGES) -> None:
        """Let the accounts read the retro changelog, which they may not by themselves."""
        self.modify(CHANGELOG, {"aci": [rights] if rights else []})

    def numbers(self) -> list[int]:
        """Return the numbers in the retro changelog, in order."""
        with self.admin() as admin:
            admin.search(CHANGELOG, "(changeNumber=*)", attributes=["changeNumber"])
            found = [each for each in admin.response or () if each["type"] == "searchResEntry"]
            return sorted(int(each["raw_attributes"]["changeNumber"][0]) for each in found)

    def trim(self, below: int) -> None:
        """Delete the changelog's entries with smaller numbers, as its age would."""
        self.delete(*(f"changenumber={number},{CHANGELOG}" for number in self._below(below)))

    def wait_for_trimming(self) -> None:
        """Wait until the server has trimmed the changelog down to its last entry."""
        until = time.monotonic() + READY_SECONDS
        while len(self.numbers()) > 1:
            if time.monotonic() > until:
                raise Ds389Error("the server did not trim its changelog")
            time.sleep(0.1)

    def _below(self, number: int) -> list[int]:
        return [each for each in self.numbers() if each < number]

    @contextlib.contextmanager
    def admin(self) -> Iterator[ldap3.Connection]:
        """Bind as the server's administrator."""
        with bound(self.url) as admin:
            yield admin


def configuration(prefix: Path) -> Path:
    """Return the file of a server's configuration."""
    return prefix / f"etc/dirsrv/slapd-{INSTANCE}/dse.ldif"


def tuned(text: str, settings: Mapping[str, Mapping[str, str]]) -> str:
    """Return a configuration with attributes replaced in the entries whose DNs begin so."""
    records = re.sub(r"\n ", "", text).split("\n\n")
    for index, record in enumerate(records):
        named = re.match(r"dn: (.*)", record.strip())
        dn = named[1].lower() if named else ""
        for beginning, values in settings.items():
            if dn == beginning or (beginning.endswith(",") and dn.startswith(beginning)):
                for name, value in values.items():
                    records[index] = _with(records[index], name, value)
    return "\n\n".join(records)


def _with(record: str, name: str, value: str) -> str:
    rest = re.sub(rf"(?im)^{re.escape(name)}:.*\n?", "", record)
    return f"{rest.rstrip()}\n{name}: {value}"


def _await(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        if server.poll() is not None:
            raise Ds389Error(log.read_text()[-2000:])
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.01)
    message = "389 Directory Server did not open its port"
    raise Ds389Error(message)


def load(url: str, ldif: str, folder: Path) -> None:
    """Add the entries of an LDIF text as the administrator."""
    words = [program("ldapadd"), "-x", "-H", url, "-D", ADMIN, "-w", PASSWORD]
    run(words, stdin=ldif, folder=folder)


@contextlib.contextmanager
def bound(url: str) -> Iterator[ldap3.Connection]:
    """Bind as the administrator."""
    server = ldap3.Server(url, get_info=ldap3.NONE)
    admin = ldap3.Connection(server, ADMIN, PASSWORD, auto_bind=True, raise_exceptions=True)
    try:
        yield admin
    finally:
        admin.unbind()


def checked(done: object, admin: ldap3.Connection) -> None:
    """Make sure that a change was made."""
    if not done:
        message = f"the directory refused the change: {admin.result}"
        raise Ds389Error(message)
