"""A mail server that goes away while many mails are sent."""

from __future__ import annotations

import socket
import threading
from types import SimpleNamespace
from typing import Any, Self

from syncd.mail.sending import Mail, Server
from syncd.people.invitations import Invitations, Letter
from syncd.permissions import operator

REPLIES = {b"EHLO": b"250 localhost", b"DATA": b"354 go on", b".": b"250 taken"}


class OneMail:
    """Takes one mail, hangs up, and answers every later connection with silence's end."""

    def __init__(self) -> None:
        self.connections = 0
        self.taken = False
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                if not self.taken:
                    self._take(connection)

    def _take(self, connection: socket.socket) -> None:
        connection.sendall(b"220 localhost\r\n")
        text = False
        for line in connection.makefile("rb"):
            word = line.strip().split(b" ")[0].upper()
            if text and word != b".":
                continue
            text = word == b"DATA"
            connection.sendall(REPLIES.get(word, b"250 well") + b"\r\n")
            if word == b".":
                self.taken = True
            if word in {b".", b"QUIT"}:
                return


def letter(number: int, to: str | None = None) -> Letter:
    """Return an invitation for somebody."""
    return Letter(
        purpose="invitation",
        user_id=number,
        username=f"user{number}",
        to=to or f"user{number}@example.org",
        first_name=None,
        link="http://127.0.0.1/links/secret",
        expires_at="2026-01-01T00:00:00Z",
    )


def invitations(port: int) -> Invitations[Any]:
    """Return what sends by the mail server at a port."""
    store: Any = SimpleNamespace(organization_id="acme")
    server = Server(
        host="127.0.0.1",
        port=port,
        tls=False,
        username=None,
        password=None,
        sender="syncd@example.org",
    )
    return Invitations(
        store,
        operator("ada"),
        post=Mail(server),
        base_url="http://127.0.0.1",
        organization_name="Acme Corp",
    )


def test_nobody_waits_for_a_server_that_has_gone() -> None:
    """What was taken is told so; of the rest each is told why, and none is tried again."""
    with OneMail() as server:
        told = invitations(server.port).post([letter(number) for number in range(50)])
    assert [each["sent"] for each in told] == [True] + [False] * 49
    assert {each["to"] for each in told} == {f"user{number}@example.org" for number in range(50)}
    assert {each["next"] for each in told[1:3]} == {
        "syncd invitations send acme user1",
        "syncd invitations send acme user2",
    }
    # The mail that failed was tried once more.
    assert server.connections == 2


def test_an_address_that_the_server_cannot_take_holds_up_nobody_else() -> None:
    """It is told of that one alone: the server is there, and takes the next."""
    with OneMail() as server:
        told = invitations(server.port).post([letter(0, "jürgen@example.org"), letter(1)])
    assert [each["sent"] for each in told] == [False, True]
