"""Changes by Active Directory's update sequence numbers.

Each domain controller numbers its writes, and an entry bears the number of its last one. A range is
bounded by the highest number read before, and that is what the watermark keeps: together with the
domain controller in that life of its database, since nobody else's numbers mean the same.

The numbers tell neither who left the base or the filter nor who moved with a container, so whatever
changed anywhere in the domain is a hint (``hinted``), deleted objects are asked for apart, and the
places of containers are kept (``units``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from syncd.errors import (
    ChangesUnavailable,
    DirectoryError,
    DirectoryUnavailable,
    SearchRejected,
    cut,
)
from syncd.ldap import filters
from syncd.ldap.changes.active_directory import (
    OBJECT_GUID,
    Controller,
    base_contexts,
    check_memory,
    guids_of,
    present_time,
    read_all,
    read_controller,
    read_deleted,
)
from syncd.ldap.changes.units import UNITS, Units, read_units
from syncd.ldap.search import SearchRequest
from syncd.records import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from syncd.ldap.changes.standing import SyncSearch
    from syncd.ldap.connection import Connection
    from syncd.records import Entry

KIND: Final = "usn_changed"
NUMBER: Final = "uSNChanged"
FIRST_NUMBER: Final = "uSNCreated"


@dataclass(frozen=True, slots=True)
class Numbered:
    """How far one domain controller has come: the value of a watermark."""

    controller: Controller
    # 64 bits; the highest number that was committed.
    highest: int
    # The domain controller's own time, as GeneralizedTime.
    time: str
    units: Units

    @property
    def text(self) -> str:
        """The value of the watermark."""
        value = {
            "controller": self.controller.name,
            "invocation": self.controller.invocation,
            "highest": self.highest,
            "time": self.time,
            "units": self.units.text,
        }
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Numbered:
        """Return what a watermark says; ValueError when it says nothing."""
        match json.loads(text):
            case {
                "controller": str() as name,
                "invocation": str() as invocation,
                "highest": int() as highest,
                "time": str() as time,
                "units": (str() | None) as units,
            }:
                return cls(Controller(name, invocation), highest, time, Units.read(units))
        raise ValueError(f"{cut(text)!r} is no watermark of numbers")


class Changed(NamedTuple):
    """What the numbers tell since a watermark."""

    # What narrows a search down to the entries that changed.
    clauses: tuple[str, ...]
    hints: tuple[str, ...]
    now: Numbered


def beginning(connection: Connection, root_dse: Entry, searches: Sequence[SyncSearch]) -> Numbered:
    """Return how far the domain controller is, before a full listing.

    Raises:
        DirectoryError: It does not tell, or the account may not know.

    """
    return Numbered(
        read_controller(connection, root_dse),
        highest_committed(root_dse),
        present_time(connection, root_dse, searches),
        read_units(connection, root_dse, searches),
    )


def changed(
    connection: Connection, root_dse: Entry, searches: Sequence[SyncSearch], value: str
) -> Changed:
    """Return what changed since the stored watermark's value.

    Raises:
        ChangesUnavailable: A full sync has to look at everybody.

    """
    try:
        stored = Numbered.read(value)
    except ValueError as error:
        raise ChangesUnavailable("cookie_refused", f"the stored number: {error}") from error
    highest = highest_committed(root_dse)
    controller = read_controller(connection, root_dse)
    if controller != stored.controller:
        raise ChangesUnavailable(
            "ground",
            f"{controller.name} answers and numbers its own changes; those of "
            f"{stored.controller.name} were read before, or it was restored since",
        )
    if highest < stored.highest:
        raise ChangesUnavailable(
            "clock_backwards",
            f"the domain controller has come to change {highest}, but had come to "
            f"{stored.highest} before; it was restored",
        )
    now = present_time(connection, root_dse, searches)
    check_memory(connection, root_dse, stored.time, now)
    clause = numbered(stored.highest, highest)
    contexts = base_contexts(root_dse, searches)
    units: list[tuple[Entry, bool]] = []
    hints: list[str] = []
    for context in contexts:
        units += (
            (entry, _number(entry) > stored.highest)
            for entry in _found(connection, context, f"(&{UNITS}{clause})", FIRST_NUMBER)
        )
        hints += guids_of(_found(connection, context, clause))
        hints += guids_of(read_deleted(connection, root_dse, context, clause))
    return Changed(
        (clause,),
        tuple(dict.fromkeys(hints)),
        replace(stored, highest=highest, time=now, units=stored.units.after(units, searches)),
    )


def numbered(low: int, high: int) -> str:
    """Return the filter of what changed after ``low`` and up to ``high``."""
    return filters.and_(filters.greater_or_equal(NUMBER, str(low + 1)), f"({NUMBER}<={high})")


def highest_committed(root_dse: Entry) -> int:
    """Return the highest number that the domain controller has committed.

    Raises:
        DirectoryError: It does not tell.

    """
    try:
        return int(root_dse.values("highestCommittedUSN")[0])
    except (IndexError, ValueError):
        message = "the server does not tell how far its changes are (highestCommittedUSN)"
        raise DirectoryError(message) from None


def refusal(connection: Connection, root_dse: Entry, searches: Sequence[SyncSearch]) -> str | None:
    """Return why changes cannot be told by numbers here, with the next step."""
    try:
        read_controller(connection, root_dse)
        highest_committed(root_dse)
        present_time(connection, root_dse, searches)
        base_dn = _hidden(connection, searches)
    except DirectoryUnavailable:
        raise
    except DirectoryError as error:
        return str(error)
    if base_dn is not None:
        return (
            f"the bind account cannot read {NUMBER} of the entries below {base_dn}, and a search "
            "by it would find nobody; let it read that attribute"
        )
    return None


def _hidden(connection: Connection, searches: Sequence[SyncSearch]) -> str | None:
    """Return the base below which the account sees entries but not their numbers.

    A search by a number that cannot be read finds nobody, and says so without an error.
    """
    for search in searches:
        request = replace(search.request, attributes=("1.1",), page_size=1, controls=())
        marked = filters.greater_or_equal(NUMBER, "1")
        numbers = replace(request, filter=filters.and_(request.filter, marked))
        try:
            if not _any(connection, numbers) and _any(connection, request):
                return request.base_dn
        except SearchRejected:
            # Reading it will tell why.
            continue
    return None


def _any(connection: Connection, request: SearchRequest) -> bool:
    pages = iter(connection.listing(request, "probe"))
    return bool(next(pages, None))


def _found(connection: Connection, context: str, clause: str, *attributes: str) -> Iterator[Entry]:
    """Yield what matches in a whole context; nothing where the account may not search all of it."""
    request = SearchRequest(
        base_dn=context,
        scope=Scope.SUBTREE,
        filter=clause,
        attributes=(OBJECT_GUID, *attributes),
    )
    try:
        yield from read_all(connection, request)
    except SearchRejected:
        return


def _number(entry: Entry) -> int:
    values = entry.values(FIRST_NUMBER)
    try:
        return int(values[0]) if values else 0
    except ValueError:
        return 0
