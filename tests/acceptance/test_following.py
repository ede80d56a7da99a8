"""The command that lists what was changed, and follows it."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.preloaded import ON_SQLITE
from tests.acceptance.world import ORGANIZATION, PATIENCE_SECONDS
from tests.servers.slapd import people

if TYPE_CHECKING:
    from tests.acceptance.preloaded import MakeQuickWorld, QuickWorld

pytest_plugins = ("tests.acceptance.quick",)


@pytest.fixture
def world(quick_world: MakeQuickWorld) -> QuickWorld:
    """A company of five that was synced."""
    made = quick_world(people(5))
    assert made.sync()["users"]["created"] == 5
    return made


def test_changes_are_listed_from_a_cursor_on(world: QuickWorld) -> None:
    """A page, the next one, and none after the last, for people and for programs."""
    first = world.json("changes", ORGANIZATION, "--limit", "3")
    second = world.json("changes", ORGANIZATION, "--after", first["next"])
    assert [len(page["changes"]) for page in (first, second)] == [3, 2]
    assert {each["kind"] for each in first["changes"] + second["changes"]} == {"create"}
    assert second["next"] == second["head"]
    assert world.json("changes", ORGANIZATION, "--after", second["next"])["changes"] == []
    assert world.json("changes", ORGANIZATION, "--after", "now")["next"] == second["head"]
    world.syncd("user", "disable", ORGANIZATION, "u00001", "--why", "left", code=0)
    told = world.syncd("changes", ORGANIZATION, "--after", second["next"], code=0).out
    assert "user u00001: restrictions" in told
    assert "(left)" in told
    assert f"syncd changes {ORGANIZATION} --after " in told
    wrong = world.syncd("changes", ORGANIZATION, "--after", "nonsense", code=2)
    assert "give the `next` of an answer" in wrong.err


def test_changes_are_followed_until_it_is_interrupted(world: QuickWorld) -> None:
    """Each commit is a line as soon as it was made, and with --json a document."""
    after = world.json("changes", ORGANIZATION, "--after", "now")["next"]
    words = ("changes", ORGANIZATION, "--after", after, "--follow")
    with world.start(*words) as plain, world.start(*words, "--json") as documents:
        assert plain.stdout is not None
        assert documents.stdout is not None
        try:
            for username in ("u00001", "u00002"):
                world.syncd("user", "disable", ORGANIZATION, username, code=0)
                (change,) = json.loads(documents.stdout.readline())["changes"]
                assert (change["name"], change["kind"]) == (username, "restrictions")
                assert f"user {username}: restrictions" in plain.stdout.readline()
            for following in (plain, documents):
                following.send_signal(signal.SIGINT)
                assert following.wait(PATIENCE_SECONDS) == 130
        finally:
            plain.kill()
            documents.kill()


@ON_SQLITE
def test_whoever_reads_on_goes_away_and_it_ends(world: QuickWorld) -> None:
    """A closed pipe ends it without a word, as it does any command."""
    with world.start("changes", ORGANIZATION, "--follow") as following:
        assert following.stdout is not None
        assert following.stderr is not None
        try:
            following.stdout.readline()
            following.stdout.close()
            world.syncd("user", "disable", ORGANIZATION, "u00001", code=0)
            assert following.wait(PATIENCE_SECONDS) == 0
            assert following.stderr.read() == ""
        finally:
            following.kill()
