from __future__ import annotations

from syncd.daemon.ending import Drain, Step
from syncd.daemon.messages import Ended, Failure
from syncd.daemon.runs import ending_of
from syncd.schedule import Ending


def test_runs_may_end_by_themselves_first() -> None:
    """Until the deadline runs go on, then they are interrupted, then killed."""
    drain = Drain()
    assert drain.step(0, running=1, unsettled=False) is Step.WAIT
    drain.begin(100, 30)
    steps = [drain.step(now, running=1, unsettled=False) for now in (100, 129, 130, 131, 139)]
    assert steps == [Step.WAIT, Step.WAIT, Step.INTERRUPT, Step.WAIT, Step.WAIT]
    assert drain.step(140, running=1, unsettled=False) is Step.KILL
    assert drain.step(141, running=1, unsettled=False) is Step.WAIT
    assert drain.step(142, running=0, unsettled=True) is Step.WAIT
    assert drain.step(143, running=0, unsettled=False) is Step.FINISH
    assert not drain.forced


def test_an_idle_daemon_ends_at_once() -> None:
    """Nothing under way and nothing to give back: there is nothing to wait for."""
    drain = Drain()
    drain.begin(100, 30)
    assert drain.step(100, running=0, unsettled=False) is Step.FINISH


def test_a_store_that_is_gone_holds_up_no_end() -> None:
    """Claims that cannot be given back run out by themselves."""
    drain = Drain()
    drain.begin(100, 30)
    assert drain.step(100, running=0, unsettled=True) is Step.WAIT
    assert drain.step(106, running=0, unsettled=True) is Step.FINISH


def test_a_second_signal_ends_at_once() -> None:
    """Whoever asks twice does not want to wait."""
    drain = Drain()
    drain.begin(100, 30)
    drain.begin(101, 30)
    assert drain.step(101, running=3, unsettled=True) is Step.FINISH
    assert drain.forced


def ended(code: str | None, *, retryable: bool = False, **report: str) -> Ended:
    """Return the end of a run with an error, a report or both."""
    failure = Failure(code, "because", retryable) if code else None
    return Ended(1, dict(report) or None, failure, 1.0, 0)


def test_how_a_run_ended_is_read_from_its_report_or_error() -> None:
    """A held lease, a pause, an interruption and two kinds of failure are told apart."""
    cases = [
        (ended(None, status="done", listing="complete"), Ending.DONE),
        (ended(None, status="blocked", listing="complete"), Ending.DONE),
        (ended(None, status="done", listing="unverified"), Ending.DONE),
        (ended(None, status="done", listing="truncated"), Ending.FAILED),
        (ended("directory_unavailable", retryable=True, status="failed"), Ending.FAILED),
        (ended("worker_ended", retryable=True), Ending.FAILED),
        (ended("bind_rejected"), Ending.REFUSED),
        (ended("lease_held", retryable=True), Ending.BUSY),
        (ended("lease_lost", retryable=True, status="failed"), Ending.BUSY),
        (ended("organization_paused"), Ending.STOPPED),
        (ended("organization_pending"), Ending.STOPPED),
        (ended("interrupted", status="interrupted"), Ending.GIVEN_BACK),
    ]
    assert [ending_of(each) for each, _ in cases] == [ending for _, ending in cases]
