"""Frozen values that travel the road between the rooms.

Everything here is data: no I/O, no LDAP, no SQL. Rooms that may not know each other meet in
these values. Values made once an entry are named tuples because building one costs a third of a
frozen dataclass, and a full sync builds hundreds of thousands.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

KEY_BYTES = 16
T = TypeVar("T")

# What a container stands for; one "outside" of its mapper's base only hands its members on.
TargetKind: TypeAlias = Literal["role", "group", "outside"]


def fold(text: str) -> str:
    """Return the comparison key of a username or e-mail address: NFC, then case-folded.

    Computed here and never by a database, so that every database agrees.
    """
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def key_of(text: str) -> bytes:
    """Return the 16-byte key under which a normalized DN or identifier is stored and joined."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


def etag(shape: Mapping[str, object]) -> str:
    """Return what tells one state of a thing from another: a hash of what is shown of it."""
    text = json.dumps(shape, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).hexdigest()


def provider_of(source: str) -> str:
    """Return the provider whose people an identity's source knows: an IdP's is its issuer."""
    return source if source in {"admin", "ldap"} else "idp"


class Scope(StrEnum):
    """How far below its base a search reaches (RFC 4511 section 4.5.1.2)."""

    BASE = "base"
    ONE_LEVEL = "one_level"
    SUBTREE = "subtree"


class Verdict(StrEnum):
    """What a listing may be used for; ordered from best to worst."""

    COMPLETE = "complete"
    UNVERIFIED = "unverified"
    TRUNCATED = "truncated"


class Entry(NamedTuple):
    """One decoded directory entry.

    ``attributes`` maps the attribute description in lower case, options included
    (``member;range=0-1499``), to its values as the server sent them.
    """

    dn: str
    attributes: dict[str, list[bytes]]

    def values(self, name: str) -> list[bytes]:
        """Return the values of ``name``, whatever its letter case; empty when it is absent."""
        return self.attributes.get(name.lower(), [])


class MemberOf(NamedTuple):
    """A person's own statement that a container holds him (``memberOf``, hardcoded roles)."""

    mapper: str
    container_key: bytes
    value: str


# Times of an account that lie before and after all others: text, so that times compare as text.
EVER = "1970-01-01T00:00:00Z"
NEVER = "9999-12-31T23:59:59Z"


class AccountState(NamedTuple):
    """What a directory says of a person's account; None is no statement and changes nothing.

    Times are ISO 8601 in UTC with a ``Z``.
    """

    disabled: bool | None = None
    # EVER: not locked. NEVER: until the directory says otherwise.
    locked_until: str | None = None
    # NEVER: it does not.
    expires_at: str | None = None
    # EVER: it has begun.
    starts_at: str | None = None
    # Reasons (disabled, locked, expired, not_yet_valid) whose attribute the entry lacks where that
    # means that they do not hold; believed only of an entry that has changed.
    absent: tuple[str, ...] = ()


class NewPerson(NamedTuple):
    """Somebody who is made here and not taken from a source."""

    username: str
    email: str
    first_name: str | None = None
    last_name: str | None = None


class UserRecord(NamedTuple):
    """A person as the mappers made him from one entry or one token."""

    external_id: str
    dn: str
    dn_key: bytes
    username: str
    username_key: str
    email: str | None
    email_key: str | None
    email_verified: bool
    first_name: str | None
    last_name: str | None
    # A canonical JSON object of lists of strings, so that equal attributes are equal text.
    attributes: str
    # None: nobody looks at accounts here, so that nothing of the kind holds (any more).
    account: AccountState | None
    # ISO 8601 in UTC; not part of the fingerprint.
    source_created_at: str | None
    source_modified_at: str | None
    # (attribute name in lower case, key) pairs by which UID-type containers name the person.
    member_keys: tuple[tuple[str, bytes], ...]
    memberships: tuple[MemberOf, ...]


class Member(NamedTuple):
    """One value of a container's membership attribute."""

    # "dn", or "uid:<user attribute in lower case>"
    kind: str
    key: bytes
    value: str


class ContainerRecord(NamedTuple):
    """A role or group entry as its mapper read it."""

    mapper: str
    # The key of its external id: stable through renames where the directory has such an id. Where
    # people name their containers by DN (memberOf), the key of its DN, so that the two meet.
    container_key: bytes
    external_id: str
    dn: str
    dn_key: bytes
    # The name in the directory, and what it stands for in the store: a role's or a group's name.
    name: str
    target: str
    members: tuple[Member, ...]
    # False when not all members could be read: such a container keeps the members it had.
    whole: bool
    kind: TargetKind = "role"
    # Of a group: a canonical JSON object of lists of strings.
    attributes: str = "{}"
    # The containers that this one says it is in (its own memberOf), by their keys.
    parents: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Claims:
    """What a provider says of one person, in a token that was verified.

    Made where tokens are verified, and where an operator tries his mappers on a file of his own;
    a test holds that. Whatever takes these need not ask whether they are true.
    """

    issuer: str
    subject: str
    # The token's members, JSON as Python reads it: names without those of the token's own envelope
    # taken out, nested objects and lists as they are.
    values: Mapping[str, Any]


class Granted(NamedTuple):
    """A role or group that a mapper gives to one person."""

    mapper: str
    kind: Literal["role", "group"]
    # A role's name, or a group's name or path that starts with a slash.
    name: str
    # Made when it is not there; else somebody without it is told and goes without.
    create: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A person as the mappers made him from verified claims: what is said, and what is not."""

    # The issuer, and the subject there: who it is, whatever he is called.
    source: str
    external_id: str
    # Made for somebody who is not known yet; import mappers speak then only.
    newcomer: bool
    # None, never of a newcomer: nothing is said of the name this time, and it stays.
    username: str | None
    # Of email, email_verified, first_name, last_name those of which something is said; None
    # empties one. Others stay as they are.
    fields: Mapping[str, str | bool | None]
    # Attributes of which something is said; no values take one away. Others stay.
    attributes: Mapping[str, tuple[str, ...]]
    granted: tuple[Granted, ...]
    # Mappers that say all of what they give: what they gave before and do not now is taken back.
    # Of others (import after the first time, a claim that is missing or cut) it stays.
    speaking: frozenset[str]
    # All mappers that are configured, but for those of claims that give nothing; what any other
    # gave is taken back.
    mappers: frozenset[str]
    # Former name to present name of a mapper: what the former gave is the present one's.
    renamed: Mapping[str, str] = field(default_factory=dict)
    # Mappers that may reach preconfigured roles.
    privileged: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """What the mappers of a run make of their containers, by the mappers' names."""

    # Their containers are groups; those of all others are roles.
    groups: frozenset[str] = frozenset()
    # Members of a member container are members too.
    nested: frozenset[str] = frozenset()
    # Member containers are child groups.
    hierarchical: frozenset[str] = frozenset()
    # Their names may be roles that do not exist yet.
    creating: frozenset[str] = frozenset()
    # What they made goes when the directory has it no more.
    dropping: frozenset[str] = frozenset()
    # The container below which a mapper's groups without a parent stand.
    roots: Mapping[str, bytes] = field(default_factory=dict)
    # Mappers that are not configured any more: what they gave is taken back.
    removed: frozenset[str] = frozenset()


class Remark(NamedTuple):
    """Something about the directory that an operator should know and that held nothing up."""

    # several_parents | cycle | too_deep | unknown_role | renamed_mapper | removed_mapper
    kind: str
    mapper: str
    dn: str
    detail: str


@dataclass(frozen=True, slots=True)
class ListingOutcome:
    """How one listing of a directory ended, and what may be concluded from it."""

    source: str
    verdict: Verdict
    # The LDAP result code of the last answer; None when the connection ended without one.
    result_code: int | None
    pages: int
    entries: int
    references: int
    # One sentence for the operator when the verdict is not "complete".
    because: str | None = None


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An entry that could not be taken, and why."""

    source: str
    reason: str
    dn: str
    external_id: str | None
    attribute: str | None
    detail: str
    username_key: str | None = None
    dn_key: bytes | None = None


class Whereabouts(StrEnum):
    """What a lookup by id found out about a person who was not in a complete listing."""

    GONE = "gone"
    OUT_OF_FILTER = "out_of_filter"
    OUT_OF_BASE = "out_of_base"
    UNREADABLE = "unreadable"
    PRESENT = "present"


class Located(NamedTuple):
    """What a lookup by id found out about one person, with the sentence that says so."""

    whereabouts: Whereabouts
    # The entry as a listing yields it, for mapping it anew; only when the person is present.
    entry: bytes | None
    detail: str


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far a source has been read: what the directory itself said before the search."""

    # "modify_timestamp", "syncrepl", "usn_changed": who can read ``value``.
    kind: str
    value: str
    # The server, base, filter and mapper configuration it belongs to.
    ground: str


@dataclass(frozen=True, slots=True)
class Signals:
    """What a source of changes said of entries that it did not send.

    Hints, not evidence: whoever is named or missing here is looked up by id before anything is
    concluded.
    """

    # External ids that the directory says are deleted, or have left the filter.
    deleted: tuple[str, ...] = ()
    # After a present phase (RFC 4533 section 3.3.2) the ids of all unchanged entries in scope, so
    # that whoever is neither sent nor named is gone; None when there was no such phase.
    present: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of one kind of change a run may bring before a person has to look."""

    percent: float | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds that a run spent in each stage."""

    seconds: Mapping[str, float] = field(default_factory=dict)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of several verdicts; complete when there is none."""
    order = list(Verdict)
    return max(verdicts, key=order.index, default=Verdict.COMPLETE)


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most ``size`` items."""
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch
