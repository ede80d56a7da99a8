"""What the bench of sign-ins makes of what it has measured."""

from __future__ import annotations

import threading
import time

from bench.sign_ins import FAST, STEADY, SYNCING, Waited, signing_in, table


def test_the_table_says_how_much_longer_people_wait_during_a_sync() -> None:
    """Rate, median and 99th percentile, and that as a multiple of the same rate without a sync."""
    quick = [0.01] * 98 + [0.02, 0.05]
    phases = {
        FAST: Waited(seconds=10, times=quick),
        STEADY: Waited(seconds=20, times=quick),
        SYNCING: Waited(seconds=50, times=[2 * each for each in quick], refused=3),
    }
    lines = table({"SQLite": {"directory password": phases}}).splitlines()
    assert lines[1].split()[-5:] == ["10.0", "10", "50", "1.00", "0"]
    assert lines[3].split()[-5:] == ["2.0", "20", "100", "2.00", "3"]


def test_nobody_is_let_in_alone() -> None:
    """Without anybody there is no rate, and no percentile that could be mistaken for one."""
    nobody = Waited(seconds=1, refused=1)
    assert nobody.rate == 0
    assert nobody.percentile(0.99) != nobody.percentile(0.99)


def test_who_finds_all_browsers_busy_waits_for_one() -> None:
    """At a steady rate the time counts from when somebody came."""
    begun: list[float] = []
    lock = threading.Lock()

    def slow(_port: int, _number: int) -> float:
        with lock:
            begun.append(time.perf_counter())
        time.sleep(0.05)
        return 0.05

    found = signing_in(slow, 1, browsers=1, rate=1000, goes_on=lambda _: len(begun) < 4)
    assert len(found.times) == 4
    # Each waits for all before him.
    assert found.times == sorted(found.times)
    assert found.times[-1] > 0.14
