"""Changes by content synchronization, from a real provider."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from syncd.errors import ChangesUnavailable
from syncd.ldap.changes.standing import Standing, sync_searches
from syncd.ldap.changes.syncrepl import SyncChanges
from syncd.ldap.pool import Pool
from syncd.ldap.traffic import Traffic
from syncd.records import Signals, Verdict
from tests.integration.ldap.changing import IMPORT, changed, ids_of
from tests.integration.ldap.sources import (
    options_for,
    read,
    role,
    role_search,
    source_for,
    unit,
    user_search,
)
from tests.servers.fault_proxy import Break, FaultProxy, Faults
from tests.servers.slapd import PEOPLE, READER, ROLES, SUFFIX, Account, Slapd, people, person

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from syncd.ldap.source import LdapSource
    from syncd.records import Watermark

ELSEWHERE = f"ou=policies,{SUFFIX}"
STAFF_FILTER = "(&(objectClass=inetOrgPerson)(!(employeeType=former)))"
CONTENT = (
    people(9)
    + person("outsider", container=ELSEWHERE)
    + role("readers", [f"uid=u00000,{PEOPLE}"])
    + role("writers", [f"uid=u00001,{PEOPLE}"])
    + role("doomed", [f"uid=u00002,{PEOPLE}"])
)
NORTH, SOUTH = f"ou=north,{PEOPLE}", f"ou=south,{PEOPLE}"


def provider(ldif: str = CONTENT, *, sessionlog: int = 1000, **more: bool | int) -> Slapd:
    """Return a server with syncprov."""
    return Slapd(ldif=ldif, overlays=["syncprov"], sessionlog=sessionlog, **more)  # type: ignore[arg-type]


def uid(name: str) -> str:
    """Return the DN of somebody among the people."""
    return f"uid={name},{PEOPLE}"


def at(watermark: Watermark, change: Callable[[str], str]) -> Watermark:
    """Return the watermark with other cookies."""
    standing = Standing.read(watermark.value)
    found = {key: change(cookie) for key, cookie in standing.cookies.items()}
    return replace(watermark, value=Standing(found, standing.empty).text)


def sparse(source: Path, target: Path) -> None:
    """Copy a stopped server's database, whose files are mostly holes."""
    subprocess.run(["cp", "--recursive", "--sparse=always", source, target], check=True)


def refused(source: LdapSource, since: Watermark) -> str:
    """Return why changes cannot be told."""
    with pytest.raises(ChangesUnavailable) as raised:
        changed(source, since)
    return raised.value.reason


@pytest.mark.rule("2.6.1", server="openldap")
@pytest.mark.rule("2.6.2", server="openldap")
@pytest.mark.rule("2.6.4", server="openldap")
@pytest.mark.parametrize("sessionlog", [1000, 0], ids=["deletes named", "present phase"])
def test_every_kind_of_change_is_told(sessionlog: int) -> None:
    """Who is new, changed, renamed or moved in is sent; who left is named, or is not present."""
    users = user_search(filter=STAFF_FILTER)
    with provider(sessionlog=sessionlog) as slapd, source_for(slapd, users) as source:
        assert source.detection().kind == "syncrepl"
        before = ids_of(source)
        since = source.watermark()
        slapd.modify(uid("u00001"), {"sn": ["Changed"]})
        slapd.add(uid("new"), objectClass="inetOrgPerson", uid="new", cn="New", sn="New")
        slapd.rename(uid("u00002"), "uid=renamed")
        slapd.rename(f"uid=outsider,{ELSEWHERE}", "uid=outsider", superior=PEOPLE)
        slapd.delete(uid("u00003"))
        slapd.rename(uid("u00004"), "uid=u00004", superior=ELSEWHERE)
        slapd.modify(uid("u00005"), {"employeeType": ["former"]})
        slapd.modify(f"cn=readers,{ROLES}", {"member": [uid("u00006")]})
        slapd.delete(f"cn=doomed,{ROLES}")

        seen = changed(source, since)

        left = {before[name] for name in ("u00003", "u00004", "u00005")}
        stayed = {before[name] for name in ("u00000", "u00006", "u00007", "u00008")}
        assert seen.people == ["new", "outsider", "renamed", "u00001"]
        assert seen.roles == ["readers"]
        assert [each.verdict for each in seen.outcomes] == [Verdict.COMPLETE] * 2
        assert [each.entries for each in seen.outcomes] == [4, 1]
        if sessionlog:
            assert left <= set(seen.signals.deleted)
            assert not stayed & set(seen.signals.deleted)
            assert seen.signals.present is None
        else:
            assert seen.signals.present is not None
            assert stayed <= seen.signals.present
            assert not left & seen.signals.present
        again = changed(source, seen.watermark)
        assert (again.people, again.roles) == ([], [])
        assert (again.signals, again.role_signals) == (Signals(), Signals())
        assert again.watermark == seen.watermark == source.watermark()


@pytest.mark.rule("2.1.1", server="openldap")
def test_a_change_during_a_full_listing_is_told_next() -> None:
    """The first cookie is how far the directory was before the listing began."""
    with provider() as slapd, source_for(slapd) as source:
        since = source.watermark()
        listing = source.users()
        for _ in listing:
            slapd.modify(uid("u00001"), {"sn": ["During"]})
            slapd.delete(uid("u00002"))

        seen = changed(source, since)
        assert seen.people == ["u00001"]
        assert len(seen.signals.deleted) == 1


@pytest.mark.rule("2.6.3", server="openldap")
@pytest.mark.parametrize("sessionlog", [5000, 100], ids=["deletes named", "beyond the log"])
def test_many_deletions_are_all_told(sessionlog: int) -> None:
    """1,500 ids come in several messages, and beyond the log's size everybody left is named."""
    with provider(people(1510), sessionlog=sessionlog) as slapd, source_for(slapd) as source:
        before = ids_of(source)
        since = source.watermark()
        gone = [f"u{number:05}" for number in range(1500)]
        slapd.delete(*map(uid, gone))

        seen = changed(source, since)

        ids = {before[name] for name in gone}
        assert seen.people == []
        if sessionlog > 1500:
            assert set(seen.signals.deleted) == ids
        else:
            assert seen.signals.present == frozenset(before.values()) - ids


@pytest.mark.rule("2.6.8", server="openldap")
def test_a_restarted_provider_names_those_who_are_there() -> None:
    """Its log is lost with the process: what was deleted before shows as not present."""
    with provider() as slapd, source_for(slapd) as source:
        before = ids_of(source)
        since = source.watermark()
        slapd.delete(uid("u00001"))
        slapd.stop()
        slapd.start()
        slapd.modify(uid("u00002"), {"sn": ["Changed"]})

        seen = changed(source, since)

        assert "u00002" in seen.people
        assert seen.signals.present is not None
        assert set(before.values()) - seen.signals.present == {before["u00001"]}


@pytest.mark.rule("2.6.11", server="openldap")
def test_a_restored_provider_needs_a_full_sync() -> None:
    """A database from a backup that is older than the cookie, and a cookie from the future."""
    with provider() as slapd, source_for(slapd) as source:
        since = source.watermark()
        assert refused(source, at(since, lambda cookie: cookie.replace("csn=20", "csn=30"))) == (
            "clock_backwards"
        )
        kept = slapd.folder / "kept"
        slapd.stop()
        sparse(slapd.folder / "db", kept)
        slapd.start()
        slapd.modify(uid("u00001"), {"sn": ["Lost"]})
        later = source.watermark()
        assert changed(source, later).people == []
        slapd.stop()
        shutil.rmtree(slapd.folder / "db")
        sparse(kept, slapd.folder / "db")
        slapd.start()

        # Within the overlap it is as if a replica lagged: the lower position is stored.
        seen = changed(source, later)
        assert (seen.people, seen.signals) == ([], Signals())
        assert seen.watermark == source.watermark() == since
        slapd.modify(uid("u00002"), {"sn": ["After"]})
        assert changed(source, seen.watermark).people == ["u00002"]


def test_a_rebuilt_provider_is_another_ground() -> None:
    """The same people loaded anew have other ids, and a cookie says nothing about them."""
    with provider() as first, source_for(first) as source:
        since = source.watermark()
        ground = source.ground()
    with provider(loaded_as=7) as second, source_for(second) as source:
        assert source.ground() != ground
        assert refused(source, since) == "clock_backwards"


@pytest.mark.rule("2.6.5", server="openldap")
def test_an_ancient_cookie_needs_a_full_sync() -> None:
    """A provider answers it with everybody and names nobody; that is no news about anyone."""
    with provider() as slapd, source_for(slapd) as source:
        since = at(source.watermark(), lambda _: f"rid=000,csn={ANCIENT}")
        assert refused(source, since) == "history_gap"
        # The connection goes on to be of use.
        assert len(ids_of(source)) == 9


@pytest.mark.rule("2.6.5", server="openldap")
def test_a_stale_cookie_is_refused() -> None:
    """A provider that is told to says so (e-syncRefreshRequired) in place of sending everybody."""
    with provider(sessionlog=0, reload_hint=True) as slapd, source_for(slapd) as source:
        since = at(source.watermark(), lambda _: f"rid=000,csn={ANCIENT}")
        with pytest.raises(ChangesUnavailable, match=r"4096.*stale") as raised:
            changed(source, since)
        assert raised.value.reason == "cookie_refused"


ANCIENT = "19990101000000.000000Z#000000#001#000000"


@pytest.mark.rule("2.6.5", server="openldap")
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("garbage", "cookie_refused"),
        ('{"cookies":{},"empty":[]}', "no_watermark"),
        ('{"cookies":{"users x":"garbage"},"empty":[]}', "cookie_refused"),
    ],
)
def test_a_damaged_watermark_needs_a_full_sync(value: str, reason: str) -> None:
    """The server is not even asked: it would send everybody as if nobody had left."""
    with provider() as slapd, source_for(slapd) as source:
        assert refused(source, replace(source.watermark(), value=value)) == reason


@pytest.mark.rule("2.6.7", server="openldap")
def test_a_server_that_writes_for_the_first_time_needs_one_full_sync() -> None:
    """A content loaded under another server id: the cookie says nothing of the one that writes."""
    with provider(loaded_as=0) as slapd, source_for(slapd) as source:
        since = source.watermark()
        slapd.modify(uid("u00001"), {"sn": ["First"]})
        assert refused(source, since) == "history_gap"
        since = source.watermark()
        slapd.modify(uid("u00002"), {"sn": ["Second"]})
        assert changed(source, since).people == ["u00002"]


class TestEmptyPresentPhase:
    """Nobody named may mean that all left, or a quirk: it is never evidence."""

    @pytest.mark.rule("2.6.6", server="openldap")
    def test_nobody_present_needs_a_full_sync(self) -> None:
        """That everybody is gone is not taken from such an answer."""
        with provider(people(2), sessionlog=0) as slapd, source_for(slapd) as source:
            since = source.watermark()
            slapd.delete(uid("u00000"), uid("u00001"))
            assert refused(source, since) == "history_gap"

    @pytest.mark.rule("2.6.6", server="openldap")
    def test_no_roles_before_and_after_is_no_news(self) -> None:
        """A base that was empty all along does not make every run a full one."""
        with provider(people(2), sessionlog=0) as slapd, source_for(slapd) as source:
            since = source.watermark()
            slapd.modify(uid("u00000"), {"sn": ["Changed"]})
            seen = changed(source, since)
            assert seen.people == ["u00000"]
            assert seen.role_signals == Signals()
            slapd.add(f"cn=first,{ROLES}", objectClass="groupOfNames", cn="first", member="cn=x")
            seen = changed(source, seen.watermark)
            assert seen.roles == ["first"]
            slapd.delete(f"cn=first,{ROLES}")
            assert refused(source, seen.watermark) == "history_gap"


@pytest.mark.rule("2.8.1", server="openldap")
def test_of_another_product_only_explicit_deletions_count() -> None:
    """Who is not named as present is gone by the standard, and elsewhere only unchanged."""
    with provider(sessionlog=0) as slapd, source_for(slapd) as source:
        searches = sync_searches(user_search(), {IMPORT: role_search()})
        since = source.watermark()
        slapd.delete(uid("u00001"))
        pool = Pool(options_for(slapd), traffic=Traffic())
        for trusted in (True, False):
            changes = SyncChanges(
                connections=pool,
                searches=searches,
                standing=Standing.read(since.value),
                ground=since.ground,
                trust_absence=trusted,
            )
            assert read(changes.users()) == []
            assert (changes.signals("users").present is not None) is trusted
        pool.close()


class TestSeveralBases:
    CONTENT = (
        unit("north", PEOPLE)
        + unit("south", PEOPLE)
        + "".join(person(f"n{number}", container=NORTH) for number in range(3))
        + "".join(person(f"s{number}", container=SOUTH) for number in range(3))
    )

    @pytest.mark.parametrize("sessionlog", [1000, 0], ids=["deletes named", "present phase"])
    def test_who_moves_between_bases_has_not_left(self, sessionlog: int) -> None:
        """Deleted in the one and sent by the other is a move."""
        with (
            provider(self.CONTENT, sessionlog=sessionlog) as slapd,
            source_for(slapd, user_search(NORTH, SOUTH)) as source,
        ):
            before = ids_of(source)
            since = source.watermark()
            slapd.rename(f"uid=n0,{NORTH}", "uid=n0", superior=SOUTH)
            slapd.delete(f"uid=n1,{NORTH}", f"uid=s1,{SOUTH}")

            seen = changed(source, since)

            left = {before["n1"], before["s1"]}
            assert seen.people == ["n0"]
            if sessionlog:
                assert left <= set(seen.signals.deleted)
                assert before["n0"] not in seen.signals.deleted
            else:
                assert seen.signals.present == frozenset(before.values()) - left

    def test_a_base_without_a_present_phase_is_listed(self) -> None:
        """The ids of a base where nothing changed are read, so nobody there seems to be gone."""
        with (
            provider(self.CONTENT, sessionlog=0) as slapd,
            source_for(slapd, user_search(NORTH, SOUTH)) as source,
        ):
            before = ids_of(source)
            since = source.watermark()
            slapd.delete(f"uid=n1,{NORTH}")
            ahead = Standing.read(source.watermark().value).cookies
            cookies = {
                key: ahead[key] if "ou=south" in key else cookie
                for key, cookie in Standing.read(since.value).cookies.items()
            }
            since = replace(since, value=Standing(cookies, frozenset()).text)

            # The roles base is empty and was not known to be; that is another test's matter.
            changes = source.changes(since)
            assert read(changes.users()) == []
            present = changes.signals("users").present
            assert present == frozenset(before.values()) - {before["n1"]}


class TestFaults:
    """An answer that did not come to its end in order says nothing of who left."""

    @pytest.mark.rule("2.6.3", server="proxy")
    @pytest.mark.parametrize(
        ("faults", "code"),
        [
            (Faults(base=PEOPLE, break_page=1, how=Break.RESET), None),
            (Faults(base=PEOPLE, break_page=1, how=Break.CLOSE), None),
            (Faults(base=PEOPLE, break_page=1, how=Break.SILENCE), None),
            (Faults(base=PEOPLE, break_page=1, how=Break.GARBAGE), None),
            *(
                (Faults(base=PEOPLE, code_page=1, code=code), code)
                for code in (3, 4, 11, 51, 52, 80)
            ),
            (Faults(base=PEOPLE, no_paging_from=1), 0),
        ],
        ids=lambda value: "" if isinstance(value, Faults) else str(value),
    )
    def test_it_is_truncated_and_signals_nothing(self, faults: Faults, code: int | None) -> None:
        """Cut, paused, or stopped by the server: what came is read, and the old cookie stays."""
        with (
            # By turns: deletions named, and everybody named who is there.
            provider(sessionlog=1000 if (code or 0) % 2 else 0) as slapd,
            FaultProxy(slapd.port) as proxy,
            source_for(slapd, url=proxy.url, read_timeout_seconds=1) as source,
        ):
            since = source.watermark()
            slapd.modify(uid("u00001"), {"sn": ["Changed"]})
            slapd.delete(uid("u00002"))
            proxy.faults = faults

            changes = source.changes(since)
            listing = changes.users()
            entries = read(listing)

            assert [entry.values("uid") for entry in entries] == [[b"u00001"]]
            assert (listing.outcome.verdict, listing.outcome.result_code) == (
                Verdict.TRUNCATED,
                code,
            )
            assert changes.signals("users") == Signals()
            assert changes.watermark == since
            proxy.faults = Faults()
            seen = changed(source, since)
            assert seen.people == ["u00001"]
            assert seen.signals.deleted or seen.signals.present

    @pytest.mark.rule("2.6.5", server="proxy")
    @pytest.mark.parametrize("code", [2, 12, 53, 4096])
    def test_a_refused_cookie_needs_a_full_sync(self, code: int) -> None:
        """Asking the same again would bring the same answer."""
        with (
            provider() as slapd,
            FaultProxy(slapd.port) as proxy,
            source_for(slapd, url=proxy.url) as source,
        ):
            since = source.watermark()
            proxy.faults = Faults(base=PEOPLE, code_page=1, code=code)
            assert refused(source, since) == "cookie_refused"

    @pytest.mark.rule("2.6.3", server="openldap")
    def test_an_account_s_size_limit_truncates(self) -> None:
        """A synchronization has no pages, so the account's limit is that of its changes."""
        few = Account("few", "size.soft=2 size.hard=2 size.pr=100 size.prtotal=unlimited")
        with (
            Slapd(ldif=CONTENT, overlays=["syncprov"], accounts=[READER, few]) as slapd,
            source_for(slapd, account=few) as source,
        ):
            since = source.watermark()
            for number in range(3):
                slapd.modify(uid(f"u0000{number}"), {"sn": ["Changed"]})
            slapd.delete(uid("u00003"))
            changes = source.changes(since)
            listing = changes.users()
            assert len(read(listing)) == 2
            assert (listing.outcome.verdict, listing.outcome.result_code) == (Verdict.TRUNCATED, 4)
            assert changes.signals("users") == Signals()
            assert changes.watermark == since

    def test_nothing_is_known_before_the_end(self) -> None:
        """Neither outcome nor signals of a listing that nobody has read."""
        with provider() as slapd, source_for(slapd) as source:
            changes = source.changes(source.watermark())
            listing = changes.containers(IMPORT)
            with pytest.raises(RuntimeError, match="before"):
                _ = listing.outcome
            with pytest.raises(RuntimeError, match="before"):
                changes.signals(IMPORT)
