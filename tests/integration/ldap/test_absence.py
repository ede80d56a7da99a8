"""Why somebody is not in a listing, asked of a real server."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from syncd.errors import DirectoryUnavailable
from syncd.ldap.absence import (
    CHECKED_ONE_BY_ONE,
    IDS_PER_SEARCH,
    Absence,
    AbsenceReason,
    locate,
)
from syncd.ldap.ber import decode_entry
from syncd.ldap.connection import Connection
from syncd.ldap.lookup import Lookup
from syncd.records import Scope, Whereabouts
from tests.integration.ldap.sources import (
    USER_ATTRIBUTES,
    options_for,
    read,
    source_for,
    unit,
    user_search,
)
from tests.servers.slapd import NO_PAGING, PEOPLE, READER, SUFFIX, Slapd, people, person

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syncd.ldap.listings import UserSearch

ACTIVE = "(&(objectClass=inetOrgPerson)(employeeType=active))"
ELSEWHERE = f"ou=elsewhere,{SUFFIX}"
TEAM = f"ou=team,{PEOPLE}"
NOBODY = str(uuid.UUID(int=1))
OPEN = f"""
access to attrs=userPassword by anonymous auth by * none
access to * by dn.children="{SUFFIX}" read by anonymous auth by * none
"""


def hiding(lines: str) -> str:
    """Return access rules that take something away before everything is readable."""
    return f"\n{lines}\n{OPEN}"


def ids_of(server: Slapd, *base_dns: str) -> dict[str, str]:
    """Return the entryUUID of each username, read with all rights."""
    bases = base_dns or (SUFFIX,)
    users = user_search(*bases, filter="(objectClass=inetOrgPerson)", attributes=USER_ATTRIBUTES)
    with source_for(server, users) as source:
        return {
            entry.values("uid")[0].decode(): entry.values("entryUUID")[0].decode()
            for entry in read(source.users())
            if entry.values("entryUUID")
        }


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    """A directory with people inside and outside of what is listed; no test here changes it."""
    content = "".join(
        [
            unit("elsewhere", SUFFIX),
            unit("team", PEOPLE),
            person("here", employeeType="active"),
            person("deep", container=TEAM, employeeType="active"),
            person("retired", employeeType="retired"),
            person("untyped"),
            person("moved", container=ELSEWHERE, employeeType="active"),
            person("taken", employeeType="active"),
        ]
    )
    with Slapd(ldif=content) as server:
        yield server


LISTED = user_search(filter=ACTIVE)
ONE_LEVEL = user_search(filter=ACTIVE, scope=Scope.ONE_LEVEL)


@pytest.mark.rule("2.2.2", server="openldap")
@pytest.mark.parametrize(
    ("users", "who", "expected", "sentence"),
    [
        (LISTED, "here", Whereabouts.PRESENT, "lists it now"),
        (LISTED, "deep", Whereabouts.PRESENT, "lists it now"),
        (LISTED, "retired", Whereabouts.OUT_OF_FILTER, "(employeeType=active)"),
        (LISTED, "untyped", Whereabouts.OUT_OF_FILTER, "(employeeType=active)"),
        (LISTED, "moved", Whereabouts.OUT_OF_BASE, f"uid=moved,{ELSEWHERE}"),
        (ONE_LEVEL, "deep", Whereabouts.OUT_OF_BASE, "is not directly below"),
    ],
)
def test_an_id_is_found_wherever_its_entry_is(
    slapd: Slapd, users: UserSearch, who: str, expected: Whereabouts, sentence: str
) -> None:
    """A person who is not listed is found by id below the users DN or anywhere else."""
    external_id = ids_of(slapd)[who]
    with source_for(slapd, users) as source:
        located = source.locate([(external_id, f"uid={who},{PEOPLE}")])[external_id]

    assert (located.whereabouts, sentence in located.detail) == (expected, True)


def test_who_is_there_after_all_comes_as_the_listing_would_bring_him(slapd: Slapd) -> None:
    """An entry that paging missed is handed over whole, so that it can be mapped."""
    external_id = ids_of(slapd)["here"]
    with source_for(slapd, LISTED) as source:
        listed = {decode_entry(raw).dn: raw for page in source.users() for raw in page}
        located = source.locate([(external_id, "")])[external_id]

    assert located.entry == listed[f"uid=here,{PEOPLE}"]


@pytest.mark.rule("2.2.2", server="openldap")
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (f"uid=left,{PEOPLE}", "does not exist any more"),
        (f"uid=left,ou=closed,{PEOPLE}", "does not exist any more"),
        (f"uid=taken,{PEOPLE}", "is another entry now"),
        (f"uid=taken,{ELSEWHERE}", "does not exist any more"),
        ("", "no DN of it is known"),
    ],
)
def test_an_id_that_is_nowhere_is_gone(slapd: Slapd, name: str, sentence: str) -> None:
    """A person is gone when neither the id nor an entry under the old DN without it is there."""
    with source_for(slapd, LISTED) as source:
        located = source.locate([(NOBODY, name)])[NOBODY]

    assert (located.whereabouts, sentence in located.detail) == (Whereabouts.GONE, True)


def test_many_are_located_at_once(slapd: Slapd) -> None:
    """More people than one search asks for are all told, each by his own answer."""
    known = ids_of(slapd)
    strangers = [(str(uuid.UUID(int=number)), "") for number in range(1, 2 * IDS_PER_SEARCH)]
    asked = [(known["here"], ""), *strangers, (known["retired"], "")]
    with source_for(slapd, LISTED) as source:
        located = source.locate(asked)

    found = {
        external_id: one for external_id, one in located.items() if external_id in known.values()
    }
    assert len(located) == len(asked)
    assert [one.whereabouts for one in found.values()] == [
        Whereabouts.PRESENT,
        Whereabouts.OUT_OF_FILTER,
    ]
    assert {located[stranger].whereabouts for stranger, _ in strangers} == {Whereabouts.GONE}


def test_nobody_is_located_without_a_question(slapd: Slapd) -> None:
    """Locating nobody asks nothing."""
    with source_for(slapd) as source:
        assert source.locate([]) == {}


class TestUnreadable:
    """What the account may not see, or the server does not tell, has not left."""

    def test_an_id_that_became_unreadable(self) -> None:
        """An entry under the old DN whose id cannot be read protects its person."""
        name = f"uid=u00001,{PEOPLE}"
        with Slapd(ldif=people(3)) as open_server:
            external_id = ids_of(open_server)["u00001"]
        access = hiding(f'access to dn.exact="{name}" attrs=entryUUID by * none')
        with Slapd(ldif=people(3), access=access) as server, source_for(server) as source:
            located = source.locate([(external_id, name)])[external_id]

        assert located.whereabouts is Whereabouts.UNREADABLE
        assert "entryUUID cannot be read" in located.detail

    def test_an_entry_that_can_be_discovered_but_not_read(self) -> None:
        """A server that admits an entry without showing any of it has not said that it left."""
        name = f"uid=u00001,{PEOPLE}"
        access = hiding(f'access to dn.exact="{name}" by * disclose')
        with Slapd(ldif=people(3), access=access) as server, source_for(server) as source:
            located = source.locate([(NOBODY, name)])[NOBODY]

        assert located.whereabouts is Whereabouts.UNREADABLE

    def test_an_object_class_that_became_unreadable(self) -> None:
        """When the right to read object classes is lost the filter turns everybody away."""
        access = hiding("access to attrs=objectClass by * search")
        hidden = hiding("access to attrs=objectClass by * none")
        with Slapd(ldif=people(2), access=access) as server, source_for(server) as source:
            listed = source.users()
            assert len(read(listed)) == 2
        with Slapd(ldif=people(2), access=hidden) as server:
            users = user_search(filter="(uid=*)")
            with source_for(server, users) as source:
                external_id = read(source.users())[0].values("entryUUID")[0].decode()
            with source_for(server) as source:
                located = source.locate([(external_id, f"uid=u00000,{PEOPLE}")])[external_id]

        assert located.whereabouts is Whereabouts.UNREADABLE
        assert "objectClass" in located.detail

    @pytest.mark.rule("2.2.4", server="openldap")
    def test_a_lookup_that_the_server_cuts_short(self) -> None:
        """Where a limit ends the lookup nobody in it is gone, found or not."""
        with Slapd(ldif=people(3)) as server:
            external_id = ids_of(server)["u00001"]
            asked = [(external_id, f"uid=u00001,{PEOPLE}"), (NOBODY, f"uid=left,{PEOPLE}")]
            with source_for(server, account=NO_PAGING) as source:
                located = source.locate(asked)

        assert {one.whereabouts for one in located.values()} == {Whereabouts.UNREADABLE}
        assert "was not complete" in located[NOBODY].detail

    def test_a_server_that_does_not_answer(self) -> None:
        """A lookup that runs into the time-out leaves everybody where he was."""
        asked = [(str(uuid.UUID(int=number)), "") for number in range(1, IDS_PER_SEARCH + 10)]
        with (
            Slapd(ldif=people(1)) as server,
            source_for(server, read_timeout_seconds=0.3) as source,
            server.paused(),
        ):
            located = source.locate(asked)

        assert len(located) == len(asked)
        assert {one.whereabouts for one in located.values()} == {Whereabouts.UNREADABLE}

    def test_a_server_that_stops_answering_in_the_middle(self) -> None:
        """A lost connection leaves everybody who was not settled before where he was."""
        names = [f"uid=u0000{number},{PEOPLE}" for number in range(3)]
        asked = [(str(uuid.UUID(int=number + 1)), name) for number, name in enumerate(names)]
        with Slapd(ldif=people(3)) as server:
            options = options_for(server, read_timeout_seconds=0.3)
            with Connection.open(options) as connection:
                lookup = Lookup(connection, user_search())
                before = locate(lookup, asked)
                with server.paused():
                    after = locate(lookup, asked)

        assert {one.whereabouts for one in before.values()} == {Whereabouts.GONE}
        assert {one.whereabouts for one in after.values()} == {Whereabouts.UNREADABLE}
        assert "lost the directory" in after[asked[0][0]].detail

    def test_an_id_that_can_be_read_but_not_searched(self) -> None:
        """An entry that still has the very id has not left, though no search finds it."""
        name = f"uid=u00001,{PEOPLE}"
        access = hiding("access to attrs=entryUUID by * =rd")
        with Slapd(ldif=people(3), access=access) as server, source_for(server) as source:
            (external_id,) = [
                entry.values("entryUUID")[0].decode()
                for entry in read(source.users())
                if entry.dn == name
            ]
            located = source.locate([(external_id, name)])[external_id]

        assert located.whereabouts is Whereabouts.UNREADABLE
        assert "does not find it" in located.detail

    def test_a_server_that_is_gone(self) -> None:
        """Without a server nobody is gone."""
        with Slapd(ldif=people(1)) as server, source_for(server) as source:
            server.stop()
            located = source.locate([(NOBODY, "")])

        assert located[NOBODY].whereabouts is Whereabouts.UNREADABLE
        assert "lost the directory" in located[NOBODY].detail

    def test_a_stored_dn_that_is_none(self) -> None:
        """A name that the server cannot make sense of says nothing about the person."""
        with Slapd(ldif=people(1)) as server, source_for(server) as source:
            located = source.locate([(NOBODY, "nobody knows")])[NOBODY]

        assert located.whereabouts is Whereabouts.UNREADABLE

    def test_an_id_that_is_none(self) -> None:
        """A stored id that the UUID attribute cannot have is not looked up and not gone."""
        users = user_search(uuid_attribute="objectGUID")
        with Slapd(ldif=people(1)) as server, source_for(server, users) as source:
            located = source.locate([("not-a-guid", f"uid=u00000,{PEOPLE}")])["not-a-guid"]

        assert located.whereabouts is Whereabouts.UNREADABLE

    def test_everybody_s_id_became_unreadable(self) -> None:
        """When most who are looked at one by one are still there, so may be the others."""
        count = CHECKED_ONE_BY_ONE + 20
        access = hiding("access to attrs=entryUUID by * none")
        asked = [
            (str(uuid.UUID(int=number + 1)), f"uid=u{number:05},{PEOPLE}")
            for number in range(count)
        ]
        with Slapd(ldif=people(count), access=access) as server, source_for(server) as source:
            located = source.locate(asked)

        assert {one.whereabouts for one in located.values()} == {Whereabouts.UNREADABLE}
        assert len(located) == count


def test_a_mass_leaving_is_not_checked_one_by_one(slapd: Slapd) -> None:
    """Beyond some hundreds who are nowhere, the answer says that it rests on the id alone."""
    count = CHECKED_ONE_BY_ONE + 20
    asked = [
        (str(uuid.UUID(int=number + 1)), f"uid=left{number},{PEOPLE}") for number in range(count)
    ]
    with source_for(slapd, LISTED) as source:
        located = source.locate(asked)

    assert {one.whereabouts for one in located.values()} == {Whereabouts.GONE}
    assert sum("not checked one by one" in one.detail for one in located.values()) == 20


def test_an_account_that_may_only_read_the_users_dn_still_tells_who_left() -> None:
    """A naming context that the account may not search does not make everybody unreadable."""
    access = f"""
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="{PEOPLE}" by dn.exact="{READER.dn}" read by * none
access to * by anonymous auth by * none
"""
    with Slapd(ldif=people(2), access=access) as server, source_for(server) as source:
        assert len(read(source.users())) == 2
        located = source.locate([(NOBODY, f"uid=left,{PEOPLE}")])[NOBODY]

    assert located.whereabouts is Whereabouts.GONE


def test_binary_ids_are_looked_up_by_their_bytes() -> None:
    """An objectGUID finds its entry in whatever bytes it has, parentheses and stars included."""
    guid = uuid.UUID("2a28295c-0001-4200-8000-00ff2a28295c")
    schema = (
        "attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID' EQUALITY octetStringMatch "
        "SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )\n"
        "objectclass ( 1.3.6.1.4.1.4203.666.100.1 NAME 'guidPerson' SUP top AUXILIARY "
        "MAY objectGUID )"
    )
    users = user_search(
        filter="(objectClass=guidPerson)",
        uuid_attribute="objectGUID",
        attributes=("objectGUID", "uid"),
    )
    with Slapd(options=schema) as server:
        server.add(
            f"uid=anna,{PEOPLE}",
            objectClass=["inetOrgPerson", "guidPerson"],
            uid="anna",
            cn="Anna",
            sn="Anna",
            objectGUID=guid.bytes_le,
        )
        with source_for(server, users) as source:
            located = source.locate([(str(guid), ""), (NOBODY, f"uid=anna,{PEOPLE}")])

    assert located[str(guid)].whereabouts is Whereabouts.PRESENT
    assert located[NOBODY].whereabouts is Whereabouts.GONE


class TestWhyAbsent:
    """The directory's part of the closed list of reasons that ``explain`` knows."""

    @pytest.mark.parametrize(
        ("users", "who", "expected"),
        [
            (LISTED, "nobody", (AbsenceReason.NO_ENTRY, None, None)),
            (LISTED, "moved", (AbsenceReason.OUT_OF_BASE, f"uid=moved,{ELSEWHERE}", None)),
            (ONE_LEVEL, "deep", (AbsenceReason.OUT_OF_BASE, f"uid=deep,{TEAM}", None)),
            (
                LISTED,
                "RETIRED",
                (AbsenceReason.FILTERED, f"uid=retired,{PEOPLE}", "(employeeType=active)"),
            ),
        ],
    )
    def test_it_says_why_nobody_is_listed(
        self,
        slapd: Slapd,
        users: UserSearch,
        who: str,
        expected: tuple[AbsenceReason, str | None, str | None],
    ) -> None:
        """A username without a listed entry has a reason, and the place or clause it is due to."""
        with source_for(slapd, users) as source:
            absence = source.find_anywhere(who, None, None)

        assert isinstance(absence, Absence)
        assert (absence.reason, absence.dn, absence.clause) == expected

    def test_it_returns_who_is_listed(self, slapd: Slapd) -> None:
        """Somebody who is there after all comes back as his entry."""
        with source_for(slapd, LISTED) as source:
            assert source.find_anywhere("here", None, None) == source.find("here")

    def test_it_finds_by_id_who_was_renamed(self, slapd: Slapd) -> None:
        """A person whose username changed is found by the id that did not."""
        external_id = ids_of(slapd)["here"]
        with source_for(slapd, LISTED) as source:
            found = source.find_anywhere("old-name", f"uid=old-name,{PEOPLE}", external_id)

            assert found == source.find("here")

    def test_a_username_that_can_be_read_but_not_searched_is_unreadable(self) -> None:
        """An entry that is called so has not left, though no search finds it."""
        name = f"uid=u00001,{PEOPLE}"
        access = hiding("access to attrs=uid by * =rd")
        with Slapd(ldif=people(3), access=access) as server, source_for(server) as source:
            known = source.find_anywhere("U00001", name, None)
            other = source.find_anywhere("somebody", name, None)

        assert isinstance(known, Absence)
        assert isinstance(other, Absence)
        assert (known.reason, other.reason) == (AbsenceReason.UNREADABLE, AbsenceReason.NO_ENTRY)

    @pytest.mark.parametrize("hidden", ["entryUUID", "uid"])
    def test_an_entry_that_cannot_be_read_is_unreadable(self, hidden: str) -> None:
        """An entry that the account sees only in part is not absent."""
        name = f"uid=u00001,{PEOPLE}"
        access = hiding(
            f'access to dn.exact="{name}" attrs={hidden} by * none\n'
            f'access to dn.exact="{name}" attrs=uid by * read'
        )
        users = user_search(filter="(&(objectClass=inetOrgPerson)(entryUUID=*)(uid=*))")
        with Slapd(ldif=people(3), access=access) as server, source_for(server, users) as source:
            absence = source.find_anywhere("u00001", name, None)

        assert isinstance(absence, Absence)
        assert (absence.reason, hidden in absence.detail) == (AbsenceReason.UNREADABLE, True)

    def test_an_answer_that_was_cut_short_is_unreadable(self) -> None:
        """A lookup that the server refused to finish says nothing about the person."""
        with Slapd(ldif=people(1)) as server, source_for(server, account=NO_PAGING) as source:
            absence = source.find_anywhere("nobody", None, None)

        assert isinstance(absence, Absence)
        assert absence.reason is AbsenceReason.UNREADABLE

    def test_a_server_that_is_gone_is_an_error(self) -> None:
        """Whoever asks about one person is told that the directory is not there."""
        with Slapd() as server, source_for(server) as source:
            server.stop()
            with pytest.raises(DirectoryUnavailable):
                source.find_anywhere("nobody", None, None)
