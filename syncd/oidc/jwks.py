"""Owns a provider's keys over time: when they are fetched again, and by which of the callers.

- Keys that are known answer at once. Once they are old they are fetched again beside the callers;
  somebody waits only when there are none, or when nobody has asked for so long that they say
  little about now.
- Of callers that need a fetch at one time one makes it, and the others wait for its answer.
- A key that is not known may be new. So it is looked for anew at once, also right after the first
  fetch, but only a few times in half a minute, whatever names of keys a stranger invents.
- A provider that fails is asked again after a pause that grows. The keys that it had go on to
  count for a day, so that its outage is not everybody's.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from syncd.errors import ProviderUnavailable
from syncd.oidc.addresses import target
from syncd.oidc.failure import Cause, FetchFailed
from syncd.oidc.keys import KeySet
from syncd.oidc.outcome import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.oidc.keys import Key
    from syncd.oidc.ports import Fetch

TIME_TO_LIVE_SECONDS: Final = 300.0
# How long keys count that cannot be fetched again.
LONGEST_STALE_SECONDS: Final = 24 * 3600.0
# Keys of this many lifetimes were left alone: the first who comes waits for newer ones.
LIFETIMES_WITHOUT_WAIT: Final = 2
# Fetches because of a key that is not known: so many in so long.
MOST_LOOKS: Final = 2
LOOKS_SECONDS: Final = 30.0
# A name that was looked for and not found is not looked for again so soon.
UNKNOWN_SECONDS: Final = 30.0
MOST_UNKNOWN: Final = 256
# After a failure; twice as long after each further one, 32 seconds at most.
PAUSE_SECONDS: Final = 1.0
_MOST_DOUBLINGS: Final = 5
# Callers that joined a fetch which was under way look once more for themselves.
_ROUNDS: Final = 3

FETCHED: Final = "fetched"
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class _Held:
    keys: KeySet
    # Fetches are counted, because two can begin at one moment of a clock.
    number: int
    # When it was asked for: what is in it may be that old.
    asked_at: float


@dataclass(slots=True)
class _Flight:
    """A fetch that is under way, or how it ended."""

    number: int
    asked_at: float
    done: threading.Event = field(default_factory=threading.Event)
    held: _Held | None = None
    cause: Cause = Cause.UNUSABLE
    error: str = "the fetch ended without an answer"


class JwksCache:
    """The keys of one provider; any thread may ask.

    Args:
        url: Where they are; None: there are none, and nothing is fetched.
        fetch: The way out.
        clock: Seconds that only go forward.
        fetched: Told of each fetch with "fetched" or "failed" and a ``Cause``, on whatever thread
            made it.
        time_to_live: How old keys get before they are fetched again.
        longest_stale: How old they get when that fails.

    """

    def __init__(
        self,
        url: str | None,
        fetch: Fetch,
        *,
        clock: Callable[[], float] = time.monotonic,
        fetched: Callable[[str, str], None] | None = None,
        time_to_live: float = TIME_TO_LIVE_SECONDS,
        longest_stale: float = LONGEST_STALE_SECONDS,
    ) -> None:
        self._url, self._fetch, self._clock, self._fetched = url, fetch, clock, fetched
        self._time_to_live, self._longest_stale = time_to_live, longest_stale
        self._lock = threading.Lock()
        self._held: _Held | None = None
        self._flight: _Flight | None = None
        self._begun = 0
        # How often it failed since it last went well, what was said, and when to ask again.
        self._failures, self._error, self._ask_again_at = 0, "", float("-inf")
        self._looks: deque[float] = deque(maxlen=MOST_LOOKS)
        self._unknown: OrderedDict[tuple[str | None, str], float] = OrderedDict()

    def find(self, key_id: str | None, algorithm: str) -> Key | Refusal:
        """Return the key of a token's header, or key_unknown, key_unsuitable, keys_unavailable."""
        begun, held, now = self._begun, self._held, self._clock()
        if held is None or now - held.asked_at > self._time_to_live:
            if self._url is None:
                return Refusal(Reason.KEYS_UNAVAILABLE, "no jwks_url is configured: add it")
            held = self._renewed(now)
            if held is None:
                return self._unavailable()
        found = held.keys.find(key_id, algorithm)
        if isinstance(found, Refusal) and found.reason is Reason.KEY_UNKNOWN:
            return self._look_again(held, found, (key_id, algorithm), begun)
        return found

    def _renewed(self, now: float) -> _Held | None:
        """Return keys that may be used now, where those that are held are old or missing."""
        with self._lock:
            # Somebody else's fetch may have ended meanwhile.
            held = self._held
            age = float("inf") if held is None else now - held.asked_at
            if age <= self._time_to_live:
                return held
            usable = held if age <= self._longest_stale else None
            if self._flight is None and now < self._ask_again_at:
                return usable
            waits = usable is None or (
                not self._failures and age > LIFETIMES_WITHOUT_WAIT * self._time_to_live
            )
            flight, mine = self._take_off(now)
        if waits:
            # A failed fetch leaves what is held, unless it said that nobody can trust that.
            return self._arrive(flight, mine=mine) or (usable and self._held)
        if mine:
            self._in_background(flight)
        return usable

    def _look_again(
        self, held: _Held, refusal: Refusal, wanted: tuple[str | None, str], begun: int
    ) -> Key | Refusal:
        """Look for a key in a newer set than the one that lacks it."""
        for _ in range(_ROUNDS):
            # What was fetched after the token came is as new as can be.
            if held.number > begun:
                break
            now = self._clock()
            flight: _Flight | None = None
            mine = False
            with self._lock:
                newer = self._held
                if newer is None or newer.number <= held.number:
                    if self._flight is None and not self._may_look(wanted, now):
                        return self._unavailable() if now < self._ask_again_at else refusal
                    flight, mine = self._take_off(now)
            if flight is not None:
                newer = self._arrive(flight, mine=mine)
            if newer is None:
                return self._unavailable()
            held, found = newer, newer.keys.find(*wanted)
            if not isinstance(found, Refusal) or found.reason is not Reason.KEY_UNKNOWN:
                return found
            refusal = found
        self._remember(wanted)
        return refusal

    def _may_look(self, wanted: tuple[str | None, str], now: float) -> bool:
        """Whether an unknown key may be looked for now; it is counted if so."""
        if now < self._ask_again_at or now < self._unknown.get(wanted, now):
            return False
        if len(self._looks) == MOST_LOOKS and now - self._looks[0] < LOOKS_SECONDS:
            return False
        self._looks.append(now)
        return True

    def _remember(self, wanted: tuple[str | None, str]) -> None:
        with self._lock:
            self._unknown[wanted] = self._clock() + UNKNOWN_SECONDS
            self._unknown.move_to_end(wanted)
            if len(self._unknown) > MOST_UNKNOWN:
                self._unknown.popitem(last=False)

    def _take_off(self, now: float) -> tuple[_Flight, bool]:
        """Return the fetch that is under way, or a new one that the caller has to make."""
        if self._flight is not None:
            return self._flight, False
        self._begun += 1
        self._flight = _Flight(self._begun, now)
        return self._flight, True

    def _arrive(self, flight: _Flight, *, mine: bool) -> _Held | None:
        if mine:
            self._fly(flight)
        else:
            flight.done.wait()
        return flight.held

    def _in_background(self, flight: _Flight) -> None:
        try:
            threading.Thread(
                target=self._fly, args=(flight,), name="syncd-keys", daemon=True
            ).start()
        except RuntimeError:
            # No thread is to be had; somebody has to.
            self._fly(flight)

    def _fly(self, flight: _Flight) -> None:
        try:
            # Nobody comes here without a URL.
            keys = _read(self._url or "", self._fetch)
            flight.held = _Held(keys, flight.number, flight.asked_at)
            flight.cause = Cause.NONE
        except FetchFailed as error:
            flight.error, flight.cause = str(error), error.reason
        except ProviderUnavailable as error:
            flight.error = str(error)
        finally:
            # Also when something went wrong that nobody thought of: others are waiting.
            with self._lock:
                self._settle(flight)
                self._flight = None
            flight.done.set()
        if self._fetched is not None:
            outcome = FETCHED if flight.cause is Cause.NONE else FAILED
            self._fetched(outcome, flight.cause.value)

    def _settle(self, flight: _Flight) -> None:
        if flight.held is not None:
            self._held = flight.held
            self._failures, self._error, self._ask_again_at = 0, "", float("-inf")
            return
        if flight.cause is Cause.EXPOSED:
            # Those that were good are among them, and everybody can sign with them now.
            self._held = None
        pause = PAUSE_SECONDS * 2**self._failures
        self._failures = min(self._failures + 1, _MOST_DOUBLINGS)
        self._error, self._ask_again_at = flight.error, self._clock() + pause

    def _unavailable(self) -> Refusal:
        return Refusal(Reason.KEYS_UNAVAILABLE, f"the provider's keys cannot be had: {self._error}")


def _read(url: str, fetch: Fetch) -> KeySet:
    body = fetch.get(url)
    try:
        keys = KeySet.parse(body)
    except ProviderUnavailable as error:
        reason = getattr(error, "reason", Cause.UNUSABLE)
        raise FetchFailed(reason, f"{target(url)}: {error}") from error
    if not len(keys):
        why = keys.ignored[0] if keys.ignored else "the set is empty"
        raise FetchFailed(Cause.UNUSABLE, f"{target(url)}: no key of it can be used: {why}")
    return keys
