"""Changes on a real 389 Directory Server: by its retro changelog, or content synchronization."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import ldap3
import pytest

from syncd.errors import ChangesUnavailable, UsageError
from syncd.ldap.changes import retro_changelog
from syncd.ldap.changes.changelog import Position
from syncd.ldap.changes.standing import Standing
from syncd.records import Verdict
from tests.integration.ldap.changing import changed
from tests.integration.ldap.sources import role, unit
from tests.integration.ldap.sources_389 import ids_of, source_for, uid, user_search
from tests.servers.ds389 import CHANGELOG, DS389, ELSEWHERE, LIMITED
from tests.servers.slapd import PEOPLE, ROLES, SUFFIX, people, person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from syncd.ldap.source import LdapSource
    from syncd.records import Watermark

NORTH = f"ou=north,{PEOPLE}"
CONTENT = (
    people(9)
    + person("outsider", container=ELSEWHERE)
    + unit("north", PEOPLE)
    + person("northerner", container=NORTH)
    + role("readers", [uid("u00000")])
    + role("writers", [uid("u00001")])
    + role("doomed", [uid("u00002")])
)
LOG, SYNC = KINDS = ("retro_changelog", "syncrepl")


@pytest.fixture(scope="module")
def shared(ds389_template: Path) -> Iterator[DS389]:
    """A server whose changelog the accounts may read; each test makes its own people."""
    with DS389(ds389_template, ldif=CONTENT) as server:
        server.allow_changelog()
        yield server


@pytest.fixture
def own(ds389_template: Path) -> Iterator[DS389]:
    """A server of this test's own, whose changelog the accounts may read."""
    with DS389(ds389_template, ldif=CONTENT) as server:
        server.allow_changelog()
        yield server


def refused(source: LdapSource, since: Watermark) -> str:
    """Return why changes cannot be told."""
    with pytest.raises(ChangesUnavailable) as raised:
        changed(source, since)
    return raised.value.reason


def bent(watermark: Watermark, change: Callable[[str], str]) -> Watermark:
    """Return the watermark with other cookies."""
    standing = Standing.read(watermark.value)
    found = {key: change(cookie) for key, cookie in standing.cookies.items()}
    return replace(watermark, value=Standing(found, standing.empty).text)


def moved_back(watermark: Watermark, number: int) -> Watermark:
    """Return the watermark as it would have been at an earlier number."""
    if watermark.kind == LOG:
        position = Position.read(watermark.value)
        return replace(watermark, value=position._replace(number=number).text)
    return bent(watermark, lambda cookie: f"{cookie.rpartition('#')[0]}#{number}")


@pytest.mark.rule("2.8.1", server="389ds")
@pytest.mark.rule("2.8.5", server="389ds")
@pytest.mark.rule("2.8.7", server="389ds")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_change_is_told(own: DS389, kind: str) -> None:
    """Who is new, changed, renamed or moved in is sent whole; who left is named."""
    with source_for(own, change_detection=kind) as source:
        before = ids_of(source)
        since = source.watermark()
        own.modify(uid("u00001"), {"sn": ["Changed"]})
        own.add(uid("new"), objectClass="inetOrgPerson", uid="new", cn="New", sn="New")
        own.rename(uid("u00002"), "uid=renamed")
        own.rename(uid("outsider", ELSEWHERE), "uid=outsider", superior=PEOPLE)
        own.rename(uid("northerner", NORTH), "uid=northerner", superior=PEOPLE)
        own.delete(uid("u00003"))
        own.rename(uid("u00004"), "uid=u00004", superior=ELSEWHERE)
        own.modify(uid("u00005"), {"employeeType": ["former"]})
        own.modify(f"cn=readers,{ROLES}", {"member": [uid("u00006")]})
        own.delete(f"cn=doomed,{ROLES}")

        seen = changed(source, since)

        left = {before[name] for name in ("u00003", "u00004", "u00005")}
        # The directory wrote the membership on u00000 and u00006, too.
        assert seen.people == [
            "new", "northerner", "outsider", "renamed", "u00000", "u00001", "u00006"
        ]  # fmt: skip
        assert seen.roles == ["readers"]
        assert left <= set(seen.signals.deleted)
        stayed = {before[name] for name in ("u00007", "u00008")}
        assert not stayed & set(seen.signals.deleted)
        assert seen.signals.present is None
        assert [each.verdict for each in seen.outcomes] == [Verdict.COMPLETE] * 2
        # They have come back with the same ids.
        own.rename(uid("u00004", ELSEWHERE), "uid=u00004", superior=PEOPLE)
        own.modify(uid("u00005"), {"employeeType": []})
        back = changed(source, seen.watermark)
        assert back.people == ["u00004", "u00005"]
        assert {before["u00004"], before["u00005"]} <= set(ids_of(source).values())


@pytest.mark.rule("2.8.1", server="389ds")
@pytest.mark.parametrize("kind", KINDS)
def test_an_unchanged_poll_tells_nothing(shared: DS389, kind: str) -> None:
    """Though 389 says that whoever was not named is gone, nobody is."""
    with source_for(shared, change_detection=kind) as source:
        seen = changed(source, source.watermark())
        assert (seen.people, seen.roles) == ([], [])
        assert (seen.signals.deleted, seen.signals.present) == ((), None)
        assert seen.watermark == changed(source, seen.watermark).watermark


@pytest.mark.rule("2.8.4", server="389ds")
@pytest.mark.parametrize("kind", KINDS)
def test_entries_are_told_by_the_id_that_people_have(shared: DS389, kind: str) -> None:
    """The ids of changed and deleted entries are nsUniqueIds, and entries come as listed."""
    shared.add(uid(f"id-{kind}"), objectClass="inetOrgPerson", uid=f"id-{kind}", cn="I", sn="I")
    with source_for(shared, change_detection=kind) as source:
        expected = ids_of(source)[f"id-{kind}"]
        since = source.watermark()
        shared.modify(uid(f"id-{kind}"), {"sn": ["Other"]})
        entries = [raw for page in source.changes(since).users() for raw in page]
        listed = [raw for page in source.users() for raw in page]
        assert entries
        assert set(entries) <= set(listed)
        shared.delete(uid(f"id-{kind}"))
        assert changed(source, since).signals.deleted == (expected,)


@pytest.mark.rule("2.1.1", server="389ds")
@pytest.mark.parametrize("kind", KINDS)
def test_a_change_during_a_full_listing_is_told_next(shared: DS389, kind: str) -> None:
    """The first watermark is how far the directory was before the listing began."""
    with source_for(shared, change_detection=kind) as source:
        since = source.watermark()
        for _ in source.users():
            shared.modify(uid("u00008"), {"sn": [f"During {kind}"]})
        assert "u00008" in changed(source, since).people


@pytest.mark.rule("2.3.3", server="389ds")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("superior", [None, ELSEWHERE], ids=["renamed", "moved out"])
def test_a_renamed_unit_needs_a_full_sync(own: DS389, kind: str, superior: str | None) -> None:
    """Nothing is told of those below it, so that everybody has to be looked at."""
    with source_for(own, change_detection=kind) as source:
        since = source.watermark()
        own.rename(NORTH, "ou=norden", superior=superior)
        assert refused(source, since) == "renamed_unit"
        moved = source.watermark()
        assert changed(source, moved).people == []


@pytest.mark.rule("2.8.5", server="389ds")
def test_a_unit_that_was_renamed_emptied_and_deleted_needs_a_full_sync(own: DS389) -> None:
    """Its people were deleted under a name that is not below the users DN."""
    with source_for(own, change_detection=LOG) as source:
        since = source.watermark()
        own.rename(NORTH, "ou=norden", superior=ELSEWHERE)
        own.delete(uid("northerner", f"ou=norden,{ELSEWHERE}"), f"ou=norden,{ELSEWHERE}")
        assert refused(source, since) == "renamed_unit"


@pytest.mark.rule("2.8.2", server="389ds")
@pytest.mark.parametrize("kind", KINDS)
def test_a_trimmed_changelog_needs_a_full_sync(own: DS389, kind: str) -> None:
    """The server would answer an old cookie as if nothing had been trimmed; here that is seen."""
    with source_for(own, change_detection=kind) as source:
        since = source.watermark()
    for number in range(6):
        own.modify(uid(f"u0000{number}"), {"sn": ["Changed"]})
    own.configure(
        {
            "cn=retro changelog plugin,": {
                "nsslapd-changelogmaxage": "1s",
                "nsslapd-changelog-trim-interval": "1s",
            }
        }
    )
    own.wait_for_trimming()
    with source_for(own, change_detection=kind) as source:
        assert refused(source, since) == "history_gap"
        now = source.watermark()
        own.modify(uid("u00000"), {"sn": ["Again"]})
        assert changed(source, now).people == ["u00000"]


@pytest.mark.rule("2.8.5", server="389ds")
def test_a_hole_in_the_changelog_needs_a_full_sync(own: DS389) -> None:
    """A number is missing, so what stood under it is not known."""
    with source_for(own, change_detection=LOG) as source:
        since = source.watermark()
        for name in ("u00001", "u00002", "u00003"):
            own.modify(uid(name), {"sn": ["Changed"]})
        own.delete(f"changenumber={own.numbers()[-2]},{CHANGELOG}")
        assert refused(source, since) == "history_gap"


@pytest.mark.rule("2.8.5", server="389ds")
def test_a_changelog_that_is_too_long_needs_a_full_sync(
    own: DS389, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything may have been changed several times; reading everybody once costs less."""
    monkeypatch.setattr(retro_changelog, "MOST_READ", 2)
    with source_for(own, change_detection=LOG) as source:
        since = source.watermark()
        for value in ("one", "two"):
            own.modify(uid("u00001"), {"sn": [value]})
        assert changed(source, since).people == ["u00001"]
        own.modify(uid("u00001"), {"sn": ["three"]})
        assert refused(source, since) == "too_many_changed"


@pytest.mark.rule("2.8.5", server="389ds")
def test_a_changelog_that_was_made_anew_needs_a_full_sync(own: DS389) -> None:
    """Its numbers begin again: it ends before the stored one, or has another change there."""
    with source_for(own, change_detection=LOG) as source:
        own.modify(uid("u00001"), {"sn": ["Changed"]})
        since = source.watermark()
    last = own.numbers()[-1]
    own.trim(last + 1)
    own.stop()
    own.start()
    with source_for(own) as source:
        own.modify(uid("u00001"), {"sn": ["Once"]})
        assert own.numbers() == [1]
        assert refused(source, since) == "clock_backwards"
        for number in range(last):
            own.modify(uid("u00001"), {"sn": [f"Again {number}"]})
        assert refused(source, since) == "history_gap"


@pytest.mark.rule("2.1.3", server="389ds")
@pytest.mark.rule("2.8.2", server="389ds")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _: "nonsense", "cookie_refused"),
        (lambda cookie: cookie.rpartition("#")[0] + "#99999", "clock_backwards"),
        (lambda cookie: "elsewhere:389#" + cookie.partition("#")[2], "other_server"),
        (lambda cookie: cookie.replace("cn=reader", "cn=other"), "cookie_refused"),
        (lambda cookie: cookie.replace("ou=", "cn="), "cookie_refused"),
    ],
    ids=["nonsense", "ahead", "other server", "other account", "other base"],
)
def test_a_bent_cookie_needs_a_full_sync(
    shared: DS389, change: Callable[[str], str], reason: str
) -> None:
    """A cookie is checked before it is sent: server, account, base and number."""
    with source_for(shared, change_detection=SYNC) as source:
        since = source.watermark()
        assert changed(source, since).people == []
        assert refused(source, bent(since, change)) == reason


@pytest.mark.rule("2.8.5", server="389ds")
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("nonsense", "cookie_refused"),
        ('{"number":"7"}', "cookie_refused"),
        (None, "other_server"),
    ],
    ids=["nonsense", "no number", "other server"],
)
def test_a_bent_position_needs_a_full_sync(shared: DS389, value: str | None, reason: str) -> None:
    """A place in a changelog is one server's."""
    with source_for(shared, change_detection=LOG) as source:
        since = source.watermark()
        if value is None:
            value = json.dumps(json.loads(since.value) | {"server": "cn=ldap://dc=other:389"})
        assert refused(source, replace(since, value=value)) == reason


@pytest.mark.rule("2.2.7", server="389ds")
def test_auto_takes_what_the_account_may_read(own: DS389) -> None:
    """The changelog where it may be read, else content synchronization, else times."""
    with source_for(own) as source:
        detection = source.detection()
        assert (detection.kind, "retro changelog" in detection.because) == (LOG, True)
        since = source.watermark()
    own.allow_changelog(None)
    with source_for(own) as source:
        assert source.detection().kind == SYNC
        assert refused(source, since) == "detection"
    with source_for(own, change_detection=LOG) as source, pytest.raises(UsageError) as raised:
        source.detection()
    assert '(targetattr!="changes")' in str(raised.value)
    by_other_id = user_search(uuid_attribute="entryUUID", attributes=("entryUUID", "uid"))
    with source_for(own, by_other_id) as source:
        detection = source.detection()
        assert detection.kind == "modify_timestamp"
        assert "uuid_ldap_attribute: nsUniqueId" in detection.because


@pytest.mark.rule("2.8.2", server="389ds")
def test_a_changelog_that_leaves_people_out_is_not_used(own: DS389) -> None:
    """FreeIPA logs DNS alone: somebody was modified and the changelog says nothing of him."""
    # As if the newest changes were of other entries, from an hour before to an hour after.
    own.configure(
        {"cn=retro changelog plugin,": {"nsslapd-include-suffix": f"ou=policies,{SUFFIX}"}}
    )
    own.add(f"ou=policies,{SUFFIX}", objectClass="organizationalUnit", ou="policies")
    last = own.numbers()[-1]
    with own.admin() as admin:
        for number in own.numbers()[:-2]:
            admin.delete(f"changenumber={number},{CHANGELOG}")
        for number, moment in ((last - 1, "20200101000000Z"), (last, "20990101000000Z")):
            dn = f"changenumber={number},{CHANGELOG}"
            values = {"changeTime": moment, "targetDn": f"ou=policies,{SUFFIX}"}
            admin.modify(
                dn, {name: [(ldap3.MODIFY_REPLACE, [value])] for name, value in values.items()}
            )
    with source_for(own) as source:
        detection = source.detection()
        assert detection.kind != LOG
        assert "nsslapd-include-suffix" in source_because(own)


def source_because(server: DS389) -> str:
    """Return why the changelog cannot be used."""
    with source_for(server, change_detection=LOG) as source, pytest.raises(UsageError) as raised:
        source.detection()
    return str(raised.value)


@pytest.mark.rule("2.9.2", server="389ds")
def test_times_are_the_servers_own(shared: DS389) -> None:
    """389 tells its time in cn=monitor, so changes by time work without an overlay."""
    with source_for(shared, change_detection="modify_timestamp") as source:
        since = source.watermark()
        assert since.value.endswith("Z")
        shared.modify(uid("u00007"), {"sn": ["By time"]})
        assert "u00007" in changed(source, since).people


@pytest.mark.rule("2.2.4", server="389ds")
@pytest.mark.parametrize("kind", KINDS)
def test_an_account_with_limits_reads_many_changes(own: DS389, kind: str) -> None:
    """More changes than one search may bring are read in pages."""
    with source_for(own, account=LIMITED, change_detection=kind) as source:
        since = source.watermark()
        own.load("".join(person(f"many{number:04}") for number in range(501)))
        seen = changed(source, since)
        assert len(seen.people) == 501
        assert [each.verdict for each in seen.outcomes] == [Verdict.COMPLETE] * 2
