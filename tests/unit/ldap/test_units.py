"""The places of containers, and what a change of one means."""

from __future__ import annotations

import uuid

import pytest

from syncd.errors import ChangesUnavailable
from syncd.ldap.changes import units
from syncd.ldap.changes.standing import SyncSearch
from syncd.ldap.changes.units import Units
from syncd.ldap.changes.usn_changed import numbered
from syncd.ldap.search import SearchRequest
from syncd.records import Entry, Scope

PEOPLE = "OU=People,DC=example,DC=test"
SEARCHES = (
    SyncSearch("users", SearchRequest(base_dn=PEOPLE, scope=Scope.SUBTREE, filter="(cn=*)")),
)
GUIDS = [uuid.UUID(int=number).bytes_le for number in range(8)]


def unit(number: int, name: str) -> Entry:
    """Return a container; a number below zero stands for an id that cannot be read."""
    return Entry(name, {} if number < 0 else {"objectguid": [GUIDS[number]]})


def known(*entries: Entry) -> Units:
    """Return the places of containers that came to be one after the other."""
    return Units({}).after([(entry, True) for entry in entries], SEARCHES)


EAST = unit(1, f"OU=East,{PEOPLE}")


@pytest.mark.parametrize(
    ("entry", "is_new"),
    [
        (EAST, False),
        (unit(1, f"ou=east,{PEOPLE.lower()}"), False),
        (unit(2, f"OU=West,{PEOPLE}"), True),
        (unit(2, "OU=Elsewhere,DC=example,DC=test"), False),
        (unit(-1, "OU=Elsewhere,DC=example,DC=test"), False),
    ],
    ids=["as it was", "as it was but for letter case", "new", "foreign", "foreign and hidden"],
)
def test_these_changes_are_no_matter(entry: Entry, is_new: bool) -> None:  # noqa: FBT001
    """Whoever is below stayed in his place, is told of, or was never in scope."""
    places = known(EAST).after([(entry, is_new)], SEARCHES)
    assert places.after([(EAST, False)], SEARCHES) == places


@pytest.mark.parametrize(
    ("entry", "is_new"),
    [
        (unit(1, f"OU=Far East,{PEOPLE}"), False),
        (unit(1, "OU=East,DC=example,DC=test"), False),
        (unit(2, f"OU=West,{PEOPLE}"), False),
        (unit(2, PEOPLE), False),
        (unit(-1, f"OU=West,{PEOPLE}"), True),
    ],
    ids=["renamed", "moved out", "moved in", "in the base's place", "new and hidden"],
)
def test_these_need_a_full_sync(entry: Entry, is_new: bool) -> None:  # noqa: FBT001
    """Nobody tells who moved with it."""
    with pytest.raises(ChangesUnavailable) as raised:
        known(EAST).after([(entry, is_new)], SEARCHES)
    assert raised.value.reason == "renamed_unit"
    assert entry.dn in str(raised.value)


def test_a_watermark_keeps_the_places() -> None:
    """Twelve bytes a container, the same text for the same places."""
    places = known(EAST, unit(2, f"OU=West,{PEOPLE}"))
    assert places.text is not None
    assert len(places.text) == 2 * 16
    assert Units.read(places.text) == places
    assert known(unit(2, f"OU=West,{PEOPLE}"), EAST).text == places.text
    assert Units.read(None) == Units(None)
    for nonsense in ("AAAA", "?"):
        with pytest.raises(ValueError, match=r"end too early|base64|padding"):
            Units.read(nonsense)


def test_of_too_many_containers_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any older one that changes anywhere needs a full sync then, a new one does not."""
    monkeypatch.setattr(units, "MOST_UNITS", 1)
    places = known(EAST, unit(2, f"OU=West,{PEOPLE}"))
    assert places.text is None
    assert places.after([(unit(3, f"OU=South,{PEOPLE}"), True)], SEARCHES) == places
    with pytest.raises(ChangesUnavailable):
        places.after([(unit(3, "OU=Elsewhere,DC=example,DC=test"), False)], SEARCHES)


@pytest.mark.rule("2.1.5", server="pure")
@pytest.mark.rule("2.3.2", server="pure")
def test_a_range_of_numbers_has_neither_more_than_nor_a_negation() -> None:
    """It begins one after the last number, and numbers have 64 bits."""
    found = numbered(2**40, 2**63 - 1)
    assert found == "(&(uSNChanged>=1099511627777)(uSNChanged<=9223372036854775807))"
