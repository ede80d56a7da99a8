"""In whatever order things happen, fetches stay within limits, and keys within their time."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.oidc.failure import Cause, FetchFailed
from syncd.oidc.jwks import (
    LIFETIMES_WITHOUT_WAIT,
    LONGEST_STALE_SECONDS,
    LOOKS_SECONDS,
    MOST_LOOKS,
    TIME_TO_LIVE_SECONDS,
    JwksCache,
)
from syncd.oidc.outcome import Reason, Refusal
from tests.minting import key_set, signer

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES: Final = ("a", "b", "c")
SETS: Final = [
    (names, key_set(*[signer("ES256", name).jwk() for name in names]))
    for names in (("a",), ("b",), ("a", "b"), ("c",))
]
# Tries after 0, 1, 3, 7 and 15 seconds of pauses that double, and one of old age.
MOST_OTHERS: Final = 6


class Provider:
    """A provider in memory: it serves a set of keys, or fails."""

    def __init__(self) -> None:
        self.now, self.serves = 0.0, 0
        self.fails = False
        # How the last fetch went.
        self.well = True
        self.asked: deque[float] = deque()
        # When each key was last in an answer.
        self.shown: dict[str, float] = {}

    def get(self, url: str) -> bytes:
        """Serve the keys, or fail."""
        self.asked.append(self.now)
        self.well = not self.fails
        if self.fails:
            raise FetchFailed(Cause.STATUS, url)
        names, body = SETS[self.serves]
        self.shown |= dict.fromkeys(names, self.now)
        return body

    def post(self, url: str, form: Mapping[str, str], *, basic: tuple[str, str] | None) -> bytes:
        """Nobody sends anything for keys."""
        raise AssertionError(url, form, basic)


EVENTS = st.one_of(
    st.tuples(st.just("find"), st.sampled_from(NAMES)),
    st.tuples(st.just("invent"), st.integers(1, 20)),
    st.tuples(st.just("serve"), st.integers(0, len(SETS) - 1)),
    st.tuples(st.just("fail"), st.booleans()),
    st.tuples(
        st.just("wait"),
        st.sampled_from([0.5, 10, LOOKS_SECONDS, TIME_TO_LIVE_SECONDS + 1, 1000, 90_000]),
    ),
)


@given(st.lists(EVENTS, max_size=40))
@settings(max_examples=150, deadline=None)
def test_fetches_and_keys_stay_within_their_limits(events: list[tuple[str, object]]) -> None:
    """No order of events leads to more fetches, or to older keys, than the limits say."""
    provider = Provider()
    cache = JwksCache("https://login.example.org/jwks", provider, clock=lambda: provider.now)
    for event in events:
        match event:
            case ("find", str(name)):
                _find(cache, provider, name)
            case ("invent", int(number)):
                for each in range(number):
                    found = cache.find(f"invented {provider.now} {each}", "ES256")
                    assert isinstance(found, Refusal)
                    assert found.reason in {Reason.KEY_UNKNOWN, Reason.KEYS_UNAVAILABLE}
            case ("serve", int(number)):
                provider.serves = number
            case ("fail", bool(fails)):
                provider.fails = fails
            case ("wait", float(seconds) | int(seconds)):
                provider.now += seconds
        _settle()
    for start in provider.asked:
        within = [at for at in provider.asked if start <= at < start + LOOKS_SECONDS]
        assert len(within) <= MOST_LOOKS + MOST_OTHERS


def _find(cache: JwksCache, provider: Provider, name: str) -> None:
    quiet = provider.now - provider.asked[-1] if provider.asked else float("inf")
    well = provider.well
    found = cache.find(name, "ES256")
    if not provider.fails and quiet > LONGEST_STALE_SECONDS:
        # Nothing old counts, and nothing stands in the way of a fetch.
        assert isinstance(found, Refusal) == (name not in SETS[provider.serves][0])
    if not provider.fails and well and quiet > LIFETIMES_WITHOUT_WAIT * TIME_TO_LIVE_SECONDS:
        assert isinstance(found, Refusal) == (name not in SETS[provider.serves][0])
    if isinstance(found, Refusal):
        # A provider that answers has been asked, or was asked often enough just now.
        assert found.reason is Reason.KEY_UNKNOWN or not provider.well
        return
    assert found.key_id == name
    assert provider.now - provider.shown[name] <= LONGEST_STALE_SECONDS


def _settle() -> None:
    for thread in threading.enumerate():
        if thread.name == "syncd-keys":
            thread.join(30)
