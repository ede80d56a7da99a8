"""Changes by DirSync, Active Directory's replication for others.

It reads a whole naming context, so base and filter are applied here: of each entry that changed
only the id is taken, and the entry is read whole and anew by the organization's own searches. All
attributes are asked for, because a list of them is a filter too, and one that lacked an attribute
of the configured filter would miss who left it. Of long lists of members only the changes come.

The cookie is the server's own and is taken as it is. As with the numbers, the places of containers
are kept, since DirSync does not tell who moved with one either.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from syncd.errors import (
    ChangesUnavailable,
    DecodeError,
    DirectoryError,
    DirectoryUnavailable,
    SearchRejected,
    cut,
)
from syncd.ldap import filters, results
from syncd.ldap.ber import Malformed, decode_entry
from syncd.ldap.changes.active_directory import (
    OBJECT_GUID,
    base_contexts,
    check_memory,
    guid_of,
    present_time,
    read_all,
)
from syncd.ldap.changes.dirsync_messages import (
    ANSWER_BYTES,
    DIRSYNC,
    decode_answer,
    dirsync_request,
)
from syncd.ldap.changes.units import UNITS, Units, read_units
from syncd.ldap.decode import encode_external_id
from syncd.ldap.listings import normalized
from syncd.ldap.search import SearchRequest
from syncd.records import Scope, Verdict, batched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from syncd.ldap.changes.standing import SyncSearch
    from syncd.ldap.connection import Connection
    from syncd.ldap.messages import Result
    from syncd.records import Entry

KIND: Final = "dirsync"
# What nothing matches: only the cookie is wanted. Cookies do not depend on filters.
NOTHING: Final = "(!(objectClass=*))"
EVERYTHING: Final = "(objectClass=*)"
IDS_PER_SEARCH: Final = 200
# A full sync reads everybody sooner than so many are read by their ids.
MOST_CHANGED: Final = 20_000
# Answers in a row; a server that always has more would keep a run for ever.
MOST_ANSWERS: Final = 100_000
REFUSED: Final = frozenset(
    {
        results.PROTOCOL_ERROR,
        results.UNAVAILABLE_CRITICAL_EXTENSION,
        results.UNWILLING_TO_PERFORM,
    }
)


@dataclass(frozen=True, slots=True)
class Cookies:
    """How far each naming context was read: the value of a watermark."""

    cookies: Mapping[str, bytes]
    # The domain controller's own time, as GeneralizedTime.
    time: str
    units: Units

    @property
    def text(self) -> str:
        """The value of the watermark."""
        value = {
            "cookies": {key: b64encode(cookie).decode() for key, cookie in self.cookies.items()},
            "time": self.time,
            "units": self.units.text,
        }
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Cookies:
        """Return what a watermark says; ValueError when it says nothing."""
        match json.loads(text):
            case {
                "cookies": dict() as found,
                "time": str() as time,
                "units": (str() | None) as units,
            } if all(isinstance(each, str) for each in found.values()):
                cookies = {key: b64decode(each, validate=True) for key, each in found.items()}
                return cls(cookies, time, Units.read(units))
        raise ValueError(f"{cut(text)!r} is no watermark of DirSync")


class Changed(NamedTuple):
    """What DirSync tells since a watermark."""

    # What narrows a search down to the entries that changed: some ids each.
    clauses: tuple[str, ...]
    hints: tuple[str, ...]
    now: Cookies


@dataclass(slots=True)
class _Told:
    """The ids of what changed; those that are new; those that are deleted."""

    living: set[str] = field(default_factory=set)
    new: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)

    def take(self, raw: bytes) -> None:
        try:
            entry = decode_entry(raw)
        except DecodeError as error:
            raise ChangesUnavailable("unreadable", str(error)) from error
        guid = guid_of(entry)
        if guid is None:
            return
        if entry.values("isDeleted")[:1] == [b"TRUE"]:
            self.deleted.add(guid)
            return
        # Said again, as when it was undeleted, it is there.
        self.deleted.discard(guid)
        self.living.add(guid)
        # No later change brings the class, which cannot change.
        if entry.values("objectClass"):
            self.new.add(guid)


def beginning(connection: Connection, root_dse: Entry, searches: Sequence[SyncSearch]) -> Cookies:
    """Return how far the directory is, before a full listing.

    Raises:
        DirectoryError: It does not tell, or the account may not ask.

    """
    return Cookies(
        {
            normalized(context): _rounds(connection, context, NOTHING, b"", _Told())
            for context in base_contexts(root_dse, searches)
        },
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
        stored = Cookies.read(value)
    except ValueError as error:
        raise ChangesUnavailable("cookie_refused", f"the stored cookies: {error}") from error
    now = present_time(connection, root_dse, searches)
    check_memory(connection, root_dse, stored.time, now)
    told = _Told()
    cookies: dict[str, bytes] = {}
    units: list[tuple[Entry, bool]] = []
    for context in base_contexts(root_dse, searches):
        key = normalized(context)
        if key not in stored.cookies:
            raise ChangesUnavailable("no_watermark", f"there is no cookie for {context}")
        here = _Told()
        try:
            cookies[key] = _rounds(connection, context, EVERYTHING, stored.cookies[key], here)
        except SearchRejected as error:
            if error.result_code not in REFUSED:
                raise
            raise ChangesUnavailable(
                "cookie_refused", f"the directory does not go on from the last run: {error}"
            ) from error
        told.living |= here.living
        told.deleted |= here.deleted
        if len(told.living) > MOST_CHANGED:
            raise ChangesUnavailable(
                "too_many_changed",
                f"{len(told.living)} entries changed, more than can be read one by one",
            )
        units += (
            (entry, guid_of(entry) in here.new) for entry in _units(connection, context, here)
        )
    return Changed(
        tuple(_clauses(sorted(told.living))),
        tuple(sorted(told.living | told.deleted)),
        Cookies(cookies, now, stored.units.after(units, searches)),
    )


def refusal(connection: Connection, root_dse: Entry, searches: Sequence[SyncSearch]) -> str | None:
    """Return why the account cannot ask for changes, with the next step."""
    offered = {value.decode("ascii", "replace") for value in root_dse.values("supportedControl")}
    if DIRSYNC not in offered:
        return "the server does not offer the DirSync control; it is no Active Directory"
    for context in base_contexts(root_dse, searches):
        try:
            # The least that can be asked for: the first entry's id.
            _round(connection, _request(context, EVERYTHING, b"", 1, OBJECT_GUID), _Told())
        except DirectoryUnavailable:
            raise
        except DirectoryError as error:
            return f"a trial on {context} failed: {error}"
    return None


def _rounds(
    connection: Connection, context: str, filter_: str, cookie: bytes, told: _Told
) -> bytes:
    for _ in range(MOST_ANSWERS):
        request = _request(context, filter_, cookie, ANSWER_BYTES)
        more, cookie = _round(connection, request, told)
        if not more:
            return cookie
    raise ChangesUnavailable("unreadable", f"DirSync of {context} comes to no end")


def _request(
    context: str, filter_: str, cookie: bytes, size: int, *attributes: str
) -> SearchRequest:
    return SearchRequest(
        base_dn=context,
        scope=Scope.SUBTREE,
        filter=filter_,
        attributes=attributes,
        page_size=None,
        controls=(dirsync_request(cookie, size),),
    )


def _round(connection: Connection, request: SearchRequest, told: _Told) -> tuple[bool, bytes]:
    """Ask once; return whether there is more, and where to go on."""
    context = request.base_dn
    answers: list[Result] = []
    listing = connection.listing(request, "changes", on_result=answers.append)
    for page in listing:
        for raw in page:
            told.take(raw)
    outcome = listing.outcome
    if outcome.verdict is Verdict.TRUNCATED:
        sentence = f"DirSync of {context} was not answered: {outcome.because}"
        if outcome.result_code is None or outcome.result_code in results.TRY_LATER:
            raise DirectoryUnavailable(sentence)
        raise SearchRejected(sentence, outcome.result_code)
    control = answers[-1].control(DIRSYNC) if answers else None
    try:
        answer = decode_answer(control.value or b"") if control is not None else None
    except Malformed as error:
        raise DirectoryError(
            f"DirSync of {context}: the control cannot be read ({error})"
        ) from error
    if answer is None or not answer.cookie:
        raise DirectoryError(f"DirSync of {context}: the answer has no cookie")
    return answer.more, answer.cookie


def _units(connection: Connection, context: str, told: _Told) -> Iterator[Entry]:
    """Yield those of the changed entries that others are below."""
    for clause in _clauses(sorted(told.living)):
        request = SearchRequest(
            base_dn=context,
            scope=Scope.SUBTREE,
            filter=filters.and_(UNITS, clause),
            attributes=(OBJECT_GUID,),
        )
        yield from read_all(connection, request)


def _clauses(guids: Sequence[str]) -> Iterator[str]:
    for part in batched(guids, IDS_PER_SEARCH):
        yield filters.or_(
            *(f"({OBJECT_GUID}={encode_external_id(OBJECT_GUID, guid)})" for guid in part)
        )
