"""A throw-away OpenLDAP server on loopback, as whoever runs the tests.

Free ports, its own folder, its own certificate authority, ended by its process id. The limits of
its bind accounts are those that administrators set, so that every way of stopping a search early
can be met on a real server.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import ldap3

from tests.servers.authority import Authority, ToolError, program, run
from tests.servers.stopping import stopped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

SUFFIX = "dc=example,dc=test"
PEOPLE = f"ou=people,{SUFFIX}"
ROLES = f"ou=roles,{SUFFIX}"
ADMIN = f"cn=admin,{SUFFIX}"
PASSWORD = "secret"
SERVER_ID = 1
READY_SECONDS = 30
STOP_SECONDS = 20

SCHEMA = Path("/etc/ldap/schema")
MODULES = Path("/usr/lib/ldap")


@dataclass(frozen=True, slots=True)
class Account:
    """A bind account below the suffix, with slapd's words for its limits."""

    name: str
    limits: str = ""

    @property
    def dn(self) -> str:
        """The account's DN."""
        return f"cn={self.name},{SUFFIX}"

    @property
    def password(self) -> str:
        """The account's password."""
        return f"{self.name}-password"


READER = Account("reader", "size=unlimited time=unlimited")
# Pages of 500, or of 200, and everything in the end.
PAGES_500 = Account("pages500", "size.soft=500 size.hard=500 size.pr=500 size.prtotal=unlimited")
PAGES_200 = Account("pages200", "size.soft=500 size.hard=500 size.pr=200 size.prtotal=unlimited")
# Stops with sizeLimitExceeded after 1000 entries, in the middle of a listing.
TOTAL_1000 = Account("total1000", "size.soft=500 size.hard=500 size.pr=200 size.prtotal=1000")
NO_PAGING = Account("nopaging", "size.soft=500 size.hard=500 size.prtotal=disabled")
# No limit, but no right to read what the "secret" lines of the access rules protect.
ACCOUNTS = (READER, PAGES_500, PAGES_200, TOTAL_1000, NO_PAGING)

OVERLAYS = ("memberof", "refint", "ppolicy", "syncprov")

OVERLAY_LINES = {
    "memberof": "overlay memberof\nmemberof-refint TRUE\nmemberof-dangling ignore\n",
    "refint": "overlay refint\nrefint_attributes member manager\nrefint_nothing cn=nobody\n",
    "ppolicy": (
        f'overlay ppolicy\nppolicy_default "cn=default,ou=policies,{SUFFIX}"\nppolicy_use_lockout\n'
    ),
    "syncprov": "overlay syncprov\nsyncprov-checkpoint 100 10\n",
}

# Lines of access control that stand before the rest, for tests that take rights away.
OPEN_ACCESS = f"""
access to attrs=userPassword by anonymous auth by * none
access to * by dn.children="{SUFFIX}" read by anonymous auth by * none
"""
ANONYMOUS_ACCESS = """
access to attrs=userPassword by anonymous auth by * none
access to * by * read
"""


class SlapdError(ToolError):
    """slapd failed; the message is what it said."""


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Slapd:
    """One server; use it as a context manager.

    ``overlays`` are loaded in the given order; ``access`` is slapd.conf's access control;
    ``options`` are further lines for the database and ``general`` for the server. ``ldif`` is
    loaded before the start, after the suffix, the bind accounts and the empty containers for people
    and roles. ``sessionlog`` is how many writes syncprov remembers (0: none), and ``loaded_as`` the
    server id that the first content bears; the server itself is 1. With ``reload_hint`` it refuses
    stale cookies.
    """

    def __init__(
        self,
        *,
        ldif: str = "",
        overlays: Iterable[str] = (),
        accounts: Iterable[Account] = ACCOUNTS,
        access: str = OPEN_ACCESS,
        options: str = "",
        general: str = "",
        certificate_names: str = "DNS:localhost,IP:127.0.0.1,IP:::1",
        certificate_days: int = 30,
        tls: bool = True,
        sizelimit: str = "size.soft=500 size.hard=500 size.unchecked=unlimited",
        durable: bool = False,
        sessionlog: int = 1000,
        loaded_as: int = SERVER_ID,
        reload_hint: bool = False,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slapd-"))
        self.port, self.tls_port = free_port(), free_port()
        self.url = f"ldap://127.0.0.1:{self.port}"
        self.tls_url = f"ldaps://127.0.0.1:{self.tls_port}"
        self.accounts = tuple(accounts)
        self._overlays = tuple(overlays)
        self._access, self._options, self._sizelimit = access, options, sizelimit
        self._general = general
        self._durable, self._tls = durable, tls
        self._sessionlog, self._reload_hint = sessionlog, reload_hint
        self._loaded_as = loaded_as
        self._server: subprocess.Popen[bytes] | None = None
        try:
            self.authority = Authority(self.folder / "tls")
            self.certificate, self.key = self.authority.issue(
                "server", names=certificate_names, days=certificate_days
            )
            (self.folder / "db").mkdir()
            self._configuration = self.folder / "slapd.conf"
            self._configuration.write_text(self._conf())
            self._load(self._base_ldif() + ldif)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    @property
    def ca_pem(self) -> str:
        """The certificate that clients have to trust."""
        return self.authority.pem

    @property
    def pid(self) -> int:
        """The running server's process id."""
        if self._server is None:
            message = "slapd is not running"
            raise SlapdError(message)
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
        urls = f"{self.url} {self.tls_url}" if self._tls else self.url
        # Any -d keeps slapd in the foreground; "stats" logs every operation.
        words = [program("slapd"), "-f", str(self._configuration), "-h", urls, "-d", "stats"]
        with self.log.open("ab") as log:
            self._server = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            if self._server.poll() is not None:
                raise SlapdError(self.log.read_text()[-2000:])
            with contextlib.suppress(OSError):
                # It opens one after the other.
                for port in (self.port, self.tls_port) if self._tls else (self.port,):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                return
            time.sleep(0.005)
        message = "slapd did not open its ports"
        raise SlapdError(message)

    def stop(self) -> None:
        """Stop the server; a paused one is woken first."""
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
        """Stop the server and delete everything it had."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Let the server's ports accept while nobody answers."""
        with stopped(self.pid):
            yield

    @property
    def log(self) -> Path:
        """Every operation that the server saw, one line each."""
        return self.folder / "log"

    def add(self, dn: str, **attributes: str | bytes | Sequence[str | bytes]) -> None:
        """Add an entry."""
        with self._admin() as admin:
            _check(admin.add(dn, None, attributes), admin)

    def modify(self, dn: str, changes: Mapping[str, Sequence[str | bytes]]) -> None:
        """Replace the values of attributes; no values delete one."""
        replaced = {name: [(ldap3.MODIFY_REPLACE, list(v))] for name, v in changes.items()}
        with self._admin() as admin:
            _check(admin.modify(dn, replaced), admin)

    def delete(self, *dns: str) -> None:
        """Delete entries."""
        with self._admin() as admin:
            for dn in dns:
                _check(admin.delete(dn), admin)

    def rename(self, dn: str, rdn: str, *, superior: str | None = None) -> None:
        """Rename an entry, and move it below ``superior``."""
        with self._admin() as admin:
            _check(admin.modify_dn(dn, rdn, new_superior=superior), admin)

    @contextlib.contextmanager
    def _admin(self) -> Iterator[ldap3.Connection]:
        server = ldap3.Server(self.url, get_info=ldap3.NONE)
        admin = ldap3.Connection(server, ADMIN, PASSWORD, auto_bind=True, raise_exceptions=True)
        try:
            yield admin
        finally:
            # ldap3's own context leaves a connection open that was bound before it.
            admin.unbind()

    def _load(self, ldif: str) -> None:
        # -w writes contextCSN, which syncprov needs; -q is quick because nobody else looks.
        words = [program("slapadd"), "-q", "-w", "-S", str(self._loaded_as), "-b", SUFFIX]
        words += ["-f", str(self._configuration)]
        run(words, stdin=ldif, folder=self.folder)

    def _tls_lines(self) -> list[str]:
        return [
            f"TLSCACertificateFile {self.authority.certificate}",
            f"TLSCertificateFile {self.certificate}",
            f"TLSCertificateKeyFile {self.key}",
            "TLSVerifyClient never",
        ]

    def _base_ldif(self) -> str:
        records = [f"dn: {SUFFIX}\nobjectClass: domain\ndc: example\n"]
        for name in ("people", "roles", "policies"):
            dn = f"ou={name},{SUFFIX}"
            records.append(f"dn: {dn}\nobjectClass: organizationalUnit\nou: {name}\n")
        records += [
            f"dn: {account.dn}\nobjectClass: organizationalRole\n"
            f"objectClass: simpleSecurityObject\ncn: {account.name}\n"
            f"userPassword: {account.password}\n"
            for account in self.accounts
        ]
        if "ppolicy" in self._overlays:
            records.append(
                f"dn: cn=default,ou=policies,{SUFFIX}\nobjectClass: pwdPolicy\n"
                "objectClass: organizationalRole\ncn: default\npwdAttribute: userPassword\n"
                "pwdLockout: TRUE\npwdMaxFailure: 3\npwdLockoutDuration: 300\n"
            )
        return "\n".join(records) + "\n"

    def _conf(self) -> str:
        includes = ("core", "cosine", "nis", "inetorgperson")
        limits = [
            f'limits dn.exact="{account.dn}" {account.limits}'
            for account in self.accounts
            if account.limits
        ]
        lines = [
            *(f"include {SCHEMA}/{name}.schema" for name in includes),
            f"modulepath {MODULES}",
            *(f"moduleload {name}" for name in ("back_mdb", *self._overlays)),
            f"pidfile {self.folder}/slapd.pid",
            f"argsfile {self.folder}/slapd.args",
            "threads 4",
            *(self._tls_lines() if self._tls else ()),
            f"sizelimit {self._sizelimit}",
            f"serverID {SERVER_ID}",
            self._general,
            "database mdb",
            f'suffix "{SUFFIX}"',
            f'rootdn "{ADMIN}"',
            f"rootpw {PASSWORD}",
            f"directory {self.folder}/db",
            "maxsize 4294967296",
            *([] if self._durable else ["envflags nosync"]),
            "index objectClass,entryUUID,uid,cn,member eq",
            "index createTimestamp,modifyTimestamp,entryCSN eq",
            "index mail eq,sub",
            *limits,
            self._access,
            self._options,
            *map(self._overlay, self._overlays),
        ]
        return "\n".join(lines) + "\n"

    def _overlay(self, name: str) -> str:
        lines = OVERLAY_LINES[name]
        if name == "syncprov" and self._sessionlog:
            lines += f"syncprov-sessionlog {self._sessionlog}\n"
        if name == "syncprov" and self._reload_hint:
            lines += "syncprov-reloadhint TRUE\n"
        return lines


def person(uid: str, *, container: str = PEOPLE, **attributes: str | Sequence[str]) -> str:
    """Return the LDIF record of a person; keywords replace or add attributes."""
    values: dict[str, str | Sequence[str]] = {
        "objectClass": ["inetOrgPerson"],
        "uid": uid,
        "cn": f"Person {uid}",
        "sn": uid.capitalize(),
        "givenName": "Person",
        "mail": f"{uid}@example.test",
    }
    lines = [f"dn: uid={uid},{container}"]
    for name, found in (values | attributes).items():
        lines += [f"{name}: {one}" for one in ([found] if isinstance(found, str) else found)]
    return "\n".join(lines) + "\n\n"


def people(count: int) -> str:
    """Return the LDIF of numbered people, ``u00000`` and on."""
    return "".join(person(f"u{number:05}") for number in range(count))


def _check(done: object, admin: ldap3.Connection) -> None:
    if not done:
        message = f"the directory refused the change: {admin.result}"
        raise SlapdError(message)
