"""On which ground a watermark stands: the directory, the account and the searches."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from syncd.ldap.clock import naming_context, read_entry
from syncd.ldap.listings import distinct_bases, normalized
from syncd.ldap.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from syncd.ldap.connection import Connection
    from syncd.ldap.listings import ContainerSearch, UserSearch
    from syncd.records import Entry

# What survives a restart, an upgrade and a change of address, but not a rebuilt directory.
BIRTH_ATTRIBUTES = ("entryUUID", "objectGUID", "nsUniqueId", "createTimestamp")


def ground(
    connection: Connection,
    root_dse: Entry,
    *,
    bind_dn: str | None,
    users: UserSearch,
    containers: Mapping[str, ContainerSearch],
) -> str:
    """Return a hash of everything that a watermark silently relies on.

    It differs when another directory answers or the same one was rebuilt, when one of Active
    Directory's domain controllers stands in for another (its stamps are its own) or was
    restored, and when base, scope, filter, bind DN or attributes were changed. It is the same
    after a restart, an upgrade, a new address and for every replica of a directory.

    A directory is told by the entry at the root of the users' naming context: its unique id
    and creation time are replicated and come anew with a rebuilt tree. An account that may not
    read that entry is served by the users DN's own.
    """
    bases = distinct_bases(users.base_dns, users.scope)
    parts: list[object] = [
        *_births(connection, root_dse, bases),
        *_incarnation(connection, root_dse),
        normalized(bind_dn or ""),
        sorted(normalized(base_dn) for base_dn in bases),
        (users.scope, users.filter, users.uuid_attribute.lower()),
        sorted({attribute.lower() for attribute in users.attributes}),
    ]
    for mapper, search in sorted(containers.items()):
        names = sorted({attribute.lower() for attribute in search.attributes})
        parts.append((mapper, normalized(search.base_dn), search.scope, search.filter, names))
        if search.in_chain:
            parts.append((mapper, "in_chain"))
    return blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def _births(connection: Connection, root_dse: Entry, bases: Sequence[str]) -> Iterator[object]:
    """Yield what identifies the directory that holds each users DN."""
    for base_dn in bases:
        for name in (naming_context(root_dse, base_dn), base_dn):
            entry = read_entry(connection, name, BIRTH_ATTRIBUTES)
            births = [entry.values(attribute) for attribute in BIRTH_ATTRIBUTES] if entry else []
            if any(births):
                yield births
                break


def _incarnation(connection: Connection, root_dse: Entry) -> Iterator[object]:
    """Yield which server answers and its incarnation, where stamps are a server's own."""
    for vendor in VENDORS.values():
        if vendor.server_entry_attribute is None or vendor.incarnation_attribute is None:
            continue
        for value in root_dse.values(vendor.server_entry_attribute):
            name = value.decode("utf-8", "replace")
            server = read_entry(connection, name, (vendor.incarnation_attribute,))
            yield normalized(name), server.values(vendor.incarnation_attribute) if server else []
