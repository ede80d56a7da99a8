"""What 389 Directory Server does otherwise than others, and what syncd concludes from it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from syncd.ldap.connection import Connection
from syncd.ldap.probe import probe
from syncd.ldap.search import SearchRequest
from syncd.records import Scope, Verdict, Whereabouts
from tests.integration.ldap.sources import read, role, uids
from tests.integration.ldap.sources_389 import ids_of, options_for, source_for, uid, user_search
from tests.servers.ds389 import DS389, LIMITED, STRANGER
from tests.servers.slapd import READER, ROLES, SUFFIX, people

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from syncd.records import Entry

COUNT = 510


@pytest.fixture(scope="module")
def server(ds389_template: Path) -> Iterator[DS389]:
    """A server with more people than an ordinary account gets at once."""
    with DS389(ds389_template, ldif=people(COUNT) + role("staff", [uid("u00000")])) as running:
        yield running


def entry_of(server: DS389, name: str, *attributes: str) -> Entry:
    """Return what an account sees of an entry."""
    request = SearchRequest(
        base_dn=name,
        scope=Scope.BASE,
        filter="(objectClass=*)",
        attributes=attributes,
        page_size=None,
    )
    with Connection.open(options_for(server)) as connection:
        (entry,) = connection.search(request)
    return entry


@pytest.mark.rule("2.2.1", server="389ds")
@pytest.mark.rule("2.2.4", server="389ds")
@pytest.mark.parametrize(
    ("page_size", "verdict"),
    [(100, Verdict.COMPLETE), (499, Verdict.COMPLETE), (None, Verdict.TRUNCATED)],
)
def test_pages_go_beyond_the_size_limit(
    server: DS389, page_size: int | None, verdict: Verdict
) -> None:
    """With a limit of 500 pages bring everybody, and one answer ends cut short."""
    with source_for(server, user_search(page_size=page_size), account=LIMITED) as source:
        listing = source.users()
        found = uids(listing)
        assert listing.outcome.verdict is verdict
        assert len(found) == (COUNT if verdict is Verdict.COMPLETE else 500)
        if verdict is Verdict.TRUNCATED:
            assert listing.outcome.result_code == 4


@pytest.mark.rule("2.2.4", server="389ds")
def test_a_page_has_to_be_smaller_than_the_size_limit(server: DS389) -> None:
    """A page as large as the limit counts as too much, and then nobody is absent."""
    with source_for(server, user_search(page_size=500), account=LIMITED) as source:
        listing = source.users()
        assert len(uids(listing)) < COUNT
        assert listing.outcome.verdict is Verdict.TRUNCATED


@pytest.mark.rule("2.8.4", server="389ds")
def test_people_have_two_ids_that_differ(server: DS389) -> None:
    """NsUniqueId and entryUUID are different ids; both stay through a rename, and find people."""
    both = ("nsUniqueId", "entryUUID")
    server.add(uid("twice"), objectClass="inetOrgPerson", uid="twice", cn="Twice", sn="Twice")
    before = entry_of(server, uid("twice"), *both)
    assert before.values(both[0]) != before.values(both[1])
    server.rename(uid("twice"), "uid=again")
    assert entry_of(server, uid("again"), *both).attributes == before.attributes
    for attribute in both:
        search = user_search(uuid_attribute=attribute, attributes=(attribute, "uid"))
        with source_for(server, search) as source:
            external_id = before.values(attribute)[0].decode()
            (found,) = source.locate([(external_id, uid("twice"))]).values()
            assert (found.whereabouts, found.entry is not None) == (Whereabouts.PRESENT, True)
    server.delete(uid("again"))


@pytest.mark.rule("2.2.7", server="389ds")
def test_without_rights_everything_is_success_and_empty(server: DS389) -> None:
    """An account that may see nobody is told that there is nobody; a sentinel shows that."""
    with source_for(server) as source:
        persons = [(external_id, uid(name)) for name, external_id in ids_of(source).items()][:3]
    with source_for(server, account=STRANGER) as source:
        listing = source.users()
        assert uids(listing) == []
        assert (listing.outcome.verdict, listing.outcome.result_code) == (Verdict.COMPLETE, 0)
    watched = user_search(sentinels=(uid("u00000"),))
    with source_for(server, watched, account=STRANGER) as source:
        listing = source.users()
        assert uids(listing) == []
        assert listing.outcome.verdict is Verdict.UNVERIFIED
        assert {each.whereabouts for each in source.locate(persons).values()} == {
            Whereabouts.UNREADABLE
        }


@pytest.mark.rule("2.2.7", server="389ds")
def test_a_missing_base_is_success_and_no_answer(server: DS389) -> None:
    """An account is told success for a base that is not there; the missing control tells."""
    with source_for(server, user_search(f"ou=nowhere,{SUFFIX}")) as source:
        listing = source.users()
        assert uids(listing) == []
        assert (listing.outcome.verdict, listing.outcome.result_code) == (Verdict.TRUNCATED, 0)
        assert "a base that is not there" in str(listing.outcome.because)


@pytest.mark.rule("2.3.4", server="389ds")
@pytest.mark.rule("2.9.3", server="389ds")
def test_a_membership_is_written_on_the_person(server: DS389) -> None:
    """MemberOf is stored in the person's entry, so her time of modification moves with it."""
    name = uid("u00007")
    assert not entry_of(server, name, "memberOf").values("memberOf")
    with source_for(server, change_detection="modify_timestamp") as source:
        since = source.watermark()
        server.modify(f"cn=staff,{ROLES}", {"member": [uid("u00000"), name]})
        assert b"cn=staff" in entry_of(server, name, "memberOf").values("memberOf")[0]
        assert "u00007" in uids(source.changes(since).users())
    server.modify(f"cn=staff,{ROLES}", {"member": [uid("u00000")]})
    assert not entry_of(server, name, "memberOf").values("memberOf")


@pytest.mark.rule("2.12.3", server="389ds")
def test_operational_attributes_come_when_they_are_named(server: DS389) -> None:
    """Ids, times and the lock of an account are not among "all attributes"."""
    server.modify(uid("u00001"), {"nsAccountLock": ["true"]})
    names = ("nsUniqueId", "entryUUID", "createTimestamp", "modifyTimestamp", "nsAccountLock")
    unasked = entry_of(server, uid("u00001"))
    named = entry_of(server, uid("u00001"), *names)
    assert not any(unasked.values(name) for name in names)
    assert all(named.values(name) for name in names)
    assert named.values("nsAccountLock") == [b"true"]
    server.modify(uid("u00001"), {"nsAccountLock": []})


def test_a_probe_names_the_product_its_server_and_the_page_size(server: DS389) -> None:
    """What ``check --connect`` tells: 389, whose server, and that the vendor is another."""
    with source_for(server) as source:
        assert read(source.users())
    report = probe(
        options_for(server, LIMITED),
        user_search(uuid_attribute="entryUUID", attributes=("entryUUID", "uid"), page_size=1000),
        {},
        vendor="openldap",
        clock=lambda: datetime.now(UTC),
    )
    assert (report.vendor_detected, report.vendor_name) == ("389ds", "389 Project")
    assert str(report.vendor_version).startswith("389-Directory/")
    assert report.server.startswith("cn=ldap://")
    assert report.paging.unpaged_limit == 500
    advice = "\n".join(report.advice)
    assert "vendor is openldap: set vendor: 389ds" in advice
    assert "uuid_ldap_attribute: entryUUID, so that they stay who they are" in advice
    assert "set a smaller page_size" in advice
    assert READER.name not in advice
