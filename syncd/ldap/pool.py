"""The connections of one source: who uses which, and which wait to be used again.

Each listing in progress has a connection of its own, because two paged searches on one connection
disturb each other (RFC 2696 section 3 ties a cookie to its connection). Idle connections are tried
before they are used again, so a server that went away between two listings costs a new connection
and nothing else.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from syncd.errors import DirectoryError, DirectoryUnavailable, SearchRejected
from syncd.ldap.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from syncd.ldap.connection import ConnectionOptions
    from syncd.ldap.traffic import Traffic
    from syncd.records import Entry


# A domain's name leads to any of its domain controllers; how often to try for the same one.
ATTEMPTS: Final = 5


class Pool:
    """Bound connections, opened when there is none idle."""

    def __init__(
        self,
        options: ConnectionOptions,
        *,
        traffic: Traffic,
        on_search: Callable[[str], None] | None = None,
    ) -> None:
        self._options = options
        self._traffic = traffic
        self._on_search = on_search
        self._idle: list[Connection] = []
        # The server that the last connection was opened to.
        self.url = ""
        self._name_of: Callable[[Entry], str] = _nameless
        self._name = ""

    def close(self) -> None:
        """Close the idle connections; a listing in progress closes its own."""
        while self._idle:
            self._idle.pop().close()

    def pin(self, name_of: Callable[[Entry], str], name: str) -> None:
        """Let all further connections lead to the server that has this name.

        One address may lead to several domain controllers, by turns.
        """
        self._name_of, self._name = name_of, name

    def take(self) -> Connection:
        """Return a bound connection that nobody else uses.

        Raises:
            DirectoryUnavailable: The pinned server does not answer.

        """
        while self._idle:
            connection = self._idle.pop()
            try:
                if self._is_pinned(connection.root_dse()):
                    return connection
            except DirectoryError:
                connection.close()
                continue
            connection.close()
        for _ in range(ATTEMPTS):
            connection = self._opened()
            if not self._name:
                return connection
            try:
                if self._is_pinned(connection.root_dse()):
                    return connection
            except BaseException:
                connection.close()
                raise
            connection.close()
        message = (
            f"{self.url} leads to another server than {self._name}, which answered before and "
            "numbers its own changes; try again, or set connection_url to a single server"
        )
        raise DirectoryUnavailable(message)

    def _opened(self) -> Connection:
        connection = Connection.open(
            self._options, on_search=self._on_search, traffic=self._traffic
        )
        self.url = connection.url
        return connection

    def _is_pinned(self, root_dse: Entry) -> bool:
        return self._name_of(root_dse) == self._name

    def give_back(self, connection: Connection, *, healthy: bool) -> None:
        """Keep a connection for the next search, or close it when it is not healthy."""
        if healthy:
            self._idle.append(connection)
        else:
            connection.close()

    @contextmanager
    def borrowed(self) -> Iterator[Connection]:
        """Give a connection for a few searches; one that failed is not used again."""
        connection = self.take()
        healthy = False
        try:
            yield connection
            healthy = True
        except SearchRejected:
            healthy = True
            raise
        finally:
            self.give_back(connection, healthy=healthy)


def _nameless(root_dse: Entry) -> str:
    del root_dse
    return ""
