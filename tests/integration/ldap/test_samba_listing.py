"""Listings and binds on a real Active Directory: references, rights, ids, and refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from syncd.errors import BindRejected
from syncd.ldap.connection import Connection
from syncd.ldap.decode import decode_external_id
from syncd.records import Verdict, Whereabouts
from tests.integration.ldap.samba_sources import (
    ad_options,
    ad_source,
    ad_users,
    entries,
    texts,
)
from tests.servers.fault_proxy import FaultProxy, Faults
from tests.servers.samba import (
    GROUPS,
    PEOPLE,
    READER,
    READER_PASSWORD,
    SUFFIX,
    SambaAD,
    dn_of,
    user,
)

if TYPE_CHECKING:
    from syncd.records import Entry

NAMES = ["anna", "bert", "carl"]
SECRET = f"OU=Secret,{PEOPLE}"
HIDDEN = dn_of("hidden", SECRET)
PASSWORD = "Passw0rd!7"
REFUSED = {
    "wrong": ("52e", "check bind_dn and bind_credential"),
    "disabled": ("533", "enable it in the directory"),
    "expired": ("701", "extend it in the directory"),
    "mustchange": ("773", "set a new one in the directory"),
    "locked": ("775", "unlock it in the directory"),
}


@pytest.fixture(scope="module")
def ad(samba: SambaAD) -> SambaAD:
    """A domain with three people, one more whom the reader may not see, and accounts in trouble."""
    enabled = {"password": PASSWORD, "userAccountControl": "512"}
    samba.load(
        [
            *((dn_of(name), user(name)) for name in NAMES),
            (SECRET, {"objectClass": ["organizationalUnit"]}),
            (HIDDEN, user("hidden")),
            *((account(name), user(name, **enabled)) for name in REFUSED),
        ]
    )
    denied = f"(D;CI;RPLCLORC;;;{sid(samba, READER)})"
    samba.tool("dsacl", "set", f"--objectdn={SECRET}", f"--sddl={denied}")
    samba.modify(account("disabled"), {"userAccountControl": ["514"]})
    samba.modify(account("expired"), {"accountExpires": ["1"]})
    samba.modify(account("mustchange"), {"pwdLastSet": ["0"]})
    samba.modify(SUFFIX, {"lockoutThreshold": ["1"]})
    with pytest.raises(BindRejected):
        Connection.open(ad_options(samba.url, account("locked"), "not this one"))
    return samba


def account(name: str) -> str:
    """Return the DN of an account outside of the users DN."""
    return dn_of(name, f"CN=Users,{SUFFIX}")


def sid(samba: SambaAD, dn: str) -> str:
    """Return the text of an entry's objectSid."""
    octets = samba.read(dn, "objectSid")["objectSid"][0]
    parts = [octets[at : at + 4] for at in range(8, len(octets), 4)]
    numbers = "-".join(str(int.from_bytes(part, "little")) for part in parts)
    return f"S-{octets[0]}-{int.from_bytes(octets[2:8], 'big')}-{numbers}"


def id_of(entry: Entry) -> str:
    """Return an entry's external id."""
    return decode_external_id("objectGUID")(entry.values("objectGUID")[0])


@pytest.mark.rule("2.11.1", server="samba")
@pytest.mark.rule("2.11.2", server="samba")
def test_a_listing_at_the_domains_root_is_complete(ad: SambaAD) -> None:
    """The references to partitions without people, which a domain always sends, spoil nothing."""
    with ad_source(ad.url, users=ad_users(SUFFIX)) as source:
        listing = source.users()
        found = entries(listing)

    assert set(NAMES) < set(found)
    outcome = listing.outcome
    assert (outcome.verdict, outcome.references) == (Verdict.COMPLETE, 0)


@pytest.mark.rule("2.11.2", server="samba")
def test_a_reference_to_a_child_domain_leaves_the_listing_unverified(ad: SambaAD) -> None:
    """People may live there, so nobody who is missed counts as gone."""
    child = f"ldap://child.example.test/DC=child,{SUFFIX}"
    zones = f"ldap://example.test/DC=DomainDnsZones,{SUFFIX}"
    faults = Faults(references=(child, zones))
    with (
        FaultProxy(ad.port, faults, host=ad.address) as proxy,
        ad_source(proxy.url, users=ad_users(SUFFIX)) as source,
    ):
        listing = source.users()
        entries(listing)

    assert listing.outcome.verdict is Verdict.UNVERIFIED
    assert listing.outcome.references == 1
    assert child in str(listing.outcome.because)


@pytest.mark.rule("2.2.7", server="samba")
def test_a_lost_right_shows_by_the_sentinel_alone(ad: SambaAD) -> None:
    """Who may not be read is left out with success; a sentinel there makes the listing doubtful."""
    reader = ad_options(ad.url, READER, READER_PASSWORD)
    with ad_source(ad.url, options=reader) as source:
        listing = source.users()
        assert sorted(entries(listing)) == NAMES
        assert listing.outcome.verdict is Verdict.COMPLETE
    with ad_source(ad.url, users=ad_users(sentinels=(HIDDEN,)), options=reader) as source:
        listing = source.users()
        entries(listing)
        assert listing.outcome.verdict is Verdict.UNVERIFIED
        assert HIDDEN in str(listing.outcome.because)
    with ad_source(ad.url, users=ad_users(sentinels=(HIDDEN,))) as source:
        listing = source.users()
        assert sorted(entries(listing)) == [*NAMES, "hidden"]
        assert listing.outcome.verdict is Verdict.COMPLETE


@pytest.mark.rule("2.2.2", server="samba")
def test_an_id_stays_with_its_person_through_renames_and_moves(ad: SambaAD) -> None:
    """The objectGUID of the listing finds a person under another name and out of the base."""
    ad.add(dn_of("emil"), **user("emil"))
    with ad_source(ad.url) as source:
        before = id_of(entries(source.users())["emil"])
        ad.rename(dn_of("emil"), "CN=emilia")
        after = entries(source.users())["emilia"]
        assert id_of(after) == before
        assert texts(after, "sAMAccountName") == ["emil"]

        ad.rename(dn_of("emilia"), "CN=emilia", superior=GROUPS)
        located = source.locate([(before, dn_of("emilia"))])[before]
        assert located.whereabouts is Whereabouts.OUT_OF_BASE
        ad.delete(dn_of("emilia", GROUPS))
        located = source.locate([(before, dn_of("emilia"))])[before]
        assert located.whereabouts is Whereabouts.GONE


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_bind_says_why_and_what_to_do(ad: SambaAD, name: str) -> None:
    """The directory's own code for a refused bind becomes a sentence with the next step."""
    code, step = REFUSED[name]
    password = "not this one" if name == "wrong" else PASSWORD
    with pytest.raises(BindRejected) as refused:
        Connection.open(ad_options(ad.url, account(name), password))

    assert f"data {code}" in str(refused.value)
    assert step in str(refused.value)


@pytest.mark.parametrize("scheme", ["ldaps", "StartTLS"])
def test_tls_is_verified(ad: SambaAD, scheme: str) -> None:
    """Both ways to TLS work with the domain's certificate authority."""
    options = replace(
        ad_options(ad.ldaps_url if scheme == "ldaps" else ad.url),
        insecure_clear_text_bind=False,
        ca_pem=(ad.ca_pem,),
    )
    with ad_source(ad.url, options=options) as source:
        assert sorted(entries(source.users())) == [*NAMES, "hidden"]
