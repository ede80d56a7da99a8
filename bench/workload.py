"""A made-up company of any size as LDIF, and what syncd has to know to read it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.servers.slapd import PEOPLE, READER, ROLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

# What a full sync of this configuration asks for, and so what ldapsearch has to send.
USER_FILTER = "(objectClass=inetOrgPerson)"
USER_ATTRIBUTES = (
    "createTimestamp",
    "entryUUID",
    "givenName",
    "mail",
    "modifyTimestamp",
    "sn",
    "uid",
)
ROLE_FILTER = "(objectClass=groupOfNames)"
ROLE_ATTRIBUTES = ("cn", "entryUUID", "member")
PAGE_SIZE = 1000

USERS_A_ROLE = 100
ROLES_A_USER = 2
# Every so many people one has a name beyond ASCII: the slower road through decoding and folding.
BEYOND_ASCII = 20

GIVEN_NAMES = ("Ada", "Ben", "Chloe", "David", "Elena", "Farid", "Grace", "Hugo", "Ines", "Jonas")
SURNAMES = (
    "Adler",
    "Becker",
    "Conti",
    "Duval",
    "Eriksen",
    "Fischer",
    "Garcia",
    "Horvath",
    "Ivanov",
)
OTHER_GIVEN_NAMES = ("Jürgen", "Zoë", "Łukasz", "Søren", "Ağça")
OTHER_SURNAMES = ("Müller", "Nuñez", "Øster", "Šimek", "Nguyễn")

# Written by nobody within the overlap of two changed-user syncs, as in a directory that is in use.
LONG_AGO = "createTimestamp: 20260101000000Z\nmodifyTimestamp: 20260101000000Z\n"

CONFIGURATION = """\
store: {{url: "{store}"}}
organizations: bench.yaml
"""
ORGANIZATION = """\
organization: {{id: bench, name: Bench}}
provider: ldap
ldap:
  vendor: openldap
  connection_url: {url}
  insecure_clear_text_bind: true
  bind_dn: {bind_dn}
  bind_credential_file: bench.secret
  users_dn: {people}
  user_object_classes: [inetOrgPerson]
"""
ROLE_IMPORT = f"""\
  import_roles:
    roles_dn: {ROLES}
    role_object_class: [groupOfNames]
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How many people, roles and memberships there are."""

    users: int

    @property
    def roles(self) -> int:
        """One role for every hundred people."""
        return max(1, self.users // USERS_A_ROLE)

    @property
    def memberships(self) -> int:
        """Two for each person."""
        return self.users * ROLES_A_USER


def dn_of(number: int) -> str:
    """Return the DN of a person."""
    return f"uid=u{number:07},{PEOPLE}"


def ldif(size: Size, seed: int = 1) -> Iterator[str]:
    """Yield the records of everybody and every role; the same for the same size and seed."""
    chance = random.Random(seed)
    yield from people(size.users, chance)
    members_a_role = max(1, size.memberships // size.roles)
    for role in range(size.roles):
        members = sorted(chance.sample(range(size.users), min(members_a_role, size.users)))
        yield group(f"cn=role{role:05},{ROLES}", map(dn_of, members))


def people(count: int, chance: random.Random) -> Iterator[str]:
    """Yield the records of so many people."""
    for number in range(count):
        beyond = number % BEYOND_ASCII == 0
        given = chance.choice(OTHER_GIVEN_NAMES if beyond else GIVEN_NAMES)
        surname = chance.choice(OTHER_SURNAMES if beyond else SURNAMES)
        yield (
            f"dn: {dn_of(number)}\nobjectClass: inetOrgPerson\nuid: u{number:07}\n"
            f"givenName: {given}\nsn: {surname}\ncn: {given} {surname}\n"
            f"mail: u{number:07}@bench.test\ntitle: Position {number % 97}\n{LONG_AGO}\n"
        )


def group(dn: str, members: Iterable[str]) -> str:
    """Return the record of a group with these members."""
    name = dn.partition(",")[0].removeprefix("cn=")
    lines = "".join(f"member: {member}\n" for member in members)
    return f"dn: {dn}\nobjectClass: groupOfNames\ncn: {name}\n{lines}{LONG_AGO}\n"


def detect(config: Path, detection: str) -> None:
    """Let the organization's changes be found in this way from now on."""
    organization = config.with_name("bench.yaml")
    lines = organization.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if "change_detection" not in line]
    at = kept.index("ldap:") + 1
    kept.insert(at, f"  change_detection: {detection}")
    organization.write_text("\n".join(kept) + "\n", encoding="utf-8")


def configure(folder: Path, *, url: str, store: str, imports: str = ROLE_IMPORT) -> Path:
    """Write the configuration of one store into ``folder`` and return the daemon's file.

    ``imports`` ends the organization's file: what becomes of the directory's groups.
    """
    folder.mkdir(parents=True)
    secret = folder / "bench.secret"
    secret.touch(mode=0o600)
    secret.write_text(READER.password, encoding="utf-8")
    (folder / "bench.yaml").write_text(
        ORGANIZATION.format(url=url, bind_dn=READER.dn, people=PEOPLE) + imports,
        encoding="utf-8",
    )
    daemon = folder / "syncd.yaml"
    daemon.write_text(CONFIGURATION.format(store=store), encoding="utf-8")
    return daemon
