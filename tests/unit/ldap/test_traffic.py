"""Counting requests: operations, results, buckets, the earliest certificate."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from syncd.errors import CertificateRejected, DirectoryUnavailable
from syncd.ldap.traffic import BIND, SEARCH, START_TLS, Traffic, result_name

MOMENT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0, "0.001"), (0.001, "0.001"), (0.0011, "0.0025"), (1, "1"), (60, "60"), (60.1, "+Inf")],
)
def test_a_request_is_in_the_smallest_bucket_that_holds_it(seconds: float, bucket: str) -> None:
    """A bound belongs to its bucket, and what is longer than all is beyond."""
    traffic = Traffic()
    traffic.record(SEARCH, "success", seconds)
    assert traffic.as_json()[0]["within"] == {bucket: 1}


def test_counts_are_by_operation_and_result() -> None:
    """Requests of a kind add up; others are apart, in a steady order."""
    traffic = Traffic()
    for operation, result, seconds in (
        (SEARCH, "success", 0.5),
        (BIND, "success", 0.25),
        (SEARCH, "busy", 2),
        (SEARCH, "success", 4),
    ):
        traffic.record(operation, result, seconds)
    assert traffic.as_json() == [
        {
            "operation": "bind",
            "result": "success",
            "count": 1,
            "seconds": 0.25,
            "within": {"0.25": 1},
        },
        {"operation": "search", "result": "busy", "count": 1, "seconds": 2, "within": {"2.5": 1}},
        {
            "operation": "search",
            "result": "success",
            "count": 2,
            "seconds": 4.5,
            "within": {"0.5": 1, "5": 1},
        },
    ]


@pytest.mark.parametrize(
    ("code", "name"),
    [(0, "success"), (51, "busy"), (4, "sizeLimitExceeded"), (9999, "unknown"), (None, "lost")],
)
def test_results_are_named_as_the_protocol_does(code: object, name: str) -> None:
    """A code has its RFC's name, a strange one none, and no code is a lost request."""
    assert result_name(code) == name


@pytest.mark.parametrize(
    ("error", "code", "result"),
    [
        (None, 0, "success"),
        (None, 49, "invalidCredentials"),
        (None, None, "lost"),
        (DirectoryUnavailable("away"), None, "lost"),
        # The server agreed to StartTLS, and the handshake failed.
        (DirectoryUnavailable("away"), 0, "lost"),
        (DirectoryUnavailable("refused"), 52, "unavailable"),
        (CertificateRejected("expired"), 0, "untrusted"),
        (KeyboardInterrupt(), None, "abandoned"),
    ],
)
def test_a_request_ends_with_what_became_of_it(
    error: BaseException | None, code: int | None, result: str
) -> None:
    """Whatever ends it, a request is counted once, with the time since its start."""
    now = iter([10.0, 10.5])
    traffic = Traffic(clock=lambda: next(now))

    def ask() -> None:
        with traffic.request(START_TLS, lambda: code):
            if error is not None:
                raise error

    if error is None:
        ask()
    else:
        with pytest.raises(type(error)):
            ask()
    (found,) = traffic.as_json()
    assert (found["operation"], found["result"]) == ("start_tls", result)
    assert (found["count"], found["seconds"]) == (1, 0.5)


def test_the_earliest_certificate_is_kept() -> None:
    """Of several servers' certificates the one that ends first is told, and none without TLS."""
    traffic = Traffic()
    assert traffic.report() == {"requests": [], "certificates": {}}
    for year in (2031, 2030, 2032):
        traffic.certificate(MOMENT.replace(year=year))
    assert traffic.report()["certificates"] == {"directory": "2030-01-02T03:04:05Z"}
