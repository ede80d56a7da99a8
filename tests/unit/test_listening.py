"""The sockets that syncd listens on."""

from __future__ import annotations

import socket

from syncd.listening import listening_socket


def test_answers_are_sent_at_once() -> None:
    """A connection that is accepted does not wait for the client before it sends its next part."""
    with (
        listening_socket("127.0.0.1", 0, setting="http") as listening,
        socket.create_connection(listening.getsockname()),
    ):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
