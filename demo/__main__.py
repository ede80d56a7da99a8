"""The demo's story: ``make demo``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from demo import company
from demo.terminal import Command, UnexpectedExit, heading, quote, say

DAEMON = """\
store: {url: "sqlite:///var/syncd.db"}
log: {level: warning}
organizations: organizations/*.yaml
"""
ORGANIZATION = """\
organization: {{id: muehle, name: Mühle Instruments}}
provider: ldap
certificates: [{certificate}]
ldap:
  vendor: other
  connection_url: {url}
  bind_dn: {reader}
  bind_credential_file: reader.secret
  users_dn: {people}
  user_object_classes: [inetOrgPerson]
  import_roles:
    roles_dn: {roles}
mappers:
  - {{name: job title, type: user-attribute, user_attribute: title, ldap_attribute: title}}
  - {{name: teams, type: group, groups_dn: "{groups}", nested_membership: expand}}
"""
# A code of the contract: done, and entries wait in quarantine.
QUARANTINE = 5
CHANGES_PENDING = 1


def configure(folder: Path, directory: company.Company) -> Path:
    """Write the configuration as an administrator would; return the organization's file."""
    organizations = folder / "config" / "organizations"
    organizations.mkdir(parents=True)
    (folder / "config" / "syncd.yaml").write_text(DAEMON, encoding="utf-8")
    secret = organizations / "reader.secret"
    secret.touch(mode=0o600)
    secret.write_text(company.password(company.READER), encoding="utf-8")
    file = organizations / "muehle.yaml"
    file.write_text(
        ORGANIZATION.format(
            certificate=directory.certificate,
            url=directory.url,
            reader=company.READER,
            people=company.PEOPLE,
            roles=company.ROLES,
            groups=company.GROUPS,
        ),
        encoding="utf-8",
    )
    return file


def tell(folder: Path, directory: company.Company) -> None:
    """Tell the story."""
    heading("A company and its directory")
    say("""Mühle Instruments keeps its people in an LDAP directory: 24 of them in nested
        organizational units, with five roles and three teams. It runs here, embedded, on a
        loopback port. This file is all that syncd has to know:""")
    quote(configure(folder, directory))
    syncd = Command(folder)

    heading("Does it fit?")
    syncd("check", "--connect")
    syncd("db", "upgrade")

    heading("The first sync")
    say("A plan first: a dry run that says what a sync would do.")
    syncd("plan", "muehle", exits=(CHANGES_PENDING, QUARANTINE))
    say("It looks right, so it may happen.")
    syncd("sync", "muehle", exits=(QUARANTINE,))
    syncd("users", "muehle")
    syncd("roles", "muehle")
    say("Teams contain teams: whoever is in Software is in Engineering, too.")
    syncd("groups", "muehle")
    say("One entry could not become a person. It waits in quarantine and holds up nobody else:")
    syncd("quarantine", "muehle")

    heading("Monday morning")
    say("""In the directory, Nils Öberg joins and becomes a developer, Stefan Petrov leaves, Marta
        Keller has married and is now called Keller-Brandt, and Nadia Ivanova may sign calibration
        records (Geräteprüfer).""")
    directory.monday()
    syncd("plan", "muehle", exits=(CHANGES_PENDING, QUARANTINE))
    syncd("sync", "muehle", exits=(QUARANTINE,))

    heading("Why is that so?")
    say("Where each field, role and team of a person comes from, and why somebody cannot sign in:")
    syncd("explain", "muehle", "mbrandt")
    syncd("explain", "muehle", "spetrov")

    heading("That was it")
    say("""The directory was only ever read. Everything lived in a temporary folder that is gone
        now. README.md tells how to point syncd at a directory of your own.""")


def main() -> int:
    """Run the demo in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="syncd-demo-") as name:
        folder = Path(name)
        with company.running(folder) as directory:
            try:
                tell(folder, directory)
            except UnexpectedExit as error:
                print(f"\nThe demo stops here: {error}.", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
