"""A provider's keys: which caller fetches them, and how often somebody can make it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from syncd.oidc.jwks import LOOKS_SECONDS, MOST_LOOKS, MOST_UNKNOWN, TIME_TO_LIVE_SECONDS
from syncd.oidc.outcome import Reason, Refusal
from tests.integration.oidc.keeping import (
    BOTH,
    BROKEN,
    FIRST,
    ONLY_FIRST,
    ONLY_SECOND,
    SECOND,
    Gate,
)
from tests.minting import key_set, signer
from tests.servers.answering import answer

if TYPE_CHECKING:
    from tests.integration.oidc.keeping import World


def test_the_warm_way_has_no_requests(world: World) -> None:
    """Within their time to live keys are fetched once, however often they are asked for."""
    assert {world.find("first") for _ in range(100)} == {"first"}
    world.clock.seconds += TIME_TO_LIVE_SECONDS
    assert world.find("first") == "first"
    assert world.requests == 1
    assert world.told == [("fetched", "none")]


@pytest.mark.rule("KS10", server="http")
def test_many_at_once_over_an_empty_cache_make_one_request(world: World) -> None:
    """Fifty callers with nothing in the cache lead to one fetch, and all get its answer."""
    gate = Gate(ONLY_FIRST)
    world.server.answer = gate
    ready = threading.Barrier(50)

    def find(_: int) -> Reason | str | None:
        ready.wait(30)
        return world.find("first")

    with ThreadPoolExecutor(50) as pool:
        found = [pool.submit(find, number) for number in range(50)]
        world.server.wait(1)
        gate.open.set()
        assert {one.result(30) for one in found} == {"first"}
    assert world.requests == 1


def test_many_at_once_learn_of_one_failure(world: World) -> None:
    """When that one fetch fails, nobody of those who waited starts another."""
    gate = Gate(BROKEN)
    world.server.answer = gate
    with ThreadPoolExecutor(20) as pool:
        found = [pool.submit(world.find, "first") for _ in range(20)]
        world.server.wait(1)
        gate.open.set()
        assert {one.result(30) for one in found} == {Reason.KEYS_UNAVAILABLE}
    assert world.requests == 1


@pytest.mark.rule("KS3", server="http")
def test_a_rotation_right_after_the_first_fetch_is_followed(world: World) -> None:
    """A key that came after the first fetch is found at once, with one request more."""
    assert world.find("first") == "first"
    world.server.answer = BOTH
    assert world.find("second") == "second"
    assert world.find("first") == "first"
    assert world.requests == 2


@pytest.mark.rule("KS3", server="http")
def test_an_unknown_key_costs_one_request(world: World) -> None:
    """A key that the provider does not have either is looked for once, then it is decided."""
    assert world.find("first") == "first"
    assert {world.find("other") for _ in range(10)} == {Reason.KEY_UNKNOWN}
    assert world.requests == 2


def test_an_unknown_key_over_an_empty_cache_costs_no_second_request(world: World) -> None:
    """What was just fetched for a token is not fetched once more for the same token."""
    assert world.find("other") is Reason.KEY_UNKNOWN
    assert world.requests == 1


def test_a_key_that_comes_late_is_found_after_a_while(world: World) -> None:
    """A name that was not found is looked for again half a minute later."""
    assert world.find("second") is Reason.KEY_UNKNOWN
    world.clock.seconds += 1
    world.server.answer = BOTH
    assert world.find("second") is Reason.KEY_UNKNOWN
    world.clock.seconds += LOOKS_SECONDS
    assert world.find("second") == "second"
    assert world.requests == 2


@pytest.mark.parametrize("known", [None, "first"])
def test_a_key_without_a_name_is_looked_for_too(world: World, known: str | None) -> None:
    """A token that names no key leads to one new fetch when no key fits its algorithm."""
    other = signer("ES384", known)
    assert world.find("first") == "first"
    world.server.answer = answer(key_set(other.jwk()))
    found = world.cache.find(None, "ES384")
    assert not isinstance(found, Refusal)
    assert world.requests == 2


def test_an_unsuitable_key_is_not_looked_for_again(world: World) -> None:
    """A key that is there and is no good leads to no request."""
    world.server.answer = answer(key_set(FIRST.jwk(), SECOND.jwk(use="enc")))
    assert [world.find("second") for _ in range(3)] == [Reason.KEY_UNSUITABLE] * 3
    assert world.requests == 1


@pytest.mark.rule("L12", server="http")
@pytest.mark.rule("KS3", server="http")
def test_a_thousand_invented_names_stay_within_the_limit(world: World) -> None:
    """Whatever names strangers invent, keys are fetched a few times in half a minute."""
    assert world.find("first") == "first"
    found = {world.find(f"invented {number}") for number in range(1000)}
    assert found == {Reason.KEY_UNKNOWN}
    assert world.requests == 1 + MOST_LOOKS
    world.clock.seconds += LOOKS_SECONDS
    assert {world.find(f"invented {number}") for number in range(1000, 2000)} == found
    assert world.requests == 1 + 2 * MOST_LOOKS
    assert world.find("first") == "first"


def test_what_is_remembered_of_invented_names_is_bounded(world: World) -> None:
    """Strangers who stay within the limits for hours do not fill the memory."""
    assert world.find("first") == "first"
    for number in range(MOST_UNKNOWN + 20):
        world.clock.seconds += LOOKS_SECONDS / MOST_LOOKS
        world.find(f"invented {number}")
    assert len(world.cache._unknown) == MOST_UNKNOWN


def test_who_comes_late_finds_what_another_has_fetched(world: World) -> None:
    """A caller who saw nothing, and was overtaken by a whole fetch, makes no second one."""
    others = iter(["first"])

    def overtaken() -> float:
        for name in others:
            world.find(name)
        return world.clock.seconds

    world.cache._clock = overtaken
    assert world.find("first") == "first"
    world.settle()
    assert world.requests == 1


def test_invented_names_at_once_stay_within_the_limit(world: World) -> None:
    """Strangers who come in many threads lead to no more requests than one by one."""
    assert world.find("first") == "first"
    with ThreadPoolExecutor(20) as pool:
        found = set(pool.map(world.find, [f"invented {number}" for number in range(200)]))
    assert found == {Reason.KEY_UNKNOWN}
    assert world.requests <= 1 + MOST_LOOKS


def test_strangers_do_not_hide_a_rotation_for_long(world: World) -> None:
    """While strangers use up the looks, what their looks bring counts for everybody."""
    assert world.find("first") == "first"
    world.server.answer = ONLY_SECOND
    for number in range(10):
        world.find(f"invented {number}")
    assert world.find("second") == "second"
    assert world.find("first") is Reason.KEY_UNKNOWN
