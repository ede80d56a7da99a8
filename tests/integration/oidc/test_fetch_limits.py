"""Providers that send too much, too slowly, or break off."""

from __future__ import annotations

import socket
import struct
import threading
from typing import TYPE_CHECKING

import pytest

from syncd.oidc.failure import Cause
from tests.integration.oidc.reaching import BODY, NAME, chunked, failure, fetcher
from tests.servers.answering import AnsweringServer, Asked, answer, talking

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.authority import Authority

# Long enough for a busy machine to connect in, and what a fault waits out.
SHORT_SECONDS = 0.4


def said_large(connection: socket.socket, _: Asked) -> None:
    """Say that much comes."""
    connection.sendall(answer(BODY).replace(b"Content-Length: 11", b"Content-Length: 5000000"))


def endless_chunks(connection: socket.socket, _: Asked) -> None:
    """Send chunks for as long as somebody reads."""
    connection.sendall(chunked(b"[").removesuffix(b"0\r\n\r\n"))
    while True:
        connection.sendall(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")


def endless_small_chunks(connection: socket.socket, _: Asked) -> None:
    """Send little in much: each octet of the body in a frame of its own."""
    connection.sendall(chunked(b"[").removesuffix(b"0\r\n\r\n"))
    while True:
        connection.sendall(b"1\r\nx\r\n" * 10_000)


def endless_until_closed(connection: socket.socket, _: Asked) -> None:
    """Send without saying how much."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        connection.sendall(b" " * 65536)


def endless_continue(connection: socket.socket, _: Asked) -> None:
    """Say again and again that the answer is still to come."""
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


@pytest.mark.parametrize(
    "endless",
    [said_large, endless_chunks, endless_small_chunks, endless_until_closed, endless_continue],
)
@pytest.mark.rule("KS9", server="http")
@pytest.mark.rule("H15", server="http")
def test_what_is_too_large_is_not_read_to_its_end(
    server: AnsweringServer, authority: Authority, endless: Callable[[socket.socket, Asked], None]
) -> None:
    """An answer that is too large, or has no end, is left as soon as the limit is passed."""
    server.answer = endless
    failed = failure(fetcher(authority), server.url(host=NAME))
    assert failed.reason is Cause.TOO_LARGE
    assert "512 KiB" in str(failed)


def drip(
    server: AnsweringServer, at_once: bytes, octets: bytes
) -> Callable[[socket.socket, Asked], None]:
    """Return an answer of which an octet comes from time to time, and the rest never."""

    def answering(connection: socket.socket, _: Asked) -> None:
        connection.sendall(at_once)
        for octet in octets:
            connection.sendall(bytes([octet]))
            if server.over.wait(SHORT_SECONDS / 20):
                return
        server.over.wait(30)

    return answering


@pytest.mark.parametrize(
    ("at_once", "octets"),
    [
        (b"", b""),
        (b"", b"HTTP/1.1 200 OK\r\n" + b"X-Header: value\r\n" * 20),
        (answer(b" " * 200)[:-200], b" " * 200),
        (chunked(b" ")[:-5], b"1\r\n \r\n" * 200),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 20),
    ],
    ids=["silence", "headers", "body", "chunks", "continue"],
)
@pytest.mark.rule("KS9", server="http")
@pytest.mark.rule("H15", server="http")
def test_a_slow_drip_ends_with_the_time_for_all_of_it(
    server: AnsweringServer, authority: Authority, at_once: bytes, octets: bytes
) -> None:
    """A server that sends an octet now and then does not hold anybody beyond the limit."""
    server.answer = drip(server, at_once, octets)
    failed = failure(fetcher(authority, seconds=SHORT_SECONDS), server.url(host=NAME))
    assert failed.reason is Cause.TIMEOUT
    assert "0.4 seconds" in str(failed)


def test_a_drip_in_the_handshake_ends_with_it_too(authority: Authority) -> None:
    """Time that the TLS handshake takes is time of the whole."""

    def talk(connection: socket.socket) -> None:
        connection.settimeout(5)
        # A record that is announced as long, and comes an octet at a time.
        connection.sendall(struct.pack(">BHH", 22, 0x0303, 16000))
        for _ in range(200):
            connection.sendall(b"\x02")
            if not connection.recv(1, socket.MSG_PEEK):
                return
            stop.wait(SHORT_SECONDS / 20)

    stop = threading.Event()
    with talking(talk) as port:
        fetch = fetcher(authority, seconds=SHORT_SECONDS)
        failed = failure(fetch, f"https://{NAME}:{port}/jwks")
    assert failed.reason is Cause.TIMEOUT


def test_a_connection_that_breaks_off(server: AnsweringServer, authority: Authority) -> None:
    """A reset in the middle of an answer is an unreachable provider, not half a body."""

    def reset(connection: socket.socket, _: Asked) -> None:
        connection.sendall(answer(b" " * 5000)[:1000])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    server.answer = reset
    failed = failure(fetcher(authority), server.url(host=NAME))
    assert failed.reason in {Cause.UNREACHABLE, Cause.PROTOCOL}
