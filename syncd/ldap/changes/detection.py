"""Which way of asking for changes fits a directory, and why.

``auto`` takes content synchronization where everything about it is in order, since it names who
left, and times of modification otherwise. A way that an administrator chose is checked and never
replaced by another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from syncd.errors import DirectoryError, DirectoryUnavailable, SearchRejected, UsageError
from syncd.ldap import results
from syncd.ldap.changes import cookies, modify_timestamp, syncrepl
from syncd.ldap.changes.refresh import Refresh
from syncd.ldap.changes.standing import positions
from syncd.ldap.changes.sync_messages import SYNC_REQUEST, sync_request
from syncd.ldap.clock import read_time
from syncd.ldap.vendors import detect
from syncd.records import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncd.ldap.changes.standing import SyncSearch
    from syncd.ldap.connection import Connection
    from syncd.ldap.listings import UserSearch
    from syncd.records import Entry

AUTO: Final = "auto"
# Kinds that the configuration knows and this version does not have.
NOT_YET: Final = frozenset({"usn_changed"})
KINDS: Final = frozenset({AUTO, modify_timestamp.KIND, syncrepl.KIND})
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
    if setting in NOT_YET:
        raise UsageError(
            f"change_detection: {setting} is not available in this version; set it to auto or "
            f"{modify_timestamp.KIND}"
        )
    if setting not in KINDS:
        raise UsageError(
            f"there is no change_detection {setting!r}; there are: {', '.join(sorted(KINDS))}"
        )
    if setting == syncrepl.KIND and not _by_entry_uuid(uuid_attribute):
        raise UsageError(f"change_detection: syncrepl cannot be used: {_other_id(uuid_attribute)}")


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
    if setting == modify_timestamp.KIND:
        return _by_time(connection, root_dse, users, "it is configured")
    missing = _missing(setting, connection, root_dse, users, searches)
    if missing is None:
        return Detection(
            syncrepl.KIND,
            "the server offers content synchronization (RFC 4533) and lets the account read "
            "contextCSN, so it names what changed and who was deleted",
        )
    if setting == syncrepl.KIND:
        raise UsageError(
            f"change_detection: syncrepl cannot be used: {missing}; or set change_detection: auto"
        )
    return _by_time(connection, root_dse, users, f"syncrepl cannot be used: {missing}")


def _by_time(connection: Connection, root_dse: Entry, users: UserSearch, reason: str) -> Detection:
    names = " and ".join(dict.fromkeys((users.modified_attribute, users.created_attribute)))
    if not read_time(connection, root_dse, users.base_dns):
        consequence = f"but every changed-user sync becomes a full one: {modify_timestamp.NO_CLOCK}"
    else:
        consequence = f"so {names} are compared; only full syncs see who left"
    return Detection(modify_timestamp.KIND, f"{reason}; {consequence}")


def _missing(
    setting: str,
    connection: Connection,
    root_dse: Entry,
    users: UserSearch,
    searches: Sequence[SyncSearch],
) -> str | None:
    """Return what is missing for content synchronization, with the next step."""
    if not _by_entry_uuid(users.uuid_attribute):
        return _other_id(users.uuid_attribute)
    if setting == AUTO and detect(root_dse) != "openldap":
        return "the server does not say that it is OpenLDAP, and others differ in what it means"
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


def _by_entry_uuid(uuid_attribute: str) -> bool:
    return uuid_attribute.lower() == syncrepl.ENTRY_UUID.lower()


def _other_id(uuid_attribute: str) -> str:
    return (
        f"it names entries by entryUUID, and uuid_ldap_attribute is {uuid_attribute}; set "
        "uuid_ldap_attribute: entryUUID where nobody was imported yet"
    )
