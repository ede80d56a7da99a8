"""A loopback proxy that breaks a directory's answers in the ways that networks and servers do.

It stands before a real server on plain LDAP, knows where messages start and end, counts the pages
of each paged search, and spoils the one it was told to. It shares no code with what it tests.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGED_RESULTS = b"1.2.840.113556.1.4.319"
SYNC_REQUEST = b"1.3.6.1.4.1.4203.1.9.1.1"
NOTICE_OF_DISCONNECTION = b"1.3.6.1.4.1.1466.20036"
SEARCH_REQUEST, SEARCH_ENTRY, SEARCH_DONE = 0x63, 0x64, 0x65
SEARCH_REFERENCE, EXTENDED_RESPONSE, INTERMEDIATE = 0x73, 0x78, 0x79
CONTROLS = 0xA0


class Break(StrEnum):
    """How an answer breaks off in the middle of a page."""

    SILENCE = "silence"
    RESET = "reset"
    CLOSE = "close"
    GARBAGE = "garbage"


@dataclass(slots=True, kw_only=True)
class Faults:
    """What goes wrong; pages are counted from 1 in each paged search.

    ``base`` spoils only searches below exactly this base DN; the others pass as they are.
    """

    base: str | None = None
    # Of the searches below that base spoil this one alone, counted from 1 since ``faults`` was set.
    search: int | None = None
    # Spoil searches without pages, too; each is the first page of its own.
    plain: bool = False
    # Break off in the middle of this page.
    break_page: int | None = None
    how: Break = Break.SILENCE
    # Set ``reached`` in the middle of this page, and carry nothing on until ``go`` is set.
    hold_page: int | None = None
    # Replace the result of this page.
    code_page: int | None = None
    code: int = 0
    # Let this and later pages end without the paging control.
    no_paging_from: int | None = None
    # Put this in place of the controls of entries, and of those of the result.
    entry_controls: bytes | None = None
    done_controls: bytes | None = None
    # Take no further connection once a page is broken off.
    refuse: bool = False
    # Send a Notice of Disconnection in the middle of this page, with ``code``.
    notice_page: int | None = None
    # Put these into the middle of every page.
    references: tuple[str, ...] = ()
    intermediates: int = 0
    # Answer in pieces of so many bytes, and wait so long before each.
    piece_bytes: int | None = None
    delay_seconds: float = 0
    # Send this right behind the answer to StartTLS.
    after_start_tls: bytes = b""


def length_of(octets: bytes, position: int) -> tuple[int, int] | None:
    """Return the length that stands at ``position`` and where the contents start."""
    if position >= len(octets):
        return None
    first = octets[position]
    if first < 0x80:
        return first, position + 1
    stop = position + 1 + (first & 0x7F)
    if stop > len(octets):
        return None
    return int.from_bytes(octets[position + 1 : stop], "big"), stop


def parts(octets: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield tag, contents and whole bytes of the elements that stand one after the other."""
    position = 0
    while position < len(octets):
        found = length_of(octets, position + 1)
        if found is None:
            return
        length, start = found
        yield octets[position], octets[start : start + length], octets[position : start + length]
        position = start + length


def element(tag: int, contents: bytes) -> bytes:
    """Return an element whose length takes four bytes, as Active Directory writes it."""
    return bytes((tag, 0x84)) + struct.pack(">I", len(contents)) + contents


def message(message_id: bytes, operation: bytes, controls: bytes = b"") -> bytes:
    """Return an LDAPMessage."""
    return element(0x30, element(0x02, message_id) + operation + controls)


def result(tag: int, code: int, rest: bytes = b"") -> bytes:
    """Return an operation that carries an LDAPResult."""
    text = element(0x04, b"as the test wants it")
    coded = code.to_bytes(code.bit_length() // 8 + 1, "big")
    return element(tag, element(0x0A, coded) + element(0x04, b"") + text + rest)


class FaultProxy:
    """One proxy before one server; use it as a context manager. ``faults`` may be changed."""

    def __init__(self, port: int, faults: Faults | None = None, *, host: str = "127.0.0.1") -> None:
        self.searches = 0
        self.faults = faults or Faults()
        self._upstream = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"ldap://127.0.0.1:{self.port}"
        self.reached, self.go = threading.Event(), threading.Event()
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self.connections = 0

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.go.set()
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        self._listener.settimeout(0.1)
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self.connections += 1
            if self.refusing:
                client.close()
                continue
            try:
                session = _Session(self, client, self._upstream)
            except OSError:
                # There is no server at the moment, and the client is told so.
                client.close()
                continue
            self._start(session.run)

    @property
    def faults(self) -> Faults:
        """What goes wrong at the moment."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        self.searches = 0
        self.refusing = False

    @property
    def ended(self) -> threading.Event:
        """Set when the proxy is going away."""
        return self._ended


class _Session:
    """One client's connection through the proxy."""

    def __init__(self, proxy: FaultProxy, client: socket.socket, upstream: tuple[str, int]) -> None:
        self._proxy = proxy
        self._client = client
        self._server = socket.create_connection(upstream, 5)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._from_client = b""
        self._from_server = b""
        # By message id: the page of its search, or None for searches that are left alone.
        self._pages: dict[bytes, int | None] = {}
        self._page = 0
        self._seen_entries: set[bytes] = set()
        self._silent = False

    def run(self) -> None:
        """Carry bytes both ways until one side ends."""
        with contextlib.suppress(OSError), self._client, self._server:
            while not self._proxy.ended.is_set():
                readable, _, _ = select.select([self._client, self._server], [], [], 0.1)
                if self._client in readable and not self._upward():
                    return
                if self._server in readable and not self._downward():
                    return

    def _upward(self) -> bool:
        piece = self._client.recv(65536)
        self._from_client += piece
        for whole, (_, message_id), operation, rest in self._messages("_from_client"):
            if operation[0] == SEARCH_REQUEST:
                self._note(message_id, operation[1], rest)
            self._server.sendall(whole)
        return bool(piece)

    def _note(self, message_id: bytes, request: bytes, controls: bytes) -> None:
        """Remember which page of which search a request asks for."""
        base = next(parts(request))[1].decode()
        cookie, faults = _request_cookie(controls), self._proxy.faults
        if cookie is None and faults.plain:
            cookie = b""
        if cookie is None or faults.base not in {None, base}:
            self._pages[message_id] = None
            return
        if not cookie:
            self._proxy.searches += 1
        self._page = self._page + 1 if cookie else 1
        spoiled = faults.search in {None, self._proxy.searches}
        self._pages[message_id] = self._page if spoiled else None

    def _downward(self) -> bool:
        piece = self._server.recv(65536)
        self._from_server += piece
        for whole, (_, message_id), operation, rest in self._messages("_from_server"):
            if not self._answer(whole, message_id, operation, rest):
                return False
        return bool(piece)

    def _answer(
        self, whole: bytes, message_id: bytes, operation: tuple[int, bytes], controls: bytes
    ) -> bool:
        """Pass one message on, or what becomes of it; false ends the connection."""
        faults, tag = self._proxy.faults, operation[0]
        page = self._pages.get(message_id)
        if tag == EXTENDED_RESPONSE and faults.after_start_tls:
            self._send(whole + faults.after_start_tls)
            return True
        if page is None:
            self._send(whole)
            return True
        if tag == SEARCH_ENTRY:
            if faults.entry_controls is not None:
                whole = message(message_id, element(tag, operation[1]), faults.entry_controls)
            self._send(whole)
            if message_id in self._seen_entries:
                return True
            # Behind the first entry is the middle of a page.
            self._seen_entries.add(message_id)
            return self._middle(page, message_id)
        if tag == SEARCH_DONE:
            if page == faults.code_page:
                whole = message(message_id, result(SEARCH_DONE, faults.code))
            elif faults.no_paging_from is not None and page >= faults.no_paging_from:
                whole = message(message_id, element(tag, operation[1]), b"")
            elif faults.done_controls is not None:
                whole = message(message_id, element(tag, operation[1]), faults.done_controls)
            if page == faults.break_page and message_id not in self._seen_entries:
                # A page without entries breaks off where its first one would be.
                return self._broken()
        self._send(whole)
        return True

    def _middle(self, page: int, message_id: bytes) -> bool:
        faults = self._proxy.faults
        for uri in faults.references:
            reference = element(SEARCH_REFERENCE, element(0x04, uri.encode()))
            self._send(message(message_id, reference))
        for number in range(faults.intermediates):
            named = element(0x80, b"1.2.3.4") + element(0x81, str(number).encode())
            self._send(message(message_id, element(INTERMEDIATE, named)))
        if page == faults.notice_page:
            name = element(0x8A, NOTICE_OF_DISCONNECTION)
            self._send(message(b"\x00", result(EXTENDED_RESPONSE, faults.code, name)))
            return False
        if page == faults.hold_page:
            self._proxy.reached.set()
            self._proxy.go.wait()
        if page == faults.break_page:
            return self._broken()
        return True

    def _broken(self) -> bool:
        self._proxy.refusing = self._proxy.faults.refuse
        match self._proxy.faults.how:
            case Break.SILENCE:
                self._silent = True
                return True
            case Break.GARBAGE:
                self._send(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            case Break.RESET:
                linger = struct.pack("ii", 1, 0)
                self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            case Break.CLOSE:
                pass
        return False

    def _send(self, octets: bytes) -> None:
        if self._silent:
            return
        faults = self._proxy.faults
        size = faults.piece_bytes or len(octets)
        for position in range(0, len(octets), size):
            if faults.delay_seconds:
                time.sleep(faults.delay_seconds)
            self._client.sendall(octets[position : position + size])

    def _messages(
        self, name: str
    ) -> Iterator[tuple[bytes, tuple[int, bytes], tuple[int, bytes], bytes]]:
        """Yield whole messages: bytes, id, operation, controls; what is no LDAP passes as it is."""
        while octets := getattr(self, name):
            found = length_of(octets, 1)
            if found is None or found[0] + found[1] > len(octets):
                return
            end = found[0] + found[1]
            setattr(self, name, octets[end:])
            inside = list(parts(octets[found[1] : end]))
            yield octets[:end], inside[0][:2], inside[1][:2], b"".join(p[2] for p in inside[2:])


def _request_cookie(controls: bytes) -> bytes | None:
    """Return the cookie of a request's paging control, None when it has none.

    A content synchronization has no pages; its whole answer counts as the first.
    """
    for _, contents, _ in parts(controls):
        for _, control, _ in parts(contents):
            fields = list(parts(control))
            if fields[0][1] == SYNC_REQUEST:
                return b""
            if fields[0][1] == PAGED_RESULTS:
                value = next(parts(fields[-1][1]))[1]
                return list(parts(value))[1][1]
    return None
