"""Owns the connection under a request: to an address that was judged, bounded in time and size.

An HTTP library's own time limits are for single reads, so a server that sends a byte now and then
can hold a caller for hours. Here every read gets what is left of the time for all of them.
"""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING, Final, TypeVar

import httpcore2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_AT_ONCE: Final = 16_384
_T = TypeVar("_T")


class TooMuch(Exception):
    """More came than anything that is asked for can be."""


class Budget:
    """What is left for one request: seconds until a moment, and octets of any kind."""

    __slots__ = ("_end", "_octets")

    def __init__(self, end: float, octets: int) -> None:
        self._end, self._octets = end, octets

    def seconds(self) -> float:
        """Return the time that is left.

        Raises:
            httpcore2.ReadTimeout: None is.

        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout
        return left

    def add(self, octets: int) -> None:
        """Let so many more octets come."""
        self._octets += octets

    def take(self, octets: int) -> None:
        """Count octets that came.

        Raises:
            TooMuch: They are more than what was left.

        """
        self._octets -= octets
        if self._octets < 0:
            raise TooMuch


class Wire(httpcore2.NetworkBackend):
    """Connects to given addresses, whatever the request's host is.

    TLS and the Host header keep the host's name: it is looked at there, and nowhere else.
    """

    def __init__(self, addresses: Sequence[str], budget: Budget) -> None:
        self._addresses, self._budget = addresses, budget
        self._stream: httpcore2.NetworkStream | None = None

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first address that answers; each gets its share of the time."""
        del host, timeout
        options = (local_address, socket_options)
        self._stream = _Bounded(self._connect(port, *options), self._budget)
        return self._stream

    def close(self) -> None:
        """End the connection, also one that came no further than to be made."""
        if self._stream is not None:
            self._stream.close()

    def _connect(
        self,
        port: int,
        local_address: str | None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None,
    ) -> httpcore2.NetworkStream:
        system = httpcore2.SyncBackend()
        for left in range(len(self._addresses), 1, -1):
            address = self._addresses[-left]
            share = self._budget.seconds() / left
            try:
                return system.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return system.connect_tcp(
            self._addresses[-1], port, self._budget.seconds(), local_address, socket_options
        )


class _Bounded(httpcore2.NetworkStream):
    """A connection whose every step lasts until the end of the budget at most."""

    def __init__(self, stream: httpcore2.NetworkStream, budget: Budget) -> None:
        self._stream, self._budget = stream, budget

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        octets = self._stream.read(max_bytes, self._budget.seconds())
        self._budget.take(len(octets))
        return octets

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._stream.write(buffer, self._budget.seconds())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        del timeout
        if self._stream.get_extra_info("ssl_object") is not None:
            return _Inner(self, ssl_context, server_hostname)
        inner = self._stream.start_tls(ssl_context, server_hostname, self._budget.seconds())
        return _Bounded(inner, self._budget)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


class _Inner(httpcore2.NetworkStream):
    """TLS within the TLS of a proxy.

    The library has one, whose handshake gives each single read the time of all.
    """

    def __init__(self, outer: _Bounded, context: ssl.SSLContext, name: str | None) -> None:
        self._outer = outer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        try:
            self._done(self._tls.do_handshake)
        except ssl.SSLError as error:
            raise httpcore2.ConnectError from error

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        try:
            return self._done(lambda: self._tls.read(max_bytes))
        except ssl.SSLEOFError:
            return b""
        except ssl.SSLError as error:
            raise httpcore2.ReadError from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        try:
            self._done(lambda: self._tls.write(buffer))
        except ssl.SSLError as error:
            raise httpcore2.WriteError from error

    def close(self) -> None:
        self._outer.close()

    def get_extra_info(self, info: str) -> object:
        return self._tls if info == "ssl_object" else self._outer.get_extra_info(info)

    def _done(self, act: Callable[[], _T]) -> _T:
        while True:
            try:
                done = act()
            except ssl.SSLWantReadError:
                self._send()
                octets = self._outer.read(_AT_ONCE)
                if octets:
                    self._incoming.write(octets)
                else:
                    self._incoming.write_eof()
            else:
                self._send()
                return done

    def _send(self) -> None:
        if self._outgoing.pending:
            self._outer.write(self._outgoing.read())
