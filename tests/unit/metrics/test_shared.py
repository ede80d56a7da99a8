"""Reading the store for scrapes, whatever the store does."""

from __future__ import annotations

import json
import logging as standard
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from syncd import logging
from syncd.errors import StoreUnavailable
from syncd.metrics.shared import KEPT_SECONDS, SharedValues

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_SECONDS = 30


@pytest.fixture
def _restored() -> Iterator[None]:
    """Leave logging as it was."""
    root = standard.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


def _counting(calls: list[int], answer: Callable[[], Any] = dict) -> Callable[[], Any]:
    def read() -> Any:
        calls.append(len(calls))
        return answer()

    return read


@pytest.mark.parametrize(("after", "reads"), [(0, 1), (KEPT_SECONDS - 1, 1), (KEPT_SECONDS, 2)])
def test_are_kept_for_a_while(after: float, reads: int) -> None:
    """Scrapes within the time share one read; one after it reads anew."""
    now, calls = [100.0], list[int]()
    shared = SharedValues(clock=lambda: now[0])
    shared.read_with(_counting(calls, lambda: {"acme": {"blocked": 1}}))
    assert shared.values() == {"acme": {"blocked": 1}}
    now[0] += after
    shared.values()
    assert len(calls) == reads


def test_scrapes_at_the_same_time_share_one_read() -> None:
    """However many ask at once, the store is asked once."""
    calls, go = list[int](), threading.Event()

    def slow() -> dict[str, Any]:
        go.wait(PATIENCE_SECONDS)
        return {"acme": {}}

    shared = SharedValues(wait_seconds=PATIENCE_SECONDS)
    shared.read_with(_counting(calls, slow))
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(shared.values) for _ in range(8)]
        go.set()
        assert [each.result(PATIENCE_SECONDS) for each in asked] == [{"acme": {}}] * 8
    assert len(calls) == 1


def test_a_store_that_hangs_is_given_up() -> None:
    """A read that does not end costs a scrape a moment; when it ends its answer is used."""
    go, calls = threading.Event(), list[int]()

    def hanging() -> dict[str, Any]:
        go.wait(PATIENCE_SECONDS)
        return {"acme": {"blocked": 3}}

    shared = SharedValues(wait_seconds=0.05)
    shared.read_with(_counting(calls, hanging))
    assert [shared.values(), shared.values()] == [None, None]
    assert (shared.errors, len(calls)) == (2, 1)
    go.set()
    until = threading.Event()
    for _ in range(PATIENCE_SECONDS * 100):
        if shared.values() is not None:
            break
        until.wait(0.01)
    assert shared.values() == {"acme": {"blocked": 3}}


def test_nothing_is_known_before_somebody_can_be_asked() -> None:
    """Without a store there are no values and no errors."""
    shared = SharedValues()
    assert shared.values() is None
    assert shared.errors == 0


def test_another_store_is_read_at_once() -> None:
    """After a reload the old store's values are not told any more."""
    shared = SharedValues()
    shared.read_with(lambda: {"old": {}})
    assert shared.values() == {"old": {}}
    shared.read_with(lambda: {"new": {}})
    assert shared.values() == {"new": {}}


@pytest.mark.usefixtures("_restored")
def test_a_failure_is_logged_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    """The log says what is wrong with the store, with an action and without its password."""
    logging.configure(format="json")

    def failing() -> dict[str, Any]:
        raise StoreUnavailable("postgresql://syncd:hidden-word@db/syncd is away; start it")

    shared = SharedValues()
    shared.read_with(failing)
    assert shared.values() is None
    (event,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (event["action"], event["level"]) == ("metrics_store_unreadable", "warning")
    assert "is away" in event["error"]
    assert "hidden-word" not in json.dumps(event)
