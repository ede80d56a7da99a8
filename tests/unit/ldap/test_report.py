"""What a probe advises, from the report alone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from syncd.ldap.report import (
    AttributeReport,
    BaseReport,
    ContainersReport,
    ControlReport,
    PagingReport,
    ProbeReport,
    ServerReport,
    TlsReport,
    UsersReport,
    advise,
)

BASE = BaseReport(base_dn="ou=people", exists=True, first_page=50, more=True, references=0)
TLS = TlsReport(
    version="TLSv1.3",
    subject="CN=ldap.example.org",
    issuer="CN=Example CA",
    names=("ldap.example.org",),
    not_after="2030-01-01T00:00:00Z",
    days_left=400,
)


def shares(**found: float) -> tuple[AttributeReport, ...]:
    """Return the report about 50 people of whom a share shows each attribute."""
    return tuple(
        AttributeReport(name=name, entries=int(share * 50), share=share)
        for name, share in found.items()
    )


USERS = UsersReport(
    bases=(BASE,),
    sampled=50,
    attributes=shares(entryUUID=1, uid=1, modifyTimestamp=1, memberOf=1),
    uuid_attribute="entryUUID",
    uuid_unique=True,
    uuid_undecodable=0,
    username_attribute="uid",
    modified_attribute="modifyTimestamp",
    member_of_attribute="memberOf",
    member_of_wanted=True,
    password_readable=False,
)
ROLES = ContainersReport(
    mapper="import roles",
    base=replace(BASE, base_dn="ou=roles", first_page=3, more=False),
    attributes=shares(cn=1, member=1),
    sample_dn="cn=readers,ou=roles",
    sample_values={"cn": 1, "member": 7},
)
HEALTHY = ProbeReport(
    url="ldaps://a.example.org",
    servers=(ServerReport(url="ldaps://a.example.org", usable=True),),
    bind_dn="cn=reader",
    tls=TLS,
    vendor_configured="openldap",
    vendor_detected="openldap",
    vendor_name=None,
    vendor_version=None,
    naming_contexts=("dc=example,dc=org",),
    controls=(ControlReport(oid="1.2", name="paged results", offered=True),),
    paging=PagingReport(configured=1000, accepted=1000, unpaged_limit=500),
    users=USERS,
    containers=(ROLES,),
)


def freeipa(base_dn: str) -> ProbeReport:
    """Return the report on a healthy FreeIPA with this users DN."""
    users = replace(USERS, bases=(replace(BASE, base_dn=base_dn),), uuid_attribute="ipaUniqueID")
    users = replace(users, attributes=shares(ipaUniqueID=1, uid=1, modifyTimestamp=1, memberOf=1))
    return replace(HEALTHY, vendor_configured="freeipa", vendor_detected="freeipa", users=users)


def with_users(**changes: object) -> ProbeReport:
    """Return a report that is healthy but for its people."""
    return replace(HEALTHY, users=replace(USERS, **changes))  # type: ignore[arg-type]


def with_base(**changes: object) -> ProbeReport:
    """Return a report that is healthy but for its users DN."""
    return with_users(bases=(replace(BASE, **changes),))  # type: ignore[arg-type]


def test_a_healthy_directory_needs_no_advice() -> None:
    """Where everything is in order nobody has to read anything."""
    assert advise(HEALTHY) == ()


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        (
            with_users(attributes=shares(entryUUID=0, uid=1, modifyTimestamp=1, memberOf=1)),
            "entryUUID is missing for all 50 sampled users",
        ),
        (
            replace(
                with_users(
                    uuid_attribute="nsUniqueId",
                    attributes=shares(uid=1, modifyTimestamp=1, memberOf=1),
                )
            ),
            "set uuid_ldap_attribute: entryUUID",
        ),
        (
            with_users(attributes=shares(entryUUID=0.5, uid=1, modifyTimestamp=1, memberOf=1)),
            "entryUUID is missing for some of the 50 sampled users",
        ),
        (with_users(uuid_unique=False), "entryUUID is not unique among the 50 sampled users"),
        (
            with_users(uuid_undecodable=2),
            "the entryUUID of 2 among 50 sampled users cannot",
        ),
        (
            with_users(uuid_attribute="uid"),
            "uid changes when somebody is renamed",
        ),
        (
            with_users(attributes=shares(entryUUID=1, modifyTimestamp=1, memberOf=1)),
            "uid is missing for all 50 sampled users",
        ),
        (
            with_users(attributes=shares(entryUUID=1, uid=0.9, modifyTimestamp=1, memberOf=1)),
            "would go to quarantine",
        ),
        (
            with_users(attributes=shares(entryUUID=1, uid=1, memberOf=1)),
            "modifyTimestamp does not come back",
        ),
        (
            with_users(attributes=shares(entryUUID=1, uid=1, modifyTimestamp=1)),
            "memberOf is empty for all 50 sampled users: load_by_member_attribute is safer",
        ),
        (
            with_users(password_readable=True),
            "the bind account may read userPassword: give it fewer rights",
        ),
        (with_base(error="noSuchObject", exists=False), "users DN ou=people: noSuchObject"),
        (
            with_base(first_page=0, clause="(objectClass=inetOrgPerson)"),
            "the entries there do not match (objectClass=inetOrgPerson)",
        ),
        (with_base(first_page=0), "there are no entries that the bind account may see"),
        (with_base(references=2), "in scope of ou=people (2 on the first page)"),
        (
            replace(HEALTHY, paging=PagingReport(configured=1000, accepted=500, unpaged_limit=500)),
            "page size 1000 refused; 500 accepted: set page_size: 500",
        ),
        (
            replace(
                HEALTHY,
                paging=PagingReport(
                    configured=1000, accepted=None, unpaged_limit=None, error="adminLimitExceeded"
                ),
            ),
            "nor of half of it (adminLimitExceeded): set a smaller page_size",
        ),
        (
            replace(
                HEALTHY,
                containers=(replace(ROLES, base=replace(ROLES.base, error="noSuchObject")),),
            ),
            "import roles: roles DN ou=roles: noSuchObject",
        ),
        (
            replace(HEALTHY, containers=(replace(ROLES, base=replace(ROLES.base, first_page=0)),)),
            "import roles: no role is found below ou=roles",
        ),
        (
            replace(HEALTHY, containers=(replace(ROLES, attributes=shares(cn=1, member=0)),)),
            "none of the 3 roles of the first page shows a member",
        ),
        (
            replace(
                HEALTHY,
                servers=(
                    *HEALTHY.servers,
                    ServerReport(url="ldaps://b.example.org", usable=False, error="refused"),
                ),
            ),
            "ldaps://b.example.org cannot be used: refused",
        ),
        (replace(HEALTHY, tls=None), "the connection is clear text"),
        (
            replace(HEALTHY, tls=replace(TLS, days_left=6)),
            "the server's certificate expires in 6 days",
        ),
        (
            replace(HEALTHY, tls=replace(TLS, days_left=1)),
            "the server's certificate expires in 1 day",
        ),
        (replace(HEALTHY, bind_dn=None), "the bind is anonymous"),
        (
            replace(HEALTHY, vendor_configured="other"),
            "the server is OpenLDAP, but vendor is other: set vendor: openldap",
        ),
        (
            replace(HEALTHY, vendor_detected="389ds", vendor_configured="openldap"),
            "uuid_ldap_attribute: entryUUID, so that they stay who they are",
        ),
        (
            freeipa("dc=example,dc=org"),
            "set users_dn: cn=users,cn=accounts,dc=example,dc=org",
        ),
        (
            freeipa("CN=accounts, dc=example,dc=org"),
            "set users_dn: cn=users,cn=accounts,dc=example,dc=org",
        ),
        (
            replace(
                HEALTHY, controls=(ControlReport(oid="1.2", name="paged results", offered=False),)
            ),
            "the server does not offer paged results",
        ),
    ],
)
def test_each_finding_has_its_sentence(report: ProbeReport, sentence: str) -> None:
    """One thing that is wrong is one sentence of advice that says what to do."""
    (advice,) = [one for one in advise(report) if sentence in one]

    assert len(advise(report)) == 1, advice


def test_nothing_is_said_about_people_whom_nobody_sampled() -> None:
    """Without a sample nothing is known of attributes, so nothing is said about them."""
    report = with_users(sampled=0, attributes=(), bases=(replace(BASE, first_page=0),))

    assert [one for one in advise(report) if "sampled" in one] == []


@pytest.mark.parametrize(
    "base_dn",
    ["cn=users,cn=accounts,dc=example,dc=org", "ou=a,cn=users,cn=accounts,dc=example,dc=org", "?"],
)
def test_people_who_are_where_the_product_keeps_them_are_no_reason_for_advice(
    base_dn: str,
) -> None:
    """A users DN that is no wider than FreeIPA's own place needs no word."""
    assert advise(freeipa(base_dn)) == ()


def test_an_unknown_product_is_no_reason_for_advice() -> None:
    """A server that nobody recognizes is taken as what the admin says it is."""
    report = replace(HEALTHY, vendor_detected="other")

    assert advise(report) == ()


def test_a_report_is_json_without_its_sample() -> None:
    """What goes out with ``--json`` has each finding and no raw entry."""
    report = replace(HEALTHY, sample=b"raw", advice=("Do this.",))
    found = json.loads(json.dumps(report.as_json()))

    assert "sample" not in found
    assert (found["advice"], found["tls"]["days_left"], found["users"]["sampled"]) == (
        ["Do this."],
        400,
        50,
    )
