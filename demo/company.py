"""The company in the embedded directory: starting it, and a Monday's changes in it over LDAP."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ldap3

if TYPE_CHECKING:
    from collections.abc import Iterator

LDIF = Path(__file__).with_name("company.ldif")
SUFFIX = "dc=muehle,dc=example"
PEOPLE = f"ou=people,{SUFFIX}"
ROLES = f"ou=roles,{SUFFIX}"
GROUPS = f"ou=groups,{SUFFIX}"
SOFTWARE = f"ou=software,ou=engineering,{PEOPLE}"
WORKSHOP = f"ou=workshop,{PEOPLE}"
READER = f"cn=reader,{SUFFIX}"
ADMIN = f"cn=admin,{SUFFIX}"


def password(dn: str) -> str:
    """Return the password of one of the two service accounts of ``company.ldif``."""
    return f"{dn.partition(',')[0].removeprefix('cn=')}-of-the-demo"


class ChangeRefused(Exception):
    """The demo's directory did not take a change."""


@dataclass(frozen=True, slots=True)
class Company:
    """A running directory."""

    url: str
    certificate: Path
    # An ldapi:// URL; nobody else may enter the folder that the socket is in.
    socket: str

    @contextlib.contextmanager
    def administrator(self) -> Iterator[ldap3.Connection]:
        """Yield a connection that may write, on the server's own machine by its unix socket."""
        server = ldap3.Server(self.socket, get_info=ldap3.NONE)
        connection = ldap3.Connection(server, ADMIN, password(ADMIN), auto_bind=True)
        try:
            yield connection
        finally:
            connection.unbind()

    def monday(self) -> None:
        """Make a joiner, a leaver, a new name and a change of a role."""
        nils = f"uid=noeberg,{SOFTWARE}"
        with self.administrator() as directory:
            steps = [
                directory.add(
                    nils,
                    ["inetOrgPerson"],
                    {
                        "uid": "noeberg",
                        "cn": "Nils Öberg",
                        "givenName": "Nils",
                        "sn": "Öberg",
                        "mail": "noeberg@muehle.example",
                        "title": "Developer",
                    },
                ),
                directory.modify(
                    f"cn=Developers,{ROLES}", {"member": [(ldap3.MODIFY_ADD, [nils])]}
                ),
                directory.delete(f"uid=spetrov,{WORKSHOP}"),
                directory.modify(
                    f"uid=mkeller,{SOFTWARE}",
                    {
                        "sn": [(ldap3.MODIFY_REPLACE, ["Keller-Brandt"])],
                        "cn": [(ldap3.MODIFY_REPLACE, ["Marta Keller-Brandt"])],
                        "mail": [(ldap3.MODIFY_REPLACE, ["mbrandt@muehle.example"])],
                    },
                ),
                directory.modify_dn(f"uid=mkeller,{SOFTWARE}", "uid=mbrandt"),
                directory.modify(
                    f"cn=Geräteprüfer,{ROLES}",
                    {"member": [(ldap3.MODIFY_ADD, [f"uid=nivanova,{WORKSHOP}"])]},
                ),
            ]
            if not all(steps):
                raise ChangeRefused(str(directory.result))


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Company]:
    """Run the directory, with its certificate in ``folder``, until the block ends."""
    with subprocess.Popen(
        [sys.executable, "-m", "demo.directory", folder, LDIF],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=LDIF.parent.parent,
    ) as server:
        if server.stdin is None or server.stdout is None:
            raise AssertionError
        try:
            ready = json.loads(server.stdout.readline())
            yield Company(ready["url"], Path(ready["certificate"]), ready["socket"])
        finally:
            # The directory ends when its input does, even if this process is killed.
            server.stdin.close()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
