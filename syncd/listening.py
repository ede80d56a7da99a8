"""Opens the sockets that syncd listens on, so that a taken port is told in one way."""

from __future__ import annotations

import errno
import os
import socket

from syncd.errors import UsageError, cut

BACKLOG = 128


def listening_socket(host: str, port: int, *, setting: str) -> socket.socket:
    """Return a socket that listens on a host's first address; port 0 takes a free one.

    ``setting`` is the section of the daemon's file that names the address. The empty host and
    ``::`` are all addresses of this machine.

    Raises:
        UsageError: Nobody can listen there.

    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        everything = host in {"", "::"} and socket.has_dualstack_ipv6()
        if everything:
            family, address = socket.AF_INET6, ("::", port)
        opened = socket.create_server(
            address, family=family, backlog=BACKLOG, dualstack_ipv6=everything
        )
        # What is accepted inherits it; asyncio does not set it by itself on such a socket, and each
        # answer of a connection that is kept would wait 40 ms for the client's acknowledgement.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened
    except (OSError, UnicodeError) as error:
        where = f"[{cut(host)}]:{port}" if ":" in host else f"{cut(host) or '*'}:{port}"
        message = f"{setting} cannot listen on {where} ({_why(error)}); {_step(error, setting)}"
        raise UsageError(message) from error


def _why(error: Exception) -> str:
    code = getattr(error, "errno", None)
    if isinstance(code, int) and code in errno.errorcode:
        # create_server adds the address to the text, which stands before it already.
        return os.strerror(code)
    return cut(getattr(error, "strerror", None) or error)


def _step(error: Exception, setting: str) -> str:
    code = getattr(error, "errno", None)
    if code == errno.EADDRINUSE:
        return f"stop what listens there, or set {setting}.port to a free port"
    if code in {errno.EACCES, errno.EPERM}:
        return f"set {setting}.port to one above 1023, or give syncd the right to lower ones"
    return f"set {setting}.host to an address of this machine"
