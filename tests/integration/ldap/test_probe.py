"""The doctor, on real servers."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from syncd.errors import CertificateRejected, DirectoryUnavailable
from syncd.ldap.ber import decode_entry
from syncd.ldap.probe import probe
from tests.integration.ldap.sources import (
    USER_ATTRIBUTES,
    options_for,
    role_search,
    unit,
    user_search,
)
from tests.servers.slapd import (
    ANONYMOUS_ACCESS,
    NO_PAGING,
    PAGES_200,
    PAGES_500,
    PASSWORD,
    PEOPLE,
    READER,
    ROLES,
    SUFFIX,
    Account,
    Slapd,
    free_port,
    people,
    person,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syncd.ldap.connection import ConnectionOptions
    from syncd.ldap.listings import UserSearch
    from syncd.ldap.report import ProbeReport

ROLE_MEMBERS = {"few": [1], "many": range(7)}


def now() -> datetime:
    """Return the time of the certificates' clock."""
    return datetime.now(tz=UTC)


def look(
    slapd: Slapd,
    users: UserSearch | None = None,
    *,
    account: Account | None = READER,
    options: ConnectionOptions | None = None,
    roles_dn: str = ROLES,
    vendor: str = "openldap",
) -> ProbeReport:
    """Probe a server."""
    return probe(
        options or options_for(slapd, account),
        users or user_search(page_size=1000),
        {"import roles": role_search(roles_dn)},
        vendor=vendor,
        clock=now,
    )


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    """A directory with 600 people, two roles and memberOf; no test here changes it."""
    with Slapd(ldif=people(600), overlays=["memberof", "syncprov"]) as server:
        # Added to the running server, because memberOf is kept up only there.
        for name, numbers in ROLE_MEMBERS.items():
            members = [f"uid=u{number:05},{PEOPLE}" for number in numbers]
            server.add(f"cn={name},{ROLES}", objectClass="groupOfNames", cn=name, member=members)
        yield server


@pytest.fixture(scope="module")
def healthy(slapd: Slapd) -> ProbeReport:
    """What the doctor says of a directory that is in order."""
    return look(slapd)


def test_it_says_who_answered_and_how_it_is_protected(slapd: Slapd, healthy: ProbeReport) -> None:
    """The report names the URL, the TLS version and the certificate with its last day."""
    assert healthy.url == slapd.url
    assert healthy.tls is not None
    assert healthy.tls.version in {"TLSv1.2", "TLSv1.3"}
    assert (healthy.tls.subject, healthy.tls.issuer) == (
        "CN=server",
        "CN=Test CA",
    )
    assert "127.0.0.1" in healthy.tls.names
    assert healthy.tls.days_left in {29, 30}
    assert healthy.tls.not_after.endswith("Z")


def test_it_says_what_the_server_is_and_offers(healthy: ProbeReport) -> None:
    """The vendor, the naming contexts and the controls come from the root DSE."""
    offered = {control.name: control.offered for control in healthy.controls}

    assert (healthy.vendor_detected, healthy.naming_contexts) == ("openldap", (SUFFIX,))
    assert offered["paged results"]
    assert offered["content synchronization (syncrepl)"]
    assert not offered["directory synchronization (DirSync)"]


def test_it_samples_people_and_what_of_them_can_be_read(healthy: ProbeReport) -> None:
    """A sample of fifty tells the share of people that show each needed attribute."""
    users = healthy.users

    assert users.sampled == 50
    assert [users.share(name) for name in USER_ATTRIBUTES] == [1.0] * len(USER_ATTRIBUTES)
    assert (users.uuid_unique, users.uuid_undecodable, users.password_readable) == (True, 0, False)
    assert 0 < users.share("memberOf") < 1
    (base,) = users.bases
    assert (base.exists, base.first_page, base.more, base.error) == (True, 600, False, None)


def test_it_shows_the_fullest_role(healthy: ProbeReport) -> None:
    """The sample role is the one with most values, with the count of each attribute."""
    (roles,) = healthy.containers

    assert (roles.sample_dn, roles.sample_values["member"]) == (f"cn=many,{ROLES}", 7)
    assert (roles.base.exists, roles.base.first_page) == (True, 2)


def test_it_brings_an_example_as_a_listing_would(healthy: ProbeReport) -> None:
    """The example person has the attributes that the mappers ask for and no others."""
    assert healthy.sample is not None
    example = decode_entry(healthy.sample)

    assert set(example.attributes) == {name.lower() for name in USER_ATTRIBUTES}


def test_a_report_holds_no_secret_and_is_json(healthy: ProbeReport) -> None:
    """Nothing that the account could read of anybody's password is in the report."""
    text = json.dumps(healthy.as_json()) + repr(healthy)

    assert READER.password not in text
    assert PASSWORD not in text


@pytest.mark.parametrize(
    ("account", "configured", "accepted", "unpaged_limit"),
    [
        (READER, 1000, 1000, None),
        (PAGES_500, 1000, 500, 500),
        (PAGES_500, 500, 500, 500),
        (PAGES_200, 1000, None, 500),
        (NO_PAGING, 200, None, 500),
        (READER, None, None, None),
    ],
)
def test_it_finds_the_page_size_and_the_limit(
    slapd: Slapd,
    account: Account,
    configured: int | None,
    accepted: int | None,
    unpaged_limit: int | None,
) -> None:
    """The page size is tried as configured and halved once; an unpaged search shows the limit."""
    report = look(slapd, user_search(page_size=configured), account=account)

    assert (report.paging.accepted, report.paging.unpaged_limit) == (accepted, unpaged_limit)
    assert (accepted == configured) == (not [one for one in report.advice if "page" in one])


def test_a_healthy_directory_is_only_reminded_of_its_certificate(healthy: ProbeReport) -> None:
    """A certificate of thirty days is the one thing to say about the test server."""
    assert [one for one in healthy.advice if "certificate expires" not in one] == []


def test_a_users_dn_that_does_not_exist_is_a_line_of_the_report(slapd: Slapd) -> None:
    """A wrong users DN is said, and the rest of the report is still there."""
    report = look(slapd, user_search(f"ou=nowhere,{SUFFIX}"))

    (base,) = report.users.bases
    assert (base.exists, base.first_page) == (False, 0)
    assert any("ou=nowhere" in one and "noSuchObject" in one for one in report.advice)
    assert report.containers[0].base.first_page == 2


def test_a_filter_that_nobody_matches_names_the_clause(slapd: Slapd) -> None:
    """Where there are people but none matches, the clause that turns one away is named."""
    filter_ = "(&(objectClass=inetOrgPerson)(employeeType=active))"
    report = look(slapd, user_search(filter=filter_))

    assert report.users.bases[0].clause == "(employeeType=active)"
    assert any("do not match (employeeType=active)" in one for one in report.advice)


def test_a_roles_dn_without_roles_is_said(slapd: Slapd) -> None:
    """Roles below the wrong DN are a sentence about the mapper's configuration."""
    report = look(slapd, roles_dn=f"ou=policies,{SUFFIX}")

    assert any("no role is found below ou=policies" in one for one in report.advice)


def test_a_missing_uuid_attribute_is_the_first_advice() -> None:
    """Without readable ids nothing can be imported, so that comes before anything else."""
    access = f"""
access to attrs=entryUUID by * none
access to attrs=modifyTimestamp by * none
access to attrs=userPassword by anonymous auth by dn.exact="{READER.dn}" read by * none
access to * by dn.children="{SUFFIX}" read by anonymous auth by * none
"""
    content = person("anna", userPassword="{SSHA}nothing") + person("bert")
    attributes = (*USER_ATTRIBUTES, "memberOf")
    with Slapd(ldif=content, access=access) as server:
        report = look(server, user_search(page_size=10, attributes=attributes))

    assert "entryUUID is missing for all 2 sampled users" in report.advice[0]
    for sentence in (
        "modifyTimestamp does not come back",
        "memberOf is empty for all 2 sampled users",
        "may read userPassword",
    ):
        assert any(sentence in one for one in report.advice), sentence
    assert "SSHA" not in repr(report)
    assert report.sample is None


def test_a_uuid_attribute_that_is_not_unique_is_said() -> None:
    """Two people with one id would overwrite each other."""
    content = person("anna", employeeNumber="7") + person("bert", employeeNumber="7")
    users = user_search(uuid_attribute="employeeNumber", attributes=("employeeNumber", "uid"))
    with Slapd(ldif=content) as server:
        report = look(server, users)

    assert not report.users.uuid_unique
    assert any("employeeNumber is not unique" in one for one in report.advice)


def test_references_in_scope_are_counted() -> None:
    """A part of the tree that another server holds is a reason why no absence would count."""
    content = unit("north", PEOPLE) + (
        f"dn: ou=abroad,{PEOPLE}\nobjectClass: referral\nobjectClass: extensibleObject\n"
        f"ou: abroad\nref: ldap://127.0.0.1:9/ou=abroad,{PEOPLE}\n\n"
    )
    with Slapd(ldif=content + person("anna")) as server:
        report = look(server)

    assert report.users.bases[0].references == 1
    assert any("references to other servers are in scope" in one for one in report.advice)


def test_each_url_is_tried(slapd: Slapd) -> None:
    """The report says of every configured server whether it could take over."""
    dead = f"ldap://127.0.0.1:{free_port()}"
    options = replace(options_for(slapd), urls=(dead, slapd.tls_url, slapd.url))
    report = look(slapd, options=options)

    assert report.url == slapd.tls_url
    assert [server.usable for server in report.servers] == [False, True, True]
    assert any(f"{dead} cannot be used" in one for one in report.advice)


def test_clear_text_and_anonymous_are_said() -> None:
    """A connection without protection and a bind without account are each a warning."""
    with Slapd(ldif=people(1), access=ANONYMOUS_ACCESS) as server:
        options = replace(options_for(server, None), insecure_clear_text_bind=True)
        report = look(server, options=options)

    assert (report.tls, report.bind_dn) == (None, None)
    assert any("clear text" in one for one in report.advice)
    assert any("anonymous" in one for one in report.advice)


def test_a_server_that_nobody_reaches_is_an_error(slapd: Slapd) -> None:
    """Without any server there is no report but the sentence why."""
    options = replace(options_for(slapd), urls=(f"ldap://127.0.0.1:{free_port()}",))
    with pytest.raises(DirectoryUnavailable):
        look(slapd, options=options)


def test_an_untrusted_certificate_is_an_error(slapd: Slapd) -> None:
    """A certificate of an unknown authority is refused before anything is sent."""
    with Slapd() as other:
        options = replace(options_for(slapd), ca_pem=(other.ca_pem,))
    with pytest.raises(CertificateRejected):
        look(slapd, options=options)
