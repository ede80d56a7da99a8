"""The wire: the socket, what is asked on it, and what has come back.

Owns the ldap3 strategy whose connecting and receiving are replaced: ldap3 makes a dictionary of
every entry, which costs more than all the rest of a sync.
"""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING, Any, Final

from ldap3.strategy.base import RESPONSE_COMPLETE
from ldap3.strategy.sync import SyncStrategy

from syncd.errors import DirectoryUnavailable, cut
from syncd.ldap import messages, results
from syncd.ldap.ber import Malformed
from syncd.ldap.buffer import Batch, MessageBuffer
from syncd.ldap.traffic import ABANDONED, LOST, SEARCH, Traffic, result_name

if TYPE_CHECKING:
    from collections.abc import Callable

    import ldap3

    from syncd.ldap.messages import Control, Result

RECEIVE_BYTES: Final = 256 * 1024


class ConnectionLost(DirectoryUnavailable):
    """The connection is closed; ``result_code`` is what the server said before, if it did."""

    def __init__(self, message: str, result_code: int | None = None) -> None:
        self.result_code = result_code
        super().__init__(message)


class StreamStrategy(SyncStrategy):
    """ldap3's synchronous strategy with its connecting and receiving replaced.

    One operation at a time is on the wire. Whoever starts another while a page is still coming in
    has that page read to its end first, so two answers never mix.
    """

    def __init__(self, connection: ldap3.Connection) -> None:
        super().__init__(connection)
        self._buffer = MessageBuffer()
        self._current: Exchange | None = None
        self.traffic = Traffic()
        # By ``time.monotonic``, when all waiting on this connection ends; None: each wait for
        # itself alone.
        self.deadline: float | None = None

    @classmethod
    def install(cls, connection: ldap3.Connection, traffic: Traffic) -> StreamStrategy:
        """Put a strategy of this kind under ``connection``, which knows only ldap3's own."""
        strategy = cls(connection)
        strategy.traffic = traffic
        connection.strategy = strategy
        connection.send = strategy.send
        connection.open = strategy.open
        connection.get_response = strategy.get_response
        connection.post_send_single_response = strategy.post_send_single_response
        connection.post_send_search = strategy.post_send_search
        return strategy

    @property
    def url(self) -> str:
        """The server, as messages name it."""
        return self.connection.server.name

    def open(self, reset_usage: bool = True, read_server_info: bool = True) -> None:  # noqa: FBT001, FBT002 - ldap3's signature
        """Connect, and put TLS on the socket where the URL says so."""
        del reset_usage, read_server_info
        connection, server = self.connection, self.connection.server
        self._outstanding = {}
        self._buffer = MessageBuffer()
        try:
            opened = socket.create_connection((server.host, server.port), server.connect_timeout)
        except TimeoutError as error:
            raise DirectoryUnavailable(
                f"{self.url} did not accept the connection within {server.connect_timeout:g} "
                "seconds; check host, port and firewall."
            ) from error
        except UnicodeError as error:
            raise DirectoryUnavailable(
                f"{self.url} cannot be reached ({cut(server.host)} is no host name); "
                "check connection_url."
            ) from error
        except OSError as error:
            raise DirectoryUnavailable(
                f"{self.url} cannot be reached ({cut(error.strerror or error)}); "
                "check host, port and firewall."
            ) from error
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        opened.settimeout(connection.receive_timeout)
        connection.socket = opened
        if server.ssl:
            server.tls.wrap_socket(connection)
        connection.closed = False
        self._start_listen()

    def require_tls(self) -> None:
        """Refuse to go on in clear text; ldap3 reports some failures of StartTLS by False only."""
        if not isinstance(self.connection.socket, ssl.SSLSocket):
            self.close()
            raise ConnectionLost(f"{self.url} did not start TLS.")

    def send_operation(self, operation: bytes, controls: tuple[Control, ...]) -> int:
        """Send an encoded operation and return its message id."""
        message_id = self.connection.server.next_message_id()
        self._send(messages.encode_message(message_id, operation, controls))
        return message_id

    def ask(self, operation: bytes, controls: tuple[Control, ...] = ()) -> Result:
        """Send an operation that has one answer, such as a bind; return that."""
        message_id = self.send_operation(operation, controls)
        batch = Batch()
        while batch.done is None:
            self.receive(message_id, batch)
        return batch.done

    def start(self, operation: bytes, controls: tuple[Control, ...]) -> Exchange:
        """Send a search; what was still coming in is read to its end first."""
        if self._current is not None:
            self._current.settle()
        ended = self.traffic.begin(SEARCH)
        try:
            message_id = self.send_operation(operation, controls)
        except ConnectionLost:
            ended(LOST)
            raise
        self._current = Exchange(self, message_id, ended)
        return self._current

    def drop(self, exchange: Exchange) -> None:
        """Forget a search whose answer nobody wants; what still comes of it is skipped."""
        if self._current is exchange:
            self._current = None

    def receive(self, message_id: int, batch: Batch) -> None:
        """Wait for bytes, unless some are left over, and cut them into ``batch``."""
        try:
            if not self._buffer.ready:
                self._fill()
            self._buffer.cut(message_id, batch)
        except Malformed as error:
            self.close()
            raise ConnectionLost(
                f"{self.url} sent {error}; check that an LDAP server listens on this port."
            ) from error
        except BaseException:
            # Ctrl-C leaves half a message behind: nobody can go on from there.
            self.close()
            raise
        if batch.notice is not None:
            self.close()
            raise ConnectionLost(
                f"{self.url} announced the end of the connection with "
                f"{results.describe(batch.notice)}.",
                batch.notice.code,
            )

    def _fill(self) -> None:
        connection, buffer = self.connection, self._buffer
        while not buffer.ready:
            if connection.socket is None:
                raise ConnectionLost(f"The connection to {self.url} is closed.")
            try:
                self._wait_no_longer(connection.socket)
                piece = connection.socket.recv(RECEIVE_BYTES)
            except TimeoutError as error:
                raise ConnectionLost(
                    f"{self.url} did not answer for {connection.receive_timeout:g} seconds."
                    if self.deadline is None
                    else f"{self.url} did not answer in time."
                ) from error
            except OSError as error:
                raise ConnectionLost(
                    f"{self.url} broke the connection ({cut(error.strerror or error)})."
                ) from error
            if not piece:
                raise ConnectionLost(f"{self.url} closed the connection.")
            buffer.feed(piece)

    def _wait_no_longer(self, opened: socket.socket) -> None:
        """Let the next wait end where all waiting ends."""
        if self.deadline is None:
            return
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        patience = self.connection.receive_timeout
        opened.settimeout(left if patience is None else min(left, patience))

    def _send(self, octets: bytes) -> None:
        if self.connection.socket is None:
            raise ConnectionLost(f"The connection to {self.url} is closed.")
        try:
            self.connection.socket.sendall(octets)
        except OSError as error:
            self.close()
            raise ConnectionLost(
                f"{self.url} broke the connection ({cut(error.strerror or error)})."
            ) from error
        except BaseException:
            self.close()
            raise

    def _get_response(self, message_id: int, timeout: float) -> list[Any]:
        """Return the answer to a bind or an extended request in ldap3's shape."""
        del timeout
        batch = Batch()
        while batch.done is None:
            self.receive(message_id, batch)
        if self.connection.starting_tls and len(self._buffer):
            # Somebody on the way could have put it there, to be taken for a part of the session.
            self.close()
            raise ConnectionLost(f"{self.url} sent something between StartTLS and TLS.")
        done = batch.done
        answer = {
            "type": "response",
            "result": done.code,
            "description": results.NAMES.get(done.code, "unknown"),
            "dn": done.matched_dn,
            "message": done.message,
            "referrals": list(done.referrals) or None,
            "responseName": done.name,
            "responseValue": done.value,
        }
        return [answer, RESPONSE_COMPLETE]


class Exchange:
    """One search on the wire and what has come back for it."""

    __slots__ = ("_batch", "_ended", "_message_id", "_strategy", "done")

    def __init__(
        self,
        strategy: StreamStrategy,
        message_id: int,
        ended: Callable[[str], None] | None = None,
    ) -> None:
        self._strategy = strategy
        self._message_id = message_id
        self._batch = Batch()
        self._ended = ended
        self.done: Result | None = None

    @property
    def waiting(self) -> Batch:
        """What nobody has taken yet."""
        return self._batch

    def take(self) -> Batch:
        """Return what has come in since the last time."""
        batch, self._batch = self._batch, Batch()
        return batch

    def advance(self) -> Result | None:
        """Wait for more of the answer, unless it has ended; return its result once it has."""
        if self.done is None:
            try:
                self._strategy.receive(self._message_id, self._batch)
            except ConnectionLost as lost:
                self._count(result_name(lost.result_code))
                raise
            self.done = self._batch.done
            if self.done is not None:
                self._count(result_name(self.done.code))
        return self.done

    def settle(self) -> None:
        """Read the answer to its end."""
        while self.advance() is None:
            pass

    def abandon(self) -> None:
        """Tell the server that nobody waits any more (RFC 4511 section 4.11)."""
        if self.done is None and self._strategy.connection.socket is not None:
            self._strategy.drop(self)
            self._count(ABANDONED)
            self._strategy.send_operation(messages.encode_abandon(self._message_id), ())

    def _count(self, result: str) -> None:
        """Count the search once, however often it is asked how it ended."""
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(result)
