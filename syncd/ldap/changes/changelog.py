"""What stands in the retro changelog of 389 Directory Server and FreeIPA (cn=changelog).

Its entries are numbered by one server and trimmed by age. ``changes`` is never asked for: it may
hold password hashes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from syncd.errors import (
    ChangesUnavailable,
    DecodeError,
    DirectoryError,
    DirectoryUnavailable,
    SearchRejected,
    cut,
)
from syncd.ldap import dn, filters, results
from syncd.ldap.ber import decode_entry
from syncd.ldap.decode import decode_external_id, decode_text
from syncd.ldap.listings import in_scope
from syncd.ldap.search import SearchRequest
from syncd.ldap.vendors import server_of
from syncd.records import Scope, Verdict, batched

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from syncd.ldap.connection import Connection
    from syncd.records import Entry

# The attribute whose values the changelog names entries by.
NS_UNIQUE_ID: Final = "nsUniqueId"
ATTRIBUTES: Final = (
    "changeNumber",
    "changeTime",
    "changeType",
    "targetDn",
    "targetUniqueId",
    "newRdn",
    "newSuperior",
)
# Below any usual size limit: this server counts the entries of a page against it.
NUMBERS_PER_PAGE: Final = 200
# As many of the newest are looked at where the account's rights and the plug-in are checked.
NEWEST: Final = 500
# Each is a clause of a filter, by an attribute that has an index.
IDS_PER_SEARCH: Final = 100


class Change(NamedTuple):
    """One entry of the changelog: whose entry, and under which names it is or was."""

    number: int
    moment: str
    external_id: str
    # Where it was changed; and where it is since, when it was renamed or moved.
    name: str
    new_name: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """All its names."""
        return (self.name,) if self.new_name is None else (self.name, self.new_name)

    @property
    def mark(self) -> str:
        """What no other entry of this number has, in another changelog."""
        return f"{self.moment} {self.external_id}"


class Position(NamedTuple):
    """How far a changelog was read: its server, the last number and what stood under it."""

    number: int
    server: str
    mark: str

    @property
    def text(self) -> str:
        """The value of the watermark."""
        return json.dumps(self._asdict(), sort_keys=True, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Position:
        """Return what a watermark says; ValueError when it says nothing."""
        match json.loads(text):
            case {"number": int() as number, "server": str() as server, "mark": str() as mark}:
                return cls(number, server, mark)
        raise ValueError(f"{cut(text)!r} is no place in a changelog")


class Reach(NamedTuple):
    """Where a server's changelog is, and its first and last number; both 0 while it is empty."""

    name: str
    first: int
    last: int


def reach(root_dse: Entry) -> Reach | None:
    """Return where the changelog is; None when the server does not say that it has one."""
    names = root_dse.values("changelog")
    numbers = [root_dse.values(name) for name in ("firstChangeNumber", "lastChangeNumber")]
    try:
        first, last = (int(found[0]) for found in numbers)
        return Reach(decode_text(names[0]), first, last)
    except (IndexError, ValueError, DecodeError):
        return None


def beginning(connection: Connection, root_dse: Entry) -> Position:
    """Return the position before a full listing: the newest entry that can be read.

    Raises:
        DirectoryError: The changelog cannot be read.

    """
    # The last number may belong to a change that is not committed yet.
    newest = recent(connection, required_reach(root_dse))
    if not newest:
        raise DirectoryError("no entry of the changelog can be read any more")
    return Position(newest[-1].number, server_of(root_dse), newest[-1].mark)


def recent(connection: Connection, there: Reach) -> list[Change]:
    """Return the newest entries, in their order."""
    return read(connection, there, max(there.first, there.last - NEWEST + 1))


def read(connection: Connection, there: Reach, start: int) -> list[Change]:
    """Return the entries from a number on, in their order.

    Raises:
        ChangesUnavailable: They could not be read in full, or are not as they should be.

    """
    request = SearchRequest(
        base_dn=there.name,
        scope=Scope.ONE_LEVEL,
        filter=filters.and_(
            filters.greater_or_equal("changeNumber", str(start)),
            f"(changeNumber<={there.last})",
        ),
        attributes=ATTRIBUTES,
        page_size=NUMBERS_PER_PAGE,
    )
    listing = connection.listing(request, "changelog")
    try:
        found = [change_of(decode_entry(raw)) for page in listing for raw in page]
    except (SearchRejected, DecodeError) as error:
        raise ChangesUnavailable("history_gap", f"{there.name}: {error}") from error
    outcome = listing.outcome
    if outcome.result_code is None or outcome.result_code in results.TRY_LATER:
        raise DirectoryUnavailable(str(outcome.because))
    if outcome.verdict is not Verdict.COMPLETE:
        raise ChangesUnavailable(
            "history_gap", f"{there.name} could not be read in full: {outcome.because}"
        )
    return sorted(found)


def required_reach(root_dse: Entry) -> Reach:
    """Return where the changelog is; ChangesUnavailable when there is none any more."""
    there = reach(root_dse)
    if there is None:
        raise ChangesUnavailable("history_gap", "the directory has no changelog any more")
    return there


def change_of(entry: Entry) -> Change:
    """Return what an entry says.

    Raises:
        ChangesUnavailable: It does not say whose entry was changed.

    """

    def value(attribute: str) -> str:
        values = entry.values(attribute)
        return decode_text(values[0]) if values else ""

    name, new_rdn = value("targetDn"), value("newRdn")
    target = entry.values("targetUniqueId")
    number = value("changeNumber")
    if not number.isdecimal() or not name:
        raise ChangesUnavailable(
            "history_gap", f"{cut(entry.dn)} has no number or target that the account may read"
        )
    if not target:
        raise ChangesUnavailable(
            "history_gap",
            f"{cut(entry.dn)} does not say whose entry was changed: let the changelog log it "
            "(nsslapd-attribute: nsuniqueid:targetUniqueId)",
        )
    new_name = None
    if new_rdn:
        new_name = f"{new_rdn},{value('newSuperior') or _parent(name)}"
    external_id = decode_external_id(NS_UNIQUE_ID)(target[0])
    return Change(int(number), value("changeTime"), external_id, name, new_name)


def _parent(name: str) -> str:
    try:
        return dn.parent(name)
    except ValueError:
        return ""


def concerns(change: Change, request: SearchRequest) -> bool:
    """Return whether an entry is or was within reach of a search; in doubt it is."""
    try:
        return any(in_scope(name, request.base_dn, request.scope) for name in change.names)
    except ValueError:
        return True


def any_of(ids: Sequence[str]) -> Iterator[str]:
    """Yield the filters that find entries by their ids, some at a time."""
    for some in batched(ids, IDS_PER_SEARCH):
        yield filters.or_(*(filters.equal(NS_UNIQUE_ID, each) for each in some))
