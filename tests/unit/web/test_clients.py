"""How often a portal's secret may be wrong."""

from __future__ import annotations

import pytest

from syncd.errors import TooManyAttempts
from syncd.web.api.clients import MOST_FAILURES, MOST_KNOWN, WITHIN_SECONDS, Failures, _network


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def test_failures_are_forgotten_one_after_the_other() -> None:
    """Whoever failed too often waits until the first of his failures is a minute old."""
    clock = Clock()
    failures, key = Failures(clock), ("intranet", "192.0.2.1")
    for second in range(MOST_FAILURES):
        clock.now = float(second)
        failures.check(key)
        failures.add(key)
    with pytest.raises(TooManyAttempts) as caught:
        failures.check(key)
    assert caught.value.retry_after == WITHIN_SECONDS - (MOST_FAILURES - 1)
    failures.check(("wiki", "192.0.2.1"))
    failures.check(("intranet", "192.0.2.2"))
    clock.now += caught.value.retry_after
    failures.check(key)
    failures.add(key)
    with pytest.raises(TooManyAttempts):
        failures.check(key)


def test_strangers_do_not_fill_the_memory() -> None:
    """The oldest are forgotten before there are too many."""
    failures = Failures(Clock())
    for number in range(MOST_KNOWN + 100):
        failures.add((str(number), ""))
    assert len(failures._known) == MOST_KNOWN


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("", ""),
        ("testclient", ""),
    ],
)
def test_one_machine_has_a_whole_network_of_ipv6(address: str, network: str) -> None:
    """So another address of the same /64 is nobody else; what is no address is one and the same."""
    assert _network(address) in {network, network.replace("192.0.2.1", "c000:201")}
