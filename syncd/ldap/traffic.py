"""What was asked of a directory: requests by operation and result, and the time they took.

Counted per request, never per entry: a page of a listing is one search, timed from sending it to
reading its SearchResultDone. Because the next page is asked for while the last one is worked on,
its time holds that work when it lasted longer than the directory's answer.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from ldap3.core.exceptions import LDAPExceptionError

from syncd.errors import CertificateRejected, DirectoryError
from syncd.ldap import results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONNECT: Final = "connect"
START_TLS: Final = "start_tls"
BIND: Final = "bind"
SEARCH: Final = "search"

# Beside the names of LDAP's result codes: no answer came, for whatever reason; the server is there
# and its certificate is refused; we told the server that nobody waits for the answer any more.
LOST: Final = "lost"
UNTRUSTED: Final = "untrusted"
ABANDONED: Final = "abandoned"

# Upper bounds in seconds, and one without a bound behind them.
BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
BEYOND: Final = "+Inf"


@dataclass(slots=True)
class _Count:
    seconds: float = 0.0
    # Requests by the smallest bound that holds them; the last is beyond all bounds.
    within: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))


class Traffic:
    """The requests of one source, over all its connections."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._lock = Lock()
        self._counts: dict[tuple[str, str], _Count] = {}
        self._not_after: datetime | None = None

    def record(self, operation: str, result: str, seconds: float) -> None:
        """Count one request that has ended."""
        with self._lock:
            count = self._counts.setdefault((operation, result), _Count())
            count.seconds += seconds
            count.within[bisect_left(BOUNDS, seconds)] += 1

    def begin(self, operation: str) -> Callable[[str], None]:
        """Start the clock of a request; call what is returned with its result, once."""
        started = self.clock()

        def ended(result: str) -> None:
            self.record(operation, result, self.clock() - started)

        return ended

    @contextmanager
    def request(
        self, operation: str, code: Callable[[], object] = lambda: results.SUCCESS
    ) -> Iterator[None]:
        """Count what happens inside as one request; ``code`` tells its result code afterwards."""
        ended = self.begin(operation)
        try:
            yield
        except CertificateRejected:
            ended(UNTRUSTED)
            raise
        except (DirectoryError, LDAPExceptionError):
            # A server that said yes to StartTLS may still be lost in the handshake.
            ended(result_name(code() or None))
            raise
        except BaseException:
            ended(ABANDONED)
            raise
        ended(result_name(code()))

    def certificate(self, not_after: datetime) -> None:
        """Note until when a server's certificate is valid; the earliest is kept."""
        with self._lock:
            if self._not_after is None or not_after < self._not_after:
                self._not_after = not_after

    def report(self) -> dict[str, Any]:
        """Return what a run's report holds of it."""
        return {"requests": self.as_json(), "certificates": self.certificates_as_json()}

    def as_json(self) -> list[dict[str, Any]]:
        """Return the counts, sorted: operation, result, count, seconds, and the buckets in use.

        ``within`` tells how many requests took at most so many seconds and longer than the bound
        before it.
        """
        bounds = [*(f"{bound:g}" for bound in BOUNDS), BEYOND]
        with self._lock:
            return [
                {
                    "operation": operation,
                    "result": result,
                    "count": sum(count.within),
                    "seconds": round(count.seconds, 6),
                    "within": {
                        bound: number
                        for bound, number in zip(bounds, count.within, strict=True)
                        if number
                    },
                }
                for (operation, result), count in sorted(self._counts.items())
            ]

    def certificates_as_json(self) -> dict[str, str]:
        """Return when the certificates end that servers have shown, by use; empty without TLS."""
        with self._lock:
            if self._not_after is None:
                return {}
            return {"directory": self._not_after.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def result_name(code: object) -> str:
    """Return the name of an LDAP result code (RFC 4511 section 4.1.9); no code means no answer."""
    if not isinstance(code, int):
        return LOST
    return results.NAMES.get(code, "unknown")
