"""Directories and configurations that must not look like everybody leaving."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncd.errors import DirectoryError, SearchRejected
from syncd.ldap.absence import Absence, AbsenceReason
from syncd.ldap.ber import decode_entry
from syncd.records import Verdict, Whereabouts
from tests.integration.ldap.sources import USER_ATTRIBUTES, read, source_for, unit, user_search
from tests.servers.slapd import (
    NO_PAGING,
    PAGES_200,
    PAGES_500,
    PEOPLE,
    READER,
    SUFFIX,
    TOTAL_1000,
    Account,
    Slapd,
    people,
    person,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syncd.ldap.listings import UserSearch

REFERRAL = f"""dn: ou=abroad,{PEOPLE}
objectClass: referral
objectClass: extensibleObject
ou: abroad
ref: ldap://127.0.0.1:9/ou=abroad,{PEOPLE}

"""
ALIAS = f"""dn: uid=alias,{PEOPLE}
objectClass: alias
objectClass: extensibleObject
uid: alias
aliasedObjectName: uid=u00000,{PEOPLE}

"""


def hiding(lines: str) -> str:
    """Return access rules that take something away before everything is readable."""
    return f"""
{lines}
access to attrs=userPassword by anonymous auth by * none
access to * by dn.children="{SUFFIX}" read by anonymous auth by * none
"""


@pytest.fixture(scope="module")
def large() -> Iterator[Slapd]:
    """A directory with 1100 people, more than some accounts may list."""
    with Slapd(ldif=people(1100)) as server:
        yield server


@pytest.fixture(scope="module")
def odd() -> Iterator[Slapd]:
    """A directory with a reference to another server and an alias among its people."""
    content = unit("north", PEOPLE) + people(3) + REFERRAL + ALIAS
    with Slapd(ldif=content) as server:
        yield server


@pytest.mark.parametrize(
    ("users", "result_code"),
    [
        pytest.param(user_search(f"ou=nowhere,{SUFFIX}"), 32, id="base that does not exist"),
        pytest.param(user_search("dc=example,dc=com"), 32, id="base of another tree"),
        pytest.param(user_search(filter="objectClass=person"), 87, id="no parentheses"),
        pytest.param(user_search(filter="(&(objectClass=person)"), 87, id="one is missing"),
        pytest.param(user_search(filter="(objectClass:=)x"), 87, id="text after the filter"),
        pytest.param(user_search(f"ou=abroad,{PEOPLE}"), 10, id="base on another server"),
        pytest.param(user_search(f"uid=x,ou=abroad,{PEOPLE}"), 10, id="base behind a reference"),
        pytest.param(
            user_search(PEOPLE, f"ou=nowhere,{SUFFIX}"), 32, id="second base that does not exist"
        ),
    ],
)
def test_a_search_that_was_asked_wrongly_is_refused(
    odd: Slapd, users: UserSearch, result_code: int
) -> None:
    """A mistake in base or filter is an error with its result code, never an empty listing."""
    with source_for(odd, users) as source, pytest.raises(SearchRejected) as caught:
        read(source.users())

    assert caught.value.result_code == result_code


@pytest.mark.parametrize("filter_", ["(noSuchAttribute=x)", "(objectClass=noSuchClass)"])
def test_a_filter_with_unknown_names_is_complete_and_empty(large: Slapd, filter_: str) -> None:
    """OpenLDAP takes unknown names for "matches nothing"; only the guard sees this mistake."""
    with source_for(large, user_search(filter=filter_)) as source:
        listing = source.users()

        assert read(listing) == []
        assert listing.outcome.verdict is Verdict.COMPLETE


@pytest.mark.rule("2.11.2", server="openldap")
@pytest.mark.rule("2.2.4", server="openldap")
def test_a_reference_in_scope_is_unverified(odd: Slapd) -> None:
    """What lies behind a reference was not read, so nobody who is missing has left."""
    with source_for(odd, user_search(page_size=2)) as source:
        listing = source.users()

        assert len(read(listing)) == 3
        assert (listing.outcome.verdict, listing.outcome.references) == (Verdict.UNVERIFIED, 1)
        assert "not followed" in str(listing.outcome.because)


@pytest.mark.rule("2.11.2", server="openldap")
def test_a_reference_in_one_base_spoils_the_whole_listing(odd: Slapd) -> None:
    """Of several users DNs the worst one decides what may be concluded, and is named."""
    with source_for(odd, user_search(f"ou=north,{PEOPLE}", f"uid=u00000,{PEOPLE}")) as source:
        whole = source.users()
        read(whole)
    bases = (f"ou=north,{PEOPLE}", f"ou=policies,{SUFFIX}", PEOPLE)
    with source_for(odd, user_search(*bases)) as source:
        listing = source.users()
        read(listing)

    assert whole.outcome.verdict is Verdict.COMPLETE
    assert (listing.outcome.verdict, listing.outcome.entries) == (Verdict.UNVERIFIED, 3)
    assert f"{PEOPLE}: " in str(listing.outcome.because)


@pytest.mark.rule("2.11.2", server="openldap")
def test_a_reference_in_scope_keeps_everybody_who_is_looked_up(odd: Slapd) -> None:
    """Whoever is not found may be behind the reference, so the lookup cannot tell."""
    missing = "00000000-0000-0000-0000-000000000001"
    with source_for(odd) as source:
        located = source.locate([(missing, f"uid=left,{PEOPLE}")])[missing]

    assert located.whereabouts is Whereabouts.UNREADABLE


def test_who_is_there_is_found_beside_a_reference(odd: Slapd) -> None:
    """One person who is there is read; one who is not may be behind the reference."""
    with source_for(odd) as source:
        (found,) = source.find("u00001")
        assert decode_entry(found).dn == f"uid=u00001,{PEOPLE}"
        assert source.find_anywhere("u00001") == [found]

        absence = source.find_anywhere("nobody")
        assert isinstance(absence, Absence)
        assert absence.reason is AbsenceReason.UNREADABLE
        with pytest.raises(DirectoryError, match="references"):
            source.find("nobody")


def test_an_alias_is_not_the_person_that_it_points_to(odd: Slapd) -> None:
    """Aliases are not followed, so nobody comes twice."""
    with source_for(odd, user_search(filter="(uid=*)")) as source:
        names = sorted(entry.dn for entry in read(source.users()))

    assert names == [f"uid=alias,{PEOPLE}", *(f"uid=u0000{n},{PEOPLE}" for n in range(3))]


@pytest.mark.rule("2.2.4", server="openldap")
@pytest.mark.parametrize(
    ("account", "page_size", "verdict", "result_code", "entries"),
    [
        pytest.param(READER, 1000, Verdict.COMPLETE, 0, 1100, id="no limit"),
        pytest.param(READER, None, Verdict.COMPLETE, 0, 1100, id="no limit, no pages"),
        pytest.param(PAGES_500, None, Verdict.TRUNCATED, 4, 500, id="no pages"),
        pytest.param(PAGES_500, 500, Verdict.COMPLETE, 0, 1100, id="pages as large as allowed"),
        pytest.param(PAGES_500, 1000, Verdict.COMPLETE, 0, 1100, id="pages halved once"),
        pytest.param(PAGES_200, 1000, Verdict.TRUNCATED, 11, 0, id="pages halved in vain"),
        pytest.param(TOTAL_1000, 200, Verdict.TRUNCATED, 4, 1000, id="a limit on all pages"),
        pytest.param(NO_PAGING, 200, Verdict.TRUNCATED, 11, 0, id="pages forbidden"),
    ],
)
def test_a_limit_truncates_the_listing(  # noqa: PLR0917 (a table's columns)
    large: Slapd,
    account: Account,
    page_size: int | None,
    verdict: Verdict,
    result_code: int,
    entries: int,
) -> None:
    """Whatever limit the server sets, a short list says that it is short and by which code."""
    with source_for(large, user_search(page_size=page_size), account=account) as source:
        listing = source.users()
        count = len(read(listing))

    outcome = listing.outcome
    assert (outcome.verdict, outcome.result_code, count) == (verdict, result_code, entries)
    assert (outcome.because is None) == (verdict is Verdict.COMPLETE)


def test_a_limit_in_one_base_does_not_keep_the_others_unread() -> None:
    """After a base that the server cut short the next one is still read."""
    more = f"ou=more,{SUFFIX}"
    users = user_search(PEOPLE, more, page_size=None)
    content = unit("more", SUFFIX) + people(501) + person("x", container=more)
    with (
        Slapd(ldif=content) as server,
        source_for(server, users, account=PAGES_500) as source,
    ):
        listing = source.users()
        names = {entry.dn for entry in read(listing)}

    assert f"uid=x,{more}" in names
    assert (listing.outcome.verdict, listing.outcome.result_code) == (Verdict.TRUNCATED, 4)
    assert PEOPLE in str(listing.outcome.because)


def test_entries_whose_id_is_hidden_still_come() -> None:
    """Entries without a readable id are in the listing, so that they can protect their people."""
    access = hiding(f'access to dn.regex="^uid=u0000[0-4],{PEOPLE}$" attrs=entryUUID by * none')
    with Slapd(ldif=people(10), access=access) as server, source_for(server) as source:
        listing = source.users()
        entries = read(listing)

    without = [entry.dn for entry in entries if not entry.values("entryUUID")]
    assert (len(entries), len(without)) == (10, 5)
    assert listing.outcome.verdict is Verdict.COMPLETE


@pytest.mark.rule("2.2.7", server="openldap")
def test_a_lost_right_is_a_complete_empty_listing_unless_a_sentinel_is_set() -> None:
    """An account that may not see anybody gets success and nobody; the sentinel tells."""
    access = hiding(f'access to dn.children="{PEOPLE}" by * none')
    sentinel = f"uid=u00000,{PEOPLE}"
    with Slapd(ldif=people(10), access=access) as server:
        with source_for(server) as source:
            blind = source.users()
            assert read(blind) == []
        with source_for(server, user_search(sentinels=(sentinel,))) as source:
            guarded = source.users()
            assert read(guarded) == []

    assert blind.outcome.verdict is Verdict.COMPLETE
    assert guarded.outcome.verdict is Verdict.UNVERIFIED


def test_a_hidden_entry_cannot_be_told_from_one_that_left() -> None:
    """A server that denies that an entry exists gives the same answer for who left.

    Nothing over LDAP tells the two apart, so such a loss is for the sentinels and the limits.
    """
    name = f"uid=u00001,{PEOPLE}"
    access = hiding(f'access to dn.exact="{name}" by * none')
    missing = "00000000-0000-0000-0000-000000000001"
    with Slapd(ldif=people(3), access=access) as server, source_for(server) as source:
        located = source.locate([(missing, name)])[missing]

    assert located.whereabouts is Whereabouts.GONE


def test_raw_entries_are_what_was_asked_for(odd: Slapd) -> None:
    """A page's items decode to entries with the requested attributes and no others."""
    with source_for(odd) as source:
        raws = [raw for page in source.users() for raw in page]

    wanted = {name.lower() for name in USER_ATTRIBUTES}
    assert all(set(decode_entry(raw).attributes) <= wanted for raw in raws)
