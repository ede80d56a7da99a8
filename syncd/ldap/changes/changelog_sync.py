"""Content synchronization (RFC 4533) on 389 Directory Server, whose cookies are changelog numbers.

It differs from what the standard says, so what it tells is taken as hints and read again:

- A refresh never says that it deletes (refreshDeletes is always FALSE), not even when nothing
  changed. Only deletions that name an entry count.
- It is silent on whoever loses the filter. So everything below a base is asked for.
- It sends each user attribute and no operational one, whatever was asked for.
- It names entries by nsUniqueId, written as a UUID.
- It takes any cookie whose beginning is right, however old, and leaves out what was trimmed.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from syncd.errors import (
    ChangesUnavailable,
    DirectoryError,
    DirectoryUnavailable,
    SearchRejected,
    cut,
)
from syncd.ldap import filters, results
from syncd.ldap.changes.changelog import Reach, any_of, reach, required_reach
from syncd.ldap.changes.changelog_units import uppers
from syncd.ldap.changes.refresh import Refresh
from syncd.ldap.changes.standing import Standing
from syncd.ldap.changes.sync_messages import SYNC_REQUEST, sync_request
from syncd.records import Scope, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from syncd.ldap.changes.standing import SyncSearch
    from syncd.ldap.connection import Connection
    from syncd.records import Entry

EVERYTHING: Final = "(objectClass=*)"
# A host and its port.
SERVER: Final = re.compile(r".+:[0-9]+")
# The server may do better in a minute, so nothing follows about what it offers.
PASSING: Final = results.TRY_LATER | {results.TIME_LIMIT_EXCEEDED}


class Cookie(NamedTuple):
    """``server#account:base:filter#number``: for whom a cookie is, and up to which change."""

    text: str
    server: str
    search: str
    number: int

    @classmethod
    def read(cls, text: str) -> Cookie:
        """Return what a cookie says; ValueError when it is none of this server's."""
        beginning, _, number = text.rpartition("#")
        server, _, search = beginning.partition("#")
        if not SERVER.fullmatch(server) or not search or not number.isdecimal():
            raise ValueError(f"{cut(text)!r} is no cookie of a changelog")
        return cls(text, server, search, int(number))


class Changed(NamedTuple):
    """What content synchronization tells since a watermark."""

    # What narrows a search down to the entries that changed: some ids each.
    clauses: tuple[str, ...]
    hints: tuple[str, ...]
    now: Standing


def refusal(connection: Connection, root_dse: Entry, searches: Sequence[SyncSearch]) -> str | None:
    """Return why content synchronization cannot be used, with the next step; None when it can.

    Raises:
        DirectoryUnavailable: The directory cannot be asked at the moment.

    """
    offered = {value.decode("ascii", "replace") for value in root_dse.values("supportedControl")}
    if SYNC_REQUEST not in offered or reach(root_dse) is None:
        return (
            "the server does not offer content synchronization; enable its plug-in and that of the "
            "retro changelog"
        )
    try:
        beginning(connection, searches)
    except DirectoryUnavailable:
        raise
    except DirectoryError as error:
        return f"a trial failed: {error}"
    return None


def beginning(connection: Connection, searches: Sequence[SyncSearch]) -> Standing:
    """Return the standing before a full listing: how far the directory is now.

    Raises:
        DirectoryError: It does not say.

    """
    return Standing({search.key: _present(connection, search).text for search in searches})


def changed(
    connection: Connection, root_dse: Entry, searches: Sequence[SyncSearch], value: str
) -> Changed:
    """Return what has changed since the stored watermark's value.

    Raises:
        ChangesUnavailable: The value cannot be used, the changelog does not reach back to it, or a
            unit may have been renamed with all that is below it.

    """
    try:
        stored = Standing.read(value)
        cookies = {key: Cookie.read(cookie) for key, cookie in stored.cookies.items()}
    except ValueError as error:
        raise ChangesUnavailable(
            "cookie_refused", f"the stored cookies cannot be used: {error}"
        ) from error
    there = required_reach(root_dse)
    sent: dict[str, None] = {}
    deleted: dict[str, None] = {}
    found: dict[str, str] = {}
    for search in searches:
        if search.key not in cookies:
            raise ChangesUnavailable("no_watermark", f"there is no cookie for {search.key}")
        cookie = cookies[search.key]
        _check(cookie, _present(connection, search), there)
        refresh = _refreshed(connection, _widened(search), cookie.text)
        sent.update(dict.fromkeys(map(ns_unique_id, refresh.sent)))
        deleted.update(dict.fromkeys(map(ns_unique_id, refresh.deleted)))
        found[search.key] = refresh.cookie or cookie.text
    hints = tuple(sent | deleted)
    _check_units(connection, root_dse, searches, hints)
    return Changed(tuple(any_of(tuple(sent))), hints, Standing(found))


def _present(connection: Connection, search: SyncSearch) -> Cookie:
    """Return the cookie that stands for this moment.

    A cookie is bound to account, base and filter, but not to the scope: asking about the base alone
    brings it without everybody.
    """
    widened = _widened(search)
    base = search._replace(request=replace(widened.request, scope=Scope.BASE))
    refresh = _refreshed(connection, base, None)
    try:
        return Cookie.read(refresh.cookie or "")
    except ValueError as error:
        raise DirectoryError(f"below {search.request.base_dn}: {error}") from error


def _check(stored: Cookie, present: Cookie, there: Reach) -> None:
    if stored.server != present.server:
        raise ChangesUnavailable(
            "other_server",
            f"{stored.server} was asked for changes last time, and the numbers of "
            f"{present.server} are others",
        )
    if stored.search != present.search:
        raise ChangesUnavailable(
            "cookie_refused", "the stored cookie is for another account, base or filter"
        )
    if present.number < stored.number:
        raise ChangesUnavailable(
            "clock_backwards",
            f"{there.name} ends at {present.number} and was read up to {stored.number} before; it "
            "was made anew, or the directory was restored",
        )
    if there.first > stored.number + 1:
        raise ChangesUnavailable(
            "history_gap",
            f"{there.name} begins at {there.first} and was read up to {stored.number}; keep it for "
            "longer than the longest pause between two syncs (nsslapd-changelogmaxage)",
        )


def _check_units(
    connection: Connection, root_dse: Entry, searches: Sequence[SyncSearch], ids: Iterable[str]
) -> None:
    """Make sure that no unit was renamed: who was below it is not told of.

    Why a unit is told of is not said, so one that is new or was changed counts as well; people and
    containers that have something below them do not.
    """
    others = [filters.not_(search.request.filter) for search in searches]
    for name in uppers(connection, root_dse, searches, ids, filters.and_(*others)).values():
        raise ChangesUnavailable(
            "renamed_unit",
            f"{name} is new, was changed or renamed, and the directory does not tell who moved "
            "with it",
        )


def _refreshed(connection: Connection, search: SyncSearch, cookie: str | None) -> Refresh:
    """Ask for what changed since a cookie.

    Raises:
        ChangesUnavailable: There is no whole answer.
        DirectoryUnavailable: The directory cannot be asked at the moment.

    """
    control = sync_request(None if cookie is None else cookie.encode())
    request = replace(search.request, attributes=("1.1",), page_size=None, controls=(control,))
    refresh = Refresh()
    listing = connection.listing(
        request,
        search.source,
        on_intermediate=refresh.intermediate,
        on_result=refresh.result,
    )
    try:
        for page in listing:
            refresh.page(page)
    except SearchRejected as error:
        raise ChangesUnavailable(
            "cookie_refused", f"the directory does not go on from the last run's cookie: {error}"
        ) from error
    outcome = refresh.end(listing.outcome)
    if outcome.result_code is None or outcome.result_code in PASSING:
        raise DirectoryUnavailable(str(outcome.because))
    if outcome.verdict is Verdict.TRUNCATED:
        raise ChangesUnavailable("cookie_refused", str(outcome.because))
    return refresh


def _widened(search: SyncSearch) -> SyncSearch:
    return search._replace(request=replace(search.request, filter=EVERYTHING))


def ns_unique_id(uuid: str) -> str:
    """Return an id as the attribute has it, given the same 16 bytes written as a UUID."""
    h = uuid.replace("-", "")
    return f"{h[:8]}-{h[8:16]}-{h[16:24]}-{h[24:]}"
