"""The address that is scraped, asked over real HTTP."""

from __future__ import annotations

import gzip
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from syncd.errors import UsageError
from syncd.metrics import Configured, Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syncd.metrics import Listener

PATIENCE_SECONDS = 10


@pytest.fixture
def metrics() -> Metrics:
    """Metrics of one organization."""
    found = Metrics(version="1.2.3")
    found.organizations([Configured(id="acme")])
    return found


@pytest.fixture
def listener(metrics: Metrics) -> Iterator[Listener]:
    """A listener on a free port of loopback."""
    found = metrics.listen("127.0.0.1", 0)
    yield found
    found.close()


def _ask(
    listener: Listener, path: str, method: str = "GET", **headers: str
) -> tuple[int, str, bytes]:
    """Return status, content type and body."""
    url = f"http://127.0.0.1:{listener.port}{path}"
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read()


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/metrics", 200, b'syncd_build_info{version="1.2.3"} 1.0\n'),
        ("/metrics?x=1", 200, b'syncd_build_info{version="1.2.3"} 1.0\n'),
        ("/", 200, b"/metrics"),
        ("/metrics/", 404, b"only /metrics"),
        ("/favicon.ico", 404, b"only /metrics"),
        ("/../etc/passwd", 404, b"only /metrics"),
    ],
)
def test_only_metrics_are_there(listener: Listener, path: str, status: int, said: bytes) -> None:
    """One path has the metrics, the root says which, and there is nothing else."""
    found, _, body = _ask(listener, path)
    assert found == status
    assert said in body


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "text/plain"),
        ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text"),
    ],
)
def test_the_format_is_negotiated(listener: Listener, accept: str, kind: str) -> None:
    """Text is what everybody gets, OpenMetrics who asks for it."""
    status, found, body = _ask(listener, "/metrics", Accept=accept)
    assert (status, found.partition(";")[0]) == (200, kind)
    assert body.endswith(b"# EOF\n") == (kind != "text/plain")


def test_answers_are_compressed_when_asked(listener: Listener) -> None:
    """A scraper that takes gzip gets it."""
    _, _, body = _ask(listener, "/metrics", **{"Accept-Encoding": "gzip"})
    assert b"syncd_build_info" in gzip.decompress(body)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 501), ("DELETE", 501)])
def test_it_is_only_read(listener: Listener, method: str, status: int) -> None:
    """HEAD has no body, and nothing can be written."""
    found, _, body = _ask(listener, "/metrics", method)
    assert found == status
    assert method != "HEAD" or body == b""


def test_a_taken_port_is_told(metrics: Metrics, listener: Listener) -> None:
    """A port in use is an error that names address and setting."""
    with pytest.raises(UsageError, match=rf"127\.0\.0\.1:{listener.port} .*set metrics\.port"):
        metrics.listen("127.0.0.1", listener.port)


def test_the_port_is_free_after_the_end(metrics: Metrics) -> None:
    """A closed listener gives its port to the next one at once."""
    first = metrics.listen("127.0.0.1", 0)
    first.close()
    second = metrics.listen("127.0.0.1", first.port)
    second.close()
    assert second.port == first.port


def test_it_listens_on_ipv6(metrics: Metrics) -> None:
    """An IPv6 address is an address like any other."""
    listener = metrics.listen("::1", 0)
    try:
        url = f"http://[::1]:{listener.port}/metrics"
        with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
            assert b"syncd_build_info" in answer.read()
    finally:
        listener.close()


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        ("192.0.2.1", 0, "set metrics.host to an address of this machine"),
        ("no host name", 0, "set metrics.host to an address of this machine"),
    ],
)
def test_a_wrong_address_is_told(metrics: Metrics, host: str, port: int, said: str) -> None:
    """What is no address of this machine is told with the next step."""
    with pytest.raises(UsageError, match=said):
        metrics.listen(host, port)
