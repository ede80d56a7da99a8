"""Owns the question why somebody is not in a listing.

Absence takes people's access away, so each answer here must be one that the directory gave.
Whatever was cut short, refused or hidden is *unreadable*, which changes nothing.

Three searches settle most people: by id below the users DNs without the configured filter, by id
with it, and by id in the rest of the directory. Who is nowhere is looked for under the DN that he
had: an entry that is still there but whose id the account cannot read has not left.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from syncd.errors import DecodeError, DirectoryError, DirectoryUnavailable
from syncd.ldap import filters
from syncd.ldap.ber import decode_entry
from syncd.records import Located, Whereabouts, batched

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from syncd.ldap.lookup import Lookup
    from syncd.records import Entry

IDS_PER_SEARCH = 200
# One round trip a person: beyond this a mass absence would cost the directory more than it tells.
CHECKED_ONE_BY_ONE = 500


class AbsenceReason(StrEnum):
    """Why a username has nobody behind it in the directory."""

    NO_ENTRY = "no_entry"
    OUT_OF_BASE = "out_of_base"
    FILTERED = "filtered"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Absence:
    """Why there is nobody: the reason, the sentence, and where or by which clause."""

    reason: AbsenceReason
    detail: str
    dn: str | None = None
    # The part of the filter that the entry does not match.
    clause: str | None = None


def locate(lookup: Lookup, persons: Sequence[tuple[str, str]]) -> dict[str, Located]:
    """Tell where each ``(external id, last known DN)`` went.

    A lookup that is cut short makes everybody it asked about unreadable, and a lost connection
    everybody who was not settled before.
    """
    located: dict[str, Located] = {}
    try:
        for chunk in batched(persons, IDS_PER_SEARCH):
            wanted = [external_id for external_id, _ in chunk]
            try:
                located |= _by_id(lookup, wanted)
            except DirectoryUnavailable:
                raise
            except (DirectoryError, DecodeError) as error:
                located |= {external_id: _unreadable(str(error)) for external_id in wanted}
        nowhere = [(id_, name) for id_, name in persons if id_ not in located]
        _by_name(lookup, nowhere, located)
    except DirectoryUnavailable as error:
        lost = unreadable(persons, error)
        return {**lost, **located}
    return located


def unreadable(persons: Iterable[tuple[str, str]], error: Exception) -> dict[str, Located]:
    """Return the answer about people whom nobody could ask the directory about."""
    verdict = _unreadable(f"the lookup lost the directory: {error}")
    return {external_id: verdict for external_id, _ in persons}


def why_absent(
    lookup: Lookup, username: str, name: str | None = None, external_id: str | None = None
) -> Absence | list[bytes]:
    """Return the entries of a person as a listing would, or why a listing has none.

    Args:
        lookup: Where to ask.
        username: What the person is called.
        name: The DN that the person had, where one is known.
        external_id: The person's id, where one is known.

    Raises:
        DirectoryUnavailable: The directory went away.

    """
    wanted = lookup.username_filter(username)
    if external_id is not None:
        wanted = filters.or_(wanted, lookup.id_filter(external_id))
    try:
        if found := lookup.found(wanted):
            return found
        for raw in lookup.unfiltered(wanted):
            return _why_filtered(lookup, decode_entry(raw))
        for entry in lookup.elsewhere(wanted):
            return Absence(AbsenceReason.OUT_OF_BASE, lookup.outside(entry.dn), entry.dn)
        if name and (sentence := _why_hidden(lookup, name, username)):
            return Absence(AbsenceReason.UNREADABLE, sentence, name)
    except DirectoryUnavailable:
        raise
    except (DirectoryError, DecodeError) as error:
        return Absence(AbsenceReason.UNREADABLE, str(error))
    return Absence(
        AbsenceReason.NO_ENTRY,
        f"the bind account sees no entry with {lookup.username_attribute}={username}, neither "
        f"below {'; '.join(lookup.bases)} nor elsewhere in the directory",
    )


def _by_id(lookup: Lookup, wanted: Sequence[str]) -> dict[str, Located]:
    """Settle those whom a search by id finds; the others are not in the answer."""
    located: dict[str, Located] = {}
    clauses: dict[str, str] = {}
    for external_id in wanted:
        try:
            clauses[external_id] = lookup.id_filter(external_id)
        except ValueError as error:
            located[external_id] = _unreadable(
                f"{external_id!r} cannot be looked up as {lookup.uuid_attribute}: {error}"
            )
    if not clauses:
        return located
    below = _keyed(lookup, lookup.unfiltered(filters.or_(*clauses.values())), clauses)
    if below:
        theirs = filters.or_(*(clauses[external_id] for external_id in below))
        listed = _keyed(lookup, lookup.listed(theirs), clauses)
        for external_id, raw in below.items():
            located[external_id] = (
                Located(Whereabouts.PRESENT, listed[external_id], "the directory lists it now")
                if external_id in listed
                else _filtered(lookup, decode_entry(raw))
            )
    rest = {external_id: text for external_id, text in clauses.items() if external_id not in below}
    if rest:
        located |= _outside(lookup, rest)
    return located


def _outside(lookup: Lookup, clauses: Mapping[str, str]) -> dict[str, Located]:
    located: dict[str, Located] = {}
    for entry in lookup.elsewhere(filters.or_(*clauses.values())):
        external_id = lookup.id_of(entry)
        if external_id is None or external_id not in clauses:
            continue
        located[external_id] = (
            _unreadable(f"{entry.dn} was moved while it was looked up")
            if lookup.reaches(entry.dn)
            else Located(Whereabouts.OUT_OF_BASE, None, lookup.outside(entry.dn))
        )
    return located


def _by_name(
    lookup: Lookup, persons: Sequence[tuple[str, str]], located: dict[str, Located]
) -> None:
    """Settle, into ``located``, those whom no search by id found."""
    checked, unchecked = persons[:CHECKED_ONE_BY_ONE], persons[CHECKED_ONE_BY_ONE:]
    for external_id, name in checked:
        located[external_id] = _check_name(lookup, external_id, name)
    if not unchecked:
        return
    gone = sum(located[external_id].whereabouts is Whereabouts.GONE for external_id, _ in checked)
    # When most of those whom nobody finds by id are still there, the search by id is what is broken
    # (a lost right, a missing index), and it says nothing about the others either.
    verdict = (
        Located(Whereabouts.GONE, None, "not found by its id; not checked one by one")
        if gone * 2 > len(checked)
        else _unreadable("not checked one by one, and most that were checked are still there")
    )
    located |= {external_id: verdict for external_id, _ in unchecked}


def _check_name(lookup: Lookup, external_id: str, name: str) -> Located:
    if not name:
        return Located(Whereabouts.GONE, None, "not found by its id, and no DN of it is known")
    try:
        entry = lookup.named(name)
    except DirectoryUnavailable:
        raise
    except (DirectoryError, DecodeError) as error:
        return _unreadable(f"{name}: {error}")
    if entry is None:
        return Located(Whereabouts.GONE, None, f"{name} does not exist any more")
    found = lookup.id_of(entry)
    if found is None:
        return _unreadable(f"{name} is there, but its {lookup.uuid_attribute} cannot be read")
    if found == external_id:
        return _unreadable(f"{name} is there, but a search by its id does not find it")
    return Located(Whereabouts.GONE, None, f"{name} is another entry now")


def _why_hidden(lookup: Lookup, name: str, username: str) -> str | None:
    """Return why the entry of this DN is not found by what it is called, if it is there."""
    entry = lookup.named(name)
    if entry is None:
        return None
    for attribute in (lookup.uuid_attribute, lookup.username_attribute):
        if not entry.values(attribute):
            return f"{name} is there, but the bind account cannot read its {attribute}"
    called = entry.values(lookup.username_attribute)[0].decode("utf-8", "replace")
    if called.casefold() != username.casefold():
        return None
    return f"{name} is there, but a search by {lookup.username_attribute} does not find it"


def _filtered(lookup: Lookup, entry: Entry) -> Located:
    absence = _why_filtered(lookup, entry)
    if absence.reason is AbsenceReason.UNREADABLE:
        return _unreadable(absence.detail)
    return Located(Whereabouts.OUT_OF_FILTER, None, absence.detail)


def _why_filtered(lookup: Lookup, entry: Entry) -> Absence:
    # Each entry has an object class and an id. Where one does not come back the right to read it
    # was lost, and a filter that asks for it would turn everybody away.
    for attribute in ("objectClass", lookup.uuid_attribute):
        if not entry.values(attribute):
            sentence = f"{entry.dn} is there, but the bind account cannot read its {attribute}"
            return Absence(AbsenceReason.UNREADABLE, sentence, entry.dn)
    clause = lookup.failing_clause(entry)
    return Absence(AbsenceReason.FILTERED, f"{entry.dn} does not match {clause}", entry.dn, clause)


def _keyed(lookup: Lookup, entries: Iterable[bytes], wanted: Mapping[str, str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for raw in entries:
        external_id = lookup.id_of(decode_entry(raw))
        if external_id is not None and external_id in wanted:
            found[external_id] = raw
    return found


def _unreadable(sentence: str) -> Located:
    return Located(Whereabouts.UNREADABLE, None, sentence)
