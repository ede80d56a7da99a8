"""Makes a stopped 389 Directory Server with its own tools, to be copied.

It listens on loopback alone, needs no systemd and no privilege, and has the suffix, the accounts
and the empty containers that the tests expect, but no people.
"""

from __future__ import annotations

import fcntl
import getpass
import grp
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

import ldap3

from tests.servers.authority import program
from tests.servers.ds389 import (
    ACCOUNTS,
    ELSEWHERE,
    INSTANCE,
    LIMITED,
    PASSWORD,
    STOP_SECONDS,
    Ds389Error,
    bound,
    checked,
    configuration,
    load,
    tuned,
)
from tests.servers.slapd import PEOPLE, READER, ROLES, SUFFIX, free_port

DEFAULTS: Final = Path("/usr/share/dirsrv/inf/defaults.inf")
UNLIMITED: Final = dict.fromkeys(
    ("nsSizeLimit", "nsLookThroughLimit", "nsTimeLimit", "nsIdleTimeout"), "-1"
)

CONFIG: Final = {
    "nsslapd-listenhost": "127.0.0.1",
    "nsslapd-securelistenhost": "127.0.0.1",
    "nsslapd-sizelimit": "500",
    "nsslapd-anonlimitsdn": "",
    "nsslapd-minssf": "0",
    "nsslapd-accesslog-logging-enabled": "off",
}
# By the beginning of an entry's DN: what its plug-in is set to.
PLUGINS: Final = {
    "cn=memberof plugin,": {
        "nsslapd-pluginEnabled": "on",
        "memberofgroupattr": "member",
        "memberofattr": "memberOf",
        "memberofautoaddoc": "nsMemberOf",
        "memberofskipnested": "off",
    },
    "cn=retro changelog plugin,": {
        "nsslapd-pluginEnabled": "on",
        "nsslapd-attribute": "nsuniqueid:targetUniqueId",
        "nsslapd-changelogmaxage": "2d",
    },
    "cn=referential integrity postoperation,": {"nsslapd-pluginEnabled": "on"},
    "cn=content synchronization,": {"nsslapd-pluginEnabled": "on"},
    # Nobody needs what these servers hold after a crash.
    "cn=bdb,cn=config,cn=ldbm database,": {"nsslapd-db-durable-transaction": "off"},
}
READING: Final = (
    f'(targetattr!="userPassword")(version 3.0; acl "readers"; allow (read, search, compare) '
    f'userdn="ldap:///{READER.dn} || ldap:///{LIMITED.dn}";)'
)


def shared_template(root: Path) -> Path:
    """Return the template below a folder that test processes share; the first one makes it."""
    folder = root / "ds389-template"
    with (root / "ds389-template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = root / f"ds389-{os.getpid()}"
            shutil.rmtree(unfinished, ignore_errors=True)
            make_template(unfinished)
            text = configuration(unfinished / "prefix").read_text()
            configuration(unfinished / "prefix").write_text(
                text.replace(str(unfinished), str(folder))
            )
            unfinished.rename(folder)
    return folder


def make_template(folder: Path) -> None:
    """Make a stopped server with the suffix, the accounts and the empty containers."""
    folder.mkdir(parents=True)
    prefix = folder / "prefix"
    port = free_port()
    _prepare(prefix)
    answers = folder / "answers.inf"
    answers.write_text(_answers(prefix, port, free_port()))
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    made = subprocess.run(
        [program("dscreate"), "from-file", str(answers)],
        env=dict(os.environ, PREFIX=str(prefix), PATH=path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise Ds389Error(f"dscreate failed: {made.stdout[-2000:]}{made.stderr[-2000:]}")
    pid = int((prefix / f"run/dirsrv/slapd-{INSTANCE}.pid").read_text())
    try:
        url = f"ldap://127.0.0.1:{port}"
        load(url, _base_ldif(), folder)
        with bound(url) as admin:
            checked(admin.modify(SUFFIX, {"aci": [(ldap3.MODIFY_ADD, [READING])]}), admin)
    finally:
        os.kill(pid, signal.SIGTERM)
        _await_end(pid)
    dse = configuration(prefix)
    dse.write_text(tuned(dse.read_text(), {"cn=config": CONFIG, **PLUGINS}))
    for left in prefix.rglob("*.socket"):
        left.unlink()


def _prepare(prefix: Path) -> None:
    """Lay out what the server's own tools look for, all of it below ``prefix``."""
    for name in ("share/dirsrv/inf", "share/dirsrv/data", "run/dirsrv", "lock", "dev"):
        (prefix / name).mkdir(parents=True)
    for name in ("etc/default", "etc/tmpfiles.d", "etc/dirsrv/schema", "etc/dirsrv/config"):
        (prefix / name).mkdir(parents=True)
    user, group = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name
    text = DEFAULTS.read_text()
    for pattern, value in (
        (r"^with_systemd *=.*", "with_systemd = 0"),
        (r"= */(etc|run|var)", rf"= {prefix}/\1"),
        (r"= */dev/shm", f"= {prefix}/dev"),
        (r"^data_dir *=.*", f"data_dir = {prefix}/share"),
        (r"^inst_dir *=.*", f"inst_dir = {prefix}/inst/slapd-{{instance_name}}"),
        (r"^user *=.*", f"user = {user}"),
        (r"^group *=.*", f"group = {group}"),
    ):
        text = re.sub(pattern, value, text, flags=re.MULTILINE)
    (prefix / "share/dirsrv/inf/defaults.inf").write_text(text)
    for template in Path("/usr/share/dirsrv/data").glob("template-*.ldif"):
        shutil.copy(template, prefix / "share/dirsrv/data")
    # Its tool starts it, and without this on all of the machine's interfaces.
    first = prefix / "share/dirsrv/data/template-dse.ldif"
    loopback = "nsslapd-listenhost: 127.0.0.1\nnsslapd-securelistenhost: 127.0.0.1"
    first.write_text(
        re.sub(r"^nsslapd-port:.*", rf"\g<0>\n{loopback}", first.read_text(), flags=re.MULTILINE)
    )
    (prefix / "etc/dirsrv/config/certmap.conf").write_text("certmap default default\n")
    (prefix / "etc/dirsrv/config/slapd-collations.conf").touch()
    (prefix / "etc/dirsrv/schema/99user.ldif").write_text(
        "dn: cn=schema\nobjectClass: top\nobjectClass: ldapSubentry\nobjectClass: subschema\n"
        'cn: schema\naci: (target="ldap:///cn=schema")(targetattr !="aci")(version 3.0;'
        'acl "anonymous, no acis"; allow (read, search, compare) userdn = "ldap:///anyone";)\n\n'
    )


def _answers(prefix: Path, port: int, tls_port: int) -> str:
    user, group = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name
    return f"""\
[general]
full_machine_name = localhost
strict_host_checking = False
systemd = False
selinux = False
start = True
[slapd]
instance_name = {INSTANCE}
port = {port}
secure_port = {tls_port}
root_password = {PASSWORD}
self_sign_cert = False
user = {user}
group = {group}
db_home_dir = {prefix}/dev/slapd-{INSTANCE}
[backend-userroot]
sample_entries = no
suffix = {SUFFIX}
create_suffix_entry = True
"""


def _base_ldif() -> str:
    units = [dn.partition(",")[0].partition("=")[2] for dn in (PEOPLE, ROLES, ELSEWHERE)]
    records = [
        f"dn: ou={name},{SUFFIX}\nobjectClass: organizationalUnit\nou: {name}\n" for name in units
    ]
    for account in ACCOUNTS:
        limits = UNLIMITED if account is READER else {}
        lines = [f"{name}: {value}" for name, value in limits.items()]
        records.append(
            f"dn: {account.dn}\nobjectClass: organizationalRole\n"
            f"objectClass: simpleSecurityObject\ncn: {account.name}\n"
            f"userPassword: {account.password}\n" + "".join(f"{line}\n" for line in lines)
        )
    return "\n".join(records)


def _await_end(pid: int) -> None:
    until = time.monotonic() + STOP_SECONDS
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.05)
