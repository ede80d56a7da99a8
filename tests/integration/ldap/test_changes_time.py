"""Changes by times of creation and modification, from a real server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from syncd.errors import ChangesUnavailable, NotFound, UsageError
from syncd.records import Scope, Signals, Verdict, Watermark
from tests.integration.ldap.changing import IMPORT, changed
from tests.integration.ldap.sources import (
    read,
    role,
    role_search,
    source_for,
    uids,
    unit,
    user_search,
)
from tests.servers.fault_proxy import Break, FaultProxy, Faults
from tests.servers.slapd import PEOPLE, READER, ROLES, SUFFIX, Slapd, people, person

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syncd.ldap.listings import UserSearch

KIND = "modify_timestamp"
OLD = "20200101000000Z"
NEVER = "19990101000000Z"
FILTER = "(&(objectClass=inetOrgPerson)(!(employeeType=former)))"


def stamped(record: str, time: str, created: str = OLD) -> str:
    """Return an LDIF record with the times of its creation and modification."""
    return f"{record.rstrip()}\ncreateTimestamp: {created}\nmodifyTimestamp: {time}\n\n"


# The watermark is noon; what is asked for begins ten minutes before.
NOON = "20260131120000Z"
CONTENT = "".join(
    [
        stamped(person("before"), "20260131114959Z"),
        stamped(person("overlap"), "20260131115000Z"),
        stamped(person("noon"), NOON),
        stamped(person("later"), "20260131120001Z"),
        stamped(person("created"), OLD, created="20260131120001Z"),
        stamped(person("former", employeeType="former"), "20260131120001Z"),
        stamped(person("elsewhere", container=ROLES), "20260131120001Z"),
        stamped(role("old", ["cn=x"]), OLD),
        stamped(role("new", ["cn=x"]), NOON),
    ]
)


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    """A directory with known times, which no test here changes."""
    with Slapd(ldif=CONTENT, overlays=["syncprov"]) as server:
        yield server


@pytest.mark.rule("2.9.1", server="openldap")
@pytest.mark.rule("2.9.2", server="openldap")
@pytest.mark.rule("2.9.3", server="openldap")
@pytest.mark.rule("2.1.5", server="openldap")
@pytest.mark.parametrize("page_size", [1, 100])
def test_the_boundary_and_an_overlap_are_read_again(slapd: Slapd, page_size: int) -> None:
    """Modified or created since ten minutes before the watermark, within base and filter."""
    users = user_search(filter=FILTER, page_size=page_size)
    with source_for(slapd, users, change_detection=KIND) as source:
        since = replace(source.watermark(), value=NOON)
        seen = changed(source, since)

        assert seen.people == ["created", "later", "noon", "overlap"]
        assert seen.roles == ["new"]
        assert (seen.signals, seen.role_signals) == (Signals(), Signals())
        assert [each.verdict for each in seen.outcomes] == [Verdict.COMPLETE] * 2
        assert seen.watermark == source.watermark()
        assert (seen.watermark.kind, seen.watermark.ground) == (KIND, source.ground())


def test_the_vendor_s_attributes_are_asked_for(slapd: Slapd) -> None:
    """A time with a fraction, as Active Directory wants it, is the same time here."""
    users = replace(user_search(), created_attribute="noSuchTime", modified_attribute="noSuchTime")
    with source_for(slapd, users, change_detection=KIND) as source:
        since = replace(source.watermark(), value=NOON)
        assert uids(source.changes(since).users()) == []
    fraction = user_search(filter="(&(uid=*)(modifyTimestamp>=20260131120000.0Z))")
    with source_for(slapd, fraction) as source:
        assert uids(source.users()) == ["former", "later", "noon"]


@pytest.mark.rule("2.9.1", server="openldap")
@pytest.mark.rule("2.9.2", server="openldap")
def test_writes_in_the_second_of_the_watermark_are_not_lost() -> None:
    """A write before and one after the watermark bear the same second, and both are read."""
    with (
        Slapd(ldif=people(3), overlays=["syncprov"]) as server,
        source_for(server, change_detection=KIND) as source,
    ):
        for _ in range(3):
            server.modify(f"uid=u00000,{PEOPLE}", {"sn": ["Before"]})
            since = source.watermark()
            server.modify(f"uid=u00001,{PEOPLE}", {"sn": ["After"]})
            assert {"u00000", "u00001"} <= set(changed(source, since).people)


@pytest.mark.rule("2.9.3", server="openldap")
def test_who_left_does_not_show() -> None:
    """A deletion and a move out of the base leave no trace in the times."""
    with (
        (
            Slapd(ldif="".join(stamped(person(name), OLD) for name in "abc"), overlays=["syncprov"])
        ) as server,
        source_for(server, change_detection=KIND) as source,
    ):
        since = replace(source.watermark(), value=NOON)
        server.delete(f"uid=a,{PEOPLE}")
        server.rename(f"uid=b,{PEOPLE}", "uid=b", superior=ROLES)
        seen = changed(source, since)
        assert (seen.people, seen.signals) == ([], Signals())


@pytest.mark.rule("2.9.2", server="openldap")
def test_a_clock_that_went_back_needs_a_full_sync(slapd: Slapd) -> None:
    """A watermark from the directory's future; within the overlap it is a lagging replica."""
    with source_for(slapd, change_detection=KIND) as source:
        now = source.watermark()
        with pytest.raises(ChangesUnavailable) as raised:
            source.changes(replace(now, value="20991231000000Z"))
        assert raised.value.reason == "clock_backwards"


@pytest.mark.rule("2.9.2", server="openldap")
def test_a_directory_without_a_time_needs_full_syncs() -> None:
    """Nothing is made up by this machine's clock."""
    access = f"""
access to attrs=contextCSN by * none
access to attrs=userPassword by anonymous auth by * none
access to * by dn.children="{SUFFIX}" read by anonymous auth by * none
"""
    with Slapd(ldif=people(1), access=access, overlays=["syncprov"]) as server:
        with source_for(server) as source:
            found = source.detection()
            assert found.kind == KIND
            assert "contextCSN" in found.because
            assert "every changed-user sync becomes a full one" in found.because
            with pytest.raises(ChangesUnavailable, match="load the syncprov overlay") as raised:
                source.changes(source.watermark())
            assert raised.value.reason == "no_clock"
        with (
            source_for(server, change_detection="syncrepl") as source,
            pytest.raises(UsageError, match="let the bind account read contextCSN"),
        ):
            source.watermark()


@pytest.mark.parametrize(
    "faults",
    [
        Faults(base=PEOPLE, break_page=2, how=Break.RESET),
        Faults(base=PEOPLE, code_page=1, code=51),
        Faults(base=PEOPLE, code_page=2, code=4),
    ],
    ids=["reset", "busy", "size limit"],
)
@pytest.mark.rule("2.2.4", server="proxy")
def test_a_listing_of_changes_can_be_truncated(slapd: Slapd, faults: Faults) -> None:
    """It ends as any listing ends that the server or the network stopped."""
    with (
        FaultProxy(slapd.port) as proxy,
        source_for(slapd, user_search(page_size=1), url=proxy.url, change_detection=KIND) as source,
    ):
        changes = source.changes(replace(source.watermark(), value=NOON))
        proxy.faults = faults
        listing = changes.users()
        read(listing)
        assert listing.outcome.verdict is Verdict.TRUNCATED
        assert changes.signals("users") == Signals()


class TestDetection:
    @pytest.mark.parametrize(
        ("users", "setting", "kind", "because"),
        [
            (user_search(), "auto", "syncrepl", "offers content synchronization"),
            (user_search(), "syncrepl", "syncrepl", "lets the account read contextCSN"),
            (user_search(), KIND, KIND, "it is configured"),
            (user_search(uuid_attribute="uid"), "auto", KIND, "set uuid_ldap_attribute: entryUUID"),
        ],
    )
    def test_it_says_what_is_used_and_why(
        self, slapd: Slapd, users: UserSearch, setting: str, kind: str, because: str
    ) -> None:
        """Where everything is in order it is content synchronization, else times."""
        with source_for(slapd, users, change_detection=setting) as source:
            found = source.detection()
            assert found.kind == kind
            assert because in found.because
            assert source.detection() is found

    def test_a_server_without_the_overlay_is_asked_by_time(self) -> None:
        """What is missing is named with the next step, and an explicit wish is not bent."""
        with Slapd(ldif=people(2)) as server:
            with source_for(server) as source:
                found = source.detection()
                assert found.kind == KIND
                assert "load the syncprov overlay" in found.because
                assert changed(source, replace(source.watermark(), value=NOON)).people == [
                    "u00000",
                    "u00001",
                ]
            with (
                source_for(server, change_detection="syncrepl") as source,
                pytest.raises(UsageError, match="or set change_detection: auto"),
            ):
                source.detection()

    def test_a_database_without_the_overlay_is_seen_through(self) -> None:
        """A server offers the control for all its databases, and its schema has no changes."""
        with Slapd(ldif=people(1), overlays=["syncprov"]) as server:
            with source_for(server) as source:
                assert source.detection().kind == "syncrepl"
            with source_for(server, roles=role_search("cn=Subschema")) as source:
                found = source.detection()
                assert found.kind == KIND
                assert "contextCSN of cn=Subschema cannot be read" in found.because

    @pytest.mark.parametrize(
        ("setting", "uuid_attribute"), [("usn_changed", "entryUUID"), ("syncrepl", "uid")]
    )
    def test_what_cannot_be_is_refused_without_the_directory(
        self, slapd: Slapd, setting: str, uuid_attribute: str
    ) -> None:
        """The sentence names the setting; it is the same with and without a server."""
        users = user_search(uuid_attribute=uuid_attribute)
        with source_for(slapd, users, change_detection=setting) as source:
            with pytest.raises(UsageError, match=setting):
                source.detection()
            with pytest.raises(UsageError, match=setting):
                source.watermark()

    def test_a_busy_server_decides_nothing(self, slapd: Slapd) -> None:
        """A passing trouble does not change the way of asking; the next run asks anew."""
        with (
            FaultProxy(slapd.port, Faults(base=PEOPLE, code_page=1, code=51)) as proxy,
            source_for(slapd, url=proxy.url) as source,
        ):
            with pytest.raises(Exception, match="busy") as raised:
                source.detection()
            assert raised.value.code == "directory_unavailable"  # type: ignore[attr-defined]
            proxy.faults = Faults()
            assert source.detection().kind == "syncrepl"

    def test_a_watermark_of_another_kind_is_refused(self, slapd: Slapd) -> None:
        """Whoever changes the way of asking begins with a full sync."""
        with source_for(slapd) as source, pytest.raises(ChangesUnavailable) as raised:
            source.changes(Watermark(KIND, NOON, source.ground()))
        assert raised.value.reason == "detection"


class TestMembers:
    NASTY = r"cn=a\2C b (c*) \5C\C3\A9"
    CONTENT = (
        unit("north", PEOPLE)
        + person("ann", container=f"ou=north,{PEOPLE}")
        + person("bob")
        + person("cay", employeeType="former")
        + person("dan")
    )

    def test_people_are_found_by_the_roles_that_they_name(self) -> None:
        """However odd a role's name is, and in however many searches; the filter holds too."""
        roles = role_search(member_of_attribute="memberOf")
        with (
            Slapd(ldif=self.CONTENT, overlays=["memberof"]) as server,
            source_for(server, user_search(filter=FILTER, page_size=1), roles=roles) as source,
        ):
            members = {
                f"{self.NASTY},{ROLES}": [f"uid=ann,ou=north,{PEOPLE}", f"uid=cay,{PEOPLE}"],
                **{f"cn=r{number:03},{ROLES}": [f"uid=bob,{PEOPLE}"] for number in range(3)},
            }
            for name, values in members.items():
                server.add(name, objectClass="groupOfNames", member=values)

            nobody = [f"cn=none{number},{ROLES}" for number in range(120)]
            listing = source.members_of(IMPORT, [*nobody, *members])
            assert set(uids(listing)) == {"ann", "bob"}
            assert listing.outcome.verdict is Verdict.COMPLETE
            assert uids(source.members_of(IMPORT, [f"{self.NASTY},{ROLES}"])) == ["ann"]

    def test_no_roles_have_no_members(self, slapd: Slapd) -> None:
        """Nothing is asked, and nothing is missing."""
        roles = role_search(member_of_attribute="memberOf")
        with source_for(slapd, roles=roles) as source:
            listing = source.members_of(IMPORT, [])
            assert (uids(listing), listing.outcome.verdict) == ([], Verdict.COMPLETE)

    def test_a_mapper_that_is_told_otherwise_is_refused(self, slapd: Slapd) -> None:
        """A mapper that reads the roles' own members has nothing to ask people for."""
        with source_for(slapd) as source:
            with pytest.raises(UsageError, match=IMPORT):
                source.members_of(IMPORT, ["cn=x"])
            with pytest.raises(NotFound):
                source.members_of("import groups", ["cn=x"])


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        (user_search(filter=FILTER), ["noon"]),
        (user_search(scope=Scope.ONE_LEVEL), ["former", "noon"]),
    ],
    ids=["filter", "scope"],
)
def test_people_are_read_by_name_as_a_listing_has_them(
    slapd: Slapd, users: UserSearch, expected: list[str]
) -> None:
    """Whoever is out of base or filter, or gone, or has no readable name, is left out."""
    names = [f"uid={name},{PEOPLE}" for name in ("noon", "former", "ghost")]
    with source_for(slapd, users) as source:
        found = source.read_people([*names, f"uid=elsewhere,{ROLES}", "no DN", READER.dn])
        assert uids([found]) == expected
