"""Keys that grow old, and providers that fail."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from syncd.oidc.fetch import Fetcher
from syncd.oidc.jwks import LONGEST_STALE_SECONDS, TIME_TO_LIVE_SECONDS, JwksCache
from syncd.oidc.outcome import Reason, Refusal
from tests.integration.oidc.keeping import (
    BOTH,
    BROKEN,
    EMPTY,
    FIRST,
    ONLY_FIRST,
    ONLY_SECOND,
    Gate,
)
from tests.minting import key_set
from tests.servers.answering import answer

if TYPE_CHECKING:
    from tests.integration.oidc.keeping import World


def test_old_keys_are_renewed_beside_the_callers(world: World) -> None:
    """When their time is over, keys still answer at once while one fetch is under way."""
    assert world.find("first") == "first"
    gate = Gate(ONLY_SECOND)
    world.server.answer = gate
    world.clock.seconds += TIME_TO_LIVE_SECONDS + 1
    # Nobody lets the answer go meanwhile: whoever waited for it would not come back.
    assert {world.find("first") for _ in range(20)} == {"first"}
    assert world.told == [("fetched", "none")]
    world.server.wait(2)
    gate.open.set()
    world.settle()
    assert world.find("second") == "second"
    assert world.find("first") is Reason.KEY_UNKNOWN


def test_keys_that_nobody_asked_for_in_long_are_fetched_first(world: World) -> None:
    """After a long quiet time a key that the provider has withdrawn counts no more."""
    assert world.find("first") == "first"
    world.server.answer = ONLY_SECOND
    world.clock.seconds += 10 * TIME_TO_LIVE_SECONDS
    assert world.find("first") is Reason.KEY_UNKNOWN
    assert world.find("second") == "second"


def test_many_at_once_over_old_keys_make_one_request(world: World) -> None:
    """Whoever comes while keys are renewed waits for that fetch, or finds what it brought."""
    assert world.find("first") == "first"
    world.server.answer = ONLY_SECOND
    world.clock.seconds += 10 * TIME_TO_LIVE_SECONDS
    with ThreadPoolExecutor(20) as pool:
        found = set(pool.map(world.find, ["second"] * 200))
    assert found == {"second"}
    assert world.requests == 2


@pytest.mark.rule("KS8", server="http")
def test_a_provider_that_falls_silent_is_a_failure_like_others(world: World) -> None:
    """A fetch that takes too long leaves the keys that are known, and is counted as such."""
    told: list[str] = []
    cache = JwksCache(
        world.server.url(),
        Fetcher(seconds=0.3),
        clock=world.clock,
        fetched=lambda _, reason: told.append(reason),
    )
    assert not isinstance(cache.find("first", "ES256"), Refusal)
    silent = world.server.answer = Gate(ONLY_FIRST)
    world.clock.seconds += 10 * TIME_TO_LIVE_SECONDS
    assert not isinstance(cache.find("first", "ES256"), Refusal)
    silent.open.set()
    assert told == ["none", "timeout"]


@pytest.mark.parametrize("broken", [BROKEN, EMPTY, answer(b"<html>", kind="text/html"), b""])
@pytest.mark.rule("KS8", server="http")
def test_known_keys_count_while_the_provider_fails(world: World, broken: bytes) -> None:
    """Keys that cannot be fetched again count for a day, and not longer."""
    assert world.find("first") == "first"
    world.server.answer = broken
    world.clock.seconds += LONGEST_STALE_SECONDS - 1
    assert world.find("first") == "first"
    assert world.requests == 2
    world.clock.seconds += 2
    assert world.find("first") is Reason.KEYS_UNAVAILABLE
    world.server.answer = ONLY_FIRST
    world.clock.seconds += 60
    assert world.find("first") == "first"


@pytest.mark.rule("KS8", server="http")
def test_an_outage_over_an_empty_cache_refuses(world: World) -> None:
    """Without any keys nothing is said of a token, and it is not let in."""
    world.server.answer = BROKEN
    found = world.cache.find("first", "ES256")
    assert isinstance(found, Refusal)
    assert found.reason is Reason.KEYS_UNAVAILABLE
    assert "status 500" in found.detail
    assert world.told == [("failed", "status")]


def test_a_provider_that_fails_is_asked_after_pauses_that_grow(world: World) -> None:
    """Pauses double from a second to half a minute; a success begins anew."""
    world.server.answer = BROKEN
    pauses = []
    for _ in range(8):
        before, start = world.requests, world.clock.seconds
        while world.requests == before:
            world.find("first")
            world.clock.seconds += 0.5
        pauses.append(world.clock.seconds - 0.5 - start)
    assert pauses == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 31.5]
    world.server.answer = ONLY_FIRST
    world.clock.seconds += 32
    assert world.find("first") == "first"
    assert world.told.count(("fetched", "none")) == 1
    world.server.answer = BROKEN
    world.clock.seconds += 10 * TIME_TO_LIVE_SECONDS
    assert world.find("first") == "first"
    world.settle()
    requests = world.requests
    world.clock.seconds += 1
    assert world.find("first") == "first"
    world.settle()
    assert world.requests == requests + 1


def test_nobody_waits_for_a_provider_that_has_failed(world: World) -> None:
    """After a failure known keys answer at once, however old, while the next try is under way."""
    assert world.find("first") == "first"
    world.server.answer = BROKEN
    world.clock.seconds += 10 * TIME_TO_LIVE_SECONDS
    assert world.find("first") == "first"
    gate = Gate(ONLY_SECOND)
    world.server.answer = gate
    world.clock.seconds += 60
    assert world.find("first") == "first"
    assert world.told == [("fetched", "none"), ("failed", "status")]
    world.server.wait(3)
    gate.open.set()


def test_an_unknown_key_during_an_outage_says_nothing(world: World) -> None:
    """While the provider fails an unknown key may be a new one; known ones count."""
    assert world.find("first") == "first"
    world.server.answer = BROKEN
    assert world.find("second") is Reason.KEYS_UNAVAILABLE
    assert world.find("third") is Reason.KEYS_UNAVAILABLE
    assert world.find("first") == "first"
    assert world.requests == 2
    world.server.answer = BOTH
    world.clock.seconds += 2
    assert world.find("second") == "second"


@pytest.mark.rule("KS7", server="http")
def test_published_private_keys_end_the_trust_in_those_that_were_known(world: World) -> None:
    """When private keys are published the known ones count no more: anybody can use them."""
    assert world.find("first") == "first"
    world.server.answer = answer(key_set(FIRST.jwk(d="AQAB")))
    assert world.find("second") is Reason.KEYS_UNAVAILABLE
    found = world.cache.find("first", "ES256")
    assert isinstance(found, Refusal)
    assert found.reason is Reason.KEYS_UNAVAILABLE
    assert "private" in found.detail
    assert world.told[-1] == ("failed", "exposed")
    world.server.answer = ONLY_SECOND
    world.clock.seconds += 2
    assert world.find("second") == "second"


@pytest.mark.rule("KS7", server="http")
def test_private_keys_that_are_met_with_end_the_trust_at_once(world: World) -> None:
    """Whoever fetches the set with private keys is not served the keys from before."""
    assert world.find("first") == "first"
    world.server.answer = answer(key_set(FIRST.jwk(d="AQAB")))
    world.clock.seconds += 10 * TIME_TO_LIVE_SECONDS
    assert world.find("first") is Reason.KEYS_UNAVAILABLE


def test_without_a_url_nothing_is_fetched() -> None:
    """A provider without jwks_url has no keys, and that is said."""
    cache = JwksCache(None, Fetcher())
    found = cache.find("first", "ES256")
    assert isinstance(found, Refusal)
    assert (found.reason, "jwks_url" in found.detail) == (Reason.KEYS_UNAVAILABLE, True)


def test_a_fault_of_ours_does_not_leave_others_waiting(world: World) -> None:
    """When a fetch ends in a way that nobody thought of, the next one is made."""

    class Faulty:
        def get(self, url: str) -> bytes:
            raise RuntimeError(url)

        post = Fetcher().post

    cache = JwksCache("https://login.example.org/", Faulty(), clock=world.clock)
    with pytest.raises(RuntimeError):
        cache.find("first", "ES256")
    found = cache.find("first", "ES256")
    assert isinstance(found, Refusal)
    assert found.reason is Reason.KEYS_UNAVAILABLE
    world.clock.seconds += 2
    with pytest.raises(RuntimeError):
        cache.find("first", "ES256")
