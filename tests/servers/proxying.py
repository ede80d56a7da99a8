"""What makes a proxy (RFC 9110, 9.3.6) of a server that answers: a tunnel to ports on loopback."""

from __future__ import annotations

import select
import socket
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.servers.answering import Asked

_AT_ONCE = 65_536
_PATIENCE_SECONDS = 30


def tunnel(
    leads: Mapping[str, int], wants: str | None = None
) -> Callable[[socket.socket, Asked], None]:
    """Return an answer that connects whoever may.

    Args:
        leads: Ports on loopback by the host and port that are asked for: names that the proxy
            alone knows.
        wants: The value of Proxy-Authorization without which nobody gets through.

    """

    def answering(connection: socket.socket, asked: Asked) -> None:
        port = leads.get(asked.target)
        if asked.method != "CONNECT":
            connection.sendall(status("405 Method Not Allowed"))
        elif wants is not None and asked.headers.get("proxy-authorization") != wants:
            connection.sendall(status("407 Who are you", 'Proxy-Authenticate: Basic realm="x"'))
        elif port is None:
            connection.sendall(status("502 Bad Gateway"))
        else:
            with socket.create_connection(("127.0.0.1", port), _PATIENCE_SECONDS) as further:
                connection.sendall(status("200 Connection established", "Via: 1.1 proxy"))
                _relay(connection, further)

    return answering


def status(line: str, *headers: str) -> bytes:
    """Return an answer without a body."""
    return "\r\n".join((f"HTTP/1.1 {line}", *headers, "", "")).encode()


def _relay(near: socket.socket, far: socket.socket) -> None:
    """Hand on what comes from either side until one of them has ended."""
    while True:
        waiting = isinstance(near, ssl.SSLSocket) and near.pending()
        ready = [near] if waiting else select.select([near, far], [], [], _PATIENCE_SECONDS)[0]
        if not ready:
            return
        for one in ready:
            octets = one.recv(_AT_ONCE)
            if not octets:
                return
            (far if one is near else near).sendall(octets)
