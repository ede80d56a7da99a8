"""Changes by DirSync, from a real domain controller; what it shares is in test_changes_usn."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from syncd.errors import ChangesUnavailable, UsageError
from syncd.ldap.changes import dirsync
from tests.integration.ldap.domains import Place
from tests.integration.ldap.sources import read, source_for, user_search
from tests.servers.samba import READER, READER_PASSWORD, SUFFIX
from tests.servers.slapd import Slapd, people

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syncd.records import Watermark
    from tests.servers.samba import SambaAD

KIND = "dirsync"
AS_READER = (READER, READER_PASSWORD)


@pytest.fixture
def slapd_alone() -> Iterator[Slapd]:
    """A directory that is no Active Directory."""
    with Slapd(ldif=people(1)) as server:
        yield server


def with_cookie(watermark: Watermark, cookie: bytes | None) -> Watermark:
    """Return the watermark with another cookie, or with none."""
    value = json.loads(watermark.value)
    coded = None if cookie is None else b64encode(cookie).decode()
    value["cookies"] = {} if coded is None else dict.fromkeys(value["cookies"], coded)
    return replace(watermark, value=json.dumps(value))


@pytest.mark.rule("2.5.1", server="samba")
def test_an_ordinary_account_reads_the_whole_domain_and_lists_its_part(samba: SambaAD) -> None:
    """The right to replicate is not needed; what changed elsewhere in the domain is not sent."""
    place, other = Place(samba, "a"), Place(samba, "b")
    with place.source(account=AS_READER, change_detection=KIND) as source:
        since = source.watermark()
        assert list(json.loads(since.value)["cookies"]) == [SUFFIX.lower()]
        samba.modify(other.dn("b"), {"sn": ["Changed"]})
        samba.modify(place.dn("a"), {"sn": ["Changed"]})
        changes = source.changes(since)
        entries = read(changes.users())
        assert [entry.values("sAMAccountName") for entry in entries] == [[place.name("a").encode()]]
        assert other.guid(other.dn("b")) in changes.signals("users").deleted


@pytest.mark.rule("2.5.3", server="samba")
def test_a_changed_entry_is_read_whole(samba: SambaAD) -> None:
    """Of one changed attribute DirSync tells that attribute; the mappers need all of them."""
    place = Place(samba, "a")
    with place.source(change_detection=KIND) as source:
        since = source.watermark()
        samba.modify(place.dn("a"), {"mail": ["new@example.test"]})
        entry = read(source.changes(since).users())[0]
        assert entry.values("mail") == [b"new@example.test"]
        assert entry.values("sn") == [place.name("a").capitalize().encode()]


@pytest.mark.rule("2.5.4", server="samba")
def test_only_the_changed_members_of_a_group_are_told_and_all_are_read(samba: SambaAD) -> None:
    """Long lists of members are not sent for each change, and yet the group comes whole."""
    place = Place(samba, *"abc")
    staff = place.group("staff", "a", "b")
    with place.source(change_detection=KIND) as source:
        since = source.watermark()
        samba.join(staff, place.dn("c"))
        samba.leave(staff, place.dn("a"))
        changes = source.changes(since)
        assert read(changes.users()) == []
        entry = read(changes.containers("import roles"))[0]
        members = {value.decode() for value in entry.values("member")}
        assert members == {place.dn("b"), place.dn("c")}


@pytest.mark.rule("2.5.2", server="samba")
def test_the_same_cookie_brings_the_same_again(samba: SambaAD) -> None:
    """A run that did not come to its end asks again from where the last one stood."""
    place = Place(samba, "a", "b")
    with place.source(change_detection=KIND) as source:
        since = source.watermark()
        samba.modify(place.dn("a"), {"sn": ["Changed"]})
        assert place.changed(source, since).people == ["a"]
        samba.modify(place.dn("b"), {"sn": ["Changed"]})
        assert place.changed(source, since).people == ["a", "b"]


@pytest.mark.parametrize(
    ("cookie", "reason"), [(b"nonsense", "cookie_refused"), (None, "no_watermark")]
)
def test_a_cookie_that_is_none_needs_a_full_sync(
    samba: SambaAD, cookie: bytes | None, reason: str
) -> None:
    """What the server does not take, or never gave, says nothing of what changed."""
    place = Place(samba, "a")
    with (
        place.source(change_detection=KIND) as source,
        pytest.raises(ChangesUnavailable) as raised,
    ):
        source.changes(with_cookie(source.watermark(), cookie))
    assert raised.value.reason == reason


@pytest.mark.rule("2.5.3", server="samba")
def test_many_changes_are_read_in_parts(samba: SambaAD, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ids of what changed are asked for some at a time, and too many are for a full sync."""
    monkeypatch.setattr(dirsync, "IDS_PER_SEARCH", 2)
    place = Place(samba, *"abcde")
    with place.source(change_detection=KIND) as source:
        since = source.watermark()
        for name in "abcde":
            samba.modify(place.dn(name), {"sn": ["Changed"]})
        assert place.changed(source, since).people == list("abcde")
        monkeypatch.setattr(dirsync, "MOST_CHANGED", 4)
        with pytest.raises(ChangesUnavailable) as raised:
            source.changes(since)
        assert raised.value.reason == "too_many_changed"


def test_a_server_without_the_control_is_refused(slapd_alone: Slapd) -> None:
    """The sentence says what is missing, before anything is asked."""
    users = user_search(uuid_attribute="objectGUID")
    with (
        source_for(slapd_alone, users, change_detection=KIND) as source,
        pytest.raises(UsageError, match="does not offer the DirSync control"),
    ):
        source.detection()
    with (
        source_for(slapd_alone, users, change_detection="usn_changed") as source,
        pytest.raises(UsageError, match="does not say which domain controller it is"),
    ):
        source.detection()
