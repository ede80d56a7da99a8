"""Changes by update sequence numbers, from a real domain controller; much holds for DirSync too."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from syncd.errors import ChangesUnavailable, DirectoryUnavailable, UsageError
from syncd.ldap.changes.active_directory import controller_name
from syncd.records import Scope, Signals, Verdict
from tests.integration.ldap.domains import Place
from tests.integration.ldap.sources import read
from tests.servers.samba import READER, READER_PASSWORD, SambaAD

if TYPE_CHECKING:
    from pathlib import Path

    from syncd.ldap.source import LdapSource
    from syncd.records import Watermark

KIND = "usn_changed"
BOTH = pytest.mark.parametrize("kind", [KIND, "dirsync"])
SERVICE = "CN=Directory Service,CN=Windows NT,CN=Services,CN=Configuration,DC=example,DC=test"
AS_READER = (READER, READER_PASSWORD)


def refused(place: Place, source: LdapSource, since: Watermark) -> str:
    """Return why changes cannot be told."""
    with pytest.raises(ChangesUnavailable) as raised:
        place.changed(source, since)
    return raised.value.reason


def bent(watermark: Watermark, **values: Any) -> Watermark:
    """Return the watermark with other values."""
    return replace(watermark, value=json.dumps(json.loads(watermark.value) | values))


@BOTH
@pytest.mark.rule("2.3.2", server="samba")
@pytest.mark.rule("2.3.3", server="samba")
@pytest.mark.rule("2.3.4", server="samba")
@pytest.mark.rule("2.4.1", server="samba")
@pytest.mark.rule("2.4.2", server="samba")
@pytest.mark.rule("2.5.3", server="samba")
def test_every_kind_of_change_is_told(samba: SambaAD, kind: str) -> None:
    """Who is new, changed, renamed or moved in is sent; whoever may have left is a hint."""
    place = Place(samba, *"abcdefgh")
    place.join("outsider", container=place.elsewhere)
    readers = place.group("readers", "a", "b")
    doomed = place.group("doomed", "a")
    lost = place.group("lost", "a")
    names = {name: place.guid(place.dn(name)) for name in "abcdefgh"}
    gone_groups = {place.guid(doomed), place.guid(lost)}
    with place.source(change_detection=kind, page_size=2) as source:
        since = source.watermark()
        samba.modify(place.dn("a"), {"sn": ["Changed"]})
        place.join("new")
        samba.rename(place.dn("b"), f"CN={place.name('renamed')}")
        samba.rename(
            place.dn("outsider", place.elsewhere),
            f"CN={place.name('outsider')}",
            superior=place.people,
        )
        samba.delete(place.dn("c"))
        samba.rename(place.dn("d"), f"CN={place.name('d')}", superior=place.elsewhere)
        samba.modify(place.dn("e"), {"employeeType": ["former"]})
        samba.join(readers, place.dn("f"))
        samba.delete(doomed)
        samba.rename(lost, f"CN={place.name('lost')}", superior=place.elsewhere)

        seen = place.changed(source, since)

        assert seen.people == ["a", "b", "new", "outsider"]
        assert seen.roles == ["readers"]
        assert [each.verdict for each in seen.outcomes] == [Verdict.COMPLETE] * 2
        assert {names[name] for name in "cde"} <= set(seen.signals.deleted)
        assert not {names[name] for name in "fgh"} & set(seen.signals.deleted)
        assert gone_groups <= set(seen.role_signals.deleted)
        assert seen.signals.present is None
        again = place.changed(source, seen.watermark)
        assert (again.people, again.roles) == ([], [])
        assert (again.signals, again.role_signals) == (Signals(), Signals())
        assert (seen.watermark.kind, seen.watermark.ground) == (kind, source.ground())


@pytest.mark.rule("2.4.3", server="samba")
@pytest.mark.rule("2.4.1", server="samba")
def test_the_recycle_bin_keeps_nobody_alive(samba_template: Path) -> None:
    """Deleted people keep their attributes there, and are a hint like any other deleted entry."""
    with SambaAD(samba_template, recycle_bin=True) as ad:
        for kind in (KIND, "dirsync"):
            place = Place(ad, "a", "b")
            guid = place.guid(place.dn("a"))
            with place.source(change_detection=kind) as source:
                since = source.watermark()
                ad.delete(place.dn("a"))
                seen = place.changed(source, since)
                assert seen.people == []
                assert guid in seen.signals.deleted
                listed = [entry.values("sAMAccountName")[0] for entry in read(source.users())]
                assert listed == [place.name("b").encode()]


@BOTH
@pytest.mark.rule("2.4.4", server="samba")
def test_an_undeleted_person_has_the_same_id(samba: SambaAD, kind: str) -> None:
    """Whoever comes back from among the deleted is sent as who he was."""
    place = Place(samba, "a", "b")
    guid = place.guid(place.dn("a"))
    with place.source(change_detection=kind) as source:
        since = source.watermark()
        samba.delete(place.dn("a"))
        seen = place.changed(source, since)
        assert (seen.people, guid in seen.signals.deleted) == ([], True)
        samba.undelete(place.dn("a"))
        samba.modify(place.dn("a"), {"sAMAccountName": [place.name("a")]})
        back = place.changed(source, seen.watermark)
        assert back.people == ["a"]
        assert place.guid(place.dn("a")) == guid


@BOTH
@pytest.mark.rule("2.4.1", server="samba")
def test_an_account_that_may_not_see_the_deleted_is_told_so(samba: SambaAD, kind: str) -> None:
    """Deletions are for full syncs to find then; all else is told."""
    place = Place(samba, *"abc")
    names = {name: place.guid(place.dn(name)) for name in "abc"}
    with place.source(account=AS_READER, change_detection=kind) as source:
        assert "only full syncs see who was deleted" in source.detection().because
        assert "CN=Deleted Objects,DC=example,DC=test" in source.detection().because
        since = source.watermark()
        samba.delete(place.dn("a"))
        samba.rename(place.dn("b"), f"CN={place.name('b')}", superior=place.elsewhere)
        samba.modify(place.dn("c"), {"sn": ["Changed"]})
        seen = place.changed(source, since)
        assert seen.people == ["c"]
        assert names["a"] not in seen.signals.deleted
        assert names["b"] in seen.signals.deleted


@pytest.mark.rule("2.1.5", server="samba")
@pytest.mark.rule("2.3.2", server="samba")
def test_a_range_ends_where_it_was_said_to_end(samba: SambaAD) -> None:
    """The last number that was seen is not read again, the next one is, and none beyond the end."""
    place = Place(samba, *"abc")
    with place.source() as source:
        samba.modify(place.dn("a"), {"sn": ["Before"]})
        since = source.watermark()
        last = int(samba.read(place.dn("a"), "uSNChanged")["uSNChanged"][0])
        assert json.loads(since.value)["highest"] == last
        samba.modify(place.dn("b"), {"sn": ["Next"]})
        changes = source.changes(since)
        samba.modify(place.dn("c"), {"sn": ["Later"]})
        assert [entry.values("sn") for entry in read(changes.users())] == [[b"Next"]]
        assert json.loads(changes.watermark.value)["highest"] == last + 1
        assert place.changed(source, changes.watermark).people == ["c"]


@pytest.mark.rule("2.1.1", server="samba")
def test_a_change_during_a_full_listing_is_told_next(samba: SambaAD) -> None:
    """The number of a watermark is read before the listing begins."""
    place = Place(samba, *"abc")
    with place.source(page_size=1) as source:
        since = source.watermark()
        for page in source.users():
            assert page
            samba.modify(place.dn("b"), {"sn": ["During"]})
        assert place.changed(source, since).people == ["b"]


@pytest.mark.rule("2.1.3", server="samba")
@pytest.mark.rule("2.3.1", server="samba")
@pytest.mark.rule("2.4.4", server="samba")
@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"controller": "cn=ntds settings,cn=dc2"}, "ground"),
        ({"invocation": "00" * 16}, "ground"),
        ({"highest": 2**40}, "clock_backwards"),
        ({"time": "20240101000000Z"}, "history_gap"),
        ({"time": "soon"}, "no_clock"),
        ({"units": "AAAA"}, "cookie_refused"),
        ({"highest": "7"}, "cookie_refused"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)
def test_a_watermark_that_does_not_fit_needs_a_full_sync(
    samba: SambaAD, values: dict[str, Any], reason: str
) -> None:
    """Another or restored domain controller, or deletions that it may have forgotten."""
    place = Place(samba, "a")
    with place.source() as source:
        assert refused(place, source, bent(source.watermark(), **values)) == reason


@BOTH
@pytest.mark.rule("2.4.4", server="samba")
def test_deletions_are_remembered_as_long_as_the_forest_says(samba: SambaAD, kind: str) -> None:
    """The shorter of two lifetimes counts, and what is unset counts as sixty days."""
    place = Place(samba, "a")
    with place.source(change_detection=kind) as source:
        now = source.watermark()
        moment = json.loads(now.value)["time"]
        year_ago = bent(now, time=f"{int(moment[:4]) - 1}{moment[4:]}")
        # What Samba makes of a new domain: 180 days.
        assert refused(place, source, year_ago) == "history_gap"
        try:
            samba.modify(SERVICE, {"tombstoneLifetime": ["800"]})
            assert place.changed(source, year_ago).people == []
            samba.modify(SERVICE, {"msDS-deletedObjectLifetime": ["9"]})
            assert refused(place, source, year_ago) == "history_gap"
            samba.modify(SERVICE, {"tombstoneLifetime": [], "msDS-deletedObjectLifetime": []})
            assert refused(place, source, year_ago) == "history_gap"
        finally:
            samba.modify(SERVICE, {"tombstoneLifetime": ["180"], "msDS-deletedObjectLifetime": []})


@BOTH
@pytest.mark.rule("2.3.3", server="samba")
@pytest.mark.parametrize("what", ["renamed", "moved out", "moved in", "replaced", "above"])
def test_who_moves_with_a_unit_needs_a_full_sync(samba: SambaAD, kind: str, what: str) -> None:
    """Nobody below a renamed or moved unit is told of; the unit itself is."""
    place = Place(samba, "a")
    place.join("b", container=place.east)
    west = f"OU=west,{place.elsewhere}"
    place.units(west)
    with place.source(change_detection=kind) as source:
        since = source.watermark()
        if what == "renamed":
            samba.rename(place.east, "OU=far east")
        elif what == "moved out":
            samba.rename(place.east, "OU=east", superior=place.elsewhere)
        elif what == "moved in":
            samba.rename(west, "OU=west", superior=place.people)
        elif what == "replaced":
            samba.rename(place.people, "OU=old", superior=place.top)
            place.units(place.people)
        else:
            samba.rename(place.top, f"OU={place.name('moved')}")
        assert refused(place, source, since) == "renamed_unit"


@BOTH
@pytest.mark.rule("2.3.3", server="samba")
def test_a_unit_that_stays_where_it_is_is_no_matter(samba: SambaAD, kind: str) -> None:
    """A changed, a new and a foreign unit leave the changes what they are, and are known then."""
    place = Place(samba, "a")
    place.join("b", container=place.east)
    south, foreign = f"OU=south,{place.people}", f"OU=foreign,{place.elsewhere}"
    place.units(foreign)
    with place.source(change_detection=kind) as source:
        since = source.watermark()
        samba.modify(place.east, {"description": ["changed"]})
        samba.rename(foreign, "OU=renamed")
        place.units(south)
        samba.rename(place.dn("b", place.east), f"CN={place.name('b')}", superior=south)
        seen = place.changed(source, since)
        assert seen.people == ["b"]
        samba.modify(south, {"description": ["changed"]})
        again = place.changed(source, seen.watermark)
        assert again.people == []
        samba.rename(south, "OU=deep south")
        assert refused(place, source, again.watermark) == "renamed_unit"


def test_units_below_do_not_matter_to_a_search_of_one_level(samba: SambaAD) -> None:
    """Who is below them is not in scope."""
    place = Place(samba, "a")
    with place.source(scope=Scope.ONE_LEVEL) as source:
        since = source.watermark()
        samba.rename(place.east, "OU=far east")
        samba.modify(place.dn("a"), {"sn": ["Changed"]})
        assert place.changed(source, since).people == ["a"]


@pytest.mark.rule("2.3.3", server="samba")
def test_an_account_that_may_not_read_the_numbers_is_refused(samba: SambaAD) -> None:
    """A search by what cannot be read finds nobody without an error; that is no answer."""
    place = Place(samba, "a", "b")
    place.deny_numbers()
    with place.source(account=AS_READER) as source:
        found = source.detection()
        assert found.kind == "modify_timestamp"
        assert "cannot read uSNChanged" in found.because
        assert "whenChanged" in found.because
    with (
        place.source(account=AS_READER, change_detection=KIND) as source,
        pytest.raises(UsageError, match="let it read that attribute"),
    ):
        source.watermark()
    with place.source() as source:
        assert source.detection().kind == KIND


@pytest.mark.rule("2.3.1", server="samba")
def test_a_run_stays_with_its_domain_controller(samba: SambaAD) -> None:
    """A further connection that leads to another one is not used."""
    place = Place(samba, "a")
    with place.source() as source:
        changes = source.changes(source.watermark())
        assert read(changes.users()) == []
        source._pool.pin(controller_name, "cn=ntds settings,cn=dc2")
        with pytest.raises(DirectoryUnavailable, match="single server"):
            read(source.users())


class TestDetection:
    @pytest.mark.parametrize(
        ("setting", "kind", "because"),
        [
            ("auto", KIND, "numbers its changes (uSNChanged) and shows deleted objects"),
            (KIND, KIND, "it tells what changed and who left"),
            ("dirsync", "dirsync", "it is configured"),
            ("modify_timestamp", "modify_timestamp", "it is configured"),
        ],
    )
    def test_it_says_what_is_used_and_why(
        self, samba: SambaAD, setting: str, kind: str, because: str
    ) -> None:
        """Where everything is in order it is the numbers."""
        with Place(samba, "a").source(change_detection=setting) as source:
            assert source.detection().kind == kind
            assert because in source.detection().because

    @BOTH
    def test_another_id_is_refused_without_the_directory(self, samba: SambaAD, kind: str) -> None:
        """Deleted entries have no other id than objectGUID that is unique and known before."""
        place = Place(samba)
        with (
            place.source(change_detection=kind, uuid_attribute="sAMAccountName") as source,
            pytest.raises(UsageError, match="set uuid_ldap_attribute: objectGUID"),
        ):
            source.detection()
        with place.source(uuid_attribute="sAMAccountName") as source:
            assert source.detection().kind == "modify_timestamp"
