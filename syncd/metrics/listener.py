"""The address that a Prometheus server scrapes: one path, in threads of its own, no TLS."""

from __future__ import annotations

import gzip
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from prometheus_client.exposition import choose_encoder

from syncd.listening import listening_socket

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

PATH: Final = "/metrics"
PLAIN: Final = "text/plain; charset=utf-8"
# A client that does not go on must not keep a thread for ever.
READ_SECONDS: Final = 15


class Listener:
    """Answers until it is closed; ``port`` is the one that it listens on."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        listening = listening_socket(host, port, setting="metrics")
        self.host, self.port = listening.getsockname()[:2]

        class Handler(_Handler):
            pass

        Handler.registry = registry
        self._server = ThreadingHTTPServer((host, port), Handler, bind_and_activate=False)
        self._server.daemon_threads = True
        # A scrape that waits for the store does not hold up the end of the process.
        self._server.block_on_close = False
        self._server.socket.close()
        self._server.socket = listening
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="metrics-listener", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop answering and give the address back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    registry: CollectorRegistry
    timeout = READ_SECONDS
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/":
            self._answer(HTTPStatus.OK, PLAIN, f"syncd's metrics are at {PATH}\n".encode())
        elif path != PATH:
            self._answer(HTTPStatus.NOT_FOUND, PLAIN, f"only {PATH} is here\n".encode())
        else:
            encode, kind = choose_encoder(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, kind, encode(self.registry))

    do_HEAD = do_GET  # noqa: N815 - the library's name

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response_only(status)
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, compresslevel=1)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002 - the library's name
        """Say nothing: a scrape every few seconds is no news."""
