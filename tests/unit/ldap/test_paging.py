"""The walk through pages where no real server would go."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, cast

import pytest

from syncd.errors import CertificateRejected, DirectoryUnavailable
from syncd.ldap import ber, messages, paging
from syncd.ldap.buffer import Batch, MessageBuffer
from syncd.ldap.messages import Control
from syncd.ldap.paging import Walk
from syncd.ldap.search import Listing, SearchRequest
from syncd.ldap.stream import ConnectionLost, Exchange, StreamStrategy
from syncd.ldap.tls import handshake_error
from syncd.records import Scope, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

STATE = "1.3.6.1.4.1.4203.1.9.1.2"


class Script:
    """A wire whose answers are made up; each is the bytes of whole messages."""

    def __init__(self, answer: Callable[[int], Iterable[bytes]]) -> None:
        self._answer = answer
        self._pieces: list[bytes] = []
        self._buffer = MessageBuffer()
        self.asked = 0
        self.sent: list[bytes] = []
        # What Exchange looks at to know whether somebody is still there.
        self.connection = self
        self.socket: object = self

    def start(self, operation: bytes, controls: tuple[Control, ...]) -> Exchange:
        """Note the question and prepare its answer."""
        del operation, controls
        self.asked += 1
        self._pieces = list(self._answer(self.asked))
        return Exchange(cast("StreamStrategy", self), self.asked)

    def receive(self, message_id: int, batch: Batch) -> None:
        """Give the next piece of the answer."""
        if not self._pieces:
            raise ConnectionLost("the script is over.")
        self._buffer.feed(self._pieces.pop(0))
        self._buffer.cut(message_id, batch)

    def drop(self, exchange: Exchange) -> None:
        """Forget a search."""

    def send_operation(self, operation: bytes, controls: tuple[Control, ...]) -> int:
        """Keep what is sent besides searches."""
        del controls
        self.sent.append(operation)
        raise ConnectionLost("nobody is there.")


def _entry(message_id: int, number: int, *controls: Control) -> bytes:
    contents = ber.encode(4, f"cn={number}".encode()) + ber.encode(0x30, b"")
    return messages.encode_message(message_id, ber.encode(0x64, contents), controls)


def _done(message_id: int, value: bytes | None) -> bytes:
    result = ber.encode_integer(0, ber.ENUMERATED) + ber.encode(4, b"") + ber.encode(4, b"")
    controls = (Control(messages.PAGED_RESULTS, value=value),)
    return messages.encode_message(message_id, ber.encode(0x65, result), controls)


def _cookie(cookie: bytes) -> bytes:
    value = messages.paged_results(0, cookie).value
    assert value is not None
    return value


def _listing(script: Script, page_size: int | None = 10) -> Listing:
    request = SearchRequest(
        base_dn="dc=x", scope=Scope.SUBTREE, filter="(cn=*)", page_size=page_size
    )
    return Listing("users", Walk(script, request, "users").pages())


class TestWalk:
    def test_empty_pages_for_ever(self) -> None:
        """A server that sends empty pages without end is given up."""
        script = Script(lambda asked: [_done(asked, _cookie(b"more"))])
        listing = _listing(script)
        assert list(listing) == []
        assert listing.outcome.verdict is Verdict.TRUNCATED
        assert script.asked == paging.EMPTY_PAGES + 1

    @pytest.mark.rule("2.2.1", server="pure")
    def test_some_empty_pages(self) -> None:
        """Empty and short pages are no end of data while there is a cookie."""

        def answer(asked: int) -> list[bytes]:
            entries = [_entry(asked, asked)] if asked % 2 else []
            return [b"".join([*entries, _done(asked, _cookie(b"" if asked == 5 else b"more"))])]

        listing = _listing(Script(answer))
        assert [len(page) for page in listing] == [1, 1, 1]
        assert (listing.outcome.verdict, listing.outcome.pages) == (Verdict.COMPLETE, 5)

    @pytest.mark.parametrize("value", [None, b"", b"\x30\x00", b"\x30\x80\x00\x00", b"garbage"])
    def test_unreadable_cookie(self, value: bytes | None) -> None:
        """A paging control that cannot be read truncates the listing."""
        listing = _listing(Script(lambda asked: [_entry(asked, 1) + _done(asked, value)]))
        assert [len(page) for page in listing] == [1]
        assert listing.outcome.verdict is Verdict.TRUNCATED

    @pytest.mark.parametrize("page_size", [10, None])
    def test_larger_than_asked_for(self, page_size: int | None) -> None:
        """A page without end is handed out in parts, so that memory stays bounded."""
        pieces = 40

        def answer(asked: int) -> list[bytes]:
            piece = b"".join(_entry(asked, number) for number in range(100))
            return [*[piece] * pieces, _done(asked, _cookie(b""))]

        listing = _listing(Script(answer), page_size)
        sizes = [len(page) for page in listing]
        assert sum(sizes) == 100 * pieces
        assert max(sizes) <= 1100
        assert (listing.outcome.verdict, listing.outcome.pages) == (Verdict.COMPLETE, 1)

    def test_huge_entries(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Few but huge entries are handed out in parts as well."""
        monkeypatch.setattr(paging, "PART_OCTETS", 50)

        def answer(asked: int) -> list[bytes]:
            return [*(_entry(asked, number) for number in range(8)), _done(asked, _cookie(b""))]

        sizes = [len(page) for page in _listing(Script(answer))]
        assert (sum(sizes), len(sizes) > 1) == (8, True)

    def test_controls_of_entries(self) -> None:
        """Controls of entries come with their page, by index."""
        state = Control(STATE, value=b"new")

        def answer(asked: int) -> list[bytes]:
            return [_entry(asked, 1) + _entry(asked, 2, state) + _done(asked, _cookie(b""))]

        (page,) = _listing(Script(answer))
        assert page.controls == {1: (state,)}

    def test_left_early_without_a_server(self) -> None:
        """Leaving a listing abandons the page that was asked for, even when nobody listens."""
        script = Script(lambda asked: [_entry(asked, 1) + _done(asked, _cookie(b"more"))])
        for page in _listing(script):
            assert len(page) == 1
            break
        assert script.sent == [messages.encode_abandon(2)]


class TestHandshakeError:
    @pytest.mark.parametrize(
        ("attributes", "kind", "said"),
        [
            ({"verify_code": 9, "verify_message": "m"}, CertificateRejected, "not valid yet"),
            ({"verify_code": 10, "verify_message": "m"}, CertificateRejected, "has expired"),
            ({"verify_code": 18, "verify_message": "m"}, CertificateRejected, "nobody trusted"),
            ({"verify_code": 62, "verify_message": "m"}, CertificateRejected, "another name"),
            ({"verify_code": 66, "verify_message": "m"}, CertificateRejected, "was refused"),
        ],
    )
    def test_certificate(
        self, attributes: dict[str, Any], kind: type[Exception], said: str
    ) -> None:
        """Every reason to refuse a certificate has its own sentence."""
        error = ssl.SSLCertVerificationError()
        for name, value in attributes.items():
            setattr(error, name, value)
        made = handshake_error("ldaps://h", error)
        assert isinstance(made, kind)
        assert said in str(made)

    @pytest.mark.parametrize(
        ("reason", "kind", "said"),
        [
            ("UNSUPPORTED_PROTOCOL", CertificateRejected, "no TLS 1.2"),
            ("WRONG_VERSION_NUMBER", DirectoryUnavailable, "does not speak TLS"),
            ("SSLV3_ALERT_HANDSHAKE_FAILURE", DirectoryUnavailable, "ended the TLS handshake"),
        ],
    )
    def test_protocol(self, reason: str, kind: type[Exception], said: str) -> None:
        """A handshake that fails for another reason says what to check."""
        error = ssl.SSLError()
        error.reason = reason
        made = handshake_error("ldaps://h", error)
        assert isinstance(made, kind)
        assert said in str(made)
