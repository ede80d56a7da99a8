"""One organization's directory, read from a real server."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from syncd.errors import DirectoryError, DirectoryUnavailable, NotFound, UsageError
from syncd.ldap.ber import decode_entry
from syncd.ldap.clock import naming_context
from syncd.ldap.source import LdapSource
from syncd.records import Entry, Scope, Verdict
from tests.integration.ldap.sources import (
    USER_ATTRIBUTES,
    options_for,
    read,
    role,
    role_search,
    source_for,
    uids,
    unit,
    user_search,
)
from tests.servers.slapd import PAGES_500, PEOPLE, READER, ROLES, SUFFIX, Slapd, people, person

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from syncd.ldap.listings import UserSearch

NORTH, SOUTH = f"ou=north,{PEOPLE}", f"ou=south,{PEOPLE}"
CONTENT = "".join(
    [
        unit("north", PEOPLE),
        unit("south", PEOPLE),
        *(person(f"n{number}", container=NORTH) for number in range(3)),
        *(person(f"s{number}", container=SOUTH) for number in range(2)),
        person("top"),
        role("readers", [f"uid=n0,{NORTH}", f"uid=s0,{SOUTH}"]),
        role("writers", [f"uid=n1,{NORTH}"]),
    ]
)
EVERYBODY = ["n0", "n1", "n2", "s0", "s1", "top"]


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    """A directory with six people in three places, which no test here changes."""
    with Slapd(ldif=CONTENT, overlays=["syncprov"]) as server:
        yield server


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        pytest.param(user_search(), EVERYBODY, id="one base"),
        pytest.param(user_search(NORTH, SOUTH), EVERYBODY[:-1], id="two bases"),
        pytest.param(user_search(NORTH, PEOPLE), EVERYBODY, id="a base inside another"),
        pytest.param(user_search(NORTH, f"OU=North, {PEOPLE}"), EVERYBODY[:3], id="one base twice"),
        pytest.param(user_search(scope=Scope.ONE_LEVEL), ["top"], id="one level"),
        pytest.param(
            user_search(PEOPLE, NORTH, scope=Scope.ONE_LEVEL),
            [*EVERYBODY[:3], "top"],
            id="one level of a base inside another",
        ),
        pytest.param(
            user_search(f"uid=top,{PEOPLE}"), ["top"], id="the base itself matches the filter"
        ),
    ],
)
def test_several_bases_are_one_listing(
    slapd: Slapd, users: UserSearch, expected: list[str]
) -> None:
    """Everybody below the users DNs comes once, in one listing with the totals of all of them."""
    with source_for(slapd, users) as source:
        listing = source.users()

        assert uids(listing) == expected
        assert listing.outcome.verdict is Verdict.COMPLETE
        assert (listing.outcome.entries, listing.outcome.source) == (len(expected), "users")


@pytest.mark.rule("2.2.3", server="openldap")
def test_two_listings_at_once_do_not_disturb_each_other(slapd: Slapd) -> None:
    """Listings that are read in turns have a connection each, so no cookie meets another one."""
    with source_for(slapd, user_search(page_size=1)) as source:
        first, second = source.users(), source.users()
        pages = list(zip(first, second, strict=True))

        assert [left for left, _ in pages] == [right for _, right in pages]
        assert (len(pages), first.outcome.verdict, second.outcome.verdict) == (
            len(EVERYBODY),
            Verdict.COMPLETE,
            Verdict.COMPLETE,
        )


def test_roles_are_listed_by_the_name_of_their_mapper(slapd: Slapd) -> None:
    """A mapper's roles come with the attributes that its mapping needs."""
    with source_for(slapd) as source:
        listing = source.containers("import roles")
        members = {entry.dn: len(entry.values("member")) for entry in read(listing)}

        assert members == {f"cn=readers,{ROLES}": 2, f"cn=writers,{ROLES}": 1}
        assert (listing.outcome.source, listing.outcome.verdict) == (
            "import roles",
            Verdict.COMPLETE,
        )


def test_an_unknown_mapper_is_named(slapd: Slapd) -> None:
    """Asking for a mapper that imports nothing says which ones do."""
    with source_for(slapd) as source, pytest.raises(NotFound, match="import roles"):
        source.containers("import groups")


@pytest.mark.rule("2.2.7", server="openldap")
@pytest.mark.parametrize("sentinel", [f"uid=top,{PEOPLE}", f"UID=Top, ou=People, {SUFFIX.upper()}"])
def test_a_listing_with_its_sentinels_is_complete(slapd: Slapd, sentinel: str) -> None:
    """A sentinel counts as seen in whatever spelling an admin wrote its DN."""
    with source_for(slapd, user_search(sentinels=(sentinel,))) as source:
        listing = source.users()
        read(listing)

        assert listing.outcome.verdict is Verdict.COMPLETE


@pytest.mark.rule("2.2.7", server="openldap")
def test_a_listing_without_a_sentinel_is_unverified(slapd: Slapd) -> None:
    """Who is missing from a listing that lacks a sentinel has not left; the sentinel is named."""
    missing = f"uid=nobody,{PEOPLE}"
    sentinels = (f"uid=top,{PEOPLE}", missing)
    with source_for(slapd, user_search(sentinels=sentinels)) as source:
        listing = source.users()

        assert uids(listing) == EVERYBODY
        assert listing.outcome.verdict is Verdict.UNVERIFIED
        assert missing in str(listing.outcome.because)
        assert "uid=top" not in str(listing.outcome.because)


def test_a_listing_has_no_outcome_before_its_end(slapd: Slapd) -> None:
    """Nothing can be concluded from a listing that is still being read."""
    with source_for(slapd) as source:
        listing = source.users()
        with pytest.raises(RuntimeError, match="before"):
            _ = listing.outcome


def test_a_listing_that_is_given_up_leaves_the_source_usable(slapd: Slapd) -> None:
    """Whoever stops in the middle of a listing does not spoil the next one."""
    with source_for(slapd, user_search(page_size=1)) as source:
        for _ in source.users():
            break

        assert uids(source.users()) == EVERYBODY


def test_a_server_that_restarted_between_two_listings_is_met_again() -> None:
    """An idle connection that the server has ended is replaced without anybody noticing."""
    with Slapd(ldif=people(3)) as server, source_for(server) as source:
        before = uids(source.users())
        server.stop()
        server.start()

        assert uids(source.users()) == before
        assert source.watermark().ground == source.ground()


@pytest.mark.rule("2.2.4", server="openldap")
def test_a_server_that_stops_between_two_bases_truncates_the_listing() -> None:
    """A chain that loses its server is truncated and names the users DN that nobody read."""
    content = unit("north", PEOPLE) + unit("south", PEOPLE)
    content += person("n0", container=NORTH) + person("s0", container=SOUTH)
    with Slapd(ldif=content) as server, source_for(server, user_search(NORTH, SOUTH)) as source:
        listing = source.users()
        seen = []
        for page in listing:
            seen += page
            server.stop()

        assert [entry.dn for entry in map(decode_entry, seen)] == [f"uid=n0,{NORTH}"]
        assert listing.outcome.verdict is Verdict.TRUNCATED
        assert SOUTH in str(listing.outcome.because)


def test_a_server_that_is_gone_is_a_sentence() -> None:
    """A directory that nobody reaches raises what can be tried again later."""
    with Slapd() as server:
        source = source_for(server)
        server.stop()
        with pytest.raises(DirectoryUnavailable):
            source.open()


class TestGround:
    def test_it_stays_the_same(self, slapd: Slapd) -> None:
        """The same directory, configuration and account are the same ground, by any address."""
        by_tls = replace(options_for(slapd), urls=(slapd.tls_url,))
        with (
            source_for(slapd) as first,
            source_for(slapd) as second,
            LdapSource(
                connection=by_tls, users=user_search(), containers={"import roles": role_search()}
            ) as third,
        ):
            assert first.ground() == first.ground() == second.ground() == third.ground()

    @pytest.mark.rule("2.1.3", server="openldap")
    @pytest.mark.parametrize(
        "changed",
        [
            pytest.param(user_search(NORTH), id="base"),
            pytest.param(user_search(scope=Scope.ONE_LEVEL), id="scope"),
            pytest.param(user_search(filter="(objectClass=inetOrgPerson)"), id="filter"),
            pytest.param(user_search(attributes=(*USER_ATTRIBUTES, "title")), id="attributes"),
            pytest.param(user_search(uuid_attribute="uid"), id="uuid attribute"),
        ],
    )
    def test_it_changes_with_the_search(self, slapd: Slapd, changed: UserSearch) -> None:
        """A watermark that was read for another search is not taken for this one."""
        with source_for(slapd) as one, source_for(slapd, changed) as other:
            assert one.ground() != other.ground()

    @pytest.mark.rule("2.1.3", server="openldap")
    def test_it_changes_with_the_account(self, slapd: Slapd) -> None:
        """Another bind account may see other people, so it is another ground."""
        with source_for(slapd) as one, source_for(slapd, account=PAGES_500) as other:
            assert one.ground() != other.ground()

    @pytest.mark.rule("2.1.3", server="openldap")
    def test_it_changes_with_a_rebuilt_directory(self, slapd: Slapd) -> None:
        """The same content loaded anew has new ids, which must not look like everybody leaving."""
        with Slapd(ldif=CONTENT) as rebuilt, source_for(slapd) as one, source_for(rebuilt) as other:
            assert one.ground() != other.ground()

    def test_it_survives_a_restart(self) -> None:
        """A server that was restarted is the same directory."""
        with Slapd(ldif=people(1)) as server, source_for(server) as source:
            before = source.ground()
            server.stop()
            server.start()

            assert source.ground() == before


class TestWatermark:
    @pytest.mark.rule("2.9.2", server="openldap")
    def test_it_is_the_directory_s_own_time(self) -> None:
        """What changes after the watermark was read is found by asking from the watermark on."""
        with (
            Slapd(ldif=people(3), overlays=["syncprov"]) as server,
            source_for(server, change_detection="modify_timestamp") as source,
        ):
            server.modify(f"uid=u00001,{PEOPLE}", {"sn": ["Before"]})
            watermark = source.watermark()
            server.modify(f"uid=u00002,{PEOPLE}", {"sn": ["After"]})

            stamps = {
                entry.values("uid")[0]: entry.values("modifyTimestamp")[0].decode()
                for entry in read(source.users())
            }
            assert watermark.kind == "modify_timestamp"
            assert watermark.ground == source.ground()
            assert watermark.value == stamps[b"u00001"]
            assert watermark.value <= stamps[b"u00002"]

    def test_it_is_empty_where_the_directory_does_not_tell_its_time(self) -> None:
        """An account that may not read contextCSN gets no time made up by this machine's clock."""
        access = f"""
access to attrs=contextCSN by * none
access to attrs=userPassword by anonymous auth by * none
access to * by dn.children="{SUFFIX}" read by anonymous auth by * none
"""
        with Slapd(access=access) as server, source_for(server) as source:
            assert source.watermark().value == ""


class TestActiveDirectoryWords:
    """What Active Directory says in its root DSE, said by a server that can be told to."""

    SCHEMA = """
attributetype ( 1.3.6.1.4.1.4203.666.100.2 NAME 'currentTime'
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.24 )
attributetype ( 1.3.6.1.4.1.4203.666.100.3 NAME 'dsServiceName'
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 )
attributetype ( 1.2.840.113556.1.2.115 NAME 'invocationId'
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )
objectclass ( 1.3.6.1.4.1.4203.666.100.4 NAME 'ntds' SUP top AUXILIARY MAY invocationId )
"""
    CONTROLLERS = "".join(
        f"dn: cn={name},ou=policies,{SUFFIX}\nobjectClass: organizationalRole\nobjectClass: ntds\n"
        f"cn: {name}\ninvocationId: {invocation}\n\n"
        for name, invocation in [("dc1", "first"), ("dc2", "second")]
    )

    def controller(self, folder: Path, name: str) -> Slapd:
        """Return a server that says it is this domain controller."""
        said = folder / f"{name}.ldif"
        said.write_text(
            f"dn:\ncurrentTime: 20260131120000.0Z\ndsServiceName: cn={name},ou=policies,{SUFFIX}\n"
        )
        options = f"{self.SCHEMA}\nrootDSE {said}"
        return Slapd(ldif=self.CONTROLLERS, options=options)

    @pytest.mark.rule("2.9.2", server="openldap")
    def test_the_current_time_is_the_watermark(self, tmp_path: Path) -> None:
        """A directory that tells its time in the root DSE is taken at its word."""
        with self.controller(tmp_path, "dc1") as server, source_for(server) as source:
            assert source.watermark().value == "20260131120000Z"

    @pytest.mark.rule("2.1.3", server="openldap")
    def test_a_restored_controller_is_another_ground(self, tmp_path: Path) -> None:
        """A controller with a new invocation id was restored: its stamps start anew."""
        with self.controller(tmp_path, "dc1") as server, source_for(server) as source:
            before = source.ground()
            server.modify(f"cn=dc1,ou=policies,{SUFFIX}", {"invocationId": ["third"]})

            assert source.ground() != before


class TestFind:
    def test_it_finds_a_person_as_a_listing_would(self, slapd: Slapd) -> None:
        """One person is read with the attributes of the listing, whatever the letter case."""
        with source_for(slapd) as source:
            (found,) = source.find("TOP")
            listed = [raw for page in source.users() for raw in page]

        assert found in listed

    @pytest.mark.parametrize("username", ["nobody", "*", "top)(uid=*", "tøp", ""])
    def test_it_finds_nobody_under_another_name(self, slapd: Slapd, username: str) -> None:
        """What somebody typed is a value and never a pattern or a filter."""
        with source_for(slapd) as source:
            assert source.find(username) == []


class TestReadContainers:
    def test_it_reads_the_named_ones(self, slapd: Slapd) -> None:
        """Containers are read anew one by one; what does not exist or match is left out."""
        names = [f"cn=writers,{ROLES}", f"cn=gone,{ROLES}", f"uid=top,{PEOPLE}"]
        with source_for(slapd) as source:
            found = source.read_containers("import roles", names)

        assert [decode_entry(raw).dn for raw in found] == [f"cn=writers,{ROLES}"]

    def test_a_container_that_may_not_be_read_is_an_error(self) -> None:
        """What the server refuses is not the same as what is not there."""
        access = f"""
access to dn.exact="cn=hidden,{ROLES}" by * disclose
access to * by dn.children="{SUFFIX}" read by anonymous auth by * none
"""
        content = role("hidden", [f"uid=top,{PEOPLE}"])
        with Slapd(ldif=content, access=access) as server, source_for(server) as source:
            with pytest.raises(DirectoryError, match="insufficientAccessRights"):
                source.read_containers("import roles", [f"cn=hidden,{ROLES}"])

            # A refused search does not cost the connection.
            assert source.find("nobody") == []


@pytest.mark.parametrize(
    ("names", "base_dn", "expected"),
    [
        ([b"dc=example,dc=org"], "ou=people,dc=example,dc=org", "dc=example,dc=org"),
        ([b"dc=example,dc=org"], "DC=Example, DC=Org", "dc=example,dc=org"),
        ([b"dc=org", b"dc=example,dc=org"], "ou=a,dc=example,dc=org", "dc=example,dc=org"),
        ([b"dc=example,dc=com"], "dc=example,dc=org", "dc=example,dc=org"),
        ([b""], "dc=example,dc=org", "dc=example,dc=org"),
        ([], "dc=example,dc=org", "dc=example,dc=org"),
    ],
)
def test_the_naming_context_of_a_base_is_the_nearest_one(
    names: list[bytes], base_dn: str, expected: str
) -> None:
    """The directory that holds a base is told by the longest of the names that it lies below."""
    assert naming_context(Entry("", {"namingcontexts": names}), base_dn) == expected


def test_a_source_without_users_dn_is_refused(slapd: Slapd) -> None:
    """Nothing to search is a mistake and not an empty directory."""
    with pytest.raises(UsageError, match="users_dn"):
        source_for(slapd, replace(user_search(), base_dns=()))


@pytest.mark.rule("2.16.3", server="openldap")
def test_searches_are_logged_as_commands(slapd: Slapd, caplog: pytest.LogCaptureFixture) -> None:
    """With logging on, each listing is a command that repeats it, without the password."""
    caplog.set_level(logging.INFO, "syncd.ldap")
    with source_for(slapd, log_searches=True) as source:
        read(source.users())

    assert "ldapsearch" in caplog.text
    assert PEOPLE in caplog.text
    assert READER.password not in caplog.text


@pytest.mark.parametrize("base_dns", [("people",), (PEOPLE, "ou=north,,dc=example")])
def test_a_users_dn_that_is_none_is_named(slapd: Slapd, base_dns: tuple[str, ...]) -> None:
    """A users DN that cannot be parsed is told before anything is searched."""
    with pytest.raises(UsageError, match="is not a distinguished name"):
        source_for(slapd, user_search(*base_dns))
