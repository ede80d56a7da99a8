"""A changed-user sync that is killed at any moment loses nothing and doubles nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests import soak
from tests.acceptance.changing import KINDS, STAMPS, SYNCREPL, Changing, changed, differences
from tests.acceptance.moments import Stop, find, moments
from tests.acceptance.trouble import as_json, check_invariants, content, lasting, uid

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.moments import Moment
    from tests.acceptance.preloaded import Commands, QuickWorld

pytest_plugins = [
    "tests.acceptance.quick",
    "tests.acceptance.troubled",
    "tests.acceptance.changed_companies",
]

SIGKILLED = -9
# By which kind of changes, in which part of the run, and how many thousandths of the part's
# statements and commits are behind it; each of them on both databases.
RECORDED = (
    (SYNCREPL, "collect", 0),
    (STAMPS, "collect", 471),
    (SYNCREPL, "collect", 803),
    (STAMPS, "plan", 120),
    (SYNCREPL, "plan", 655),
    (STAMPS, "apply", 0),
    (SYNCREPL, "apply", 213),
    (SYNCREPL, "apply", 498),
    (STAMPS, "apply", 730),
    (SYNCREPL, "apply", 999),
)
MORE = soak.moments("changed", KINDS, soak.MOMENTS // 2)
# Renames and leavers go over these; everybody else goes on.
HOLDING = {
    "on_exceed": "hold_kind",
    "missing": {"count": 1},
    "rename": {"count": 1},
}


class Killed:
    """Changed syncs to kill, with their moments, and what undisturbed ones make of the company."""

    def __init__(self, changing: Changing, commands: Commands, folder: Path) -> None:
        self.changing, self._commands, self._folder = changing, commands, folder
        self.moments: dict[str, list[Moment]] = {}
        self.quiet: dict[str, dict[str, Any]] = {}
        for kind in KINDS:
            world = changing.world(kind)
            self.moments[kind] = self.recorded(world, *as_json("--changed"))
            self.quiet[kind] = content(world.store_url)

    def recorded(self, world: QuickWorld, *words: str, code: int = 0) -> list[Moment]:
        """Run a command to its end; return its moments."""
        record = self._folder / f"{len(list(self._folder.iterdir()))}"
        assert self.run(world, Stop(record=str(record)), *words) == code
        return moments(record)

    def run(self, world: QuickWorld, stop: Stop, *words: str) -> int:
        """Run a command that stops; return its exit code."""
        command = world.command(*words)[1:]
        return self._commands.run(command, world.folder, stop.environment()).code


@pytest.fixture(scope="module")
def killed(
    changing: Changing, commands: Commands, tmp_path_factory: pytest.TempPathFactory
) -> Killed:
    """The syncs to kill, on each database in turn."""
    return Killed(changing, commands, tmp_path_factory.mktemp("moments"))


def number(recorded: list[Moment], phase: str, thousandths: int) -> int:
    """Return the number of a moment within a part of a run."""
    numbers = [each.number for each in recorded if each.phase == phase]
    return numbers[thousandths * len(numbers) // 1000]


def test_the_changes_are_of_every_kind(killed: Killed) -> None:
    """A run that is killed below adds, changes, renames and removes people and roles."""
    world = killed.changing.world(SYNCREPL)
    report = changed(world)
    assert report["mode"] == "changed"
    users, memberships = report["users"], report["memberships"]
    done = [users[kind] for kind in ("created", "updated", "renamed", "missing")]
    assert all([*done, memberships["added"], memberships["removed"], report["roles"]["created"]])
    found = [(kind, number(killed.moments[kind], part, how)) for kind, part, how in RECORDED]
    assert len(set(found)) == len(RECORDED)


@pytest.mark.rule("2.1.1", server="openldap")
@pytest.mark.parametrize(("kind", "phase", "thousandths"), [*RECORDED, *MORE])
def test_a_killed_changed_sync_is_made_good_by_the_next_one(
    killed: Killed, kind: str, phase: str, thousandths: int
) -> None:
    """The store is sound at once, and the next changed sync ends where a quiet one does."""
    world = killed.changing.world(kind)
    at = number(killed.moments[kind], phase, thousandths)
    quiet, before = killed.quiet[kind], killed.changing.before[kind]
    assert killed.run(world, Stop(at=at), *as_json("--changed")) == SIGKILLED
    between = check_invariants(world.store_url, quiet)
    assert between["watermark"] == before["watermark"]
    if phase != "apply":
        assert between["people"] == before["people"]
    report = changed(world)
    assert (report["mode"], report["status"], report["listing"]) == ("changed", "done", "complete")
    after = check_invariants(world.store_url, quiet)
    assert lasting(after, "journal") == lasting(quiet, "journal")
    assert after["watermark"] != before["watermark"]
    if kind == SYNCREPL:
        assert not (wrong := differences(after, killed.changing.after)), wrong


# --- kinds that are held --------------------------------------------------------------------


@pytest.fixture(scope="module")
def holding(killed: Killed) -> dict[str, list[Moment]]:
    """The moments of full and changed runs of which some kinds are held."""
    found = {}
    for mode in ("full", "changed"):
        world = killed.changing.world(SYNCREPL)
        killed.changing.configure(world, SYNCREPL, limits=HOLDING)
        found[mode] = killed.recorded(world, *words(mode), code=3)
    return found


def words(mode: str) -> tuple[str, ...]:
    """Return the words of a sync of a mode."""
    return as_json("--changed") if mode == "changed" else as_json()


@pytest.mark.rule("2.13.1", server="openldap")
@pytest.mark.parametrize(
    ("mode", "part"), [("full", "second batch"), ("changed", "first batch"), ("changed", "books")]
)
def test_held_kinds_stay_held_when_the_others_were_killed_in_between(
    killed: Killed, holding: dict[str, list[Moment]], mode: str, part: str
) -> None:
    """The next run writes the rest and holds the same people, who may be approved after that."""
    changing = killed.changing
    world = changing.world(SYNCREPL)
    changing.configure(world, SYNCREPL, limits=HOLDING)
    recorded = holding[mode]
    first = find(recorded, "apply", "INSERT INTO journal")
    at = {
        "first batch": first,
        "second batch": find(recorded, "apply", "COMMIT", after=first) + 1,
        "books": find(recorded, "apply", "INSERT INTO listings"),
    }[part]
    assert killed.run(world, Stop(at=at), *words(mode)) == SIGKILLED
    found = check_invariants(world.store_url, changing.after)
    swapped = {f"uid={uid(number)}" for number in (10, 11)}

    def names(found: dict[str, Any]) -> dict[str, str]:
        people = found["people"].values()
        return {each["dn"].partition(",")[0]: each["username"] for each in people}

    assert not found["restrictions"]
    report = world.json("sync", "acme", *words(mode)[3:], code=3)
    assert (report["mode"], report["status"]) == (mode, "blocked")
    assert report["users"]["missing"] == report["users"]["renamed"] == 0
    found = check_invariants(world.store_url, changing.after)
    assert not found["restrictions"]
    # Names change hands among all of them or among none, and the newcomer waits for his.
    told = names(found)
    assert {told[name] for name in swapped} == {uid(10), uid(11)}
    assert told[f"uid={uid(10)}"] == uid(10)
    assert f"uid={uid(90)}" in told
    assert "uid=heir" not in told
    approved = world.json("approve", report["run"])
    assert approved["status"] == "done"
    assert approved["users"]["missing"] == 2
    found = check_invariants(world.store_url, changing.after)
    assert not (wrong := differences(found, changing.after)), wrong
    assert world.plan(code=0)["changes"] == []
