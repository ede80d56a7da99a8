"""A company that has changed since its last full sync, for changed-user syncs that meet trouble."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.acceptance.trouble import (
    SETTINGS,
    change,
    check_invariants,
    content,
    uid,
)
from tests.acceptance.world import ORGANIZATION
from tests.servers.fault_proxy import Faults
from tests.servers.slapd import PEOPLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.preloaded import QuickWorld
    from tests.acceptance.trouble import Stores, Worlds
    from tests.servers.fault_proxy import FaultProxy
    from tests.servers.slapd import Slapd

STAMPS, SYNCREPL = KINDS = ("modify_timestamp", "syncrepl")
# Which search of a run, of those below one base, lists what changed: before it opens a content
# synchronization a run tries that out.
LISTING = {STAMPS: 1, SYNCREPL: 2}


def changed(world: QuickWorld, code: int | None = 0) -> Any:
    """Run a changed-user sync."""
    return world.json("sync", ORGANIZATION, "--changed", code=code)


def change_more(slapd: Slapd) -> None:
    """Change the company, and let a newcomer have the name of somebody who left."""
    change(slapd)
    slapd.add(
        f"uid=heir,{PEOPLE}",
        objectClass="inetOrgPerson",
        uid="heir",
        employeeNumber=uid(36),
        cn="Heir",
        sn="Heir",
    )


def present(found: dict[str, Any]) -> dict[str, Any]:
    """Return what a store knows of everybody who is there, in whatever way it came to know it."""
    people = {
        name: {field: value for field, value in person.items() if field != "version"}
        for name, person in found["people"].items()
        if person["living"]
    }
    return {
        "people": people,
        "grants": [row for row in found["grants"] if row[0] in people],
        "keys": [row for row in found["keys"] if row[0] in people],
        "restrictions": [row for row in found["restrictions"] if row[0] in people],
        "containers": found["containers"],
        "references": found["references"],
    }


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[tuple[str, str, Any, Any]]:
    """Return (part, name, this, that) of what ``present`` says differently of two stores."""
    found: list[tuple[str, str, Any, Any]] = []
    for part, here in present(one).items():
        there = present(other)[part]
        if isinstance(here, dict):
            names = sorted(here.keys() | there.keys())
            pairs = [(name, here.get(name), there.get(name)) for name in names]
            found += [(part, *each) for each in pairs if each[1] != each[2]]
        else:
            found += [(part, "only here", row, None) for row in here if row not in there]
            found += [(part, "only there", None, row) for row in there if row not in here]
    return found


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


class Changing:
    """A company that has changed, behind a proxy, and stores that do not know of it yet."""

    def __init__(self, worlds: Worlds, stores: Stores, proxy: FaultProxy) -> None:
        self.worlds, self.stores, self.proxy = worlds, stores, proxy
        self.first: dict[str, str] = {}
        self.before: dict[str, dict[str, Any]] = {}
        for kind in KINDS:
            world = self._configured(stores.new(), kind)
            world.sync()
            self.first[kind] = world.store_url
            self.before[kind] = content(world.store_url)
        change_more(worlds.slapd)
        self.after = self.of_now()

    def _configured(self, store_url: str, kind: str, url: str | None = None) -> QuickWorld:
        world = self.worlds.world(store_url, url=url)
        self.configure(world, kind)
        return world

    def configure(self, world: QuickWorld, kind: str, **organization: Any) -> None:
        """Configure a world for the company."""
        world.configure(ldap={**SETTINGS, "change_detection": kind}, **organization)

    def of_now(self) -> dict[str, Any]:
        """Return what a first sync into an empty store makes of the company."""
        world = self._configured(self.stores.new(), STAMPS)
        assert world.sync()["status"] == "done"
        return content(world.store_url)

    def world(self, kind: str, faults: Faults | None = None) -> QuickWorld:
        """Return a world with a fresh copy of the store from before the changes."""
        url = None
        if faults is not None:
            self.proxy.faults = faults
            self.proxy.reached.clear()
            self.proxy.go.clear()
            url = self.proxy.url
        return self._configured(self.stores.copy(self.first[kind]), kind, url)

    def ids(self, *numbers: int) -> set[str]:
        """Return the ids of people by their numbers."""
        names = {f"uid={uid(number)},{PEOPLE}" for number in numbers}
        found = {row[0] for row in self.after["identities"] if row[1] in names}
        assert len(found) == len(numbers)
        return found

    def nothing_lost(self, world: QuickWorld, kind: str) -> dict[str, Any]:
        """Check that a sync which saw a part took nothing away; return what is in the store."""
        found, before = check_invariants(world.store_url, self.after), self.before[kind]
        assert found["watermark"] == before["watermark"]
        assert found["restrictions"] == []
        assert set(before["grants"]) <= set(found["grants"])
        assert set(before["people"]) <= set(found["people"])
        return found

    def made_good(self, world: QuickWorld, kind: str, mode: str = "changed") -> None:
        """Check that the next changed sync, without faults, ends as a first sync would.

        By stamps a full one has to follow, because times say nothing of who left.
        """
        self.proxy.faults = Faults()
        report = changed(world)
        told = report["reasons"], report["promoted_because"]
        assert (report["mode"], report["status"]) == (mode, "done"), told
        assert report["listing"] == "complete"
        found = check_invariants(world.store_url, self.after)
        if (kind, mode) == (STAMPS, "changed"):
            living = {name for name, person in found["people"].items() if person["living"]}
            assert living >= set(self.after["people"])
            assert world.sync()["status"] == "done"
            found = check_invariants(world.store_url, self.after)
        assert not (wrong := differences(found, self.after)), wrong
        assert found["watermark"] != self.before[kind]["watermark"]
        assert set(found["runs"]) <= {"done", "failed", "interrupted", "superseded"}
