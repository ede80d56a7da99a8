"""A provider whose keys a test changes, and a cache of them whose clock the test holds."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from syncd.oidc.fetch import Fetcher
from syncd.oidc.jwks import JwksCache
from syncd.oidc.outcome import Reason, Refusal
from tests.minting import key_set, signer
from tests.servers.answering import PATIENCE_SECONDS, AnsweringServer, Asked, answer

if TYPE_CHECKING:
    import socket

FIRST, SECOND = signer("ES256", "first"), signer("ES256", "second")
BOTH = answer(key_set(FIRST.jwk(), SECOND.jwk()))
ONLY_FIRST = answer(key_set(FIRST.jwk()))
ONLY_SECOND = answer(key_set(SECOND.jwk()))
BROKEN = answer(status="500 Internal Server Error")
EMPTY = answer(key_set())


class Clock:
    """Seconds that go forward when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.seconds


class World:
    """A provider, and a cache of its keys."""

    def __init__(self, server: AnsweringServer) -> None:
        self.server, self.clock = server, Clock()
        self.told: list[tuple[str, str]] = []
        self.cache = JwksCache(
            server.url(),
            Fetcher(),
            clock=self.clock,
            fetched=lambda outcome, reason: self.told.append((outcome, reason)),
        )

    @property
    def requests(self) -> int:
        """How often the provider was asked."""
        return len(self.server.asked)

    @staticmethod
    def settle() -> None:
        """Wait until no fetch is under way beside the callers."""
        for thread in threading.enumerate():
            if thread.name == "syncd-keys":
                thread.join(PATIENCE_SECONDS)
                assert not thread.is_alive(), "a fetch does not end"

    def find(self, name: str | None) -> Reason | str | None:
        """Return the name of the key that is found, or why none is."""
        found = self.cache.find(name, "ES256")
        return found.reason if isinstance(found, Refusal) else found.key_id


class Gate:
    """An answer that waits until the test lets it go."""

    def __init__(self, then: bytes) -> None:
        self.then, self.open = then, threading.Event()

    def __call__(self, connection: socket.socket, _: Asked) -> None:
        """Answer once the test says so."""
        self.open.wait(30)
        connection.sendall(self.then)
