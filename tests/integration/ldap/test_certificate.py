"""A look at the certificate that a directory shows."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from syncd.errors import DirectoryError, DirectoryUnavailable
from syncd.ldap.certificate import presented
from tests.integration.ldap.sources import options_for
from tests.servers.slapd import Slapd, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime.now(tz=UTC)
# An extended response with protocolError, as a server without TLS sends it.
NO_START_TLS = bytes.fromhex("300c02010178070a010204000400")


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    """A directory whose certificate is valid for ten days."""
    with Slapd(certificate_days=10) as server:
        yield server


@contextlib.contextmanager
def answering(*pieces: bytes) -> Iterator[str]:
    """Run a server that answers its first request with these bytes and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(4096)
                for piece in pieces:
                    client.sendall(piece)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"ldap://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)


@pytest.mark.parametrize("by_tls", [True, False], ids=["ldaps", "StartTLS"])
def test_it_shows_the_certificate_on_both_roads(slapd: Slapd, *, by_tls: bool) -> None:
    """The certificate and its last day are the same by ldaps:// and by StartTLS."""
    url = slapd.tls_url if by_tls else slapd.url
    report = presented(url, options_for(slapd), NOW + timedelta(days=4))

    assert report is not None
    assert (report.subject, report.issuer) == ("CN=server", "CN=Test CA")
    assert report.days_left in {5, 6}


def test_clear_text_has_no_certificate(slapd: Slapd) -> None:
    """Where the password goes in clear text there is nothing to look at."""
    options = replace(options_for(slapd), insecure_clear_text_bind=True)

    assert presented(slapd.url, options, NOW) is None


@pytest.mark.parametrize(
    ("pieces", "sentence"),
    [
        ((), "did not answer the request for StartTLS"),
        ((NO_START_TLS[:5],), "did not answer the request for StartTLS"),
        ((b"HTTP/1.1 400 Bad Request",), "did not answer the request for StartTLS"),
        ((NO_START_TLS,), "refused StartTLS: protocolError"),
    ],
    ids=["hangs up", "half an answer", "no LDAP", "refuses"],
)
def test_a_server_without_start_tls_is_a_sentence(
    slapd: Slapd, pieces: tuple[bytes, ...], sentence: str
) -> None:
    """A server that does not start TLS is named with what it answered."""
    with answering(*pieces) as url, pytest.raises(DirectoryUnavailable, match=sentence):
        presented(url, options_for(slapd), NOW)


def test_a_server_that_is_gone_is_a_sentence(slapd: Slapd) -> None:
    """A port where nobody listens is an error of the directory."""
    with pytest.raises(DirectoryError):
        presented(f"ldaps://127.0.0.1:{free_port()}", options_for(slapd), NOW)
