"""What Active Directory tells of itself, and of what was deleted in it.

Update sequence numbers, times and deleted objects are those of one domain controller in one life of
its database: ``invocationId`` is new after a restore.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from syncd.errors import (
    ChangesUnavailable,
    DecodeError,
    DirectoryError,
    DirectoryUnavailable,
    SearchRejected,
)
from syncd.ldap import results
from syncd.ldap.ber import decode_entry
from syncd.ldap.clock import EVERYTHING, contexts, read_entry, read_time
from syncd.ldap.decode import decode_external_id, decode_generalized_time
from syncd.ldap.listings import normalized
from syncd.ldap.messages import Control
from syncd.ldap.search import SearchRequest
from syncd.records import Scope, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from syncd.ldap.changes.standing import SyncSearch
    from syncd.ldap.connection import Connection
    from syncd.records import Entry

OBJECT_GUID: Final = "objectGUID"
SHOW_DELETED: Final = Control("1.2.840.113556.1.4.417", critical=True)
# With the recycle bin, deleted objects become recycled ones, which are told apart.
SHOW_RECYCLED: Final = Control("1.2.840.113556.1.4.2064", critical=True)
# The well-known name of the container of deleted objects (MS-ADTS section 6.1.1.4.2).
DELETED_OBJECTS: Final = "18E2EA80684F11D2B9AA00C04F79F805"
DIRECTORY_SERVICE: Final = "CN=Directory Service,CN=Windows NT,CN=Services"
# What a forest has that never set another, and the least that a domain controller takes, in days.
DEFAULT_LIFETIME: Final = 60
LEAST_LIFETIME: Final = 2
LIFETIMES: Final = ("tombstoneLifetime", "msDS-deletedObjectLifetime")

_guid = decode_external_id(OBJECT_GUID)


class Controller(NamedTuple):
    """Which domain controller answers, in which life of its database."""

    name: str
    invocation: str


def controller_name(root_dse: Entry) -> str:
    """Return the comparison text of the domain controller's name; empty when none is told."""
    values = root_dse.values("dsServiceName")
    return normalized(values[0].decode("utf-8", "replace")) if values else ""


def read_controller(connection: Connection, root_dse: Entry) -> Controller:
    """Return which domain controller answers.

    Raises:
        DirectoryError: The account may not know, or the server is none.

    """
    name = controller_name(root_dse)
    if not name:
        raise DirectoryError(
            "the server does not say which domain controller it is (dsServiceName)"
        )
    settings = read_entry(connection, name, ("invocationId",))
    values = settings.values("invocationId") if settings else []
    if not values:
        raise DirectoryError(
            f"invocationId of {name} cannot be read, which tells whether the domain controller was "
            "restored; let the bind account read it"
        )
    return Controller(name, values[0].hex())


def base_contexts(root_dse: Entry, searches: Sequence[SyncSearch]) -> list[str]:
    """Return the naming contexts that hold the bases of these searches."""
    return contexts(root_dse, (search.request.base_dn for search in searches))


def present_time(connection: Connection, root_dse: Entry, searches: Sequence[SyncSearch]) -> str:
    """Return the domain controller's time; DirectoryError when it tells none."""
    now = read_time(connection, root_dse, [search.request.base_dn for search in searches])
    if not now:
        raise DirectoryError("the server does not tell its time (currentTime)")
    return now


def guid_of(entry: Entry) -> str | None:
    """Return an entry's objectGUID as text; None when it cannot be read."""
    values = entry.values(OBJECT_GUID)
    try:
        return _guid(values[0]) if values else None
    except DecodeError:
        return None


def guids_of(entries: Iterable[Entry]) -> list[str]:
    """Return the objectGUIDs of entries as text."""
    return [guid for guid in map(guid_of, entries) if guid is not None]


def read_all(connection: Connection, request: SearchRequest) -> Iterator[Entry]:
    """Yield everything that a search finds; what lies behind a reference is another context's.

    Raises:
        SearchRejected: The server does not take the question.
        DirectoryUnavailable: It went away.
        ChangesUnavailable: It did not answer to the end, so that what it said is not all.

    """
    listing = connection.listing(request, "changes")
    for page in listing:
        for raw in page:
            try:
                yield decode_entry(raw)
            except DecodeError as error:
                raise ChangesUnavailable("unreadable", str(error)) from error
    outcome = listing.outcome
    if outcome.verdict is not Verdict.TRUNCATED:
        return
    sentence = f"what changed below {request.base_dn} cannot be told: {outcome.because}"
    if outcome.result_code is None or outcome.result_code in results.TRY_LATER:
        raise DirectoryUnavailable(sentence)
    raise ChangesUnavailable("unreadable", sentence)


def deleted_objects(connection: Connection, context: str) -> str | None:
    """Return the DN of a context's container of deleted objects, if the account may read it."""
    request = SearchRequest(
        base_dn=f"<WKGUID={DELETED_OBJECTS},{context}>",
        scope=Scope.BASE,
        filter=EVERYTHING,
        attributes=(OBJECT_GUID,),
        page_size=None,
        controls=(SHOW_DELETED,),
    )
    try:
        found = connection.search(request)
    except SearchRejected:
        return None
    return found[0].dn if found and found[0].values(OBJECT_GUID) else None


def read_deleted(
    connection: Connection, root_dse: Entry, context: str, clause: str
) -> Iterator[Entry]:
    """Yield the deleted objects of a context that match; none where the account may see none."""
    base_dn = deleted_objects(connection, context)
    if base_dn is None:
        return
    offered = SHOW_RECYCLED.oid.encode() in root_dse.values("supportedControl")
    request = SearchRequest(
        base_dn=base_dn,
        scope=Scope.ONE_LEVEL,
        # They have lost objectCategory and most else.
        filter=f"(&(isDeleted=TRUE){clause})",
        attributes=(OBJECT_GUID,),
        controls=(SHOW_DELETED, SHOW_RECYCLED) if offered else (SHOW_DELETED,),
    )
    yield from read_all(connection, request)


def check_memory(connection: Connection, root_dse: Entry, since: str, now: str) -> None:
    """Make sure that whatever was deleted since then is still told of.

    Raises:
        ChangesUnavailable: It may have been forgotten.

    """
    age = _moment(now) - _moment(since)
    if age < timedelta(days=LEAST_LIFETIME - 1):
        return
    lifetime = _lifetime(connection, root_dse)
    # A day less: what is too old is removed by a task that runs twice a day.
    if age > lifetime - timedelta(days=1):
        raise ChangesUnavailable(
            "history_gap",
            f"changes were last read {age.days} days ago, and the directory forgets what was "
            f"deleted after {lifetime.days} days",
        )


def _lifetime(connection: Connection, root_dse: Entry) -> timedelta:
    places = [
        value.decode("utf-8", "replace") for value in root_dse.values("configurationNamingContext")
    ]
    entry = (
        read_entry(connection, f"{DIRECTORY_SERVICE},{places[0]}", LIFETIMES) if places else None
    )
    days = [int(value) for name in LIFETIMES for value in (entry.values(name) if entry else ())]
    return timedelta(days=max(min(days, default=DEFAULT_LIFETIME), LEAST_LIFETIME))


def _moment(text: str) -> datetime:
    try:
        return decode_generalized_time(text.encode())
    except DecodeError as error:
        raise ChangesUnavailable("no_clock", f"the time of the last run: {error}") from error
