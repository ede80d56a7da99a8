"""A sync that is killed at any moment loses nothing and doubles nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import soak
from tests.acceptance.moments import Stop, moments
from tests.acceptance.trouble import Started, as_json, change, check_invariants, content, lasting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.moments import Moment
    from tests.acceptance.preloaded import Commands, QuickWorld
    from tests.acceptance.trouble import Stores, Worlds

pytest_plugins = ["tests.acceptance.quick", "tests.acceptance.troubled"]

SIGKILLED = -9
# Which sync, in which of its three parts, and how many thousandths of the part's statements and
# commits are behind it. Drawn once at random within even slices of each part, then written down.
RECORDED = (
    ("first", "collect", 0),
    ("changes", "collect", 118),
    ("first", "collect", 361),
    ("changes", "collect", 544),
    ("first", "collect", 790),
    ("changes", "collect", 999),
    ("changes", "plan", 0),
    ("first", "plan", 127),
    ("changes", "plan", 301),
    ("first", "plan", 482),
    ("changes", "plan", 656),
    ("changes", "plan", 833),
    ("first", "plan", 999),
    ("changes", "apply", 0),
    ("first", "apply", 149),
    ("changes", "apply", 290),
    ("first", "apply", 463),
    ("changes", "apply", 612),
    ("changes", "apply", 871),
    ("first", "apply", 999),
)
# Each runs on both databases.
MORE = soak.moments("full", ("first", "changes"), soak.MOMENTS // 2)


class Recorded(Started):
    """Two syncs to kill, a first one and one of changes, with their moments."""

    def __init__(self, worlds: Worlds, stores: Stores, commands: Commands, folder: Path) -> None:
        super().__init__(worlds, stores)
        change(worlds.slapd)
        self._commands = commands
        self.moments: dict[str, list[Moment]] = {}
        self.quiet = {}
        for which in ("first", "changes"):
            record = folder / which
            world = self.start(which)
            answer = self.run(world, Stop(record=str(record)))
            assert answer == 0
            self.moments[which] = moments(record)
            self.quiet[which] = content(world.store_url)

    def start(self, which: str) -> QuickWorld:
        """Return a world in which nothing has happened yet, or everything but the changes."""
        return self.worlds.world(self.stores.new() if which == "first" else self.again())

    def run(self, world: QuickWorld, stop: Stop) -> int:
        """Run a sync that stops; return its exit code."""
        words = world.command(*as_json())[1:]
        return self._commands.run(words, world.folder, stop.environment()).code

    def number(self, which: str, phase: str, thousandths: int) -> int:
        """Return the number of a recorded moment."""
        numbers = [each.number for each in self.moments[which] if each.phase == phase]
        return numbers[thousandths * len(numbers) // 1000]


@pytest.fixture(scope="module")
def recorded(
    worlds: Worlds,
    stores: Stores,
    commands: Commands,
    tmp_path_factory: pytest.TempPathFactory,
) -> Recorded:
    """The syncs to kill, on each database in turn."""
    return Recorded(worlds, stores, commands, tmp_path_factory.mktemp("moments"))


def test_the_recorded_moments_are_twenty_different_ones(recorded: Recorded) -> None:
    """Each recorded moment is another statement of a part with enough of them."""
    found = [(which, recorded.number(which, phase, part)) for which, phase, part in RECORDED]
    assert len(set(found)) == len(RECORDED) == 20


@pytest.mark.parametrize(("which", "phase", "thousandths"), [*RECORDED, *MORE])
def test_a_killed_sync_is_made_good_by_the_next_one(
    recorded: Recorded, which: str, phase: str, thousandths: int
) -> None:
    """The store is sound at once, and the next sync, at once too, ends where a quiet one does."""
    world = recorded.start(which)
    at = recorded.number(which, phase, thousandths)
    quiet = recorded.quiet[which]
    assert recorded.run(world, Stop(at=at)) == SIGKILLED
    between = check_invariants(world.store_url, quiet)
    if phase != "apply":
        before = recorded.before if which == "changes" else None
        assert between["people"] == (before["people"] if before else {})
    # The lease of a dead process is nobody's: exit code 6 would say otherwise.
    report = world.sync()
    assert (report["status"], report["listing"]) == ("done", "complete")
    after = check_invariants(world.store_url, quiet)
    assert lasting(after, "journal") == lasting(quiet, "journal")
    assert after["watermark"] != between["watermark"]
    # The killed run has an end in the books too: made good when it was applying.
    assert set(after["runs"]) <= {"done", "interrupted"}
    assert world.plan(code=0)["changes"] == []


@pytest.mark.parametrize("thousandths", [0, 400, 999])
def test_a_plan_between_a_killed_apply_and_the_next_sync_changes_nothing(
    recorded: Recorded, thousandths: int
) -> None:
    """Looking at what is left does not take away what the next sync goes on from."""
    world = recorded.start("changes")
    quiet = recorded.quiet["changes"]
    at = recorded.number("changes", "apply", thousandths)
    assert recorded.run(world, Stop(at=at)) == SIGKILLED
    between = content(world.store_url)
    world.plan()
    assert lasting(content(world.store_url), "journal") == lasting(between, "journal")
    world.sync()
    after = check_invariants(world.store_url, quiet)
    assert lasting(after, "journal") == lasting(quiet, "journal")
