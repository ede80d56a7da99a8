"""The web process as its supervisor sees it: spawned, told, asked over HTTP, ended."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import signal
import socket
import ssl
import subprocess
import time
from typing import TYPE_CHECKING, Any, Self

import pytest

from syncd.web.process import run
from tests.servers.authority import Authority, program
from tests.servers.slapd import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

PATIENCE_SECONDS = 60
SPAWN = multiprocessing.get_context("spawn")


class Web:
    """A spawned web process and its supervisor's end of the channel."""

    def __init__(self, **options: Any) -> None:
        self.port = options.setdefault("port", free_port())
        self.channel: Connection
        self.channel, child = SPAWN.Pipe(duplex=True)
        values = {"host": "127.0.0.1", "tls_certificate": None, "tls_key": None, **options}
        self.process = SPAWN.Process(target=run, kwargs={**values, "channel": child})
        self.process.start()
        child.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()
        self.process.join(PATIENCE_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()

    def listening(self) -> Self:
        """Wait until it says that it answers."""
        assert self.channel.poll(PATIENCE_SECONDS)
        assert self.channel.recv() == {"listening": self.port}
        return self

    def ask(
        self, path: str, method: str = "GET", context: ssl.SSLContext | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body."""
        connection = (
            http.client.HTTPSConnection("localhost", self.port, context=context, timeout=10)
            if context
            else http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        )
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, headers, answer.read()
        finally:
            connection.close()

    def ready(self) -> tuple[int, Any]:
        """Return what /readyz says."""
        status, _, body = self.ask("/readyz")
        return status, json.loads(body)

    def ends(self) -> int | None:
        """Wait for its end; return its exit code."""
        self.process.join(PATIENCE_SECONDS)
        return self.process.exitcode


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    """A process that answers, for tests that leave it as it is."""
    with Web() as found:
        yield found.listening()


def _until(web: Web, status: int, body: Any) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while (found := web.ready()) != (status, body) and time.monotonic() < until:
        time.sleep(0.01)
    assert found == (status, body)


class TestHealth:
    def test_readiness_follows_the_supervisor(self) -> None:
        """It starts unready, and is what the supervisor last said, with the reasons."""
        with Web() as web:
            web.listening()
            assert web.ready() == (503, {"ready": False, "because": ["starting"]})
            web.channel.send({"ready": True, "because": []})
            _until(web, 200, {"ready": True, "because": []})
            why = ["the store cannot be reached", "acme has no worker"]
            web.channel.send({"ready": False, "because": why})
            _until(web, 503, {"ready": False, "because": why})
            # What is no message of ours changes nothing.
            web.channel.send("nonsense")
            web.channel.send({"ready": True})
            _until(web, 200, {"ready": True, "because": []})

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_it_is_alive(self, web: Web, method: str) -> None:
        """Being alive is being able to answer, whatever else is the matter."""
        status, headers, body = web.ask("/healthz", method)
        assert status == 200
        assert headers["content-type"] == "application/json"
        assert body == (b'{"alive":true}' if method == "GET" else b"")

    @pytest.mark.parametrize(
        ("path", "method", "status"),
        [
            ("/healthz", "GET", 200),
            ("/readyz", "GET", 503),
            ("/nowhere", "GET", 404),
            ("/healthz", "POST", 405),
        ],
    )
    def test_every_answer_has_its_headers(
        self, web: Web, path: str, method: str, status: int
    ) -> None:
        """No answer is kept, framed or sniffed, and none says what serves it."""
        found, headers, _ = web.ask(path, method)
        assert found == status
        assert "server" not in headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "strict-transport-security" not in headers

    @pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/metrics", "/"])
    def test_there_is_nothing_else(self, web: Web, path: str) -> None:
        """Descriptions of the interface and metrics are not served here."""
        assert web.ask(path)[0] == 404


class TestEnd:
    def test_the_supervisor_hangs_up(self) -> None:
        """When the supervisor is gone its web process goes, too."""
        with Web() as web:
            web.listening().channel.close()
            assert web.ends() == 0

    def test_the_supervisor_never_spoke(self) -> None:
        """A supervisor that died while the process came up leaves none behind."""
        with Web() as web:
            web.channel.close()
            assert web.ends() == 0

    def test_sigterm_ends_it(self) -> None:
        """SIGTERM is a wish for a quiet end, with exit code 0."""
        with Web() as web:
            pid = web.listening().process.pid
            assert pid
            os.kill(pid, signal.SIGTERM)
            assert web.ends() == 0

    def test_sigterm_that_was_blocked_ends_it(self) -> None:
        """A supervisor that blocks signals while it spawns leaves no process deaf."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            web = Web()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        with web:
            web.listening().process.terminate()
            assert web.ends() == 0

    def test_an_open_connection_does_not_hold_it(self) -> None:
        """A client that keeps its connection open does not keep the process."""
        with Web() as web:
            web.listening()
            with socket.create_connection(("127.0.0.1", web.port), 10) as client:
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                assert client.recv(4096).startswith(b"HTTP/1.1 200")
                web.process.terminate()
                assert web.ends() == 0

    @pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
    def test_the_supervisors_signals_are_ignored(self, name: str) -> None:
        """Ctrl-C and a reload reach the whole group; they are the supervisor's business."""
        with Web() as web:
            pid = web.listening().process.pid
            assert pid
            os.kill(pid, getattr(signal, name))
            assert web.ask("/healthz")[0] == 200
            assert web.process.is_alive()


class TestTrouble:
    def test_a_taken_port(self, capfd: pytest.CaptureFixture[str]) -> None:
        """A port in use ends the process with one sentence and the code of configuration."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with Web(port=port, log_format="json") as web:
                assert web.ends() == 2
        lines = capfd.readouterr().err.splitlines()
        (event,) = [json.loads(line) for line in lines if line.startswith("{")]
        assert event["action"] == "web_refused"
        assert f"127.0.0.1:{port}" in event["event"]
        assert "http.port" in event["event"]
        assert not [line for line in lines if "Traceback" in line]

    def test_a_bad_certificate(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """A file that is no certificate is told by the key that names it."""
        file = tmp_path / "bad.pem"
        file.write_text("no certificate")
        with Web(tls_certificate=str(file), tls_key=str(file)) as web:
            assert web.ends() == 2
        assert "http.tls_certificate" in capfd.readouterr().err

    def test_a_key_with_a_pass_phrase(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """A key that would make the process ask on a terminal is refused instead."""
        authority = Authority(tmp_path / "tls")
        certificate, key = authority.issue("web")
        locked = str(tmp_path / "locked.key")
        words = ["pkey", "-in", str(key), "-aes256", "-passout", "pass:x", "-out", locked]
        subprocess.run([program("openssl"), *words], check=True, capture_output=True)
        with Web(tls_certificate=str(certificate), tls_key=locked) as web:
            assert web.ends() == 2
        assert "without a pass phrase" in capfd.readouterr().err

    def test_the_log_has_an_action_each(self, capfd: pytest.CaptureFixture[str]) -> None:
        """What the process logs are events with an action, and no banner of its server."""
        with Web(log_format="json") as web:
            web.listening().ask("/healthz")
            web.channel.close()
            assert web.ends() == 0
        events = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
        assert [event["action"] for event in events] == ["web_listening", "web_ended"]


def test_tls(tmp_path: Path) -> None:
    """With certificate and key it speaks HTTPS, with the chain that clients verify, and no HTTP."""
    authority = Authority(tmp_path / "tls")
    certificate, key = authority.issue("web")
    context = ssl.create_default_context(cadata=authority.pem)
    with Web(tls_certificate=str(certificate), tls_key=str(key)) as web:
        status, headers, body = web.listening().ask("/healthz", context=context)
        assert (status, json.loads(body)) == (200, {"alive": True})
        assert "max-age" in headers["strict-transport-security"]
        with pytest.raises((OSError, http.client.HTTPException)):
            web.ask("/healthz")
