"""Changes by the times of creation and modification, on any directory that tells its own time.

Times are whole seconds, so the boundary is asked for again, and an overlap before it: what was
known already costs a digest. Deletions, moves out of the users DNs and what overlays change do not
show here; full syncs find them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from syncd.errors import ChangesUnavailable, DecodeError
from syncd.ldap import filters
from syncd.ldap.changes.sentinels import WatchedListing
from syncd.ldap.clock import GENERALIZED_TIME, OVERLAP, minutes
from syncd.ldap.decode import decode_generalized_time
from syncd.records import Signals, Watermark

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from syncd.ldap.listings import Connections, ContainerSearch, UserSearch
    from syncd.ldap.search import SearchRequest

KIND: Final = "modify_timestamp"
NO_CLOCK: Final = (
    "the directory tells no time of its own: load the syncprov overlay (OpenLDAP), or let the bind "
    "account read contextCSN of the suffix"
)
# Active Directory takes a time in a filter only with a fraction.
FRACTIONAL: Final = frozenset({"whencreated", "whenchanged"})


class Stamps(NamedTuple):
    """The attributes that bear the times of an entry."""

    created: str
    modified: str

    def since(self, moment: datetime) -> str:
        """Return the filter of what was created or modified at that time or later."""
        return filters.or_(
            *(
                filters.greater_or_equal(attribute, _asserted(attribute, moment))
                for attribute in dict.fromkeys((self.modified, self.created))
            )
        )


class StampChanges:
    """What was created or modified since a watermark."""

    def __init__(
        self,
        *,
        connections: Connections,
        users: UserSearch,
        container: Callable[[str], ContainerSearch],
        since: str,
        now: Watermark,
    ) -> None:
        self._connections = connections
        self._users = users
        self._container = container
        self._from = beginning(since, now.value)
        self._now = now

    def users(self) -> WatchedListing:
        """List the people who are new or changed."""
        users = self._users
        stamps = Stamps(users.created_attribute, users.modified_attribute)
        return self._listing("users", stamps, *users.requests(), sentinels=users.sentinels)

    def containers(self, mapper: str) -> WatchedListing:
        """List the containers of a mapper that are new or changed."""
        search = self._container(mapper)
        stamps = Stamps(search.created_attribute, search.modified_attribute)
        return self._listing(mapper, stamps, search.request())

    def signals(self, source: str) -> Signals:
        """Return nothing: times say nothing of who is not there."""
        del source
        return Signals()

    @property
    def watermark(self) -> Watermark:
        """The directory's time from before the search."""
        return self._now

    def _listing(
        self,
        source: str,
        stamps: Stamps,
        *requests: SearchRequest,
        sentinels: tuple[str, ...] = (),
    ) -> WatchedListing:
        since = stamps.since(self._from)
        return WatchedListing(
            source=source,
            connections=self._connections,
            requests=[
                replace(request, filter=filters.and_(request.filter, since)) for request in requests
            ],
            whole=requests[0],
            sentinels=sentinels,
        )


def beginning(since: str, now: str) -> datetime:
    """Return from when on to ask, given the stored and the present time of the directory.

    Raises:
        ChangesUnavailable: There is no time, or it went backwards by more than the overlap.

    """
    stored, present = _moment(since), _moment(now)
    if stored is None or present is None:
        raise ChangesUnavailable("no_clock", NO_CLOCK)
    if stored - present > OVERLAP:
        raise ChangesUnavailable(
            "clock_backwards",
            f"the directory's time is {now}, but was {since} at the last run; it was rebuilt or "
            f"restored, or lags by more than {minutes(OVERLAP)} minutes",
        )
    return min(stored, present) - OVERLAP


def _moment(value: str) -> datetime | None:
    try:
        return decode_generalized_time(value.encode())
    except DecodeError:
        return None


def _asserted(attribute: str, moment: datetime) -> str:
    text = moment.strftime(GENERALIZED_TIME)
    return f"{text[:-1]}.0Z" if attribute.lower() in FRACTIONAL else text
