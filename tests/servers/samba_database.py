"""What is done straight on Samba's database files, by the interpreter that has Debian's bindings.

usage: samba_database.py provision FOLDER | load SAMLDB SMBCONF < JSON | recycle-bin SAMLDB SMBCONF

``load`` adds entries, ``[[dn, {attribute: [value, ...]}], ...]``, in one transaction; the server
may run. The recycle bin is switched on while it does not: over LDAP Samba refuses that.
"""

from __future__ import annotations

import getpass
import json
import logging
import sys
from pathlib import Path

import ldb
import samba.dsdb
from samba.auth import system_session
from samba.param import LoadParm
from samba.provision import FILL_FULL, provision
from samba.samdb import SamDB

RECYCLE_BIN = "766ddcd8-acd0-445e-f3b9-a7f9b6744f2a"


def make(folder: str) -> None:
    """Provision a domain; no chown and no extended attributes, so any user may."""
    target = Path(folder).resolve()
    target.mkdir(parents=True, exist_ok=True)
    options = LoadParm()
    options.load_default()
    options.set("interfaces", "lo")
    options.set("bind interfaces only", "yes")
    options.set("server role", "active directory domain controller")
    me = getpass.getuser()
    provision(
        logging.getLogger("provision"),
        system_session(),
        smbconf=None,
        targetdir=str(target),
        samdb_fill=FILL_FULL,
        realm="EXAMPLE.TEST",
        domain="EXAMPLE",
        hostname="dc1",
        hostip="127.0.0.1",
        adminpass="Passw0rd!x",
        serverrole="active directory domain controller",
        dns_backend="NONE",
        dom_for_fun_level=samba.dsdb.DS_DOMAIN_FUNCTION_2008_R2,
        use_rfc2307=True,
        lp=options,
        useeadb=False,
        skip_sysvolacl=True,
        root=me,
        nobody=me,
        users=None,
    )


def opened(database: str, configuration: str) -> SamDB:
    """Return the database with every right."""
    options = LoadParm()
    options.load(configuration)
    return SamDB(url=database, session_info=system_session(), lp=options)


def load(database: SamDB) -> None:
    """Add the entries of standard input in one transaction."""
    database.transaction_start()
    for dn, attributes in json.load(sys.stdin):
        password = attributes.pop("password", None)
        if password:
            attributes["clearTextPassword"] = [f"{password[0]}".encode("utf-16-le")]
        database.add({"dn": dn, **attributes})
    database.transaction_commit()


def recycle(database: SamDB) -> None:
    """Switch the recycle bin on: deleted entries keep their attributes."""
    change = ldb.Message()
    change.dn = ldb.Dn(database, "")
    feature = f"CN=Partitions,{database.get_config_basedn()}:{RECYCLE_BIN}"
    change["e"] = ldb.MessageElement(feature, ldb.FLAG_MOD_ADD, "enableOptionalFeature")
    database.modify(change)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    match sys.argv[1:]:
        case ["provision", folder]:
            make(folder)
        case ["load", database, configuration]:
            load(opened(database, configuration))
        case ["recycle-bin", database, configuration]:
            recycle(opened(database, configuration))
        case _:
            sys.exit(__doc__)
