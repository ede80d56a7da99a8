"""A real HTTP(S) server on loopback that answers as a test says, well or badly, and counts."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

PATIENCE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came."""

    method: str
    target: str
    # Names in lower case.
    headers: Mapping[str, str]
    body: bytes
    # Whom the client asked for in the TLS handshake.
    server_name: str | None


# Whole answers, or a function that writes one to the connection, however it likes.
Answer: TypeAlias = "bytes | Callable[[socket.socket, Asked], None]"


def answer(
    body: bytes = b"{}",
    *,
    status: str = "200 OK",
    kind: str | None = "application/json",
    **more: str,
) -> bytes:
    """Return a whole answer; underscores in the names of further headers become hyphens."""
    headers = {"Content-Length": str(len(body)), "Connection": "close"}
    if kind is not None:
        headers["Content-Type"] = kind
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class AnsweringServer:
    """Listens on a free port; as a context manager it answers in threads of its own."""

    answer: Answer
    # A server certificate and its key; None: plain HTTP.
    certificate: tuple[Path, Path] | None = None
    host: str = "127.0.0.1"
    asked: list[Asked] = field(default_factory=list)
    # Connections that came in, whether a request followed or not.
    connections: int = 0

    def __enter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listening = socket.create_server((self.host, 0), family=family, backlog=128)
        self.port: int = self._listening.getsockname()[1]
        self._context = self._tls()
        self._names: dict[int, str | None] = {}
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        # The thread that waits for a connection gets one.
        with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 5):
            pass
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        self._listening.close()

    def url(self, path: str = "/jwks", host: str | None = None) -> str:
        """Return a URL of this server, by its address or by a name that leads to it."""
        scheme = "http" if self.certificate is None else "https"
        return f"{scheme}://{host or self.host}:{self.port}{path}"

    def wait(self, requests: int) -> None:
        """Wait until so many requests have come."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.asked) >= requests, PATIENCE_SECONDS)
        assert came, f"{len(self.asked)} of {requests} requests came"

    @property
    def over(self) -> threading.Event:
        """Set when the server is to end; whoever answers slowly looks at it."""
        return self._over

    def _tls(self) -> ssl.SSLContext | None:
        if self.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.certificate)
        context.sni_callback = self._named
        return context

    def _named(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        self._names[id(connection)] = name

    def _listen(self) -> None:
        while True:
            plain, _ = self._listening.accept()
            if self._over.is_set():
                plain.close()
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(plain,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(PATIENCE_SECONDS)
        # A client that goes away in the middle is what many tests are about.
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(plain.close)
            connection, name = plain, None
            if self._context is not None:
                protected = self._context.wrap_socket(plain, server_side=True)
                stack.callback(protected.close)
                connection, name = protected, self._names.pop(id(protected), None)
            asked = _read(connection, name)
            if asked is None:
                return
            with self._changed:
                self.asked.append(asked)
                self._changed.notify_all()
            if callable(self.answer):
                self.answer(connection, asked)
            else:
                connection.sendall(self.answer)


@contextlib.contextmanager
def talking(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve TCP without any protocol and yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def listen() -> None:
            while True:
                connection, _ = listening.accept()
                with connection, contextlib.suppress(OSError):
                    if over.is_set():
                        return
                    talk(connection)

        over = threading.Event()
        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        over.set()
        with contextlib.suppress(OSError):
            socket.create_connection(listening.getsockname(), 5).close()
        thread.join(PATIENCE_SECONDS)


def _read(connection: socket.socket, name: str | None) -> Asked | None:
    with connection.makefile("rb") as stream:
        words = stream.readline().decode("latin-1").split()
        if len(words) != 3 or not words[2].startswith("HTTP/"):
            return None
        headers = {}
        while line := stream.readline().decode("latin-1").strip():
            field_name, _, value = line.partition(":")
            headers[field_name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", "0")))
    return Asked(words[0], words[1], headers, body, name)
