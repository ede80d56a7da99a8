"""Which way of asking for changes fits a directory, and why.

``auto`` takes the best that the product offers where everything about it is in order, and times of
modification otherwise. A way that an administrator chose is checked and never replaced by another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from syncd.errors import DirectoryError, DirectoryUnavailable, SearchRejected, UsageError
from syncd.ldap import results
from syncd.ldap.changes import (
    changelog_cover,
    changelog_sync,
    cookies,
    dirsync,
    modify_timestamp,
    retro_changelog,
    syncrepl,
    usn_changed,
)
from syncd.ldap.changes.active_directory import OBJECT_GUID, base_contexts, deleted_objects
from syncd.ldap.changes.changelog import NS_UNIQUE_ID
from syncd.ldap.changes.refresh import Refresh
from syncd.ldap.changes.standing import positions
from syncd.ldap.changes.sync_messages import SYNC_REQUEST, sync_request
from syncd.ldap.clock import read_time
from syncd.ldap.vendors import VENDORS, vendor_of
from syncd.records import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.ldap.changes.standing import SyncSearch
    from syncd.ldap.connection import Connection
    from syncd.ldap.listings import UserSearch
    from syncd.records import Entry

AUTO: Final = "auto"
KINDS: Final = frozenset(
    {
        AUTO,
        modify_timestamp.KIND,
        syncrepl.KIND,
        usn_changed.KIND,
        dirsync.KIND,
        retro_changelog.KIND,
    }
)
# Active Directory's, which tell of deleted and of changed entries by objectGUID.
BY_GUID: Final = frozenset({usn_changed.KIND, dirsync.KIND})
# The server may do better in a minute, so nothing follows about what it offers.
PASSING: Final = results.TRY_LATER | {results.TIME_LIMIT_EXCEEDED}


@dataclass(frozen=True, slots=True)
class Detection:
    """How changes are found: the kind of its watermarks, and the reason as a sentence."""

    kind: str
    because: str


def check_setting(setting: str, uuid_attribute: str) -> None:
    """Check what can be checked of ``change_detection`` without a directory.

    Raises:
        UsageError: The setting cannot be used, with the next step.

    """
    if setting not in KINDS:
        raise UsageError(
            f"there is no change_detection {setting!r}; there are: {', '.join(sorted(KINDS))}"
        )
    other_id = _other_id(setting, uuid_attribute)
    if other_id is not None:
        raise UsageError(f"change_detection: {setting} cannot be used: {other_id}")


def choose(
    setting: str,
    connection: Connection,
    root_dse: Entry,
    users: UserSearch,
    searches: Sequence[SyncSearch],
) -> Detection:
    """Return how changes are found in this directory.

    Raises:
        UsageError: The way that the configuration demands cannot be used here.
        DirectoryUnavailable: The directory cannot be asked at the moment.

    """
    check_setting(setting, users.uuid_attribute)
    reasons: list[str] = []
    for kind in vendor_of(root_dse).change_detection if setting == AUTO else (setting,):
        if kind == modify_timestamp.KIND:
            break
        missing = _missing(kind, connection, root_dse, users, searches)
        if missing is None:
            return Detection(kind, _because(kind, connection, root_dse, searches))
        if setting != AUTO:
            raise UsageError(
                f"change_detection: {kind} cannot be used: {missing}; or set change_detection: auto"
            )
        reasons.append(f"{kind} cannot be used: {missing}")
    if setting != AUTO:
        reasons.append("it is configured")
    reason = "; ".join(reasons) or "the server is none of which a better way is known"
    return _by_time(connection, root_dse, users, reason)


def _because(
    kind: str, connection: Connection, root_dse: Entry, searches: Sequence[SyncSearch]
) -> str:
    """Return the reason for a way that lacks nothing."""
    if kind == retro_changelog.KIND:
        return (
            "the account may read the retro changelog, which names what was changed, moved and "
            "deleted"
        )
    if kind not in BY_GUID and vendor_of(root_dse).sync_by_changelog:
        return (
            "the server offers content synchronization (RFC 4533) and the account may not read the "
            "retro changelog behind it, so it names what was changed, moved and deleted; a unit "
            "that was changed itself makes a full sync, because it may have been renamed"
        )
    if kind not in BY_GUID:
        return (
            "the server offers content synchronization (RFC 4533) and lets the account read "
            "contextCSN, so it names what changed and who was deleted"
        )
    how = (
        "the server numbers its changes (uSNChanged)"
        if kind == usn_changed.KIND
        else "it is configured, and the server takes the DirSync control"
    )
    hidden = [
        context
        for context in base_contexts(root_dse, searches)
        if deleted_objects(connection, context) is None
    ]
    if not hidden:
        return (
            f"{how} and shows deleted objects to the account, so it tells what changed and who left"
        )
    places = " and ".join(f"CN=Deleted Objects,{context}" for context in hidden)
    return (
        f"{how}; only full syncs see who was deleted, because the account may not see {places}: "
        "give it the rights to list that container and to read its properties (dsacls, LCRP)"
    )


def _by_time(connection: Connection, root_dse: Entry, users: UserSearch, reason: str) -> Detection:
    names = " and ".join(dict.fromkeys((users.modified_attribute, users.created_attribute)))
    if not read_time(connection, root_dse, users.base_dns):
        consequence = f"but every changed-user sync becomes a full one: {modify_timestamp.NO_CLOCK}"
    else:
        consequence = f"so {names} are compared; only full syncs see who left"
    return Detection(modify_timestamp.KIND, f"{reason}; {consequence}")


def _missing(
    kind: str,
    connection: Connection,
    root_dse: Entry,
    users: UserSearch,
    searches: Sequence[SyncSearch],
) -> str | None:
    """Return what is missing for a way of asking, with the next step."""
    other_id = _other_id(kind, users.uuid_attribute, root_dse)
    if other_id is not None:
        return other_id
    if kind == usn_changed.KIND:
        return usn_changed.refusal(connection, root_dse, searches)
    if kind == dirsync.KIND:
        return dirsync.refusal(connection, root_dse, searches)
    if kind == retro_changelog.KIND:
        return changelog_cover.refusal(connection, root_dse, searches)
    if vendor_of(root_dse).sync_by_changelog:
        return changelog_sync.refusal(connection, root_dse, searches)
    return _missing_sync(connection, root_dse, searches)


def _missing_sync(
    connection: Connection, root_dse: Entry, searches: Sequence[SyncSearch]
) -> str | None:
    """Return what is missing for content synchronization, with the next step."""
    offered = {value.decode("ascii", "replace") for value in root_dse.values("supportedControl")}
    if SYNC_REQUEST not in offered:
        return "the server does not offer content synchronization; load the syncprov overlay"
    try:
        now = positions(connection, root_dse, searches)
    except DirectoryUnavailable:
        raise
    except DirectoryError as error:
        return str(error)
    for search in searches:
        refused = _trial(connection, search, cookies.compose(now[search.key]))
        if refused:
            return f"a trial below {search.request.base_dn} failed: {refused}"
    return None


def _trial(connection: Connection, search: SyncSearch, cookie: str) -> str | None:
    """Ask for changes since this very moment; return what went wrong."""
    request = replace(
        search.request,
        attributes=("1.1",),
        page_size=None,
        controls=(sync_request(cookie.encode()),),
    )
    refresh = Refresh()
    listing = connection.listing(
        request, "probe", on_intermediate=refresh.intermediate, on_result=refresh.result
    )
    try:
        for page in listing:
            refresh.page(page)
    except SearchRejected as error:
        return str(error)
    outcome = refresh.end(listing.outcome)
    if outcome.result_code is None or outcome.result_code in PASSING:
        raise DirectoryUnavailable(str(outcome.because))
    return str(outcome.because) if outcome.verdict is Verdict.TRUNCATED else None


def _other_id(kind: str, uuid_attribute: str, root_dse: Entry | None = None) -> str | None:
    """Return why a way cannot be used with this id, if it names entries by another."""
    if kind in BY_GUID:
        needed = [OBJECT_GUID]
    elif kind == retro_changelog.KIND:
        needed = [NS_UNIQUE_ID]
    elif kind == syncrepl.KIND:
        products = VENDORS.values() if root_dse is None else [vendor_of(root_dse)]
        needed = sorted({product.sync_id_attribute for product in products})
    else:
        return None
    if uuid_attribute.lower() in {each.lower() for each in needed}:
        return None
    return (
        f"it names entries by {' or '.join(needed)}, and uuid_ldap_attribute is {uuid_attribute}; "
        f"set uuid_ldap_attribute: {needed[0]} where nobody was imported yet"
    )
