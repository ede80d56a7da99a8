"""A directory that fails in the middle takes nobody away, and the next sync makes up for it."""

from __future__ import annotations

import itertools
import json
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.moments import Stop, find, moments
from tests.acceptance.trouble import (
    PAGE_SIZE,
    Started,
    as_json,
    change,
    check_invariants,
    content,
    lasting,
    sentence,
    told,
    uid,
)
from tests.acceptance.world import ORGANIZATION, PATIENCE_SECONDS
from tests.servers.fault_proxy import Break, FaultProxy, Faults
from tests.servers.slapd import PEOPLE, ROLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.preloaded import Commands, QuickWorld
    from tests.acceptance.trouble import Stores, Worlds
    from tests.servers.slapd import Slapd

pytest_plugins = ["tests.acceptance.quick", "tests.acceptance.troubled"]

ON_SQLITE = pytest.mark.parametrize("stores", ["sqlite"], indirect=True)
LATER = 3


class Faulty(Started):
    """A company that has changed, behind a proxy that may fail."""

    def __init__(self, worlds: Worlds, stores: Stores, proxy: FaultProxy) -> None:
        super().__init__(worlds, stores)
        change(worlds.slapd)
        self.finish()
        self.proxy = proxy

    def world(self, faults: Faults) -> QuickWorld:
        """Return a world over a fresh store that reaches the directory through these faults."""
        self.proxy.faults = faults
        self.proxy.reached.clear()
        self.proxy.go.clear()
        return self.worlds.world(self.again(), url=self.proxy.url)

    def ids(self, *numbers: int) -> set[str]:
        """Return the ids of people by their numbers."""
        names = {f"uid={uid(number)},{PEOPLE}" for number in numbers}
        found = {row[0] for row in self.after["identities"] if row[1] in names}
        assert len(found) == len(numbers)
        return found

    def nothing_lost(self, world: QuickWorld) -> dict[str, Any]:
        """Check that a failed listing took nothing away; return what stands in the store."""
        found = check_invariants(world.store_url, self.after)
        assert found["watermark"] == self.before["watermark"]
        assert found["restrictions"] == []
        assert set(self.before["grants"]) <= set(found["grants"])
        assert set(self.before["people"]) <= set(found["people"])
        return found

    def made_good(self, world: QuickWorld) -> None:
        """Check that the next sync, without faults, ends where a quiet one does."""
        self.proxy.faults = Faults()
        report = world.sync()
        assert (report["status"], report["listing"]) == ("done", "complete")
        after = check_invariants(world.store_url, self.after)
        assert lasting(after) == lasting(self.after)
        assert after["watermark"] != self.before["watermark"]


@pytest.fixture(scope="module")
def faulty(worlds: Worlds, stores: Stores) -> Iterator[Faulty]:
    """The company, the changes, and the proxy between them and the sync."""
    with FaultProxy(worlds.slapd.port) as proxy:
        yield Faulty(worlds, stores, proxy)


def listing(report: dict[str, Any], source: str) -> dict[str, Any]:
    """Return how a listing of a report ended."""
    (found,) = (each for each in report["listings"] if each["source"] == source)
    return dict(found)


@contextmanager
def gone(slapd: Slapd) -> Iterator[None]:
    """Kill the server for as long as the block runs."""
    os.kill(slapd.pid, signal.SIGKILL)
    slapd.stop()
    try:
        yield
    finally:
        slapd.start()


def users(**faults: Any) -> Faults:
    """Return faults of the users listing."""
    return Faults(base=PEOPLE, **faults)


BROKEN = [
    *(
        pytest.param(
            kind,
            users(break_page=LATER, how=how),
            None,
            21,
            words,
            id=f"{how.value}, page 3, {kind}",
        )
        for kind, how, words in (
            ("sqlite", Break.SILENCE, "did not answer for 1 seconds"),
            ("postgresql", Break.SILENCE, "did not answer for 1 seconds"),
            ("sqlite", Break.RESET, "broke the connection"),
            ("postgresql", Break.RESET, "broke the connection"),
            ("sqlite", Break.CLOSE, "closed the connection"),
            ("sqlite", Break.GARBAGE, "an LDAP server"),
        )
    ),
    *(
        pytest.param(
            "sqlite",
            users(code_page=page, code=code),
            code,
            page * PAGE_SIZE,
            f"({code})",
            id=f"{code}, page {page}",
        )
        for page in (1, LATER)
        for code in (3, 4, 11, 51, 52, 80)
    ),
    pytest.param(
        "sqlite",
        users(no_paging_from=LATER),
        0,
        30,
        "ignored the paging control on page 3",
        id="no paging",
    ),
    pytest.param(
        "sqlite",
        users(notice_page=LATER, code=52),
        52,
        21,
        "announced the end",
        id="notice, page 3",
    ),
    pytest.param(
        "sqlite",
        users(break_page=1, how=Break.RESET),
        None,
        1,
        "broke the connection",
        id="reset, page 1",
    ),
]


@pytest.mark.rule("2.1.2", server="proxy")
@pytest.mark.rule("2.16.2", server="proxy")
@pytest.mark.parametrize(
    ("stores", "faults", "code", "entries", "words"),
    BROKEN,
    indirect=["stores"],
    # Else pytest takes ``stores``, and all that is made of it, for each test's own.
    scope="module",
)
def test_a_listing_that_breaks_off_takes_nobody_away(
    faulty: Faulty, faults: Faults, code: int | None, entries: int, words: str
) -> None:
    """What was brought is there, nobody is missing, and the next sync completes it."""
    world = faulty.world(faults)
    report = world.sync(code=4)
    assert (report["status"], report["listing"], report["absences"]) == (
        "done",
        "truncated",
        "held",
    )
    people = listing(report, "users")
    assert (people["verdict"], people["result_code"]) == ("truncated", code)
    assert people["entries"] == entries
    assert report["users"]["missing"] == report["memberships"]["removed"] == 0
    assert any(words in reason for reason in report["reasons"]), report["reasons"]
    found = faulty.nothing_lost(world)
    # Both are on the first page; whoever stands behind the break is not there yet.
    joined = faulty.ids(1, 2) if entries > 2 else set()
    assert set(found["people"]) - set(faulty.before["people"]) == joined
    assert report["users"]["created"] == len(joined)
    faulty.made_good(world)


@pytest.mark.rule("2.16.2", server="proxy")
@ON_SQLITE
@pytest.mark.parametrize(
    ("faults", "code", "words"),
    [
        pytest.param(
            Faults(base=ROLES, break_page=1, how=Break.CLOSE),
            None,
            "closed the connection",
            id="close",
        ),
        pytest.param(Faults(base=ROLES, code_page=1, code=4), 4, "(4)", id="4"),
        pytest.param(Faults(base=ROLES, no_paging_from=1), 0, "paging control", id="no paging"),
    ],
)
def test_a_listing_of_roles_that_breaks_off_takes_no_role_away(
    faulty: Faulty, faults: Faults, code: int | None, words: str
) -> None:
    """People are brought up to date, and neither they nor their roles are taken away."""
    world = faulty.world(faults)
    report = world.sync(code=4)
    assert listing(report, "users")["verdict"] == "complete"
    roles = listing(report, "import roles")
    assert (roles["verdict"], roles["result_code"]) == ("truncated", code)
    assert any(words in reason for reason in report["reasons"]), report["reasons"]
    found = faulty.nothing_lost(world)
    assert set(found["people"]) - set(faulty.before["people"]) == faulty.ids(1, 2, 90)
    faulty.made_good(world)


@pytest.mark.parametrize("how", ["killed", "paused"])
def test_a_directory_that_dies_in_the_middle_of_a_listing_takes_nobody_away(
    faulty: Faulty, how: str
) -> None:
    """A killed and a paused server: who was read is there, the rest comes with the next sync."""
    world = faulty.world(users(hold_page=LATER))
    slapd = faulty.worlds.slapd
    with world.start(*as_json()) as process:
        assert faulty.proxy.reached.wait(PATIENCE_SECONDS)
        with gone(slapd) if how == "killed" else slapd.paused():
            faulty.proxy.go.set()
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, told(err)) == (4, [])
    report = json.loads(out)
    assert [each["verdict"] for each in report["listings"]] == ["truncated", "truncated"]
    found = faulty.nothing_lost(world)
    assert faulty.ids(1, 2) <= set(found["people"])
    faulty.made_good(world)


@ON_SQLITE
def test_a_directory_that_is_paused_before_the_bind_is_told_and_changes_nothing(
    faulty: Faulty,
) -> None:
    """A server that accepts and says nothing is unavailable, within the time-outs."""
    world = faulty.world(Faults())
    with faulty.worlds.slapd.paused():
        answer = world.syncd("sync", ORGANIZATION, code=4)
    assert "did not answer" in sentence(answer)
    assert lasting(content(world.store_url), "watermark") == lasting(faulty.before, "watermark")
    faulty.made_good(world)


@ON_SQLITE
def test_a_broken_listing_is_told_to_whoever_reads_the_report(faulty: Faulty) -> None:
    """Without --json the report says that the listing is not whole, and what to do about it."""
    world = faulty.world(users(code_page=LATER, code=4))
    answer = world.syncd("sync", ORGANIZATION, code=4)
    assert "page 3" in answer.out
    assert "raise the server's size limit" in answer.out
    assert told(answer.err) == []


@ON_SQLITE
def test_one_failed_sync_after_the_other_still_loses_nothing(faulty: Faulty) -> None:
    """Three broken listings, each at another page, and then a whole one."""
    world = faulty.world(users(code_page=2, code=51))
    for faults in (
        users(code_page=2, code=51),
        users(break_page=LATER, how=Break.RESET),
        Faults(base=ROLES, code_page=1, code=80),
    ):
        faulty.proxy.faults = faults
        world.sync(code=4)
        faulty.nothing_lost(world)
    faulty.made_good(world)
    assert world.plan(code=0)["changes"] == []


@ON_SQLITE
def test_a_broken_off_sync_that_is_killed_as_well_still_takes_no_role_for_settled(
    faulty: Faulty, commands: Commands, tmp_path: Path
) -> None:
    """Roles that it must not take away are taken by the next whole one, a plan between or not."""
    faults = users(code_page=LATER, code=4)

    def run(stop: Stop) -> tuple[QuickWorld, int]:
        world = faulty.world(faults)
        words = world.command(*as_json())[1:]
        return world, commands.run(words, world.folder, stop.environment()).code

    record = tmp_path / "moments"
    assert run(Stop(record=str(record)))[1] == 4
    # In the middle of the people, and behind the roles, right before the end of the run.
    ends = [find(moments(record), "apply", part) for part in ("INTO journal", "INTO listings")]
    for at, plans in itertools.product(ends, (0, 1)):
        world, code = run(Stop(at=at))
        assert code == -signal.SIGKILL
        faulty.nothing_lost(world)
        faulty.proxy.faults = Faults()
        for _ in range(plans):
            world.plan()
        faulty.made_good(world)


def test_the_pages_of_these_tests_are_smaller_than_the_company(faulty: Faulty) -> None:
    """The third page is one in the middle: the tests above break what they say they break."""
    assert len(faulty.before["people"]) > LATER * PAGE_SIZE
