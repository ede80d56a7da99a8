"""Where the containers of people and roles are: Active Directory does not tell who moved with one.

A container that is renamed or moved takes with it what is below, and only the container is told of.
So the place of each is kept, and one that is elsewhere than it was makes a full sync. A changed
container that stayed in its place costs nothing.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from syncd.errors import ChangesUnavailable, DirectoryError, DirectoryUnavailable
from syncd.ldap import dn, filters
from syncd.ldap.changes.active_directory import OBJECT_GUID, guid_of, read_all
from syncd.ldap.clock import naming_context, read_entry
from syncd.ldap.listings import normalized
from syncd.ldap.search import SearchRequest
from syncd.records import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from syncd.ldap.changes.standing import SyncSearch
    from syncd.ldap.connection import Connection
    from syncd.records import Entry

# What people and groups can be below (the schema's possible superiors). Of plain containers only
# those that are no more than that: mail servers keep one of a class of its own below each person.
UNITS: Final = filters.or_(
    *(
        filters.equal("objectClass", name)
        for name in (
            "organizationalUnit",
            "organization",
            "country",
            "locality",
            "domain",
            "builtinDomain",
        )
    ),
    filters.equal("objectCategory", "container"),
)
# Beyond this many their places are not kept: any older one that changes makes a full sync then.
MOST_UNITS: Final = 10_000
HASH_BYTES: Final = 6


@dataclass(frozen=True, slots=True)
class Units:
    """The place of each container in scope, both as short hashes; None when they are too many."""

    places: Mapping[bytes, bytes] | None

    @property
    def text(self) -> str | None:
        """What a watermark keeps."""
        if self.places is None:
            return None
        return b64encode(b"".join(key + at for key, at in sorted(self.places.items()))).decode()

    @classmethod
    def read(cls, text: str | None) -> Units:
        """Return what a watermark kept; ValueError when that is nothing."""
        if text is None:
            return cls(None)
        octets = b64decode(text, validate=True)
        size = 2 * HASH_BYTES
        if len(octets) % size:
            raise ValueError("the places of containers end too early")
        pairs = (octets[at : at + size] for at in range(0, len(octets), size))
        return cls({pair[:HASH_BYTES]: pair[HASH_BYTES:] for pair in pairs})

    def after(self, changed: Iterable[tuple[Entry, bool]], searches: Sequence[SyncSearch]) -> Units:
        """Return the places after these (container, whether it is new) changed.

        Raises:
            ChangesUnavailable: One was renamed or moved, or may have been.

        """
        reach = [_Reach(search.request) for search in searches]
        added: dict[bytes, bytes] = {}
        for entry, is_new in changed:
            guid = guid_of(entry)
            within = any(each.holds(entry.dn) for each in reach)
            key, place = _hash(guid or ""), _place(entry.dn)
            known = self.places.get(key) if self.places is not None else None
            if known == place:
                continue
            if guid is not None and is_new:
                # Whoever is below a new one is new or moved there, and so told of.
                if within:
                    added[key] = place
            elif within or known is not None or self.places is None:
                raise ChangesUnavailable(
                    "renamed_unit",
                    f"{entry.dn} was renamed or moved, and the directory does not tell who moved "
                    "with it",
                )
        return self._with(added)

    def _with(self, added: Mapping[bytes, bytes]) -> Units:
        if self.places is None:
            return self
        places = {**self.places, **added}
        return Units(places if len(places) <= MOST_UNITS else None)


class _Reach:
    """Of which containers one search has to know the place."""

    def __init__(self, request: SearchRequest) -> None:
        self._base = request.base_dn
        self._text = normalized(request.base_dn)
        self._deep = request.scope is Scope.SUBTREE

    def holds(self, name: str) -> bool:
        """Return whether the search depends on where this container is."""
        if dn.normalize(name) == self._text or dn.is_below(self._base, name):
            return True
        return self._deep and dn.is_below(name, self._base)


def read_units(connection: Connection, root_dse: Entry, searches: Sequence[SyncSearch]) -> Units:
    """Return where the containers in scope of these searches are."""
    places: dict[bytes, bytes] = {}
    try:
        for entry in _in_scope(connection, root_dse, searches):
            guid = guid_of(entry)
            if guid is not None:
                places[_hash(guid)] = _place(entry.dn)
            if len(places) > MOST_UNITS:
                return Units(None)
    except DirectoryUnavailable:
        raise
    except DirectoryError:
        # Not all are known, so that a change of any of them may be a move.
        return Units(None)
    return Units(places)


def _in_scope(
    connection: Connection, root_dse: Entry, searches: Sequence[SyncSearch]
) -> Iterator[Entry]:
    bases = {normalized(each.request.base_dn): each.request for each in searches}
    for name in _chain(root_dse, bases.values()):
        entry = read_entry(connection, name, (OBJECT_GUID,))
        if entry is not None:
            yield entry
    for text, request in bases.items():
        covered = any(
            other != text and dn.is_below(request.base_dn, other) and one.scope is Scope.SUBTREE
            for other, one in bases.items()
        )
        if request.scope is Scope.SUBTREE and not covered:
            below = SearchRequest(
                base_dn=request.base_dn,
                scope=Scope.SUBTREE,
                filter=UNITS,
                attributes=(OBJECT_GUID,),
                page_size=request.page_size,
            )
            yield from read_all(connection, below)


def _chain(root_dse: Entry, requests: Iterable[SearchRequest]) -> list[str]:
    """Return the bases and all that is above them, each once."""
    names: dict[str, str] = {}
    for request in requests:
        name, top = request.base_dn, normalized(naming_context(root_dse, request.base_dn))
        while name:
            names.setdefault(normalized(name), name)
            if normalized(name) == top:
                break
            name = dn.parent(name)
    return list(names.values())


def _place(name: str) -> bytes:
    return _hash(dn.normalize(name))


def _hash(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=HASH_BYTES).digest()
