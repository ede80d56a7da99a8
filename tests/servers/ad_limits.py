"""A loopback proxy that gives Samba the limits of a real Active Directory, which it lacks.

MaxPageSize: a search without pages stops with sizeLimitExceeded after 1,000 entries, and larger
pages are made smaller. The client's own size limit counts. MaxValRange: an attribute with more than
1,500 values comes back empty, beside its first range; further ranges are asked for by their names.

It shares no code with what it tests; plain LDAP only.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from tests.servers.fault_proxy import (
    PAGED_RESULTS,
    SEARCH_DONE,
    SEARCH_ENTRY,
    SEARCH_REQUEST,
    element,
    length_of,
    message,
    parts,
    result,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONTROLS, SEQUENCE, SET, INTEGER, OCTETS = 0xA0, 0x30, 0x31, 0x02, 0x04
SIZE_LIMIT_EXCEEDED, BUSY = 4, 51


@dataclass(slots=True, kw_only=True)
class Limits:
    """What the proxy enforces; may be changed while it runs."""

    page: int = 1000
    values: int = 1500
    # Called with the base and the description before a range beyond the first is asked for.
    before_range: Callable[[str, str], None] = lambda base, description: None  # noqa: ARG005
    # Answer ranges that begin at this value or later with busy.
    busy_from: int | None = None
    # Close the connection in place of answering them.
    cut_from: int | None = None


@dataclass(slots=True)
class Counts:
    """What passed."""

    # The requested attributes and the base of each search.
    searches: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    stopped: int = 0
    ranged: int = 0


class AdLimits:
    """One proxy before one server; use it as a context manager. ``limits`` may be changed."""

    def __init__(self, upstream: tuple[str, int], limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.counts = Counts()
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"ldap://127.0.0.1:{self.port}"
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._end(self._listener)
        for one in self._open:
            self._end(one)
        for thread in self._threads:
            thread.join(5)

    @staticmethod
    def _end(one: socket.socket) -> None:
        # A thread that waits on it is woken by a shutdown, not by a close.
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._upstream, 5)
            except OSError:
                return
            for one in (client, server):
                one.settimeout(None)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open += [client, server]
            session = _Session(self, client, server)
            self._start(session.upward)
            self._start(session.downward)


class _Search:
    """One search that is under way."""

    def __init__(self, most: int | None) -> None:
        self.entries = 0
        # With pages each page is an answer of its own, and small enough.
        self.most = most


class _Session:
    """One client's connection through the proxy."""

    def __init__(self, proxy: AdLimits, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._searches: dict[bytes, _Search] = {}

    def upward(self) -> None:
        """Carry requests until the client ends."""
        with contextlib.suppress(OSError):
            for whole, message_id, operation, controls in _messages(self._client):
                if operation[0] == SEARCH_REQUEST:
                    self._request(message_id, operation[1], controls)
                else:
                    self._server.sendall(whole)
        AdLimits._end(self._server)

    def downward(self) -> None:
        """Carry answers until the server ends."""
        with contextlib.suppress(OSError):
            for whole, message_id, operation, controls in _messages(self._server):
                self._client.sendall(self._answer(whole, message_id, operation, controls))
        AdLimits._end(self._client)

    def _request(self, message_id: bytes, request: bytes, controls: bytes) -> None:
        limits = self._proxy.limits
        fields = list(parts(request))
        base = fields[0][1].decode()
        names = tuple(name.decode() for _, name, _ in parts(fields[7][1]))
        self._proxy.counts.searches.append((base, names))
        for name in names:
            asked = re.fullmatch(r"[^;]+;range=(\d+)-.*", name)
            if asked is None or asked[1] == "0":
                continue
            limits.before_range(base, name)
            first = int(asked[1])
            if limits.cut_from is not None and first >= limits.cut_from:
                AdLimits._end(self._client)
                return
            if limits.busy_from is not None and first >= limits.busy_from:
                self._client.sendall(message(message_id, result(SEARCH_DONE, BUSY)))
                return
        wanted = int.from_bytes(fields[3][1], "big") or limits.page
        clamped, paged = self._clamped(controls)
        self._searches[message_id] = _Search(None if paged else min(wanted, limits.page))
        self._server.sendall(message(message_id, element(SEARCH_REQUEST, request), clamped))

    def _clamped(self, controls: bytes) -> tuple[bytes, bool]:
        """Return the controls with a page that is small enough, and whether there was one."""
        out, paged = b"", False
        for _, contents, _ in parts(controls):
            for _, control, whole in parts(contents):
                inner = list(parts(control))
                if inner[0][1] != PAGED_RESULTS:
                    out += whole
                    continue
                paged = True
                size, cookie = (value for _, value, _ in parts(next(parts(inner[-1][1]))[1]))
                smaller = min(int.from_bytes(size, "big"), self._proxy.limits.page)
                value = element(INTEGER, smaller.to_bytes(3, "big")) + element(OCTETS, cookie)
                before = b"".join(each for _, _, each in inner[:-1])
                out += element(SEQUENCE, before + element(OCTETS, element(SEQUENCE, value)))
        return (element(CONTROLS, out) if out else b""), paged

    def _answer(
        self, whole: bytes, message_id: bytes, operation: tuple[int, bytes], controls: bytes
    ) -> bytes:
        search = self._searches.get(message_id)
        if search is None:
            return whole
        if operation[0] == SEARCH_ENTRY:
            search.entries += 1
            if search.most is not None and search.entries > search.most:
                return b""
            return message(message_id, element(SEARCH_ENTRY, self._ranged(operation[1])), controls)
        if operation[0] == SEARCH_DONE:
            del self._searches[message_id]
            if search.most is not None and search.entries > search.most:
                self._proxy.counts.stopped += 1
                return message(message_id, result(SEARCH_DONE, SIZE_LIMIT_EXCEEDED), controls)
        return whole

    def _ranged(self, entry: bytes) -> bytes:
        """Return an entry whose long attributes are cut to one range."""
        most = self._proxy.limits.values
        (_, _, dn), (_, attributes, _) = parts(entry)
        out = []
        for _, attribute, whole in parts(attributes):
            (_, description, _), (_, contents, _) = parts(attribute)
            # Counting takes long where there are many, and most have few.
            values = list(parts(contents)) if len(contents) > most else []
            if len(values) <= most:
                out.append(whole)
                continue
            self._proxy.counts.ranged += 1
            asked = re.fullmatch(rb"([^;]+);range=(\d+)-(\d+|\*)", description)
            name, first = (asked[1], int(asked[2])) if asked else (description, 0)
            if not asked:
                out.append(element(SEQUENCE, element(OCTETS, name) + element(SET, b"")))
            named = element(OCTETS, name + b";range=%d-%d" % (first, first + most - 1))
            some = b"".join(each for _, _, each in values[:most])
            out.append(element(SEQUENCE, named + element(SET, some)))
        return dn + element(SEQUENCE, b"".join(out))


def _messages(
    source: socket.socket,
) -> Iterator[tuple[bytes, bytes, tuple[int, bytes], bytes]]:
    """Yield whole messages of a socket: bytes, id, operation, controls."""
    octets = bytearray()
    while piece := source.recv(1 << 18):
        octets += piece
        while found := length_of(bytes(octets[:8]), 1):
            end = found[0] + found[1]
            if end > len(octets):
                break
            whole = bytes(octets[:end])
            del octets[:end]
            inside = list(parts(whole[found[1] :]))
            yield whole, inside[0][1], inside[1][:2], b"".join(part[2] for part in inside[2:])
