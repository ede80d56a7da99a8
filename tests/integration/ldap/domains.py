"""How the tests of changes look at a throw-away Active Directory domain."""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ldap3

from syncd.ldap.connection import ConnectionOptions
from syncd.ldap.source import ContainerSearch, LdapSource, UserSearch
from syncd.records import Scope
from tests.integration.ldap.sources import read
from tests.servers.samba import ADMIN, PASSWORD, READER, SUFFIX, dn_of, group, user

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from syncd.records import ListingOutcome, Signals, Watermark
    from tests.servers.samba import SambaAD

IMPORT = "import roles"
STAFF_FILTER = "(&(objectClass=person)(objectClass=user)(!(employeeType=former)))"
GROUP_FILTER = "(objectClass=group)"
UNIT = {"objectClass": ["organizationalUnit"]}
# schemaIDGUID of uSNChanged.
NUMBER_GUID = "bf967a6f-0de6-11d0-a285-00aa003049e2"

_count = itertools.count()


@dataclass(frozen=True, slots=True)
class Seen:
    """What one reading of changes brought."""

    people: list[str]
    roles: list[str]
    signals: Signals
    role_signals: Signals
    outcomes: tuple[ListingOutcome, ListingOutcome]
    watermark: Watermark


class Place:
    """A test's own part of a domain: people, some of them in a unit, groups, and elsewhere."""

    def __init__(self, ad: SambaAD, *people: str) -> None:
        self.ad = ad
        self.top = f"OU=t{next(_count)},{SUFFIX}"
        self.people = f"OU=people,{self.top}"
        self.east = f"OU=east,{self.people}"
        self.groups = f"OU=groups,{self.top}"
        self.elsewhere = f"OU=elsewhere,{self.top}"
        places = (self.top, self.people, self.east, self.groups, self.elsewhere)
        self._prefix = self.top[3:].partition(",")[0]
        self._add(*((place, UNIT) for place in places))
        self.join(*people)

    def name(self, name: str) -> str:
        """Return what somebody is called in the whole domain."""
        return f"{self._prefix}{name}"

    def bare(self, name: str) -> str:
        """Return the test's own name of somebody or of a group."""
        return name.removeprefix(self._prefix)

    def dn(self, name: str, container: str = "") -> str:
        """Return the DN of somebody among the people."""
        return dn_of(self.name(name), container or self.people)

    def join(self, *names: str, container: str = "") -> None:
        """Add people."""
        self._add(*((self.dn(name, container), user(self.name(name))) for name in names))

    def units(self, *dns: str) -> None:
        """Add organizational units."""
        self._add(*((dn, UNIT) for dn in dns))

    def group(self, name: str, *members: str) -> str:
        """Add a group with people as members; return its DN."""
        dn = self.dn(name, self.groups)
        self._add((dn, group(self.name(name), [self.dn(member) for member in members])))
        return dn

    def source(
        self,
        *,
        account: tuple[str, str] = (ADMIN, PASSWORD),
        change_detection: str = "auto",
        scope: Scope = Scope.SUBTREE,
        page_size: int = 100,
        uuid_attribute: str = "objectGUID",
    ) -> LdapSource:
        """Return a source that lists the people and the groups."""
        return LdapSource(
            connection=ConnectionOptions(
                urls=(self.ad.ldaps_url,),
                bind_dn=account[0],
                password=account[1],
                ca_pem=(self.ad.ca_pem,),
                connect_timeout_seconds=5,
                read_timeout_seconds=20,
            ),
            users=UserSearch(
                base_dns=(self.people,),
                scope=scope,
                filter=STAFF_FILTER,
                username_attribute="sAMAccountName",
                uuid_attribute=uuid_attribute,
                attributes=("objectGUID", "sAMAccountName", "sn", "mail"),
                page_size=page_size,
                created_attribute="whenCreated",
                modified_attribute="whenChanged",
            ),
            containers={
                IMPORT: ContainerSearch(
                    base_dn=self.groups,
                    scope=Scope.SUBTREE,
                    filter=GROUP_FILTER,
                    attributes=("objectGUID", "cn", "member"),
                    page_size=page_size,
                    created_attribute="whenCreated",
                    modified_attribute="whenChanged",
                )
            },
            change_detection=change_detection,
        )

    def changed(self, source: LdapSource, since: Watermark) -> Seen:
        """Read all changes since a watermark, as a sync does."""
        changes = source.changes(since)
        users = changes.users()
        people = self._names(users, "sAMAccountName")
        containers = changes.containers(IMPORT)
        roles = self._names(containers, "cn")
        return Seen(
            people,
            roles,
            changes.signals("users"),
            changes.signals(IMPORT),
            (users.outcome, containers.outcome),
            changes.watermark,
        )

    def guid(self, dn: str) -> str:
        """Return the id of an entry."""
        octets = self.ad.read(dn, "objectGUID")["objectGUID"][0]
        parts = struct.unpack("<IHH8s", octets)
        tail = parts[3].hex()
        return f"{parts[0]:08x}-{parts[1]:04x}-{parts[2]:04x}-{tail[:4]}-{tail[4:]}"

    def deny_numbers(self) -> None:
        """Hide uSNChanged of the people from the reader, who may read everything else."""
        self.deny(NUMBER_GUID)

    def deny(self, schema_id: str) -> None:
        """Hide an attribute of the people, given its schemaIDGUID, from the reader."""
        sid = _sid(self.ad.read(READER, "objectSid")["objectSid"][0])
        # On each entry: a refusal on the unit counts less than what an entry itself allows.
        with self.ad.bound() as admin:
            admin.search(self.people, "(objectClass=user)", ldap3.SUBTREE, attributes=["cn"])
            found = [
                each["dn"] for each in admin.response or () if each["type"] == "searchResEntry"
            ]
        for dn in found:
            refusal = f"(OD;;RP;{schema_id};;{sid})"
            self.ad.tool("dsacl", "set", f"--objectdn={dn}", f"--sddl={refusal}")

    def _add(self, *entries: tuple[str, Mapping[str, Sequence[str]]]) -> None:
        # Over LDAP, since one of Samba's own programs takes longer to start than this takes.
        with self.ad.bound() as admin:
            for dn, attributes in entries:
                admin.add(dn, None, dict(attributes))

    def _names(self, listing: object, attribute: str) -> list[str]:
        entries = read(listing)  # type: ignore[arg-type]
        names = [entry.values(attribute)[0].decode() for entry in entries]
        return sorted(map(self.bare, names))


def _sid(octets: bytes) -> str:
    authority = int.from_bytes(octets[2:8], "big")
    parts = struct.unpack(f"<{octets[1]}I", octets[8:])
    return "-".join(["S", str(octets[0]), str(authority), *map(str, parts)])
